# SPDX-License-Identifier: BSD-2-Clause
"""Runs pcapctl as a user does."""

import json
import os
import pty
import subprocess
import threading

from .daemon import PROGRAM as DAEMON
from .waiting import seconds

PROGRAM = os.path.abspath(os.environ.get("PCAPCTL", os.path.join(os.path.dirname(DAEMON), "pcapctl")))


def environment(**more):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PCAPDAEMON_") and key != "NO_COLOR"}
    return {**clean, "TERM": "xterm", **more}


class Result:
    def __init__(self, status, stdout, stderr):
        self.status, self.bytes = status, stdout
        self.stdout, self.stderr = stdout.decode(errors="replace"), stderr.decode(errors="replace")

    @property
    def json(self):
        return json.loads(self.stdout)

    def rows(self):
        """The words of each line of a table, without its head."""
        return [line.split() for line in self.stdout.splitlines()[1:]]

    def __repr__(self):
        return f"status {self.status}\nstdout: {self.stdout}\nstderr: {self.stderr}"


class Pcapctl:
    """A running pcapctl."""

    def __init__(self, *arguments, cwd=None, env=None, netns=None, stdin=subprocess.DEVNULL, wrapper=()):
        """wrapper: words put before the program."""
        assert os.access(PROGRAM, os.X_OK), f"there is no pcapctl to test at {PROGRAM} (set PCAPCTL)"
        command = [*wrapper, PROGRAM, *map(str, arguments)]
        self.process = subprocess.Popen(netns.command(*command) if netns else command, cwd=cwd, stdin=stdin,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**(env or {})))

    def is_running(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def finish(self, timeout=30):
        try:
            stdout, stderr = self.process.communicate(timeout=seconds(timeout))
        except subprocess.TimeoutExpired:
            self.process.kill()
            stdout, stderr = self.process.communicate()
            raise AssertionError(f"pcapctl did not end\nstdout: {stdout}\nstderr: {stderr}") from None
        result = Result(self.process.returncode, stdout, stderr)
        for report in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            assert report not in result.stderr, result.stderr
        return result

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()


def run(*arguments, timeout=30, input=None, **options):
    stdin = subprocess.PIPE if input is not None else subprocess.DEVNULL
    with Pcapctl(*arguments, stdin=stdin, **options) as program:
        if input is not None:
            program.process.stdin.write(input.encode())
            program.process.stdin.close()
            program.process.stdin = None
        return program.finish(timeout)


class OnTerminal:
    """pcapctl with a terminal for standard output and error; `shown` keeps its output."""

    def __init__(self, *arguments, cwd=None, env=None):
        self.master, slave = pty.openpty()
        self.shown = b""
        self._news = threading.Condition()
        self.process = subprocess.Popen([PROGRAM, *map(str, arguments)], cwd=cwd, stdin=subprocess.DEVNULL, stdout=slave,
                                        stderr=slave, env=environment(**(env or {})))
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # pcapctl has closed the terminal
                data = b""
            with self._news:
                self.shown += data
                self._news.notify_all()
            if not data:
                return

    def wait_shown(self, text, timeout=10):
        with self._news:
            assert self._news.wait_for(lambda: text.encode() in self.shown, seconds(timeout)), f"{text!r} not in {self.shown!r}"

    def finish(self, timeout=30):
        status = self.process.wait(seconds(timeout))
        self._reader.join(seconds(5))
        os.close(self.master)
        return status
