# SPDX-License-Identifier: BSD-2-Clause
"""One Redis and very many nodes, each with the daemon's own subscriber and publisher, all in one program (tests/probes/fleet_probe)."""

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

CONNECTIONS_PER_NODE = 2
DESCRIPTORS_OTHER = 200  # of Redis and of the program, beside the nodes' connections
COLUMNS = [Column("what", ""), Column("nodes", "nodes", number()), Column("seconds", "s", number(2)), Column("rate", "a second", number()),
           Column("redis_cpu", "CPU s, Redis", number(2)), Column("redis_mib", "MiB from Redis", number(1)),
           Column("memory_mib", "MiB in Redis", number())]


class Nodes:
    def __init__(self, port, count):
        self.process = subprocess.Popen([os.path.join(PROBES, "fleet_probe"), "--port", str(port), "--nodes", str(count)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.count = count

    def state(self):
        self.process.stdin.write("state\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def are_up(self):
        state = self.state()
        return state["subscribed"] == state["publishing"] == self.count

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
        return info["used_cpu_sys"] + info["used_cpu_user"], info["total_net_output_bytes"], info["used_memory"]

    def row(self, what, nodes, events):
        elapsed, now = time.monotonic() - self.time, self.read()
        return {"what": what, "nodes": nodes, "seconds": elapsed, "rate": events / elapsed, "redis_cpu": now[0] - self.begin[0],
                "redis_mib": (now[1] - self.begin[1]) / 2**20, "memory_mib": now[2] / 2**20}


def collect(server, count, ready, answered):
    with server.client() as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("capture:events")
        subscription.get_message(timeout=5)
        ready.set()
        nodes = set()
        while len(nodes) < count:
            message = subscription.get_message(timeout=60)
            nodes.add(json.loads(message["data"])["node"])
    answered.append(time.monotonic())


def ask(server, count, what):
    """From PUBLISH until the last node's answer is there."""
    ready, answered = threading.Event(), []
    collector = threading.Thread(target=collect, args=(server, count, ready, answered))
    collector.start()
    ready.wait(10)
    used = Used(server)
    with server.client() as client:
        heard = client.publish("capture", "bench")
    assert heard == count, f"{heard} of {count} nodes subscribed"
    collector.join()
    return used.row(what, count, count)


def many(settings):
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(settings.nodes, (descriptors - DESCRIPTORS_OTHER) // CONNECTIONS_PER_NODE)
    connections = count * CONNECTIONS_PER_NODE
    with tempfile.TemporaryDirectory(prefix="pcapdaemon-bench-", dir=TMPFS) as root:
        server = RedisServer(Path(root), port=free_port(), settings=[
            "bind " + " ".join(f"127.0.0.{last}" for last in range(1, 9)), f"maxclients {connections + 100}", "tcp-backlog 4096"])
        nodes, rows = None, []
        try:
            server.start()
            settings.report_progress(f"{count} nodes connect")
            used = Used(server)
            nodes = Nodes(server.port, count)
            until(nodes.are_up, 300, "all nodes to be up", interval=0.1)
            rows.append(used.row("first connections", count, connections))
            settings.report_progress(f"{count} nodes answer")
            rows.append(ask(server, count, "PUBLISH to the last answer"))
            settings.report_progress("Redis restarts")
            server.stop()
            server.start()
            used = Used(server)
            until(nodes.are_up, 300, "all nodes to be back", interval=0.1)
            rows.append(used.row("connections after a restart", count, connections))
            rows.append(ask(server, count, "PUBLISH to the last answer"))
        finally:
            if nodes:
                nodes.close()
            server.stop()
    return [Table("many", f"One Redis and {count:,} nodes, {CONNECTIONS_PER_NODE} connections each", COLUMNS, rows,
                  "All nodes are in one program on the same machine, so the times are theirs as well. The collector is Python's redis-py "
                  f"{redis_py.__version__}. Reconnection backs off with jitter, so it spreads.")]
