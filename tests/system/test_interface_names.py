# SPDX-License-Identifier: BSD-2-Clause
"""Interfaces are devices: each of a device's names means it, wherever a name may be given, and what is recorded is the device that has the
configured name."""

import time
import urllib.parse

import pytest

from lib import rtnl
from lib.history import recorder, rfc3339, status
from lib.pcapfile import CaptureFile
from lib.traffic import Sender
from lib.waiting import until
from lib.world import World

LONG = "interface-with-a-name-of-more-than-fifteen-bytes"
NAMES = ("uplink", "pci-0000:03:00.0", LONG)


def add_names(world, interface="eth0", names=NAMES):
    for name in names:
        world.host.ip("link", "property", "add", "dev", interface, "altname", name)


def wait_carrier(world, peer="peer0"):
    until(lambda: "LOWER_UP" in world.peer.ip("link", "show", peer), what="the link to be up")


def past(world, since_ns, to_ns=None, **options):
    """A request for the packets since then."""
    request = world.request(**{"from": rfc3339(since_ns), "to": rfc3339(to_ns or time.time_ns()), **options})
    return request, request.done()


def wait_packets(world, count, interface):
    """Packets not in retired blocks are lost with the interface."""
    until(lambda: int(status(world, interface)["packets"]) >= count, what=f"{count} packets in retired blocks")


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    config = {"interface": [{"name": LONG, "alias": ["main"]}]}
    with World(tmp_path_factory.mktemp("names"), config, pairs=2, start=False) as installation:
        add_names(installation)
        installation.daemon.start()
        yield installation


# --- requests ---

@pytest.mark.parametrize("name", NAMES)
def test_alternative_name_means_the_device(world, name):
    request = world.capture(interface=[name], packets=3, timeout=20)
    world.sender.send(3, rate=1000)
    event = request.done()
    assert event["interface"] == "eth0" and "-eth0-" in event["file"], event
    file = world.file(request)
    assert file.interfaces[0].name == "eth0"
    file.assert_numbers(0, 3)


def test_device_with_several_names_is_captured_once(world):
    merged = world.capture(captures=1, interface=[NAMES[0], "eth0", *NAMES, "eth1"], merge=True, timeout=20)
    single = world.capture(captures=2, interface=["eth0", *NAMES, "eth1"], timeout=20)
    world.sender.send(10, rate=1000)
    world.wait_packets(merged, 10)
    world.wait_packets(single, 10)
    for request in (merged, single):
        world.stop(request)
    assert merged.done()["interface"] == "eth0+eth1"
    file = world.file(merged)
    assert [interface.name for interface in file.interfaces] == ["eth0", "eth1"]
    file.assert_numbers(0, 10)
    assert sorted(event["interface"] for event in single.finals(2)) == ["eth0", "eth1"]


def test_any_and_an_alternative_name_of_one_of_its_interfaces_mean_it_once(world):
    request = world.capture(captures=1, interface=["any", *NAMES], merge=True, packets=100, timeout=20, bpf="udp dst port 4567")
    world.sender.send(100, rate=5000, dst_port=4567)
    request.done()
    file = world.file(request)
    assert len({interface.name for interface in file.interfaces}) == len(file.interfaces)
    file.assert_numbers(0, 100)


def test_alias_of_an_interface_that_is_configured_by_an_alternative_name(world):
    request = world.capture(interface=None, alias=["main"], packets=2, timeout=20)
    world.sender.send(2, rate=1000)
    event = request.done()
    assert event["interface"] == "eth0" and "alias:main" in event["tags"], event
    listed = world.api.get("/v1/interfaces").expect(200).json["interfaces"]
    assert [entry["aliases"] for entry in listed if entry["name"] == "eth0"] == [["main"]]


def test_name_given_to_an_interface_that_is_down_is_known(make_world):
    """The kernel sends no notice of it."""
    world = make_world()
    world.host.set_up("eth0", False)
    for name in (LONG, "pci:1"):
        add_names(world, "eth0", [name])
        request = world.capture(interface=[name], duration=60)
        world.stop(request)
        assert request.final()["interface"] == "eth0"


def test_unknown_long_name_is_refused(world):
    for name in ("e" * 16, "e" * 127, "no:such"):
        refused = world.refused(interface=[name])
        assert refused["field"] == "interface" and name in refused["reason"], refused


# --- promiscuous mode ---

@pytest.mark.parametrize("configured,requested", [("eth0", LONG), ("eth0", "uplink"), (LONG, "eth0"), ("uplink", LONG)])
def test_promiscuous_mode_is_a_matter_of_the_device(make_world, configured, requested):
    world = make_world({"interface": [{"name": configured, "promiscuous": False}]}, start=False, pairs=2)
    add_names(world)
    world.daemon.start()
    world.capture(interface=[requested, "eth1"], captures=2, timeout=20)
    assert not world.host.is_promiscuous("eth0") and world.host.is_promiscuous("eth1")


# --- the recorder ---

@pytest.mark.parametrize("configured", NAMES)
def test_recorder_configured_by_an_alternative_name(make_world, configured):
    world = make_world(recorder(interfaces=[configured]), start=False)
    add_names(world)
    world.daemon.start()
    begin = time.time_ns()
    world.sender.send(20, rate=2000)
    for name in ("eth0", *NAMES):
        request, event = past(world, begin, interface=[name])
        assert (event["interface"], event["packets"]) == ("eth0", 20), event
    answer = world.api.get("/v1/history?" + urllib.parse.urlencode({"interface": configured, "last": 60})).expect(200)
    assert answer.body.count(b"\x0a\x0d\x0d\x0a") == 1
    assert status(world, "eth0")["gone"] == "false"
    assert not world.daemon.log("interface-renamed")


def test_device_that_is_configured_by_two_names_is_recorded_once(make_world):
    world = make_world(recorder(interfaces=["eth0", LONG]), start=False)
    add_names(world)
    world.daemon.start()
    assert len(world.daemon.log("recording")) == 1
    world.daemon.wait_log("recorded-already", interface=LONG)
    assert world.host.packet_sockets() == 1


def test_history_remains_under_the_alternative_name_of_a_removed_interface(make_world):
    world = make_world(recorder(interfaces=[LONG]), start=False)
    add_names(world)
    world.daemon.start()
    begin = time.time_ns()
    world.sender.send(20, rate=2000)
    wait_packets(world, 20, "eth0")
    world.host.delete_link("eth0")
    world.daemon.wait_log("interface-gone", interface="eth0")
    for name in ("eth0", LONG):
        request, event = past(world, begin, interface=[name])
        assert (event["interface"], event["packets"]) == ("eth0", 20), event
    since = world.daemon.mark()
    world.host.add_veth("eth5", world.peer, "peer5")
    add_names(world, "eth5", [LONG])
    world.daemon.wait_log("recording", interface="eth5", since=since)
    again = time.time_ns()
    Sender(world.peer, "peer5").send(10, rate=2000)
    request, event = past(world, again, interface=[LONG])
    assert (event["interface"], event["packets"]) == ("eth5", 10), event


def test_late_alternative_name_is_recorded_once_it_appears(make_world):
    world = make_world(recorder(interfaces=[LONG]))
    world.daemon.wait_log("recorder-waits", interface=LONG)
    add_names(world, "eth0", [LONG])
    world.daemon.wait_log("recording", interface="eth0")


# --- renames ---

def test_configured_name_is_recorded_again_when_another_device_takes_it(make_world):
    """eth0 becomes wan0, and eth1 becomes eth0."""
    world = make_world(recorder(), pairs=2)
    begin = time.time_ns()
    world.sender.send(20, rate=2000)
    world.host.rename_link("eth0", "wan0")
    world.daemon.wait_log("interface-renamed", interface="eth0", name="wan0")
    since = world.daemon.mark()
    world.host.rename_link("eth1", "eth0")
    world.daemon.wait_log("recording", interface="eth0", since=since)
    taken = time.time_ns()
    wait_carrier(world)
    wait_carrier(world, "peer1")
    Sender(world.peer, "peer1").send(10, rate=2000, first=100)
    request, event = past(world, taken, interface=["eth0"])
    assert (event["interface"], event["packets"], event["window"]["complete"]) == ("eth0", 10, True), event
    world.file(request).assert_numbers(100, 10)
    world.sender.send(20, rate=2000, first=20)
    request, event = past(world, begin, interface=["wan0"])
    assert (event["interface"], event["packets"]) == ("wan0", 40), event
    world.file(request).assert_numbers(0, 40)


def test_past_of_a_former_device_remains_when_it_is_removed(make_world):
    world = make_world(recorder(seconds=0), pairs=2)
    begin = time.time_ns()
    world.sender.send(20, rate=2000)
    world.host.rename_link("eth0", "wan0")
    world.daemon.wait_log("interface-renamed", interface="eth0", name="wan0")
    since = world.daemon.mark()
    world.host.rename_link("eth1", "eth0")
    world.daemon.wait_log("recording", interface="eth0", since=since)
    wait_packets(world, 20, "wan0")
    world.host.delete_link("wan0")
    world.daemon.wait_log("interface-gone", interface="wan0")
    request, event = past(world, begin, interface=["wan0"])
    assert (event["interface"], event["packets"]) == ("wan0", 20), event


def test_renamed_devices_that_are_all_recorded_keep_their_rings(make_world):
    """eth0 and eth1 change their names."""
    world = make_world(recorder(interfaces=["eth0", "eth1"]), pairs=2)
    begin, mark = time.time_ns(), world.daemon.mark()
    world.sender.send(10, rate=2000)
    world.host.rename_link("eth0", "other")
    world.daemon.wait_log("interface-renamed", interface="eth0", name="other")
    world.host.rename_link("eth1", "eth0")
    world.daemon.wait_log("interface-renamed", interface="eth1", name="eth0")
    world.host.rename_link("other", "eth1")
    world.daemon.wait_log("interface-renamed", interface="other", name="eth1")
    wait_carrier(world)
    world.sender.send(10, rate=2000, first=10)
    request, event = past(world, begin, interface=["eth1"])
    assert event["packets"] == 20, event
    assert not world.daemon.log("recording", since=mark) and world.host.packet_sockets() == 2


def test_former_devices_do_not_accumulate(make_world):
    """Each of five devices is eth0 for a time; the recorder keeps the latest two."""
    world = make_world(recorder(seconds=0))
    for number in range(1, 5):
        since = world.daemon.mark()
        world.host.rename_link("eth0", f"old{number}")
        world.daemon.wait_log("interface-renamed", interface="eth0", name=f"old{number}", since=since)
        world.host.add_veth("eth0", world.peer, f"next{number}")
        world.daemon.wait_log("recording", interface="eth0", since=since)
    until(lambda: world.host.packet_sockets() == 2, what="two rings")
    listed = world.api.get("/v1/interfaces").expect(200).json["interfaces"]
    assert {entry["name"] for entry in listed if entry["recorder"]} == {"eth0", "old4"}


# --- what requests may capture on ---

def history(world, interface, status=200):
    return world.api.get("/v1/history?" + urllib.parse.urlencode({"interface": interface, "last": 60})).expect(status)


def test_allowed_alternative_name_means_the_device_by_all_its_names(make_world):
    rules = {"interfaces": [LONG]}
    world = make_world({**recorder(interfaces=["eth0", "eth1"], seconds=0), "requests": rules, "api.requests": rules}, start=False, pairs=2)
    add_names(world, "eth0", [LONG, "uplink"])
    world.daemon.start()
    for allowed, refused in (("eth0", "eth1"), ("eth1", "eth0")):
        names = (allowed, LONG, "uplink") if allowed == "eth0" else (allowed, LONG)
        for name in names:
            request = world.request(interface=[name], before=10, timeout=0.1)
            assert request.final()["interface"] == allowed
            history(world, name)
        whole = world.capture(captures=1, interface=["any"], timeout=30)
        world.stop(whole)
        assert whole.final()["interface"] == allowed
        assert "(requests.interfaces)" in world.refused(interface=[refused])["reason"]
        assert "(api.requests.interfaces)" in history(world, refused, 403).error
        if allowed == "eth0":
            world.host.ip("link", "property", "del", "dev", "eth0", "altname", LONG)
            add_names(world, "eth1", [LONG])


def test_allowed_alternative_name_does_not_reach_a_former_device(make_world):
    """Another device gets the recorded kernel name, and the ring goes on with it. Whoever may name eth0 has both devices' packets."""
    rules = {"interfaces": [LONG]}
    world = make_world({**recorder(seconds=0), "requests": rules, "api.requests": {"interfaces": ["eth0"]}})
    begin = time.time_ns()
    world.sender.send(20, rate=2000)
    wait_packets(world, 20, "eth0")
    assert "(requests.interfaces)" in world.refused(interface=["eth0"])["reason"]
    world.host.delete_link("eth0")
    world.daemon.wait_log("interface-gone", interface="eth0")
    assert "(requests.interfaces)" in world.refused(interface=["eth0"])["reason"]
    assert "(requests.interfaces)" not in world.refused(interface=[LONG])["reason"], "there is none"
    since = world.daemon.mark()
    world.host.add_veth("eth0", world.peer, "peer5")
    add_names(world, "eth0", [LONG])
    world.daemon.wait_log("recording-again", interface="eth0", since=since)
    Sender(world.peer, "peer5").send(10, rate=2000, first=100)
    for name in (LONG, "eth0"):
        request, event = past(world, begin, interface=[name])
        assert event["packets"] == 10 and event["window"]["complete"] is False, event
        world.file(request).assert_numbers(100, 10)
    answer = world.api.get("/v1/history", interface="eth0", last="600").expect(200)
    assert CaptureFile(answer.body).numbers == [*range(20), *range(100, 110)]


def test_history_of_a_removed_interface_is_that_of_the_name_given_not_of_a_namesake(make_world):
    world = make_world(recorder(interfaces=[LONG], seconds=0), pairs=2, start=False)
    add_names(world, "eth0", [LONG])
    world.daemon.start()
    begin = time.time_ns()
    world.sender.send(20, rate=2000)
    wait_packets(world, 20, "eth0")
    world.host.delete_link("eth0")
    world.daemon.wait_log("interface-gone", interface="eth0")
    world.host.rename_link("eth1", "eth0")
    for _ in range(2):
        request, event = past(world, begin, interface=[LONG])
        assert (event["interface"], event["packets"]) == ("eth0", 20), event
        assert CaptureFile(history(world, LONG).body).numbers == list(range(20))
        world.request(interface=["eth0"], duration=0.1).final()  # a look at the namesake, which no recorder takes over
    assert not world.daemon.log("recording-again")


# --- programs that configure interfaces ---

def test_slow_configuration_of_interfaces_delays_no_look_up(make_world):
    """What needs no new ring is answered while another program holds the kernel's lock."""
    world = make_world({**recorder(interfaces=[LONG]), "requests": {"interfaces": [LONG]}, "interface": [{"name": LONG, "promiscuous": False}]},
                       start=False)
    add_names(world, "eth0", [LONG])
    world.daemon.start()
    begin = time.time_ns()
    world.sender.send(20, rate=2000)
    with rtnl.held(world.host, "eth0"):
        request, event = past(world, begin, interface=[LONG])
        assert (event["interface"], event["packets"]) == ("eth0", 20), event
        assert "no-such" in world.refused(interface=["no-such"])["reason"]
        unknown = world.request(interface=["no-such-interface-with-a-long-name"])  # only the kernel can tell
        history(world, LONG)
        for path in ("/v1/interfaces", "/v1/status", "/metrics"):
            world.api.get(path).expect(200)
    assert "no-such" in unknown.rejected()["reason"]


def test_live_captures_end_and_others_run_while_interfaces_are_configured(make_world):
    """The NIC's counters are read with the kernel's lock, but by no thread that captures need."""
    world = make_world(pairs=6)
    ending = [world.capture(interface=[f"eth{number}"], timeout=60) for number in range(5)]  # more than there are workers
    running = world.capture(interface=["eth5"], timeout=60)
    with rtnl.held(world.host, "eth0"):
        for request in ending:
            world.stop(request)
        for first in range(0, 50, 10):
            Sender(world.peer, "peer5").send(10, rate=2000, first=first)
            world.wait_packets(running, first + 10)
    assert all(request.final()["reason"] == "empty" for request in ending)
    world.stop(running)
    running.done()
    world.file(running).assert_numbers(0, 50)
