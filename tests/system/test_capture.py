# SPDX-License-Identifier: BSD-2-Clause
"""The capture engine: each capture gets exactly the packets of its window, once and in order."""

import time

import pytest

from lib.account import Arrivals, assert_exact
from lib.history import EDGE_NS, NS, assert_holds_window, ns, window
from lib.pcapfile import INBOUND, OUTBOUND, CaptureFile, fields, judge
from lib.traffic import Sender, udp_over_loopback
from lib.tunnels import tunnelled
from lib.waiting import until
from lib.world import World

ETHERNET, RAW_IP = 1, 101


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    config = {"general": {"maxpackets": 10_000_000, "maxbytes": 2**32}, "limits": {"memory": "1GiB"}}
    with World(tmp_path_factory.mktemp("world"), config, pairs=2) as installation:
        yield installation


@pytest.mark.parametrize("count, rate, size", [(200, 100, 64), (2000, 1000, 64), (20_000, 20_000, 1514), (200_000, 100_000, 64)])
def test_each_packet_is_captured_once_in_order_or_reported_lost(world, count, rate, size):
    world.assert_accounts_for(count, rate, size)


def test_packets_from_before_the_request_are_not_in_the_file(world):
    first = world.capture(packets=10, timeout=20)  # keeps the ring open
    world.sender.send(5, rate=1000)
    request = world.capture(packets=5, timeout=20)
    world.sender.send(5, first=100, rate=1000)
    request.done()
    first.done()
    world.file(request).assert_numbers(100, 5)


def test_timestamps_are_those_of_the_packets(world):
    request = world.capture(packets=100, timeout=20)
    begin = time.time_ns()
    world.sender.send(50, rate=1000)
    middle = time.time_ns()
    world.sender.send(50, rate=1000, first=50)
    end = time.time_ns()
    request.done()
    times = [packet.time_ns for packet in world.file(request).packets]
    assert begin <= times[0] and times[49] <= middle <= times[50] and times[-1] <= end
    assert any(t % 1000 for t in times), "nanoseconds, not microseconds"


def test_silent_link_times_out_empty_and_delivers_nothing(world):
    began = time.monotonic()
    request = world.capture(packets=10, timeout=0.5)
    done = request.done()
    assert time.monotonic() - began > 0.45
    assert window(done, "to") - window(done, "from") == NS // 2
    assert (done["reason"], done["packets"]) == ("empty", 0) and not done.get("destinations")
    assert world.files_of(request) == []


def test_unmatched_traffic_times_out_empty(world):
    request = world.capture(packets=10, timeout=0.5, bpf="udp dst port 53")
    world.sender.send(100, dst_port=54, rate=1000)
    assert request.done()["reason"] == "empty"


def test_timeout_delivers_the_packets_captured(world):
    request = world.capture(packets=1000, timeout=3)
    world.sender.send(7, rate=1000)
    done = request.done()
    assert (done["reason"], done["packets"]) == ("timeout", 7)
    world.file(request).assert_numbers(0, 7)


def test_duration_ends_a_capture_under_traffic(world):
    reference = world.capture(timeout=300)
    stream = world.sender.start(rate=2000, seconds=300, count=0)
    try:
        world.wait_packets(reference, 1)
        request = world.capture(duration=0.5)
        done = request.done()
    finally:
        stream.stop()
    world.stop(reference)
    assert reference.done()["lost"]["evicted"] == 0
    assert done["reason"] == "timeout", done  # the contract has no separate reason for a duration
    assert window(done, "to") - window(done, "from") == NS // 2 and done["packets"] > 0
    assert_holds_window(world.file(request), done, world.file(reference))


def test_timeout_with_a_duration_is_the_idle_time(world):
    reference = world.capture(timeout=300)
    request = world.capture(duration=30, timeout=1.5)
    world.sender.send(40, rate=20)  # two seconds, without a gap of 1.5 s unless the machine is overloaded
    done = request.done()
    world.stop(reference)
    reference.done()
    times = [packet.time_ns for packet in world.file(reference).packets]
    idle = [index for index, gap in enumerate(map(int.__sub__, times[1:], times), 1) if gap > 3 * NS // 2]
    assert (done["reason"], done["packets"]) == ("idle", (idle + [40])[0])
    assert window(done, "to") - ns(done["last"]) == pytest.approx(3 * NS // 2, abs=EDGE_NS)


def test_only_matching_packets_reset_the_idle_time(world):
    stream = world.sender.start(rate=500, seconds=20, count=0, dst_port=54)
    try:
        done = world.capture(duration=15, timeout=0.4, bpf="udp dst port 53").done(timeout=12)
    finally:
        stream.stop()
    assert done["packets"] == 0 and done["reason"] in ("empty", "idle")


def test_capture_ends_at_the_byte_limit(world):
    request = world.capture(bytes=10_000, timeout=20)
    world.sender.send(200, size=100, rate=5000)
    done = request.done()
    assert (done["reason"], done["packets"], done["bytes"]) == ("bytes", 100, 10_000)
    world.file(request).assert_numbers(0, 100)


def test_snapped_packets_keep_their_beginning_and_wire_length(world):
    request = world.capture(packets=5, timeout=20, snap=60)
    world.sender.send(5, size=500, rate=1000)
    request.done()
    file = world.file(request)
    assert [(p.caplen, p.wirelen) for p in file.packets] == [(60, 500)] * 5 and file.interfaces[0].snaplen == 60
    judge(world.path(request))


def test_largest_frames_are_captured_whole(world):
    world.host.set_mtu("eth1", 65521)
    world.peer.set_mtu("peer1", 65521)
    request = world.capture(interface=["eth1"], packets=20, timeout=20)
    Sender(world.peer, "peer1").send(20, size=65535, rate=1000)
    assert request.done()["bytes"] == 20 * 65535
    file = world.file(request)
    file.assert_numbers(0, 20)
    expected = bytes(i & 0xFF for i in range(65535))[58:]
    assert all(packet.data[58:] == expected for packet in file.packets)


# --- VLAN ---

def test_vlan_tag_is_in_the_file(world):
    request = world.capture(packets=5, timeout=20)
    world.sender.send(5, vlan=7, size=100, rate=1000)
    assert request.done()["bytes"] == 500
    file = world.file(request)
    assert all(packet.data[12:16] == b"\x81\x00\x00\x07" and packet.wirelen == 100 for packet in file.packets)
    assert fields(world.path(request), "vlan.id", "udp.dstport") == [("7", "9")] * 5
    judge(world.path(request))


def test_vlan_filter_matches_only_its_vlan(world):
    request = world.capture(packets=5, timeout=20, bpf="vlan 7 and udp dst port 9")
    world.sender.send(5, first=100, rate=1000)
    world.sender.send(5, first=200, vlan=8, rate=1000)
    world.sender.send(5, first=300, vlan=7, rate=1000)
    request.done()
    world.file(request).assert_numbers(300, 5)


def test_filter_without_vlan_means_untagged_as_in_tcpdump(world):
    request = world.capture(packets=5, timeout=20, bpf="udp dst port 9")
    world.sender.send(5, vlan=7, rate=1000)
    world.sender.send(5, first=100, rate=1000)
    request.done()
    world.file(request).assert_numbers(100, 5)


def test_concurrent_vlan_and_plain_filters_get_their_own_packets(world):
    """The kernel filters by the union of the filters; no filter may hide the other's packets."""
    tagged = world.capture(packets=5, timeout=20, bpf="vlan")
    plain = world.capture(packets=5, timeout=20, bpf="udp and not vlan")
    world.sender.send(5, first=10, vlan=9, rate=1000)
    world.sender.send(5, first=20, rate=1000)
    tagged.done()
    plain.done()
    world.file(tagged).assert_numbers(10, 5)
    world.file(plain).assert_numbers(20, 5)


# --- kinds of interface ---

def test_loopback_packets_are_captured_once(world):
    request = world.capture(interface=["lo"], timeout=3, bpf="udp port 7777")
    udp_over_loopback(world.host, 5, 7777)
    done = request.done()
    assert (done["packets"], done["reason"]) == (5, "timeout")
    file = world.file(request)
    assert file.interfaces[0].linktype == ETHERNET
    assert [packet.data[-1:] for packet in file.packets] == [b"0", b"1", b"2", b"3", b"4"]
    judge(world.path(request))


def test_both_directions_are_captured_and_marked(world):
    request = world.capture(packets=6, timeout=20)
    world.sender.send(3, first=10, rate=1000)
    Sender(world.host, "eth0").send(3, first=20, rate=1000)
    request.done()
    file = world.file(request)
    assert [(p.number, p.direction) for p in file.packets] == \
        [(10, INBOUND), (11, INBOUND), (12, INBOUND), (20, OUTBOUND), (21, OUTBOUND), (22, OUTBOUND)]
    assert [int(row[0], 16) for row in fields(world.path(request), "frame.packet_flags_direction")] == [INBOUND] * 3 + [OUTBOUND] * 3


def test_filters_know_the_direction(world):
    """Two filters, so that the kernel's union tests the direction, too."""
    inbound = world.capture(packets=3, timeout=20, bpf="inbound and udp")
    outbound = world.capture(packets=3, timeout=20, bpf="udp dst port 9 and outbound")
    for first in range(0, 30, 10):
        world.sender.send(1, first=first, rate=1000)
        Sender(world.host, "eth0").send(1, first=first + 100, rate=1000)
    inbound.done()
    outbound.done()
    assert [(p.number, p.direction) for p in world.file(inbound).packets] == [(n, INBOUND) for n in (0, 10, 20)]
    assert [(p.number, p.direction) for p in world.file(outbound).packets] == [(n, OUTBOUND) for n in (100, 110, 120)]


def test_ip_broadcast_takes_the_interfaces_netmask(world):
    refused = world.refused(bpf="ip broadcast")
    assert "IPv4 address" in refused["reason"] and refused["reason"].startswith("bpf: "), refused
    world.host.ip("addr", "add", "10.78.3.1/22", "dev", "eth0")
    try:
        request = world.capture(packets=2, timeout=20, bpf="ip broadcast")
        header = bytes.fromhex("020000000001" "020000000002" "0800" "45000014000000004011" "0000" "0a4e0302")
        destinations = ["0a4e03ff", "0a4e02ff", "0a4e03fe", "ffffffff"]
        world.sender.frame(*(header + bytes.fromhex(destination) + bytes(26) for destination in destinations))
        request.done()
        assert [packet.data[30:34].hex() for packet in world.file(request).packets] == ["0a4e03ff", "ffffffff"]
    finally:
        world.host.ip("addr", "del", "10.78.3.1/22", "dev", "eth0")


# --- tunnels ---

INSIDE_A_TAG = 3  # its inner packet has a VLAN tag, which "host" does not look behind


def test_inner_filter_is_for_the_packet_in_the_tunnel(world):
    wanted = tunnelled("10.0.0.1")
    expected = [frame for number, frame in enumerate(wanted) if number != INSIDE_A_TAG]
    inner = world.capture(packets=len(expected), timeout=20, inner="host 10.0.0.1 and udp port 53")
    both = world.capture(packets=4, timeout=20, bpf="udp and not vlan", inner="(udp and host 10.0.0.1) or (vlan 6 and udp and host 10.0.0.1)")
    plain = bytes.fromhex("020000000001" "020000000002" "0800" "4500001c000000004011" "0000" "0a0000010a0000020035003500080000")
    world.sender.frame(*(frame for pair in zip(tunnelled("10.0.0.3"), wanted) for frame in (pair[0], plain, pair[1])))
    inner.done()
    both.done()
    assert [packet.data for packet in world.file(inner).packets] == expected
    assert [packet.data for packet in world.file(both).packets] == [wanted[i] for i in (0, 1, 3, 4)]  # raw IP has no VLANs
    rows = fields(world.path(inner), "ip.src", "udp.dstport")
    assert all(row[0].split(",")[-1] == "10.0.0.1" and row[1].split(",")[-1] == "53" for row in rows), rows
    judge(world.path(inner))
    assert any('"inner":"host 10.0.0.1 and udp port 53"' in comment for comment in world.file(inner).comments)


def test_bad_inner_filter_is_refused_by_its_name(world):
    refused = world.refused(inner="udp prot 53")
    assert refused["reason"] == 'inner: syntax error near "prot": "udp >>>prot<<< 53"' and refused["field"] == "inner", refused


# --- more kinds of interface ---

def test_tun_is_captured_as_raw_ip(world):
    tun = world.host.add_tun("tun7")
    request = world.capture(interface=["tun7"], packets=2, timeout=20, bpf="udp port 53")
    packet = bytes.fromhex("4500001c000000004011" + "0000" + "0a00000a0a00000b" + "0035" + "0035" + "0008" + "0000")
    other = packet[:20] + b"\x00\x36\x00\x36" + packet[24:]
    for bytes_in in (packet, other, packet):
        tun.write(bytes_in)
    done = request.done()
    tun.close()
    file = world.file(request)
    assert file.interfaces[0].linktype == RAW_IP and done["packets"] == 2
    assert [p.data for p in file.packets] == [packet, packet]
    assert fields(world.path(request), "ip.src", "udp.dstport") == [("10.0.0.10", "53")] * 2
    judge(world.path(request))


def test_tun_as_classic_pcap_is_raw_ip(world):
    tun = world.host.add_tun("tun8")
    request = world.capture(interface=["tun8"], packets=1, timeout=20, format="pcap")
    tun.write(bytes.fromhex("4500001c0000000040110000" + "0a00000a0a00000b" + "0035003500080000"))
    request.done()
    tun.close()
    assert world.file(request).interfaces[0].linktype == RAW_IP
    judge(world.path(request))


def test_tap_is_captured_as_ethernet(world):
    tap = world.host.add_tun("tap7", tap=True)
    frame = bytes(12) + b"\x88\xb5" + b"pcapdaemon" * 5
    request = world.capture(interface=["tap7"], packets=1, timeout=20, bpf="ether proto 0x88b5")
    tap.write(frame)
    request.done()
    tap.close()
    file = world.file(request)
    assert file.interfaces[0].linktype == ETHERNET and file.packets[0].data == frame


# --- several captures on one interface ---

def test_overlapping_captures_get_exactly_their_own_packets(world):
    everything = world.capture(packets=400, timeout=20)
    dns = world.capture(packets=100, timeout=20, bpf="udp dst port 53")
    world.sender.send(200, dst_port="50-53", rate=20_000)
    late = world.capture(packets=50, timeout=20, bpf="udp dst port 51", snap=50)
    world.sender.send(200, first=200, dst_port="50-53", rate=20_000)
    for request in (everything, dns, late):
        request.done()
    world.file(everything).assert_numbers(0, 400)
    assert world.file(dns).numbers == list(range(3, 400, 4))
    late_file = world.file(late)
    assert [p.wirelen for p in late_file.packets] == [64] * 50 and late_file.packets[0].caplen == 50


def test_ended_capture_does_not_affect_the_others(world):
    long = world.capture(timeout=300)
    arrivals = Arrivals(world)
    stream = world.sender.start(count=0, seconds=300, rate=20_000)
    for _ in range(10):
        assert world.capture(packets=20, timeout=200, bpf="udp dst port 9").done()["packets"] == 20
    sent = range(stream.stop()["sent"])
    arrived = arrivals.settle()
    world.stop(long)
    assert_exact(long.done(), world.file(long).numbers, sent, arrived)


def test_fifty_captures_share_one_ring(world):
    requests = [world.capture(packets=200, timeout=30, bpf=f"udp dst port {100 + i}") for i in range(50)]
    assert world.host.packet_sockets("eth0") == 1, "one ring per interface for any number of captures"
    world.sender.send(10_000, dst_port="100-149", rate=50_000)
    for i, request in enumerate(requests):
        request.done(timeout=30)
        assert world.file(request).numbers == list(range(i, 10_000, 50))


def test_idle_ring_closes_and_leaves_promiscuous_mode(make_world):
    world = make_world()
    assert world.host.packet_sockets() == 0 and not world.host.is_promiscuous("eth0")
    request = world.capture(packets=1, timeout=20)
    assert world.host.packet_sockets() == 1 and world.host.is_promiscuous("eth0")
    world.sender.send(1)
    request.done()
    until(lambda: world.host.packet_sockets() == 0, 30, "the ring to be closed", interval=0.1)
    assert not world.host.is_promiscuous("eth0")


def test_promiscuous_mode_can_be_disabled(make_world):
    world = make_world({"interface": [{"name": "eth0", "promiscuous": False}]})
    world.capture(timeout=10)
    assert not world.host.is_promiscuous("eth0")


# --- interfaces that are removed or return ---

def test_removed_interface_delivers_its_packets_and_can_be_captured_once_back(world):
    world.host.add_veth("wan0", world.peer, "wanpeer")
    request = world.capture(interface=["wan0"], packets=100, timeout=20)
    bystander = world.capture(packets=5, timeout=20)
    sender = Sender(world.peer, "wanpeer")
    sender.send(10, rate=1000)
    world.wait_packets(request, 10)
    world.host.delete_link("wan0")
    done = request.done()
    assert (done["reason"], done["packets"]) == ("interface-gone", 10)
    world.file(request).assert_numbers(0, 10)

    world.host.add_veth("wan0", world.peer, "wanpeer")
    again = world.capture(interface=["wan0"], packets=5, timeout=20)
    sender.send(5, first=50, rate=1000)
    again.done()
    world.file(again).assert_numbers(50, 5)
    world.host.delete_link("wan0")
    world.sender.send(5, rate=1000)
    assert bystander.done()["packets"] == 5


def test_interface_removed_before_any_packet_ends_the_capture(world):
    world.host.add_veth("wan1", world.peer, "wanpeer1")
    request = world.capture(interface=["wan1"], packets=100, timeout=20)
    world.host.delete_link("wan1")
    done = request.done(timeout=15)
    assert done["packets"] == 0 and done["reason"] in ("interface-gone", "empty")


def test_link_flap_continues_or_ends_the_capture_with_its_packets(world):
    world.host.add_veth("wan2", world.peer, "wanpeer2")
    request = world.capture(interface=["wan2"], packets=10, timeout=20)
    sender = Sender(world.peer, "wanpeer2")
    sender.send(5, rate=1000)
    world.wait_packets(request, 5)
    world.host.set_up("wan2", False)
    world.host.set_up("wan2")
    until(lambda: "LOWER_UP" in world.peer.ip("link", "show", "wanpeer2"), 5, "carrier")
    sender.send(5, first=5, rate=1000)
    done = request.done()
    world.host.delete_link("wan2")
    if done["reason"] == "packets":
        world.file(request).assert_numbers(0, 10)
    else:  # the capture may also end with the link, if its reason names that
        assert (done["reason"], done["packets"]) == ("interface-gone", 5)


def test_interface_any_follows_the_rules_of_each_interface(world):
    request = world.capture(captures=3, interface=["any"], timeout=300, bpf="udp dst port 9 or udp port 7778")
    world.sender.send(4, first=10, rate=1000)
    udp_over_loopback(world.host, 3, 7778)
    world.wait_packets(request, 7)
    world.stop(request)
    assert sum(event["packets"] for event in request.finals(3)) == 7
    files = [CaptureFile(f"{world.directory}/{name}") for name in world.files_of(request)]
    assert sum(len(file.packets) for file in files) == 7
    for name in world.files_of(request):
        judge(f"{world.directory}/{name}")
