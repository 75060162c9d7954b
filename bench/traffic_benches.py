# SPDX-License-Identifier: BSD-2-Clause
"""Benchmarks at full rate: many captures against many tcpdumps, the recorder against other recorders, and the cost of each to the
host's own traffic. Contenders take turns: A B C A B C …"""

import shutil

from contenders import Contender, Daemon, Dumpcap, Handles, Neighbours, Netsniff, Recorder, Tcpdump, run
from measure import medians
from report import KPPS, Chart, Column, Table, number, short, with_ratios
from testbed import filters, has_recorder, history, recording, testbed

PORTS = 1000  # the traffic's destination ports: a filter on one matches a packet in a thousand
CAPTURES = 50


def take_turns(settings, contenders, sample):
    """contenders: {label: make}; sample(make, repetition) → one measurement. Returns rows and all samples."""
    samples = {label: [] for label in contenders}
    for repetition in range(settings.repetitions):
        for label, make in contenders.items():
            settings.report_progress(f"{label}, {repetition + 1} of {settings.repetitions}")
            samples[label].append(sample(make, repetition))
    rows = [{"label": label, **medians(found)} for label, found in samples.items()]
    return rows, [{"label": label, **one} for label, found in samples.items() for one in found]


LABEL, SIZE = Column("label", ""), Column("size", "bytes", number())
RATE, RATE_RATIO = Column("rate_pps", "sender kpps", KPPS), Column("rate_ratio", "of alone", number(2))
LOST, LOST_PERCENT = Column("lost", "lost", number()), Column("lost_percent", "lost %", number(2))
CPU, SENDER_CPU = Column("capture_cpu", "CPU s/Mpkt", short), Column("sender_cpu", "sender CPU", short)
BOTH_CPU = Column("both_cpu", "both", short)


def captures(settings):
    contenders = {
        "nothing": Contender,
        f"pcapdaemon, {CAPTURES} captures": lambda world: Daemon(world, CAPTURES),
        f"{CAPTURES} × tcpdump": lambda world: Tcpdump(world, filters(CAPTURES)),
    }
    with testbed() as world:
        rows, samples = take_turns(settings, contenders, lambda make, _: run(world, make(world), settings.burst, 64, PORTS, CAPTURES))
    with_ratios(rows, "rate_pps", "rate_ratio", "nothing")
    with_ratios(rows, "both_cpu", "cpu_ratio", f"pcapdaemon, {CAPTURES} captures")
    return [Table("captures", f"{CAPTURES} captures with different filters, sender at full rate, 64 B",
                  [LABEL, RATE, RATE_RATIO, Column("captured", "captured", number()), LOST, LOST_PERCENT,
                   Column("dropped", "kernel drops", number()), Column("backlog", "backlog drops", number()), CPU,
                   SENDER_CPU, BOTH_CPU, Column("cpu_ratio", "ratio", number(2))],
                  rows, f"Every filter matches one packet in {PORTS}. Lost: matching packets sent minus packets captured. CPU-seconds "
                  "are per million packets sent; the sender's include what the kernel does for the capturing side while it sends. "
                  "Kernel drops: of the one ring, or the sum over all tcpdumps.",
                  [Chart("captures-rate", f"Sender's rate beside {CAPTURES} captures, kpps", "rate_pps", KPPS),
                   Chart("captures-cpu", f"{CAPTURES} captures: CPU-seconds per million packets, capturing and sending", "both_cpu")], samples)]


def record(settings):
    if not has_recorder():
        return []
    contenders = {"recorder": None, "tcpdump -w /dev/null": Tcpdump, "dumpcap -b to tmpfs": Dumpcap, "netsniff-ng to tmpfs": Netsniff}
    contenders = {label: make for label, make in contenders.items() if make is None or shutil.which(make.program)}
    rows, samples = [], []
    with testbed() as world:
        def sample(size):
            def one(make, repetition):
                is_long = make is None and repetition == 0
                contender = Recorder(world, 0, recording(world), PORTS) if make is None else make(world)
                return run(world, contender, settings.seconds if is_long else settings.long_burst, size, PORTS)
            return one

        for size in settings.sizes:
            found_rows, found = take_turns(settings, contenders, sample(size))
            rows += found_rows
            samples += found
    with_ratios(rows, "capture_cpu", "cpu_ratio", "recorder")
    return [Table("record", "The recorder with no request active, sender at full rate",
                  [LABEL, SIZE, RATE, LOST, LOST_PERCENT, Column("backlog", "backlog drops", number()), CPU,
                   Column("cpu_ratio", "ratio", number(1)), SENDER_CPU, Column("held", "packets held", number()),
                   Column("gaps", "gaps", number())], rows,
                  f"The recorder's first repetition takes {settings.seconds:g} s, all others {settings.long_burst:g} s. Rings of the "
                  "recorder and of netsniff-ng: 1 GiB; dumpcap and netsniff-ng write ten files of 100 MB in turn. Held, gaps: what the "
                  "recorder still held at the end, and gaps in those packets' numbers.",
                  [Chart("record-cpu", "Keeping everything: CPU-seconds per million packets", "capture_cpu"),
                   Chart("record-lost", "Keeping everything: packets lost, %", "lost_percent")], samples)]


def begin(settings):
    if not has_recorder():
        return []
    others, memory = 5, "256MiB"
    contenders = {
        "recorder": lambda world: Recorder(world, 0, recording(world, memory)),
        f"recorder, {others} captures begin": lambda world: Neighbours(world, 0, recording(world, memory)),
    }
    rows, samples = [], []
    with testbed(pairs=others + 1) as world:
        for size in settings.sizes:
            found_rows, found = take_turns(settings, contenders, lambda make, _, size=size: run(world, make(world), settings.burst, size))
            rows += found_rows
            samples += found
    return [Table("begin", "Captures that begin on other interfaces while the recorder runs at full rate",
                  [LABEL, SIZE, RATE, LOST, LOST_PERCENT, Column("all_armed", "all armed, ms", number(1, 1000))], rows,
                  f"The recorder's ring has {memory}. Each of the {others} captures is on an interface of its own and needs a new ring of 64 MiB. "
                  "Armed: from the first request to the last `accepted` event.", samples=samples)]


def host(settings):
    many = 200
    contenders = {
        "nothing": Contender,
        "1 capture by pcapdaemon": lambda world: Daemon(world, 1),
        f"{many} captures by pcapdaemon": lambda world: Daemon(world, many),
    }
    if has_recorder():
        contenders |= {
            "recorder": lambda world: Recorder(world, 0, recording(world), PORTS),
            "recorder + 1 capture": lambda world: Recorder(world, 1, history()),
            f"recorder + {many} captures": lambda world: Recorder(world, many, history()),
        }
    contenders |= {f"{many} libpcap handles": lambda world: Handles(world, many)}
    rows, samples = [], []
    with testbed() as world:
        for size in settings.sizes:
            found_rows, found = take_turns(settings, contenders,
                                           lambda make, _, size=size: run(world, make(world), settings.burst, size, PORTS))
            rows += found_rows
            samples += found
    with_ratios(rows, "rate_pps", "rate_ratio", "nothing")
    return [Table("host", "What the host's own traffic pays",
                  [LABEL, SIZE, RATE, RATE_RATIO, CPU, SENDER_CPU, BOTH_CPU, Column("dropped", "kernel drops", number()),
                   Column("evicted", "evicted", number()), Column("backlog", "backlog drops", number())], rows,
                  f"The rate at which one sender gets packets out. Every filter matches one packet in {PORTS}. Evicted: packets that "
                  "captures did not read in time, the sum over all captures.",
                  [Chart("host-rate", "What the host's own traffic pays: sender's rate, kpps", "rate_pps", KPPS)], samples)]
