# SPDX-License-Identifier: BSD-2-Clause
"""Other programs read our files completely and without complaint.

write_sample (tests/unit/pcapng/write_sample.c) makes the files with the packets described here.
"""
import os
import subprocess

import pytest

from lib.daemon import PROGRAM

WRITE_SAMPLE = os.path.join(os.path.dirname(PROGRAM), "tests", "unit", "pcapng", "write_sample")

SIZES = [0, 14, 60, 61, 62, 63, 1514, 9000, 65535, 262144]
FIRST_NS = 1795423260123456789
STEP_NS = 1000000001
INTERFACES = ["eth0", "tun-é"]
COMMENTS = ['request: {"customer":"Grüße €"}', "second comment"]

ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def stdout_of(*command, stderr=""):
    """Output of a program, which must succeed with exactly `stderr` on standard error."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert result.returncode == 0, f"{command}: {result.stderr}"
    printed = "".join(line for line in result.stderr.splitlines(keepends=True) if "as user \"root\"" not in line)
    assert printed == stderr, f"{command} warns: {printed}"
    return result.stdout


@pytest.fixture
def sample(tmp_path):
    def make(kind):
        path = str(tmp_path / f"sample.{kind}")
        stdout_of(WRITE_SAMPLE, kind, path)
        return path
    return make


def fields_of(path, *names):
    options = [option for name in names for option in ("-e", name)]
    out = stdout_of("tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=|", *options)
    return [line.split("|") for line in out.splitlines()]


def length_of(i):
    """Wire length of packet i, at most the largest snap length."""
    return SIZES[i] + (4 if i % 2 and SIZES[i] < 262144 else 0)


def as_seconds(time_ns):
    return f"{time_ns // 10**9}.{time_ns % 10**9:09}"


def capinfos(path):
    """The lines of capinfos as (name, value) pairs in order; names may repeat."""
    lines = stdout_of("capinfos", "-M", path).splitlines()
    pairs = []
    for line in lines:
        separator = " = " if " = " in line else ":"
        name, _, value = line.partition(separator)
        pairs.append((name.strip(), value.strip()))
    return pairs


def values(pairs, name):
    return [value for key, value in pairs if key == name]


@pytest.mark.parametrize("kind", ["pcapng", "pcap", "mixed"])
def test_tshark_reads_every_packet_size_and_nanosecond_timestamp(sample, kind):
    rows = fields_of(sample(kind), "frame.time_epoch", "frame.cap_len", "frame.len")
    assert rows == [[as_seconds(FIRST_NS + i * STEP_NS), str(size), str(length_of(i))]
                    for i, size in enumerate(SIZES)]


def test_tshark_reads_interface_and_direction_of_every_packet(sample):
    rows = fields_of(sample("pcapng"), "frame.interface_name", "frame.interface_id", "frame.packet_flags_direction")
    directions = ["", "0x00000001", "0x00000002"]
    assert rows == [[INTERFACES[i % 2], str(i % 2), directions[i % 3]] for i in range(len(SIZES))]


def test_tshark_reads_the_link_type_of_every_packet(sample):
    ethernet, raw_ip = "1", "7"  # wiretap's numbers
    assert fields_of(sample("mixed"), "frame.encap_type") == [[[ethernet, raw_ip][i % 2]] for i in range(len(SIZES))]
    assert fields_of(sample("pcap"), "frame.encap_type") == [[ethernet]] * len(SIZES)


def test_capinfos_shows_the_capturing_host_and_every_comment(sample):
    info = capinfos(sample("pcapng"))
    assert values(info, "Capture hardware") == ["x86_64"]
    assert values(info, "Capture oper-sys") == ["Linux 6.18"]
    assert values(info, "Capture application") == ["write_sample 1"]
    assert values(info, "Capture comment") == COMMENTS
    assert values(info, "Number of packets")[0] == str(len(SIZES))
    assert values(info, "Strict time order") == ["True"]


def test_capinfos_shows_each_interface(sample):
    info = capinfos(sample("pcapng"))
    assert values(info, "Number of interfaces in file") == ["2"]
    assert values(info, "Name") == INTERFACES
    assert values(info, "Capture length") == ["262144", "262144"]
    assert values(info, "Time resolution") == ["0x09", "0x09"]
    assert values(info, "Filter string") == ["ip or arp"]
    assert values(info, "Number of stat entries") == ["1", "1"]


def test_capinfos_reads_pcap_with_nanoseconds(sample):
    info = capinfos(sample("pcap"))
    assert values(info, "File type") == ["nsecpcap"]
    assert values(info, "Packet size limit")[0] == "file hdr: 262144 bytes"
    assert values(info, "Number of packets")[0] == str(len(SIZES))


@pytest.mark.parametrize("kind", ["pcapng", "pcap"])
def test_tcpdump_reads_every_packet(sample, kind):
    path = sample(kind)
    greeting = f"reading from file {path}, link-type EN10MB (Ethernet), snapshot length 262144\n"
    out = stdout_of("tcpdump", "-n", "-q", "-tt", "--nano", "-r", path, stderr=greeting)
    stamps = [line.split()[0] for line in out.splitlines() if line.startswith("1795")]
    # tcpdump prints no time for an empty packet.
    assert stamps == [as_seconds(FIRST_NS + i * STEP_NS) for i, size in enumerate(SIZES) if size > 0]


def test_every_block_is_well_formed_and_counts_are_in_the_statistics(sample):
    """tshark dissects the file itself, block by block."""
    path = sample("pcapng")
    prefix = "pcapng.options.option.data.interface."
    names = ["pcapng.section_header.section_length", prefix + "filter.string", prefix + "received",
             prefix + "dropped", prefix + "delivered_to_user", "_ws.malformed", "_ws.expert"]
    options = [option for name in names for option in ("-e", name)]
    out = stdout_of("tshark", "-r", path, "-X", "read_format:MIME Files Format", "-T", "fields",
                    "-E", "separator=|", *options)
    section_header_size = os.path.getsize(path) - int(out.split("|")[0])
    with open(path, "rb") as file:
        assert int.from_bytes(file.read(8)[4:], "little") == section_header_size
    assert out.rstrip("\n").split("|")[1:] == ["ip or arp", "12,5", "2,0", "5,5", "", ""]
