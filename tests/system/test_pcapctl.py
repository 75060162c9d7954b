# SPDX-License-Identifier: BSD-2-Clause
"""pcapctl against a fake control API, which can give any answer. The real daemon is tested elsewhere."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from lib import pcapctl
from lib.control_server import ControlServer, final, pcapng
from lib.pcapctl import OnTerminal, Pcapctl

STATUS = {"v": 1, "node": "n1", "version": "2.0.0", "time": "2026-11-23T08:41:00.123456789Z",
          "started": "2026-11-23T08:00:00.000000000Z", "destinations": ["memory"],
          "load": {"captures": 1, "delivering": 2, "memory": 5000, "memory_limit": 268435456}}
INTERFACES = {"node": "n1", "interfaces": [
    {"name": "eth0", "aliases": ["main", "public"], "up": True, "recorder": True, "reach": 12.4, "captures": 1, "packets": 1234,
     "dropped": 5, "rate": {"packets": 10, "bytes": 1500}},
    {"name": "lo", "aliases": [], "up": True, "recorder": False}]}


@pytest.fixture
def serve(tmp_path):
    """serve(answer, …): a fake control API whose ctl(…) runs pcapctl against it in a separate directory."""
    servers = []
    work = tmp_path / "work"
    work.mkdir()

    def make(answer, **options):
        server = ControlServer(None if options.pop("tcp", False) else str(tmp_path / "control.sock"), answer=answer, **options)
        server.work = work
        server.options = ("--socket", server.path) if server.path else ("--api", f"http://127.0.0.1:{server.port}")
        server.ctl = lambda *arguments, **more: pcapctl.run(*arguments, *server.options, cwd=work, **more)
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.close()


def capturing(events, files=None):
    """Answers a capture at once with these events, under the request's id, and serves the files."""

    def answer(request):
        if request.method == "POST":
            assert request.query == "wait=1"
            answer.id = request.json["id"]
            return 200, {"id": answer.id, "events": [
                {**event, "id": answer.id, "capture": event["capture"].replace("r.", f"{answer.id}.")} for event in events]}
        if request.path.endswith("/file"):
            name, content = (files or {}).get(request.path.split("/")[3].rpartition(".")[2], ("n1-lo.pcapng", pcapng()))
            return 200, content, {"Content-Disposition": f'attachment; filename="{name}"'}
        if request.path == "/v1/live":
            answer.id = re.search("[?&]id=([^&]*)", "?" + request.query)[1]
            return 200, (pcapng(),)
        return 200, {"captures": [{**event, "id": answer.id} for event in events]}

    answer.id = "r"
    return answer


# capture

def test_a_capture_writes_a_file(serve):
    server = serve(capturing([final()]))
    done = server.ctl("capture", "-i", "lo", "icmp")
    assert done.status == 0, done
    assert (server.work / "n1-lo.pcapng").read_bytes() == pcapng()
    assert server.requests[0].json == {"node": "any", "interface": ["lo"], "bpf": "icmp", "to_destinations": ["memory"],
                                       "id": server.requests[0].json["id"]}
    assert done.rows() == [["lo", "done", "5", "500", "B", "packets", "n1-lo.pcapng"]] and not done.stderr, done


def test_an_existing_file_is_not_replaced(serve):
    server = serve(capturing([final()]))
    (server.work / "n1-lo.pcapng").write_text("mine")
    assert server.ctl("capture", "-i", "lo").status == 0
    assert (server.work / "n1-lo.pcapng").read_text() == "mine"
    assert (server.work / "n1-lo-1.pcapng").read_bytes() == pcapng()


def test_a_file_name_from_the_daemon_stays_in_the_directory(serve):
    server = serve(capturing([final()], {"1": ("../../evil", pcapng())}))
    done = server.ctl("capture", "-i", "lo")
    assert done.status == 0 and os.listdir(server.work) == ["_._.._evil"], done


def test_several_interfaces_give_several_files_or_one_merged_file(serve):
    server = serve(capturing([final("r.1"), final("r.2", interface="eth0")], {"2": ("two.pcapng", pcapng("eth0"))}))
    done = server.ctl("capture", "-i", "lo,eth0", "--json")
    assert done.status == 0 and sorted(os.listdir(server.work)) == ["n1-lo.pcapng", "two.pcapng"], done
    assert [event["saved"] for event in done.json["events"]] == ["n1-lo.pcapng", "two.pcapng"]
    assert server.ctl("capture", "-i", "lo,eth0", "--merge", "all.pcapng").status == 0
    assert server.requests[-3].json["merge"] is True and "all.pcapng" in os.listdir(server.work)


@pytest.mark.parametrize("words", [["-w", "-", "icmp"], ["icmp", "-"], ["-", "icmp"]])
def test_standard_output_holds_only_the_packets(serve, words):
    server = serve(capturing([final()]))
    done = server.ctl("capture", "-i", "lo", *words)
    assert done.status == 0 and done.bytes == pcapng() and "done" in done.stderr, done
    live, last = server.requests
    assert os.listdir(server.work) == [] and (live.path, last.path) == ("/v1/live", f"/v1/captures/{server.answer.id}")
    assert live.query == f"interface=lo&bpf=icmp&id={server.answer.id}"


def test_packets_are_not_written_to_a_terminal(serve):
    server = serve(capturing([final()]))
    program = OnTerminal("capture", "-i", "lo", "-w", "-", *server.options, cwd=server.work)
    assert program.finish() == 1 and b"not written to a terminal" in program.shown


@pytest.mark.parametrize("words, shown, reason", [
    (["-w", "absent/out"], "absent/out", "No such file or directory"), (["--merge", "."], ".", "Is a directory"),
    (["-w", "/proc/out"], "/proc/out", "No such file or directory"), ([], "to the current directory", "No such file or directory")])
def test_an_unwritable_file_prevents_the_request(serve, words, shown, reason):
    server = serve(capturing([final()]))
    done = pcapctl.run("capture", "-i", "lo", *words, *server.options, cwd=server.work if words else "/proc")
    assert (done.status, done.stderr) == (1, f"pcapctl: cannot write {shown}: {reason}\n") and server.requests == [], done
    assert os.listdir(server.work) == []


def test_a_write_error_names_the_command_that_fetches_the_file(serve):
    server = serve(capturing([final()]))
    done = server.ctl("capture", "-i", "lo", "--id", "r", "-w", "/dev/full")
    assert done.status == 1 and "cannot write /dev/full: No space left on device\n" in done.stderr, done
    assert f"the daemon keeps the file in memory for a while: `pcapctl get r.1 --socket {server.path}`\n" in done.stderr, done


def test_no_file_prints_the_links(serve):
    server = serve(capturing([final(destinations=[{"name": "cloudshark", "ok": True, "url": "https://cs.example/captures/ab12"}])]))
    done = server.ctl("capture", "-i", "lo", "--no-file")
    assert done.status == 0 and "https://cs.example/captures/ab12" in done.stdout, done
    assert "to_destinations" not in server.requests[0].json and len(server.requests) == 1


@pytest.mark.parametrize("events, status", [
    ([final(reason="empty", packets=0, destinations=[])], 4),
    ([final("r.1"), final("r.2", reason="empty", packets=0, destinations=[])], 0),
    ([final("r.1"), final("r.2", event="failed", destinations=[])], 3),
    ([final("r.1"), final("r.2", event="rejected", reason="no such interface", destinations=[])], 3),
    ([final("r.1", destinations=[{"name": "memory", "ok": True}, {"name": "local", "ok": False, "error": "disk full"}])], 1),
    ([final(event="failed", destinations=[])], 1),
])
def test_the_exit_status_shows_the_outcome(serve, events, status):
    done = serve(capturing(events)).ctl("capture", "-i", "lo")
    assert done.status == status, done


def test_a_refusal_is_printed_and_fails(serve):
    server = serve(lambda request: (400, {"error": "bpf: syntax error", "field": "bpf", "id": request.json["id"], "events": []}))
    done = server.ctl("capture", "-i", "lo", "hots", "1.2.3.4")
    assert done.status == 1 and done.stderr == "pcapctl: refused: bpf: syntax error\n" and not done.stdout, done
    assert server.ctl("capture", "-i", "lo", "--json", "x").json["field"] == "bpf"


def test_losses_are_reported(serve):
    window = {"from": "2026-11-23T08:40:55.000000000Z", "asked_from": "2026-11-23T08:40:50.000000000Z", "complete": False}
    done = serve(capturing([final(lost={"kernel": 3, "evicted": 2, "memory": 1}, window=window)])).ctl("capture", "-i", "lo")
    assert "3 dropped by the kernel, 2 overwritten before they were read, 1 for lack of memory" in done.stderr, done
    assert "reaches back only to 2026-11-23T08:40:55.000Z" in done.stderr, done


@pytest.mark.parametrize("count, total, end", [(2, None, "veth1 (memory)\n"), (10, 30, "veth7 (memory) and 22 more\n")])
def test_interfaces_that_were_left_out_are_reported(serve, count, total, end):
    skipped = [{"interface": f"veth{number}", "reason": "memory"} for number in range(count)]
    done = serve(capturing([final(skipped=skipped, **({"skipped_total": total} if total else {}))])).ctl("capture", "-i", "any")
    assert "not captured: veth0 (memory), " in done.stderr and end in done.stderr, done


def test_a_window_of_which_nothing_is_left_is_reported(serve):
    window = {"from": "2026-11-23T08:40:55.000000000Z", "to": "2026-11-23T08:40:55.000000000Z",
              "asked_from": "2026-11-23T08:40:50.000000000Z", "complete": False}
    done = serve(capturing([final(reason="empty", packets=0, window=window)])).ctl("capture", "-i", "lo")
    assert "nothing of the requested window is left" in done.stderr and done.status == 3, done


def test_a_folded_request_names_the_other_request(serve):
    server = serve(lambda request: (200, {"id": request.json["id"], "folded_into": "first", "events": [
        {"v": 1, "event": "done", "id": request.json["id"], "node": "n1", "reason": "folded", "folded_into": "first",
         "until": "2026-11-23T08:42:00.000000000Z"}]}))
    for words in ([], ["--json"]):
        done = server.ctl("capture", "-i", "lo", "--dedupe", "k", *words)
        assert done.status == 3 and os.listdir(server.work) == [], done
        assert done.stderr == ("pcapctl: folded into request first, which goes on until 2026-11-23T08:42:00.000Z: "
                               f"`pcapctl get first --socket {server.path}` fetches its file when it is over\n"), done
    assert server.ctl("capture", "-i", "lo").rows() == [["-", "done", "-", "-", "folded", "request", "first"]]


def test_a_reused_id_is_reported(serve):
    done = serve(capturing([final(duplicate=True)])).ctl("capture", "-i", "lo", "--id", "r")
    assert done.status == 0 and "the id r was used before: this is the earlier capture" in done.stderr, done


class Slow:
    """A capture that runs until it is stopped."""

    def __init__(self, answers_stop=True):
        self.stopped, self.answers_stop = threading.Event(), answers_stop

    def __call__(self, request):
        if request.method == "POST":
            self.id = request.json["id"]
            assert self.stopped.wait(60)
            return 200, {"id": self.id, "events": [final(f"{self.id}.1", reason="stopped")]}
        if request.method == "DELETE":
            if self.answers_stop:
                self.stopped.set()
            return 202, {"stopped": 1}
        if request.path.endswith("/file"):
            return 200, pcapng(), {"Content-Disposition": 'attachment; filename="f.pcapng"'}
        return 200, {"captures": [{"capture": f"{self.id}.1", "state": "running", "packets": 1234, "bytes": 99000,
                                   "ends": "2099-01-01T00:00:00Z"}]}


def test_ctrl_c_ends_the_capture_and_still_fetches_it(serve):
    answer = Slow()
    server = serve(answer)
    with Pcapctl("capture", "-i", "lo", *server.options, cwd=server.work) as program:
        server.wait("POST", "/v1/captures")
        program.signal(signal.SIGINT)
        done = program.finish()
    assert done.status == 0 and (server.work / "f.pcapng").read_bytes() == pcapng(), done
    server.wait("DELETE", f"/v1/captures/{answer.id}")


def test_a_second_ctrl_c_quits(serve):
    answer = Slow(answers_stop=False)
    server = serve(answer)
    with Pcapctl("capture", "-i", "lo", *server.options, cwd=server.work) as program:
        server.wait("POST", "/v1/captures")
        program.signal(signal.SIGINT)
        server.wait("DELETE", f"/v1/captures/{answer.id}")
        program.signal(signal.SIGINT)
        done = program.finish()
    answer.stopped.set()
    assert done.status == 130 and f"pcapctl get {answer.id}" in done.stderr and os.listdir(server.work) == [], done


class Delivering:
    """A finished capture whose delivery hangs."""

    def __init__(self):
        self.over = threading.Event()

    def __call__(self, request):
        if request.method == "POST":
            self.id = request.json["id"]
            self.over.wait(60)
            return 503, {"error": "stopping"}
        if request.method == "DELETE":
            return 409, {"error": "it has ended"}
        if request.path.endswith("/file"):
            return 200, pcapng(), {"Content-Disposition": 'attachment; filename="f.pcapng"'}
        return 200, {"captures": [{**final(f"{self.id}.1", event="captured", destinations=[]), "state": "delivering"}]}


@pytest.mark.parametrize("words, files", [([], ["f.pcapng"]), (["-w", "out"], ["out"]), (["--no-file"], [])])
def test_ctrl_c_does_not_wait_for_a_delivery(serve, words, files):
    answer = Delivering()
    server = serve(answer)
    with Pcapctl("capture", "-i", "lo", "-d", "archive", *words, *server.options, cwd=server.work) as program:
        server.wait("POST", "/v1/captures")
        program.signal(signal.SIGINT)
        done = program.finish()
    answer.over.set()
    assert done.status == 3 and os.listdir(server.work) == files and done.rows()[0][:3] == ["lo", "captured", "5"], done
    assert f"the capture is over and its delivery goes on; `pcapctl show {answer.id}" in done.stderr, done
    assert all((server.work / name).read_bytes() == pcapng() for name in files)


def test_ctrl_c_prints_a_note_without_a_terminal(serve):
    answer = Slow(answers_stop=False)
    server = serve(answer)
    with Pcapctl("capture", "-i", "lo", *server.options, cwd=server.work) as program:
        server.wait("POST", "/v1/captures")
        program.signal(signal.SIGINT)
        line = program.process.stderr.readline()
        answer.stopped.set()
        done = program.finish()
    assert done.status == 0 and line == b"pcapctl: ending the capture; a second Ctrl-C quits at once\n", (line, done)


def test_a_stop_that_overtakes_the_request_is_repeated(serve):
    answer = Slow()
    unknown = iter([(404, {"error": "no such capture"})] * 2)
    server = serve(lambda request: next(unknown, None) or answer(request) if request.method == "DELETE" else answer(request))
    with Pcapctl("capture", "-i", "lo", *server.options, cwd=server.work) as program:
        server.wait("POST", "/v1/captures")
        program.signal(signal.SIGINT)
        done = program.finish()
    assert done.status == 0 and [request.method for request in server.requests].count("DELETE") == 3, done


def test_ctrl_c_during_a_download_leaves_no_file(serve):
    sent, forever = threading.Event(), threading.Event()

    def pieces():
        yield pcapng()
        sent.set()
        forever.wait(60)

    server = serve(lambda request: (200, pieces()))
    for words in (["history", "-i", "eth0", "-w", "out"], ["get", "a.1"]):
        sent.clear()
        with Pcapctl(*words, *server.options, cwd=server.work) as program:
            assert sent.wait(10)
            program.signal(signal.SIGINT)
            done = program.finish()
        assert done.status == 130 and os.listdir(server.work) == [], done
    forever.set()


def test_progress_is_shown_on_a_terminal_only(serve):
    answer = Slow()
    server = serve(answer)
    program = OnTerminal("capture", "-i", "lo", "--timeout", "60", *server.options, cwd=server.work, env={"NO_COLOR": "1"})
    program.wait_shown("running: 1,234 packets, 99 kB, at most ")
    program.process.send_signal(signal.SIGINT)
    assert program.finish() == 0
    assert b"\r\x1b[K" in program.shown and b"\x1b[3" not in program.shown, program.shown


def test_colours_appear_on_terminals_without_no_color(serve):
    server = serve(lambda request: (200, {"captures": [{**final(), "state": "done"}]}))
    for environment, colored in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        program = OnTerminal("list", *server.options, env=environment)
        assert program.finish() == 0
        assert (b"\x1b[32mdone" in program.shown) == colored, (environment, program.shown)
    assert "\x1b" not in server.ctl("list").stdout


def test_json_on_a_terminal_escapes_what_terminals_obey(serve):
    evil = "a\x9b31m\u202eb\u2066c\x85é\u20ac"
    server = serve(lambda request: (200, {"captures": [{**final(tags=evil), "state": "done"}]}))
    program = OnTerminal("list", "--json", *server.options)
    assert program.finish() == 0
    shown = program.shown.decode()
    assert json.loads(shown)["captures"][0]["tags"] == evil and "é\u20ac" in shown
    assert not set(shown) & set("\x9b\u202e\u2066\x85") and r"\u009b31m\u202eb\u2066c\u0085" in shown, shown
    assert evil in server.ctl("list", "--json").stdout


# Queries

def test_list_show_and_stop_print_captures_and_errors(serve):
    captures = [{**final("a.1"), "state": "done", "kept": True}, {**final("b.1", interface="eth0"), "state": "running", "reason": None}]

    def answer(request):
        if request.method == "DELETE":
            return (202, {"stopped": 1}) if request.path.endswith("/b.1") else (409, {"error": "a.1 has ended"})
        if request.path == "/v1/captures":
            return 200, {"captures": captures}
        if request.path.endswith("/a"):
            return 200, {"captures": captures[:1]}
        if request.path.endswith("/a.1"):
            return 200, captures[0]
        return 404, {"error": "no such capture"}

    server = serve(answer)
    listed = server.ctl("list")
    assert [row[:3] for row in listed.rows()] == [["a.1", "done", "lo"], ["b.1", "running", "eth0"]], listed
    assert server.ctl("list", "--json").json == {"captures": captures}
    for capture in ("a", "a.1"):
        shown = server.ctl("show", capture)
        assert shown.status == 0 and re.search(r"^interface +lo$", shown.stdout, re.M), shown
    assert server.ctl("stop", "b.1").status == 0
    refused = server.ctl("stop", "a.1")
    assert (refused.status, refused.stderr) == (1, "pcapctl: a.1 has ended\n")
    unknown = server.ctl("show", "x/../y z")
    assert (unknown.status, unknown.stderr) == (1, "pcapctl: no such capture\n")
    assert server.requests[-1].path == "/v1/captures/x%2F..%2Fy%20z"


def test_get_fetches_a_file(serve):
    def answer(request):
        if request.path == "/v1/captures/a.1/file":
            return 200, pcapng(), {"Content-Disposition": 'attachment; filename="n1.pcapng"'}
        return 404, {"error": "not kept: delivered elsewhere"}

    server = serve(answer)
    done = server.ctl("get", "a.1")
    assert (done.status, done.stdout) == (0, "n1.pcapng\n") and (server.work / "n1.pcapng").read_bytes() == pcapng()
    assert server.ctl("get", "a.1", "-w", "x.pcapng", "--json").json == {"saved": "x.pcapng"}
    assert server.ctl("get", "a.1", "-w", "-").bytes == pcapng()
    refused = server.ctl("get", "b.1")
    assert (refused.status, refused.stderr) == (1, "pcapctl: not kept: delivered elsewhere\n")
    assert sorted(os.listdir(server.work)) == ["n1.pcapng", "x.pcapng"]


def test_status_shows_the_daemon_and_its_interfaces(serve):
    server = serve(lambda request: (200, STATUS if request.path == "/v1/status" else INTERFACES))
    done = server.ctl("status")
    assert done.status == 0 and "node n1, pcapdaemon 2.0.0, running since 2026-11-23T08:00:00.000Z" in done.stdout, done
    assert re.search(r"^eth0 +up +on +12 s +1 +10 +1\.5 kB +1,234 +5 +main,public$", done.stdout, re.M), done
    assert re.search(r"^lo +up +off +- ", done.stdout, re.M), done
    assert server.ctl("status", "--json").json == {**STATUS, "interfaces": INTERFACES["interfaces"]} and "Redis" not in done.stdout
    server.close()
    server = serve(lambda request: (200, {**STATUS, "redis": {"requests": True, "events": False, "waiting": 3}}
                                    if request.path == "/v1/status" else INTERFACES))
    assert "\nRedis: receiving requests, not sending events, 3 waiting\n" in server.ctl("status").stdout


def test_a_closed_pipe_causes_no_error_message(serve):
    server = serve(lambda request: (200, {"captures": [final(f"a.{number}") for number in range(2000)]}))
    done = subprocess.run(["bash", "-c", f"{pcapctl.PROGRAM} list --socket {server.path} | head -n 1"], capture_output=True, timeout=30)
    assert done.returncode == 0 and done.stdout and not done.stderr, done


def test_history_is_requested_and_piped(serve):
    pieces = (pcapng()[:50], pcapng()[50:])
    server = serve(lambda request: (200, pieces))
    done = server.ctl("history", "-i", "eth0", "--last", "30s", "-", "host", "10.0.0.1 and port 53")
    assert done.status == 0 and done.bytes == pcapng(), done
    assert server.requests[0].path == "/v1/history"
    assert server.requests[0].query == "interface=eth0&last=30&bpf=host%2010.0.0.1%20and%20port%2053"
    done = server.ctl("history", "-i", "eth0", "--from", "2026-11-23T08:41:00+01:00", "--to", "1795423260", "-c", "5", "-w", "h")
    assert done.stdout == "h\n" and (server.work / "h").read_bytes() == pcapng(), done
    assert server.requests[1].query == "interface=eth0&packets=5&from=2026-11-23T07%3A41%3A00.000000000Z&to=2026-11-23T08%3A41%3A00.000000000Z"


def test_incomplete_and_empty_history_is_reported(serve):
    comment = "history: from 2026-11-23T08:40:55.000000000Z to 2026-11-23T08:41:00.000000000Z, asked from {}; node n1"
    contents = {}
    server = serve(lambda request: (200, (contents["now"],), {"Content-Disposition": 'attachment; filename="n1-eth0-history.pcapng"'}))
    contents["now"] = pcapng(comment=comment.format("2026-11-23T08:40:00.000000000Z"), packets=((10 ** 9, b"x"), (3 * 10 ** 9, b"x")))
    done = server.ctl("history", "-i", "eth0", "--last", "1m")
    note = "pcapctl: 2 packets from 1970-01-01T00:00:01.000Z to 1970-01-01T00:00:03.000Z\n"
    fault = "pcapctl: history reaches back only to 2026-11-23T08:40:55.000Z, not to 2026-11-23T08:40:00.000Z\n"
    assert (done.status, done.stderr, done.stdout) == (3, note + fault, "n1-eth0-history.pcapng\n"), done
    done = server.ctl("history", "-i", "eth0", "--last", "1m", "-q")
    assert (done.status, done.stderr, done.stdout) == (3, fault, "n1-eth0-history-1.pcapng\n"), done
    assert server.ctl("history", "-i", "eth0", "--json").json == {
        "saved": "n1-eth0-history-2.pcapng", "packets": 2, "first": "1970-01-01T00:00:01.000000000Z", "last": "1970-01-01T00:00:03.000000000Z"}
    assert server.ctl("history", "-i", "eth0", "--around", "2026-11-23T08:41Z,30s", "-w", "x.pcap").status == 3
    assert server.requests[-1].query == "interface=eth0&from=2026-11-23T08%3A40%3A30.000000000Z&to=2026-11-23T08%3A41%3A30.000000000Z&format=pcap"
    contents["now"] = pcapng(comment=comment.format("2026-11-23T08:40:55.000000000Z"), packets=())
    done = server.ctl("history", "-i", "eth0", "--from", "2026-11-23T08:40:55Z", "-w", "h")
    assert done.status == 4 and "reaches" not in done.stderr and "no packet in this window" in done.stderr, done
    for name in ("any", "eth0,eth1"):
        done = server.ctl("history", "-i", name)
        assert done.status == 2 and "history takes one interface" in done.stderr, done


def test_truncated_history_leaves_no_file(serve):
    server = serve(lambda request: (200, (pcapng()[:50], None)))
    done = server.ctl("history", "-i", "eth0", "-w", "h")
    assert done.status == 1 and "broke off" in done.stderr and os.listdir(server.work) == [], done


def test_watch_prints_events_until_ctrl_c(serve):
    forever = threading.Event()

    def stream():
        yield b"event: done\ndata: {\"event\":\"done\",\"id\":\"a\",\"node\":\"n1\",\"reason\":\"\\u001b[2J\"}\n\n: still he"
        yield b"re\n\nevent: failed\r\ndata: {\"event\":\"failed\",\"id\":\"b\",\"node\":\"n1\"}\r\n\r\n"
        forever.wait(60)

    server = serve(lambda request: (200, stream(), {"Content-Type": "text/event-stream"}))
    with Pcapctl("watch", "--json", "--id", "a b", *server.options) as program:
        lines = [program.process.stdout.readline() for _ in range(2)]
        program.signal(signal.SIGINT)
        done = program.finish()
    assert [b'"id":"a"' in lines[0], b'"id":"b"' in lines[1], done.status] == [True, True, 0], (lines, done)
    assert server.requests[0].query == "id=a%20b"
    with Pcapctl("watch", *server.options) as program:
        line = program.process.stdout.readline()
        program.signal(signal.SIGTERM)
        assert program.finish().status == 0
    forever.set()
    assert line == b" n1 done a by \\x1B[2J\n", line


def test_an_invalid_event_stream_is_an_error(serve):
    for piece, text in ((b"data: {]\n\n", "invalid event"), (b"data: " + b"x" * (2 << 20), "invalid event"), (b": hello\n\n", "ended the stream")):
        server = serve(lambda request, piece=piece: (200, (piece,)))
        done = server.ctl("watch")
        assert done.status == 1 and text in done.stderr, done
        server.close()


@pytest.mark.parametrize("to, reason", [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")])
def test_results_that_cannot_be_written_are_a_failure(serve, to, reason):
    event = b"event: done\ndata: {\"event\":\"done\",\"id\":\"a\",\"node\":\"n1\"}\n\n"

    def answer(request):
        if request.method == "GET" and request.path == "/v1/captures/a":
            return 200, {"captures": [final("a.1")]}
        return {"/v1/events": (200, (event,)), "/v1/status": (200, STATUS), "/v1/interfaces": (200, INTERFACES),
                "/v1/captures/a/file": (200, pcapng()), "/v1/history": (200, (pcapng(),))}.get(request.path) or take(request)

    take = capturing([final()])
    server = serve(answer)
    for words in ("list", "list --json", "show a", "status", "status --json", "get a", "history -i lo", "history -i lo -", "watch",
                  "watch --json", "capture -i lo", "capture -i lo --json", "capture -i lo -", "check --json /dev/null", "help",
                  "--help", "--version", "completion bash"):
        target = "" if words.split()[0] in ("check", "help", "--help", "--version", "completion") else " ".join(server.options)
        done = subprocess.run(["bash", "-c", f"exec {pcapctl.PROGRAM} {words} {target} {to}"], cwd=server.work, text=True,
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=pcapctl.environment())
        assert done.returncode == 1 and done.stderr.count("cannot write") == 1, (words, done)
        assert reason in done.stderr or words.startswith("watch"), (words, done)


# Targets

def test_an_absent_daemon_is_reported_with_advice(tmp_path):
    path = tmp_path / "none.sock"
    done = pcapctl.run("list", "--socket", path)
    assert done.status == 1 and f"cannot reach {path}: no such file; is pcapdaemon running?" in done.stderr, done
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    done = pcapctl.run("list", env={"PCAPDAEMON_SOCKET": str(path)})
    assert done.status == 1 and "connection refused; start pcapdaemon" in done.stderr, done


def test_a_missing_permission_for_the_socket_is_reported_with_advice(serve):
    server = serve(lambda request: (200, {"captures": []}))
    os.chmod(server.path, 0o600)
    for folder in server.work.parents:
        if str(folder).startswith("/tmp/"):
            os.chmod(folder, 0o755)
    program = shutil.copy(pcapctl.PROGRAM, server.work / "pcapctl")
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "list", *server.options],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "permission denied; run pcapctl as root or join the group pcapdaemon" in done.stderr, done


def test_the_api_over_tcp_needs_the_token(serve, tmp_path):
    server = serve(lambda request: (200, {"captures": []}), tcp=True, token="abc.DEF-1")
    done = server.ctl("list")
    assert done.status == 1 and "give the daemon's token with --token-file" in done.stderr, done
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("abc.DEF-1\n")
    assert server.ctl("list", "--token-file", token).status == 0
    token.write_text("abc\r\nX-Evil: 1\n")
    done = server.ctl("list", "--token-file", token)
    assert done.status == 2 and "holds no token" in done.stderr and "Evil" not in done.stderr, done
    token.chmod(0o604)
    done = server.ctl("list", "--token-file", token)
    assert done.status == 2 and "others may read it (mode 0604)" in done.stderr, done


@pytest.mark.parametrize("host, safe", [("127.0.0.1", True), ("127.9.9.9", True), ("localhost", True), ("[::1]", True), ("192.0.2.1", False),
                                        ("127.0.0.1.example", False), ("localhost.example", False), ("[::2]", False), ("10.127.0.1", False)])
def test_token_goes_in_clear_only_over_loopback(tmp_path, host, safe):
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("0123456789abcdef\n")
    arguments = ["list", "--api", f"http://{host}:1", "--token-file", token]
    done = pcapctl.run(*arguments) if safe or host.startswith("[") else pcapctl.run(*arguments, timeout=20)
    assert (done.status == 2 and "--token-in-clear" in done.stderr) != safe, done
    if host == "[::2]":
        assert "--token-in-clear" not in pcapctl.run(*arguments, "--token-in-clear").stderr


@pytest.mark.parametrize("scheme, reply, text", [
    ("https", b"HTTP/1.1 400 X\r\n\r\n", "cannot connect to https://127.0.0.1:{port}: TLS: "),
    ("http", b"\x15\x03\x01\x00\x02\x02\x46", "http://127.0.0.1:{port} does not answer: "), ("http", b"", "if the daemon uses TLS, use https://")])
def test_tls_on_one_side_only_is_reported(scheme, reply, text):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def refuse():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(reply)

        thread = threading.Thread(target=refuse)
        thread.start()
        port = listener.getsockname()[1]
        done = pcapctl.run("list", "--api", f"{scheme}://127.0.0.1:{port}")
        thread.join()
    assert done.status == 1 and text.format(port=port) in done.stderr and "broke off" not in done.stderr, done


def test_a_ca_file_without_certificates_is_named(tmp_path):
    (tmp_path / "ca").write_text("none")
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the backlog answers
        done = pcapctl.run("list", "--api", f"https://127.0.0.1:{listener.getsockname()[1]}", "--ca-file", tmp_path / "ca")
    assert done.status == 1 and f": no certificates in {tmp_path}/ca\n" in done.stderr, done


@pytest.mark.parametrize("answer, text", [
    ((200, b"hello"), "is not JSON"), ((200, b""), "is not JSON"), ((500, b"oops"), "the daemon answered 500 and gave no reason"),
    ((200, b"[" * 100000), "is not JSON"), ((200, (b'{"a":"' + b"x" * (17 << 20),)), "is larger than"),
    ((200, (b'{"captures":', None)), "broke off"), ((500, {"error": "\x1b[31mred\u202e"}), "pcapctl: \\x1B[31mred\\xE2\\x80\\xAE"),
])
def test_an_invalid_answer_is_reported(serve, answer, text):
    done = serve(lambda request: answer).ctl("list")
    assert done.status == 1 and text in done.stderr, done.stderr[:1000]


def test_unexpected_json_is_harmless(serve):
    strange = [{}, {"captures": 5}, {"captures": [5, None, [], {"capture": {}, "state": 7, "packets": "x", "bytes": -1}]},
               {"captures": [{"capture": "\x1b[2J", "packets": 2 ** 63 - 1, "file": "a\nb"}]}, []]
    for answer in strange:
        server = serve(lambda request, answer=answer: (200, answer))
        for words in (["list"], ["show", "x"], ["status"], ["capture", "-i", "lo"]):
            done = server.ctl(*words)
            assert done.status in (0, 1) and "\x1b" not in done.stdout + done.stderr, done
        server.close()


# Without a daemon

def test_check_reports_the_errors_of_a_configuration(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('[redis]\nhots = "x"\n[general]\nmaxpackets = 0\n')
    done = pcapctl.run("check", config)
    assert done.status == 2 and f"{config}:2:1: redis.hots: unknown key (did you mean host?)" in done.stderr, done
    assert len(pcapctl.run("check", "--json", config).json["faults"]) == 2
    config.write_text('[redis]\nhost = "x"\n')
    assert pcapctl.run("check", config).status == 0
    assert pcapctl.run("check", tmp_path / "absent").status == 1


@pytest.mark.parametrize("request_text, fault", [
    ('{"node":"any","interface":["lo"]}', None),
    ('{"node":"elsewhere","alias":["main"],"to_destinations":["archive"]}', None),
    ('{"nodere":"^edge","interface":["lo"],"packets":5}', None),
    ('{"node":"elsewhere","interface":["lo"],"pakets":5}', 'pakets: unknown field, did you mean "packets"?'),
    ('{"nodere":"(","interface":["lo"]}', "nodere: "),
    ('{"node":"any","interface":["lo"],"bpf":"tcp prt 3"}', "bpf: syntax error near \"prt\": \"tcp >>>prt<<< 3\""),
    ('{"nodere":"^edge","interface":["lo"],"packets":-5}', "packets: "),
    ('{"node":"a","nodere":"b","interface":["lo"]}', "node"),
    ('{"node":"any","node":"b","interface":["lo"]}', "not JSON: line 1"),
    ("hello", "not JSON"),
])
def test_check_validates_a_request_as_a_daemon_would(request_text, fault):
    done = pcapctl.run("check", "--request", "-", input=request_text)
    assert done.status == (2 if fault else 0) and (fault or "is valid") in done.stderr, done


def test_every_command_has_help_and_the_manual_has_every_command():
    overall = pcapctl.run("--help").stdout
    commands = re.findall(r"^  ([a-z]+) ", overall, re.M)
    assert {"capture", "history", "doctor", "names", "help"} <= set(commands)
    with open(os.path.join(os.path.dirname(pcapctl.PROGRAM), "docs", "pcapctl.1")) as file:
        manual = file.read()
    assert "\\-\\-" not in manual and "Http" not in manual and "Pcapng" not in manual  # Fl adds a dash; literals keep their case
    for command in commands:
        text = pcapctl.run(command, "--help").stdout
        assert all(len(line) <= 80 and line == line.rstrip() for line in (overall + text).splitlines()), text
        assert text.startswith(f"usage: pcapctl {command}") and text == pcapctl.run("help", command).stdout
        assert re.search(rf"^\.It Cm {command}\b", manual, re.M), command
        for option in re.findall(r"^ +(?:-.,|  ) --([a-z-]+)", text, re.M):
            assert re.search(rf"^\.It Fl .*\\-{option}\b", manual, re.M), option


# Completion

SHELLS = [shell for shell in ("bash", "zsh", "fish") if shutil.which(shell)]


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts_parse(shell, tmp_path):
    script = tmp_path / "script"
    script.write_text(pcapctl.run("completion", shell).stdout)
    done = subprocess.run([shell, "-n", str(script)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def completed(words):
    """What bash offers for the last word."""
    script = """source <("$1" completion bash); program=$1; shift; COMP_WORDS=("$program" "${@:2}"); COMP_CWORD=$(($# - 1)); compopt() { :; }
                _pcapctl; printf '%s\\n' "${COMPREPLY[@]}\""""
    done = subprocess.run(["bash", "-c", script, "bash", pcapctl.PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout.split()


def test_bash_completes_commands_options_and_values():
    assert completed(["pcapctl", "ca"]) == ["capture"]
    assert "list" in completed(["pcapctl", "--json", ""]) and "--socket" in completed(["pcapctl", "--s"])
    assert completed(["pcapctl", "capture", "--pac"]) == ["--packets", "--packetdebug"]
    assert completed(["pcapctl", "list", "--pac"]) == []
    assert completed(["pcapctl", "capture", "--format", "pcapn"]) == ["pcapng"]
    assert completed(["pcapctl", "alert", "--format", "wa"]) == ["wazuh"] and not completed(["pcapctl", "rules", "--format", "pcap"])
    assert "lo" in completed(["pcapctl", "capture", "-i", ""])
    assert completed(["pcapctl", "completion", "f"]) == ["fish"]
    assert completed(["pcapctl", "help", "sto"]) == ["stop"]


def test_bash_completes_names_of_the_daemon_that_the_line_addresses(serve):
    status = {**STATUS, "node": "n1", "destinations": ["memory", "archive"],
              "interfaces": [{"name": "eth0", "aliases": ["main", "$(touch x)"]}, {"name": "eth1", "aliases": []}]}
    server = serve(lambda request: (200, status) if request.path == "/v1/status" else (200, {"captures": [final("a.1"), final("b.2")]}))
    target = ["--socket", server.path]
    assert completed(["pcapctl", "capture", *target, "-i", ""]) == ["eth0", "eth1", "any"]
    assert completed(["pcapctl", "capture", *target, "-i", "eth0,e"]) == ["eth0,eth0", "eth0,eth1"]
    assert completed(["pcapctl", "capture", *target, "--alias", ""]) == ["main"]
    assert completed(["pcapctl", "capture", *target, "-d", "memory,a"]) == ["memory,archive"]
    assert completed(["pcapctl", "stop", *target, ""]) == completed(["pcapctl", *target, "show", ""]) == ["a.1", "b.2"]
    assert completed(["pcapctl", "get", f"--socket={server.path}", "b"]) == ["b.2"]
    assert server.ctl("names", "nodes").stdout == "n1\n" and server.ctl("names", "x").status == 2


def test_installed_completion_scripts_equal_the_printed_ones():
    docs = os.path.join(os.path.dirname(pcapctl.PROGRAM), "docs")
    for shell, name in (("bash", "pcapctl"), ("zsh", "_pcapctl"), ("fish", "pcapctl.fish")):
        with open(os.path.join(docs, name)) as file:
            assert file.read() == pcapctl.run("completion", shell).stdout
