# SPDX-License-Identifier: BSD-2-Clause
"""Recorder and captures at the sender's full rate, at which their rings hold fractions of a second: nothing is lost, every file exact.

Runs alone (tests/run): wherever the kernel is not preempted, another test that makes a ring takes a CPU away for longer than that."""

import time

import pytest

from lib.cloudshark_server import hang
from lib.events import FINAL, NOTHING
from lib.history import (EDGE_NS, GENEROUS, NS, assert_contiguous, assert_holds_window, at_random, numbers_between, reachable_share,
                         recorder, rfc3339, status, wait_taken_over, window)
from lib.tcpdump import Tcpdump
from lib.waiting import until
from lib.world import World

JUMBO = 65521


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    """A ring of 32 MiB, gone round several times before the first test."""
    with World(tmp_path_factory.mktemp("small"), recorder("32MiB")) as installation:
        installation.sender.send(1_000_000, size=64, src_port=1)
        yield installation


@pytest.fixture(scope="module")
def large_world(tmp_path_factory):
    """A ring of 256 MiB, for what 32 MiB hold only for milliseconds."""
    with World(tmp_path_factory.mktemp("large"), recorder("256MiB"), mtu=JUMBO) as installation:
        yield installation


@pytest.mark.parametrize("size, before", [(64, 0.4), (1500, 0.3), (60000, 0.1)])
def test_before_is_exact_at_10000_packets_a_second(world, large_world, size, before):
    world = large_world if size == 60000 else world
    count = 4000 if size == 60000 else 12000
    reference = world.capture(packets=count, timeout=30, snap=128)
    with Tcpdump(world, "eth0") as tcpdump:
        stream = world.sender.start(count=count, rate=10000, size=size)
        at_random(before + 0.05, count / 10000 - 0.15)
        request = world.capture(before=before, timeout=0.05)
        event = request.done()
        stream.result()
        reference.done()
        other = tcpdump.packets()
    assert event["window"]["complete"] is True, event
    file = world.file(request)
    assert_holds_window(file, event, world.file(reference))
    assert all(packet.caplen == size for packet in file.packets)
    sure = numbers_between(other, window(event, "asked_from") + NS // 1000, window(event, "to") - NS // 1000)
    assert set(sure) <= set(file.numbers) and len(file.packets) <= len(sure) + 50, "tcpdump saw another window"


@pytest.mark.parametrize("size, before, packets", [(64, 0.03, 60_000), (1500, 0.08, 60_000), (60000, 0.006, 2500)])
def test_before_is_exact_at_full_rate(world, large_world, size, before, packets):
    """No reference can follow: the first packet is the right one if its predecessor, in a file that reaches back further, is
    older than the window."""
    world = world if size == 64 else large_world
    stream = world.sender.start(count=0, seconds=1.2, size=size)
    at_random(0.5, 0.8)
    further = world.request(before=before * 1.4, packets=packets, timeout=20, snap=128)
    request = world.request(before=before, packets=packets, timeout=20, snap=128)
    event, other = request.done(), further.done()
    stream.result()
    assert event["reason"] == "packets" and event["packets"] == packets
    assert event["lost"] == NOTHING and event["window"]["complete"] is True, event
    file, behind = world.file(request), world.file(further)
    first, count = assert_contiguous(file)
    assert count == packets
    assert_contiguous(behind)
    assert file.packets[0].time_ns >= window(event, "asked_from") - EDGE_NS
    assert behind.numbers[0] <= first, (behind.numbers[0], first, event, other)  # the same if the sender had to pause there
    assert [packet.number for packet in behind.packets
            if packet.number < first and packet.time_ns >= window(event, "asked_from") + EDGE_NS] == []


@pytest.mark.parametrize("count, size", [(300_000, 64), (100_000, 1514)])
def test_a_capture_without_a_past_holds_all(make_world, count, size):
    make_world(GENEROUS).assert_captures_all(count, 0, size)


@pytest.mark.parametrize("size", [64, 1500])
def test_sixty_percent_of_the_memory_is_reachable(make_world, size):
    assert reachable_share(make_world(recorder("32MiB")), 0, size, 50) >= 0.6


@pytest.mark.parametrize("memory", [64, 128])
def test_sixty_percent_of_a_larger_memory_is_reachable(make_world, memory):
    assert reachable_share(make_world(recorder(f"{memory}MiB")), 0, 1250, 1.6 * memory) >= 0.6


def test_requests_while_recording_at_full_rate_cost_the_ring_nothing(make_world):
    world = make_world(recorder("256MiB"))
    stream = world.sender.start(count=0, seconds=2, size=200)
    until(lambda: int(status(world)["packets"]) > 50_000)
    requests = [world.request(before=0.05, packets=1000, timeout=20, snap=100) for _ in range(20)]
    for request in requests:
        event = request.done()
        assert (event["packets"], event["lost"], event["window"]["complete"]) == (1000, NOTHING, True), event["window"]
        assert_contiguous(world.file(request))
    sent = stream.result()["sent"]
    until(lambda: int(status(world)["packets"]) >= sent, what="all of it in the ring")
    assert status(world)["dropped"] == "0"


def test_hanging_uploads_do_not_make_the_ring_lose(make_world):
    config = recorder("128MiB")
    config["cloudshark"] = {"timeout": 60}
    world = make_world(config, cloudshark={"token": "secret", "behaviour": [hang("before")] * 10})
    world.sender.send(5000, rate=50_000)
    waiting = [world.capture(before=10, packets=2000, timeout=20) for _ in range(8)]
    for request in waiting:
        request.wait("captured")
    before = int(status(world)["packets"])
    stream = world.sender.start(count=0, seconds=1.5, size=64)
    more = world.request(before=10, packets=100, timeout=20)
    more.wait("captured")
    sent = stream.result()["sent"]
    until(lambda: int(status(world)["packets"]) >= before + sent, what="all of it in the ring")
    assert status(world)["dropped"] == "0"
    assert not [request for request in waiting if request.all(*FINAL)], "the uploads do hang"
    world.daemon.stop(grace=False)


def test_captures_that_begin_on_other_interfaces_cost_the_ring_nothing(make_world):
    """Each has a ring of 64 MiB made, in one go of the kernel's, which may take a CPU away for longer than there is room for. A packet
    here and there is lost where the retire timer meets a ring thread that is behind."""
    world = make_world(recorder("256MiB"), pairs=6)
    stream = world.sender.start(count=0, seconds=60, size=1500)
    until(lambda: int(status(world)["packets"]) > 50_000)
    requests = [world.request(interface=[f"eth{pair}"], timeout=0.1) for pair in range(1, 6)]
    for request in requests:
        request.done()
    sent = stream.stop()["sent"]
    wait_taken_over(world)
    assert int(status(world)["dropped"]) < sent / 10_000


def test_what_was_overwritten_is_said_to_be_missing(world):
    count = 200_000  # 60 MB and more
    mark = time.time_ns()
    world.sender.send(count, size=200)
    request = world.request(**{"from": rfc3339(mark), "to": rfc3339(time.time_ns())}, snap=64)
    event = request.done()
    assert event["window"]["complete"] is False and window(event, "from") > mark, event
    file = world.file(request)
    first, got = assert_contiguous(file)
    assert first + got == count and first > 0, "the newest are there"
    # ... and everything after the moment it names is there
    assert all(packet.time_ns >= window(event, "from") - EDGE_NS for packet in file.packets)
    assert float(status(world)["reach_s"]) > 0


def test_status_says_how_far_back_it_reaches(make_world):
    world = make_world(recorder(seconds=30))
    began = time.monotonic()
    world.sender.send(100, rate=200)
    until(lambda: status(world)["packets"] == "100", what="all packets to be in retired blocks")
    asked = time.monotonic()
    fields = status(world)
    reach = float(fields["reach_s"])
    assert fields["recorder"] == "true" and fields["gone"] == "false" and fields["dropped"] == "0"
    assert asked - began <= reach < 30
    request = world.request(**{"from": rfc3339(time.time_ns() - int((reach - 0.01) * NS)), "to": rfc3339(time.time_ns())})
    assert request.done()["window"]["complete"] is True
    world.sender.send(200_000, size=100)
    assert float(status(world)["reach_s"]) < reach + 2
    request = world.request(before=float(status(world)["reach_s"]) * 0.9, packets=1000, timeout=5)
    assert request.done()["window"]["complete"] is True
