# SPDX-License-Identifier: BSD-2-Clause
"""Benchmarks of history: from a request to its complete file out of a full ring, and the speed of the scan."""

import os
import re
import resource
import struct
import subprocess
import tempfile
import time

from answer_benches import QUANTILES, publish, quantiles, wait_for_file
from lib.pcapfile import CaptureFile
from measure import Clock, medians, percentile
from report import MS, Chart, Column, Table, number, with_ratios
from testbed import PORT, TMPFS, has_recorder, ports, probe, recording, testbed, start
from wire import Wire

RATE, WINDOW_S, WANTED = 400_000, 10, 1000
WINDOW_PORTS = RATE * WINDOW_S // WANTED  # a port gets WANTED packets in WINDOW_S
MILLION = number(1, 1e-6)
FILL_S = 20  # at RATE, 64 B: more than 1 GiB of ring


def ask(world, publisher, port, **window):
    request, begin = publish(publisher, world, bpf=f"udp dst port {port}", **window)
    end, path = wait_for_file(world.directory, request, 30)
    return end - begin, path


def history(settings):
    if not has_recorder():
        return []
    with testbed() as world, Wire(world.redis) as publisher:
        start(world, recording(world))
        settings.report_progress("filling the ring")
        traffic = {"rate": RATE, "size": 64, "dst_port": ports(WINDOW_PORTS)}
        world.sender.send(0, seconds=FILL_S, **traffic)
        end = time.time()
        settings.report_progress("requests for history, no traffic")
        quiet, packets = [], []
        for turn in range(settings.requests // 2):
            elapsed, path = ask(world, publisher, PORT + turn, **{"from": end - WINDOW_S, "to": end})
            quiet.append(elapsed)
            packets.append(len(CaptureFile(path).packets))
        settings.report_progress("requests for history, under traffic")
        stream = world.sender.start(seconds=300, **traffic)
        busy = []
        try:
            time.sleep(WINDOW_S + 1)  # so that the last ten seconds are full of packets again
            for turn in range(settings.requests // 2):
                busy.append(ask(world, publisher, PORT + turn, before=WINDOW_S, packets=WANTED * 9 // 10, timeout=20)[0])
        finally:
            stream.stop()
        world.daemon.close()
    rows = [quantiles("recorder, no traffic", quiet, packets=percentile(packets, 50)),
            quantiles(f"recorder, {RATE // 1000} kpps", busy, packets=WANTED * 9 // 10)]
    return [Table("history", f"From PUBLISH to the complete file: {WANTED} packets of the last {WINDOW_S} s out of a full ring of 1 GiB",
                  [*QUANTILES, Column("packets", "packets", number())], rows, f"The filter scans all {RATE * WINDOW_S / 1e6:g} "
                  "million packets of the window.",
                  [Chart("history", f"From a request to the complete file: {WANTED} packets out of a full GiB, ms",
                         {"median": "p50", "99 of 100": "p99"}, MS)], samples=[{"quiet_s": quiet, "busy_s": busy}])]


def frame(size, port):
    """A frame like those of send_packets, except for the number."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size - 14, 0, 0, 64, 17, 0, bytes([198, 18, 0, 1]), bytes([198, 18, 0, 2]))
    head = bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]) + b"\x08\x00" + ip + struct.pack("!HHHH", 20000, port, size - 34, 0)
    return (head + b"pcapdseq").ljust(size, b"\0")


def write_pcap(path, count, size):
    """Writes `count` packets, as many as were scanned in the ring, with the same ports."""
    packets = [struct.pack("<IIII", 1, 0, size, size) + frame(size, PORT + i) for i in range(WINDOW_PORTS)]
    block = b"".join(packets)
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for _ in range(count // WINDOW_PORTS):
            out.write(block)
        out.write(b"".join(packets[:count % WINDOW_PORTS]))


def scan_with_tcpdump(path, port):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    subprocess.run(["tcpdump", "-n", "-Z", "root", "-r", path, "-w", "/dev/null", f"udp dst port {port}"], check=True,
                   capture_output=True, timeout=120)
    elapsed, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def scan_loop(settings):
    """The scan loop without the daemon, on a gigabyte laid out like a ring; and tcpdump on the same packets."""
    samples = []
    with tempfile.TemporaryDirectory(prefix="pcapdaemon-bench-", dir=TMPFS) as directory:
        path = os.path.join(directory, "scan.pcap")
        settings.report_progress("scan loop")
        output = subprocess.run([probe("scan_bench"), "1024", path], check=True, capture_output=True, text=True, timeout=120).stdout
        for filters, millions in re.findall(r"^ *(\d+) cursors: +([\d.]+) M packets/s", output, re.M):
            samples.append({"label": f"pcapdaemon's scan, {filters} filter{'s' * (filters != '1')}", "size": 64,
                            "per_second": float(millions) * 1e6})
        count = (os.path.getsize(path) - 24) // (16 + 64)
        for _ in range(settings.repetitions):
            elapsed, _ = scan_with_tcpdump(path, 53)
            samples.append({"label": "tcpdump -r from tmpfs, 1 filter", "size": 64, "per_second": count / elapsed})
    rows = grouped(samples)
    for row in rows:
        row["bytes_per_second"] = row["per_second"] * row["size"]
    with_ratios(rows, "per_second", "ratio", "tcpdump -r from tmpfs, 1 filter")
    return Table("scan-loop", "The scan loop alone, one core",
                 [Column("label", ""), Column("size", "bytes", number()), Column("per_second", "Mpkt/s", MILLION),
                  Column("bytes_per_second", "GB/s", number(2, 1e-9)), Column("ratio", "ratio", number(1))], rows,
                 "A gigabyte laid out as the kernel lays it out; one packet in 10,000 matches; every filter sees every packet.",
                 [Chart("scan-loop", "The scan loop alone, one core, million packets a second", "per_second", MILLION)], samples)


def grouped(samples):
    """A row of medians for each contender and size, in order of appearance."""
    keys = dict.fromkeys((sample["label"], sample["size"]) for sample in samples)
    return [medians([sample for sample in samples if (sample["label"], sample["size"]) == key]) for key in keys]


def scan_at(settings, world, publisher, size):
    pid = start(world, recording(world))
    settings.report_progress(f"scan, {size} B: filling the ring")
    begin_time = time.time()
    world.sender.send(0, seconds=FILL_S if size < 500 else FILL_S / 4, size=size, rate=RATE, dst_port=ports(WINDOW_PORTS))
    window = {"from": begin_time - 1, "to": time.time()}
    samples, path = [], os.path.join(world.root, "scan.pcap")
    for turn in range(settings.repetitions + 2):
        settings.report_progress(f"scan, {size} B, {turn + 1} of {settings.repetitions + 2}")
        clock = Clock([pid])
        elapsed, file = ask(world, publisher, PORT + turn, **window)
        cpu = clock.seconds()
        count = CaptureFile(file).interfaces[0].statistics["received"]
        samples.append({"label": "recorder", "size": size, "packets": count, "elapsed": elapsed, "cpu": cpu})
        if turn == 0:
            write_pcap(path, count, size)
        elapsed, cpu = scan_with_tcpdump(path, PORT + turn)
        samples.append({"label": "tcpdump -r from tmpfs", "size": size, "packets": count, "elapsed": elapsed, "cpu": cpu})
    os.unlink(path)
    world.daemon.close()
    return samples


def scan(settings):
    tables = [scan_loop(settings)]
    if not has_recorder():
        return tables
    samples = []
    with testbed() as world, Wire(world.redis) as publisher:
        for size in settings.sizes:
            samples += scan_at(settings, world, publisher, size)
    for sample in samples:
        sample["per_second"] = sample["packets"] / sample["elapsed"]
        sample["bytes_per_second"] = sample["per_second"] * sample["size"]
        sample["per_cpu_second"] = sample["packets"] / sample["cpu"] if sample["cpu"] else None
    rows = grouped(samples)
    with_ratios(rows, "per_second", "ratio", "tcpdump -r from tmpfs")
    return tables + [Table("scan", "Scanning history with a filter that few packets match",
                  [Column("label", ""), Column("size", "bytes", number()), Column("packets", "packets", number()),
                   Column("elapsed", "s", number(3)), Column("per_second", "Mpkt/s", MILLION),
                   Column("bytes_per_second", "GB/s", number(2, 1e-9)), Column("per_cpu_second", "Mpkt/CPU-s", MILLION),
                   Column("ratio", "ratio", number(1))], rows,
                  "Recorder: from PUBLISH to the complete file, over everything that a ring of 1 GiB held. tcpdump: the same packets "
                  "from a file in tmpfs, start of the program included.",
                  [Chart("scan", "Scanning history, million packets a second", "per_second", MILLION)], samples)]
