# SPDX-License-Identifier: BSD-2-Clause
"""A real Redis Cluster, on loopback or in a namespace: masters that share the slots, optional replicas, and slot migrations."""

import contextlib
import os
import signal

import redis

from .redis_probe import ports_in
from .redis_server import RedisServer
from .waiting import until

SLOTS = 16384
NODE_TIMEOUT_MS = 1000


def slot_of(key):
    """As specified by Redis Cluster, independent of the product's code."""
    tag = key[key.find("{") + 1:] if "{" in key else ""
    tag = tag[:tag.find("}")] if "}" in tag else ""
    crc = 0
    for byte in (tag or key).encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021) & 0xffff if crc & 0x8000 else (crc << 1) & 0xffff
    return crc % SLOTS


class RedisCluster:
    def __init__(self, directory, masters=3, replicas=0, tls=None, netns=None, host="127.0.0.1"):
        """replicas: number of masters, counted from the last, that have one. netns, host: the common namespace and its address."""
        self.directory, self.count, self.netns, self.host = str(directory), masters, netns, host
        self._ports = ports_in(netns)
        self.servers = [self._server(index, tls) for index in range(masters + replicas)]

    def _server(self, index, tls):
        path = os.path.join(self.directory, f"node{index}")
        os.makedirs(path)
        plain, bus, port = next(self._ports), next(self._ports), next(self._ports)
        settings = [f"bind {self.host}", "protected-mode no", "cluster-enabled yes", f"cluster-node-timeout {NODE_TIMEOUT_MS}", f"cluster-port {bus}",
                    "repl-ping-replica-period 1", "cluster-replica-validity-factor 0",
                    *([f"port {plain}", f"tls-port {port}", "tls-cluster yes"] if tls else [f"port {port}"])]
        server = RedisServer(path, self.netns, port=port, tls=tls, settings=settings)
        server.plain_port, server.bus_port = plain if tls else port, bus
        return server

    @property
    def masters(self):
        """The masters at creation."""
        return self.servers[:self.count]

    @property
    def replicas(self):
        return self.servers[self.count:]

    @property
    def endpoints(self):
        return [f"{self.host}:{server.port}" for server in self.servers]

    def start(self):
        for server in self.servers:
            server.start(tcp=False)
        for index, server in enumerate(self.masters):
            self.run(server, "CLUSTER", "ADDSLOTSRANGE", index * SLOTS // self.count, (index + 1) * SLOTS // self.count - 1)
            self.run(server, "CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for server in self.servers[1:]:
            self.run(self.servers[0], "CLUSTER", "MEET", self.host, server.plain_port, server.bus_port)
        for index, server in enumerate(self.replicas):
            master = self.id(self.masters[-1 - index])
            until(lambda: self._replicates(server, master), 60, "replication to begin")
        self.wait_ready()
        return self

    def _replicates(self, server, master):
        with contextlib.suppress(redis.exceptions.ResponseError):
            return self.run(server, "CLUSTER", "REPLICATE", master)
        return False

    @staticmethod
    def run(server, *words):
        """Runs one command at this node, whichever node has the key; returns the raw answer."""
        with server.client(decode_responses=True) as client:
            client.response_callbacks.clear()
            return client.execute_command(*words)

    def id(self, server):
        return self.run(server, "CLUSTER", "MYID")

    def wait_ready(self):
        until(self._is_ready, 90, "the Cluster to come up", 0.05)

    def _is_ready(self):
        for server in self.servers:
            info = dict(line.split(":", 1) for line in self.run(server, "CLUSTER", "INFO").split() if ":" in line)
            if info["cluster_state"] != "ok" or int(info["cluster_known_nodes"]) != len(self.servers):
                return False
            nodes = self.run(server, "CLUSTER", "NODES")
            if "handshake" in nodes or "fail" in nodes:
                return False
        return all(self._is_in_step(server) for server in self.replicas)

    def _is_in_step(self, server):
        """Whether the server is in step with the master it names, if it names one."""
        with server.client() as client:
            info = client.info("replication")
        master = next((one for one in self.servers if info["role"] == "slave" and one.port == int(info["master_port"])), None)
        return info["role"] == "master" or (master is not None and master.has_in_step(server))

    def owner(self, key):
        """The server that reports the key's slot as its own."""
        for server in self.servers:
            with contextlib.suppress(redis.exceptions.ResponseError, redis.exceptions.ConnectionError, AttributeError):
                with server.client() as client:
                    if client.info("replication")["role"] == "master":
                        self.run(server, "EXISTS", key)
                        return server
        raise AssertionError(f"no server serves {key}")

    def replica_of(self, server):
        master = self.id(server)
        return next(one for one in self.replicas if f"slave {master}" in
                    next(line for line in self.run(one, "CLUSTER", "NODES").splitlines() if "myself" in line))

    # --- slot migration ---

    def begin_migration(self, slot, source, target):
        self.run(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self.id(source))
        self.run(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self.id(target))

    def migrate_keys(self, slot, source, target, count=None):
        """Migrates `count` keys, or all; returns their number."""
        moved = 0
        while count is None or moved < count:
            keys = self.run(source, "CLUSTER", "GETKEYSINSLOT", slot, 1)
            if not keys:
                break
            self.run(source, "MIGRATE", self.host, target.plain_port, "", 0, 5000, "KEYS", *keys)
            moved += len(keys)
        return moved

    def end_migration(self, slot, source, target):
        owner = self.id(target)
        for server in [target, source, *(one for one in self.masters if one not in (source, target))]:
            self.run(server, "CLUSTER", "SETSLOT", slot, "NODE", owner)

    def migrate(self, slot, source, target):
        self.begin_migration(slot, source, target)
        moved = self.migrate_keys(slot, source, target)
        self.end_migration(slot, source, target)
        return moved

    def close(self):
        for server in self.servers:
            server.stop(signal.SIGKILL)
