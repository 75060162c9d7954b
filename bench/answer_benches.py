# SPDX-License-Identifier: BSD-2-Clause
"""Benchmarks of the daemon's answers: the time until armed and until the file is complete, the cost when idle and of requests
for other nodes."""

import json
import os
import time

from lib.events import new_id
from measure import Clock, medians, memory_of, percentile
from report import MIB, MS, Column, Table, number
from testbed import testbed, start, to_tmpfs
from wire import Wire, command

PAIRS = 7  # full-size rings that a daemon opens before it opens smaller ones
RING_BPF = "udp dst port 10000"
IDLE_SIZE = 1500
IDLE_PACKETS = (64 << 20) // IDLE_SIZE + 1


def quantiles(label, times, **more):
    return {"label": label, "count": len(times), "p50": percentile(times, 50), "p99": percentile(times, 99), "most": max(times), **more}


QUANTILES = [Column("label", ""), Column("count", "requests", number()), Column("p50", "p50 ms", MS), Column("p99", "p99 ms", MS),
             Column("most", "max ms", MS)]


def publish(wire, world, **fields):
    """Publishes a request; returns its id and the time."""
    fields = world.fields(id=new_id("bench"), **fields)
    message = command("PUBLISH", "capture", json.dumps(fields))
    begin = time.monotonic()
    wire.send(message)
    return fields["id"], begin


def time_armed(world, publisher, listener, interface):
    request, begin = publish(publisher, world, interface=[interface], bpf=RING_BPF, duration=0.05)
    return listener.accepted(request) - begin


def armed(settings):
    closed, opened = [], []
    with testbed(pairs=PAIRS) as world, Wire(world.redis) as publisher, Wire(world.redis) as listener:
        listener.subscribe("capture:events")
        while len(closed) < settings.requests:
            settings.report_progress(f"armed, ring closed: {len(closed)} of {settings.requests}")
            start(world)
            for pair in range(min(PAIRS, settings.requests - len(closed))):
                closed.append(time_armed(world, publisher, listener, f"eth{pair}"))
            if len(closed) >= settings.requests:
                settings.report_progress("armed, ring open")
                opened = [time_armed(world, publisher, listener, "eth0") for _ in range(settings.requests)]
            world.daemon.close()
    rows = [quantiles("ring closed", closed), quantiles("ring open", opened)]
    return [Table("armed", "From PUBLISH to the `accepted` event: the capture is armed", QUANTILES, rows,
                  "One request after the other, each for a capture of 50 ms; with the ring open, earlier captures are still running.",
                  samples=[{"closed_s": closed, "open_s": opened}])]


def wait_for_file(directory, request, timeout=20):
    """The time at which the request's complete file appeared (by rename), and its path."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for name in os.listdir(directory):
            if request in name and not name.startswith("."):
                return time.monotonic(), os.path.join(directory, name)
        time.sleep(0.0002)
    raise AssertionError(f"no file of {request} within {timeout} s")


def file(settings):
    packets, rate = 50, 2000
    times = []
    with testbed() as world, Wire(world.redis) as publisher:
        start(world, to_tmpfs(world))
        stream = world.sender.start(seconds=120, rate=rate)
        try:
            for turn in range(settings.files):
                settings.report_progress(f"file {turn + 1} of {settings.files}")
                request, begin = publish(publisher, world, packets=packets, timeout=20)
                times.append(wait_for_file(world.directory, request)[0] - begin)
        finally:
            stream.stop()
        world.daemon.close()
    return [Table("file", f"From PUBLISH to the file of {packets} packets that arrive at {rate} a second", QUANTILES,
                  [quantiles("pcapdaemon", times)],
                  f"{packets} packets take {packets / rate * 1000:g} ms to arrive. The Go program of the same name took 490 ms.",
                  samples=[{"times_s": times}])]


def memory_row(world, label, pid):
    resident, private = memory_of(pid)
    return {"label": label, "resident": resident, "private": private, "threads": world.daemon.threads()}


def idle_after_capture(settings, world):
    """The daemon's memory once a capture is delivered, and once it has freed what it keeps for a while."""
    pid = start(world, to_tmpfs(world))
    request = world.capture(packets=IDLE_PACKETS, timeout=30)
    world.sender.send(IDLE_PACKETS, rate=100_000, size=IDLE_SIZE)
    request.done(60)
    rows = [memory_row(world, f"after a capture of {IDLE_PACKETS * IDLE_SIZE >> 20} MiB", pid)]
    settings.report_progress(f"idle, {settings.keep_s} s after a capture")
    time.sleep(settings.keep_s)
    rows.append(memory_row(world, f"{settings.keep_s} s later", pid))
    world.daemon.close()
    return rows


def idle(settings):
    samples = []
    with testbed() as world:
        for _ in range(settings.repetitions):
            samples.append(memory_row(world, "pcapdaemon", start(world)))
            world.daemon.close()
        after = idle_after_capture(settings, world)
    return [Table("idle", "Idle", [Column("label", ""), Column("resident", "resident MiB", MIB),
                                   Column("private", "private MiB", MIB), Column("threads", "threads")],
                  [medians(samples), *after],
                  "The first row has no ring open yet; after the capture its ring of 64 MiB stays mapped for 10 s.",
                  samples=samples + after)]


def foreign(settings):
    """Requests for another node, as fast as Redis accepts them, then one for this node."""
    message = json.dumps({"node": "another-node", "interface": ["eth0"], "bpf": "host 192.0.2.1 and tcp port 443", "packets": 1000,
                          "timeout": 60, "tags": "ids,alert", "customer": "ACME", "alertid": 655443, "id": "alert-655443"})
    bulk = command("PUBLISH", "capture", message) * 1000
    rows = []
    with testbed() as world, Wire(world.redis) as publisher, Wire(world.redis) as listener:
        listener.subscribe("capture:events")
        pid = start(world)
        for repetition in range(settings.repetitions):
            settings.report_progress(f"foreign requests, {repetition + 1} of {settings.repetitions}")
            clock, begin = Clock([pid]), time.monotonic()
            for _ in range(settings.foreign // 1000):
                publisher.send(bulk)
            request, _ = publish(publisher, world, bpf=RING_BPF, duration=0.05)
            elapsed = listener.accepted(request) - begin
            cpu = clock.seconds()
            rows.append({"count": settings.foreign, "per_second": settings.foreign / elapsed, "cpu_us": cpu / settings.foreign * 1e6})
        world.daemon.close()
    row = {"label": "pcapdaemon", **{key: percentile([one[key] for one in rows], 50) for key in rows[0]}}
    return [Table("foreign", "Requests for other nodes", [Column("label", ""), Column("count", "requests", number()),
                                                          Column("per_second", "handled a second", number()),
                                                          Column("cpu_us", "CPU µs each", number(2))],
                  [row], f"{len(message)} bytes each; the time ends with the answer to a request for this node that follows them, and "
                  "includes Redis and the publisher.", samples=rows)]
