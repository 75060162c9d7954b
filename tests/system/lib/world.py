# SPDX-License-Identifier: BSD-2-Clause
"""A whole installation: the host's namespace with Redis and the daemon, a peer's namespace that sends, a veth pair between them (eth0 and
peer0; also eth1 and peer1 with pairs=2), a directory for captures, and the events channel."""

import contextlib
import json
import os
import signal

from .account import Arrivals, assert_exact
from .api import Api
from .daemon import Daemon
from .events import Events, Request, new_id
from .netns import Netns
from .pcapfile import CaptureFile
from .receiver import Receiver
from .redis_server import RedisServer
from .traffic import Sender
from .waiting import until

NODE = "test-node"


def merged(base, changes):
    """Merges section by section; a section that is None is removed, a key that is None is omitted."""
    config = {section: dict(content) if isinstance(content, dict) else content for section, content in base.items()}
    for section, content in (changes or {}).items():
        if content is None:
            config.pop(section, None)
        elif isinstance(content, dict):
            config[section] = {**config.get(section, {}), **content}
        else:
            config[section] = content
    return config


class World:
    def __init__(self, directory, config=None, pairs=1, mtu=1500, addresses=False, redis=None, cloudshark=None, start=True,
                 **daemon):
        """redis: options of RedisServer, False for no server; cloudshark: options of Receiver, None for no receiver; start: False if the
        test starts the daemon itself; further options go to Daemon."""
        self.root, self.pairs = str(directory), pairs
        self._stack = contextlib.ExitStack()
        try:
            self._build(config, pairs, mtu, addresses, redis, cloudshark, daemon)
            if start:
                self.daemon.start(subscribed=self.redis is not None)
        except BaseException:
            with contextlib.suppress(AssertionError):  # report the first fault
                self.close()
            raise

    def _make_directory(self, name):
        path = os.path.join(self.root, name)
        os.makedirs(path, exist_ok=True)
        return path

    def _build(self, config, pairs, mtu, addresses, redis_options, cloudshark_options, daemon_options):
        self.directory = self._make_directory("captures")
        self.host = self._stack.enter_context(Netns("host"))
        self.peer = self._stack.enter_context(Netns("peer"))
        for pair in range(pairs):
            self.host.add_veth(f"eth{pair}", self.peer, f"peer{pair}", mtu,
                               *((f"10.77.{pair}.1/24", f"10.77.{pair}.2/24") if addresses else ()))
        self.redis = self.events = None
        if redis_options is not False:
            self.redis = RedisServer(self._make_directory("redis"), self.host, **(redis_options or {}))
            self._stack.callback(self.redis.stop)
            self.redis.start()
            self.events = Events(self.redis)
            self._stack.callback(self.events.close)
        self.sender = Sender(self.peer, "peer0")
        base = {"general": {"node": NODE, "writelocal": True, "localdir": self.directory},
                "redis": {"host": "127.0.0.1", "port": 6379},
                "api": {"socket": os.path.join(self.root, "control.sock")}}
        self.receiver = None
        if cloudshark_options is not None:
            self.receiver = Receiver(self.host, **cloudshark_options)
            self._stack.callback(self.receiver.close)
            base["cloudshark"] = self.receiver.configuration
        self.config = merged(base, config)
        self.api = Api(os.path.join(self.root, "control.sock"))
        self.daemon = Daemon(self._make_directory("daemon"), self.config, netns=self.host, **daemon_options)
        self._stack.callback(self.daemon.close)

    def close(self):
        self._stack.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def wait_clock(self):
        """Waits for the offset to the clock of Redis; returns it, with its uncertainty."""
        return until(lambda: self.api.get("/v1/status").expect(200).json["redis"].get("clock"), 15, "the offset to the server's clock")

    # --- requests ---

    def publish(self, message, channel="capture"):
        """Publishes bytes or text unchanged, other values as JSON. Returns the number of subscribers that received it."""
        if not isinstance(message, (bytes, str)):
            message = json.dumps(message)
        with self.redis.client() as client:
            return client.publish(channel, message)

    def fields(self, **fields):
        """A complete request: adds node, interface and id unless given; omits fields that are None."""
        request = {"node": NODE, "id": new_id(), **fields}
        if "nodere" in fields:
            request["node"] = fields.get("node")
        if "interface" not in fields and "alias" not in fields:
            request["interface"] = ["eth0"]
        return {name: value for name, value in request.items() if value is not None}

    def request(self, **fields):
        fields = self.fields(**fields)
        since = self.events.mark()
        assert self.publish(fields) >= 1, "the channel has no subscriber"
        return Request(self.events, fields["id"], fields, since)

    def capture(self, captures=None, **fields):
        """Publishes a request that must be accepted; its captures are armed on return. captures: their expected number, by default one
        per interface named."""
        request = self.request(**fields)
        request.accepted(captures or len(request.fields.get("interface", "1")))
        return request

    def refused(self, **fields):
        """Publishes a request that must be refused; returns the event."""
        return self.request(**fields).rejected()

    def packets_of(self, request):
        """Number of packets its captures hold now."""
        return sum(view["packets"] for view in self.api.get(f"/v1/captures/{request.id}").expect(200).json["captures"])

    def wait_packets(self, request, count, timeout=15):
        """Waits until its captures hold `count` packets: packets just sent may not have reached them yet."""
        until(lambda: self.packets_of(request) >= count, timeout, f"{count} packets in {request.id}", interval=0.02)

    def stop(self, request):
        """Stops its captures."""
        self.api.delete(f"/v1/captures/{request.id}").expect(202)

    def assert_accounts_for(self, count, rate, size):
        """Sends on eth0 during a capture: each packet is in the file, in order, or counted as lost."""
        request = self.capture(timeout=600)
        arrivals = Arrivals(self)
        sent = self.sender.send(count, rate=rate, size=size)["sent"]
        arrived = arrivals.settle()
        self.stop(request)
        done = request.done(timeout=60)
        assert done["reason"] == "stopped" and done["bytes"] == done["packets"] * size, done
        file = self.file(request)
        assert_exact(done, file.numbers, range(sent), arrived)
        file.assert_time_order()

    def assert_works(self):
        """An ordinary capture still works."""
        request = self.capture(packets=3, timeout=20)
        self.sender.send(3, rate=1000, first=7000)
        request.done()
        self.file(request).assert_numbers(7000, 3)

    # --- files ---

    def path(self, request, interface=None):
        """The local file of a finished capture, as named by its final event."""
        match = {"interface": interface} if interface else {}
        event = request.final(**match)
        assert event.get("file"), f"no file: {event}"
        return os.path.join(self.directory, event["file"])

    def file(self, request, interface=None):
        return CaptureFile(self.path(request, interface))

    def files(self):
        return sorted(os.listdir(self.directory))

    def files_of(self, request):
        return [name for name in self.files() if request.id in name]

    def wait_file(self, request, timeout=15):
        """Waits until a capture's local file has its final name; its events may still be on their way."""
        names = until(lambda: [name for name in self.files_of(request) if not name.startswith(".")], timeout, "the local file")
        return os.path.join(self.directory, names[0])

    # --- restarts ---

    def restart_daemon(self):
        self.daemon.close()
        self.daemon.start(subscribed=self.redis is not None)

    def stop_redis(self, sig=signal.SIGKILL):
        self.events.expect_restart()
        self.redis.stop(sig)

    def start_redis(self):
        """Starts Redis; the test's subscriber is ready before the daemon can connect."""
        self.redis.start(tcp=False)
        self.events.wait_subscribed()
        self.redis.open_tcp()
