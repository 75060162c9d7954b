# SPDX-License-Identifier: BSD-2-Clause
"""`drop_duplicates`: a bridge and its ports see the same frames; a merged file keeps the first of each."""

import time

import pytest

from lib.history import recorder, rfc3339
from lib.pcapctl import run
from lib.pcapfile import fields, judge
from lib.traffic import Sender
from lib.waiting import until
from lib.world import World

BRIDGED = ["eth0", "br0", "eth1"]


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    """A host that bridges its two interfaces: what comes in on eth0 is seen by br0 and leaves on eth1."""
    with World(tmp_path_factory.mktemp("bridge"), recorder("32MiB", BRIDGED), pairs=2, start=False) as installation:
        host = installation.host
        host.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        for port in ("eth0", "eth1"):
            host.ip("link", "set", port, "master", "br0")
        host.set_up("br0")
        until(lambda: host.ip("-d", "link", "show", "eth1").count("state forwarding") == 1, what="the bridge to forward")
        installation.daemon.start()
        yield installation


def frame(number):
    """To all, so that the bridge takes it and hands it on."""
    return bytes.fromhex("ffffffffffff0200000000018899") + number.to_bytes(4, "big") + bytes(46)


def captured(world, count, **options):
    return world.capture(captures=1, interface=BRIDGED, merge=True, packets=count, timeout=20, bpf="ether proto 0x8899", **options)


def counts(world, request):
    """The file, and its packets by interface."""
    file = world.file(request)
    shown = {interface.name: 0 for interface in file.interfaces}
    for packet in file.packets:
        shown[file.interfaces[packet.interface].name] += 1
    return file, shown


def test_all_are_kept_by_default(world):
    request = captured(world, 60)
    world.sender.frame(*map(frame, range(20)))
    event = request.done()
    file, shown = counts(world, request)
    assert shown == {"eth0": 20, "br0": 20, "eth1": 20} and "duplicates" not in event
    assert not any("duplicates" in comment for comment in file.comments)


def test_first_of_each_is_kept_and_the_others_are_counted(world):
    request = captured(world, 60, drop_duplicates=True)
    world.sender.frame(*map(frame, range(20)))
    event = request.done()
    assert (event["packets"], event["duplicates"], event["reason"]) == (20, 40, "packets"), event
    assert event["window"]["complete"] is True and event["bytes"] == 20 * len(frame(0))
    file, shown = counts(world, request)
    assert sum(shown.values()) == 20 and [packet.data for packet in file.packets] == [frame(number) for number in range(20)]
    assert "duplicates: 40 left out" in file.comments
    by_interface = {interface.name: interface.statistics_comment for interface in file.interfaces}
    assert by_interface == {name: f"duplicates: {20 - shown[name]}" if shown[name] < 20 else "" for name in BRIDGED}
    assert judge(world.path(request))["Number of packets"] == "20"
    world.daemon.wait_lines(lambda line: line.fields.get("request") == request.id and line.fields.get("duplicates") == "40")


def test_what_was_sent_twice_is_kept_twice(world):
    request = captured(world, 60, drop_duplicates=True)
    world.sender.frame(*(frame(7) for _ in range(20)))
    event = request.done()
    assert (event["packets"], event["duplicates"]) == (20, 40), event


def test_frames_of_one_interface_only_are_kept(world):
    world.host.ip("link", "set", "eth1", "nomaster")
    request = world.capture(captures=1, interface=["eth0", "eth1"], merge=True, packets=20, timeout=20, drop_duplicates=True,
                            bpf="ether proto 0x8899")
    world.sender.frame(*map(frame, range(10)))
    sent = time.monotonic()
    world.wait_packets(request, 10)
    until(lambda: time.monotonic() > sent + 0.05)  # the same frames from elsewhere, later than 10 ms
    Sender(world.peer, "peer1").frame(*map(frame, range(10)))
    event = request.done()
    world.host.ip("link", "set", "eth1", "master", "br0")
    assert event["packets"] == 20 and "duplicates" not in event, event


def test_history_without_duplicates(world):
    begin = time.time_ns()
    world.sender.frame(*map(frame, range(20)))
    request = world.request(interface=["any"], merge=True, drop_duplicates=True, bpf="ether proto 0x8899",
                            **{"from": rfc3339(begin), "to": rfc3339(time.time_ns())})
    event = request.done()
    assert (event["packets"], event["duplicates"]) == (20, 40), event
    assert len(fields(world.path(request), "frame.number")) == 20


def test_it_needs_a_merged_file(world):
    for merge in (None, False):
        refused = world.refused(interface=BRIDGED, merge=merge, drop_duplicates=True)
        assert refused["field"] == "drop_duplicates" and "merge" in refused["reason"], refused


def test_pcapctl_leaves_duplicates_out(world, tmp_path):
    begin = time.time()
    world.sender.frame(*map(frame, range(20)))
    path = tmp_path / "out.pcapng"
    result = run("--socket", world.config["api"]["socket"], "--json", "capture", "-i", ",".join(BRIDGED), "--drop-duplicates",
                 "--from", f"{begin:.6f}", "--to", f"{time.time():.6f}", "-w", path, "ether", "proto", "0x8899")
    assert result.status == 0, result
    assert "20" == judge(path)["Number of packets"]
    assert result.json["events"][0]["duplicates"] == 40, result
