# SPDX-License-Identifier: BSD-2-Clause
"""Runs programs of tests/probes, which contain only the Redis code: commands go to standard input, and tests wait for log lines and
answers. Has the fixtures that make probes and their servers."""

import contextlib
import itertools
import json
import os
import queue
import re
import socket
import subprocess
import threading
import time

import pytest

from .daemon import PROGRAM
from .redis_server import RedisServer
from .waiting import seconds

PROBES = os.path.join(os.path.dirname(PROGRAM), "tests", "probes")
IS_MASTER = b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"  # the answer to ROLE
QUICK_PING = ["--ping-interval-ms", "100", "--ping-timeout-ms", "300"]  # for hanging servers only: a busy one may miss these deadlines
OFTEN_PING = ["--ping-interval-ms", "100", "--ping-timeout-ms", "10000"]


# Outside the range from which clients get theirs: one could take a port before its server listens. Test files that share a network
# namespace begin at different ones.
_ports = itertools.count(10000 + os.getpid() % 20000)


def free_port():
    """A port without a listener that no other caller has got."""
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def ports_in(netns):
    """Successive listening ports in a namespace without other listeners, likewise."""
    return itertools.count(7001) if netns else iter(free_port, None)


class Probe:
    """A running redis_probe, or a similar program."""

    def __init__(self, port, *options, host="127.0.0.1", program="redis_probe"):
        self.process = subprocess.Popen([os.path.join(PROBES, program), "--host", host, "--port", str(port), *map(str, options)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines, self.seen = queue.Queue(), []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode(errors="replace").rstrip("\n"))
        self.lines.put(None)

    def expect(self, pattern, timeout=15):
        """Waits for the next matching line; skips earlier lines, which stay in `seen`."""
        deadline = time.monotonic() + seconds(timeout)
        while True:
            try:
                line = self.lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"waited in vain for {pattern!r}; seen:\n" + "\n".join(self.seen[-40:])) from None
            if line is None:
                raise AssertionError(f"the probe ended ({self.process.wait()}) before {pattern!r}; seen:\n" + "\n".join(self.seen[-40:]))
            self.seen.append(line)
            if re.search(pattern, line):
                return line

    def message(self):
        return json.loads(self.expect(r'^\{"message"'))

    def send_line(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def pending(self):
        self.send_line("pending")
        return json.loads(self.expect(r'^\{"pending"'))["pending"]

    def both_up(self):
        """Waits until the subscriber is subscribed and the publisher is up, in either order."""
        wanted = [r"subscribed channel=", r"redis-up .*role=\"?publisher"]
        while wanted:
            line = self.expect("|".join(wanted))
            wanted = [pattern for pattern in wanted if not re.search(pattern, line)]

    def stop(self):
        """Ends the probe cleanly; a sanitizer report shows in the exit status."""
        if self.process.stdin and not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            return self.process.wait(seconds(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def end_all(probes):
    statuses = [(one.stop(), one) for one in probes]
    for status, one in statuses:
        while (line := one.lines.get(timeout=5)) is not None:
            one.seen.append(line)
        assert status == 0, "\n".join(one.seen[-60:])


@pytest.fixture
def probe():
    made = []

    def make(port, *options, **keywords):
        made.append(Probe(port, *options, **keywords))
        return made[-1]

    yield make
    end_all(made)


@pytest.fixture
def server(tmp_path):
    made = []

    def make(**options):
        directory = tmp_path / f"redis{len(made)}"
        directory.mkdir()
        made.append(RedisServer(directory, port=options.pop("port", None) or free_port(), **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()
