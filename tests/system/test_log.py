# SPDX-License-Identifier: BSD-2-Clause
"""Outputs of the log that take nothing: the daemon goes on, and accounts for the lines they did not get."""

import contextlib
import re
import signal
import socket
import subprocess
import threading

import pytest

from lib.api import Api
from lib.daemon import PROGRAM
from lib.waiting import seconds, until

LINES = 400
FILLER = "x" * 7000  # a line each, so that these exceed a pipe's room and the queue's

# A /dev of its own, with the devices and a /dev/log that the test has bound.
PRIVATE_DEV = r"""
set -e
dev=$1 log=$2; shift 2
mount -t tmpfs tmpfs "$dev"
for node in null zero full random urandom tty; do touch "$dev/$node"; mount --bind "/dev/$node" "$dev/$node"; done
touch "$dev/log"; mount --bind "$log" "$dev/log"
mount --rbind "$dev" /dev
exec "$@"
"""


@pytest.fixture
def launch(netns, tmp_path):
    """Starts a daemon that logs every call of its API; the test reads its stderr, or does not."""
    started = []

    def start(*wrapper):
        config, path = tmp_path / "config.toml", tmp_path / "control.sock"
        config.write_text(f'[redis]\nlisten = false\n[api]\nsocket = "{path}"\n[log]\nlevel = "debug:api"\n')
        process = netns("host").popen(*wrapper, PROGRAM, "-config", config, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        started.append(process)
        api = Api(str(path), timeout=5)
        until(api.answers, 20, "the control socket")
        return process, api

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()


def call_often(api):
    for number in range(LINES):
        api.call("GET", f"/healthz?{number}={FILLER}").expect(400)


def end(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(seconds(20)) == 0


def dropped(api):
    return int(re.search(r"^pcapdaemon_log_dropped_lines_total (\d+)$", api.get("/metrics").body.decode(), re.MULTILINE)[1])


def test_full_pipe_stops_nothing_and_drops_are_reported_when_it_flows_again(launch):
    process, api = launch()
    call_often(api)
    api.get("/healthz").expect(200)
    assert dropped(api) > 0
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
    reader.start()
    until(lambda: any(b"log-dropped" in line for line in lines), 10, "the report")
    end(process)
    reader.join(seconds(10))
    logged = sum(b" api-request " in line for line in lines)
    reported = sum(int(line.split(b"lines=")[1]) for line in lines if b" log-dropped output=stderr " in line)
    assert logged + reported == LINES + 3, "a line for every call, logged or dropped"
    assert b" stopped" in lines[-1]


def test_pipe_that_stays_full_does_not_hold_up_the_end(launch):
    process, api = launch()
    call_often(api)
    end(process)


def test_stuck_syslog_stops_neither_the_daemon_nor_stderr(launch, tmp_path):
    (tmp_path / "dev").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))  # never read
        process, api = launch("unshare", "-m", "--propagation", "private", "sh", "-c", PRIVATE_DEV, "sh", tmp_path / "dev",
                              tmp_path / "log")
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
        reader.start()
        call_often(api)
        api.get("/healthz").expect(200)
        until(lambda: sum(FILLER.encode() in line for line in lines) == LINES, 10, "all lines on stderr")
        assert dropped(api) > 0
        end(process)
        reader.join(seconds(10))
        with contextlib.suppress(BlockingIOError):
            log.setblocking(False)
            assert log.recv(65536)
