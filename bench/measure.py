# SPDX-License-Identifier: BSD-2-Clause
"""CPU time and memory as the kernel reports them, and the statistics for the tables."""

import contextlib
import glob
import mmap
import os
import statistics
import time


def cpu_of(pid):
    """CPU-seconds of all threads of a process so far, to the nanosecond (utime and stime only tick)."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path) as file:
            total += int(file.read().split()[0])
    return total / 1e9


def kernel_threads(name):
    """Pids of kernel threads whose name begins with `name`."""
    found = []
    for path in glob.glob("/proc/[0-9]*/comm"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path) as file:
            if file.read().startswith(name):
                found.append(int(path.split("/")[2]))
    return found


class Clock:
    """CPU-seconds that the processes use from now on."""

    def __init__(self, pids):
        self.pids = list(pids)
        self.begin = {pid: cpu_of(pid) for pid in self.pids}

    def seconds(self):
        return sum(cpu_of(pid) - begin for pid, begin in self.begin.items())


def wait_idle(pids, quiet=0.3, timeout=20):
    """Waits until the processes use almost no CPU for a while: by then they have read everything."""
    pids, deadline = list(pids), time.monotonic() + timeout
    last, since = Clock(pids).begin, time.monotonic()
    while time.monotonic() - since < quiet and time.monotonic() < deadline:
        time.sleep(0.05)
        now = Clock(pids).begin
        if sum(now.values()) - sum(last.values()) > 0.01 * max(1, len(pids) / 10):
            last, since = now, time.monotonic()


def memory_of(pid):
    """(resident, private resident) bytes."""
    values = {}
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            words = line.split()
            if words[-1] == "kB":
                values[words[0].rstrip(":")] = int(words[1]) * 1024
    return values["Rss"], values["Private_Clean"] + values["Private_Dirty"]


def touch_memory(most):
    """Touches memory and frees it again. A virtual machine's host may back a page only when it is first touched, which costs
    several times as much as the page fault itself, and would be charged to the contender that gets the page first."""
    with open("/proc/meminfo") as file:
        available = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:"))
    size = min(most, available // 2)
    if not size:
        return
    with mmap.mmap(-1, size) as memory:
        for offset in range(0, len(memory), mmap.PAGESIZE):
            memory[offset] = 1


def percentile(values, percent):
    """The smallest value that at least `percent` percent of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100) - 1))]


def medians(samples):
    """Combines samples into one row: the median of every number, other values from the first sample."""
    row = {}
    for key, first in samples[0].items():
        values = [sample[key] for sample in samples if sample.get(key) is not None]
        is_number = bool(values) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
        row[key] = statistics.median(values) if is_number else first
    return row


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), os.uname().machine)
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) * 1024
    return {"kernel": f"{os.uname().sysname} {os.uname().release}", "cpu": model, "cores": os.cpu_count(),
            "memory_gib": round(memory / 2**30, 1), "load_before": round(os.getloadavg()[0], 2),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
