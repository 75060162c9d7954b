# SPDX-License-Identifier: BSD-2-Clause
"""Interfaces of `any` or a merge that cannot take part are left out, and the events and the file say so."""

import contextlib
import threading

from lib.traffic import Sender

TUN_FILTER = "udp or ether host 02:00:00:00:00:01"  # has no meaning on a tun


@contextlib.contextmanager
def churn(netns, pairs=4):
    """Interfaces come and go as fast as the kernel can, until the block ends."""
    stop = threading.Event()
    rounds = []

    def run():
        while not stop.is_set():
            names = [f"churn{len(rounds) % 1000}x{number}" for number in range(pairs)]
            netns.run("ip", "-batch", "-", input="".join(f"link add {name} type veth peer name p{name}\nlink set {name} up\n"
                                                         f"link set p{name} up\n" for name in names), check=False)
            netns.run("ip", "-force", "-batch", "-", input="".join(f"link del {name}\n" for name in names), check=False)
            rounds.append(names)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield rounds
    finally:
        stop.set()
        thread.join()


def test_interface_without_a_meaning_for_the_filter_drops_out_of_a_merge(make_world):
    world = make_world(pairs=2)
    world.host.add_tun("tun7")
    request = world.capture(captures=1, interface=["any"], merge=True, bpf=TUN_FILTER, packets=5, timeout=20)
    accepted = request.answer()
    world.sender.send(5, rate=1000)
    done = request.done()
    for event in (accepted, done):
        assert [item["interface"] for item in event["skipped"]] == ["tun7"], event
        assert "bpf" in event["skipped"][0]["reason"] and "tun7" not in event["interface"], event
    assert done["packets"] == 5 and done["window"]["complete"] is False, "what the interface had is missing"
    file = world.file(request)
    assert [entry.name for entry in file.interfaces] == ["lo", "eth0", "eth1"]
    comment, = [comment for comment in file.comments if comment.startswith("skipped: ")]
    assert comment.startswith("skipped: tun7 (bpf"), comment
    assert f"interface:{done['interface']}" in done["tags"] and "tun7" not in done["tags"]


def test_interfaces_named_in_a_merge_drop_out_likewise(make_world):
    world = make_world()
    world.host.add_tun("tun7")
    request = world.capture(captures=1, interface=["tun7", "eth0"], merge=True, bpf=TUN_FILTER, packets=2, timeout=20)
    world.sender.send(2, rate=1000)
    done = request.done()
    assert done["interface"] == "eth0" and [item["interface"] for item in done["skipped"]] == ["tun7"], done
    world.file(request).assert_numbers(0, 2)


def test_request_whose_interfaces_all_drop_out_is_rejected(make_world):
    world = make_world(pairs=2)
    for name in ("tun7", "tun8"):
        world.host.add_tun(name)
    refused = world.refused(interface=["tun7", "tun8"], merge=True, bpf=TUN_FILTER, timeout=5)
    assert refused["field"] == "bpf" and "skipped" not in refused, refused
    refused = world.refused(interface=["eth0", "eth1"], merge=True, bpf="udp and and", timeout=5)
    assert refused["field"] == "bpf" and "interface eth0" not in refused["reason"], "not a fault of an interface"
    world.host.delete_link("eth0")
    refused = world.refused(interface=["eth0", "eth1"], merge=True, timeout=5)
    assert "eth0" in refused["reason"] and refused["field"] == "interface", "one that is named must exist"
    assert world.api.get("/v1/status").expect(200).json["load"]["captures"] == 0
    world.capture(captures=1, interface=["eth1"], timeout=5)


def test_unmerged_capture_of_such_an_interface_is_rejected_alone(make_world):
    world = make_world()
    world.host.add_tun("tun7")
    request = world.request(interface=["any"], bpf=TUN_FILTER, packets=2, timeout=20)
    events = request.wait("accepted", "rejected", count=3)
    assert {event["interface"]: event["event"] for event in events} == {"lo": "accepted", "eth0": "accepted", "tun7": "rejected"}
    world.sender.send(2, rate=1000)
    assert request.done(interface="eth0")["window"]["complete"] is True


def test_interfaces_that_vanish_meanwhile_refuse_nothing(make_world):
    world = make_world()
    skipped = []
    with churn(world.host) as rounds:
        for number in range(40):
            request = world.request(interface=["any"], merge=True, bpf="udp", packets=3, timeout=60)
            accepted = request.answer(timeout=30)
            assert accepted["event"] == "accepted", accepted
            Sender(world.peer, "peer0").send(3, rate=5000)
            done = request.done(timeout=30)
            file = world.file(request)
            assert [packet.number for packet in file.packets] == [0, 1, 2]
            for event in (accepted, done):
                assert all(item["reason"] == "gone" for item in event.get("skipped", [])), event
            assert done.get("skipped", []) == accepted.get("skipped", [])
            if done.get("skipped"):
                assert done["window"]["complete"] is False
                skipped += done["skipped"]
    assert rounds
    assert all(item["interface"].lstrip("p").startswith("churn") for item in skipped), skipped
    world.assert_works()


def test_unmerged_any_under_churn_answers_each_interface_by_itself(make_world):
    world = make_world()
    with churn(world.host):
        for number in range(10):
            request = world.request(interface=["any"], bpf="udp", packets=3, duration=30)
            request.wait("accepted", interface="eth0", timeout=30)
            Sender(world.peer, "peer0").send(3, rate=5000)
            assert request.done(interface="eth0", timeout=30)["packets"] == 3
            assert all("churn" in event["interface"] for event in request.all("rejected"))
            world.stop(request)
    world.assert_works()
