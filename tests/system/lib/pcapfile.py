# SPDX-License-Identifier: BSD-2-Clause
"""Capture files: a fast reader for counting and for fields that no tool prints, and the judges (capinfos, tshark, tcpdump), which decide
whether a file is valid."""

import functools
import os
import re
import struct
import subprocess

SHB, IDB, ISB, EPB = 0x0A0D0D0A, 1, 5, 6
MAGIC = b"pcapdseq"
OPT_COMMENT = 1
INBOUND, OUTBOUND = 1, 2


class Interface:
    def __init__(self, linktype, snaplen, options):
        self.linktype, self.snaplen, self.options = linktype, snaplen, options
        self.name = options.get(2, [b""])[0].decode()
        resolution = options.get(9, [b"\x06"])[0][0]
        self.units = 1 << (resolution & 0x7F) if resolution & 0x80 else 10 ** resolution  # per second
        filters = options.get(11)
        self.filter = filters[0][1:].decode() if filters else None  # after the code byte 0: a filter string
        self.statistics, self.statistics_comment = None, ""


class Packet:
    __slots__ = ("interface", "time_ns", "caplen", "wirelen", "data", "flags", "missing")

    def __init__(self, interface, time_ns, caplen, wirelen, data, flags, missing=0):
        self.interface, self.time_ns, self.caplen, self.wirelen = interface, time_ns, caplen, wirelen
        self.data, self.flags, self.missing = data, flags, missing

    @property
    def direction(self):
        return None if self.flags is None else self.flags & 3

    @property
    def number(self):
        return number_in(self.data)


def number_in(data):
    """The sequence number of one of our frames, else None."""
    at = 42 if data[42:50] == MAGIC else data.find(MAGIC)
    if at < 0 or len(data) < at + 16:
        return None
    return int.from_bytes(data[at + 8:at + 16], "big")


def _options(block, at, end):
    options = {}
    while at + 4 <= end:
        code, size = struct.unpack_from("<HH", block, at)
        if code == 0:
            break
        options.setdefault(code, []).append(block[at + 4:at + 4 + size])
        at += 4 + (size + 3) // 4 * 4
    return options


class CaptureFile:
    """Contents of a pcapng or pcap file. Any fault in the framing raises AssertionError."""

    def __init__(self, source):
        self.bytes = source if isinstance(source, bytes) else open(source, "rb").read()
        self.interfaces, self.packets, self.section_options = [], [], {}
        magic = self.bytes[:4]
        if magic == struct.pack("<I", SHB):
            self.format = "pcapng"
            self._read_pcapng()
        elif magic in (struct.pack("<I", 0xA1B23C4D), struct.pack("<I", 0xA1B2C3D4)):
            self.format = "pcap"
            self._read_pcap(1 if magic == struct.pack("<I", 0xA1B23C4D) else 1000)
        else:
            raise AssertionError(f"neither pcapng nor pcap: {self.bytes[:16]!r}")

    def _read_pcapng(self):
        data, at, blocks = self.bytes, 0, 0
        while at < len(data):
            kind, size = struct.unpack_from("<II", data, at)
            assert size >= 12 and size % 4 == 0 and at + size <= len(data), f"block at {at}: length {size}"
            assert struct.unpack_from("<I", data, at + size - 4)[0] == size, f"block at {at}: lengths differ"
            self._block(kind, data, at, size)
            at += size
            blocks += 1
        assert blocks

    def _block(self, kind, data, at, size):
        if kind == EPB:
            number, high, low, caplen, wirelen = struct.unpack_from("<IIIII", data, at + 8)
            start = at + 28
            end = start + (caplen + 3) // 4 * 4
            options = _options(data, end, at + size - 4)
            interface = self.interfaces[number]
            flags = struct.unpack("<I", options[2][0])[0] if 2 in options else None
            missing = struct.unpack("<Q", options[4][0])[0] if 4 in options else 0
            time_ns = (high << 32 | low) * 1_000_000_000 // interface.units
            self.packets.append(Packet(number, time_ns, caplen, wirelen, data[start:start + caplen], flags, missing))
        elif kind == IDB:
            linktype, _, snaplen = struct.unpack_from("<HHI", data, at + 8)
            self.interfaces.append(Interface(linktype, snaplen, _options(data, at + 16, at + size - 4)))
        elif kind == SHB:
            assert at == 0, "a second section"
            order, major = struct.unpack_from("<IH", data, at + 8)
            assert (order, major) == (0x1A2B3C4D, 1)
            self.section_options = _options(data, at + 24, at + size - 4)
        elif kind == ISB:
            number, = struct.unpack_from("<I", data, at + 8)
            options = _options(data, at + 20, at + size - 4)
            self.interfaces[number].statistics_comment = "".join(value.decode() for value in options.get(OPT_COMMENT, []))
            self.interfaces[number].statistics = {
                name: struct.unpack("<Q", options[code][0])[0] for name, code in
                (("received", 4), ("dropped", 5), ("filter_accepted", 6), ("os_dropped", 7), ("delivered", 8)) if code in options}
        else:
            raise AssertionError(f"unexpected block type {kind:#x} at {at}")

    def _read_pcap(self, scale):
        _, _, _, _, _, snaplen, linktype = struct.unpack_from("<IHHiIII", self.bytes)
        self.interfaces.append(Interface(linktype & 0xFFFF, snaplen, {9: [b"\x09" if scale == 1 else b"\x06"]}))
        at = 24
        while at < len(self.bytes):
            sec, fraction, caplen, wirelen = struct.unpack_from("<IIII", self.bytes, at)
            time_ns = sec * 1_000_000_000 + fraction * scale
            data = self.bytes[at + 16:at + 16 + caplen]
            assert len(data) == caplen
            self.packets.append(Packet(0, time_ns, caplen, wirelen, data, None))
            at += 16 + caplen

    def _text(self, code):
        return [value.decode() for value in self.section_options.get(code, [])]

    @property
    def comments(self):
        return self._text(OPT_COMMENT)

    @property
    def hardware(self):
        return "".join(self._text(2))

    @property
    def os(self):
        return "".join(self._text(3))

    @property
    def application(self):
        return "".join(self._text(4))

    @functools.cached_property
    def numbers(self):
        return [packet.number for packet in self.packets]

    def assert_numbers(self, first, count):
        """The file holds exactly these packets, once and in order."""
        assert_sequence(self.numbers, first, count)

    def assert_time_order(self):
        times = [packet.time_ns for packet in self.packets]
        assert times == sorted(times), "not in time order"


def assert_sequence(numbers, first, count):
    wanted = range(first, first + count)
    if numbers == list(wanted):
        return
    missing = sorted(set(wanted) - set(numbers))
    strange = [number for number in numbers if number not in wanted]
    twice = len(numbers) - len(set(numbers))
    raise AssertionError(f"{len(numbers)} packets, {count} wanted: {len(missing)} missing {missing[:5]}, {twice} twice, "
                         f"{len(strange)} unexpected {strange[:5]}"
                         + ("" if missing or strange or twice else ", out of order"))


# --- judges ---

_HARMLESS = re.compile(r"^(Running as user .*"  # tshark and capinfos as root
                       r"|reading from file .*, link-type .*)\n?", re.M)  # tcpdump always prints this


def _judge(*command):
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "TZ": "UTC"})
    complaints = _HARMLESS.sub("", result.stderr).strip()
    assert result.returncode == 0 and not complaints, f"{command[0]} ({result.returncode}): {complaints}"
    return result.stdout


def tshark(path, *arguments):
    return _judge("tshark", "-n", "-r", str(path), *arguments)


def capinfos(path, *arguments):
    """capinfos' long report as a dict with the first value of each name."""
    report = {}
    for line in _judge("capinfos", *arguments, str(path)).splitlines():
        name, colon, value = line.partition(":")
        if colon and not line.startswith(" "):
            report.setdefault(name.strip(), value.strip())
    return report


def judge(path):
    """All three judges read the file to its end without complaint and agree on the number of packets. Returns capinfos' report."""
    report = capinfos(path, "-M")
    count = int(report["Number of packets"])
    assert tshark(path, "-T", "fields", "-e", "frame.number").count("\n") == count
    assert len(_judge("tcpdump", "-nn", "-t", "-q", "-r", str(path)).splitlines()) >= count
    return report


def fields(path, *names, display_filter=None):
    """These tshark fields, one tuple of strings per packet."""
    arguments = ["-T", "fields", "-E", "separator=/t"]
    for name in names:
        arguments += ["-e", name]
    if display_filter:
        arguments += ["-Y", display_filter]
    return [tuple(line.split("\t")) for line in tshark(path, *arguments).splitlines()]
