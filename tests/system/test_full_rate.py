# SPDX-License-Identifier: BSD-2-Clause
"""Recorder and captures at the sender's full rate, whatever that is: packets are in order, and losses are accounted for. How many are lost
is for the benchmark to show."""

import contextlib
import signal
import time

import pytest

from lib.account import Arrivals, assert_exact, assert_part, lost
from lib.cloudshark_server import hang
from lib.events import FINAL
from lib.history import (EDGE_NS, GENEROUS, NS, assert_inside, at_random, fill, numbers_between, reachable_share, recorder, rfc3339,
                         status, window)
from lib.tcpdump import Tcpdump
from lib.waiting import until
from lib.world import World

JUMBO = 65521
ENDLESS = {"count": 0, "seconds": 300}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    """A ring of 32 MiB that has wrapped before the first test."""
    with World(tmp_path_factory.mktemp("small"), recorder("32MiB")) as installation:
        fill(installation, 48 << 20, 200, src_port=1)
        yield installation


@pytest.fixture(scope="module")
def large_world(tmp_path_factory):
    """A ring of 256 MiB, for traffic that fills 32 MiB within milliseconds."""
    with World(tmp_path_factory.mktemp("large"), recorder("256MiB"), mtu=JUMBO) as installation:
        yield installation


@contextlib.contextmanager
def traffic(world, **options):
    """Sends until the block ends; then `sent` is the range of numbers, and `not_arrived` counts those that did not reach the interface."""
    arrivals = Arrivals(world)
    stream = world.sender.start(**ENDLESS, **options)
    try:
        until(lambda: arrivals.count() > 1000, what="packets to arrive")
        yield stream
    finally:
        stream.sent = range(stream.stop()["sent"])
    stream.not_arrived = len(stream.sent) - arrivals.settle()


@pytest.mark.parametrize("size, before", [(64, 0.4), (1500, 0.3), (60000, 0.1)])
def test_before_is_exact_at_10000_packets_a_second(world, large_world, size, before):
    world = large_world if size == 60000 else world
    reference = world.capture(timeout=300, snap=128)
    with Tcpdump(world, "eth0") as tcpdump:
        with traffic(world, rate=10000, size=size) as stream:
            at_random(before + 0.05, before + 0.8)
            request = world.capture(before=before, timeout=0.05)
            event = request.done()
        world.stop(reference)
        reference_event = reference.done()
        other = tcpdump.packets()
    file, everything = world.file(request), world.file(reference)
    assert_part(event, file.numbers, stream.sent, stream.not_arrived)
    assert_part(reference_event, everything.numbers, stream.sent, stream.not_arrived)
    assert_inside(file, window(event, "asked_from"), window(event, "to"))
    assert all(packet.caplen == size for packet in file.packets)
    surely = numbers_between(everything, window(event, "from") + EDGE_NS, window(event, "to") - EDGE_NS)
    assert len(set(surely) - set(file.numbers)) <= event["lost"]["evicted"], event
    # tcpdump may have lost packets too; those in both files lie in the window by both clocks
    nearly = numbers_between(other, window(event, "asked_from") - NS // 1000, window(event, "to") + NS // 1000)
    assert set(file.numbers) & set(other.numbers) <= set(nearly), "tcpdump saw another window"
    if event["window"]["complete"]:
        assert set(numbers_between(other, window(event, "asked_from") + NS // 1000, window(event, "to") - NS // 1000)) <= set(file.numbers)


@pytest.mark.parametrize("size, before, packets", [(64, 0.03, 60_000), (1500, 0.08, 60_000), (60000, 0.006, 2500)])
def test_before_is_exact_at_full_rate(world, large_world, size, before, packets):
    """No reference can keep up. The first packet is correct if its predecessor, in a file that reaches back further, is older than the
    window."""
    world = world if size == 64 else large_world
    with traffic(world, size=size) as stream:
        at_random(0.2, 0.5)
        further = world.request(before=before * 1.4, packets=packets, timeout=300, snap=128)
        request = world.request(before=before, packets=packets, timeout=300, snap=128)
        event, other = request.done(timeout=60), further.done(timeout=60)
    assert event["reason"] == other["reason"] == "packets" and event["packets"] == other["packets"] == packets
    file, further_file = world.file(request), world.file(further)
    for reported, numbers in ((event, file.numbers), (other, further_file.numbers)):
        assert_part(reported, numbers, stream.sent, stream.not_arrived)
    file.assert_time_order()
    assert file.packets[0].time_ns >= window(event, "asked_from") - EDGE_NS
    lacking = [packet.number for packet in further_file.packets
               if packet.number < file.numbers[0] and packet.time_ns >= window(event, "from") + EDGE_NS]
    assert len(lacking) <= event["lost"]["evicted"], (lacking[:5], event, other)
    if event["window"]["complete"] and other["window"]["complete"]:
        assert further_file.numbers[0] <= file.numbers[0], (event, other)  # equal if the sender paused there


@pytest.mark.parametrize("count, size", [(300_000, 64), (100_000, 1514)])
def test_live_capture_accounts_for_every_packet(make_world, count, size):
    make_world(GENEROUS).assert_accounts_for(count, 0, size)


@pytest.mark.parametrize("count, size", [(300_000, 64), (90_000, 1500)])
def test_history_back_to_the_first_packet_accounts_for_every_packet(make_world, count, size):
    world = make_world(recorder("256MiB"))
    arrivals, mark = Arrivals(world), time.time_ns()
    sent = world.sender.send(count, size=size)["sent"]
    arrived = arrivals.settle()
    request = world.request(**{"from": rfc3339(mark), "to": rfc3339(time.time_ns())}, snap=64)
    event = request.done(timeout=60)
    assert_exact(event, world.file(request).numbers, range(sent), arrived)
    assert window(event, "from") == mark, "256 MiB hold all packets"


def overrun(world, arrivals, first, count, size):
    """Sends more than the ring holds while the daemon is stopped, then a few packets that fit again. Returns the numbers sent."""
    world.daemon.signal(signal.SIGSTOP)
    try:
        world.sender.send(count, size=size, first=first)
    finally:
        world.daemon.signal(signal.SIGCONT)
    arrivals.settle()
    world.sender.send(200, rate=2000, size=size, first=first + count)
    return range(first + count + 200)


def test_live_capture_accounts_for_kernel_drops_while_the_daemon_slept(make_world):
    world = make_world(GENEROUS)
    request, arrivals = world.capture(timeout=300), Arrivals(world)
    world.sender.send(1000, rate=10_000, size=1500)
    sent = overrun(world, arrivals, 1000, 60_000, 1500)
    arrived = arrivals.settle()
    world.stop(request)
    event = request.done(timeout=60)
    assert_exact(event, world.file(request).numbers, sent, arrived)
    assert event["lost"]["kernel"] > 10_000 and event["lost"]["kernel"] == arrivals.dropped(), event


def test_history_accounts_for_kernel_drops_while_the_daemon_slept(make_world):
    world = make_world(recorder("32MiB"))
    arrivals, mark = Arrivals(world), time.time_ns()
    sent = overrun(world, arrivals, 0, 40_000, 1500)
    arrived = arrivals.settle()
    request = world.request(**{"from": rfc3339(mark), "to": rfc3339(time.time_ns())}, snap=64)
    event = request.done()
    numbers = world.file(request).numbers
    assert_part(event, numbers, sent, len(sent) - arrived)
    assert event["lost"] == {"kernel": arrivals.dropped(), "evicted": 0, "memory": 0} and event["lost"]["kernel"] > 10_000, event
    assert numbers[-200:] == list(sent[-200:]) and len(numbers) > 200, "packets from before and after the drops"


@pytest.mark.parametrize("size", [64, 1500])
def test_sixty_percent_of_the_memory_is_reachable(make_world, size):
    assert reachable_share(make_world(recorder("32MiB")), 0, size, 50) >= 0.6


@pytest.mark.parametrize("memory", [64, 128])
def test_sixty_percent_of_a_larger_memory_is_reachable(make_world, memory):
    assert reachable_share(make_world(recorder(f"{memory}MiB")), 0, 1250, 1.6 * memory) >= 0.6


def test_each_request_during_full_rate_recording_is_accounted_for(make_world):
    world = make_world(recorder("256MiB"))
    with traffic(world, size=200) as stream:
        requests = [world.request(before=0.05, packets=1000, timeout=300, snap=100) for _ in range(20)]
        events = [request.done(timeout=60) for request in requests]
    for request, event in zip(requests, events):
        assert (event["packets"], event["reason"]) == (1000, "packets"), event
        assert_part(event, world.file(request).numbers, stream.sent, stream.not_arrived)


def test_hanging_uploads_hold_no_ring_memory(make_world):
    config = recorder("64MiB")
    config["cloudshark"] = {"timeout": 600}
    world = make_world(config, cloudshark={"token": "secret", "behaviour": [hang("before")] * 10})
    fill(world, 5000 * 200, 100)
    waiting = [world.capture(before=100, packets=2000, timeout=300) for _ in range(8)]
    for request in waiting:
        request.wait("captured", timeout=30)
    assert reachable_share(world, 0, 1250, 100, to_destinations=["local"]) >= 0.6
    assert not [request for request in waiting if request.all(*FINAL)], "the uploads must hang"
    world.daemon.stop(grace=False)


def test_captures_starting_on_other_interfaces_do_not_disturb_the_recorder_account(make_world):
    """Each opens a ring of 64 MiB while the recorder's ring fills."""
    world = make_world(recorder("256MiB"), pairs=6)
    with traffic(world, size=1500):  # checks at its end that the recorder's ring accounts for every packet
        requests = [world.request(interface=[f"eth{pair}"], timeout=0.1) for pair in range(1, 6)]
        assert [request.done(timeout=60)["reason"] for request in requests] == ["empty"] * 5


def test_overwritten_history_is_reported_missing(make_world):
    world = make_world(recorder("32MiB"))
    mark = time.time_ns()
    count = fill(world, 48 << 20, 200)
    request = world.request(**{"from": rfc3339(mark), "to": rfc3339(time.time_ns())}, snap=64)
    event = request.done()
    assert event["window"]["complete"] is False and window(event, "from") > mark and lost(event) == 0, event
    file = world.file(request)
    assert 0 < file.numbers[0] < count
    file.assert_numbers(file.numbers[0], count - file.numbers[0])  # all up to the newest
    # and all since the reported beginning
    assert all(packet.time_ns >= window(event, "from") - EDGE_NS for packet in file.packets)
    assert float(status(world)["reach_s"]) > 0


def test_status_shows_how_far_back_history_reaches(make_world):
    world = make_world(recorder(seconds=300))
    began = time.monotonic()
    fill(world, 100 * 200, 100)
    asked = time.monotonic()
    fields = status(world)
    reach = float(fields["reach_s"])
    assert fields["recorder"] == "true" and fields["gone"] == "false" and fields["dropped"] == "0"
    assert asked - began <= reach < 300
    now = time.time_ns()
    request = world.request(**{"from": rfc3339(now - int((reach - 0.01) * NS)), "to": rfc3339(now)})
    assert request.done()["window"]["complete"] is True
    fill(world, 48 << 20, 100)
    assert float(status(world)["reach_s"]) < time.monotonic() - began, "the earliest packets are gone"
    request = world.request(before=float(status(world)["reach_s"]) * 0.9, packets=1000, timeout=5)
    assert request.done()["window"]["complete"] is True
