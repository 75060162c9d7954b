# SPDX-License-Identifier: BSD-2-Clause
"""The recorder: a request with `before` gets exactly its packets from history and continues live without a gap. High rates are in
test_full_rate.py."""

import time

import pytest

from lib.account import Arrivals, assert_part
from lib.history import NS, assert_holds_window, at_random, fill, numbers_between, recorder, rfc3339, window
from lib.pcapfile import judge
from lib.tcpdump import Tcpdump
from lib.traffic import Sender
from lib.waiting import seconds, until
from lib.world import World

JUMBO = 65521
SIZES = {"eth0": 64, "eth1": 1500, "eth2": 60000}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    """Rings of 32 MiB that have wrapped before the first test. None has dropped packets: a window may count drops from just before it."""
    with World(tmp_path_factory.mktemp("small"), recorder("32MiB", SIZES), pairs=3, mtu=JUMBO) as installation:
        for pair, interface in enumerate(SIZES):
            fill(installation, 48 << 20, SIZES[interface], interface, Sender(installation.peer, f"peer{pair}"), src_port=1)
        yield installation


# --- before ---

@pytest.mark.parametrize("rate, before, after", [(1, 2.5, 1.5), (100, 0.6, 0.3)])
def test_before_is_exact_at_low_rates_for_every_size(world, rate, before, after):
    reference = world.capture(interface=list(SIZES), timeout=300)
    streams = [Sender(world.peer, f"peer{pair}").start(count=0, seconds=300, rate=rate, size=size)
               for pair, size in enumerate(SIZES.values())]
    with Tcpdump(world, "eth0") as tcpdump:
        until(lambda: world.packets_of(reference) >= 3)
        at_random(before, before + 1.5)
        request = world.capture(interface=list(SIZES), before=before, timeout=after)
        events = request.finals(3)
        sent = range(max(stream.stop()["sent"] for stream in streams))
        world.stop(reference)
        reference.finals(3)
        other = tcpdump.packets()
    for event in events:
        interface = event["interface"]
        assert_part(event, world.file(request, interface).numbers, sent)
        assert window(event, "from") <= window(event, "asked_from")
        file = world.file(request, interface)
        assert file.packets and {packet.wirelen for packet in file.packets} == {SIZES[interface]}
        assert_holds_window(file, event, world.file(reference, interface))
    event, = [event for event in events if event["interface"] == "eth0"]
    numbers = world.file(request, "eth0").numbers
    certain = numbers_between(other, window(event, "asked_from") + NS // 1000, window(event, "to") - NS // 1000)
    possible = numbers_between(other, window(event, "asked_from") - NS // 1000, window(event, "to") + NS // 1000)
    assert set(certain) <= set(numbers) and set(numbers) & set(other.numbers) <= set(possible), "tcpdump saw another window"


def test_history_overwritten_at_full_rate_is_accounted_for(make_world):
    """32 MiB hold 60,000 B packets at full rate for a few milliseconds. Packets that the socket saw and the file lacks are in `lost`."""
    world = make_world(recorder("32MiB"), mtu=JUMBO)
    arrivals = Arrivals(world)
    stream = world.sender.start(count=0, seconds=300, size=60000)
    until(lambda: arrivals.count() > 2000, 30, "the ring to wrap")
    request = world.request(before=300, packets=1500, timeout=300)
    event = request.done(timeout=60)
    sent = range(stream.stop()["sent"])
    file = world.file(request)
    assert (event["reason"], event["packets"]) == ("packets", 1500)
    assert_part(event, file.numbers, sent, len(sent) - arrivals.settle())
    assert event["window"]["complete"] is False and window(event, "from") > window(event, "asked_from"), event
    file.assert_time_order()


# --- limits count history and live packets ---

def test_packet_limit_counts_history_and_live(world):
    mark = time.time_ns()
    world.sender.send(30, rate=5000)
    request = world.capture(**{"from": mark / NS}, packets=50, timeout=20)
    world.sender.send(30, rate=5000, first=30)
    event = request.done()
    assert (event["reason"], event["packets"]) == ("packets", 50)
    world.file(request).assert_numbers(0, 50)
    judge(world.path(request))


def test_packet_limit_may_be_met_by_history_alone(world):
    world.sender.send(30, rate=5000, dst_port=4001)
    began = time.monotonic()
    request = world.request(before=20, packets=10, timeout=20, bpf="udp dst port 4001")
    event = request.done()
    assert time.monotonic() - began < seconds(15), "the capture waits for its timeout"
    assert (event["reason"], event["packets"]) == ("packets", 10)
    world.file(request).assert_numbers(0, 10)


@pytest.mark.parametrize("limit, packets", [(20 * 100, 20), (20 * 100 + 1, 21), (45 * 100, 45)])
def test_byte_limit_counts_history_and_live(world, limit, packets):
    mark = time.time_ns()
    world.sender.send(30, rate=5000, size=100, dst_port=4002)
    request = world.request(**{"from": rfc3339(mark)}, bytes=limit, timeout=20, bpf="udp dst port 4002")
    request.accepted()
    world.sender.send(30, rate=5000, size=100, first=30, dst_port=4002)
    event = request.done()
    assert (event["reason"], event["packets"], event["bytes"]) == ("bytes", packets, packets * 100)
    world.file(request).assert_numbers(0, packets)


def test_timeout_counts_from_the_request(world):
    world.sender.send(5, rate=5000, dst_port=4003)
    request = world.capture(before=10, timeout=3, bpf="udp dst port 4003")
    world.sender.send(5, rate=5000, first=5, dst_port=4003)
    event = request.done()
    assert (event["reason"], event["packets"]) == ("timeout", 10)
    assert window(event, "to") - window(event, "asked_from") == 13 * NS
    world.file(request).assert_numbers(0, 10)


def test_quiet_history_does_not_end_a_capture_as_idle(world):
    world.sender.send(3, rate=5000, dst_port=4004)
    quiet = time.monotonic() + 0.6  # longer than the idle time, as the case requires
    until(lambda: time.monotonic() > quiet)
    world.sender.send(3, rate=5000, first=3, dst_port=4004)
    request = world.capture(before=20, duration=20, timeout=0.4, bpf="udp dst port 4004")
    event = request.done()
    assert (event["reason"], event["packets"]) == ("idle", 6)


def test_request_snap_length_and_filter_apply_to_history(world):
    world.sender.send(20, rate=5000, size=500, dst_port="5000-5001")
    request = world.capture(before=5, packets=10, timeout=20, snap=70, bpf="udp dst port 5001")
    request.done()
    file = world.file(request)
    assert file.numbers == list(range(1, 20, 2))
    assert [(packet.caplen, packet.wirelen) for packet in file.packets] == [(70, 500)] * 10


# --- late requests and windows ---

def test_late_request_loses_no_packets(world):
    event_time = time.time_ns()
    world.sender.send(200, rate=200, dst_port=4005)  # takes a second
    request = world.request(**{"from": rfc3339(event_time)}, packets=220, timeout=20, bpf="udp dst port 4005")
    request.accepted()
    world.sender.send(20, rate=1000, first=200, dst_port=4005)
    event = request.done()
    assert event["window"]["complete"] is True
    world.file(request).assert_numbers(0, 220)


def test_window_wholly_in_history_ends_without_waiting(world):
    world.sender.send(10, rate=1000, dst_port=4006)
    begin = time.time_ns()
    world.sender.send(50, rate=1000, first=10, dst_port=4006)
    end = time.time_ns()
    world.sender.send(10, rate=1000, first=60, dst_port=4006)
    for form in (rfc3339, lambda time_ns: time_ns / NS):
        began = time.monotonic()
        request = world.request(**{"from": form(begin), "to": form(end)}, bpf="udp dst port 4006")
        event = request.done()
        assert time.monotonic() - began < seconds(10), "the capture waits for a timeout"
        assert (event["reason"], event["packets"]) == ("window", 50), event
        assert event["window"]["complete"] is True
        assert abs(window(event, "asked_from") - begin) < 10_000 and abs(window(event, "to") - end) < 10_000, event
        world.file(request).assert_numbers(10, 50)
        if form is rfc3339:  # events return times as requested
            assert (event["window"]["from"], event["window"]["to"]) == (rfc3339(begin), rfc3339(end)), event


def test_window_before_all_history_is_reported_as_requested(world):
    begin, end = (1_577_836_800 + later for later in (0, 10))  # in 2020
    event = world.request(**{"from": begin, "to": end}, bpf="udp dst port 4006").done()
    assert (event["reason"], event["packets"], event["window"]["complete"]) == ("empty", 0, False)
    assert window(event, "asked_from") == begin * NS and window(event, "to") == window(event, "from") == end * NS, event


def test_window_accepts_whole_unix_seconds_and_other_time_zones(world):
    now = time.time_ns()
    world.sender.send(5, rate=1000, dst_port=4007)
    begin = time.strftime("%Y-%m-%dT%H:%M:%S+02:00", time.gmtime(now // NS - 1 + 7200))
    request = world.request(**{"from": begin, "to": rfc3339(time.time_ns())}, bpf="udp dst port 4007")
    event = request.done()
    assert abs(window(event, "asked_from") - (now // NS - 1) * NS) < 10_000, event
    assert event["packets"] == 5
    end = time.time_ns() // NS + 1
    request = world.request(**{"from": now // NS - 1, "to": end}, bpf="udp dst port 4007")
    event = request.done()
    assert abs(window(event, "asked_from") - (now // NS - 1) * NS) < 10_000
    assert abs(window(event, "to") - end * NS) < 10_000 and event["packets"] == 5


def test_window_spans_history_and_future(world):
    begin = time.time_ns()
    reference = world.capture(timeout=300, bpf="udp dst port 4008")
    stream = world.sender.start(count=0, seconds=300, rate=500, dst_port=4008)
    world.wait_packets(reference, 100)
    asked = time.time_ns()
    end = asked + NS // 2
    request = world.capture(**{"from": rfc3339(begin), "to": rfc3339(end)}, bpf="udp dst port 4008")
    event = request.done()
    assert time.time_ns() >= end
    stream.stop()
    world.stop(reference)
    reference.done()
    assert event["reason"] == "window" and event["window"]["complete"] is True, event
    file = world.file(request)
    assert_holds_window(file, event, world.file(reference), begin, end)
    assert file.packets[0].time_ns < asked < file.packets[-1].time_ns


def test_window_wholly_in_the_future_holds_exactly_its_packets(world):
    reference = world.capture(timeout=300, bpf="udp dst port 4009")
    stream = world.sender.start(count=0, seconds=300, rate=1000, dst_port=4009)
    world.wait_packets(reference, 1)
    begin = time.time_ns() + NS // 2
    end = begin + NS // 2
    request = world.capture(**{"from": rfc3339(begin), "to": rfc3339(end)}, bpf="udp dst port 4009")
    event = request.done()
    stream.stop()
    world.stop(reference)
    reference.done()
    assert event["reason"] == "window" and event["window"]["complete"] is True, event
    file = world.file(request)
    assert file.packets
    assert_holds_window(file, event, world.file(reference), begin, end)


def test_empty_history_window_is_reported_empty(world):
    now = time.time_ns()
    request = world.request(**{"from": rfc3339(now - NS), "to": rfc3339(now)}, bpf="udp dst port 4010")
    event = request.done()
    assert (event["reason"], event["packets"]) == ("empty", 0)
    assert world.files_of(request) == []


# --- missing history ---

def comments(file):
    return "\n".join(file.comments)


def test_time_before_the_daemon_started_is_reported_missing(make_world):
    world = make_world(recorder())
    world.sender.send(10, rate=1000)
    request = world.capture(before=3000, packets=10, timeout=20)
    event = request.done()
    assert event["window"]["complete"] is False
    assert window(event, "from") > window(event, "asked_from") + 2900 * NS
    file = world.file(request)
    file.assert_numbers(0, 10)
    assert "incomplete" in comments(file)
    assert event["window"]["asked_from"][:19] in comments(file), comments(file)
    assert event["window"]["from"][:19] in comments(file), comments(file)


def test_time_before_boot_may_be_requested(make_world):
    world = make_world(recorder())
    world.sender.send(10, rate=1000)
    asked = 1_000_000_000
    request = world.capture(**{"from": asked}, packets=10, timeout=20)
    event = request.done()
    assert abs(window(event, "asked_from") - asked * NS) < 10_000, event
    assert event["window"]["complete"] is False and event["packets"] == 10
    request = world.request(**{"from": asked, "to": asked + 1})
    event = request.done()
    assert (event["reason"], event["packets"], event["window"]["complete"]) == ("empty", 0, False), event


def test_log_shows_the_requested_and_the_actual_beginning(make_world):
    world = make_world(recorder())
    world.sender.send(10, rate=1000)
    request = world.capture(before=3000, packets=10, timeout=20)
    event = request.done()
    line = world.daemon.wait_log("event-done", request=request.id)
    assert line.fields["complete"] == "false" and line.fields["lost_evicted"] == "0"
    assert event["window"]["asked_from"][:19] in line.text and event["window"]["from"][:19] in line.text, line.text


def test_before_without_a_recorder_is_reported_missing(make_world):
    world = make_world()
    request = world.capture(before=5, packets=5, timeout=20)
    world.sender.send(5, rate=1000)
    event = request.done()
    assert event["window"]["complete"] is False and event["packets"] == 5
    assert window(event, "from") > window(event, "asked_from") + 4 * NS
    now = time.time_ns()
    earlier = world.request(**{"from": rfc3339(now - 30 * NS), "to": rfc3339(now - 29 * NS)})
    event = earlier.final() if earlier.answer()["event"] == "accepted" else earlier.rejected()
    assert event["event"] == "rejected" or event["window"]["complete"] is False, event
