# SPDX-License-Identifier: BSD-2-Clause
"""Benchmarks of the control API, and of one command for a whole fleet."""

import os
import tempfile
import time
from pathlib import Path

from answer_benches import QUANTILES, quantiles
from lib.events import new_id
from lib.fleet import Fleet
from lib.netns import remove_stale
from lib.pcapfile import judge
from lib.waiting import until
from report import Table
from testbed import PORT, TMPFS, has_recorder, ports, recording, testbed, start

RATE = 400_000
NODES, PER_NODE = 5, 1000
ASKED = ("/healthz", "/metrics", "/v1/status")


def has_packets(world):
    return any(interface.get("packets") for interface in world.api.get("/v1/interfaces").json["interfaces"])


def time_answer(world, path):
    begin = time.monotonic()
    world.api.get(path).expect(200)
    return time.monotonic() - begin


def api(settings):
    if not has_recorder():
        return []
    times = {path: [] for path in ASKED}
    with testbed() as world:
        start(world, recording(world))
        settings.report_progress("api, while packets come in")
        traffic = world.sender.start(seconds=300, rate=RATE, size=64, dst_port=ports(1000))
        try:
            until(lambda: has_packets(world), 10, "traffic")
            for _ in range(settings.requests):
                for path in ASKED:
                    times[path].append(time_answer(world, path))
        finally:
            traffic.stop()
        world.daemon.close()
    return [Table("api", f"The control API while a recorder takes in {RATE // 1000} kpps: from connecting to the whole answer",
                  QUANTILES, [quantiles(f"GET {path}", asked) for path, asked in times.items()],
                  "On the unix socket, one connection per request; the client is Python's http.client.", samples=[times])]


def ask_fleet(fleet, directory, port):
    """Runs one command that merges the history of all nodes into one file. Returns its duration."""
    path = directory / "out.pcapng"
    begin = time.monotonic()
    result = fleet.ask("capture", "--nodere", "^edge", "-i", "eth0", "--before", "60s", "-c", PER_NODE, "--timeout", "20s", "--id",
                       new_id("bench"), "--merge", path, f"udp port {port}")
    elapsed = time.monotonic() - begin
    if result.status not in (0, 3):  # 3: the recorders have not run for 60 s
        raise AssertionError(f"pcapctl: {result}")
    found = int(judge(path)["Number of packets"])
    if found != NODES * PER_NODE:
        raise AssertionError(f"{found} packets in the merged file")
    os.unlink(path)
    return elapsed


def fleet(settings):
    times = []
    remove_stale()
    with tempfile.TemporaryDirectory(prefix="pcapdaemon-bench-", dir=TMPFS) as root:
        names = [f"edge{number}" for number in range(NODES)]
        with Fleet(Path(root), names) as nodes:
            nodes.send(PORT, PER_NODE)
            for turn in range(settings.files):
                settings.report_progress(f"fleet, {turn + 1} of {settings.files}")
                times.append(ask_fleet(nodes, Path(root), PORT))
    return [Table("fleet", f"One command, {NODES} nodes and a Redis: from starting pcapctl to the merged file", QUANTILES,
                  [quantiles(f"{NODES} × {PER_NODE} packets of history", times)],
                  "`pcapctl capture --before … --merge` publishes the request, waits for all nodes, fetches their files from Redis, merges "
                  "and deletes them.",
                  samples=[{"times_s": times}])]
