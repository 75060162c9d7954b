# SPDX-License-Identifier: BSD-2-Clause
"""Redis deployed for availability: a master, replicas, and real Sentinels that watch them and fail over. Also a fake Sentinel with scripted
answers, for cases that real ones do not produce on demand."""

import contextlib
import os
import signal
import socket
import socketserver
import subprocess
import threading

import redis

from .redis_probe import ports_in
from .redis_server import RedisServer
from .waiting import seconds, until

MASTER = "mymaster"
DOWN_AFTER_MS = 1000
AGREE_S = 120  # a Sentinel that was held up for 2 s trusts nothing for 30 s (TILT), again and again on a busy machine


class Sentinel:
    """One redis-server --sentinel: others reach it over TCP, the test over its unix socket."""

    def __init__(self, directory, master_port, quorum, settings=(), password=None, netns=None, host="127.0.0.1", port=None):
        self.directory, self.password, self.netns, self.host = str(directory), password, netns, host
        self.port = port or next(ports_in(netns))
        self.socket_path = os.path.join(self.directory, "sentinel.sock")
        self._settings = [f"port {self.port}", f"bind {host}", "protected-mode no", f"unixsocket {self.socket_path}",
                          f"dir {self.directory}",
                          *([f"requirepass {password}"] if password else []),
                          f"sentinel monitor {MASTER} {host} {master_port} {quorum}",
                          f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
                          f"sentinel failover-timeout {MASTER} 2000", *settings]
        self.process = None

    @property
    def endpoint(self):
        return f"{self.host}:{self.port}"

    def start(self):
        path = os.path.join(self.directory, "sentinel.conf")
        if not os.path.exists(path):  # it stores its state there
            with open(path, "w") as file:
                file.write("\n".join(self._settings) + "\n")
        with open(os.path.join(self.directory, "sentinel.log"), "a") as log:
            command = ["redis-server", path, "--sentinel"]
            self.process = subprocess.Popen(self.netns.command(*command) if self.netns else command, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        return self

    def client(self):
        return redis.Redis(unix_socket_path=self.socket_path, password=self.password, decode_responses=True)

    def ask(self, *words):
        """The answer, or None without one or for an error."""
        with contextlib.suppress(redis.exceptions.RedisError), self.client() as client:
            return _raw(client, "SENTINEL", *words)
        return None

    def stop(self, sig=signal.SIGKILL):
        if self.process:
            self.process.send_signal(sig)
            self.process.wait(seconds(5))
            self.process = None


def _raw(client, *words):
    """The answer without redis-py's conversions."""
    connection = client.connection_pool.get_connection("_")
    try:
        connection.send_command(*words)
        return connection.read_response()
    finally:
        client.connection_pool.release(connection)


class SentinelSetup:
    def __init__(self, directory, replicas=2, sentinels=3, netns=None, host="127.0.0.1"):
        """netns, host: the common namespace and its address."""
        self.directory, self.host, ports = str(directory), host, ports_in(netns)
        self.servers = [RedisServer(self._folder(f"redis{i}"), netns, port=next(ports), settings=[
            f"bind {host}", "protected-mode no", "repl-ping-replica-period 1"])
            for i in range(1 + replicas)]
        self.sentinels = [Sentinel(self._folder(f"sentinel{i}"), self.servers[0].port, sentinels // 2 + 1, netns=netns, host=host,
                                   port=next(ports)) for i in range(sentinels)]

    def _folder(self, name):
        path = os.path.join(self.directory, name)
        os.makedirs(path)
        return path

    @property
    def endpoints(self):
        return [sentinel.endpoint for sentinel in self.sentinels]

    def start(self):
        for server in self.servers:
            server.start()
            if server is not self.servers[0]:
                with server.client() as client:
                    client.replicaof(self.host, self.servers[0].port)
        for server in self.servers[1:]:
            until(lambda: self.servers[0].has_in_step(server), 60, "a replica to be in step", 0.05)
        for sentinel in self.sentinels:
            sentinel.start()
        self.wait_ready()
        return self

    def wait_ready(self):
        """Waits until every Sentinel agrees on the master and knows all other Sentinels and all replicas, which are in step."""
        until(self._is_ready, AGREE_S, "the Sentinels to agree", 0.1)

    def _is_ready(self):
        answers = [sentinel.ask("GET-MASTER-ADDR-BY-NAME", MASTER) for sentinel in self.sentinels]
        ports = {answer and answer[1] for answer in answers}
        if len(ports) != 1 or None in ports:
            return False
        port = int(ports.pop())
        master = next(server for server in self.servers if server.port == port)
        if not all(master.has_in_step(server) for server in self.servers if server is not master):
            return False
        return all(self._knows_all(sentinel) for sentinel in self.sentinels)

    def _knows_all(self, sentinel):
        state = sentinel.ask("MASTER", MASTER)
        state = dict(zip(state[::2], state[1::2])) if isinstance(state, list) else state or {}
        return (state.get("flags") == "master" and int(state["num-slaves"]) == len(self.servers) - 1
                and int(state["num-other-sentinels"]) == len(self.sentinels) - 1)

    @property
    def master(self):
        """The server that the Sentinels name at present."""
        port = int(self.sentinels[0].ask("GET-MASTER-ADDR-BY-NAME", MASTER)[1])
        return next(server for server in self.servers if server.port == port)

    def wait_other_master(self, old):
        """Waits until the Sentinels name another server and that is a master."""
        until(lambda: self.master is not old, AGREE_S, "a failover", 0.02)
        until(lambda: self.is_master(self.master), 10, "the new master to be one")
        return self.master

    @staticmethod
    def is_master(server):
        """By its own account. A server disconnects all clients when it is promoted."""
        with contextlib.suppress(redis.exceptions.ConnectionError), server.client() as client:
            return client.info("replication")["role"] == "master"
        return False

    def rejoin(self, server):
        """Makes a returned former master a replica, which the Sentinels would do 8 s later."""
        with server.client() as client:
            client.replicaof(self.host, self.master.port)
        self.wait_ready()

    def fail_over(self, at_promotion=False):
        """Orders a failover as an operator does; returns the new master, with at_promotion while the Sentinels still name the old one."""
        old = self.master
        replicas = [server for server in self.servers if server is not old]
        until(lambda: self.sentinels[0].ask("FAILOVER", MASTER), AGREE_S, "the failover to begin", interval=0.1)
        if not at_promotion:
            return self.wait_other_master(old)
        until(lambda: any(map(self.is_master, replicas)), 10, "a promotion", interval=0.005)
        return next(filter(self.is_master, replicas))

    def close(self):
        for one in [*self.sentinels, *self.servers]:
            one.stop(signal.SIGKILL)


def _array(*parts):
    return f"*{len(parts)}\r\n".encode() + b"".join(f"${len(str(part))}\r\n{part}\r\n".encode() for part in parts)


class FakeSentinel:
    """Names `answer` (host, port) as the master, or none. replicas: the flags it reports, one entry per replica; None: it refuses the
    query."""

    def __init__(self, answer, replicas=()):
        self.answer, self.replicas, self._connections, fake = answer, replicas, set(), self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                fake._connections.add(self.connection)
                with contextlib.suppress(OSError, ValueError):
                    while (words := self._words()):
                        self.wfile.write(fake.reply(words))

            def _words(self):
                line = self.rfile.readline()
                if not line:
                    return None
                words = []
                for _ in range(int(line[1:])):
                    words.append(self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2].decode())
                return words

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def reply(self, words):
        if words[0].upper() == "PING":
            return b"+PONG\r\n"
        if words[0].upper() != "SENTINEL":
            return b"+OK\r\n"
        if self.answer is None:
            return b"*-1\r\n"
        if words[1].lower() == "replicas" and self.replicas is None:
            return b"-NOPERM this user has no permissions to run the 'sentinel|replicas' command\r\n"
        if words[1].lower() == "replicas":
            return f"*{len(self.replicas)}\r\n".encode() + b"".join(_array("name", "one", "flags", flags) for flags in self.replicas)
        return _array(*self.answer)

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
