# SPDX-License-Identifier: BSD-2-Clause
"""pcapctl against a real Redis and fake nodes, which can be late, absent, dying or lying."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from lib import pcapctl
from lib.control_server import ControlServer, final, pcapng
from lib.daemon import ROOT
from lib.fleet_nodes import CHUNK, Fleet, captures, refuses
from lib.pcapctl import OnTerminal, Pcapctl
from lib.pcapfile import CaptureFile, judge
from lib.redis_cluster import RedisCluster
from lib.redis_probe import free_port, server  # noqa: F401
from lib.redis_sentinel import MASTER, FakeSentinel
from lib.redis_server import RedisServer
from lib.waiting import seconds, until
from test_redis_link import pki, tls_server  # noqa: F401


@pytest.fixture
def redis(tmp_path):
    directory = tmp_path / "redis"
    directory.mkdir()
    with RedisServer(directory, port=free_port()) as server:
        server.url = f"redis://127.0.0.1:{server.port}/capture"
        yield server


@pytest.fixture
def fleet(redis, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    fleet = Fleet(redis, stream="jobs")
    fleet.url, fleet.work = redis.url, work
    fleet.ctl = lambda *arguments, **more: pcapctl.run(*arguments, "--redis", redis.url, cwd=work, **more)
    yield fleet
    fleet.close()


def keys(fleet, kind):
    with fleet.server.client() as client:
        return client.keys(f"{{capture}}:{kind}:*")


# Presence

def test_nodes_and_status_show_present_and_away_nodes(fleet):
    fleet.add("n2")
    fleet.add("n10").die()
    nodes = fleet.ctl("nodes")
    assert [row[:2] for row in nodes.rows()] == [["n10", "away"], ["n2", "up"]] and "eth0 12 s" in nodes.stdout, nodes
    status = fleet.ctl("status")
    assert [row[:2] for row in status.rows()] == [["n10", "away"], ["n2", "up"]] and "1,000" in status.stdout, status
    answer = fleet.ctl("nodes", "--json").json
    assert [node["node"] for node in answer["nodes"]] == ["n10", "n2"]
    assert answer["nodes"][0]["presence"] is None and answer["nodes"][1]["presence"]["version"] == "2.0.0"


def test_clocks_that_differ_and_shared_names_are_noted(fleet):
    fleet.add("early", redis={"clock": {"offset": -30.5, "uncertainty": 0.001}})
    fleet.add("good", redis={"clock": {"offset": 0.25, "uncertainty": 0.001}})
    fleet.add("twin", name_taken=True)
    for command in ("nodes", "status"):
        notes = fleet.ctl(command).stderr
        assert "early: its clock is 30.5 s ahead of Redis's" in notes and "two daemons call themselves twin" in notes, notes
        assert "good" not in notes, notes


def test_all_nodes_of_a_large_fleet_are_shown(fleet):
    for number in range(300):
        fleet.add(f"node{number:03}")
    assert [row[0] for row in fleet.ctl("nodes").rows()] == [f"node{number:03}" for number in range(300)]


def test_invalid_presence_is_harmless(fleet):
    with fleet.server.client() as client:
        client.zadd("{capture}:nodes", {"evil\x1b[2J\n": time.time(), b"\xff\x00": 5, "big": time.time(), "odd": time.time(), "": 3})
        client.set("{capture}:node:evil\x1b[2J\n", json.dumps({"version": "\x1b[31m", "interfaces": [5, {"name": [], "up": True}]}))
        client.set("{capture}:node:big", b'{"version":"' + b"x" * (2 << 20) + b'"}')
        client.set("{capture}:node:odd", b"[1")
    for words in (["nodes"], ["status"], ["nodes", "--json"]):
        done = fleet.ctl(*words)
        assert done.status == 0 and "\x1b" not in done.stdout, done
    assert r"evil\x1B[2J\x0A" in fleet.ctl("nodes").stdout


def test_a_channel_without_nodes_is_an_error(fleet):
    for command in ("nodes", "status"):
        done = fleet.ctl(command, "-q")
        assert done.status == 1 and 'no node is present on the channel "capture"; is it the daemons\' channel' in done.stderr, done
        done = fleet.ctl(command, "--json")
        assert done.json == {"nodes": []} and done.status == 1, done


def test_results_that_cannot_be_written_are_a_failure(fleet):
    fleet.add("n1", captures())
    for words in ("nodes", "status", "nodes --json", "capture -i eth0 -q", "capture -i eth0 -q --json"):
        done = subprocess.run(["bash", "-c", f"exec {pcapctl.PROGRAM} {words} --redis {fleet.url} >/dev/full"], stdin=subprocess.DEVNULL,
                              text=True, stderr=subprocess.PIPE, env=pcapctl.environment())
        assert (done.returncode, done.stderr) == (1, "pcapctl: cannot write to standard output: No space left on device\n"), (words, done)


# capture

def test_nodes_that_accept_refuse_or_never_answer_are_shown(fleet):
    fleet.add("edge1", captures())
    fleet.add("edge2", refuses("interface: this host has no \"eth0\""))
    fleet.add("edge3")
    fleet.add("edge4").die()
    fleet.add("core1", captures())
    done = fleet.ctl("capture", "--nodere", "^edge", "-i", "eth0", "--before", "10", "host 10.0.0.1", "--wait", "--answer-timeout", "2s")
    assert done.status == 3, done
    assert [row[:3] for row in done.rows()] == [["edge1", "eth0", "done"], ["edge2", "-", "rejected"], ["edge3", "-", "no"],
                                                ["edge4", "-", "no"]], done
    assert "edge3 never answered, last seen 20" in done.stderr and "edge4 never answered, last seen 20" in done.stderr, done
    assert fleet.requests == [{"nodere": "^edge", "interface": ["eth0"], "before": 10, "bpf": "host 10.0.0.1",
                               "id": fleet.requests[0]["id"]}]


def test_json_holds_the_events_and_the_silent_nodes(fleet):
    fleet.add("n1", captures())
    fleet.add("n2")
    answer = fleet.ctl("capture", "-i", "eth0", "--wait", "--json", "--answer-timeout", "2s", "--id", "my-id").json
    assert answer["id"] == "my-id" and answer["silent"] == ["n2"]
    assert [(event["node"], event["event"], event["packets"]) for event in answer["events"]] == [("n1", "done", 5)]


def test_partial_result_has_status_3_also_without_a_wait(fleet):
    """A capture that still runs is no silence: nothing waits for its end."""
    fleet.add("n1", lambda node, request: node.publish(request, "accepted", 1))
    fleet.add("n2")
    done = fleet.ctl("capture", "-i", "eth0", "--json", "--answer-timeout", "2s")
    assert done.status == 3 and done.json["silent"] == ["n2"], done
    assert [(event["node"], event["event"]) for event in done.json["events"]] == [("n1", "accepted")]


def test_twenty_thousand_nodes_are_listed_and_answer(fleet):
    count, now = 20000, time.time()
    names = [f"node{number:05}" for number in range(count)]
    with fleet.server.client() as client, client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.zadd("{capture}:nodes", {name: now})
            pipeline.set(f"{{capture}}:node:{name}", json.dumps({"v": 1, "node": name, "version": "2.0.0", "started": "x"}), ex=600)
        pipeline.execute()
        assert [node["node"] for node in fleet.ctl("nodes", "--json").json["nodes"]] == names

        def answer():
            fleet.wait_requests(1, timeout=60)
            request = fleet.requests[0]
            for start in range(0, count, 1000):
                for name in names[start:start + 1000]:
                    pipeline.publish("capture:events", json.dumps({
                        "v": 1, "event": "done", "id": request["id"], "capture": f"{request['id']}.1", "node": name, "interface": "eth0",
                        "reason": "packets", "packets": 5, "bytes": 500, "destinations": []}))
                pipeline.execute()

        thread = threading.Thread(target=answer)
        thread.start()
        done = fleet.ctl("capture", "-i", "eth0", "--wait", "--json", "--answer-timeout", "60s", timeout=120)
        thread.join()
    assert done.status == 0 and done.json["silent"] == [] and len(done.json["events"]) == count, done.stderr


def test_success_is_status_0_and_does_not_wait_for_the_timeout(fleet):
    for number in range(3):
        fleet.add(f"n{number}", captures())
    begin = time.monotonic()
    done = fleet.ctl("capture", "-i", "eth0", "--wait", "--answer-timeout", "60s")
    assert done.status == 0 and len(done.rows()) == 3 and time.monotonic() - begin < 30, done


def test_without_wait_the_command_ends_once_all_nodes_have_answered(fleet):
    fleet.add("n1", lambda node, request: node.publish(request, "accepted", 1))
    fleet.add("n2", refuses("no"))
    done = fleet.ctl("capture", "-i", "eth0", "--answer-timeout", "60s")
    assert done.status == 3 and [row[2] for row in done.rows()] == ["accepted", "rejected"], done


@pytest.mark.parametrize("script, status", [(captures(reason="empty", packets=0), 4), (refuses("no"), 1),
                                            (captures(destinations=[{"name": "cloudshark", "ok": False, "error": "\x1b[1m"}]), 1)])
def test_the_exit_status_shows_the_outcome(fleet, script, status):
    fleet.add("n1", script)
    done = fleet.ctl("capture", "-i", "eth0", "--wait")
    assert done.status == status and "\x1b" not in done.stdout, done


def test_a_channel_without_listeners_is_reported(redis):
    done = pcapctl.run("capture", "-i", "eth0", "--redis", redis.url + "x")
    assert done.status == 1 and "no node listens on this channel of Redis at 127.0.0.1:" in done.stderr, done


def test_a_bad_expression_is_not_published(fleet):
    fleet.add("n1", captures())
    done = fleet.ctl("capture", "--nodere", "(a+)+$" * 50, "-i", "eth0")
    assert done.status == 2 and "--nodere: " in done.stderr and fleet.requests == [], done
    assert fleet.ctl("capture", "--nodere", "(", "-i", "eth0").status == 2


def test_events_of_nodes_without_presence_count(fleet):
    node = fleet.add("old", captures())
    with fleet.server.client() as client:
        client.flushall()
    done = fleet.ctl("capture", "-i", "eth0", "--wait", "--answer-timeout", "2s")
    assert done.status == 0 and done.rows()[0][:3] == [node.name, "eth0", "done"], done


def test_a_request_to_every_node_is_noted(fleet):
    fleet.add("n1", captures())
    note = f"pcapctl: asking every node of Redis at 127.0.0.1:{fleet.server.port} (no --node or --nodere)\n"
    for words, noted in ((["--redis", fleet.url], True), ([], True), (["--node", "any"], False), (["--nodere", "."], False), (["-q"], False)):
        done = pcapctl.run("capture", "-i", "eth0", *words, env={"PCAPDAEMON_REDIS": fleet.url})
        assert done.status == 0 and (note in done.stderr) == noted, done


def test_the_id_is_noted_once_the_request_is_published(fleet):
    fleet.add("n1", captures())
    done = fleet.ctl("capture", "--node", "any", "-i", "eth0")
    assert done.stderr == f"pcapctl: request {fleet.requests[0]['id']} published\n", done
    assert fleet.ctl("capture", "-i", "eth0", "-q").stderr == ""
    done = fleet.ctl("capture", "-i", "eth0", "--stream", "jobs", "--id", "x")
    assert "request x added to the stream\n" in done.stderr, done


@pytest.mark.parametrize("words, command", [(["-w", "out"], "get first.1 --node n1"), (["--wait"], "watch --id first")])
def test_a_folded_request_names_the_other_request(fleet, words, command):
    fleet.add("n1", lambda node, request: node.publish(request, "done", reason="folded", folded_into="first",
                                                       until="2026-11-23T08:42:00.000000000Z"))
    done = fleet.ctl("capture", "-i", "eth0", *words)
    assert done.status == 3 and done.rows()[0] == ["n1", "-", "done", "-", "-", "folded", "request", "first"], done
    assert f"n1 folded it into request first, which goes on until 2026-11-23T08:42:00.000Z: `pcapctl {command} --redis URL`" in done.stderr


def test_suggested_commands_quote_what_others_chose(fleet):
    fleet.add("n1", lambda node, request: node.publish(request, "done", reason="folded", folded_into="a'b; reboot"))
    done = fleet.ctl("capture", "-i", "eth0", "-w", "out")
    assert r"`pcapctl get 'a'\''b; reboot'.1 --node n1 --redis URL`" in done.stderr, done


def test_a_reused_id_is_reported(fleet):
    fleet.add("n1", captures(duplicate=True))
    done = fleet.ctl("capture", "-i", "eth0", "--wait", "--id", "r")
    assert done.status == 0 and "the id r was used before" in done.stderr, done


def test_a_path_on_another_host_is_not_shown_as_a_link(fleet):
    fleet.add("n1", captures(destinations=[{"name": "memory", "ok": True, "url": "/v1/captures/r.1/file"},
                                           {"name": "cloudshark", "ok": True, "url": "https://cs.example/captures/ab12"}]))
    done = fleet.ctl("capture", "-i", "eth0", "--wait", "--id", "r")
    assert "memory of n1, https://cs.example/captures/ab12" in done.stdout and "/v1/" not in done.stdout, done
    assert "`pcapctl get r.1` on n1 fetches the file from its memory\n" in done.stderr, done


def test_a_request_goes_into_a_stream(fleet):
    fleet.add("n1", captures())
    done = fleet.ctl("capture", "-i", "eth0", "--stream", "jobs", "--wait")
    assert done.status == 0, done
    with fleet.server.client() as client:
        entries = client.xrange("jobs")
    assert [json.loads(fields[b"request"])["id"] for _, fields in entries] == [fleet.requests[0]["id"]]


def test_a_node_that_dies_while_it_captures_is_named_and_not_waited_for(fleet):
    def dies(node, request):
        node.publish(request, "accepted", 1)
        node.die()

    fleet.add("n1", captures())
    fleet.add("n2", dies)
    done = fleet.ctl("capture", "-i", "eth0", "--wait")
    assert done.status == 3 and "n2 went away while it captured, last seen 20" in done.stderr, done


def test_ctrl_c_ends_the_wait_and_shows_the_results_so_far(fleet):
    fleet.add("n1", captures(pcapng("eth0")))
    fleet.add("n2", lambda node, request: node.publish(request, "accepted", 1))
    program = OnTerminal("capture", "-i", "eth0", "--merge", "out", "--id", "r", "--redis", fleet.url, cwd=fleet.work)
    program.wait_shown("2 of 2 nodes answered, 1 captures running, 1 over: 5 packets")
    program.process.send_signal(signal.SIGINT)
    assert program.finish() == 3 and b"running captures go on" in program.shown and b"n2 has not finished" in program.shown
    assert b"`pcapctl watch --id r --redis URL`" in program.shown, program.shown
    assert len(CaptureFile(str(fleet.work / "out")).packets) == 1


@pytest.mark.parametrize("count", [2, 3])
def test_a_lost_connection_is_restored_and_no_event_is_missed(fleet, count):
    calls = []

    def answers_at_last(node, request):
        calls.append(request)
        if len(calls) == 1:
            fleet.server.kill_clients()
        if len(calls) == count:
            captures(duplicate=True)(node, request)

    fleet.add("n1", answers_at_last)
    done = fleet.ctl("capture", "-i", "eth0", "--wait", "--id", "r", "--answer-timeout", "20s")
    assert done.status == 0 and len(calls) == count and all(call == calls[0] for call in calls), done
    assert "used before" not in done.stderr, done


def test_progress_is_shown_on_a_terminal(fleet):
    go_on = threading.Event()

    def script(node, request):
        node.publish(request, "accepted", 1)
        node.presence["captures"] = [{"capture": f"{request['id']}.1", "packets": 152, "bytes": 15200},
                                     {"capture": "of-another-request.1", "packets": 7, "bytes": 700}]
        node.appear()
        assert go_on.wait(30)
        captures()(node, request)

    fleet.add("n1", script)
    program = OnTerminal("capture", "-i", "eth0", "--wait", "--duration", "50s", "--redis", fleet.url)
    program.wait_shown("1 of 1 nodes answered, 1 captures running, 0 over: 0 packets, 0 B, at most ")
    program.wait_shown("1 captures running, 0 over: 152 packets, 15 kB, at most ")
    go_on.set()
    assert program.finish() == 0


def test_invalid_events_are_harmless(fleet):
    def lies(node, request):
        with fleet.server.client() as client:
            for text in (b"", b"{", b"[]", b"5", b"\xff", b'{"id":5}', b"x" * (2 << 20), b"[" * 100000,
                         json.dumps({"id": request["id"], "node": "evil", "event": "done?", "capture": "c"}).encode(),
                         json.dumps({"id": request["id"], "node": "n\x1b[2J", "event": "done", "capture": "c"}).encode()):
                client.publish("capture:events", text)
        captures()(node, request)

    fleet.add("n1", lies)
    done = fleet.ctl("capture", "-i", "eth0", "--wait", "--answer-timeout", "2s")
    assert done.status == 0 and [row[0] for row in done.rows()] == ["n1", "n\\x1B[2J"], done


# Files over Redis

def content_of(name, first, count=3):
    return pcapng(name, [(1_795_423_260_000_000_000 + first + 10 * i, name.encode() + bytes([i]) * 60) for i in range(count)])


def test_files_of_all_nodes_are_merged_in_time_order(fleet):
    fleet.add("n1", captures(content_of("eth0", 0), packets=3))
    fleet.add("n2", captures(content_of("eth0", 5), packets=3))
    done = fleet.ctl("capture", "-i", "eth0", "--merge", "out.pcapng")
    assert done.status == 0 and done.stdout.splitlines()[-1] == "out.pcapng", done
    assert fleet.requests[0]["to_destinations"] == ["redis"]
    path = str(fleet.work / "out.pcapng")
    judge(path)
    merged = CaptureFile(path)
    assert [packet.time_ns % 1000 for packet in merged.packets] == [0, 5, 10, 15, 20, 25]
    assert len(merged.interfaces) == 2 and len({interface.name for interface in merged.interfaces}) == 2, merged.interfaces
    assert all("eth0" in interface.name for interface in merged.interfaces)
    assert keys(fleet, "file") == []


def test_merged_packets_can_go_to_standard_output(fleet):
    fleet.add("n1", captures(content_of("eth0", 0)))
    done = fleet.ctl("capture", "-i", "eth0", "-w", "-", "-d", "archive")
    assert done.status == 0 and len(CaptureFile(done.bytes).packets) == 3 and "done" in done.stderr, done
    assert fleet.requests[0]["to_destinations"] == ["redis", "archive"]


def test_a_file_of_many_chunks_is_complete(fleet):
    packets = [(i, os.urandom(1000)) for i in range(1, 2000)]
    fleet.add("n1", captures(pcapng("eth0", packets)))
    assert fleet.ctl("capture", "-i", "eth0", "-w", "out").status == 0
    assert [packet.data for packet in CaptureFile(str(fleet.work / "out")).packets] == [data for _, data in packets]


def test_a_missing_file_is_a_partial_success_and_the_rest_is_merged(fleet):
    def gone(node, request):
        node.publish(request, "accepted", 1)
        node.publish(request, "done", 1, reason="packets", packets=1, bytes=60, destinations=[
            {"name": "redis", "ok": True, "url": f"redis:{node.key('file', node.name, request['id'] + '.1')}"}])

    fleet.add("n1", captures(content_of("eth0", 0)))
    fleet.add("n2", gone)
    fleet.add("n3")
    done = fleet.ctl("capture", "-i", "eth0", "--merge", "out", "--answer-timeout", "2s")
    assert done.status == 3 and "n3 never answered" in done.stderr and "n2" in done.stderr and "no longer in Redis" in done.stderr, done
    assert len(CaptureFile(str(fleet.work / "out")).packets) == 3


@pytest.mark.parametrize("to, environment, text", [("absent/out", {}, "cannot write absent/out: No such file"),
                                                   (".", {}, "cannot write .: Is a directory"),
                                                   ("out", {"TMPDIR": "/nonexistent"}, "cannot create files in /nonexistent: ")])
def test_an_unwritable_file_prevents_the_request(fleet, to, environment, text):
    fleet.add("n1", captures(content_of("eth0", 0)))
    done = fleet.ctl("capture", "-i", "eth0", "--merge", to, env=environment)
    assert done.status == 1 and text in done.stderr and "published" not in done.stderr, done
    assert fleet.requests == [] and os.listdir(fleet.work) == []


def test_a_write_error_leaves_the_files_in_redis(fleet):
    fleet.add("n1", captures(content_of("eth0", 0)))
    done = fleet.ctl("capture", "-i", "eth0", "--id", "r", "-w", "/dev/full")
    assert done.status == 1 and "cannot write /dev/full: No space left on device\n" in done.stderr, done
    assert "`pcapctl get r.1 --node n1 --redis URL`" in done.stderr and len(keys(fleet, "file")) == 1, done
    assert fleet.ctl("get", "r.1", "--node", "n1", "-w", "out").status == 0


@pytest.mark.parametrize("change", [{"size": 5}, {"size": 10 ** 9}, {"chunks": 5}, {"chunks": 0}, {"v": 2}, {"size": -1}])
def test_a_file_that_contradicts_its_header_is_refused(fleet, change):
    def lies(node, request):
        node.publish(request, "accepted", 1)
        node.publish(request, "done", 1, reason="packets", packets=1, bytes=60,
                     destinations=[node.deliver(request, content_of("eth0", 0), **change)])

    fleet.add("n1", lies)
    done = fleet.ctl("capture", "-i", "eth0", "-w", "out")
    assert done.status == 1 and "in Redis" in done.stderr and os.listdir(fleet.work) == [], done


def test_a_url_that_names_another_key_is_not_followed(fleet):
    with fleet.server.client() as client:
        client.rpush("precious", json.dumps({"v": 1, "name": "x", "size": 4, "chunks": 1}), b"data")

    def lies(node, request):
        node.publish(request, "accepted", 1)
        node.publish(request, "done", 1, reason="packets", packets=1, bytes=60,
                     destinations=[{"name": "redis", "ok": True, "url": "redis:precious"}])

    fleet.add("n1", lies)
    assert fleet.ctl("capture", "-i", "eth0", "-w", "out").status == 1
    with fleet.server.client() as client:
        assert client.exists("precious")


def test_get_decompresses_what_a_node_has_compressed(fleet):
    content = os.urandom(3 * CHUNK) + bytes(10 * CHUNK)
    packed = gzip.compress(content, 1)
    node = fleet.add("n1")
    node.deliver({"id": "r"}, packed, name="n1-eth0.pcapng.gz")
    done = fleet.ctl("get", "r.1")
    assert (done.status, done.stdout) == (0, "n1-eth0.pcapng\n") and (fleet.work / "n1-eth0.pcapng").read_bytes() == content, done
    for request, damaged in (("a", packed[:-1]), ("b", packed + b"x"), ("c", packed[:-1] + b"?")):
        node.deliver({"id": request}, damaged)
        done = fleet.ctl("get", f"{request}.1", "-w", "out")
        assert done.status == 1 and "the compressed file in Redis is" in done.stderr and not (fleet.work / "out").exists(), done


def test_get_fetches_a_file_that_a_node_left(fleet):
    content = os.urandom(CHUNK + 5)
    fleet.add("n1").deliver({"id": "r"}, content)
    fleet.add("n2")
    done = fleet.ctl("get", "r.1")
    assert (done.status, done.stdout) == (0, "n1-eth0.pcapng\n") and (fleet.work / "n1-eth0.pcapng").read_bytes() == content, done
    assert fleet.ctl("get", "r.1", "-w", "-", "--node", "n1").bytes == content
    fleet.nodes[1].deliver({"id": "r"}, content)
    done = fleet.ctl("get", "r.1")
    assert done.status == 1 and "2 nodes have left a file" in done.stderr and "--node" in done.stderr, done
    done = fleet.ctl("get", "other")
    assert done.status == 1 and "no node has left a file" in done.stderr, done


# watch

def test_watch_prints_the_fleets_events(fleet):
    node = fleet.add("n1")
    with Pcapctl("watch", "--id", "b", "--redis", fleet.url) as program:
        until(lambda: [client for client in fleet.server.clients() if "ctl-events" in client["name"]], 10)
        until(lambda: fleet.server.client().pubsub_numsub("capture:events")[0][1], 10)
        node.publish({"id": "a"}, "accepted", 1)
        node.publish({"id": "b"}, "accepted", 1)
        line = program.process.stdout.readline()
        program.signal(signal.SIGINT)
        done = program.finish()
    assert line.endswith(b"n1 eth0 accepted b.1\n") and done.status == 0 and done.stdout == "", (line, done)


# Connecting to Redis

def test_a_password_works_and_is_not_shown(tmp_path):
    with RedisServer(tmp_path, port=free_port(), users=["alice on >p@ss/word ~* &* +@all"]) as server:
        url = f"redis://alice:p%40ss%2Fword@127.0.0.1:{server.port}/capture"
        with Pcapctl("watch", "--redis", url) as program:
            until(lambda: [client for client in server.clients() if "ctl-events" in client["name"]], 10)
            with open(f"/proc/{program.process.pid}/cmdline", "rb") as file:
                assert b"p%40ss" not in file.read()
            program.signal(signal.SIGINT)
            assert program.finish().status == 0
        done = pcapctl.run("nodes", env={"PCAPDAEMON_REDIS": url.replace("word", "wrong")})
        assert done.status == 1 and "WRONGPASS" in done.stderr and "ss%2F" not in done.stderr and "ss/" not in done.stderr, done
        assert "wrong user or password; they come from the URL" in done.stderr and "right server" not in done.stderr, done


def test_a_missing_password_is_reported(tmp_path):
    with RedisServer(tmp_path, port=free_port(), password="secret") as server:
        done = pcapctl.run("nodes", "--redis", f"redis://127.0.0.1:{server.port}/capture")
    assert done.status == 1 and "NOAUTH" in done.stderr and "it needs a password: name a file with it with --redis-auth-file" in done.stderr, done


def test_an_operator_who_may_not_read_the_daemons_secrets_uses_a_file_of_their_own(tmp_path):
    """As nobody: first the configuration is root's, then its password is, then the user has one in a file of their own."""
    folder = Path(tempfile.mkdtemp(prefix="pcapctl-operator-", dir="/tmp"))
    try:
        config, secret, own = folder / "pcapdaemon.toml", folder / "redis.auth", folder / "own"
        program = shutil.copy(pcapctl.PROGRAM, folder / "pcapctl")
        with RedisServer(tmp_path, port=free_port(), password="s3cr3t") as server:
            config.write_text(f'[redis]\nport = {server.port}\nauth_file = "{secret}"\n'
                              f'[cloudshark]\nupload = true\ntoken_file = "{folder}/token"\n')
            for path in (secret, own):
                path.touch(0o600)
                path.write_text("s3cr3t\n")
            os.chown(own, 65534, 65534)
            os.chmod(folder, 0o755)
            os.chmod(config, 0o600)

            def nodes(*options):
                return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "nodes", "--config", config, *options],
                                      stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds(30))

            done = nodes()
            assert done.returncode == 2 and f"{config}: you may not read it" in done.stderr and "--redis-auth-file" in done.stderr, done
            os.chmod(config, 0o644)
            done = nodes()
            assert done.returncode == 2 and f"redis.auth_file: {secret}: Permission denied; name a file" in done.stderr, done
            done = nodes("--redis-auth-file", own)
            assert done.returncode == 1 and "no node is present" in done.stderr, done  # it got as far as the nodes
    finally:
        shutil.rmtree(folder)


def test_a_master_is_found_through_a_sentinel(fleet):
    fleet.add("n1", captures())
    sentinel = FakeSentinel(("127.0.0.1", fleet.server.port))
    try:
        done = pcapctl.run("capture", "-i", "eth0", "--wait", "--redis", f"redis://{sentinel.endpoint}/capture?sentinel={MASTER}")
    finally:
        sentinel.close()
    assert done.status == 0 and done.rows()[0][:3] == ["n1", "eth0", "done"], done


def test_a_cluster_is_reached_through_any_of_its_nodes(tmp_path):
    (tmp_path / "cluster").mkdir()
    cluster = RedisCluster(tmp_path / "cluster")
    try:
        cluster.start()
        owner = cluster.owner("{capture}")
        fleet = Fleet(owner)
        fleet.add("n1", captures(content_of("eth0", 0)))
        for one in cluster.servers:
            url = f"redis://127.0.0.1:{one.port}/capture"
            alone = pcapctl.run("nodes", "--redis", url)
            assert alone.status == 0 if one is owner else alone.status == 1 and "--redis-cluster" in alone.stderr, alone
            assert pcapctl.run("nodes", "--redis", url, "--redis-cluster").rows()[0][:2] == ["n1", "up"]
            done = pcapctl.run("capture", "-i", "eth0", "-w", "-", "--redis", url, "--redis-cluster")
            assert done.status == 0 and len(CaptureFile(done.bytes).packets) == 3 and keys(fleet, "file") == [], done
        fleet.close()
    finally:
        cluster.close()


def test_tls_is_verified(server, pki):
    redis_server = tls_server(server, pki).start()
    for host, status, text in (("localhost", 1, "no node is present"), ("127.0.0.1", 1, "IP address mismatch")):
        done = pcapctl.run("nodes", "--redis", f"rediss://{host}:{redis_server.port}/capture?ca={pki}/ca.crt")
        assert done.status == status and text in done.stderr, done


def test_a_daemons_configuration_file_names_the_fleet(fleet, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(f'[redis]\nhost = "127.0.0.1"\nport = {fleet.server.port}\n')
    fleet.add("n1")
    done = pcapctl.run("nodes", "--config", config)
    assert done.status == 0 and done.rows()[0][0] == "n1", done
    config.write_text("[redis]\nhots = 5\n")
    done = pcapctl.run("nodes", "--config", config)
    assert done.status == 2 and "redis.hots: unknown key" in done.stderr, done


def test_an_absent_redis_is_reported_with_advice():
    done = pcapctl.run("nodes", "--redis", f"redis://127.0.0.1:{free_port()}/capture")
    assert done.status == 1 and "Connection refused; is it the right server? name it with --redis" in done.stderr, done
    done = pcapctl.run("nodes", "--redis", "redis://127.0.0.1/a/b")
    assert done.status == 2 and "--redis: the Redis URL has more than a channel" in done.stderr, done


def test_pcapctl_gives_up_on_a_redis_that_hangs(fleet):
    fleet.server.pause()
    try:
        done = fleet.ctl("nodes")
    finally:
        fleet.server.resume()
    assert done.status == 1 and "cannot reach" in done.stderr, done


# The manual

def test_every_example_of_the_manual_works(fleet, tmp_path):
    with open(os.path.join(ROOT, "docs", "pcapctl.1.in")) as file:
        text = file.read().split(".Sh EXAMPLES\n")[1].split(".Sh ")[0]
    literal = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", text, re.M | re.S)
    lines = re.findall(r"^\.Dl (.*)$", text, re.M) + literal
    assert len(lines) == 9
    programs = tmp_path / "programs"
    programs.mkdir()
    os.symlink(pcapctl.PROGRAM, programs / "pcapctl")
    (programs / "wireshark").write_text("#!/bin/sh\nexec tshark -r - >/dev/null\n")
    (programs / "wireshark").chmod(0o755)
    config = tmp_path / "pcapdaemon.toml"
    config.write_text("")
    for name in ("edge1", "edge2"):
        fleet.add(name, captures(content_of("eth0", 0)))
    control = ControlServer(str(tmp_path / "control.sock"), answer=lambda request: (
        (200, {"destinations": [{"name": "local", "type": "local", "ok": True}]}) if request.path == "/v1/destinations/check" else
        (200, {"id": request.json["id"], "events": [final(f"{request.json['id']}.1")]}) if request.method == "POST" else
        (200, {"captures": [final("live.1")]}) if request.path.startswith("/v1/captures/") and not request.path.endswith("/file") else
        (200, content_of("lo", 0), {"Content-Disposition": 'attachment; filename="n1-lo.pcapng"'})))
    for line in lines:
        local = "--nodere" not in line and "nodes" not in line
        line = line.replace("\\e\n", "\\\n").replace("/etc/pcapdaemon/pcapdaemon.toml", str(config))
        line = re.sub(r"PCAPDAEMON_REDIS=\S+", f"PCAPDAEMON_REDIS={fleet.url}", line)
        where = {"PCAPDAEMON_SOCKET": control.path} if local else {"PCAPDAEMON_REDIS": fleet.url}
        done = subprocess.run(["bash", "-euc", f"set -o pipefail\n{line}"], cwd=fleet.work, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=pcapctl.environment(PATH=f"{programs}:{os.environ['PATH']}", **where))
        assert done.returncode == 0, (line, done)
    control.close()
    assert sorted(os.listdir(fleet.work)) == ["n1-lo.pcapng", "out.pcapng"]


# The real daemon

def test_a_real_daemon_answers_requests(world):
    def capture(*words):
        return pcapctl.run("capture", "--redis", "redis://127.0.0.1/capture", "--wait", *words, netns=world.host)

    done = capture("--nodere", "^test-", "-i", "eth0,eth1", "--duration", "0.5", "--customer", "ACME", "not", "host", "10.9.9.9")
    assert sorted(row[:3] for row in done.rows()) == [["test-node", "eth0", "done"], ["test-node", "eth1", "done"]], done
    assert done.status in (0, 4), done
    refused = capture("-i", "eth9")
    assert refused.status == 1 and '-i: this host has no "eth9"' in refused.stdout, refused
    refused = capture("-i", "eth0", "vlan", "5000")
    assert refused.status == 1 and "rejected" in refused.stdout and "bpf" in refused.stdout, refused
    unsent = capture("-i", "eth0", "hots", "10.0.0.1")
    assert unsent.status == 2 and not unsent.stdout, unsent
    assert 'bpf: syntax error near "hots": ">>>hots<<< 10.0.0.1"' in unsent.stderr, unsent
    silent = capture("--node", "elsewhere", "-i", "eth0", "--answer-timeout", "2s")
    assert silent.status == 1 and "no node answered within 2 s" in silent.stderr, silent
