# SPDX-License-Identifier: BSD-2-Clause
"""Benchmarks of copying packets: everything on an interface into a file, a gigabyte of history into a file, and history as a
stream; by a daemon that has just started and has no packet memory mapped, and by one that has just done the same."""

import socket
import time

from answer_benches import publish
from contenders import Everything, TcpdumpFile, run
from measure import Clock, medians, touch_memory
from report import Chart, Column, Table, number
from testbed import has_recorder, has_warm_memory, recording, remove_files, testbed, start, to_tmpfs, wait_for_warm_memory, warm
from traffic_benches import CPU, RATE, take_turns
from wire import Wire

EVERYTHING_RATE, EVERYTHING_SIZE = 1_100_000, 1514
COPY_RATE, COPY_SIZE = 400_000, 1500
PERCENT = number(2)
GB_PER_S, CPU_PER_GB = number(2, 1e-9), number(2, 1e9)
READ_BYTES = 1 << 18
HEADER_BYTES = 82  # of the kernel, in front of each packet in the ring


def everything(settings):
    rows, samples = [], []
    with testbed() as world:
        default = to_tmpfs(world)
        for packets in settings.everything:
            traffic = {"count": packets, "rate": EVERYTHING_RATE, "size": EVERYTHING_SIZE}
            contenders = {
                "pcapdaemon, first capture": lambda world: Everything(world, default),
                "pcapdaemon, second capture": lambda world, first=traffic: Everything(world, default, first),
            }
            if has_warm_memory():
                contenders[f"pcapdaemon, warm_memory = {settings.warm_memory}"] = lambda world: Everything(
                    world, {**default, **warm(settings.warm_memory)})
            contenders["tcpdump -B 65536 to tmpfs"] = TcpdumpFile

            def sample(make, _, packets=packets):
                touch_memory(settings.touch_bytes)
                found = run(world, make(world), 60, EVERYTHING_SIZE, 1, 1, count=packets, rate=EVERYTHING_RATE)
                return {"group": f"{packets:,} packets", "captured_percent": 100 * found["captured"] / found["sent"], **found}

            found_rows, found = take_turns(settings, contenders, sample)
            rows += found_rows
            samples += found
    return [Table("everything", f"One capture of everything, {EVERYTHING_SIZE} B, sender at {EVERYTHING_RATE / 1e6:g} million packets/s "
                  "or as near as it gets",
                  [Column("label", ""), Column("sent", "packets sent", number()), Column("captured", "captured", number()),
                   Column("captured_percent", "captured %", PERCENT), Column("dropped", "kernel drops", number()),
                   Column("evicted", "evicted", number()), Column("backlog", "backlog drops", number()), CPU, RATE], rows,
                  "A ring of 64 MiB each. First, second capture: in a daemon that has just started, and at once after one of the same "
                  "size. Evicted: lost because the ring was reused or memory was short. CPU-seconds are per million packets sent, "
                  "captured or not, until the file in tmpfs is complete.",
                  [Chart("everything", "One capture of everything: packets captured, %", "captured_percent", PERCENT)], samples)]


def fill(world, count, size, rate=0):
    """Sends into the recorder's ring, and waits until the daemon has seen all packets."""
    world.sender.send(count, size=size, rate=rate)
    deadline, seen = time.monotonic() + 20, -1
    while (now := packets_recorded(world)) != seen and time.monotonic() < deadline:
        seen = now
        time.sleep(0.2)


def packets_recorded(world):
    return sum(interface.get("packets", 0) for interface in world.api.get("/v1/interfaces").json["interfaces"])


def copy_once(world, publisher, pid, window):
    """One request for the whole window. The event `captured` marks the end of copying; then the file is written."""
    clock, since = Clock([pid]), world.events.mark()
    request, begin = publish(publisher, world, **window)

    def wait(kind):
        kinds = (kind, "failed", "rejected")
        event = world.events.wait(lambda event: event.get("id") == request and event["event"] in kinds, 120, since)
        assert event["event"] == kind, event
        return time.monotonic(), event

    copied, _ = wait("captured")
    cpu = clock.seconds()
    delivered, event = wait("done")
    remove_files(world)
    elapsed = copied - begin
    return {"packets": event["packets"], "lost": sum(event["lost"].values()), "bytes": event["bytes"], "elapsed": elapsed,
            "per_second": event["bytes"] / elapsed, "cpu": cpu / event["bytes"], "delivery": delivered - copied}


def copy(settings):
    if not has_recorder():
        return []
    count = settings.copy_bytes // COPY_SIZE
    ring = f"{settings.copy_bytes * 1.62 / 2**20:.0f}MiB"  # at least 60 % of it can be reached
    configs = [("recorder", {})]
    if has_warm_memory():
        configs.append((f"recorder, warm_memory = {settings.warm_memory}", warm(settings.warm_memory)))
    samples = {}
    touch_memory(settings.touch_bytes)
    with testbed() as world, Wire(world.redis) as publisher:
        for repetition in range(settings.repetitions):
            for label, config in configs:
                settings.report_progress(f"copy, {label}, {repetition + 1} of {settings.repetitions}")
                pid = start(world, {**recording(world, ring), **config})
                wait_for_warm_memory(world)
                begin = time.time()
                fill(world, count, COPY_SIZE, COPY_RATE)
                window = {"from": begin - 1, "to": time.time()}
                for turn in "first copy", "second copy":
                    samples.setdefault(f"{label}, {turn}", []).append(copy_once(world, publisher, pid, window))
                world.daemon.close()
    rows = [{"label": label, **medians(found)} for label, found in samples.items()]
    return [Table("copy", f"{settings.copy_bytes / 1e9:g} GB of history, {COPY_SIZE} B packets, without a filter: from PUBLISH to the copy's "
                  "end, and its delivery into tmpfs",
                  [Column("label", ""), Column("packets", "packets", number()), Column("lost", "lost", number()),
                   Column("elapsed", "copied in s", number(3)), Column("per_second", "GB/s", GB_PER_S),
                   Column("cpu", "daemon's CPU s/GB", CPU_PER_GB), Column("delivery", "delivered in s", number(3))], rows,
                  f"The recorder's ring has {ring}. First, second copy: in a daemon that has just started, and at once after the first was "
                  "delivered. Copied: the event `captured`; delivered: from there to `done`.",
                  [Chart("copy", f"{settings.copy_bytes / 1e9:g} GB of history, s", {"copied": "elapsed", "delivered": "delivery"},
                         number(2))], samples=[{"label": label, **one} for label, found in samples.items() for one in found])]


def read_stream(world, interface):
    """Reads the whole history and discards it. Returns (bytes, seconds)."""
    begin, count, tail, into = time.monotonic(), 0, b"", bytearray(READ_BYTES)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(world.api.path)
        connection.sendall(f"GET /v1/history?interface={interface} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        view = memoryview(into)
        while got := connection.recv_into(view):
            if not count:
                assert b" 200 " in into[:16], bytes(into[:got])
            count += got
            tail = (tail + into[max(0, got - 5):got])[-5:]
    assert tail == b"0\r\n\r\n", "the stream broke off"
    return count, time.monotonic() - begin


def stream(settings):
    if not has_recorder():
        return []
    samples = {}
    touch_memory(settings.touch_bytes)
    with testbed() as world:
        for size in 64, 1500:
            slot = (size + HEADER_BYTES + 7) // 8 * 8
            for repetition in range(settings.repetitions):
                settings.report_progress(f"stream, {size} B, {repetition + 1} of {settings.repetitions}")
                pid = start(world, recording(world, f"{settings.stream_bytes >> 20}MiB"))
                fill(world, settings.stream_bytes // slot, size)
                for turn in "first", "second":
                    clock = Clock([pid])
                    count, elapsed = read_stream(world, "eth0")
                    samples.setdefault(f"{turn} read, {size} B packets", []).append(
                        {"bytes": count, "elapsed": elapsed, "per_second": count / elapsed, "cpu": clock.seconds() / count})
                world.daemon.close()
    rows = [{"label": label, **medians(found)} for label, found in samples.items()]
    return [Table("stream", f"History as a stream: GET /v1/history, what a ring of {settings.stream_bytes >> 20} MiB holds",
                  [Column("label", ""), Column("bytes", "MB", number(0, 1e-6)), Column("elapsed", "s", number(2)),
                   Column("per_second", "MB/s", number(0, 1e-6)), Column("cpu", "daemon's CPU s/GB", CPU_PER_GB)], rows,
                  "Over the unix socket, to a client that discards it. First read: in a daemon that has just started.",
                  samples=[{"label": label, **one} for label, found in samples.items() for one in found])]
