"""Five daemons, each on a host (namespace) of its own, one Redis on another, and one command line for all of them."""

import contextlib
import json
import subprocess

import pytest

from lib.daemon import Daemon
from lib.events import Events
from lib.netns import Netns
from lib.pcapctl import Pcapctl
from lib.redis_server import RedisServer
from lib.traffic import Sender
from lib.waiting import until

NODES = [f"edge{number}" for number in range(1, 6)]
URL = "redis://127.0.0.1:6379/capture"
PORT = 7000


class Fleet:
    def __init__(self, root):
        self._stack = contextlib.ExitStack()
        self.root, self.hosts, self.daemons, self.senders = root, {}, {}, {}
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        self.hub = self._stack.enter_context(Netns("hub"))
        self.wire = self._stack.enter_context(Netns("wire"))
        (self.root / "redis").mkdir()
        self.redis = RedisServer(self.root / "redis", self.hub, settings=["bind 0.0.0.0", "protected-mode no"])
        self._stack.callback(self.redis.stop)
        self.redis.start()
        self.events = Events(self.redis)
        self._stack.callback(self.events.close)
        for number, name in enumerate(NODES, 1):
            host = self.hosts[name] = self._stack.enter_context(Netns(name))
            self.hub.add_veth(f"to-{name}", host, "mgmt", 1500, f"10.99.{number}.1/24", f"10.99.{number}.2/24")
            host.add_veth("eth0", self.wire, f"tx{number}")
            self.senders[name] = Sender(self.wire, f"tx{number}")
            folder = self.root / name
            folder.mkdir()
            self.daemons[name] = Daemon(folder, {
                "general": {"node": name}, "api": {"socket": str(folder / "control.sock")},
                "redis": {"host": f"10.99.{number}.1", "stream": "capture:stream"},
                "history": {"interfaces": ["eth0"], "memory": "32MiB"}}, netns=host)
            self._stack.callback(self.daemons[name].close)
            self.daemons[name].launch()
        for name in NODES:
            self.wait_ready(name)

    def wait_ready(self, name):
        self.daemons[name].wait_log("subscribed", 20)
        self.daemons[name].wait_log("stream-subscribed", 20)
        until(lambda: name in self.present(), 10, f"{name} to be present")

    def present(self):
        with self.redis.client() as client:
            return {key.decode().rsplit(":", 1)[1] for key in client.keys("{capture}:node:*")}

    def close(self):
        self._stack.close()

    def send(self, count, first=0, nodes=NODES):
        for index, name in enumerate(nodes):
            self.senders[name].send(count, rate=2000, first=first + 1000 * index, dst_port=PORT)

    def pcapctl(self, *arguments, cwd=None):
        return Pcapctl(*arguments, cwd=cwd, netns=self.hub)


@pytest.fixture
def fleet(tmp_path):
    made = Fleet(tmp_path)
    yield made
    made.close()


def merged(path):
    """Packets by interface, in the file's order, and whether that is the order of time."""
    done = subprocess.run(["tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.time_epoch"],
                          capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    times = [float(row[1]) for row in rows]
    counts = {}
    for row in rows:
        counts[row[0]] = counts.get(row[0], 0) + 1
    return counts, times == sorted(times)


def capture(fleet, tmp_path, *more, timeout="2s"):
    out = tmp_path / "out.pcapng"
    return out, fleet.pcapctl("capture", "--redis", URL, "--nodere", "^edge", "-i", "eth0", "--before", "10", "--timeout", timeout,
                              "--merge", str(out), *more, f"udp port {PORT}", cwd=tmp_path)


def accepted(fleet, count):
    fleet.events.wait_count(lambda event: event["event"] == "accepted", count, 20)


def test_one_command_line_gets_the_merged_file_of_five_nodes(fleet, tmp_path):
    fleet.send(20)  # before the event
    out, command = capture(fleet, tmp_path)
    accepted(fleet, 5)
    fleet.send(10, first=500)
    result = command.finish(60)
    assert result.status == 0, result
    assert merged(out) == ({f"{name}:eth0": 30 for name in NODES}, True)
    with fleet.redis.client() as client:
        assert not client.keys("{capture}:file:*"), "files left behind"


def test_a_node_that_is_cut_off_is_named_and_the_others_packets_come(fleet, tmp_path):
    fleet.hub.ip("link", "set", "to-edge3", "down")
    fleet.send(20)
    out, command = capture(fleet, tmp_path)
    result = command.finish(60)
    assert result.status == 3, result
    assert "edge3" in result.stdout + result.stderr
    assert merged(out) == ({f"{name}:eth0": 20 for name in NODES if name != "edge3"}, True)


def test_a_node_killed_in_the_middle_is_named_and_the_others_packets_come(fleet, tmp_path):
    fleet.send(20)
    out, command = capture(fleet, tmp_path, timeout="6s")
    accepted(fleet, 5)
    fleet.daemons["edge2"].kill()
    result = command.finish(90)
    assert result.status == 3, result
    assert "edge2" in result.stdout + result.stderr
    assert merged(out) == ({f"{name}:eth0": 20 for name in NODES if name != "edge2"}, True)


def test_a_node_restarted_meanwhile_takes_up_the_request_of_the_stream(fleet):
    fleet.daemons["edge4"].kill()
    request = {"nodere": "^edge", "interface": ["eth0"], "packets": 5, "timeout": 30, "id": "stream-1", "to_destinations": ["redis"]}
    since = fleet.events.mark()
    with fleet.redis.client() as client:
        client.xadd("capture:stream", {"request": json.dumps(request)})
    accepted(fleet, 4)
    fleet.daemons["edge4"].start()
    fleet.wait_ready("edge4")
    accepted(fleet, 5)
    fleet.send(5)
    finals = fleet.events.wait_count(lambda event: event["event"] == "done", 5, 30, since)
    assert {event["node"]: event["packets"] for event in finals} == {name: 5 for name in NODES}
    for event in finals:
        assert event["destinations"][0]["url"] == f"redis:{{capture}}:file:{event['node']}:stream-1.1"
    with fleet.redis.client() as client:
        until(lambda: all(client.xpending("capture:stream", name)["pending"] == 0 for name in NODES))


def test_nodes_show_who_is_there_and_who_has_left_is_not_expected(fleet, tmp_path):
    listed = fleet.pcapctl("nodes", "--redis", URL).finish()
    assert listed.status == 0 and all(name in listed.stdout for name in NODES)
    assert fleet.daemons["edge5"].stop() == 0
    assert fleet.present() == set(NODES[:-1])
    fleet.send(20, nodes=NODES[:-1])
    out, command = capture(fleet, tmp_path)
    result = command.finish(60)
    assert result.status == 0, result
    assert merged(out) == ({f"{name}:eth0": 20 for name in NODES[:-1]}, True)


def test_a_storm_of_requests_is_answered_by_every_node(fleet):
    since = fleet.events.mark()
    with fleet.redis.client() as client:
        for number in range(50):
            client.publish("capture", json.dumps({"node": "any", "interface": ["eth0"], "packets": 1, "timeout": 20,
                                                  "id": f"storm-{number}", "to_destinations": ["memory"]}))
    fleet.events.wait_count(lambda event: event["event"] == "accepted", 250, 30, since)
    fleet.send(1)
    finals = fleet.events.wait_count(lambda event: event["event"] == "done", 250, 30, since)
    assert {(event["node"], event["id"]) for event in finals} == {(name, f"storm-{number}") for name in NODES for number in range(50)}
