# SPDX-License-Identifier: BSD-2-Clause
"""What a file says of each packet beside its bytes: how it was received, and how many are missing before it."""

import json
import signal
import time

import pytest

from lib.account import lost, status
from lib.history import recorder, rfc3339
from lib.pcapfile import CaptureFile, fields, judge
from lib.traffic import Sender, tcp_over_loopback
from lib.waiting import until

UNSPECIFIED, UNICAST, MULTICAST, BROADCAST, PROMISCUOUS = range(5)
CHECKSUM_NOT_READY = 1 << 9


def frame(destination, payload=b"x" * 46):
    return destination + b"\x02\0\0\0\0\x09\x88\xb5" + payload


def test_reception_type_and_direction_are_in_the_flags(world):
    own = bytes.fromhex(json.loads(world.host.ip("-j", "link", "show", "eth0"))[0]["address"].replace(":", ""))
    request = world.capture(packets=5, timeout=20)
    world.sender.frame(frame(own), frame(b"\x01\0\x5e\0\0\x01"), frame(b"\xff" * 6), frame(b"\x02\0\0\0\0\x77"))
    world.wait_packets(request, 4)
    Sender(world.host, "eth0").frame(frame(b"\xff" * 6))
    request.done()
    kinds = [(UNICAST, 1), (MULTICAST, 1), (BROADCAST, 1), (PROMISCUOUS, 1), (UNSPECIFIED, 2)]
    assert [(packet.flags >> 2 & 7, packet.direction) for packet in world.file(request).packets] == kinds
    shown = fields(world.path(request), "frame.packet_flags_reception_type", "frame.packet_flags_direction")
    assert [(int(reception, 0), int(direction, 0)) for reception, direction in shown] == kinds
    judge(world.path(request))


def test_checksum_that_is_not_ready_is_marked(world):
    """Loopback's TCP never gets one."""
    request = world.capture(interface=["lo"], timeout=60, bpf="tcp[tcpflags] & tcp-push != 0 and greater 10000")
    tcp_over_loopback(world.host, 1 << 20)
    world.stop(request)
    request.done()
    packets = world.file(request).packets
    assert packets and all(packet.flags & CHECKSUM_NOT_READY for packet in packets)
    judge(world.path(request))


def assert_gaps_are_marked(file, event):
    """Each count stands at the packet after its gap, but for drops that the kernel counts while the ring thread reads its counter: these
    may stand at the next gap. None stands before its gap."""
    gaps = {after: after - before - 1 for before, after in zip(file.numbers, file.numbers[1:]) if after - before > 1}
    marks = {packet.number: packet.missing for packet in file.packets if packet.missing}
    assert marks.keys() <= gaps.keys() and sum(marks.values()) == sum(gaps.values()) == lost(event), (marks, gaps, event["lost"])
    due = 0
    for number in sorted(gaps):
        due += gaps[number] - marks.get(number, 0)
        assert due >= 0, (marks, gaps)


def flood_while_stopped(world, size):
    """More than the ring holds comes while the daemon does not run. Returns how many were sent."""
    world.daemon.signal(signal.SIGSTOP)
    try:
        count = size // 1500
        world.sender.send(count, first=100, size=1514)
    finally:
        world.daemon.signal(signal.SIGCONT)
    return count


@pytest.mark.parametrize("format", ["pcapng", "pcap"])
def test_gap_is_marked_at_the_packet_after_it(make_world, format):
    world = make_world({"general": {"maxpackets": 10_000_000, "maxbytes": 2**32}, "limits": {"memory": "1GiB"}})
    request = world.capture(timeout=300, format=format)
    world.sender.send(100, rate=5000)
    world.wait_packets(request, 100)
    sent = flood_while_stopped(world, 160 << 20)
    world.wait_packets(request, 20_000)
    until(lambda: int(status(world)["dropped"]) > 0, what="drops")
    world.sender.send(50, first=100 + sent, rate=5000)
    world.stop(request)
    event = request.done()
    assert event["lost"]["kernel"] > 0 and event["window"]["complete"] is False
    file = world.file(request)
    judge(world.path(request))
    if format == "pcapng":
        assert_gaps_are_marked(file, event)
        shown = [int(count) for count, in fields(world.path(request), "frame.drop_count", display_filter="frame.drop_count")]
        assert shown == [packet.missing for packet in file.packets if packet.missing]


def test_gap_in_the_history_is_marked(make_world):
    world = make_world(recorder(memory="32MiB"))
    begin = time.time_ns()
    world.sender.send(100, rate=5000)
    sent = flood_while_stopped(world, 48 << 20)
    until(lambda: int(status(world)["dropped"]) > 0, what="drops")
    world.sender.send(1000, first=100 + sent, rate=20_000)
    request = world.request(**{"from": rfc3339(begin), "to": rfc3339(time.time_ns())})
    event = request.done()
    file = world.file(request)
    gaps = [(after, after - before - 1) for before, after in zip(file.numbers, file.numbers[1:]) if after - before > 1]
    assert gaps and gaps == [(packet.number, packet.missing) for packet in file.packets[1:] if packet.missing], event
    stream = CaptureFile(world.api.get("/v1/history?interface=eth0&last=120s").expect(200).body)
    assert gaps == [(packet.number, packet.missing) for packet in stream.packets[1:] if packet.missing]
