# SPDX-License-Identifier: BSD-2-Clause
"""The control API's captures: requests, answers, states, and files."""

import concurrent.futures
import contextlib
import json
import os
import signal

import pytest

from lib.account import Arrivals, assert_exact
from lib.cloudshark_server import hang
from lib.events import new_id
from lib.history import rfc3339
from lib.pcapfile import CaptureFile, capinfos, judge
from lib.waiting import until
from lib.world import NODE

TOKEN = "0123456789abcdef"


@pytest.fixture
def api(world):
    return world.api


def fields(**more):
    """A request whose file goes to memory unless `more` names other destinations."""
    given = {"node": NODE, "interface": ["eth0"], "id": new_id("api"), "timeout": 30, "to_destinations": ["memory"], **more}
    return {name: value for name, value in given.items() if value is not None}


def start(api, **more):
    """Starts a capture, which is armed on return; returns the request's id."""
    return api.post(fields(**more)).expect(202).json["id"]


def captures(api, request_id):
    return api.get(f"/v1/captures/{request_id}").expect(200).json["captures"]


def wait_state(api, capture, state="done"):
    return until(lambda: (view := api.get(f"/v1/captures/{capture}").expect(200).json)["state"] == state and view, 15,
                 f"{capture} to be {state}")


def ended(api, sender, **more):
    """Makes a capture of three packets that has ended; returns its id and the request's."""
    request_id = start(api, packets=3, **more)
    sender.send(3, rate=1000)
    wait_state(api, f"{request_id}.1")
    return f"{request_id}.1", request_id


# --- requests ---

def test_capture_is_armed_before_the_request_is_answered(world, api):
    request = fields(packets=3, to_destinations=["memory", "local"])
    answer = api.post(request).expect(202).json
    world.sender.send(3, rate=1000, first=500)
    assert answer == {"id": request["id"], "captures": [{"capture": f"{request['id']}.1", "interface": "eth0"}]}
    done = wait_state(api, f"{request['id']}.1")
    assert (done["packets"], done["reason"], done["event"]) == (3, "packets", "done")
    CaptureFile(os.path.join(world.directory, done["file"])).assert_numbers(500, 3)


def test_request_without_an_id_gets_one_in_the_answer(world, api):
    request_id = api.post(fields(id=None, packets=1)).expect(202).json["id"]
    assert request_id and captures(api, request_id)[0]["capture"] == f"{request_id}.1"
    assert api.delete(f"/v1/captures/{request_id}").expect(202).json == {"stopped": 1}


def test_answer_to_a_waiting_request_has_the_final_events(world, api):
    request = fields(packets=5, interface=["eth0", "eth1"])
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(api.post, request, wait=1)
        until(lambda: (found := api.get(f"/v1/captures/{request['id']}")).status == 200
              and [view["state"] for view in found.json["captures"]] == ["running", "running"], 10, "both captures to run")
        world.sender.send(5, rate=1000, first=100)
        until(lambda: "done" in [view["state"] for view in captures(api, request["id"])], 10, "the first capture to end")
        assert not answer.done()
        api.delete(f"/v1/captures/{request['id']}").expect(202)
        answer = answer.result().expect(200).json
    assert answer["id"] == request["id"]
    assert sorted((event["interface"], event["event"], event["reason"], event["packets"]) for event in answer["events"]) == [
        ("eth0", "done", "packets", 5), ("eth1", "done", "empty", 0)]


def test_capture_survives_its_client(world, api):
    request = fields(packets=3)
    connection = api.connect()
    with contextlib.closing(connection):
        connection.request("POST", "/v1/captures?wait=1", json.dumps(request), {"Content-Type": "application/json"})
        until(lambda: api.get(f"/v1/captures/{request['id']}").status == 200, 10, "the capture")
        wait_state(api, f"{request['id']}.1", "running")
    world.sender.send(3, rate=1000)
    assert wait_state(api, f"{request['id']}.1")["packets"] == 3


def test_known_id_is_answered_without_a_second_capture(world, api):
    request = fields(packets=3)
    first = api.post(request).expect(202).json
    assert api.post(request).expect(202).json == first
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = [pool.submit(api.post, request, wait=1) for _ in range(3)]
        world.sender.send(3, rate=1000)
        for answer in waiting:
            event, = answer.result().expect(200).json["events"]
            assert (event["event"], event["packets"]) == ("done", 3)
    assert api.post(request).expect(202).json == first
    event, = api.post(request, wait=1).expect(200).json["events"]
    assert event["duplicate"] is True and event["packets"] == 3
    assert len(captures(api, request["id"])) == 1


@pytest.mark.parametrize("interfaces", [["eth0"], ["eth0", "eth1"]], ids=len)
def test_id_from_before_a_restart_is_answered_from_redis(make_world, interfaces):
    world = make_world({"redis": {"stream": "requests"}}, pairs=2)
    api, request = world.api, fields(packets=3, interface=interfaces)
    first = api.post(request).expect(202).json
    world.sender.send(3, rate=1000)
    wait_state(api, f"{request['id']}.1")
    api.delete(f"/v1/captures/{request['id']}")
    for number in range(len(interfaces)):
        wait_state(api, f"{request['id']}.{number + 1}")
    for wait in (None, 1, None):
        world.restart_daemon()
        world.daemon.wait_log("redis-up", role="keys")
        answer = api.post(request, wait=wait).expect(200 if wait else 202).json
        if wait:
            assert [event["duplicate"] for event in answer["events"]] == [True] * len(interfaces)
        else:
            assert sorted(map(str, answer["captures"])) == sorted(map(str, first["captures"]))
    assert len(world.events.all(lambda event: event["id"] == request["id"] and event["event"] == "accepted")) == len(interfaces)


def test_captures_survive_clients_that_disconnect_during_the_redis_lookup(make_world):
    world = make_world({"redis": {"stream": "requests"}})
    world.daemon.wait_log("redis-up", role="keys")
    api, requests = world.api, [fields(packets=3) for _ in range(5)]
    world.redis.pause()
    for request in requests:
        with contextlib.closing(api.connect()) as connection:
            connection.request("POST", "/v1/captures", json.dumps(request), {"Content-Type": "application/json"})
            until(lambda: json.dumps(api.get("/v1/status").json), 5)  # the daemon has read the request by now
    world.redis.resume()
    for request in requests:
        until(lambda: api.get(f"/v1/captures/{request['id']}").status == 200, 10, "the capture")
        wait_state(api, f"{request['id']}.1", "running")
    world.sender.send(3, rate=1000)
    for request in requests:
        assert wait_state(api, f"{request['id']}.1")["packets"] == 3


def test_partly_refused_request_lists_the_refused_captures(world, api):
    tun = world.host.add_tun("tun0")
    try:
        request = fields(interface=["eth0", "tun0"], bpf="ether src 02:00:00:00:00:99")
        answer = api.post(request).expect(202).json
        assert [capture["interface"] for capture in answer["captures"]] == ["eth0"]
        refused, = answer["refused"]
        assert (refused["interface"], refused["event"], refused["field"]) == ("tun0", "rejected", "bpf")
        assert [view["state"] for view in captures(api, request["id"])].count("running") == 1
        api.delete(f"/v1/captures/{request['id']}").expect(202)
    finally:
        tun.close()


# --- refusals ---

@pytest.mark.parametrize("change, status, field", [
    ({"packets": -1}, 400, "packets"),
    ({"packets": "many"}, 400, "packets"),
    ({"unheard_of": 1}, 400, "unheard_of"),
    ({"bpf": "no filter at all ("}, 400, "bpf"),
    ({"to_destinations": ["nowhere"]}, 400, "to_destinations"),
    ({"id": "not an id"}, 400, "id"),
    ({"interface": ["eht0"]}, 404, "interface"),
    ({"interface": ["eth0", "absent0"]}, 404, "interface"),
], ids=lambda value: str(value) if isinstance(value, dict) else "")
@pytest.mark.parametrize("wait", [None, 1])
def test_invalid_field_is_refused_by_name(world, api, change, status, field, wait):
    answer = api.post(fields(**change), wait=wait).expect(status).json
    assert answer["field"] == field and answer["error"], answer
    event, = answer["events"]
    assert (event["event"], event["reason"], event["field"]) == ("rejected", answer["error"], field)
    assert event["origin"] == "api:unix:0(root)"


def test_misspelt_interface_gets_a_suggestion(world, api):
    assert 'did you mean "eth' in api.post(fields(interface=["eht0"])).expect(404).error


def test_request_for_another_node_is_not_found(world, api):
    assert NODE in api.post(fields(node="elsewhere")).expect(404).error


@pytest.mark.parametrize("body, headers, status", [
    (b"", {}, 400), (b"{", {}, 400), (b"[]", {}, 400), (b'{"node":"a","node":"b"}', {}, 400), (b"\xff\xfe", {}, 400),
    (b"{}", {"Content-Type": "text/plain"}, 415), (b" " * 70000, {}, 413),
    (b"{}", {"Transfer-Encoding": "chunked"}, 501),
], ids=["empty", "cut off", "a list", "a key twice", "no UTF-8", "no JSON type", "too large", "in chunks"])
def test_malformed_request_is_refused(api, body, headers, status):
    assert api.call("POST", "/v1/captures", body, headers).expect(status).error


@pytest.mark.parametrize("method, target, status", [
    ("GET", "/v1/captures/unknown", 404), ("DELETE", "/v1/captures/unknown", 404), ("GET", "/v1/captures/unknown/file", 404),
    ("GET", "/v1/captures/unknown.1/file", 404), ("GET", "/", 404), ("GET", "/v1", 404), ("GET", "/v1/captures/a/b/c", 404),
    ("PUT", "/v1/captures", 405), ("DELETE", "/v1/captures", 405), ("POST", "/v1/captures/x", 405), ("POST", "/metrics", 405),
    ("GET", "/v1/captures?limit=0", 400), ("GET", "/v1/captures?limit=x", 400), ("GET", "/v1/captures?what=1", 400),
    ("GET", "/v1/captures/x?what=1", 400), ("DELETE", "/v1/captures/x?what=1", 400), ("GET", "/v1/captures/x/file?what=1", 400),
    ("GET", "/v1/status?what=1", 400), ("GET", "/v1/interfaces?what=1", 400), ("GET", "/healthz?what=1", 400),
    ("GET", "/healthz?ready=2", 400),
    ("GET", "/v1/events?id=a&id=b", 400), ("GET", f"/v1/events?id={'x' * 65}", 400),
    ("POST", "/v1/captures?wait=2", 400), ("POST", "/v1/captures?wait=1&wait=1", 400),
])
def test_unknown_path_method_or_parameter_is_an_error(api, method, target, status):
    body = b"{}" if method == "POST" and status != 405 else None
    assert api.call(method, target, body).expect(status).error


def test_refusal_for_a_limit_names_the_limit(make_world):
    world = make_world({"limits": {"captures": 2, "customer_captures": 1, "cooldown": "60s"}})
    api = world.api
    running = start(api, customer="C1")
    assert "customer" in api.post(fields(customer="C1")).expect(429).json["field"]
    start(api)
    assert "limits.captures" in api.post(fields()).expect(429).error
    assert "limits.captures" in api.post(fields(), wait=1).expect(429).error
    api.delete(f"/v1/captures/{running}").expect(202)
    wait_state(api, f"{running}.1")
    alert = start(api, alertid="A1")
    folded = api.post(fields(alertid="A1")).expect(202).json
    assert folded["folded_into"] == alert and folded["captures"] == [], folded
    api.delete(f"/v1/captures/{alert}").expect(202)
    wait_state(api, f"{alert}.1")
    assert "cooldown" in api.post(fields(alertid="A1")).expect(409).error


def test_refusal_for_the_request_rate_names_the_limit(make_world):
    world = make_world({"limits": {"requests_per_second": 1}})
    world.api.post(fields(packets=1)).expect(202)
    refused = until(lambda: (answer := world.api.post(fields(packets=1))).status == 429 and answer, 20, "a refusal", interval=0)
    assert "requests_per_second" in refused.error


# --- listing and stopping ---

def test_list_has_the_newest_first_with_current_counts(world, api):
    old, old_request = ended(api, world.sender)
    new = start(api, timeout=20)
    world.sender.send(7, rate=1000, size=200)
    until(lambda: captures(api, new)[0]["packets"] == 7, 10, "the live count")
    answer = api.get("/v1/captures").expect(200).json
    ours = [view for view in answer["captures"] if view["id"] in (old_request, new)]
    assert [view["capture"] for view in ours] == [f"{new}.1", old]
    assert (ours[0]["state"], ours[0]["packets"], ours[0]["bytes"]) == ("running", 7, 1400)
    assert rfc3339(0) < ours[0]["time"] < ours[0]["ends"] and "kept" not in ours[0]
    assert (ours[1]["state"], ours[1]["packets"], ours[1]["kept"]) == ("done", 3, True)
    assert ours[1]["file"] and "ends" not in ours[1]
    assert api.get(f"/v1/captures/{old}").json == ours[1]
    assert api.get("/v1/captures", limit=1).json["captures"][0]["capture"] == f"{new}.1"
    api.delete(f"/v1/captures/{new}").expect(202)


def test_running_capture_stays_listed_after_newer_ones_end(world, api):
    until(lambda: not any(view["state"] == "running" for view in api.get("/v1/captures").json["captures"]), 10, "earlier ends")
    running = start(api)
    for _ in range(3):
        ended(api, world.sender, bpf="udp")
    listed = [view["id"] for view in api.get("/v1/captures", limit=2).json["captures"]]
    assert running in listed and len(listed) == 3
    api.delete(f"/v1/captures/{running}").expect(202)


def test_stopped_capture_delivers_the_packets_it_has(world, api):
    request_id = start(api, interface=["eth0", "eth1"], to_destinations=["local", "memory"])
    world.sender.send(20, rate=2000, first=40)
    until(lambda: sum(view["packets"] for view in captures(api, request_id)) == 20, 10, "the packets")
    mine, = [view["capture"] for view in captures(api, request_id) if view["interface"] == "eth0"]
    other, = [view["capture"] for view in captures(api, request_id) if view["interface"] == "eth1"]
    assert api.delete(f"/v1/captures/{mine}").expect(202).json == {"stopped": 1}
    done = wait_state(api, mine)
    assert (done["reason"], done["packets"]) == ("stopped", 20)
    CaptureFile(os.path.join(world.directory, done["file"])).assert_numbers(40, 20)
    assert "ended" in api.delete(f"/v1/captures/{mine}").expect(409).error
    assert api.get(f"/v1/captures/{other}").json["state"] == "running"
    assert api.delete(f"/v1/captures/{request_id}").expect(202).json == {"stopped": 1}
    wait_state(api, other)
    api.delete(f"/v1/captures/{request_id}").expect(409)


# --- files ---

@pytest.mark.parametrize("kind, content_type", [("pcapng", "application/x-pcapng"), ("pcap", "application/vnd.tcpdump.pcap")])
def test_downloaded_file_equals_the_local_file(world, api, tmp_path, kind, content_type):
    capture, request_id = ended(api, world.sender, to_destinations=["local", "memory"], format=kind)
    view = api.get(f"/v1/captures/{capture}").json
    answer = api.get(f"/v1/captures/{capture}/file").expect(200)
    with open(os.path.join(world.directory, view["file"]), "rb") as file:
        assert answer.body == file.read()
    assert answer.headers["content-type"] == content_type
    assert answer.headers["content-disposition"] == f'attachment; filename="{view["file"]}"'
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert api.get(f"/v1/captures/{request_id}/file").expect(200).body == answer.body
    head = api.call("HEAD", f"/v1/captures/{capture}/file").expect(200)
    assert not head.body and head.headers["content-length"] == answer.headers["content-length"]
    path = tmp_path / f"download.{kind}"
    path.write_bytes(answer.body)
    assert judge(path)["Number of packets"] == "3"


def test_large_file_is_downloaded_completely(world, api, tmp_path):
    request_id = start(api, timeout=300, to_destinations=["local", "memory"])
    arrivals = Arrivals(world)
    world.sender.send(20000, rate=40000, size=1400)
    arrived = arrivals.settle()
    api.delete(f"/v1/captures/{request_id}").expect(202)
    done = wait_state(api, f"{request_id}.1")
    path = tmp_path / "download.pcapng"
    path.write_bytes(api.get(f"/v1/captures/{request_id}/file").expect(200).body)
    with open(os.path.join(world.directory, done["file"]), "rb") as file:
        assert path.read_bytes() == file.read()
    assert_exact(done, CaptureFile(path).numbers, range(20000), arrived)
    assert capinfos(path, "-M")["Number of packets"] == str(done["packets"])


def test_missing_file_is_explained(world, api):
    running = start(api)
    assert "running" in api.get(f"/v1/captures/{running}.1/file").expect(404).error
    api.delete(f"/v1/captures/{running}").expect(202)
    wait_state(api, f"{running}.1")
    assert "empty" in api.get(f"/v1/captures/{running}.1/file").expect(404).error
    elsewhere, _ = ended(api, world.sender, to_destinations=["local"])
    assert "not kept" in api.get(f"/v1/captures/{elsewhere}/file").expect(404).error
    two = start(api, interface=["eth0", "eth1"])
    named = api.get(f"/v1/captures/{two}/file").expect(409).error
    assert f"{two}.1" in named and f"{two}.2" in named
    api.delete(f"/v1/captures/{two}").expect(202)


def test_oldest_file_is_dropped_when_memory_is_full(make_world):
    world = make_world({"memory": {"bytes": "300KiB"}})
    api, made = world.api, []
    for _ in range(4):
        request_id = start(api, packets=100)
        world.sender.send(100, rate=10000, size=1000)
        wait_state(api, f"{request_id}.1")
        made.append(request_id)
    assert "not kept" in api.get(f"/v1/captures/{made[0]}.1/file").expect(404).error
    assert "kept" not in api.get(f"/v1/captures/{made[0]}.1").json
    CaptureFile(api.get(f"/v1/captures/{made[-1]}.1/file").expect(200).body).assert_numbers(0, 100)


def test_nothing_is_kept_without_the_memory_destination(make_world):
    world = make_world({"memory": {"bytes": 0}})
    assert "memory" in world.api.post(fields()).expect(400).error
    capture, _ = ended(world.api, world.sender, to_destinations=None)
    assert "memory.bytes" in world.api.get(f"/v1/captures/{capture}/file").expect(404).error


# --- shutdown ---

def test_stopping_daemon_answers_queries_and_refuses_requests(make_world):
    world = make_world({"history": {"interfaces": ["eth0"], "memory": "32MiB"}}, cloudshark={"token": TOKEN, "behaviour": hang()})
    api = world.api
    request_id = start(api, packets=5, to_destinations=["cloudshark"])
    waiting = fields(packets=5, to_destinations=["cloudshark"])
    with concurrent.futures.ThreadPoolExecutor() as pool, api.events(id=request_id) as events:
        waiting = pool.submit(api.post, waiting, wait=1)
        until(lambda: len([view for view in api.get("/v1/captures").json["captures"] if view["state"] == "running"]) == 2, 10)
        world.sender.send(5, rate=1000)
        wait_state(api, f"{request_id}.1", "delivering")
        world.daemon.signal(signal.SIGTERM)
        world.daemon.wait_log("stopping")
        refused = api.post(fields()).expect(503).json
        assert "stopping" in refused["error"]
        api.get("/v1/history", interface="eth0").expect(503)
        api.get("/healthz").expect(200)
        api.get("/healthz", ready=1).expect(503)
        assert api.get(f"/v1/captures/{request_id}.1").json["state"] == "delivering"
        assert not events.ended
        assert world.daemon.stop(timeout=40, grace=False) == 0
        assert [event["event"] for event in waiting.result().expect(200).json["events"]] == ["failed"]
        events.wait(lambda stream: stream.ended)
        assert [name for name, _ in events.events] == ["captured", "failed"]
    assert not os.path.exists(api.path)
