# SPDX-License-Identifier: BSD-2-Clause
"""Fake nodes of a fleet: presence, answers and files in Redis as the daemon makes them (design: "Redis, as deployed")."""

import json
import re
import threading
import time

from .control_server import FIELDS
from .waiting import seconds

CHUNK = 256 * 1024


def rfc3339(at=None):
    at = time.time() if at is None else at
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1e9):09d}Z"


class Fleet:
    """Listens on the channel; each node that a request addresses answers by its script, a function of (node, request)."""

    def __init__(self, server, channel="capture", stream=None):
        self.server, self.channel, self.stream = server, channel, stream
        self.nodes, self.requests, self.faults = [], [], []
        self._news = threading.Condition()
        self._stop, self._subscribed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._subscribed.wait(seconds(10))

    def add(self, name, script=None, **presence):
        self.nodes.append(Node(self, name, script, presence))
        return self.nodes[-1]

    def _run(self):
        with self.server.client() as client, client.pubsub() as subscription:
            subscription.subscribe(self.channel)
            last = "0"
            while not self._stop.is_set():
                message = subscription.get_message(timeout=0.05)
                if message and message["type"] == "subscribe":
                    self._subscribed.set()
                elif message:
                    self._take(message["data"])
                for _, entries in client.xread({self.stream: last}) if self.stream else ():
                    for last, fields in entries:
                        assert list(fields) == [b"request"]
                        self._take(fields[b"request"])

    def _take(self, data):
        try:
            request = json.loads(data)
            for name, value in request.items():
                assert name in FIELDS and isinstance(value, FIELDS[name]), f"{name}: {value!r}"
            assert ("node" in request) != ("nodere" in request) and ("interface" in request) != ("alias" in request), request
            with self._news:
                self.requests.append(request)
                self._news.notify_all()
            for node in self.nodes:
                if node.script and node.is_addressed(request):
                    threading.Thread(target=node.script, args=(node, request), daemon=True).start()
        except Exception as fault:
            self.faults.append(f"{type(fault).__name__}: {fault}")

    def wait_requests(self, count, timeout=10):
        with self._news:
            assert self._news.wait_for(lambda: len(self.requests) >= count, seconds(timeout)), (self.requests, self.faults)

    def close(self):
        self._stop.set()
        self._thread.join(seconds(5))
        assert not self.faults, self.faults


class Node:
    def __init__(self, fleet, name, script, presence):
        self.fleet, self.name, self.script = fleet, name, script
        self.started = rfc3339()
        self.presence = {"interfaces": [{"name": "eth0", "aliases": ["main"], "up": True, "recorder": True, "reach": 12.4,
                                         "captures": 0, "packets": 1000, "dropped": 1}], **presence}
        self.appear()

    def is_addressed(self, request):
        if "node" in request:
            return request["node"] in ("any", self.name)
        return re.search(request["nodere"], self.name) is not None

    def key(self, *parts):
        return ":".join((f"{{{self.fleet.channel}}}", *parts))

    def appear(self):
        presence = {"v": 1, "node": self.name, "version": "2.0.0", "time": rfc3339(), "started": self.started,
                    "load": {"captures": 0, "delivering": 0, "memory": 0, "memory_limit": 268435456},
                    "destinations": ["redis"], **self.presence}
        with self.fleet.server.client() as client:
            client.set(self.key("node", self.name), json.dumps(presence), ex=600)
            client.zadd(self.key("nodes"), {self.name: time.time()})
        return self

    def die(self):
        """Lets its presence expire."""
        with self.fleet.server.client() as client:
            client.delete(self.key("node", self.name))

    def publish(self, request, event, capture=None, **more):
        with self.fleet.server.client() as client:
            client.publish(f"{self.fleet.channel}:events", json.dumps(
                {"v": 1, "event": event, "id": request["id"], "node": self.name, "time": rfc3339(),
                 **({"capture": f"{request['id']}.{capture}", "interface": "eth0"} if capture else {}), **more}))

    def deliver(self, request, content, capture=1, **header):
        """Puts a file into Redis; returns the destination for the final event."""
        key = self.key("file", self.name, f"{request['id']}.{capture}")
        pieces = [content[at:at + CHUNK] for at in range(0, len(content), CHUNK)]
        header = {"v": 1, "name": f"{self.name}-eth0.pcapng", "size": len(content), "chunks": len(pieces), **header}
        with self.fleet.server.client() as client:
            client.rpush(key, json.dumps(header), *pieces)
            client.expire(key, 600)
        return {"name": "redis", "ok": True, "url": f"redis:{key}", "attempts": 1}


def captures(content=None, packets=5, **more):
    """A script: accepted, captured, done; the file goes to Redis if the request names that destination."""

    def script(node, request):
        node.publish(request, "accepted", 1)
        destinations = []
        if content and "redis" in request.get("to_destinations", ()):
            destinations = [node.deliver(request, content)]
        node.publish(request, "captured", 1, packets=packets, bytes=packets * 60)
        node.publish(request, "done", 1, **{"reason": "packets", "packets": packets, "bytes": packets * 60,
                                            "destinations": destinations, "file": f"{node.name}-eth0.pcapng", **more})

    return script


def refuses(reason):
    return lambda node, request: node.publish(request, "rejected", reason=reason)
