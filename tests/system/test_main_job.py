# SPDX-License-Identifier: BSD-2-Clause
"""The main job: a request on Redis yields a file on disk and in CloudShark, and events."""

import json
import re

import pytest

from lib.events import NOTHING
from lib.pcapfile import CaptureFile, fields, judge
from lib.traffic import Sender
from lib.world import NODE, World

RFC3339_NS = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")


def test_request_yields_a_file_with_exactly_its_packets(world):
    request = world.capture(packets=50, timeout=20, bpf="udp dst port 53")
    world.sender.send(60, dst_port="100-160", rate=20000)
    world.sender.send(80, first=1000, dst_port=53, rate=20000)
    done = request.done()
    assert (done["reason"], done["packets"], done["interface"]) == ("packets", 50, "eth0")
    assert world.files_of(request) == [done["file"]]
    world.file(request).assert_numbers(1000, 50)
    assert judge(world.path(request))["Number of packets"] == "50"
    assert set(fields(world.path(request), "udp.dstport")) == {("53",)}


def test_events_come_in_order_with_the_contract_fields(world):
    request = world.capture(packets=5, timeout=20, tags="one,two", customer="ACME", alertid=655443, comment="why not")
    world.sender.send(5, size=200, rate=1000)
    done = request.done()
    assert [event["event"] for event in request.all()] == ["accepted", "captured", "done"]
    for event in request.all():
        assert event["v"] == 1 and event["node"] == NODE and RFC3339_NS.match(event["time"]), event
    captured = request.captured()
    assert captured["capture"] == done["capture"] and captured["interface"] == "eth0"
    assert (done["packets"], done["bytes"], done["reason"]) == (5, 1000, "packets")
    packets = world.file(request).packets
    for name, packet in (("first", packets[0]), ("last", packets[-1])):
        assert RFC3339_NS.match(done[name])
        assert done[name].endswith(f"{packet.time_ns % 10**9:09d}Z")
    window = done["window"]
    assert window["from"] <= done["first"] <= done["last"] <= window["to"] and window["complete"] is True
    assert done["lost"] == NOTHING
    assert [(d["name"], d["ok"], d["attempts"]) for d in done["destinations"]] == [("local", True, 1)]
    assert (done["customer"], done["alertid"]) == ("ACME", 655443)
    assert done["tags"] == f"customer:ACME,alertid:655443,one,two,node:{NODE},interface:eth0,snaplength:262144"


def test_alertid_given_as_text_stays_text(world):
    request = world.capture(packets=1, timeout=20, alertid="SEC-17")
    world.sender.send(1)
    done = request.done()
    assert done["alertid"] == "SEC-17" and "alertid:SEC-17" in done["tags"].split(",")


def test_every_step_is_logged_with_the_request_id(world):
    request = world.capture(packets=1, timeout=20)
    world.sender.send(1)
    request.done()
    world.daemon.wait_lines(lambda line: request.id in line.text and "done" in line.text, what="final event in the log")


def test_two_interfaces_make_two_captures(world):
    request = world.capture(interface=["eth0", "eth1"], packets=4, timeout=20)
    world.sender.send(4, first=10, rate=1000)
    Sender(world.peer, "peer1").send(4, first=20, rate=1000)
    finals = request.finals(2)
    assert {event["interface"] for event in finals} == {"eth0", "eth1"}
    assert len({event["capture"] for event in finals}) == 2 and len(world.files_of(request)) == 2
    world.file(request, "eth0").assert_numbers(10, 4)
    world.file(request, "eth1").assert_numbers(20, 4)


def test_alias_selects_its_interface_and_becomes_a_tag(world):
    request = world.capture(alias=["main"], packets=2, timeout=20)
    world.sender.send(2, rate=1000)
    done = request.done()
    assert done["interface"] == "eth0"
    assert done["tags"] == f"alias:main,node:{NODE},interface:eth0,snaplength:262144"


def test_alias_of_several_interfaces_captures_on_each(world):
    request = world.capture(captures=2, alias=["both"], packets=2, timeout=20)
    world.sender.send(2, rate=1000)
    Sender(world.peer, "peer1").send(2, first=5, rate=1000)
    assert {event["interface"] for event in request.finals(2)} == {"eth0", "eth1"}


def test_interface_any_means_every_interface_that_is_up(world):
    request = world.capture(captures=3, interface=["any"], timeout=300, bpf="udp dst port 9")
    world.sender.send(5, first=100, rate=1000)
    Sender(world.peer, "peer1").send(6, first=200, rate=1000)
    world.wait_packets(request, 11)
    world.stop(request)
    assert sum(event["packets"] for event in request.finals(3)) == 11
    numbers, names = [], set()
    for name in world.files_of(request):
        file = CaptureFile(f"{world.directory}/{name}")
        numbers += file.numbers
        names |= {file.interfaces[packet.interface].name for packet in file.packets}
    assert sorted(numbers) == [*range(100, 105), *range(200, 206)]
    assert names == {"eth0", "eth1"}


@pytest.mark.parametrize("wanted", [{"node": "any"}, {"nodere": "^test-"}, {"nodere": "st-no"}, {"nodere": "^(other|test)-node$"}])
def test_node_may_be_any_and_nodere_an_unanchored_expression(world, wanted):
    request = world.capture(packets=1, timeout=20, **wanted)
    world.sender.send(1)
    assert request.done()["packets"] == 1


def test_requests_for_other_nodes_are_ignored(world):
    others = [world.request(**wanted) for wanted in ({"node": "other"}, {"node": "test-nod"}, {"node": "TEST-NODE"},
                                                     {"nodere": "^node$"}, {"node": "other", "interface": ["nope0"]})]
    request = world.capture(packets=1, timeout=20)
    world.sender.send(1)
    request.done()
    assert [other.all() for other in others] == [[]] * len(others)


def test_repeated_id_is_answered_but_not_run_again(world):
    request = world.capture(packets=2, timeout=20)
    since = world.events.mark()
    world.publish(request.fields)
    again = world.events.wait(lambda event: event.get("id") == request.id, since=since)
    assert again["duplicate"] is True
    world.sender.send(4, rate=1000)
    request.done()
    since = world.events.mark()
    world.publish(request.fields)
    world.events.wait(lambda event: event.get("id") == request.id and event.get("duplicate") is True, since=since)
    world.assert_works()
    assert len(world.files_of(request)) == 1
    assert len([event for event in request.all("done") if not event.get("duplicate")]) == 1


def test_request_without_an_id_gets_one(world):
    since = world.events.mark()
    world.publish({"node": NODE, "interface": ["eth0"], "packets": 1, "timeout": 20, "customer": "no-id"})
    # Repeated answers of the previous test may still arrive.
    accepted = world.events.wait(lambda event: event["event"] == "accepted" and not event.get("duplicate"), since=since)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", accepted["id"])
    world.sender.send(1)
    done = world.events.wait(lambda event: event["event"] == "done" and event["id"] == accepted["id"], since=since, timeout=20)
    assert done["customer"] == "no-id"


# --- CloudShark ---

@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with World(tmp_path_factory.mktemp("cloud"), {"general": {"writelocal": False, "localdir": None}, "requests": {"allow_debug": True}},
               cloudshark={"token": "0123456789abcdef"}) as installation:
        yield installation


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    with World(tmp_path_factory.mktemp("both"), cloudshark={"token": "fedcba9876543210"}) as installation:
        yield installation


def test_request_yields_a_capture_in_cloudshark(cloud, tmp_path):
    request = cloud.capture(packets=50, timeout=20, bpf="udp dst port 53", tags="dns", customer="ACME", alertid=7, snap=128,
                            comment="looked odd")
    cloud.sender.send(50, dst_port=54, rate=20000)
    cloud.sender.send(50, first=300, size=400, dst_port=53, rate=20000)
    done = request.done()
    upload = cloud.receiver.of(request.id)
    path = tmp_path / upload.filename
    path.write_bytes(upload.content)
    CaptureFile(upload.content).assert_numbers(300, 50)
    judge(path)
    assert re.fullmatch(rf"{NODE}-eth0-\d{{8}}T\d{{6}}\.\d{{3}}Z-{re.escape(request.id)}\.pcapng", upload.filename)
    assert upload.fields["additional_tags"] == f"customer:ACME,alertid:7,dns,node:{NODE},interface:eth0,snaplength:128" == done["tags"]
    assert "looked odd" in upload.fields["comments"]
    destination, = done["destinations"]
    assert (destination["name"], destination["ok"], destination["attempts"]) == ("cloudshark", True, 1)
    assert re.fullmatch(rf"http://127\.0\.0\.1:{cloud.receiver.port}/captures/\S+", destination["url"])
    assert cloud.files() == [], "no local destination was configured"
    assert cloud.receiver.faults == []


def test_token_appears_in_no_event_and_no_log(cloud):
    request = cloud.capture(packets=1, timeout=20, logrequest=True, packetdebug=True)
    cloud.sender.send(1)
    request.done()
    assert not any(b"0123456789abcdef" in raw for raw in cloud.events.raw)
    assert "0123456789abcdef" not in cloud.daemon.text()


def test_all_destinations_get_the_same_bytes(both):
    request = both.capture(packets=20, timeout=20)
    both.sender.send(20, rate=5000)
    done = request.done()
    assert {d["name"]: d["ok"] for d in done["destinations"]} == {"cloudshark": True, "local": True}
    with open(both.path(request), "rb") as file:
        assert file.read() == both.receiver.of(request.id).content


@pytest.mark.parametrize("name", ["cloudshark", "local"])
def test_request_may_name_its_destinations(both, name):
    request = both.capture(packets=1, timeout=20, to_destinations=[name])
    both.sender.send(1)
    assert [d["name"] for d in request.done()["destinations"]] == [name]
    assert bool(both.files_of(request)) == (name == "local")
    assert bool(both.receiver.all_of(request.id)) == (name == "cloudshark")


def test_concurrent_uploads_all_arrive(cloud):
    requests = [cloud.capture(packets=10, timeout=20, bpf=f"udp dst port {100 + i}") for i in range(20)]
    cloud.sender.send(200, dst_port="100-119", rate=20000)
    for i, request in enumerate(requests):
        request.done(timeout=30)
        file = CaptureFile(cloud.receiver.of(request.id).content)
        assert file.numbers == list(range(i, 200, 20))


def test_events_are_json_on_one_line(cloud):
    assert all(b"\n" not in raw and json.loads(raw) for raw in cloud.events.raw)
