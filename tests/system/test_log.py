# SPDX-License-Identifier: BSD-2-Clause
"""Outputs of the log that take nothing: the daemon goes on, and accounts for the lines they did not get."""

import contextlib
import re

import pytest

from lib.api import Api
from lib.daemon import Daemon, private_syslog
from lib.waiting import until

LINES = 400
FILLER = "x" * 7000  # a line each, so that these exceed a pipe's room and the queue's


@pytest.fixture
def launch(netns, tmp_path):
    """Starts a daemon that logs every call of its API; its stderr is a pipe, which the test reads or does not."""
    with contextlib.ExitStack() as stack:
        def start(**options):
            path = str(tmp_path / "control.sock")
            config = {"redis": {"listen": False}, "api": {"socket": path}, "log": {"level": "debug:api"}}
            daemon = stack.enter_context(Daemon(tmp_path, config, netns=netns("host"), **options))
            daemon.launch(read=False)
            api = Api(path, timeout=5)
            until(api.answers, 20, "the control socket")
            return daemon, api

        yield start


def call_often(api):
    for number in range(LINES):
        api.call("GET", f"/healthz?{number}={FILLER}").expect(400)


def dropped(api):
    return int(re.search(r"^pcapdaemon_log_dropped_lines_total (\d+)$", api.get("/metrics").body.decode(), re.MULTILINE)[1])


def test_full_pipe_stops_nothing_and_drops_are_reported_when_it_flows_again(launch):
    daemon, api = launch()
    call_often(api)
    api.get("/healthz").expect(200)
    assert dropped(api) > 0
    daemon.read_log()
    daemon.wait_log("log-dropped")
    assert daemon.stop() == 0
    logged = len(daemon.log("api-request"))
    reported = sum(int(line.fields["lines"]) for line in daemon.log("log-dropped") if line.fields["output"] == "stderr")
    assert logged + reported == LINES + 3, "a line for every call, logged or dropped"
    assert daemon.log()[-1].id == "stopped"


def test_pipe_that_stays_full_does_not_hold_up_the_end(launch):
    daemon, api = launch()
    call_often(api)
    assert daemon.stop() == 0


def test_stuck_syslog_stops_neither_the_daemon_nor_stderr(launch, tmp_path):
    with private_syslog(tmp_path) as (log, wrapper):  # never read
        daemon, api = launch(wrapper=wrapper)
        daemon.read_log()
        call_often(api)
        api.get("/healthz").expect(200)
        daemon.wait_lines(lambda line: FILLER in line.text, LINES, what="line for every call")
        assert dropped(api) > 0
        assert daemon.stop() == 0
        log.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            assert log.recv(65536)
