# SPDX-License-Identifier: BSD-2-Clause
"""A real redis-server in its own directory. Tests use its unix socket, from any namespace; the daemon uses loopback TCP in the server's
namespace. TCP opens last, so that a test's subscriber is ready before the daemon can publish."""

import contextlib
import os
import signal
import subprocess

import redis

from .waiting import seconds, until


class RedisServer:
    def __init__(self, directory, netns=None, port=6379, password=None, users=(), tls=None, settings=(), environment=None, admin=None):
        """environment: more variables; users: ACL lines ("alice on >secret +@all ~* &*"); admin: name and password of the test's own user,
        where the default one is off; tls: dict with cert, key and ca files; settings: more lines of redis.conf."""
        self.directory = str(directory)
        self.netns, self.port, self.password, self.users, self.tls = netns, port, password, list(users), tls
        self.settings, self.environment, self.admin = list(settings), environment or {}, admin
        if admin:
            self.users.append(f"{admin[0]} on >{admin[1]} ~* &* +@all")
        self.socket_path = os.path.join(self.directory, "redis.sock")
        self.process = None

    def _configuration(self):
        lines = ["port 0", "bind 127.0.0.1", f"unixsocket {self.socket_path}", 'save ""', "appendonly no", "daemonize no",
                 f"dir {self.directory}", "maxclients 2000", "loglevel notice",
                 # a burst of 10,000 answers must not disconnect the test's own subscriber
                 "client-output-buffer-limit pubsub 256mb 128mb 60",
                 # a replica gets its data set at once, and no server waits for its replicas when it ends
                 "repl-diskless-sync-delay 0", "shutdown-timeout 0"]
        if self.password:
            lines.append(f"requirepass {self.password}")
        lines += [f"user {user}" for user in self.users]
        if self.tls:
            lines += ["tls-port 0", f"tls-cert-file {self.tls['cert']}", f"tls-key-file {self.tls['key']}",
                      f"tls-ca-cert-file {self.tls['ca']}", "tls-auth-clients optional"]
        return "\n".join(lines + self.settings) + "\n"

    def start(self, tcp=True):
        path = os.path.join(self.directory, "redis.conf")
        with open(path, "w") as file:
            file.write(self._configuration())
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket_path)
        command = ["redis-server", path]
        with open(os.path.join(self.directory, "redis.log"), "a") as log:
            self.process = subprocess.Popen(self.netns.command(*command) if self.netns else command, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**os.environ, **self.environment})
        until(self._answers, 10, "redis-server to answer")
        if tcp:
            self.open_tcp()
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"redis-server ended: {open(os.path.join(self.directory, 'redis.log')).read()[-2000:]}")
        with contextlib.suppress(redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
            with self.client() as client:
                return client.ping()
        return False

    def open_tcp(self):
        with self.client() as client:
            client.config_set("tls-port" if self.tls else "port", self.port)

    def client(self, **options):
        login = {"username": self.admin[0], "password": self.admin[1]} if self.admin else {"password": self.password}
        return redis.Redis(unix_socket_path=self.socket_path, **{**login, **options})

    def has_in_step(self, replica):
        """Whether the replica follows this server, has loaded the data set, and has all writes made before this call. It must also have
        acknowledged something: only then does the master send it new writes."""
        with contextlib.suppress(redis.exceptions.ConnectionError), self.client() as client, replica.client() as other:
            here, there = client.info("replication"), other.info("replication")
            if there["role"] != "slave" or int(there["master_port"]) != self.port or there["master_link_status"] != "up":
                return False
            replicas = [value for key, value in here.items() if key.startswith("slave") and isinstance(value, dict)
                    and int(value["port"]) == replica.port]
            written = int(here["master_repl_offset"])
            if not written:
                client.publish("no-subscriber", "something to acknowledge")
            return (any(one["state"] == "online" and int(one["offset"]) > 0 for one in replicas)
                    and int(there["slave_repl_offset"]) >= written)
        return False

    def clients(self):
        """The daemon's connections: CLIENT LIST without those of the unix socket."""
        with self.client() as client:
            return [entry for entry in client.client_list() if "U" not in entry["flags"]]

    def kill_clients(self):
        """Disconnects every TCP client."""
        with self.client() as client:
            for entry in self.clients():
                with contextlib.suppress(redis.exceptions.ResponseError):
                    client.client_kill_filter(_id=entry["id"])

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self, sig=signal.SIGTERM):
        if not self.process:
            return
        with contextlib.suppress(ProcessLookupError):
            if sig != signal.SIGKILL:  # SIGKILL works on a stopped server; resumed, it could still answer requests
                self.resume()
            self.process.send_signal(sig)
        try:
            self.process.wait(seconds(5))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self):
        return self.start() if not self.process else self

    def __exit__(self, *_):
        self.stop()
