# SPDX-License-Identifier: BSD-2-Clause
"""Benchmark of a capture that is delivered while it runs: the daemon's peak memory, where limits.memory is much less than the file."""

from answer_benches import publish
from measure import Clock, medians
from report import Column, Table, number
from testbed import remove_files, start, testbed, to_tmpfs
from wire import Wire

MEMORY = "64MiB"
RATE, SIZE = 100_000, 1500
MB = number(1, 1e-6)


def peak_of(pid):
    """Most memory that was resident, in bytes."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


def capture_once(world, publisher, config, count):
    """Peaks are over the whole life of the daemon; that of a small capture shows what ring and all else take."""
    pid = start(world, config)
    since = world.events.mark()
    request, _ = publish(publisher, world, stream=True, to_destinations=["local"], timeout=600, bytes=1 << 40, packets=1 << 30)
    world.events.wait(lambda event: event.get("id") == request and event["event"] == "accepted", 30, since)
    clock = Clock([pid])
    sent = world.sender.send(count, size=SIZE, rate=RATE)["sent"]
    world.api.delete(f"/v1/captures/{request}").expect(202)
    event = world.events.wait(lambda event: event.get("id") == request and event["event"] in ("done", "failed"), 120, since)
    cpu, peak = clock.seconds(), peak_of(pid)
    world.daemon.close()
    remove_files(world)
    return {"sent": sent, "packets": event["packets"], "lost": sum(event["lost"].values()), "bytes": event["bytes"], "peak": peak,
            "cpu": cpu / max(1, event["bytes"])}


def streamed(settings):
    samples = {}
    with testbed() as world, Wire(world.redis) as publisher:
        config = to_tmpfs(world)
        config = {**config, "general": {**config["general"], "maxpackets": 1 << 30, "maxbytes": 1 << 40}, "limits": {"memory": MEMORY}}
        for repetition in range(settings.repetitions):
            for label, size in (("1 MB", 1_000_000), (f"{settings.streamed_bytes / 1e9:g} GB", settings.streamed_bytes)):
                settings.report_progress(f"streamed, {label}, {repetition + 1} of {settings.repetitions}")
                samples.setdefault(label, []).append(capture_once(world, publisher, config, size // SIZE))
    rows = [{"label": label, **medians(found)} for label, found in samples.items()]
    return [Table("streamed", f"Captures delivered into tmpfs while they run, limits.memory = {MEMORY}, {SIZE} B packets, {RATE:,} a second",
                  [Column("label", ""), Column("packets", "packets", number()), Column("lost", "lost", number()),
                   Column("peak", "peak resident MB", MB), Column("cpu", "daemon's CPU s/GB", number(2, 1e9))], rows,
                  "Peak: VmHWM of a daemon that made this capture only; the difference between the rows is what the file's size costs. The "
                  "goal of 10 GB is scaled down so that tmpfs holds the file.",
                  samples=[{"label": label, **one} for label, found in samples.items() for one in found])]
