# SPDX-License-Identifier: BSD-2-Clause
"""What pcapctl answers when a capture is cut short, incomplete or empty, a request is refused, or a node is silent."""

import json
import os
import re
import signal

import pytest

from lib.control_server import final, pcapng
from lib.fleet_nodes import captures, rfc3339
from lib.pcapctl import Pcapctl
from lib.pcapfile import CaptureFile
from lib.waiting import seconds, until
from lib.world import NODE, World
from test_pcapctl import capturing, serve  # noqa: F401
from test_pcapctl_fleet import fleet, keys, redis  # noqa: F401

RECORDED = "udp port 7"


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    config = {"limits": {"memory": "4MiB"}, "general": {"maxpackets": 3000},
              "history": {"interfaces": ["eth1"], "memory": "32MiB", "filter": RECORDED}}
    with World(tmp_path_factory.mktemp("answers"), config, pairs=2) as world:
        yield world


@pytest.fixture
def ctl(host, tmp_path):
    def run(*words):
        return Pcapctl(*words, "--socket", host.config["api"]["socket"], cwd=tmp_path)

    return run


def wait_running(host, identifier):
    until(lambda: any(view["state"] == "running" for view in host.api.get(f"/v1/captures/{identifier}").json.get("captures", ())),
          20, f"{identifier} to run")


def of(result):
    """The one event of `--json`."""
    event, = result.json["events"]
    return event


# Cut short

@pytest.mark.parametrize("interfaces, name", [("eth0", "eth0"), ("eth0,eth1", "eth0+eth1")])
def test_exhausted_memory_is_partial_success_and_named_even_when_quiet(host, ctl, tmp_path, interfaces, name):
    command = ctl("capture", "-q", "-i", interfaces, "--duration", "60", "-c", "3000", "--id", f"full-{name[-4:]}", "-w", "out", "udp")
    wait_running(host, f"full-{name[-4:]}")
    host.sender.send(5000, size=1400, rate=50000)
    result = command.finish()
    assert result.status == 3 and re.search(
        rf"^pcapctl: test-node {re.escape(name)}: stopped after \S+ s of 60 s: limits\.memory \(4 MiB\) is full$", result.stderr, re.M), result
    assert "at least 1 for lack of memory" in result.stderr and " memory " in result.stdout, result
    event = host.api.get(f"/v1/captures/full-{name[-4:]}.1").expect(200).json
    assert event["reason"] == "memory" and event["limit"] == {"key": "limits.memory", "value": 4 << 20}, event
    assert event["lost"]["memory"] >= 1 and event["lost"]["at_least"] is True and event["window"]["complete"] is False, event
    assert event["window"]["to"] < event["window"]["asked_to"] and event["seen"] >= event["packets"] > 0, event
    file = CaptureFile(tmp_path / "out")
    assert len(file.packets) == event["packets"]
    assert any("memory at least" in comment and f"; {event['seen']} packets passed" in comment for comment in file.comments), file.comments


def test_limit_that_the_request_does_not_name_is_partial_success(host, ctl):
    command = ctl("capture", "-i", "eth0", "--duration", "60", "--id", "most", "-w", "out", "udp")
    wait_running(host, "most")
    host.sender.send(3500, rate=50000)
    result = command.finish()
    assert result.status == 3 and re.search(r"stopped after \S+ s of 60 s: general\.maxpackets \(3,000\) is reached\n", result.stderr), result
    command = ctl("capture", "-i", "eth0", "--duration", "60", "-c", "10", "--id", "ten", "-w", "out", "udp")
    wait_running(host, "ten")
    host.sender.send(10, rate=1000)
    result = command.finish()
    assert result.status == 0 and not result.stderr, result


def test_history_that_is_too_short_and_removed_interfaces_are_partial_success(host, ctl):
    result = ctl("capture", "-q", "-i", "eth1", "--before", "3000", "--duration", "0.2", RECORDED).finish()
    assert result.status == 3 and "history reaches back only to 20" in result.stderr, result
    host.host.add_veth("eth7", host.peer, "peer7")
    command = ctl("capture", "-q", "-i", "eth7", "--duration", "60", "--id", "gone", "udp port 9")
    wait_running(host, "gone")
    host.host.ip("link", "del", "eth7")
    result = command.finish()
    assert result.status == 3 and re.search(r"eth7: stopped after .+ s of 60 s: the interface is gone\n", result.stderr), result
    event = host.api.get("/v1/captures/gone.1").expect(200).json
    assert (event["reason"], event["ended_by"], event["interface_state"], event["hint"]) == (
        "empty", "interface-gone", "gone", "eth7 is gone"), event


# Empty

def test_an_empty_capture_says_why_and_that_no_file_was_written(host, ctl, tmp_path):
    command = ctl("capture", "-i", "eth0", "--duration", "2", "--id", "none", "-w", "e.pcapng", "port 53")
    wait_running(host, "none")
    host.sender.send(72, rate=10000)
    result = command.finish()
    assert result.status == 4, result
    assert re.search(r"^pcapctl: test-node eth0: no packet matched `port 53`; (7[2-9]|[89]\d) others passed on eth0 in 2 s$",
                     result.stderr, re.M), result
    assert "pcapctl: e.pcapng not written\n" in result.stderr and not os.path.exists(tmp_path / "e.pcapng"), result
    event = host.api.get("/v1/captures/none.1").expect(200).json
    assert event["ended_by"] == "timeout" and event["interface_state"] == "up" and event["seen"] >= 72, event


@pytest.mark.parametrize("down, state, hint", [("peer", "no-carrier", "eth7 has no carrier"), ("host", "down", "eth7 is down")])
def test_an_empty_capture_names_the_state_of_the_interface(host, ctl, down, state, hint):
    host.host.add_veth("eth7", host.peer, "peer7")
    try:
        (host.peer if down == "peer" else host.host).set_up("peer7" if down == "peer" else "eth7", False)
        event = of(ctl("capture", "-i", "eth7", "--duration", "0.2", "--json").finish())
        assert (event["reason"], event["interface_state"], event["hint"]) == ("empty", state, hint), event
    finally:
        host.host.ip("link", "del", "eth7")


def test_an_empty_history_names_the_recorders_own_filter(ctl):
    event = of(ctl("capture", "-i", "eth1", "--before", "0.1", "--duration", "0.2", "--json", "tcp port 80").finish())
    assert event["reason"] == "empty" and "history.filter" in event["hint"], event


# Where

def test_files_in_the_local_directory_are_shown_as_paths_of_their_node(host, ctl):
    command = ctl("capture", "-i", "eth0", "--no-file", "-c", "5", "--duration", "60", "--id", "where", "udp")
    wait_running(host, "where")
    host.sender.send(5, rate=1000)
    result = command.finish()
    path = re.search(rf" {NODE}:(/\S+\.pcapng)$", result.stdout, re.M)
    assert path and os.path.exists(path[1]) and "memory" not in result.stdout and not result.stderr, result


def test_the_fleet_shows_paths_and_memory_by_the_destinations_name(fleet):  # noqa: F811
    path = "/var/lib/pcapdaemon/n1.pcapng"
    fleet.add("n1", captures(destinations=[{"name": "local", "ok": True, "url": path},
                                           {"name": "memory", "ok": True, "url": "/v1/captures/r.1/file"}]))
    done = fleet.ctl("capture", "-i", "eth0", "--wait", "--id", "r")
    assert f"n1:{path}, memory of n1" in done.stdout, done


# Refusals

def test_refusals_name_options_and_what_there_is(host, ctl):
    result = ctl("capture", "-i", "eth0", "-d", "s3").finish()
    assert result.status == 1 and re.search(r'-d: no destination "s3" is configured; there are: .*\bmemory\b', result.stderr), result
    assert "to_destinations" not in result.stderr
    result = ctl("capture", "-i", "eth0", "--before", "100000000").finish()
    assert "refused: --before: " in result.stderr, result


def test_rejected_events_carry_the_requests_labels(host):
    refused = host.refused(packets=-1, alertid=655443, customer="ACME", tags="a,b")
    assert (refused["field"], refused["alertid"], refused["customer"], refused["tags"]) == ("packets", 655443, "ACME", "a,b"), refused
    refused = host.refused(interface=["nowhere"], alertid="x-1", customer="ACME")
    assert (refused["alertid"], refused["customer"]) == ("x-1", "ACME"), refused


# The fleet

def test_nodes_are_up_deaf_stopped_or_away(fleet):  # noqa: F811
    fleet.add("n1", redis={"requests": True})
    fleet.add("n2", redis={"requests": False})
    fleet.add("n3", stopped=rfc3339())
    fleet.add("n4").die()
    done = fleet.ctl("nodes")
    assert [row[:2] for row in done.rows()] == [["n1", "up"], ["n2", "deaf"], ["n3", "stopped"], ["n4", "away"]], done
    assert "n2 is up, but receives no requests from Redis" in done.stderr, done
    for name, status in (("n1", 1), ("n2", 1), ("n3", 0), ("n4", 0), ("n9", 1)):
        assert fleet.ctl("nodes", "--forget", name).status == status, name
    assert [row[0] for row in fleet.ctl("nodes").rows()] == ["n1", "n2"]


def test_silent_and_unfinished_nodes_are_told_apart(fleet):  # noqa: F811
    fleet.add("n1", captures())
    fleet.add("n2", lambda node, request: (node.publish(request, "accepted", 1), node.die()))
    fleet.add("n3", redis={"requests": False})
    fleet.add("n4", stopped=rfc3339())
    done = fleet.ctl("capture", "-i", "eth0", "--wait", "--json", "--answer-timeout", "2s")
    assert done.status == 3 and (done.json["silent"], done.json["unfinished"]) == (["n3"], ["n2"]), done
    done = fleet.ctl("capture", "-i", "eth0", "--answer-timeout", "2s")
    assert done.status == 3 and "n3 never answered: it is up, but receives no requests from Redis" in done.stderr, done
    assert "n4 is stopped since 20" in done.stderr and "n4" not in done.stdout, done


@pytest.mark.parametrize("words", [[], ["--wait"]])
def test_a_silent_node_is_partial_success_even_if_the_others_captured_nothing(fleet, words):  # noqa: F811
    fleet.add("n1", captures(reason="empty", packets=0))
    fleet.add("n2")
    assert fleet.ctl("capture", "-i", "eth0", "--answer-timeout", "1s", *words).status == 3


def test_the_merged_file_names_the_silent_nodes_and_no_key_that_is_deleted(fleet):  # noqa: F811
    fleet.add("n1", captures(pcapng("eth0")))
    fleet.add("n2")
    done = fleet.ctl("capture", "-i", "eth0", "-w", "out", "--answer-timeout", "1s")
    assert done.status == 3 and keys(fleet, "file") == [], done
    assert "redis:" not in done.stdout and done.rows()[0][-1] == "out", done
    first = CaptureFile(str(fleet.work / "out")).comments[0]
    assert first.startswith("missing: n2 (never answered, last seen 20") and "merged: n1 (" in first, first


def test_expect_names_the_nodes_that_should_answer(fleet):  # noqa: F811
    fleet.add("n1", captures())
    fleet.add("n2")
    (fleet.work / "names").write_text("# the edge\n n1 \n\nn7 # new\r\n")
    done = fleet.ctl("capture", "-i", "eth0", "--wait", "--json", "--answer-timeout", "1s", "--expect", "names")
    assert done.status == 3 and done.json["silent"] == ["n7"], done
    (fleet.work / "names").write_text("n1\n")
    done = fleet.ctl("capture", "-i", "eth0", "--wait", "--answer-timeout", "60s", "--expect", "names")
    assert done.status == 0, done
    for words, text in ((["--expect", "names", "--nodere", "^x"], "addresses none of the nodes"), (["--expect", "absent"], "absent: No such file"),
                        (["--expect", "/dev/null"], "names no node")):
        done = fleet.ctl("capture", "-i", "eth0", *words)
        assert done.status in (1, 2) and text in done.stderr, done


def test_a_node_that_presence_does_not_know_is_reported_at_once(fleet):  # noqa: F811
    fleet.add("edge8", captures())
    with Pcapctl("capture", "-i", "eth0", "--node", "edge9", "--answer-timeout", "2s", "--redis", fleet.url) as command:
        line = command.process.stderr.readline().decode()
        assert line == 'pcapctl: presence knows no node "edge9" (did you mean "edge8"?); `pcapctl nodes` lists them\n', line
        assert command.is_running()
        result = command.finish()
    assert result.status == 1 and result.rows()[0][:3] == ["edge9", "-", "no"], result


def test_without_wait_the_command_says_how_to_follow_captures_that_go_on(fleet):  # noqa: F811
    fleet.add("n1", lambda node, request: node.publish(request, "accepted", 1))
    done = fleet.ctl("capture", "-i", "eth0", "--id", "r")
    assert done.status == 0 and "captures go on: `pcapctl watch --id r --redis URL`, or use --wait\n" in done.stderr, done


def test_watching_a_channel_without_nodes_is_noted(fleet):  # noqa: F811
    with Pcapctl("watch", "--redis", fleet.url) as command:
        assert b"no node is present on the channel" in command.process.stderr.readline()
        command.signal(signal.SIGINT)
        assert command.finish().status == 0


# A reader that has stopped

def flood():
    for number in range(1 << 20):
        yield b"data: " + json.dumps({"event": "accepted", "id": f"a{number}", "node": "n" * 500}).encode() + b"\n\n"


@pytest.mark.parametrize("number, words", [(signal.SIGINT, ["watch"]), (signal.SIGTERM, ["watch"]),
                                           (signal.SIGTERM, ["capture", "-i", "lo", "-d", "local", "-"])])
def test_signals_end_a_command_whose_output_nothing_reads(serve, number, words):  # noqa: F811
    big = pcapng(packets=[(at, b"x" * 60000) for at in range(1, 50)])
    answer = capturing([final()], {"1": ("n1-lo.pcapng", big)})
    server = serve(lambda request: (200, flood()) if request.path == "/v1/events" else
                   answer(request))
    with Pcapctl(*words, "--socket", server.path) as command:
        blocked(command.process.pid)
        command.signal(number)
        assert command.process.wait(seconds(30)) == 130


def blocked(pid):
    """Waits until the process has been in a write for some time."""
    def since():
        with open(f"/proc/{pid}/wchan") as file:
            return "pipe" in file.read()

    until(since, 20, "pcapctl to block in a write")
