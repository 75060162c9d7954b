"""The control API (contract: "Control API"): every call, every kind of refusal, and that nobody who uses it can hold up captures."""

import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import time

import pytest

from lib.api import Api, EventStream
from lib.events import new_id
from lib.pcapfile import CaptureFile
from lib.waiting import until

MEMORY = {"general": {"writelocal": False}}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    from lib.world import World
    with World(tmp_path_factory.mktemp("api"), {**MEMORY, "history": {"interfaces": ["eth0"], "memory": "64MiB"}}, pairs=2,
               redis=False) as world:
        world.api = Api(world.config["api"]["socket"])
        yield world


def fields(**more):
    return {"node": "any", "interface": ["eth0"], "id": new_id("a"), "timeout": 20, **more}


def test_a_request_is_armed_when_it_is_answered(host):
    asked = fields(packets=5)
    answer = host.api.submit(**asked)
    assert answer.status == 202
    assert answer.json == {"id": asked["id"], "captures": [{"capture": f"{asked['id']}.1", "interface": "eth0"}]}
    host.sender.send(5, rate=1000)
    until(lambda: host.api.get(f"/v1/captures/{asked['id']}.1").json["state"] == "done")


def test_wait_answers_with_the_final_events(host, tmp_path):
    stream = host.sender.start(rate=500, seconds=5, count=0)
    asked = fields(packets=20, interface=["eth0"], customer="ACME", alertid=7, tags="x")
    answer = host.api.submit(wait=True, **asked)
    stream.stop()
    assert answer.status == 200
    event, = answer.json["events"]
    assert (event["event"], event["reason"], event["packets"], event["id"]) == ("done", "packets", 20, asked["id"])
    assert event["destinations"] == [
        {"name": "memory", "ok": True, "url": f"/v1/captures/{asked['id']}.1/file", "attempts": 1}]
    got = host.api.get(event["destinations"][0]["url"])
    assert got.status == 200 and int(got.headers["Content-Length"]) == len(got.body)
    assert f'filename="{event["file"]}"' in got.headers["Content-Disposition"]
    path = tmp_path / event["file"]
    path.write_bytes(got.body)
    assert len(CaptureFile(path).numbers) == 20
    assert host.api.get(f"/v1/captures/{asked['id']}/file").body == got.body
    again = host.api.submit(wait=True, **asked)
    assert again.status == 200 and again.json["events"][0]["duplicate"] is True


def test_a_running_capture_is_listed_and_can_be_stopped_early(host):
    asked = fields(timeout=60, interface=["eth0", "eth1"])
    assert host.api.submit(**asked).status == 202
    host.sender.send(7, rate=1000)
    path = f"/v1/captures/{asked['id']}"
    until(lambda: host.api.get(f"{path}.1").json["packets"] == 7)
    one = host.api.get(f"{path}.1").json
    assert one["state"] == "running" and one["ends"] > one["time"]
    assert len(host.api.get(path).json["captures"]) == 2
    listed = host.api.get("/v1/captures?limit=3").json
    assert {entry["capture"] for entry in listed["captures"]} >= {f"{asked['id']}.1", f"{asked['id']}.2"}
    assert host.api.ask("DELETE", path).json == {"stopped": 2}
    until(lambda: host.api.get(f"{path}.1").json["state"] == "done")
    assert host.api.get(f"{path}.1").json["reason"] == "stopped" and host.api.get(f"{path}.1").json["kept"] is True
    until(lambda: host.api.get(f"{path}.2").json["state"] == "done")
    assert host.api.ask("DELETE", path).status == 409
    assert host.api.get(f"{path}/file").status == 409 and ".1" in host.api.get(f"{path}/file").json["error"]
    assert "was empty" in host.api.get(f"{path}.2/file").json["error"]


@pytest.mark.parametrize("change, status, field", [
    ({"packets": -1}, 400, "packets"), ({"bpf": "bogus ("}, 400, "bpf"), ({"unknown": 1}, 400, "unknown"),
    ({"interface": ["eth9"]}, 404, "interface"), ({"node": "another"}, 404, None), ({"node": None}, 400, "node")])
def test_refusals_have_their_status_and_name_the_field(host, change, status, field):
    asked = {key: value for key, value in fields(**change).items() if value is not None}
    answer = host.api.submit(**asked)
    assert answer.status == status and answer.json["error"]
    assert answer.json.get("field") == field


@pytest.mark.parametrize("method, target, body, status", [
    ("GET", "/v1/captures/none", None, 404), ("DELETE", "/v1/captures/none", None, 404), ("GET", "/v1/captures/none/file", None, 404),
    ("GET", "/v1/nothing", None, 404), ("PUT", "/v1/captures", None, 405), ("POST", "/v1/captures?wait=2", {}, 400),
    ("POST", "/v1/captures?x=1", {}, 400), ("GET", "/v1/captures?limit=0", None, 400), ("POST", "/v1/captures", {}, 400),
    ("GET", "/v1/history", None, 400), ("GET", "/v1/history?interface=eth9", None, 404), ("GET", "/v1/history?interface=eth0&bpf=(", None, 400),
    ("GET", "/v1/history?interface=eth0&last=x", None, 400), ("GET", "/v1/history?interface=eth0&from=2&to=1", None, 400),
    ("GET", "/v1/history?interface=eth0&interface=eth1", None, 400), ("GET", "/v1/events?id=" + "x" * 70, None, 400)])
def test_wrong_questions_are_refused_in_words(host, method, target, body, status):
    answer = host.api.ask(method, target, body)
    assert answer.status == status, answer.body
    assert answer.json["error"]


def test_a_body_that_is_no_json_is_refused(host):
    assert host.api.ask("POST", "/v1/captures", "{", **{"Content-Type": "application/json"}).status == 400


def test_the_past_is_a_file_without_a_job(host, tmp_path):
    before = host.api.get("/v1/captures").json["total"]
    began = time.time()
    host.sender.send(2000, rate=20000, first=5000)
    answer = host.api.get(f"/v1/history?interface=eth0&from={began:.6f}")
    assert answer.status == 200
    path = tmp_path / "past.pcapng"
    path.write_bytes(answer.body)
    CaptureFile(path).assert_numbers(5000, 2000)
    some = host.api.get(f"/v1/history?interface=eth0&from={began:.6f}&packets=10")
    path.write_bytes(some.body)
    CaptureFile(path).assert_numbers(5000, 10)
    assert host.api.get("/v1/captures").json["total"] == before
    empty = host.api.get("/v1/history?interface=eth0&last=30s&bpf=tcp%20port%201")
    path.write_bytes(empty.body)
    assert CaptureFile(path).numbers == []


def test_a_past_larger_than_what_may_be_held_comes_whole(host, tmp_path):
    began = time.time()
    host.sender.send(20000, rate=20000, size=1400, first=0)  # 28 MB: four pieces
    answer = host.api.get(f"/v1/history?interface=eth0&from={began:.6f}", timeout=60)
    path = tmp_path / "past.pcapng"
    path.write_bytes(answer.body)
    CaptureFile(path).assert_numbers(0, 20000)


def test_readers_of_the_past_who_go_away_leave_nothing(host):
    host.sender.send(8000, rate=20000, size=1400)
    for _ in range(20):
        connection = host.api.connect()
        connection.request("GET", "/v1/history?interface=eth0&last=60s")
        assert connection.getresponse().read(1000)
        connection.close()
    until(lambda: host.api.get("/v1/history?interface=eth0&last=1ms").status == 200)
    until(lambda: host.api.get("/v1/status").json["load"]["memory"] == 0)


def test_events_come_as_they_happen(host):
    every, asked = EventStream(host.api), fields(packets=2)
    mine = EventStream(host.api, f"/v1/events?id={asked['id']}")
    other = fields(packets=2)
    host.api.submit(**other)
    host.api.submit(**asked)
    host.sender.send(2, rate=1000)
    for kind in ("accepted", "captured", "done"):
        every.wait(kind, id=asked["id"])
        every.wait(kind, id=other["id"])
        mine.wait(kind)
    assert {event["id"] for _, event in mine.items} == {asked["id"]}
    assert [kind for kind, _ in mine.items] == ["accepted", "captured", "done"]
    every.close()
    mine.close()


def test_interfaces_tell_how_far_back_they_reach(host):
    until(lambda: {entry["name"]: entry for entry in host.api.get("/v1/interfaces").json["interfaces"]}["eth0"]["reach"] > 0.5)
    entry = {entry["name"]: entry for entry in host.api.get("/v1/interfaces").json["interfaces"]}["eth0"]
    assert entry["recorder"] is True and entry["ring"] >= 32 << 20 and entry["dropped"] == 0 and "rate" in entry
    status = host.api.get("/v1/status").json
    assert status["node"] == "test-node" and status["destinations"] == ["memory", "redis"] and status["load"]["memory_limit"] > 0


def test_metrics_are_open_metrics(host):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
    answer = host.api.get("/metrics")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    reach = {sample.labels["interface"]: sample.value for sample in families["pcapdaemon_recorder_reach_seconds"].samples}
    assert reach["eth0"] > 0 and "eth1" not in reach
    assert {sample.labels["event"] for sample in families["pcapdaemon_events"].samples} == {
        "accepted", "rejected", "captured", "done", "failed"}
    assert families["pcapdaemon_build"].samples[0].labels["node"] == "test-node"


def test_health_is_told(host):
    assert host.api.get("/healthz").json["status"] == "ok"


def test_slow_and_many_clients_delay_no_capture(host):
    path = host.config["api"]["socket"]
    with contextlib.ExitStack() as stack:
        for _ in range(40):  # they begin a request and never go on
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(path)
            client.sendall(b"POST /v1/captures HTTP/1.1\r\nHost: x\r\nContent-Le")
        began = time.monotonic()
        assert host.api.submit(**fields(packets=1)).status == 202
        assert time.monotonic() - began < 2
    host.sender.send(1)


def test_strangers_are_not_let_in(host):
    os.chmod(host.root, 0o755)
    path = host.config["api"]["socket"]
    os.chmod(path, 0o666)  # the file would let them; their credentials do not
    for folder in (host.root, os.path.dirname(host.root), os.path.dirname(os.path.dirname(host.root))):
        os.chmod(folder, 0o755)
    ask = f"""
import socket
s = socket.socket(socket.AF_UNIX)
s.connect({path!r})
s.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
print(s.recv(4096).decode().split()[1])
"""
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", ask],
                          capture_output=True, text=True, timeout=20)
    assert done.stdout.strip() == "403", done.stderr


def test_tcp_needs_the_token_and_speaks_tls(make_world, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key", "-out", tmp_path / "cert",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    (tmp_path / "token").write_text("sesame-token\n")
    world = make_world({**MEMORY, "api": {"listen": "127.0.0.1:7227", "token_file": str(tmp_path / "token"),
                                          "cert_file": str(tmp_path / "cert"), "key_file": str(tmp_path / "key")}}, redis=False)

    def ask(token):
        def inside():
            connection = http.client.HTTPSConnection("127.0.0.1", 7227, timeout=10,
                                                     context=ssl.create_default_context(cafile=tmp_path / "cert"))
            connection.request("GET", "/v1/status", headers={"Authorization": f"Bearer {token}"} if token else {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        return world.host.call(inside)

    status, body = ask("sesame-token")
    assert status == 200 and json.loads(body)["node"] == "test-node"
    assert ask("sesame-toke")[0] == 401 and ask(None)[0] == 401
    assert "sesame-token" not in world.daemon.text()


def test_stopping_ends_waits_and_histories_and_says_so(make_world):
    world = make_world({**MEMORY, "redis": {"listen": False}}, redis=False)
    api, asked = Api(world.config["api"]["socket"]), fields(timeout=60)
    events = EventStream(api)
    assert api.submit(**asked).status == 202
    world.sender.send(3, rate=1000)
    until(lambda: api.get(f"/v1/captures/{asked['id']}.1").json["packets"] == 3)
    assert world.daemon.stop() == 0
    assert events.wait("done", id=asked["id"])["reason"] == "shutdown"


def test_files_make_room_for_younger_ones(make_world):
    world = make_world({**MEMORY, "memory": {"bytes": 3000}}, redis=False)
    api, files = Api(world.config["api"]["socket"]), []
    for _ in range(3):
        asked = fields(packets=5)
        assert api.submit(**asked).status == 202
        world.sender.send(5, rate=1000)
        files.append(f"/v1/captures/{asked['id']}.1")
        until(lambda: api.get(files[-1]).json["state"] == "done")
    assert api.get(f"{files[-1]}/file").status == 200
    gone = api.get(f"{files[0]}/file")
    assert gone.status == 404 and "memory" in gone.json["error"]


def test_a_default_socket_that_is_taken_is_a_warning_a_named_one_a_fault(make_world, tmp_path):
    world = make_world(MEMORY, redis=False)
    second = make_world({**MEMORY, "api": {"socket": world.config["api"]["socket"]}}, redis=False, start=False)
    second.daemon.launch()
    assert second.daemon.wait_exit() == 1
    assert "control.sock" in second.daemon.text()
    assert Api(world.config["api"]["socket"]).get("/healthz").status == 200
