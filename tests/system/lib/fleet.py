# SPDX-License-Identifier: BSD-2-Clause
"""A fleet: each daemon on a host (network namespace) of its own, Redis and the operator on another. A host has eth0 (or the given interfaces)
towards the senders of test traffic, and mgmt towards a switch (a bridge in a namespace) that connects it to Redis."""

import contextlib
import itertools
import json

from .daemon import Daemon
from .events import Events, Request, new_id
from .fleet_nodes import rfc3339
from .netns import Netns
from .pcapctl import Pcapctl
from .pcapfile import fields, judge, number_in
from .redis_cluster import RedisCluster
from .redis_sentinel import MASTER, SentinelSetup
from .redis_server import RedisServer
from .traffic import Sender
from .waiting import seconds, until
from .world import merged

ADDRESS = "10.99.0.1"  # of Redis
STREAM = "{capture}:stream"  # in the same slot as the other keys
_ports = itertools.count(20000)


# The fleet's Redis: `redis` is that section of the daemons' configuration, `url` is for pcapctl, `client()` is a connection
# for the keys, and `servers` accept subscriptions and publications.


class Single:
    def __init__(self, directory, netns):
        server = RedisServer(directory, netns, settings=[f"bind {ADDRESS}", "protected-mode no"])
        self.servers, self.start, self.close, self.client = [server], server.start, server.stop, server.client
        self.redis, self.url, self.options = {"host": ADDRESS}, f"redis://{ADDRESS}/capture", []


class Guarded:
    """A master, a replica, and Sentinels."""

    def __init__(self, directory, netns):
        self.setup = SentinelSetup(directory, replicas=1, netns=netns, host=ADDRESS)
        self.servers, self.start, self.close = self.setup.servers, self.setup.start, self.setup.close
        self.redis, self.options = {"sentinels": self.setup.endpoints, "master": MASTER}, []
        self.url = f"redis://{self.setup.endpoints[0]}/capture?sentinel={MASTER}"

    def client(self):
        return self.setup.master.client()


class Clustered:
    def __init__(self, directory, netns, replicas=0):
        self.cluster = RedisCluster(directory, replicas=replicas, netns=netns, host=ADDRESS)
        self.servers, self.start, self.close = self.cluster.servers, self.cluster.start, self.cluster.close
        self.redis = {"host": ADDRESS, "port": self.servers[0].port, "nodes": self.cluster.endpoints[1:]}
        self.options = ["--redis-cluster"]
        self.url = self.url_of(self.servers[0])

    @staticmethod
    def url_of(server):
        return f"redis://{ADDRESS}:{server.port}/capture"

    @property
    def owner(self):
        """The server that holds the fleet's keys."""
        return self.cluster.owner("{capture}")

    def client(self):
        return self.owner.client()


class Fleet:
    def __init__(self, root, names, bus=Single, interfaces=None, config=None):
        """interfaces: by node name, default ["eth0"]; config: changes to the configuration, by node name."""
        self.root, self.names = root, list(names)
        self.hosts, self.daemons, self.senders, self._commands = {}, {}, {}, []
        self._stack = contextlib.ExitStack()
        try:
            self._build(bus, interfaces or {}, config or {})
            self.start(*self.names)
        except BaseException:
            with contextlib.suppress(AssertionError):  # report the first error
                self.close()
            raise

    def _directory(self, name):
        path = self.root / name
        path.mkdir()
        return path

    def _netns(self, label):
        return self._stack.enter_context(Netns(label))

    def _build(self, bus, interfaces, config):
        self.office, self.switch, self.wire = self._netns("office"), self._netns("switch"), self._netns("wire")
        self.switch.ip("link", "add", "bridge", "type", "bridge", "stp_state", 0)
        self.switch.set_up("bridge")
        self._plug("office", self.office, f"{ADDRESS}/24")
        self.bus = bus(self._directory("redis"), self.office)
        self._stack.callback(self.bus.close)
        self.bus.start()
        self.events = self.listen(self.bus.servers[-1])
        for number, name in enumerate(self.names):
            self._add_node(number, name, interfaces.get(name, ["eth0"]), config.get(name))
        self._stack.callback(self.end_commands)

    def _plug(self, label, netns, address):
        """Connects the switch's port `label` to the host's interface mgmt."""
        self.switch.add_veth(label, netns, "mgmt", peer_address=address)
        self.switch.ip("link", "set", label, "master", "bridge")

    def _add_node(self, number, name, interfaces, changes):
        host = self.hosts[name] = self._netns(name)
        self._plug(name, host, f"10.99.0.{10 + number}/24")
        for interface in interfaces:
            host.add_veth(interface, self.wire, f"{name}-{interface}")
            self.senders[name, interface] = Sender(self.wire, f"{name}-{interface}")
        config = {"general": {"node": name}, "api": {"socket": ""}, "redis": {**self.bus.redis, "stream": STREAM},
                  "history": {"interfaces": ["eth0"], "memory": "32MiB"}}
        self.daemons[name] = Daemon(self._directory(name), merged(config, changes), netns=host)
        self._stack.callback(self.daemons[name].close)

    def close(self):
        self._stack.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Nodes

    def wait_ready(self, name):
        self.daemons[name].wait_log("subscribed", 20)
        self.daemons[name].wait_log("stream-subscribed", 20)
        until(lambda: name in self.present(), 20, f"{name} to be present")

    def present(self):
        """Names of nodes that are up."""
        with self.bus.client() as client:
            texts = {name: client.get(f"{{capture}}:node:{name}") for name in self._named("node")}
        return {name for name, text in texts.items() if text and "stopped" not in json.loads(text)}

    def _named(self, kind):
        with self.bus.client() as client:
            return {key.decode().split(":")[2] for key in client.scan_iter(f"{{capture}}:{kind}:*", count=10000)}

    def files(self):
        """Names of nodes that have files in Redis."""
        return self._named("file")

    def unacknowledged(self):
        with self.bus.client() as client:
            return {name: count for name in self.names if (count := client.xpending(STREAM, name)["pending"])}

    def start(self, *names):
        """Starts them all, then waits until all are ready."""
        for name in names:
            self.daemons[name].launch()
        for name in names:
            self.wait_ready(name)

    def cut_off(self, name):
        self.switch.set_up(name, False)

    def reconnect(self, name):
        """Returns once the node hears requests again: what is published before is lost to it."""
        since = rfc3339()
        self.switch.set_up(name)
        until(lambda: self._hears_requests(name, since), 60, f"{name} to hear requests again")

    def _hears_requests(self, name, since):
        with self.bus.client() as client:
            presence = json.loads(client.get(f"{{capture}}:node:{name}") or "{}")
        return presence.get("time", "") > since and presence["redis"]["requests"]

    # Requests

    def listen(self, server):
        """Events from this server."""
        events = Events(server)
        self._stack.callback(events.close)
        return events

    def pcapctl(self, *arguments, cwd=None):
        self._commands.append(Pcapctl(*arguments, cwd=cwd, netns=self.office))
        return self._commands[-1]

    def ask(self, *arguments, **options):
        """Runs a query; returns its result."""
        return self.pcapctl(*arguments, "--redis", self.bus.url, *self.bus.options, **options).finish()

    @staticmethod
    def next_port():
        """A port without traffic so far."""
        return next(_ports)

    def capture(self, directory, *words, target=None, port=None, answer_timeout=20, interface="eth0", before=None):
        """Starts a capture on all nodes of packets to a port of its own, into out.pcapng. target: the options that name Redis."""
        port, identifier = port or self.next_port(), new_id("fleet")
        command = self.pcapctl("capture", *(target or ["--redis", self.bus.url, *self.bus.options]), "--nodere", "^edge", "-i", interface,
                               "--timeout", "300s", "--answer-timeout", seconds(answer_timeout), "--id", identifier,
                               "--merge", "out.pcapng", *(["--before", before] if before else []), *words, f"udp port {port}", cwd=directory)
        return Capture(self, command, directory / "out.pcapng", identifier, port, interface)

    def end_commands(self):
        for command in self._commands:
            command.__exit__()
        self._commands.clear()

    def send(self, port, count, first=0, nodes=None, interface="eth0", **options):
        """Sends to all nodes at once, with different numbers for each."""
        streams = [self.senders[name, interface].start(count=count, rate=5000, first=self.number(name, first), dst_port=port, **options)
                   for name in nodes or self.names]
        for stream in streams:
            stream.result()

    def number(self, name, number):
        return 100000 * self.names.index(name) + number


class Capture:
    """A running command and its file."""

    def __init__(self, fleet, command, path, identifier, port, interface):
        self.fleet, self.command, self.path, self.id, self.port, self.interface = fleet, command, path, identifier, port, interface
        self._request = Request(fleet.events, identifier, None, fleet.events.mark())

    def accepted(self, nodes=None):
        """Waits until these nodes have armed the capture."""
        for name in nodes or self.fleet.names:
            self._request.wait("accepted", node=name, timeout=20)

    def nodes_of(self, kind):
        """The nodes that sent this event, once per event."""
        return sorted(event["node"] for event in self._request.all(kind))

    def send(self, count, first=0, nodes=None, **options):
        self.fleet.send(self.port, count, first, nodes, self.interface, **options)

    def finish(self, timeout=60):
        return self.command.finish(timeout)

    def assert_holds(self, counts):
        """Checks the packets of each node, by count: each once, under the names of node and interface, in time order."""
        judge(self.path)
        rows = fields(self.path, "frame.interface_name", "frame.time_epoch", "udp.payload")
        times = [tuple(map(int, row[1].split("."))) for row in rows]
        assert times == sorted(times), "not in time order"
        found = {}
        for name, _, payload in rows:
            found.setdefault(name, []).append(number_in(bytes.fromhex(payload)))
        assert found == {f"{name}:{self.interface}": [self.fleet.number(name, number) for number in range(count)]
                         for name, count in counts.items()}
