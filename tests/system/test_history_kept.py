# SPDX-License-Identifier: BSD-2-Clause
"""Limits of history: retention filter, snap length, headers only, the daemon's own traffic, and age. They apply to history only; a live
capture gets what it requests."""

import socket
import struct
import time

import pytest

from lib.history import NS, recorder, rfc3339, status
from lib.pcapfile import fields, judge, number_in
from lib.waiting import until


def capture_history(world, seconds=20, **options):
    """Requests the last `seconds` of history; returns the event and the file."""
    now = time.time_ns()
    request = world.request(**{"from": rfc3339(now - seconds * NS), "to": rfc3339(now)}, **options)
    event = request.done()
    return event, world.file(request) if event["packets"] else None


# --- [history] filter ---

@pytest.mark.parametrize("vlan", [None, 7])
def test_retention_filter_applies_to_history_only(make_world, vlan):
    tagged = {} if vlan is None else {"vlan": vlan}
    wanted = "udp dst port 5001" if vlan is None else "vlan 7 and udp dst port 5001"
    world = make_world(recorder(filter=wanted))
    world.sender.send(20, rate=2000, dst_port="5000-5001", **tagged)
    request = world.capture(before=10, packets=30, timeout=20)
    world.sender.send(20, rate=2000, first=20, dst_port="5000-5001", **tagged)
    request.done()
    assert world.file(request).numbers == [*range(1, 20, 2), *range(20, 40)]
    # packets that only the live capture wanted are not in history
    assert capture_history(world)[1].numbers == list(range(1, 40, 2))


def test_retention_filter_applies_during_an_unfiltered_live_capture(make_world):
    """The ring holds all packets for the live capture; history is still filtered."""
    world = make_world(recorder(filter="udp dst port 5001"))
    everything = world.capture(packets=200, timeout=30)
    world.sender.send(100, rate=2000, dst_port="5000-5001")
    request = world.capture(before=10, packets=150, timeout=20)
    world.sender.send(100, rate=2000, first=100, dst_port="5000-5001")
    request.done()
    everything.done()
    world.file(everything).assert_numbers(0, 200)
    assert world.file(request).numbers == [*range(1, 100, 2), *range(100, 200)]


def test_request_filter_and_retention_filter_both_apply(make_world):
    world = make_world(recorder(filter="udp dst port 5001 or udp dst port 5002"))
    world.sender.send(30, rate=2000, dst_port="5000-5002")
    assert capture_history(world, bpf="udp dst port 5002 or udp dst port 5000")[1].numbers == list(range(2, 30, 3))


# --- [history] snaplength ---

@pytest.mark.parametrize("live_snap, before_live", [(65535, 96), (200, 96), (50, 50)])
def test_retention_snap_length_applies_to_history_only(make_world, live_snap, before_live):
    world = make_world(recorder(snaplength=96))
    everything = world.capture(packets=40, timeout=30)  # makes the ring hold whole packets
    world.sender.send(20, rate=2000, size=600)
    request = world.capture(before=10, packets=40, timeout=20, snap=live_snap)
    world.sender.send(20, rate=2000, size=600, first=20)
    request.done()
    everything.done()
    file = world.file(request)
    assert [packet.caplen for packet in file.packets] == [before_live] * 20 + [min(live_snap, 600)] * 20
    assert {packet.wirelen for packet in file.packets} == {600}
    assert {packet.caplen for packet in world.file(everything).packets} == {600}
    judge(world.path(request))


# --- [history] snaplength = "headers" ---

SRC, DST = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"
PAYLOAD = bytes(range(200))


def ethernet(kind, body, vlans=()):
    tags = b"".join(struct.pack(">HH", tpid, tci) for tpid, tci in vlans)
    return DST + SRC + tags + struct.pack(">H", kind) + body


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(protocol, body, options=b"", fragment=0):
    head = struct.pack(">BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(body), 1, fragment, 64, protocol, 0,
                       bytes([198, 18, 0, 1]), bytes([198, 18, 0, 2])) + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


def ipv6(following, body):
    return struct.pack(">IHBB16s16s", 6 << 28, len(body), following, 64, b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01",
                       b"\x20\x01\x0d\xb8" + bytes(11) + b"\x02") + body


def extension(following, words=0, body=b""):
    """Hop-by-hop, routing or destination options, padded with PadN."""
    size = 6 + 8 * words
    return struct.pack(">BB", following, words) + (body or struct.pack(">BB", 1, size - 2) + bytes(size - 2))


def udp(payload=PAYLOAD):
    return struct.pack(">HHHH", 4000, 4001, 8 + len(payload), 0) + payload


def tcp(options=b"", payload=PAYLOAD):
    return struct.pack(">HHIIBBHHH", 4000, 4001, 1, 1, (5 + len(options) // 4) << 4, 0x10, 1000, 0, 0) + options + payload


TIMESTAMPS = b"\x01\x01\x08\x0a" + bytes(8)
Q, AD = 0x8100, 0x88A8
FRAGMENT = struct.pack(">BBHI", 17, 0, 1, 7)  # the first fragment of a datagram

# name: (frame, bytes of headers, fields that tshark must still find)
HEADERS = {
    "udp": (ethernet(0x800, ipv4(17, udp())), 42, ("udp.dstport", "4001")),
    "tcp": (ethernet(0x800, ipv4(6, tcp())), 54, ("tcp.dstport", "4001")),
    "tcp options": (ethernet(0x800, ipv4(6, tcp(TIMESTAMPS))), 66, ("tcp.options.timestamp.tsval", "0")),
    "tcp 40 bytes of options": (ethernet(0x800, ipv4(6, tcp(b"\x01" * 40))), 94, ("tcp.hdr_len", "60")),
    "ip options": (ethernet(0x800, ipv4(17, udp(), b"\x01" * 8)), 50, ("udp.dstport", "4001")),
    "ip options and tcp options": (ethernet(0x800, ipv4(6, tcp(TIMESTAMPS), b"\x01" * 40)), 106, ("tcp.dstport", "4001")),
    "vlan": (ethernet(0x800, ipv4(17, udp()), [(Q, 7)]), 46, ("vlan.id", "7")),
    "qinq": (ethernet(0x800, ipv4(6, tcp()), [(AD, 5), (Q, 7)]), 62, ("tcp.dstport", "4001")),
    "later fragment": (ethernet(0x800, ipv4(17, PAYLOAD, fragment=20)), 34, ("ip.frag_offset", "20")),
    "icmp": (ethernet(0x800, ipv4(1, b"\x08\0\0\0\0\x01\0\x01" + PAYLOAD)), 42, ("icmp.type", "8")),
    "tunnel": (ethernet(0x800, ipv4(4, ipv4(17, udp()))), 34, ("ip.proto", "4")),
    "gre": (ethernet(0x800, ipv4(47, b"\0\0\x08\0" + ipv4(17, udp()))), 34, ("ip.proto", "47")),
    "ipv6 udp": (ethernet(0x86DD, ipv6(17, udp())), 62, ("udp.dstport", "4001")),
    "ipv6 tcp in a vlan": (ethernet(0x86DD, ipv6(6, tcp(TIMESTAMPS)), [(Q, 9)]), 14 + 4 + 40 + 32, ("tcp.dstport", "4001")),
    "ipv6 hop-by-hop": (ethernet(0x86DD, ipv6(0, extension(17) + udp())), 14 + 40 + 8 + 8, ("udp.dstport", "4001")),
    "ipv6 three extensions": (ethernet(0x86DD, ipv6(0, extension(60, 1) + extension(43) + struct.pack(">BBBBI", 6, 0, 253, 0, 0)
                                                    + tcp())), 14 + 40 + 16 + 8 + 8 + 20, ("tcp.dstport", "4001")),
    "ipv6 fragment": (ethernet(0x86DD, ipv6(44, FRAGMENT + udp())), 14 + 40 + 8 + 8, ("ipv6.fraghdr.ident", "0x00000007")),
    "arp": (ethernet(0x806, struct.pack(">HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, SRC, b"\x0a\0\0\1", DST, b"\x0a\0\0\2") + bytes(100)),
            42, ("arp.opcode", "1")),
    "cut in its headers": (ethernet(0x800, ipv4(6, tcp()[:10])), 44, ("ip.proto", "6")),
}


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a capture of everything"])
def test_headers_only_history_keeps_link_to_transport_headers(make_world, beside):
    world = make_world(recorder(snaplength="headers"))
    count = len(HEADERS)
    everything = world.capture(packets=2 * count, timeout=30) if beside else None
    frames = [frame for frame, _, _ in HEADERS.values()]
    world.sender.frame(*frames)
    request = world.capture(before=10, packets=2 * count, timeout=20)
    world.sender.frame(*frames)
    request.done()
    file = world.file(request)
    kept = {name: (packet.caplen, packet.wirelen) for name, packet in zip(HEADERS, file.packets)}
    assert kept == {name: (wanted, len(frame)) for name, (frame, wanted, _) in HEADERS.items()}
    assert [packet.data for packet in file.packets[:count]] == [frame[:wanted] for frame, wanted, _ in HEADERS.values()]
    assert [packet.data for packet in file.packets[count:]] == frames, "live packets are whole"
    judge(world.path(request))
    if beside:
        everything.done()
        assert [packet.data for packet in world.file(everything).packets] == 2 * frames


def test_tshark_finds_the_headers_of_headers_only_history(make_world):
    world = make_world(recorder(snaplength="headers"))
    world.sender.frame(*(frame for frame, _, _ in HEADERS.values()))
    request = world.request(before=10, packets=len(HEADERS), timeout=20)
    request.done()
    names = sorted({name for _, _, (name, _) in HEADERS.values()})
    rows = fields(world.path(request), "frame.cap_len", *names)
    assert len(rows) == len(HEADERS)
    for (kind, (_, wanted, (name, value))), row in zip(HEADERS.items(), rows):
        assert row[0] == str(wanted), kind
        assert value in row[1 + names.index(name)].split(","), (kind, row)


# --- [history] seconds ---

def test_packets_older_than_the_configured_seconds_are_never_delivered(make_world):
    world = make_world(recorder(seconds=2))
    stream = world.sender.start(count=0, seconds=300, rate=200)
    worst, events, enough = 0, [], time.monotonic() + 4
    while time.monotonic() < enough or len(events) <= 5:
        asked = time.time_ns()
        request = world.request(**{"from": rfc3339(asked - 60 * NS), "to": rfc3339(asked)})
        event = request.done()
        if event["packets"]:
            worst = max(worst, asked - world.file(request).packets[0].time_ns)
        events.append(event)
        assert float(status(world)["reach_s"]) <= 2.1
    stream.stop()
    assert all(event["window"]["complete"] is False for event in events)
    assert 1.5 * NS < worst < 2.2 * NS, worst / NS


def test_history_expires_without_traffic(make_world):
    world = make_world(recorder(seconds=3))
    world.sender.send(50, rate=5000)
    sent, ages = time.monotonic(), []

    def forgotten():
        asked = time.time_ns()
        event, file = capture_history(world)
        ages.extend(asked - packet.time_ns for packet in (file.packets if file else ()))
        return event["packets"] == 0

    assert capture_history(world)[0]["packets"] == 50
    until(forgotten, 20, "the packets to expire")
    assert time.monotonic() - sent > 2.9 and max(ages, default=0) <= 3 * NS


# --- [history] exclude_own ---

REDIS_SIDE = "10.77.0.2"


def redis_over_the_link(make_world, **history):
    """A world whose daemon reaches Redis over the recorded interface."""
    world = make_world(recorder(**history), addresses=True, redis=None, start=False)
    world.redis.stop()
    world.redis.netns = world.peer
    configuration = world.redis._configuration
    bind = f"protected-mode no\nbind 127.0.0.1 {REDIS_SIDE}"
    world.redis._configuration = lambda: configuration().replace("bind 127.0.0.1", bind)
    world.events.expect_restart()
    world.start_redis()
    world.daemon.config["redis"] = {"host": REDIS_SIDE, "port": 6379}
    world.daemon.start()
    return world


def own_packets(file):
    return [packet for packet in file.packets if number_in(packet.data) is None
            and packet.data[12:14] == b"\x08\0" and packet.data[23] == 6]


def capture_mixed_traffic(world):
    """Makes own traffic (answers to refused requests) and other traffic, including TCP to another port of the same server."""
    mark = time.time_ns()
    for _ in range(5):
        world.refused(packets=-1)
    world.sender.send(20, rate=2000)
    listener = world.peer.call(lambda: socket.create_server((REDIS_SIDE, 7000)))
    world.host.call(lambda: socket.create_connection((REDIS_SIDE, 7000), timeout=5).close())
    listener.close()
    return history_since(world, mark)


def history_since(world, mark):
    until(lambda: int(status(world)["packets"]) >= 20)
    request = world.request(**{"from": rfc3339(mark), "to": rfc3339(time.time_ns())})
    request.done()
    return world.file(request)


def port_pairs(packets):
    return {struct.unpack(">HH", packet.data[34:38]) for packet in packets}


def own_traffic(file):
    return [pair for pair in port_pairs(own_packets(file)) if 6379 in pair]


def wait_own_traffic_excluded(world):
    """The recorder learns of a new connection a moment later, so its first packets may be in history."""
    until(lambda: not own_traffic(capture_mixed_traffic(world)), 20, "the daemon's own traffic to be excluded")


def test_own_traffic_is_excluded_from_history(make_world):
    world = redis_over_the_link(make_world, exclude_own=True)
    wait_own_traffic_excluded(world)
    file = capture_mixed_traffic(world)
    pairs = port_pairs(own_packets(file))
    assert not own_traffic(file), "traffic with Redis is in history"
    assert [pair for pair in pairs if 7000 in pair], "other traffic with the same host is kept"
    assert [number for number in file.numbers if number is not None] == list(range(20))


def test_own_traffic_is_excluded_from_history_during_an_unfiltered_live_capture(make_world):
    world = redis_over_the_link(make_world, exclude_own=True)
    wait_own_traffic_excluded(world)
    everything = world.capture(packets=1000, duration=300)
    file = capture_mixed_traffic(world)
    world.stop(everything)
    everything.done()
    assert not own_traffic(file) and not own_traffic(world.file(everything))


def test_own_traffic_is_excluded_after_a_new_connection(make_world):
    world = redis_over_the_link(make_world, exclude_own=True)
    since = world.daemon.mark()
    world.redis.kill_clients()
    world.daemon.wait_log("subscribed", since=since)
    wait_own_traffic_excluded(world)
    assert not own_traffic(capture_mixed_traffic(world))


def test_own_traffic_is_kept_by_default(make_world):
    world = redis_over_the_link(make_world, exclude_own=False)
    file = capture_mixed_traffic(world)
    pairs = port_pairs(own_packets(file))
    assert [pair for pair in pairs if 6379 in pair] and [pair for pair in pairs if 7000 in pair]
