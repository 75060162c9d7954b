# SPDX-License-Identifier: BSD-2-Clause
"""Interfaces that go down, are removed, return, are renamed or appear late: recording resumes, history remains, and gaps are reported."""

import time

from lib.account import Arrivals, assert_exact
from lib.history import NS, recorder, rfc3339, status, window
from lib.traffic import Sender
from lib.waiting import until


def add_pair(world, name="eth0", peer_name="peer0"):
    world.host.add_veth(name, world.peer, peer_name)


def wait_retired(world, count, interface="eth0"):
    """Packets not in retired blocks are lost with the interface."""
    until(lambda: int(status(world, interface)["packets"]) >= count, what=f"{count} packets in retired blocks")


def capture_history(world, since_ns, to_ns=None, **options):
    request = world.request(**{"from": rfc3339(since_ns), "to": rfc3339(to_ns or time.time_ns()), **options})
    return request, request.done()


def test_recording_resumes_after_the_interface_was_down(make_world):
    world = make_world(recorder())
    begin = time.time_ns()
    world.sender.send(20, rate=2000)
    wait_retired(world, 20)
    world.host.set_up("eth0", False)
    request, event = capture_history(world, begin)
    assert event["packets"] == 20, "history remains while the interface is down"
    world.file(request).assert_numbers(0, 20)
    world.host.set_up("eth0")
    until(lambda: world.peer.ip("link", "show", "peer0").find("LOWER_UP") > 0, what="the link to be up")
    world.sender.send(20, rate=2000, first=20)
    request, event = capture_history(world, begin)
    assert event["packets"] == 40
    world.file(request).assert_numbers(0, 40)


def test_live_capture_with_history_goes_on_after_the_interface_was_down(make_world):
    world = make_world(recorder())
    world.sender.send(10, rate=2000)
    request = world.capture(before=10, packets=20, timeout=20)
    world.wait_packets(request, 10)
    world.host.set_up("eth0", False)
    world.host.set_up("eth0")
    until(lambda: world.peer.ip("link", "show", "peer0").find("LOWER_UP") > 0, what="the link to be up")
    world.sender.send(10, rate=2000, first=10)
    event = request.done()
    assert event["reason"] == "packets", event
    world.file(request).assert_numbers(0, 20)


def test_history_of_a_removed_interface_remains(make_world):
    world = make_world(recorder())
    begin = time.time_ns()
    world.sender.send(20, rate=2000)
    end = time.time_ns()
    wait_retired(world, 20)
    world.host.delete_link("eth0")
    world.daemon.wait_log("interface-gone", interface="eth0")
    assert status(world)["gone"] == "true"
    request, event = capture_history(world, begin, end)
    assert event["packets"] == 20 and event["window"]["complete"] is True, event
    world.file(request).assert_numbers(0, 20)
    request, event = capture_history(world, begin)
    assert event["packets"] == 20 and event["window"]["complete"] is False, "the window reaches into the gap"


def test_request_for_history_and_live_on_a_removed_interface_is_answered(make_world):
    world = make_world(recorder())
    world.sender.send(20, rate=2000)
    wait_retired(world, 20)
    world.host.delete_link("eth0")
    world.daemon.wait_log("interface-gone", interface="eth0")
    request = world.request(before=10, packets=100, timeout=1)
    event = request.final() if request.answer()["event"] == "accepted" else request.rejected()
    if event["event"] == "done":
        assert event["packets"] == 20 and event["window"]["complete"] is False, event
    else:
        assert "eth0" in event["reason"], event


def test_returning_interface_is_recorded_and_the_gap_is_reported(make_world):
    world = make_world(recorder())
    begin = time.time_ns()
    world.sender.send(20, rate=2000)
    first_end = time.time_ns()
    for round_number in (1, 2, 3):
        since = world.daemon.mark()
        wait_retired(world, 20 * round_number)
        world.host.delete_link("eth0")
        world.daemon.wait_log("interface-gone", interface="eth0", since=since)
        add_pair(world)
        world.daemon.wait_log("recording-again", interface="eth0", since=since)
        back = time.time_ns()
        world.sender.send(20, rate=2000, first=20 * round_number)
        assert status(world)["gone"] == "false"
        request, event = capture_history(world, begin)
        assert event["packets"] == 20 * (round_number + 1), event
        world.file(request).assert_numbers(0, 20 * (round_number + 1))
        assert event["window"]["complete"] is False, "the gap lies in the window"
        request, event = capture_history(world, back)
        assert event["packets"] == 20 and event["window"]["complete"] is True, event
    request, event = capture_history(world, begin, first_end)
    assert event["packets"] == 20 and event["window"]["complete"] is True, event


def test_running_capture_ends_when_its_interface_is_removed(make_world):
    world = make_world(recorder())
    world.sender.send(10, rate=2000)
    request = world.capture(before=10, packets=100, timeout=20)
    world.sender.send(10, rate=2000, first=10)
    world.wait_packets(request, 20)
    world.host.delete_link("eth0")
    event = request.done()
    assert (event["reason"], event["packets"]) == ("interface-gone", 20), event
    world.file(request).assert_numbers(0, 20)
    add_pair(world)
    world.daemon.wait_log("recording-again", interface="eth0")
    world.assert_works()


def test_renamed_interface_is_recorded_under_its_new_name(make_world):
    world = make_world(recorder())
    begin = time.time_ns()
    world.sender.send(20, rate=2000)
    wait_retired(world, 20)
    world.host.rename_link("eth0", "wan0")
    world.daemon.wait_log("interface-renamed", interface="eth0", name="wan0")
    until(lambda: world.peer.ip("link", "show", "peer0").find("LOWER_UP") > 0, what="the link to be up")
    world.sender.send(20, rate=2000, first=20)
    until(lambda: int(status(world, "wan0")["packets"]) >= 40)
    request, event = capture_history(world, begin, interface=["wan0"])
    assert event["packets"] == 40 and event["interface"] == "wan0", event
    world.file(request).assert_numbers(0, 40)
    request = world.capture(interface=["wan0"], before=20, packets=50, timeout=20)
    world.sender.send(10, rate=2000, first=40)
    request.done()
    world.file(request).assert_numbers(0, 50)


def test_late_interface_is_recorded_once_it_appears(make_world):
    world = make_world(recorder(interfaces=("eth0", "late0")))
    world.daemon.wait_log("recorder-waits", interface="late0")
    begin = time.time_ns()
    refused = world.refused(interface=["late0"], before=5, packets=5, timeout=5)
    assert "late0" in refused["reason"]
    since = world.daemon.mark()
    add_pair(world, "late0", "latepeer0")
    world.daemon.wait_log("recording", interface="late0", since=since)
    recorded = time.time_ns()
    Sender(world.peer, "latepeer0").send(20, rate=2000)
    request, event = capture_history(world, recorded, interface=["late0"])
    assert event["packets"] == 20 and event["window"]["complete"] is True, event
    world.file(request).assert_numbers(0, 20)
    request, event = capture_history(world, begin, interface=["late0"])
    assert event["packets"] == 20 and event["window"]["complete"] is False, event
    assert begin < window(event, "from") <= recorded + NS // 2


def test_removed_interface_does_not_disturb_other_recorders(make_world):
    """eth1 is recorded without losses while eth0 is removed and returns."""
    world = make_world(recorder(interfaces=("eth0", "eth1")), pairs=2)
    arrivals, begin = Arrivals(world, "eth1"), time.time_ns()
    stream = Sender(world.peer, "peer1").start(count=10000, rate=10000)
    for _ in range(3):
        since = world.daemon.mark()
        world.host.delete_link("eth0")
        world.daemon.wait_log("interface-gone", interface="eth0", since=since)
        add_pair(world)
        world.daemon.wait_log("recording-again", interface="eth0", since=since)
    stream.result()
    arrived = arrivals.settle()
    request, event = capture_history(world, begin, interface=["eth1"])
    assert window(event, "from") == begin and event["lost"]["evicted"] == 0, event
    assert_exact(event, world.file(request).numbers, range(10000), arrived)
