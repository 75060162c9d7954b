# SPDX-License-Identifier: BSD-2-Clause
"""The contenders: each starts, names its processes, reads everything that is sent, and reports what it captured and lost.
`run` measures one of them beside the sender at full rate."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from lib.events import new_id
from measure import Clock, kernel_threads, wait_idle
from testbed import expected, filters, ports, probe, remove_files, start, wait_for_warm_memory
from wire import Wire, command

IDLE_S = 1.5  # without a match, after which a daemon's capture ends


class Contender:
    """No capturing at all; the base class of the others."""

    def __init__(self, world):
        self.world = world

    def begin(self):
        """Armed on return."""

    def pids(self):
        return []

    def meanwhile(self):
        """Called while the sender sends."""

    def settle(self):
        """Returns when everything sent has been read."""

    def end(self):
        """{"captured": …, "dropped": …}; unknown values are left out."""
        return {}

    def close(self):
        """Always called, also after an error."""


class Daemon(Contender):
    """The daemon with `captures` captures, each with a filter of its own."""

    def __init__(self, world, captures=0, config=None):
        super().__init__(world)
        self.captures, self.config, self.ids = captures, config, []

    def begin(self):
        self.pid = start(self.world, self.config)
        self.since = self.world.events.mark()
        self.ids = [new_id("bench") for _ in range(self.captures)]
        messages = [json.dumps(self.world.fields(id=id, bpf=bpf, timeout=IDLE_S, duration=600))
                    for id, bpf in zip(self.ids, filters(self.captures))]
        if messages:
            with Wire(self.world.redis) as wire:
                wire.send(b"".join(command("PUBLISH", "capture", message) for message in messages))
                answers = self.world.events.wait_count(lambda event: event["event"] in ("accepted", "rejected"), self.captures,
                                                       20, self.since)
            assert all(answer["event"] == "accepted" for answer in answers), [a for a in answers if a["event"] == "rejected"][:1]

    def pids(self):
        return [self.pid]

    def settle(self):
        self.finals = self.world.events.wait_count(lambda event: event["event"] in ("done", "failed"), self.captures, 60,
                                                   self.since) if self.captures else []
        if not self.captures:
            wait_idle([self.pid])

    def end(self):
        if not self.captures:
            return {}
        return {"captured": sum(event["packets"] for event in self.finals),
                "dropped": max(event["lost"]["kernel"] for event in self.finals),  # one ring: all saw the same
                "evicted": sum(event["lost"]["evicted"] + event["lost"]["memory"] for event in self.finals)}

    def close(self):
        self.world.daemon.close()


class Everything(Daemon):
    """The daemon with one capture of all packets, delivered to a file in tmpfs. first: the traffic of a capture that precedes
    the measured one in the same daemon."""

    def __init__(self, world, config, first=None):
        super().__init__(world, 1, config)
        self.first = first

    def begin(self):
        self.pid = start(self.world, self.config)
        wait_for_warm_memory(self.world)
        if self.first:
            self.arm()
            self.world.sender.send(**self.first)
            self.settle()
            remove_files(self.world)
        self.arm()

    def arm(self):
        self.since = self.world.events.mark()
        self.world.capture(timeout=IDLE_S, duration=600)

    def close(self):
        super().close()
        remove_files(self.world)


class Recorder(Daemon):
    """The daemon with its recorder on. Without captures, a final request for the history of one port shows drops, and gaps in
    the packets' numbers."""

    def __init__(self, world, captures=0, config=None, port_count=1000):
        super().__init__(world, captures, config)
        self.port_count = port_count

    def end(self):
        if self.captures:
            return super().end()
        request = self.world.request(bpf=filters(1)[0], before=300, timeout=0.2)
        done = request.done(60)
        result = {"dropped": done["lost"]["kernel"], "held": None, "gaps": None}
        if done.get("file"):
            file = self.world.file(request)
            numbers = file.numbers
            result["held"] = (file.interfaces[0].statistics or {}).get("received")
            result["gaps"] = sum(b - a != self.port_count for a, b in zip(numbers, numbers[1:]))
        return result


class Neighbours(Recorder):
    """The recorder while captures begin on all other interfaces; each needs a new ring."""

    def meanwhile(self):
        since, begin = self.world.events.mark(), time.monotonic()
        ids = {self.world.request(interface=[f"eth{pair}"], timeout=IDLE_S).id for pair in range(1, self.world.pairs)}
        self.world.events.wait_count(lambda event: event["event"] == "accepted" and event["id"] in ids, len(ids), 20, since)
        self.all_armed = time.monotonic() - begin

    def end(self):
        return {**super().end(), "all_armed": self.all_armed}


class Processes(Contender):
    """Programs that print a line once they listen, and their counts after SIGINT."""

    program = None  # must be installed
    drain_s = 1.2  # libpcap delivers a block that is not full after a second
    ready = re.compile(r"listening on")

    def __init__(self, world, commands):
        super().__init__(world)
        self.commands, self.processes, self.logs = commands, [], []

    def begin(self):
        for words in self.commands:
            log = tempfile.TemporaryFile()
            self.logs.append(log)
            self.processes.append(self.world.host.popen(*words, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        deadline = time.monotonic() + 30
        for log, process in zip(self.logs, self.processes):
            while not self.ready.search(self.output_of(log)):
                assert process.poll() is None and time.monotonic() < deadline, self.output_of(log)
                time.sleep(0.005)

    @staticmethod
    def output_of(log):
        return os.pread(log.fileno(), 1 << 20, 0).decode(errors="replace")  # the file position is the writer's

    def pids(self):
        return [process.pid for process in self.processes]

    def settle(self):
        time.sleep(self.drain_s)
        wait_idle(self.pids())

    def end(self):
        for process in self.processes:
            process.send_signal(signal.SIGINT)
        for process in self.processes:
            process.wait(60)
        return self.parse("".join(map(self.output_of, self.logs)))

    def parse(self, text):
        raise NotImplementedError

    def close(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        for log in self.logs:
            log.close()


def total(pattern, text):
    found = re.findall(pattern, text, re.M)
    assert found, f"no {pattern!r} in {text[-1000:]!r}"
    return sum(map(int, found))


class Tcpdump(Processes):
    """One tcpdump for each filter."""

    program = "tcpdump"

    def __init__(self, world, bpfs=("",)):
        super().__init__(world, [["tcpdump", "-i", "eth0", "-n", "-Z", "root", "-w", "/dev/null", *([bpf] if bpf else [])]
                                 for bpf in bpfs])

    def parse(self, text):
        return {"captured": total(r"^(\d+) packets? captured", text), "dropped": total(r"^(\d+) packets? dropped by kernel", text)}


class Writer(Processes):
    """Writes to tmpfs: ten files of 100 MB in turn."""

    def __init__(self, world, words, file):
        self.directory = tempfile.mkdtemp(dir=world.root)
        super().__init__(world, [[*words, os.path.join(self.directory, file)]])

    def close(self):
        super().close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Dumpcap(Writer):
    program = "dumpcap"
    ready = re.compile(r"^Capturing on|^File:", re.M)

    def __init__(self, world):
        super().__init__(world, ["dumpcap", "-i", "eth0", "-q", "-b", "filesize:100000", "-b", "files:10", "-w"], "ring.pcapng")

    def parse(self, text):
        received, dropped = re.search(r"received/dropped on interface .*?: (\d+)/(\d+)", text).groups()
        return {"captured": int(received), "dropped": int(dropped)}


class Netsniff(Writer):
    program = "netsniff-ng"
    ready = re.compile(r"Running! Hang up with \^C!")

    def __init__(self, world):
        super().__init__(world, ["netsniff-ng", "--in", "eth0", "--silent", "--ring-size", "1GiB", "--interval", "100MiB",
                                 "--overwrite", "10", "--out"], "")

    def parse(self, text):
        text = re.sub(r"\x1b\[[0-9;]*m|\r", "", text)
        return {"captured": total(r"^\s*(\d+)\s+packets passed filter", text),
                "dropped": total(r"^\s*(\d+)\s+packets failed filter", text)}


class TcpdumpFile(Writer):
    """A tcpdump with a buffer as large as the ring of one of our captures, and a file in tmpfs."""

    program = "tcpdump"
    parse = Tcpdump.parse

    def __init__(self, world):
        super().__init__(world, ["tcpdump", "-B", "65536", "-i", "eth0", "-n", "-Z", "root", "-w"], "all.pcap")


class Handles(Processes):
    """One process with many libpcap handles, each with a filter of its own."""

    ready = re.compile(r"^ready", re.M)

    def __init__(self, world, count):
        super().__init__(world, [[probe("pcap_handles"), "eth0", str(count), *filters(1)[0].rsplit(" ", 1)[1:]]])

    def parse(self, text):
        report = json.loads(text[text.index("{"):])
        return {"captured": report["captured"], "dropped": report["dropped"], "open_ms": report["open_ms"]}


def backlog_drops(world):
    """Packets that the receiving side dropped before any socket saw them."""
    return world.host.counters("eth0")["rx"]["dropped"]


def run(world, contender, seconds, size, port_count=1000, filter_count=None, **sender):
    """Runs one contender beside the sender at full rate for `seconds`, unless `sender` has other options. CPU-seconds are per
    million packets sent; the sender's include what the kernel does for the capturing side in its context."""
    try:
        contender.begin()
        capture_clock, softirq_clock = Clock(contender.pids()), Clock(kernel_threads("ksoftirqd/"))
        backlog = backlog_drops(world)
        stream = world.sender.start(seconds=seconds, size=size, dst_port=ports(port_count), **sender)
        try:
            contender.meanwhile()
        except BaseException:
            stream.stop()
            raise
        sent = stream.result(seconds + 60)
        softirq = softirq_clock.seconds()
        contender.settle()
        capture = capture_clock.seconds()
        result = contender.end()
    finally:
        contender.close()
    million = sent["sent"] / 1e6
    sender_cpu = (sent["cpu_s"] + softirq) / million
    wanted = sent["sent"] if filter_count is None else expected(sent["sent"], port_count, filter_count)
    lost = None
    if filter_count and "captured" in result:
        lost = wanted - result["captured"]
    elif "dropped" in result:
        lost = result["dropped"]
    return {"size": size, "sent": sent["sent"], "rate_pps": sent["rate_pps"], "lost": lost,
            "lost_percent": None if lost is None or not wanted else 100 * lost / wanted,
            "backlog": backlog_drops(world) - backlog,
            "capture_cpu": capture / million if contender.pids() else None,
            "sender_cpu": sender_cpu, "both_cpu": capture / million + sender_cpu, **result}
