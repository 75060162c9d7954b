# SPDX-License-Identifier: BSD-2-Clause
"""One Redis and very many nodes, each with the daemon's own Redis code, all in one program (tests/probes/fleet_probe): what the pub/sub
channel, the presence keys and a stream with a consumer group for each node cost."""

import dataclasses
import json
import os
import resource
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import redis as redis_py

from lib.redis_probe import PROBES, free_port
from lib.redis_server import RedisServer
from lib.waiting import until
from report import Column, Table, number
from testbed import TMPFS

DESCRIPTORS_OTHER = 200  # of Redis and of the program, beside the nodes' connections
EVENTS, STREAM, REGISTRY = "capture:events", "capture:stream", "{capture}:nodes"
COLUMNS = [Column("what", ""), Column("seconds", "s", number(2)), Column("rate", "a second", number()),
           Column("redis_cpu", "CPU s, Redis", number(2)), Column("received_mib", "MiB to Redis", number(1)),
           Column("sent_mib", "MiB from Redis", number(1)), Column("memory_mib", "MiB in Redis", number())]


@dataclasses.dataclass
class Kind:
    name: str
    title: str
    parts: tuple
    connections: int  # of one node


KINDS = [Kind("many", "subscriber and publisher", ("pubsub",), 2),
         Kind("many-streams", "presence and stream", ("presence", "stream"), 2),
         Kind("many-whole", "subscriber, publisher, presence and stream", ("pubsub", "presence", "stream"), 4)]


class Nodes:
    def __init__(self, server, kind, count):
        self.process = subprocess.Popen([os.path.join(PROBES, "fleet_probe"), "--port", str(server.port), "--nodes", str(count),
                                         "--parts", ",".join(kind.parts)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.server, self.kind, self.count = server, kind, count

    def state(self):
        self.process.stdin.write("state\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def are_connected(self):
        state = self.state()
        wanted = ("subscribed", "publishing") if "pubsub" in self.kind.parts else ()
        return all(state[name] == self.count for name in (*wanted, *(("keys",) if "stream" in self.kind.parts else ())))

    def are_registered(self):
        """Each has its key, its place in the registry and its group."""
        with self.server.client() as client:
            return (client.zcard(REGISTRY) == self.count and client.exists(STREAM)
                    and client.xinfo_stream(STREAM)["groups"] == self.count
                    and client.eval("return #redis.call('KEYS', '{capture}:node:*')", 0) == self.count)

    def have_acknowledged(self, entries):
        state = self.state()
        return state["entries"] == entries and not state["unacknowledged"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


class Used:
    """What Redis uses from now on."""

    def __init__(self, server):
        self.server = server
        self.begin, self.time = self.read(), time.monotonic()

    def read(self):
        with self.server.client() as client:
            info = client.info()
        return {"redis_cpu": info["used_cpu_sys"] + info["used_cpu_user"], "received_mib": info["total_net_input_bytes"] / 2**20,
                "sent_mib": info["total_net_output_bytes"] / 2**20, "commands": info["total_commands_processed"],
                "memory_mib": info["used_memory"] / 2**20}

    def row(self, what, events=None):
        """events: how many there were; None: the commands that Redis executed."""
        elapsed, now = time.monotonic() - self.time, self.read()
        row = {name: now[name] - self.begin[name] for name in now}
        return {**row, "what": what, "seconds": elapsed, "rate": (row["commands"] if events is None else events) / elapsed,
                "memory_mib": now["memory_mib"]}


def collect(server, count, ready, nodes):
    """Adds the nodes that answer to `nodes`, until there are `count`, or none answers any more."""
    with server.client() as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(EVENTS)
        subscription.get_message(timeout=5)
        ready.set()
        while len(nodes) < count:
            message = subscription.get_message(timeout=60)
            if not message:
                return
            nodes.add(json.loads(message["data"])["node"])


def ask(nodes, what, send):
    """From the request until the last node's answer is there."""
    ready, answered = threading.Event(), set()
    collector = threading.Thread(target=collect, args=(nodes.server, nodes.count, ready, answered))
    collector.start()
    ready.wait(10)
    used = Used(nodes.server)
    send()
    collector.join()
    row = used.row(what, nodes.count)
    assert len(answered) == nodes.count, f"{what}: {len(answered)} of {nodes.count} nodes answered"
    return row


def publish(server, count):
    with server.client() as client:
        heard = client.publish("capture", "bench")
    assert heard == count, f"{heard} of {count} nodes subscribed"


def add_entry(server):
    with server.client() as client:
        client.xadd(STREAM, {"request": "bench"})


def requests(nodes, entries):
    """A request of each kind; `entries`: of the stream, that all nodes have taken before."""
    server, count, rows = nodes.server, nodes.count, []
    if "pubsub" in nodes.kind.parts:
        rows.append(ask(nodes, "PUBLISH to the last answer", lambda: publish(server, count)))
    if "stream" in nodes.kind.parts:
        if "pubsub" in nodes.kind.parts:
            rows.append(ask(nodes, "XADD to the last answer", lambda: add_entry(server)))
        else:
            used = Used(server)
            add_entry(server)
            until(lambda: nodes.have_acknowledged(entries + count), 300, "all nodes to acknowledge", interval=0.02)
            rows.append(used.row("XADD to the last XACK", count))
        until(lambda: nodes.have_acknowledged(entries + count), 300, "all nodes to acknowledge", interval=0.02)
    return rows


def connect(nodes, what, used):
    until(nodes.are_connected, 300, "all nodes to be connected", interval=0.1)
    rows = [used.row(what, nodes.count * nodes.kind.connections)]
    if "stream" in nodes.kind.parts:
        until(nodes.are_registered, 300, "all nodes to be registered", interval=0.2)
        rows.append(used.row("until all are registered, with groups", nodes.count))
    return rows


def rest(nodes, seconds):
    used = Used(nodes.server)
    time.sleep(seconds)
    return [used.row(f"{seconds} s of rest, commands")]


def measure(settings, kind, root):
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(settings.nodes, (descriptors - DESCRIPTORS_OTHER) // kind.connections)
    server = RedisServer(Path(root), port=free_port(), settings=[
        "bind " + " ".join(f"127.0.0.{last}" for last in range(1, 9)), f"maxclients {count * kind.connections + 100}", "tcp-backlog 4096"])
    nodes = None
    try:
        server.start()
        settings.report_progress(f"{count} nodes with {kind.title}")
        used = Used(server)
        nodes = Nodes(server, kind, count)
        rows = connect(nodes, "first connections", used)
        rows += requests(nodes, 0)
        rows += rest(nodes, settings.rest_s)
        server.stop()
        server.start()
        rows += connect(nodes, "connections after a restart", Used(server))
        rows += requests(nodes, count)
    finally:
        if nodes:
            nodes.close()
        server.stop()
    return Table(kind.name, f"{count:,} nodes with {kind.title}: {kind.connections} connections each", COLUMNS, rows)


def many(settings):
    tables = []
    for kind in KINDS:
        with tempfile.TemporaryDirectory(prefix="pcapdaemon-bench-", dir=TMPFS) as root:
            tables.append(measure(settings, kind, root))
    tables[-1].note = (
        "All nodes are in one program on the same machine, so the times are theirs as well. The collector is Python's redis-py "
        f"{redis_py.__version__}. Reconnection backs off with jitter, so it spreads. Redis keeps nothing on disk, so after its restart "
        "presence and groups are made anew.")
    return tables
