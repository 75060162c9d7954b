# SPDX-License-Identifier: BSD-2-Clause
"""tests/probes/redis_commands_probe: one client for keyed commands, controlled line by line."""

import itertools
import json
import time

import pytest

from .redis_probe import Probe, end_all
from .waiting import seconds

ECONNRESET, ETIMEDOUT, ECANCELED, EREMOTEIO, ENOBUFS = -104, -110, -125, -121, -105


class CommandsProbe(Probe):
    def __init__(self, port, *options, **keywords):
        super().__init__(port, *options, program="redis_commands_probe", **keywords)
        self.answers, self._numbers = {}, itertools.count(1)

    def send(self, *words, flags="-"):
        """Sends a command; returns the id for `answer`."""
        number = str(next(self._numbers))
        self.send_line(f"{number} {flags} {' '.join(map(str, words))}")
        return number

    def answer(self, number, timeout=20):
        """Waits for the answer; every id is answered once."""
        deadline = time.monotonic() + seconds(timeout)
        while number not in self.answers:
            line = json.loads(self.expect(r'^\{"id"', max(0, deadline - time.monotonic()) / seconds(1)))
            assert line["id"] not in self.answers, f"answered twice: {line}"
            self.answers[line["id"]] = line
        return self.answers[number]

    def reply(self, number, timeout=20):
        """Waits for the server's reply; any other answer is a failure."""
        answer = self.answer(number, timeout)
        assert answer["code"] == 0, answer
        return answer["reply"]

    def do(self, *words, flags="-", timeout=20):
        return self.reply(self.send(*words, flags=flags), timeout)

    def is_up(self):
        self.send_line("up")
        return json.loads(self.expect(r'^\{"up"'))["up"]


@pytest.fixture
def commands():
    """Makes clients: commands(port, "--option", …)."""
    made = []

    def make(port, *options, **keywords):
        made.append(CommandsProbe(port, *options, **keywords))
        return made[-1]

    yield make
    end_all(made)
