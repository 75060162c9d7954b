# SPDX-License-Identifier: BSD-2-Clause
"""Merged capture files, judged by other programs: they hold all contents of the inputs in time order and cause no complaint.

merge_probe (tests/probes/merge_probe.c) merges; write_sample makes our own files, editcap, mergecap and this file's
`Blocks` those of others.
"""
import os
import struct
import subprocess

import pytest

from lib.daemon import PROGRAM
from test_pcapng_format import (COMMENTS, FIRST_NS, SIZES, STEP_NS, WRITE_SAMPLE, as_seconds, capinfos, fields_of,
                                length_of, stdout_of, values)

MERGE_PROBE = os.path.join(os.path.dirname(PROGRAM), "tests", "probes", "merge_probe")

MIB = 1 << 20


class Blocks:
    """Writes pcapng blocks in either byte order."""

    def __init__(self, order="<"):
        self.order = order

    def pack(self, layout, *numbers):
        return struct.pack(self.order + layout, *numbers)

    def block(self, kind, body):
        body += bytes(-len(body) % 4)
        return self.pack("II", kind, len(body) + 12) + body + self.pack("I", len(body) + 12)

    def option(self, code, value):
        return self.pack("HH", code, len(value)) + value + bytes(-len(value) % 4)

    def section(self):
        return self.block(0x0A0D0D0A, self.pack("IHHq", 0x1A2B3C4D, 1, 0, -1))

    def interface(self, options=b"", snaplen=262144):
        return self.block(1, self.pack("HHI", 1, 0, snaplen) + options)

    def packet(self, ticks, data, options=b""):
        head = self.pack("IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        return self.block(6, head + data + bytes(-len(data) % 4) + options)


def frame(size, number=0):
    """A frame with an ethertype that no program dissects."""
    head = bytes.fromhex("020000000001020000000002") + b"\x88\xb5"
    return (head + number.to_bytes(8, "big") + bytes(size))[:size]


class Merged:
    def __init__(self, path, output):
        self.path = path
        *inputs, summary = [line.split("|") for line in output.splitlines()]
        self.packets = {label: int(packets) for label, packets, *_ in inputs}
        self.texts_omitted = {label: int(dropped) for label, _, _, dropped, _ in inputs}
        self.trouble = {label: trouble for label, *_, trouble in inputs}
        self.late, self.memory_kib = (int(number) for number in summary)


@pytest.fixture
def sample(tmp_path):
    def make(kind, name=None):
        path = str(tmp_path / f"{name or kind}.{'pcap' if kind == 'pcap' else 'pcapng'}")
        stdout_of(WRITE_SAMPLE, kind, path)
        return path
    return make


@pytest.fixture
def write(tmp_path):
    def make(name, content):
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)
    return make


@pytest.fixture
def merge(tmp_path):
    def run(*options, **inputs):
        path = str(tmp_path / "merged.pcapng")
        arguments = [f"{label}={source}" for label, source in inputs.items()]
        return Merged(path, stdout_of(MERGE_PROBE, *options, path, *arguments))
    return run


def shifted(path, seconds):
    """The same packets at later times, written by editcap."""
    later = f"{path}.later"
    stdout_of("editcap", "-F", "pcapng", "-t", str(seconds), path, later)
    return later


@pytest.mark.parametrize("options", [[], ["-m"]])
def test_every_packet_of_every_node_is_merged_in_time_order(sample, merge, options):
    first, second, third = sample("pcapng"), sample("mixed"), sample("pcap")
    merged = merge(*options, n1=first, n2=second, n3=third)
    rows = fields_of(merged.path, "frame.time_epoch", "frame.cap_len", "frame.len", "frame.interface_name",
                     "frame.packet_flags_direction", "frame.encap_type")
    directions = ["", "0x00000001", "0x00000002"]
    interfaces = ["eth0", "tun-é"]
    expected = []
    for i, size in enumerate(SIZES):
        common = [as_seconds(FIRST_NS + i * STEP_NS), str(size), str(length_of(i))]
        expected += [common + [f"n1:{interfaces[i % 2]}", directions[i % 3], "1"],
                     common + [f"n2:{interfaces[i % 2]}", directions[i % 3], ["1", "7"][i % 2]],
                     common + ["n3:0", "", "1"]]
    assert rows == expected
    assert merged.packets == {"n1": len(SIZES), "n2": len(SIZES), "n3": len(SIZES)}
    assert values(capinfos(merged.path), "Strict time order") == ["True"]


def test_capinfos_shows_interfaces_and_comments_of_every_node(sample, merge):
    info = capinfos(merge(n1=sample("pcapng"), n2=sample("pcap")).path)
    assert values(info, "Capture application") == ["merge_probe 1"]
    assert values(info, "Capture comment") == [
        "merged: n1 (2 interfaces, 10 packets), n2 (1 interface, 10 packets)",
        "n1: made by: write_sample 1, Linux 6.18, x86_64", *(f"n1: {comment}" for comment in COMMENTS)]
    assert values(info, "Name") == ["n1:eth0", "n1:tun-é", "n2:0"]
    assert values(info, "Description") == ["interface eth0 of node n1", "interface tun-é of node n1",
                                           "interface 0 of node n2"]
    assert values(info, "Filter string") == ["ip or arp"]
    assert values(info, "Operating system") == ["Linux 6.18", "Linux 6.18"]
    assert values(info, "Capture length") == ["262144"] * 3
    assert values(info, "Number of stat entries") == ["1", "1", "0"]


def test_every_block_is_well_formed_and_counts_are_in_the_statistics(sample, merge):
    path = merge(n1=sample("pcapng"), n2=sample("mixed")).path
    prefix = "pcapng.options.option.data.interface."
    names = ["pcapng.section_header.section_length", prefix + "received", prefix + "dropped",
             prefix + "delivered_to_user", "_ws.malformed", "_ws.expert"]
    options = [option for name in names for option in ("-e", name)]
    out = stdout_of("tshark", "-r", path, "-X", "read_format:MIME Files Format", "-T", "fields",
                    "-E", "separator=|", *options)
    section_header_size = os.path.getsize(path) - int(out.split("|")[0])
    with open(path, "rb") as file:
        assert int.from_bytes(file.read(8)[4:], "little") == section_header_size
    assert out.rstrip("\n").split("|")[1:] == ["12,5,12,5", "2,0,2,0", "5,5,5,5", "", ""]


def test_mergecap_merges_the_same_packets(sample, merge, tmp_path):
    first = sample("pcapng")
    second = shifted(first, 0.5)
    theirs = str(tmp_path / "theirs.pcapng")
    stdout_of("mergecap", "-w", theirs, first, second)
    names = ["frame.time_epoch", "frame.cap_len", "frame.len", "frame.packet_flags_direction", "data.data"]
    assert fields_of(merge(a=first, b=second).path, *names) == fields_of(theirs, *names)


def test_tcpdump_reads_every_packet(sample, merge):
    path = merge(n1=sample("pcapng"), n2=shifted(sample("pcapng", "other"), 0.25)).path
    greeting = f"reading from file {path}, link-type EN10MB (Ethernet), snapshot length 262144\n"
    out = stdout_of("tcpdump", "-n", "-q", "-tt", "--nano", "-r", path, stderr=greeting)
    stamps = [line.split()[0] for line in out.splitlines() if line.startswith("1795")]
    # tcpdump prints no time for an empty packet.
    expected = sorted(FIRST_NS + i * STEP_NS + after for i, size in enumerate(SIZES) if size > 0
                      for after in (0, 250_000_000))
    assert stamps == [as_seconds(time_ns) for time_ns in expected]


@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "pcapng"])
def test_files_of_other_programs_keep_their_packets(sample, merge, tmp_path, kind):
    theirs = str(tmp_path / "theirs")
    stdout_of("editcap", "-F", kind, sample("pcapng" if kind == "pcapng" else "pcap"), theirs)
    names = ["frame.time_epoch", "frame.cap_len", "frame.len", "frame.packet_flags_direction", "data.data"]
    ours, original = fields_of(merge(n1=theirs).path, *names), fields_of(theirs, *names)
    assert len(ours) == len(SIZES)
    # Microsecond files show six digits.
    assert [[row[0][:len(other[0])], *row[1:]] for row, other in zip(ours, original)] == original


@pytest.mark.parametrize("order", ["<", ">"])
def test_resolutions_and_offsets_are_read_as_tshark_reads_them(write, merge, order):
    make = Blocks(order)
    for name, options, ticks in [("ms", make.option(9, b"\x03"), 1795423260123),
                                 ("default", b"", 1795423260123456),
                                 ("binary", make.option(9, bytes([0x80 | 20])), 1795423260 << 20 | 0x80000),
                                 ("offset", make.option(9, b"\x09") + make.option(14, make.pack("q", 1795423260)), 5)]:
        path = write(name, make.section() + make.interface(options) + make.packet(ticks, frame(60)))
        (original,), (ours,) = (fields_of(of, "frame.time_epoch") for of in (path, merge(n=path).path))
        assert float(ours[0]) == float(original[0]) and ours[0].startswith(original[0].rstrip("0"))


def test_secrets_are_omitted_and_packet_comments_counted(sample, merge, tmp_path):
    keys, edited = str(tmp_path / "keys"), str(tmp_path / "edited")
    with open(keys, "w") as file:
        file.write("CLIENT_RANDOM " + "ab" * 32 + " " + "cd" * 48 + "\n")
    stdout_of("editcap", "--inject-secrets", f"tls,{keys}", "-a", "3:seen", sample("pcapng"), edited)
    with open(edited, "rb") as file:
        assert b"CLIENT_RANDOM" in file.read()
    merged = merge(n1=edited)
    assert merged.packets == {"n1": len(SIZES)} and merged.texts_omitted == {"n1": 1}
    with open(merged.path, "rb") as file:
        assert b"CLIENT_RANDOM" not in file.read()
    assert "n1 (2 interfaces, 10 packets, texts omitted: 1)" in values(capinfos(merged.path), "Capture comment")[0]


def test_unordered_inputs_are_merged_in_order(sample, merge, tmp_path):
    joined = str(tmp_path / "joined.pcapng")
    first = sample("pcapng")
    stdout_of("mergecap", "-a", "-w", joined, shifted(first, 0.5), first)
    assert values(capinfos(joined), "Strict time order") == ["False"]
    merged = merge(n1=joined, n2=first)
    assert values(capinfos(merged.path), "Strict time order") == ["True"]
    assert values(capinfos(merged.path), "Number of packets")[0] == str(3 * len(SIZES))
    assert merged.late == 0


@pytest.mark.parametrize("left", [5000, 100000, -1, -89])
def test_truncated_file_is_merged_up_to_the_cut(sample, write, merge, left):
    whole = sample("pcapng")
    with open(whole, "rb") as file:
        cut = write("cut.pcapng", file.read()[:left])
    merged = merge(n1=cut, n2=whole)
    assert merged.trouble["n1"].endswith(": the file is cut short") and merged.trouble["n2"] == ""
    info = capinfos(merged.path)
    assert values(info, "Number of packets")[0] == str(merged.packets["n1"] + len(SIZES))
    assert f"incomplete: {merged.trouble['n1']}" in values(info, "Capture comment")[0]
    # tshark reports the same for the truncated file.
    result = subprocess.run(["tshark", "-r", cut, "-T", "fields", "-e", "frame.number"], capture_output=True, text=True,
                            timeout=60)
    assert len(result.stdout.split()) == merged.packets["n1"]


def test_large_files_are_merged_in_little_memory(write, merge):
    make = Blocks()
    inputs = {}
    for node in range(5):
        packets = [make.packet(n * 1000 + node, frame(1400, n)) for n in range(64 * MIB // 1432)]
        inputs[f"n{node}"] = write(f"large{node}",
                                   make.section() + make.interface(make.option(9, b"\x09")) + b"".join(packets))
    merged = merge(**inputs)
    assert os.path.getsize(merged.path) > 5 * 63 * MIB
    assert merged.memory_kib < 8 * 1024
    info = capinfos(merged.path)
    assert values(info, "Number of packets")[0] == str(sum(merged.packets.values()))
    assert values(info, "Strict time order") == ["True"]
