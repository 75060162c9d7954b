# SPDX-License-Identifier: BSD-2-Clause
"""What a request may ask for: [requests] over Redis, [api.requests] over the control API."""

import json

import pytest

from lib.history import recorder
from lib.pcapfile import CaptureFile
from lib.world import NODE, World

RULES = {"destinations": ["local"], "interfaces": ["eth0"], "filter": "udp dst port 53", "maxbefore": 600}


@pytest.fixture(scope="module")
def shared_ruled(tmp_path_factory):
    """Rules over Redis, none over the control API; a recorder on eth0 holds ten packets to port 53 and ten to port 80."""
    with World(tmp_path_factory.mktemp("ruled"), {**recorder("32MiB", seconds=0), "requests": RULES, "interface": [{"name": "eth1", "alias": ["other"]}]},
               pairs=2) as world:
        send_both(world)
        yield world


def send_both(world):
    world.sender.send(10, rate=1000, dst_port=53)
    world.sender.send(10, rate=1000, first=100, dst_port=80)


@pytest.fixture
def ruled(shared_ruled):
    yield shared_ruled
    assert shared_ruled.daemon.is_alive()


REFUSED = [
    ("destination", {"to_destinations": ["local", "memory"]}, "to_destinations", "destinations"),
    ("redis", {"to_destinations": ["redis"]}, "to_destinations", "destinations"),
    ("interface", {"interface": ["eth0", "eth1"]}, "interface", "interfaces"),
    ("alias", {"interface": None, "alias": ["other"]}, "interface", "interfaces"),
    ("loopback", {"interface": ["lo"]}, "interface", "interfaces"),
    ("before", {"before": 601}, "before", "maxbefore"),
    ("from", {"from": 1795423260}, "from", "maxbefore"),
    ("host name", {"bpf": "host www.example.org"}, "bpf", "resolve"),
    ("host name that begins with a digit", {"bpf": "host 1.slow.example"}, "bpf", "resolve"),
    ("host name in a tunnel", {"inner": "net backbone"}, "inner", "resolve"),
    ("packetdebug", {"packetdebug": True}, "packetdebug", "allow_debug"),
    ("logrequest", {"logrequest": True}, "logrequest", "allow_debug"),
]


@pytest.mark.parametrize("fields, field, rule", [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refusal_names_the_rule(ruled, fields, field, rule):
    event = ruled.refused(**{"interface": ["eth0"], **fields})
    assert event["field"] == field and event["reason"].startswith(f"{field}: ") and f"(requests.{rule})" in event["reason"], event


def test_debug_fields_that_are_false_are_never_refused(ruled):
    ruled.stop(ruled.capture(timeout=30, packetdebug=False, logrequest=False, to_destinations=["local"], bpf="port domain or http"))


@pytest.mark.parametrize("bpf", [None, "udp", "udp dst port 53 or udp dst port 80", "udp or vlan"])
def test_filter_of_the_rules_is_anded_to_every_requests(ruled, bpf):
    request = ruled.capture(before=600, timeout=0.1, **({"bpf": bpf} if bpf else {}))
    request.done()
    file = ruled.file(request)
    file.assert_numbers(0, 10)
    assert file.interfaces[0].filter == (f"(udp dst port 53) and ({bpf})" if bpf else "udp dst port 53")


def test_live_packets_obey_the_filter_of_the_rules(make_world):
    world = make_world({"requests": RULES})
    request = world.capture(packets=10, timeout=30)
    send_both(world)
    world.sender.send(1, dst_port=53, first=10)
    request.done()
    world.file(request).assert_numbers(0, 10)
    assert "(requests.filter)" in world.refused(bpf="udp dst port 80")["reason"]


def test_no_expression_breaks_out_of_the_filter_of_the_rules(ruled):
    for bpf in ("udp) or (udp", "udp dst port 53) or (udp dst port 80", ") or ("):
        event = ruled.refused(bpf=bpf)
        assert event["field"] == "bpf" and "syntax" in event["reason"], event


def test_any_means_the_allowed_interfaces(ruled):
    request = ruled.capture(interface=["any"], timeout=30)
    ruled.stop(request)
    assert {event["interface"] for event in ruled.events.all(lambda event: event.get("id") == request.id)} == {"eth0"}


def test_interfaces_that_appear_obey_the_rules_too(make_world):
    world = make_world({"requests": {"interfaces": ["eth0", "pod1"]}})
    request = world.capture(captures=1, interface=["any"], merge=True, follow=True, duration=60)
    for number in range(2):
        world.host.add_veth(f"pod{number}", world.peer, f"q{number}")
    world.daemon.wait_log("interface-joined", request=request.id, interface="pod1")
    assert not [line for line in world.daemon.log("interface-joined") if line.fields["interface"] == "pod0"]
    world.stop(request)
    request.done()


def test_control_api_has_rules_of_its_own(ruled):
    wide = {"node": NODE, "interface": ["eth1"], "bpf": "host localhost", "timeout": 0.2, "packetdebug": True, "logrequest": True,
            "to_destinations": ["memory", "redis"]}
    ruled.api.post(wide, wait=1).expect(200)
    assert CaptureFile(ruled.api.get("/v1/history", interface="eth0").expect(200).body).numbers == [*range(10), *range(100, 110)]


@pytest.fixture(scope="module")
def api_ruled(tmp_path_factory):
    rules = {"interfaces": ["eth0"], "filter": "udp dst port 53", "maxbefore": 1000, "resolve": False, "allow_debug": False,
             "destinations": ["none"]}
    config = {**recorder("32MiB", ["eth0", "eth1"], seconds=0), "api.requests": rules}
    with World(tmp_path_factory.mktemp("api"), config, pairs=2, redis=False) as world:
        send_both(world)
        yield world


@pytest.mark.parametrize("fields, rule", [
    ({"interface": ["eth1"]}, "interfaces"), ({"before": 1001}, "maxbefore"), ({"bpf": "host localhost"}, "resolve"),
    ({"packetdebug": True}, "allow_debug"), ({"to_destinations": ["local"]}, "destinations")])
def test_control_api_refuses_with_403_and_the_rule(api_ruled, fields, rule):
    answer = api_ruled.api.post({"node": NODE, "interface": ["eth0"], "timeout": 1, **fields}).expect(403)
    assert f"(api.requests.{rule})" in answer.error


def test_history_stream_obeys_the_rules(api_ruled):
    """What asks for all there is gets what it may have."""
    for parameters, rule in (({"interface": "eth1"}, "interfaces"), ({"last": "1001"}, "maxbefore"), ({"from": "1"}, "maxbefore"),
                             ({"bpf": "host localhost"}, "resolve")):
        answer = api_ruled.api.get("/v1/history", **{"interface": "eth0", **parameters}).expect(403)
        assert f"(api.requests.{rule})" in answer.error
    file = CaptureFile(api_ruled.api.get("/v1/history", interface="eth0").expect(200).body)
    assert file.numbers == list(range(10)) and file.interfaces[0].filter == "udp dst port 53"
    assert CaptureFile(api_ruled.api.get("/v1/history", interface="eth0", bpf="udp dst port 80 or udp").expect(200).body).numbers == list(range(10))


# --- defaults ---

def test_only_cloudshark_means_that_no_request_names_memory(make_world):
    """Otherwise a user who may publish, and fetch a file, could read any host's traffic."""
    world = make_world({"general": {"writelocal": False}}, cloudshark={"token": "0123456789abcdef"})
    assert "(requests.destinations)" in world.refused(to_destinations=["memory"])["reason"]
    world.stop(world.capture(to_destinations=["cloudshark"], timeout=30))


@pytest.mark.parametrize("allowed", [True, False])
def test_redis_is_a_default_destination_unless_switched_off(make_world, allowed):
    world = make_world({"requests": {"redis_files": allowed}})
    if allowed:
        world.stop(world.capture(to_destinations=["redis"], timeout=30))
    else:
        assert "(requests.redis_files)" in world.refused(to_destinations=["redis"])["reason"]


def test_rules_hold_on_the_stream_too(make_world):
    world = make_world({"redis": {"stream": "s"}, "requests": {"interfaces": ["eth0"]}})
    world.daemon.wait_log("stream-subscribed")
    with world.redis.client() as client:
        client.xadd("s", {"request": json.dumps(world.fields(id="no", interface=["lo"]))})
    event = world.events.wait(lambda event: event.get("id") == "no")
    assert event["event"] == "rejected" and "(requests.interfaces)" in event["reason"], event
