# SPDX-License-Identifier: BSD-2-Clause
"""The daemon under test: starts it with a generated configuration, reads its log line by line, ends it by pid, and at teardown fails the
test for crashes and sanitizer reports."""

import collections
import contextlib
import functools
import os
import re
import signal
import socket
import subprocess
import threading
import time

from . import toml
from .waiting import seconds

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
PROGRAM = os.path.abspath(os.environ.get("PCAPDAEMON", os.path.join(ROOT, "build", "pcapdaemon")))
SANITIZER = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|runtime error:")

# Before the message id: time and severity, or a syslog severity as systemd reads it.
LINE = re.compile(r"^(?:<\d+>|\d{4}-\d\d-\d\dT\S+ [a-z]+ )?(?P<id>[a-z][a-z0-9-]*)(?: (?P<fields>.*))?$")
FIELD = re.compile(r'([A-Za-z0-9_.-]+)=("(?:[^"\\]|\\.)*"|\S*)')

# A wrapper that gives a daemon with the default socket its own /run/pcapdaemon, because other test files run at the same time.
PRIVATE_RUN = ["unshare", "-m", "--propagation", "private", "sh", "-c",
               'mkdir -p /run/pcapdaemon && mount -t tmpfs -o mode=755 none /run/pcapdaemon && exec "$@"', "sh"]

# A wrapper's script: a /dev of its own, with the devices and a /dev/log that the test has bound.
PRIVATE_DEV = r"""
set -e
dev=$1 log=$2; shift 2
mount -t tmpfs tmpfs "$dev"
for node in null zero full random urandom tty; do touch "$dev/$node"; mount --bind "/dev/$node" "$dev/$node"; done
touch "$dev/log"; mount --bind "$log" "$dev/log"
mount --rbind "$dev" /dev
exec "$@"
"""

LogLine = collections.namedtuple("LogLine", "id fields text")


def parse_line(text):
    match = LINE.match(text)
    if not match:
        return LogLine("", {}, text)
    fields = {}
    for key, value in FIELD.findall(match["fields"] or ""):
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        fields[key] = value
    return LogLine(match["id"], fields, text)


@contextlib.contextmanager
def private_syslog(directory):
    """Binds a /dev/log for one daemon: the socket, which nothing reads yet, and the daemon's wrapper."""
    (directory / "dev").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(directory / "log"))
        yield log, ["unshare", "-m", "--propagation", "private", "sh", "-c", PRIVATE_DEV, "sh", directory / "dev", directory / "log"]


def into_mounts_of(daemon, directory):
    """A wrapper for a program that must see the daemon's files and start in this directory."""
    return ["nsenter", "-t", str(daemon.pid), "-m", f"--wdns={directory}"]


@functools.lru_cache(None)
def is_sanitized():
    """Whether the program under test has a sanitizer, which uses files and memory itself."""
    with open(PROGRAM, "rb") as file:
        program = file.read()
    return b"__asan_init" in program or b"__tsan_init" in program


class Daemon:
    def __init__(self, directory, config=None, arguments=(), netns=None, wrapper=(), environment=None):
        """wrapper: words before the program (strace …, or a shell that mounts something and then execs "$@")."""
        self.directory, self.config, self.arguments = str(directory), config, list(arguments)
        self.netns, self.wrapper, self.environment = netns, list(wrapper), environment or {}
        self.process, self.lines, self.stdout = None, [], ""
        self._news = threading.Condition()
        self._exit_expected = False

    def command(self):
        command = [*self.wrapper, PROGRAM]
        if self.config is not None:
            path = os.path.join(self.directory, "pcapdaemon.toml")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(self.config if isinstance(self.config, str) else toml.dumps(self.config))
            command += ["-config", path]
        command += map(str, self.arguments)
        return self.netns.command(*command) if self.netns else command

    # --- life cycle ---

    def launch(self, read=True):
        """Starts the daemon without waiting. read: whether its log is read from the start, else from read_log() on."""
        assert os.access(PROGRAM, os.X_OK), f"no daemon to test at {PROGRAM} (set PCAPDAEMON)"
        self.lines, self._exit_expected = [], False
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, env={**os.environ, **self.environment})
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        if read:
            self.read_log()
        return self

    def read_log(self):
        self._reader.start()

    def _read_to_the_end(self):
        if self._reader.ident is None:
            self.read_log()
        self._reader.join(seconds(5))

    def start(self, subscribed=True):
        """Starts the daemon and waits until it is ready and, if `subscribed`, listens on Redis."""
        self.launch()
        self.wait_log("ready", 15)
        if subscribed:
            self.wait_log("subscribed", 15)
        return self

    def _read(self, stream):
        for raw in stream:
            with self._news:
                self.lines.append(parse_line(raw.decode(errors="replace").rstrip("\n")))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def pid(self):
        """The daemon's own pid, even if a wrapper remains its parent."""
        pid = self.process.pid
        if self.wrapper and os.path.realpath(f"/proc/{pid}/exe") != PROGRAM:
            with open(f"/proc/{pid}/task/{pid}/children") as file:
                children = [int(child) for child in file.read().split()]
            return next(child for child in children if os.path.realpath(f"/proc/{child}/exe") == PROGRAM)
        return pid

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        os.kill(self.pid, number)

    def wait_exit(self, timeout=20):
        self._exit_expected = True
        try:
            status = self.process.wait(seconds(timeout))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon did not end within {seconds(timeout):g} s; last lines:\n{self.tail()}") from None
        self._read_to_the_end()
        return status

    def stop(self, timeout=20, grace=True):
        """Sends SIGTERM and returns the exit status. Without grace, a second signal ends the wait for deliveries."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            if not grace:
                self.wait_log("stopping")
                self.signal(signal.SIGTERM)
        return self.wait_exit(timeout)

    def _end(self):
        """Sends SIGTERM, then a second one to end the grace time in case deliveries cannot succeed. Returns None if the daemon hangs."""
        for patience in (3, 15):
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(seconds(patience))
        return None

    def close(self):
        """Teardown: ends a running daemon, and fails for a crash, a bad exit status or a sanitizer report."""
        if self.process is None:
            return
        status, hung = self.process.poll(), False
        unexpected = status is not None and not self._exit_expected
        if status is None:
            status = self._end()
            hung = status is None
            if hung:
                os.kill(self.pid, signal.SIGKILL)
                status = self.process.wait()
        self._read_to_the_end()
        reports = [line.text for line in self.lines if SANITIZER.search(line.text)]
        self.process.stderr.close()
        self.process = None
        assert not reports, "sanitizer: " + "\n".join(line.text for line in self.lines[-200:])
        assert not hung, "SIGTERM did not end the daemon; last lines:\n" + self.tail()
        assert not unexpected, f"the daemon ended by itself with status {status}; last lines:\n{self.tail()}"
        if not self._exit_expected:
            assert status == 0, f"SIGTERM ended the daemon with status {status}; last lines:\n{self.tail()}"

    def kill(self):
        """Sends SIGKILL."""
        self._exit_expected = True
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- log ---

    def log(self, message_id=None, since=0):
        with self._news:
            return [line for line in self.lines[since:] if message_id is None or line.id == message_id]

    def text(self):
        with self._news:
            return "\n".join(line.text for line in self.lines)

    def tail(self, count=30):
        return "\n".join(self.text().splitlines()[-count:])

    def mark(self):
        """The current position in the log, for `since`."""
        with self._news:
            return len(self.lines)

    def wait_log(self, message_id, timeout=10, since=0, **fields):
        """Waits for the first line from `since` on with this id and these field values."""
        return self.wait_lines(lambda line: line.id == message_id and all(line.fields.get(key) == str(value)
                                                                          for key, value in fields.items()),
                               timeout=timeout, since=since, what=f"{message_id!r} {fields or ''}")[0]

    def wait_text(self, *texts, timeout=10, since=0):
        """Waits for each of these texts, which may be in different lines."""
        for text in texts:
            self.wait_lines(lambda line: text in line.text, timeout=timeout, since=since, what=repr(text))

    def wait_lines(self, matches, count=1, timeout=10, since=0, what="such a line"):
        """Waits for the first `count` matching lines. The log takes another route than events and answers, so a test that has received one
        of those must still wait for its log line."""
        deadline = time.monotonic() + seconds(timeout)
        with self._news:
            while True:
                found = [line for line in self.lines[since:] if matches(line)]
                if len(found) >= count:
                    return found[:count]
                left = deadline - time.monotonic()
                if not self._reader.is_alive():
                    raise AssertionError(f"the daemon ended before it logged {what}; last lines:\n"
                                         + "\n".join(line.text for line in self.lines[-30:]))
                if left <= 0:
                    raise AssertionError(f"no {what} within {seconds(timeout):g} s; last lines:\n"
                                         + "\n".join(line.text for line in self.lines[-30:]))
                self._news.wait(min(left, 0.2))

    # --- the process, from /proc ---

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def descriptor_limit(self, spare=0):
        """As RLIMIT_NOFILE, it lets nothing more be opened, or about `spare` descriptors. The standard ones stay open, so
        without any to spare it does not matter what the daemon closes meanwhile."""
        used = set(map(int, os.listdir(f"/proc/{self.pid}/fd")))
        return spare + next(number for number in range(len(used) + 1) if number not in used) if spare else 3

    def oom_score_adj(self):
        with open(f"/proc/{self.pid}/oom_score_adj") as file:
            return int(file.read())

    def command_line(self):
        with open(f"/proc/{self.pid}/cmdline", "rb") as file:
            return file.read()
