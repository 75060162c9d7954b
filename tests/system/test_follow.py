# SPDX-License-Identifier: BSD-2-Clause
"""`follow`: interfaces that appear while `any` is captured join it, merged or as captures of their own."""

import concurrent.futures
import itertools

import pytest

from lib.events import Request
from lib.history import NS, window
from lib.traffic import Sender
from lib.waiting import until
from test_left_out import churn
from test_link_types import COOKED, RAW, ip

OURS = "ether src 02:00:00:00:00:01"
_numbers = itertools.count()


def add(world, name):
    """A pod starts: a pair, whose other end is in the peer's namespace. Returns the sender there."""
    peer_name = f"q{next(_numbers)}"
    world.host.add_veth(name, world.peer, peer_name)
    return Sender(world.peer, peer_name)


def joined(world, request, name, since=0):
    world.daemon.wait_log("interface-joined", request=request.id, interface=name, since=since)


def numbers_by_interface(file):
    found = {}
    for packet in file.packets:
        found.setdefault(file.interfaces[packet.interface].name, []).append(packet.number)
    return found


def test_interfaces_that_appear_join_a_merged_capture(make_world):
    world = make_world()
    request = world.capture(captures=1, interface=["any"], merge=True, follow=True, bpf=OURS, packets=9, duration=60)
    world.sender.send(3, first=0)
    for place, name in enumerate(("pod0", "pod1"), 1):
        sender = add(world, name)
        joined(world, request, name)
        sender.send(3, first=3 * place)
    done = request.done()
    assert (done["packets"], done["reason"]) == (9, "packets") and "skipped" not in done, done
    assert len(request.all("accepted")) == len(request.all("done")) == 1
    file = world.file(request)
    file.assert_time_order()
    assert [entry.name for entry in file.interfaces] == ["lo", "eth0", "pod0", "pod1"]
    assert numbers_by_interface(file) == {"eth0": [0, 1, 2], "pod0": [3, 4, 5], "pod1": [6, 7, 8]}


def test_window_of_a_merged_capture_is_that_of_the_first_interfaces(make_world):
    world = make_world()
    request = world.capture(captures=1, interface=["any"], merge=True, follow=True, bpf=OURS, duration=60)
    accepted = request.answer()
    add(world, "pod0")  # silent
    joined(world, request, "pod0")
    world.sender.send(1)
    world.wait_packets(request, 1)
    world.stop(request)
    done = request.done()
    assert done["window"]["asked_from"] <= accepted["time"], (accepted, done)
    assert done["window"]["from"] == done["window"]["asked_from"] and done["window"]["complete"] is True, done


def test_merged_capture_that_may_have_missed_an_interface_s_first_packets_is_not_complete(make_world):
    world = make_world()
    world.host.add_veth("pod0", world.peer, "podpeer0")
    Sender(world.peer, "podpeer0").send(2)
    world.host.set_up("pod0", False)
    request = world.capture(captures=1, interface=["any"], merge=True, follow=True, bpf=OURS, duration=60)
    world.host.set_up("pod0")
    joined(world, request, "pod0")
    until(lambda: "LOWER_UP" in world.peer.ip("link", "show", "podpeer0"), what="the link to be up")
    Sender(world.peer, "podpeer0").send(2, first=10)
    world.wait_packets(request, 2)
    world.stop(request)
    done = request.done()
    assert done["window"]["complete"] is False and done["packets"] == 2, done
    assert numbers_by_interface(world.file(request)) == {"pod0": [10, 11]}


def test_interfaces_that_appear_get_captures_of_their_own(make_world):
    world = make_world()
    request = world.capture(captures=2, interface=["any"], follow=True, bpf=OURS, packets=3, duration=60)
    for number in range(3):
        sender = add(world, f"pod{number}")
        accepted = request.wait("accepted", interface=f"pod{number}")
        assert accepted["capture"] == f"{request.id}.{number + 3}", accepted
        sender.send(3, first=10 * number)
        done = request.done(interface=f"pod{number}")
        assert (done["packets"], done["reason"], done["capture"]) == (3, "packets", accepted["capture"])
        world.file(request, f"pod{number}").assert_numbers(10 * number, 3)
    world.stop(request)
    assert {event["interface"] for event in request.finals(5)} == {"lo", "eth0", "pod0", "pod1", "pod2"}
    since = world.daemon.mark()
    add(world, "pod9")
    world.capture(interface=["pod9"], duration=1).final()
    assert not world.daemon.log("interface-joined", since), "the request is over"


def test_an_interface_that_comes_back_joins_again_and_one_that_was_down_does_not(make_world):
    world = make_world()
    request = world.capture(captures=1, interface=["any"], merge=True, follow=True, bpf=OURS, duration=60)
    for place in range(3):
        since = world.daemon.mark()
        sender = add(world, "pod0")
        joined(world, request, "pod0", since)
        sender.send(1, first=place)
        world.wait_packets(request, place + 1)
        world.host.delete_link("pod0")
    world.host.set_up("eth0", False)
    world.host.set_up("eth0")
    until(lambda: "LOWER_UP" in world.peer.ip("link", "show", "peer0"), what="the link to be up")
    sender = add(world, "last0")
    joined(world, request, "last0")
    world.sender.send(1, first=7)
    world.wait_packets(request, 4)
    world.stop(request)
    file = world.file(request)
    assert [entry.name for entry in file.interfaces] == ["lo", "eth0", "pod0", "pod0", "pod0", "last0"]
    assert numbers_by_interface(file) == {"pod0": [0, 1, 2], "eth0": [7]}, "each once"


def test_an_interface_with_another_link_type_joins_again(make_world):
    world = make_world()
    tun = world.host.add_tun("tun0", bare=True)
    merged = world.capture(captures=1, interface=["any"], merge=True, follow=True, bpf="udp dst port 53", packets=3, duration=60)
    own = world.capture(captures=3, interface=["any"], follow=True, bpf="udp dst port 53", packets=1, duration=60)
    for place, hardware in enumerate((0xFFFE, 512, 0xFFFE)):
        if place:
            since = world.daemon.mark()
            tun.set_type(hardware)
            joined(world, merged, "tun0", since)
            assert own.wait("accepted", capture=f"{own.id}.{place + 3}")["interface"] == "tun0"
        tun.write(ip(53))
        if place < 2:
            world.wait_packets(merged, place + 1)
    file = world.file(merged)
    assert merged.done()["window"]["complete"] is False, "packets may have passed before it joined"
    assert [file.interfaces[packet.interface].linktype for packet in file.packets] == [RAW, COOKED, RAW]
    world.stop(own)
    finals = [event for event in own.finals(5) if event["interface"] == "tun0"]
    assert [event["packets"] for event in finals] == [1, 1, 1], finals


def test_all_end_with_the_request(make_world):
    world = make_world()
    request = world.capture(captures=2, interface=["any"], follow=True, bpf=OURS, duration=3)
    add(world, "pod0")
    request.wait("accepted", interface="pod0")
    ends = {event["interface"]: window(event, "to") for event in request.finals(3)}
    assert abs(ends["pod0"] - max(ends["lo"], ends["eth0"])) < NS // 1000, ends


def test_interface_beyond_the_limit_for_captures_is_refused_as_a_capture(make_world):
    world = make_world({"limits": {"captures": 3}})
    request = world.capture(captures=2, interface=["any"], follow=True, bpf=OURS, duration=60)
    for number in range(2):
        add(world, f"pod{number}")
        event = request.wait("accepted", "rejected", interface=f"pod{number}")
        assert event["capture"] == f"{request.id}.{number + 3}"
        assert event["event"] == ("rejected" if number else "accepted"), event
    assert "limits.captures" in event["reason"]
    world.stop(request)
    request.finals(3)


def test_interface_without_a_meaning_for_the_filter_is_skipped_in_the_final_event(make_world):
    world = make_world()
    request = world.capture(captures=1, interface=["any"], merge=True, follow=True, bpf=f"udp or {OURS}", packets=1, duration=60)
    assert "skipped" not in request.answer()
    world.host.add_tun("tun7")
    world.daemon.wait_log("interface-left-out", request=request.id, interface="tun7")
    world.sender.send(1)
    done = request.done()
    assert [item["interface"] for item in done["skipped"]] == ["tun7"], done


@pytest.mark.parametrize("fields, field", [({"interface": ["eth0"], "follow": True}, "follow"), ({"interface": ["any"], "follow": 1}, "follow"),
                                           ({"interface": ["any"], "follow": True, "merge": True, "format": "pcap"}, "format")])
def test_follow_needs_any(world, fields, field):
    assert world.refused(duration=1, **fields)["field"] == field


def test_the_daemon_stops_while_interfaces_join(make_world):
    world = make_world()
    merged = world.capture(captures=1, interface=["any"], merge=True, follow=True, bpf=OURS, duration=60)
    own = world.capture(captures=2, interface=["any"], follow=True, bpf=OURS, duration=60)
    with churn(world.host) as rounds:
        until(lambda: len(rounds) > 3, what="some churn")
        assert world.daemon.stop() == 0
    assert merged.final()["reason"] in ("shutdown", "empty")
    assert own.all("done", interface="eth0")


def test_follow_under_churn_accounts_for_every_interface(make_world):
    """Each that comes is a part or is skipped; the others are not disturbed."""
    world = make_world()
    request = world.capture(captures=1, interface=["any"], merge=True, follow=True, bpf=OURS, duration=60)
    numbers = itertools.count()
    with churn(world.host) as rounds:
        while len(rounds) < 30:
            world.sender.send(10, rate=2000, first=10 * next(numbers))
    sent = 10 * next(numbers)
    since = world.daemon.mark()
    sender = add(world, "last0")
    joined(world, request, "last0", since)
    sender.send(1, first=999_999)
    world.wait_packets(request, sent + 1)
    world.stop(request)
    done = request.done()
    assert {item["reason"] for item in done.get("skipped", [])} <= {"gone"} and done["packets"] == sent + 1, done
    found = numbers_by_interface(world.file(request))
    assert found == {"eth0": list(range(sent)), "last0": [999_999]}
    world.assert_works()


def test_rings_of_interfaces_that_join_are_small(make_world):
    """Hundreds may come."""
    world = make_world()
    request = world.capture(captures=1, interface=["any"], merge=True, follow=True, bpf=OURS, duration=60)
    own = world.capture(captures=2, interface=["any"], follow=True, bpf=OURS, duration=60)
    add(world, "pod0")
    joined(world, request, "pod0")
    own.wait("accepted", interface="pod0")
    rings = {entry["name"]: entry["ring"] for entry in world.api.get("/v1/interfaces").expect(200).json["interfaces"] if "ring" in entry}
    assert rings["eth0"] == 64 << 20 and rings["pod0"] == 4 << 20, rings


def test_answer_of_the_api_waits_for_those_that_joined(make_world):
    world = make_world()
    fields = world.fields(interface=["any"], follow=True, bpf=OURS, packets=1, duration=60)
    since = world.events.mark()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(world.api.post, fields, wait=1)
        request = Request(world.events, fields["id"], fields, since)
        request.accepted(2)
        sender = add(world, "pod0")
        request.wait("accepted", interface="pod0")
        sender.send(1)
        request.done(interface="pod0")
        world.stop(request)
        events = answer.result().expect(200).json["events"]
    assert {event["interface"] for event in events} == {"lo", "eth0", "pod0"} and len(events) == 3, events
