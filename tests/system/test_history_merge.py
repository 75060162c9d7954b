# SPDX-License-Identifier: BSD-2-Clause
"""`merge`: several interfaces in one pcapng file in time order, from history and live."""

import time

import pytest

from lib.cloudshark_server import hang
from lib.history import GENEROUS, recorder, rfc3339
from lib.pcapfile import fields, judge
from lib.traffic import Sender
from lib.world import World

BOTH = ["eth0", "eth1"]


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    config = {**recorder("32MiB", BOTH), "interface": [{"name": "eth0", "alias": ["both"]}, {"name": "eth1", "alias": ["both"]}]}
    with World(tmp_path_factory.mktemp("merge"), config, pairs=2) as installation:
        yield installation


def send_both(world, count, rate=2000, **options):
    """Sends on both interfaces at the same time: numbers from 0 on eth0, from 1,000,000 on eth1."""
    streams = [Sender(world.peer, f"peer{pair}").start(count=count, rate=rate, first=pair * 1_000_000, **options)
               for pair in (0, 1)]
    for stream in streams:
        stream.result()


def numbers_of(file, interface):
    index = [entry.name for entry in file.interfaces].index(interface)
    return [packet.number for packet in file.packets if packet.interface == index]


def assert_merged(file):
    assert [entry.name for entry in file.interfaces] == BOTH
    file.assert_time_order()
    assert all((packet.number >= 1_000_000) == (file.interfaces[packet.interface].name == "eth1") for packet in file.packets)


def merged_capture(world, **options):
    request = world.request(interface=BOTH, merge=True, **options)
    event = request.done()
    assert len(request.all("done", "failed")) == len(request.all("accepted")) == 1, "one file, one answer"
    return request, event


def test_history_of_two_interfaces_is_merged(world):
    begin = time.time_ns()
    world.sender.send(100, rate=2000)
    Sender(world.peer, "peer1").send(200, rate=2000, first=1_000_000)
    world.sender.send(100, rate=2000, first=100)
    request, event = merged_capture(world, **{"from": rfc3339(begin), "to": rfc3339(time.time_ns())})
    file = world.file(request)
    assert_merged(file)
    assert numbers_of(file, "eth0") == list(range(200))
    assert numbers_of(file, "eth1") == list(range(1_000_000, 1_000_200))
    assert event["packets"] == 400 and event["window"]["complete"] is True
    assert file.numbers == [*range(100), *range(1_000_000, 1_000_200), *range(100, 200)]
    judge(world.path(request))
    assert set(fields(world.path(request), "frame.interface_name")) == {("eth0",), ("eth1",)}
    assert len(world.files_of(request)) == 1


def test_history_and_live_of_two_interfaces_are_merged(world):
    begin = time.time_ns()
    send_both(world, 100, dst_port=4001)
    request = world.capture(captures=1, interface=BOTH, merge=True, **{"from": rfc3339(begin)}, packets=400, timeout=20,
                            bpf="udp dst port 4001")
    Sender(world.peer, "peer0").send(100, rate=2000, first=100, dst_port=4001)
    Sender(world.peer, "peer1").send(100, rate=2000, first=1_000_100, dst_port=4001)
    event = request.done()
    assert (event["reason"], event["packets"]) == ("packets", 400), event
    file = world.file(request)
    assert_merged(file)
    assert numbers_of(file, "eth0") == list(range(200)) and numbers_of(file, "eth1") == list(range(1_000_000, 1_000_200))


@pytest.mark.parametrize("limit", [1, 99, 150, 399])
def test_packet_limit_covers_the_merged_file_and_keeps_the_earliest(world, limit):
    begin = time.time_ns()
    send_both(world, 200, dst_port=4002)
    span = {"from": rfc3339(begin), "to": rfc3339(time.time_ns()), "bpf": "udp dst port 4002"}
    whole, _ = merged_capture(world, **span)
    request, event = merged_capture(world, packets=limit, **span)
    assert (event["reason"], event["packets"]) == ("packets", limit), event
    assert world.file(request).numbers == world.file(whole).numbers[:limit]


def test_byte_limit_covers_the_merged_file(world):
    begin = time.time_ns()
    send_both(world, 100, dst_port=4003, size=100)
    span = {"from": rfc3339(begin), "to": rfc3339(time.time_ns()), "bpf": "udp dst port 4003"}
    whole, _ = merged_capture(world, **span)
    request, event = merged_capture(world, bytes=5050, **span)
    assert (event["reason"], event["packets"], event["bytes"]) == ("bytes", 51, 5100), event
    assert world.file(request).numbers == world.file(whole).numbers[:51]


def test_live_packet_limit_is_exact_while_both_interfaces_receive(world):
    reference = world.capture(interface=BOTH, packets=3000, timeout=20, bpf="udp dst port 4004")
    request = world.capture(captures=1, interface=BOTH, merge=True, packets=1000, timeout=20, bpf="udp dst port 4004")
    send_both(world, 3000, rate=5000, dst_port=4004)
    event = request.done()
    reference.finals(2)
    assert (event["reason"], event["packets"]) == ("packets", 1000), event
    everything = sorted((packet.time_ns, packet.number)
                        for interface in BOTH for packet in world.file(reference, interface).packets)
    file = world.file(request)
    assert_merged(file)
    assert sorted((packet.time_ns, packet.number) for packet in file.packets) == everything[:1000]


def test_merge_needs_pcapng(world):
    refused = world.refused(interface=BOTH, merge=True, format="pcap", packets=5, timeout=5)
    assert refused["field"] == "format", refused


def test_merge_covers_the_interfaces_of_an_alias(world):
    begin = time.time_ns()
    send_both(world, 20, dst_port=4005)
    request = world.request(alias=["both"], merge=True, **{"from": rfc3339(begin), "to": rfc3339(time.time_ns())},
                            bpf="udp dst port 4005")
    assert request.done()["packets"] == 40
    assert_merged(world.file(request))


def test_merge_covers_any_interface(world):
    begin = time.time_ns()
    send_both(world, 20, dst_port=4006)
    request = world.request(interface=["any"], merge=True, **{"from": rfc3339(begin), "to": rfc3339(time.time_ns())},
                            bpf="udp dst port 4006")
    event = request.done()
    assert event["packets"] == 40, event
    file = world.file(request)
    file.assert_time_order()
    assert {"eth0", "eth1"} <= {entry.name for entry in file.interfaces}
    assert numbers_of(file, "eth0") == list(range(20)) and numbers_of(file, "eth1") == list(range(1_000_000, 1_000_020))
    assert len(request.all("done", "failed")) == 1


def test_merged_file_lists_an_interface_without_packets(world):
    begin = time.time_ns()
    Sender(world.peer, "peer0").send(10, rate=2000, dst_port=4007)
    request, event = merged_capture(world, **{"from": rfc3339(begin), "to": rfc3339(time.time_ns())}, bpf="udp dst port 4007")
    assert event["packets"] == 10
    assert_merged(world.file(request))


def test_merged_window_is_complete_only_if_every_interface_is(make_world):
    world = make_world(recorder("32MiB", ["eth0"]), pairs=2)
    mark = time.time_ns()
    send_both(world, 10)
    request, event = merged_capture(world, **{"from": rfc3339(mark), "to": rfc3339(time.time_ns())})
    assert event["window"]["complete"] is False, "eth1 has no recorder"
    assert world.file(request).numbers == list(range(10))


def test_merged_window_of_newly_opened_rings_begins_as_requested(make_world):
    """The rings open one after the other, which takes a while; the request wants no history."""
    world = make_world({}, pairs=2)
    event = world.request(interface=BOTH, merge=True, duration=0.5).final()
    assert event["window"]["complete"] is True and event["window"]["from"] == event["window"]["asked_from"], event


def test_merged_capture_survives_the_loss_of_one_interface(make_world):
    world = make_world(GENEROUS, pairs=2)
    request = world.capture(captures=1, interface=BOTH, merge=True, packets=30, timeout=20)
    Sender(world.peer, "peer0").send(10, rate=2000)
    world.wait_packets(request, 10)
    world.host.delete_link("eth0")
    world.daemon.wait_log("interface-gone", interface="eth0")
    Sender(world.peer, "peer1").send(20, rate=2000, first=1_000_000)
    event = request.done()
    assert event["packets"] == 30 and event["window"]["complete"] is False, event
    assert_merged(world.file(request))


def test_merged_capture_counts_as_one(make_world):
    """Whatever its interfaces."""
    world = make_world({"limits": {"captures": 2}}, pairs=2, cloudshark={"token": "t", "behaviour": hang()})
    delivering = world.capture(packets=2, timeout=20, to_destinations=["cloudshark"])
    world.sender.send(2, rate=1000)
    delivering.wait("captured")
    world.capture(captures=1, interface=BOTH, merge=True, packets=30, timeout=20)
    load = world.api.get("/v1/status").expect(200).json["load"]
    assert (load["captures"], load["delivering"]) == (1, 1), load
    metrics = world.api.get("/metrics").expect(200).body.decode()
    assert "pcapdaemon_captures_running 1\n" in metrics and "pcapdaemon_captures_delivering 1\n" in metrics, metrics
    world.capture(captures=1, interface=BOTH, merge=True, packets=30, timeout=20)
    refused = world.refused(interface=BOTH, merge=True, packets=5, timeout=5)
    assert "limits.captures" in refused["reason"], refused


def test_merge_that_names_an_absent_interface_is_refused_whole(make_world):
    world = make_world(GENEROUS)
    refused = world.refused(interface=["eth0", "absent0"], merge=True, packets=5, timeout=5)
    assert "absent0" in refused["reason"], refused
    world.assert_works()
