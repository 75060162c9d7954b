# SPDX-License-Identifier: BSD-2-Clause
"""Frames are whole, however large: loopback's with segmentation offload (65,549 bytes) and BIG TCP's (up to 185,000)."""

import socket
import time

import pytest

from lib.account import status
from lib.history import recorder, rfc3339
from lib.pcapfile import CaptureFile, fields, judge
from lib.traffic import tcp_over_loopback, udp_over_loopback
from lib.waiting import until

SIZE = 8 << 20
GSO_MAX = 185_000
SETTINGS = {"plain": {}, "exclude_own": {"exclude_own": True}, "filter": {"filter": "tcp or ip6"}}


def assert_whole(world, request, port, more_than):
    """Every byte of the stream is there, in frames of which the largest is larger than `more_than`."""
    file = world.file(request)
    cut = [(packet.caplen, packet.wirelen) for packet in file.packets if packet.caplen != packet.wirelen]
    assert not cut, f"{len(cut)} cut: {cut[:5]}"
    longest = max(packet.wirelen for packet in file.packets)
    assert longest > more_than, longest
    assert file.interfaces[0].snaplen == 262144 and not file.interfaces[0].statistics_comment
    judge(world.path(request))
    reached = 1  # relative, after the SYN
    for sequence, length in sorted((int(s), int(n)) for s, n in fields(world.path(request), "tcp.seq", "tcp.len",
                                                                       display_filter=f"tcp.dstport == {port} and tcp.len > 0")):
        assert sequence <= reached, f"{sequence - reached} bytes are missing"
        reached = max(reached, sequence + length)
    assert reached == SIZE + 1


@pytest.mark.parametrize("family, gso_max, more_than", [(socket.AF_INET, None, 65_535), (socket.AF_INET6, GSO_MAX, 180_000)],
                         ids=["gso", "big-tcp"])
@pytest.mark.parametrize("bpf", [None, "tcp or ip6"])  # tcp alone does not look behind the jumbo payload option
def test_live_capture_has_large_loopback_frames_whole(world, family, gso_max, more_than, bpf):
    world.host.set_mtu("lo", 65536)
    request = world.capture(interface=["lo"], timeout=60, bpf=bpf)
    port = tcp_over_loopback(world.host, SIZE, family, gso_max)
    world.stop(request)
    done = request.done()
    assert done["window"]["complete"] is True, done
    assert_whole(world, request, port, more_than)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("family, gso_max, more_than", [(socket.AF_INET, None, 65_535), (socket.AF_INET6, GSO_MAX, 180_000)],
                         ids=["gso", "big-tcp"])
def test_recorder_has_large_loopback_frames_whole(make_world, settings, family, gso_max, more_than):
    world = make_world(recorder(interfaces=("lo",), memory="64MiB", **settings))
    begin = time.time_ns()
    port = tcp_over_loopback(world.host, SIZE, family, gso_max)
    request = world.request(**{"interface": ["lo"], "from": rfc3339(begin), "to": rfc3339(time.time_ns()), "bpf": f"port {port} or ip6"})
    done = request.done()
    assert done["packets"] and done["window"]["complete"] is (not settings.get("filter")), done
    assert_whole(world, request, port, more_than)


@pytest.mark.parametrize("snap", [None, 262144, 100])
def test_recorder_keeps_each_loopback_packet_once(make_world, snap):
    """One copy of each is in the ring: it takes no more memory, and the counters tell what was sent."""
    world = make_world(recorder(interfaces=("lo",), **({"snaplength": snap} if snap else {})), redis=False)
    udp_over_loopback(world.host, 500, 7777, payload=b"x" * 1000)
    until(lambda: int(status(world, "lo")["packets"]) >= 500, what="the packets to be in retired blocks")
    time.sleep(0.2)  # would more come, they would be there now
    interface, = [entry for entry in world.api.get("/v1/interfaces").expect(200).json["interfaces"] if entry["name"] == "lo"]
    assert 500 <= interface["packets"] < 600, "beside the daemon looking for Redis"
    assert 500 * min(snap or 1046, 1046) < interface["held"] < 600 * (min(snap or 1046, 1046) + 100)


def test_live_capture_of_loopback_without_a_filter_counts_each_packet_once(world):
    request = world.capture(interface=["lo"], packets=300, timeout=60)
    udp_over_loopback(world.host, 300, 7777)
    request.done()
    file = world.file(request)
    numbers = [packet.data[42:].removeprefix(b"over loopback ") for packet in file.packets if packet.data[36:38] == b"\x1e\x61"]
    assert numbers == [b"%d" % number for number in range(len(numbers))]
    assert file.interfaces[0].statistics["received"] == 300


# Frames that are not whole

@pytest.mark.parametrize("snap, truncated", [(None, 20), (97, 20), (96, None), (50, None)])
def test_packets_the_recorder_has_cut_are_counted(make_world, snap, truncated):
    """By its snap length, not by the request's own."""
    world = make_world(recorder(snaplength=96))
    begin = time.time_ns()
    world.sender.send(20, rate=2000, size=600)
    world.sender.send(10, rate=2000, size=90)
    request = world.request(**{"from": rfc3339(begin), "to": rfc3339(time.time_ns()), "snap": snap})
    done = request.done()
    assert (done["packets"], done.get("truncated"), done["window"]["complete"]) == (30, truncated, True), done
    interface = world.file(request).interfaces[0]
    assert interface.statistics_comment == (f"truncated: {truncated}" if truncated else "")
    judge(world.path(request))
    stream = CaptureFile(world.api.get(f"/v1/history?interface=eth0&last=60s{f'&snap={snap}' if snap else ''}").expect(200).body)
    assert len(stream.packets) == 30 and stream.interfaces[0].statistics_comment == interface.statistics_comment


def test_merged_capture_counts_what_its_file_holds(make_world):
    world = make_world(recorder(interfaces=("eth0", "eth1"), snaplength=96), pairs=2)
    begin = time.time_ns()
    world.sender.send(20, rate=2000, size=600)
    world.sender.send(20, rate=2000, size=90)
    request = world.request(**{"interface": ["eth0", "eth1"], "merge": True, "packets": 30,
                               "from": rfc3339(begin), "to": rfc3339(time.time_ns())})
    done = request.done()
    assert (done["packets"], done["truncated"]) == (30, 20), done


def test_request_that_wants_no_more_than_it_gets_counts_nothing(world):
    request = world.capture(packets=20, timeout=20, snap=60)
    world.sender.send(20, rate=2000, size=600)
    done = request.done()
    assert "truncated" not in done and not world.file(request).interfaces[0].statistics_comment


def test_frames_larger_than_any_snap_length_are_counted(world):
    """The kernel lets them have half a megabyte."""
    world.host.set_mtu("lo", 65536)
    request = world.capture(interface=["lo"], timeout=60)
    tcp_over_loopback(world.host, 4 * SIZE, socket.AF_INET6, 500_000)
    world.stop(request)
    done = request.done()
    cut = [packet for packet in world.file(request).packets if packet.caplen < packet.wirelen]
    assert done.get("truncated", 0) == len(cut) and all(packet.caplen >= 262_000 for packet in cut)
    assert len(cut) > 0 or max(packet.wirelen for packet in world.file(request).packets) < 262_145
    judge(world.path(request))
