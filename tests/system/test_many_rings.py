# SPDX-License-Identifier: BSD-2-Clause
"""Hundreds of interfaces: `any` has them all, in rings that fit the budget; a host without the memory says which are left out; idle rings
make room at once; other requests do not wait."""

import resource
import socket

import pytest

from lib.traffic import Sender
from lib.waiting import until

OURS = "ether src 02:00:00:00:00:01"
LARGE = 50_000  # bytes of a frame: more than a block of a small ring


def add_veths(world, count):
    """v0, v1, … here, their ends p0, p1, … in the peer's namespace."""
    numbers = range(count)
    world.host.run("ip", "-batch", "-", timeout=300,
                   input="".join(f"link add v{number} type veth peer name p{number} netns {world.peer.name}\n" for number in numbers))
    world.peer.run("ip", "-batch", "-", input="".join(f"link set p{number} arp off up\n" for number in numbers), timeout=300)
    world.host.run("ip", "-batch", "-", input="".join(f"link set v{number} arp off up\n" for number in numbers), timeout=300)
    return [f"v{number}" for number in numbers]


def frame_of(number, size=64):
    head = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0" + bytes(28)
    frame = head + b"pcapdseq" + number.to_bytes(8, "big")
    return frame + bytes(size - len(frame))


def send_on_all(world, names):
    """One frame on each, with the interface's number."""
    def send():
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            for name in names:
                sock.sendto(frame_of(int(name[1:])), (f"p{name[1:]}", 0))

    world.peer.call(send)


def assert_each_on_its_own(file, names):
    seen = {(file.interfaces[packet.interface].name, packet.number) for packet in file.packets}
    assert seen == {(name, int(name[1:])) for name in names} and len(file.packets) == len(names)


@pytest.mark.parametrize("count", [70, 300, 1000])
def test_any_merged_has_every_interface(make_world, count):
    world = make_world(start=False, config={"limits": {"captures": 256}})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 200:
        pytest.skip(f"only {hard} files allowed")
    names = add_veths(world, count)
    world.daemon.start()
    request = world.request(interface=["any"], merge=True, bpf=f"{OURS} or udp", packets=count, duration=60)
    other = world.request(interface=["eth0"], bpf="udp", packets=1, duration=60)
    accepted = request.answer(timeout=120)
    assert accepted["event"] == "accepted" and "skipped" not in accepted, accepted
    assert len(accepted["interface"]) < 256 and accepted["interface"].endswith("-more"), accepted["interface"]
    assert other.answer()["event"] == "accepted"
    if count == 1000:
        answers = [event["id"] for event in world.events.all(lambda event: event["event"] == "accepted")]
        assert answers.index(other.id) < answers.index(request.id), "one interface waited for a thousand"
    world.sender.send(1, first=5000)
    send_on_all(world, names)
    other.done()
    done = request.done(timeout=60)
    assert done["packets"] == count and done["reason"] == "packets", done
    assert done["window"]["complete"] is True and sum(done["lost"].values()) == 0, done
    file = world.file(request)
    file.assert_time_order()
    assert len(file.interfaces) == count + 2
    # the frame on eth0 was the first, so the last one was over the limit
    assert [packet.number for packet in file.packets if file.interfaces[packet.interface].name == "eth0"] == [5000]
    assert [packet.number for packet in file.packets if packet.number < 5000] == list(range(count - 1))
    # the rings are idle now and used again
    again = world.capture(captures=1, interface=["any"], merge=True, bpf=OURS, packets=count, duration=60)
    send_on_all(world, names)
    assert_each_on_its_own(world.file(again) if again.done(timeout=60) else None, names)
    assert world.daemon.stop() == 0


def test_any_unmerged_is_bounded_by_the_limit_for_captures(make_world):
    world = make_world(start=False, config={"limits": {"captures": 100}})
    names = add_veths(world, 70)
    world.daemon.start()
    request = world.capture(captures=72, interface=["any"], bpf=OURS, packets=1, duration=60)
    send_on_all(world, names)
    for name in names:
        assert request.done(interface=name, timeout=60)["packets"] == 1
    world.stop(request)
    request.finals(72)
    add = world.host.run("ip", "-batch", "-", input="".join(f"link add w{number} up type veth peer name q{number}\n" for number in range(40)))
    assert add.returncode == 0
    refused = world.refused(interface=["any"], packets=1, duration=60)
    assert "limits.captures" in refused["reason"], refused
    assert world.api.get("/v1/status").expect(200).json["load"]["captures"] == 0


def test_interfaces_beyond_the_budget_for_rings_are_skipped(make_world):
    world = make_world(start=False, config={"limits": {"ring_memory": "8MiB"}})
    names = add_veths(world, 70)
    world.daemon.start()
    request = world.capture(captures=1, interface=["any"], merge=True, bpf=OURS, duration=60)
    accepted = request.answer()
    skipped = {item["interface"]: item["reason"] for item in accepted["skipped"]}
    assert len(skipped) == 72 - 32 and set(skipped.values()) == {"memory"}, accepted
    taken = [name for name in names if name not in skipped]
    send_on_all(world, names)
    world.wait_packets(request, len(taken))
    refused = world.refused(interface=[next(iter(skipped))], duration=1)
    assert "limits.ring_memory" in refused["reason"], "every ring is in use"
    world.stop(request)
    done = request.done()
    assert done["skipped"] == accepted["skipped"] and done["window"]["complete"] is False
    file = world.file(request)
    assert_each_on_its_own(file, taken)
    comment, = [comment for comment in file.comments if comment.startswith("skipped: ")]
    assert all(name in comment for name in skipped) and comment.endswith(" (memory)")


def test_idle_rings_make_room_at_once(make_world):
    world = make_world(start=False, config={"limits": {"ring_memory": "8MiB"}})
    names = add_veths(world, 70)
    world.daemon.start()
    for first in (0, 12, 24, 36):
        some = names[first:first + 32]
        request = world.capture(captures=1, interface=some, merge=True, bpf=OURS, packets=32, duration=60)
        assert "skipped" not in request.answer(), request.answer()
        send_on_all(world, some)
        assert request.done()["packets"] == 32
        assert_each_on_its_own(world.file(request), some)
    single = world.capture(interface=["v60"], bpf=OURS, packets=1, duration=60)
    send_on_all(world, ["v60"])
    single.done()
    rings = {entry["name"]: entry for entry in world.api.get("/v1/interfaces").expect(200).json["interfaces"]}
    assert rings["v60"]["ring"] == 4 << 20, "not the small ring that it had among many"


def test_small_ring_cuts_large_frames_and_counts_them(make_world):
    world = make_world({"limits": {"ring_memory": "1MiB"}}, mtu=65000)
    request = world.capture(packets=3, duration=60)
    Sender(world.peer, "peer0").frame(frame_of(0), frame_of(1, LARGE), frame_of(2, 30_000))
    done = request.done()
    assert done["truncated"] == 1 and done["window"]["complete"] is True, done
    file = world.file(request)
    assert [packet.number for packet in file.packets] == [0, 1, 2]
    assert [packet.wirelen for packet in file.packets] == [64, LARGE, 30_000]
    assert file.packets[1].caplen < LARGE and file.packets[2].caplen == 30_000
    assert "truncated: 1" in file.interfaces[0].statistics_comment


def test_the_same_new_interface_in_many_requests_at_once_opens_one_ring(make_world):
    world = make_world()
    requests = [world.request(interface=["eth0"], packets=1, duration=60) for _ in range(20)]
    for request in requests:
        assert request.answer()["event"] == "accepted"
    assert world.host.packet_sockets("eth0") == 1
    world.sender.send(1)
    for request in requests:
        assert request.done()["packets"] == 1
    until(lambda: world.host.packet_sockets("eth0") == 0, 30, "the idle ring to close")
