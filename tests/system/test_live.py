# SPDX-License-Identifier: BSD-2-Clause
"""GET /v1/live and pcapctl's use of it: packets reach the reader as they come."""

import json
import os
import signal
import subprocess

import pytest

from lib.api import UnixConnection
from lib.pcapctl import PROGRAM, OnTerminal, Pcapctl, environment
from lib.pcapfile import CaptureFile, judge, tshark
from lib.traffic import Sender
from lib.waiting import seconds, until
from lib.world import World

ALLOWED = {"interfaces": ["eth0", "eth1", "lo"], "filter": "not port 666", "maxbefore": 5}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    """Limits that would end a capture in memory at once."""
    config = {"general": {"writelocal": False, "maxpackets": 10, "maxbytes": 10000, "defaulttimeout": 1},
              "limits": {"memory": "24MiB"}, "redis": {"listen": False}, "api.requests": ALLOWED}
    with World(tmp_path_factory.mktemp("live"), config, pairs=2, redis=False) as installation:
        yield installation


class Live:
    """A client of GET /v1/live."""

    def __init__(self, world, **parameters):
        self.connection = UnixConnection(world.config["api"]["socket"], seconds(10))
        query = "&".join(f"{name}={value}" for name, value in {"interface": "eth0", **parameters}.items())
        self.connection.request("GET", f"/v1/live?{query}")
        self.answer, self.bytes = self.connection.getresponse(), b""

    def read_packets(self, count):
        """Reads until this number of packets has come."""
        while len(self.file.packets) < count:
            self.bytes += self.answer.read1(65536)
        return self.file

    def read_all(self):
        self.bytes += self.answer.read()
        return CaptureFile(self.bytes)

    @property
    def file(self):
        """What has come, up to the last whole block."""
        at = 0
        while at + 8 <= len(self.bytes) and at + int.from_bytes(self.bytes[at + 4:at + 8], "little") <= len(self.bytes):
            at += int.from_bytes(self.bytes[at + 4:at + 8], "little")
        return CaptureFile(self.bytes[:at]) if at else type("Nothing", (), {"packets": []})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answer.close()
        self.connection.close()


def pcapctl(world, *arguments, cwd=None, **options):
    return Pcapctl(*arguments, "--socket", world.config["api"]["socket"], cwd=cwd, **options)


def into_pipe(world, writer, *arguments):
    return subprocess.Popen([PROGRAM, "capture", "-i", "eth0", "-w", "-", "--socket", world.config["api"]["socket"], *arguments], stdout=writer,
                            stderr=subprocess.PIPE, text=True, env=environment())


def captures(world, id):
    answer = world.api.get(f"/v1/captures/{id}")
    return answer.json["captures"] if answer.status == 200 else []


def final(world, id):
    return until(lambda: [event for event in captures(world, id) if event["state"] in ("done", "failed")])[0]


def wait_running(world, id):
    until(lambda: [event for event in captures(world, id) if event["state"] == "running"])


def test_packets_come_while_it_runs_and_a_stop_ends_the_file(world, tmp_path):
    with Live(world, id="live-1", comment="seen%20live") as live:
        assert live.answer.headers["content-type"] == "application/x-pcapng"
        assert f'filename="{world.config["general"]["node"]}-eth0-' in live.answer.headers["content-disposition"]
        world.sender.send(30, rate=1000)
        assert live.read_packets(30).numbers == list(range(30))
        running, = captures(world, "live-1")
        assert running["state"] == "running" and running["packets"] == 30 and "ends" not in running
        assert world.api.delete("/v1/captures/live-1").status == 202
        file = live.read_all()
    assert file.numbers == list(range(30)) and file.interfaces[0].statistics["dropped"] == 0
    assert "seen live" in file.comments and any(text.startswith("live: from ") for text in file.comments)
    (tmp_path / "live.pcapng").write_bytes(file.bytes)
    assert judge(tmp_path / "live.pcapng")["Number of packets"] == "30"
    done = final(world, "live-1")
    assert (done["event"], done["reason"], done["packets"]) == ("done", "stopped", 30)
    assert done["destinations"] == [{"name": "live", "ok": True, "attempts": 1}]


def test_its_own_limits_end_it(world):
    with Live(world, packets=3, bpf="udp", snap=50) as live:
        world.sender.send(30, rate=1000)
        file = live.read_all()
    assert len(file.packets) == 3 and {packet.caplen for packet in file.packets} == {50}
    with Live(world, duration="50ms") as live:
        assert live.read_all().packets == []
    with Live(world, timeout="0.05", duration=3600) as live:
        assert live.read_all().packets == []


def test_a_client_that_goes_ends_it(world):
    with Live(world, id="live-gone"):
        wait_running(world, "live-gone")
    done = final(world, "live-gone")
    assert done["event"] == "done" and "left before the end" in done["destinations"][0]["warning"]


def test_several_interfaces_come_in_time_order_in_one_file(world):
    second = Sender(world.peer, "peer1")
    with Live(world, interface="eth0,eth1", id="live-two", packets=400) as live:
        streams = [sender.start(count=300, rate=1000, dst_port=7) for sender in (world.sender, second)]
        file = live.read_all()
        for stream in streams:
            stream.result()
    assert len(file.packets) == 400 and [interface.name for interface in file.interfaces] == ["eth0", "eth1"]
    file.assert_time_order()
    assert {packet.interface for packet in file.packets} == {0, 1}
    assert final(world, "live-two")["reason"] == "packets"


def test_a_slow_client_loses_packets_but_not_the_capture(world):
    count, size = 60000, 1400
    with Live(world, id="live-slow") as live:
        wait_running(world, "live-slow")
        sent = world.sender.send(count, rate=100000, size=size)["sent"]
        assert world.api.get("/healthz").status == 200
        world.sender.send(1, first=count)
        until(lambda: captures(world, "live-slow")[0]["packets"])
        assert world.api.delete("/v1/captures/live-slow").status == 202
        file = live.read_all()
    done = final(world, "live-slow")
    lost = sum(done["lost"].values())
    assert done["event"] == "done" and done["reason"] == "stopped" and done["lost"]["memory"] > 0, done
    assert done["packets"] == len(file.packets) and done["packets"] + lost == sent + 1, done
    assert not done["window"]["complete"] and file.interfaces[0].statistics["dropped"] == lost
    assert file.numbers == sorted(set(file.numbers))


def test_what_a_live_capture_may_ask_for_is_limited(world):
    for parameters, status, text in (({"interface": "eth9"}, 403, "may not capture"), ({"interface": "lo", "before": 6}, 403, "at most 5 s"),
                                     ({"bpf": "hots"}, 400, "bpf"), ({"packets": "x"}, 400, "packets must be"),
                                     ({"to_destinations": "s3"}, 400, "unknown parameter"), ({"format": "pcapx"}, 400, "format"),
                                     ({"interface": "eth0,eth1", "format": "pcap"}, 400, "one interface"), ({"interface": "gone0,"}, 400, "")):
        with Live(world, **parameters) as live:
            answer = json.loads(live.answer.read())
            assert live.answer.status == status and text in answer["error"], (parameters, answer)
    with Live(world, id="live-once") as live, Live(world, id="live-once") as again:
        assert again.answer.status == 409 and live.answer.status == 200
    with Live(world, packets=2) as live:
        world.sender.send(3, rate=1000, dst_port=666)
        world.sender.send(3, rate=1000, first=50)
        assert live.read_all().numbers == [50, 51]


def test_pcapctl_pipes_packets_to_tshark_as_they_come(world):
    reader, writer = os.pipe()
    with subprocess.Popen(["tshark", "-l", "-r", "-", "-T", "fields", "-e", "udp.dstport"], stdin=reader, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as judge_process:
        os.close(reader)
        with into_pipe(world, writer, "-n", "-v", "--id", "live-pipe", "udp") as capture:
            os.close(writer)
            wait_running(world, "live-pipe")
            world.sender.send(1, dst_port=4711)
            assert judge_process.stdout.readline() == "4711\n"
            world.sender.send(1, dst_port=4712)
            assert judge_process.stdout.readline() == "4712\n"
            capture.send_signal(signal.SIGTERM)
            assert capture.wait(seconds(20)) == 0
            assert "stopped" in capture.stderr.read()
        assert judge_process.stdout.read() == "" and judge_process.wait(seconds(20)) == 0
    assert final(world, "live-pipe")["packets"] == 2


def test_a_closed_pipe_ends_it(world):
    with pcapctl(world, "capture", "-i", "eth0", "-w", "-", "--id", "live-closed") as command:
        wait_running(world, "live-closed")
        command.process.stdout.close()
        assert command.process.wait(seconds(20)) == 4
        assert "empty" in command.process.stderr.read().decode()
    assert final(world, "live-closed")["event"] == "done"


def test_a_reader_that_stopped_does_not_hold_up_the_end(world):
    reader, writer = os.pipe()
    try:
        with into_pipe(world, writer, "--id", "live-stuck") as command:
            wait_running(world, "live-stuck")
            world.sender.send(3000, rate=20000, size=1400)
            until(lambda: captures(world, "live-stuck")[0]["packets"] >= 3000)
            command.send_signal(signal.SIGINT)
            assert command.wait(seconds(20)) == 130
            assert "takes nothing" in command.stderr.read()
    finally:
        os.close(reader)
        os.close(writer)
    final(world, "live-stuck")


def test_a_capture_on_a_terminal_runs_until_ctrl_c_and_writes_as_packets_come(world, tmp_path):
    command = OnTerminal("capture", "-i", "eth0", "--id", "live-tty", "--socket", world.config["api"]["socket"], "udp", cwd=tmp_path)
    wait_running(world, "live-tty")
    world.sender.send(50, rate=1000)
    command.wait_shown("50 packets")  # more than maxpackets
    path, = tmp_path.iterdir()
    assert path.name.startswith(world.config["general"]["node"] + "-eth0-") and CaptureFile(path).numbers == list(range(50))
    until(lambda: captures(world, "live-tty")[0]["state"] == "running")
    command.process.send_signal(signal.SIGINT)
    assert command.finish() == 0 and path.name.encode() in command.shown
    assert list(tmp_path.iterdir()) == [path] and judge(path)["Number of packets"] == "50"
    assert CaptureFile(path).interfaces[0].statistics["received"] >= 50


def test_a_file_whose_daemon_is_gone_has_all_whole_packets(make_world, tmp_path):
    world = make_world({"general": {"writelocal": False}}, redis=False)
    with pcapctl(world, "capture", "-i", "eth0", "-w", "-", "udp") as command:
        until(lambda: world.api.get("/v1/captures").json["captures"])
        until(lambda: world.api.get("/v1/captures").json["captures"][0]["state"] == "running")
        world.sender.send(20, rate=1000)
        until(lambda: world.api.get("/v1/captures").json["captures"][0]["packets"] == 20)
        world.daemon.kill()
        result = command.finish()
    assert result.status == 1 and "broke off" in result.stderr, result
    (tmp_path / "rest.pcapng").write_bytes(result.bytes)
    numbers = CaptureFile(result.bytes).numbers
    assert numbers == list(range(len(numbers))) and len(tshark(tmp_path / "rest.pcapng").splitlines()) == len(numbers)
