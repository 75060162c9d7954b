# SPDX-License-Identifier: BSD-2-Clause
"""The control API without captures: status, the event stream, metrics, and access."""

import concurrent.futures
import contextlib
import grp
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lib import pcapctl
from lib.api import Api, TcpApi
from lib.daemon import PRIVATE_RUN, Daemon
from lib.events import new_id
from lib.history import GENEROUS, ns, recorder
from lib.pcapfile import CaptureFile, judge
from lib.traffic import udp_over_loopback
from lib.waiting import seconds, until
from lib.world import NODE, World

CONNECTIONS_MAX, STREAMS_MAX = 64, 16
ALONE = {"redis": {"listen": False}}
PORT = 7227
SECRET = "0123456789abcdef0123"


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    config = {**recorder("32MiB"), "interface": [{"name": "eth0", "alias": ["main", "both"]}],
              "requests": {"destinations": ["local", "memory"]}}
    with World(tmp_path_factory.mktemp("world"), config, pairs=2) as installation:
        yield installation


@pytest.fixture
def api(world):
    return world.api


def interface(api, name):
    return next(one for one in api.get("/v1/interfaces").expect(200).json["interfaces"] if one["name"] == name)


# --- status ---

def test_status_has_the_fields_of_presence(world, api):
    status = api.get("/v1/status").expect(200).json
    assert (status["v"], status["node"]) == (1, NODE) and {"memory", "local"} <= set(status["destinations"])
    assert ns(status["started"]) < ns(status["time"])
    assert [one["name"] for one in status["interfaces"]] == ["lo", "eth0", "eth1"]
    assert status["load"]["memory_limit"] == 1 << 30


def redis_state(world):
    """Without the clock, whose values vary."""
    return {key: value for key, value in world.api.get("/v1/status").json["redis"].items() if key != "clock"}


def test_status_shows_running_captures_and_the_state_of_redis(make_world):
    world = make_world()
    request = world.capture(packets=10, timeout=30)
    world.sender.send(4, rate=1000)
    running = until(lambda: [one for one in world.api.get("/v1/status").json["captures"] if one["packets"] == 4], 10, "the packets")
    assert running == [{"capture": f"{request.id}.1", "packets": 4, "bytes": running[0]["bytes"]}] and running[0]["bytes"] > 0
    assert redis_state(world) == {"requests": True, "events": True, "waiting": 0}
    world.stop_redis()
    world.sender.send(6, rate=1000, first=4)
    down = {"requests": False, "events": False, "waiting": 2}  # captured, done
    until(lambda: redis_state(world) == down, 15, "the Redis outage to show")
    metrics = world.api.get("/metrics").body.decode()
    for line in ('pcapdaemon_redis_up{link="requests"} 0', 'pcapdaemon_redis_up{link="events"} 0', "pcapdaemon_redis_waiting 2"):
        assert line in metrics.splitlines(), metrics
    world.start_redis()
    until(lambda: world.api.get("/v1/status").json["redis"]["waiting"] == 0, 15, "the events to be sent")


def test_interfaces_show_rates_reach_and_losses(world, api):
    before = interface(api, "eth0")
    assert (before["up"], before["recorder"], before["aliases"], before["dropped"]) == (True, True, ["main", "both"], 0)
    assert before["ring"] >= 32 << 20 and before["reach"] >= 0
    world.sender.send(2000, rate=20000, size=1000)
    after = until(lambda: (now := interface(api, "eth0"))["packets"] >= before["packets"] + 2000 and now, 10, "2000 packets")
    assert after["held"] >= before["held"] + 2000 * 1000
    until(lambda: interface(api, "eth0")["rate"]["packets"] > 0, 15, "a rate")
    assert "reach" not in interface(api, "eth1") and interface(api, "eth1")["recorder"] is False


def test_health_is_ok_and_ready(world, api):
    assert api.get("/healthz").expect(200).json["status"] == "ok"
    assert api.get("/healthz", ready=1).expect(200).json["ready"] is True
    assert api.call("HEAD", "/healthz").expect(200).body == b""


def test_daemon_is_ready_only_while_subscribed_to_redis(make_world):
    world = make_world()
    world.api.get("/healthz", ready=1).expect(200)
    world.stop_redis()
    until(lambda: world.api.get("/healthz", ready=1).status == 503, 15, "the daemon to be no longer ready")
    world.api.get("/healthz").expect(200)
    world.start_redis()
    until(lambda: world.api.get("/healthz", ready=1).status == 200, 30, "the daemon to be ready again")


# --- metrics ---

def metrics(api):
    answer = api.get("/metrics").expect(200)
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(answer.body.decode())}


def value(families, family, **labels):
    found = [sample.value for sample in families[family].samples if sample.labels == labels]
    assert len(found) == 1, (family, labels, families[family].samples)
    return found[0]


def test_metrics_count_what_happened(world, api):
    until(lambda: value(metrics(api), "pcapdaemon_captures_running") == 0, 10, "captures of earlier tests to end")
    before = metrics(api)
    request = world.capture(packets=10, timeout=30)
    running = metrics(api)
    assert value(running, "pcapdaemon_captures_running") == 1
    assert value(running, "pcapdaemon_interface_captures", interface="eth0") == 1
    world.sender.send(10, rate=1000)
    request.done()
    world.refused(packets=-1)
    world.publish({"node": "elsewhere", "interface": ["eth0"]})
    after = until(lambda: value(now := metrics(api), "pcapdaemon_requests_elsewhere")
                  == value(before, "pcapdaemon_requests_elsewhere") + 1 and now, 10, "the other node's request")
    for kind in ("accepted", "captured", "done", "rejected"):
        assert value(after, "pcapdaemon_events", event=kind) == value(before, "pcapdaemon_events", event=kind) + 1, kind
    assert value(after, "pcapdaemon_events", event="failed") == 0
    packets = [value(families, "pcapdaemon_interface_packets", interface="eth0") for families in (before, after)]
    assert packets[1] >= packets[0] + 10
    assert value(after, "pcapdaemon_interface_dropped_packets", interface="eth0") == 0
    assert value(after, "pcapdaemon_interface_up", interface="eth1") == 1
    assert value(after, "pcapdaemon_recorder_reach_seconds", interface="eth0") >= 0
    assert value(after, "pcapdaemon_ring_size_bytes", interface="eth0") >= 32 << 20
    assert value(after, "pcapdaemon_recorder_held_bytes", interface="eth0") > 0
    assert value(after, "pcapdaemon_capture_memory_limit_bytes") == 1 << 30
    assert value(after, "pcapdaemon_uptime_seconds") > value(before, "pcapdaemon_uptime_seconds") > 0
    assert value(after, "pcapdaemon_api_connections") >= 1


def test_metrics_are_typed_and_have_base_units(api):
    families = metrics(api)
    assert all(name.startswith("pcapdaemon_") and family.documentation for name, family in families.items())
    assert families["pcapdaemon_events"].type == "counter" and families["pcapdaemon_uptime_seconds"].unit == "seconds"
    assert families["pcapdaemon_kept_bytes"].unit == "bytes"
    info, = families["pcapdaemon_build"].samples
    assert info.labels["node"] == NODE and info.labels["version"]


def test_files_kept_in_memory_are_measured(world, api):
    before = metrics(api)
    request = world.capture(packets=10, timeout=30, to_destinations=["memory"])
    world.sender.send(10, rate=1000)
    request.done()
    size = len(api.get(f"/v1/captures/{request.id}/file").expect(200).body)
    after = metrics(api)
    assert value(after, "pcapdaemon_kept_files") == value(before, "pcapdaemon_kept_files") + 1
    assert value(after, "pcapdaemon_kept_bytes") == value(before, "pcapdaemon_kept_bytes") + size


def test_node_name_with_special_characters_is_escaped_in_metrics(make_world):
    name = 'a "quoted" \\ näme'
    world = make_world({**ALONE, "general": {"node": name}}, redis=False)
    info, = metrics(world.api)["pcapdaemon_build"].samples
    assert info.labels["node"] == name


# --- events ---

def test_events_stream_in_order_as_they_happen(world, api):
    with api.events() as everything, api.events(id="nothing-like-it") as nothing:
        first = world.capture(packets=2, timeout=30)
        with api.events(id=first.id) as only:
            second = world.capture(packets=2, timeout=30, interface=["eth1"])
            world.refused(packets=-1)
            world.sender.send(2, rate=1000)
            first.done()
            events = everything.wait_kinds("accepted", "accepted", "rejected", "captured", "done")
            assert events == world.events.all(since=first.since)
            assert {event["id"] for event in only.wait_kinds("captured", "done")} == {first.id}
            assert [event["id"] for event in events[:2]] == [first.id, second.id]
        api.delete(f"/v1/captures/{second.id}").expect(202)
        second.done()
        assert nothing.events == []


def test_event_streams_beyond_the_limit_are_refused_until_one_closes(api):
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(api.events()) for _ in range(STREAMS_MAX)]
        assert str(STREAMS_MAX) in api.get("/v1/events").expect(503).error
        streams[0].close()
        until(lambda: api.call("HEAD", "/healthz").status == 200 and try_events(api), 10, "room for another stream")


def try_events(api):
    try:
        api.events().close()
        return True
    except AssertionError:
        return False


# --- load ---

def test_hundred_concurrent_clients_are_served_or_refused_as_too_many(world, api):
    def ask(number):
        return api.get("/v1/status") if number % 2 else api.get("/v1/captures")

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(ask, range(100)))
    assert {answer.status for answer in answers} <= {200, 503}
    assert sum(answer.status == 200 for answer in answers) >= CONNECTIONS_MAX
    world.assert_works()


def test_unfinished_requests_delay_no_other_client(world, api):
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(api.path)
            client.sendall(b"POST /v1/captures HTTP/1.1\r\nHost: x\r\nContent-Le")
        began = time.monotonic()
        world.assert_works()
        api.get("/v1/status").expect(200)
        assert time.monotonic() - began < seconds(8), "other clients wait for unfinished requests"


def test_hundred_concurrent_captures_all_complete(make_world):
    world = make_world({**ALONE, **GENEROUS, "limits": {"memory": "1GiB", "captures": 200, "requests_per_second": 1000}}, redis=False)
    api = world.api

    def ask(_):
        body = {"node": NODE, "interface": ["eth0"], "packets": 5, "timeout": 60, "to_destinations": ["memory"]}
        return until(lambda: (answer := api.post(body)).status != 503 and answer, 20, "a free connection").expect(202).json["id"]

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        ids = list(pool.map(ask, range(100)))
        assert len(set(ids)) == 100
        world.sender.send(5, rate=1000)
        files = list(pool.map(lambda one: until(lambda: (answer := api.get(f"/v1/captures/{one}/file")).status == 200 and answer, 30), ids))
    for file in files:
        CaptureFile(file.body).assert_numbers(0, 5)


# --- access ---

ASK = """
import http.client, socket, sys
connection = http.client.HTTPConnection("x")
connection.sock = socket.socket(socket.AF_UNIX)
try:
    connection.sock.connect(sys.argv[1])
except PermissionError:
    sys.exit("no way in")
connection.request("GET", "/v1/status")
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


def ask_as(path, *identity):
    done = subprocess.run(["setpriv", *identity, "--", sys.executable, "-c", ASK, path], capture_output=True, text=True,
                          timeout=seconds(20), cwd="/")
    return done.stdout or done.stderr.strip()


@pytest.fixture
def open_directory():
    """A directory that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="pcd-api-") as path:
        os.chmod(path, 0o755)
        yield path


def test_peer_credentials_decide_access(make_world, open_directory):
    path, group = os.path.join(open_directory, "api.sock"), grp.getgrnam("games")
    unprivileged = ["--reuid", "65534", "--regid", "65534"]
    world = make_world({**ALONE, "api": {"socket": path, "group": "games"}}, redis=False)
    status = os.stat(path)
    assert (status.st_mode & 0o777, status.st_gid) == (0o660, group.gr_gid)
    assert ask_as(path, *unprivileged, "--clear-groups") == "no way in"
    assert ask_as(path, *unprivileged, "--groups", str(group.gr_gid)).startswith("200 ")
    assert ask_as(path, "--reuid", "65534", "--regid", str(group.gr_gid), "--clear-groups").startswith("200 ")
    os.chmod(path, 0o666)  # a changed mode grants no access
    answer = ask_as(path, *unprivileged, "--clear-groups")
    assert answer.startswith("403 ") and "error" in json.loads(answer[4:]), answer
    assert ask_as(path, "--reuid", "0").startswith("200 ")
    assert world.daemon.wait_log("api-refused").fields["peer"] == "unix:65534(nobody)"


def tls_files(directory):
    """A self-signed certificate for 127.0.0.1 and its key."""
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=pcapdaemon", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True, timeout=60)
    return cert, key


@pytest.fixture(params=["plain", "tls"])
def tcp(request, make_world, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text(SECRET + "\n")
    token_file.chmod(0o600)
    config = {"listen": f"127.0.0.1:{PORT}", "token_file": str(token_file)}
    context = cert = None
    if request.param == "tls":
        cert, key = tls_files(tmp_path)
        config |= {"cert_file": cert, "key_file": key}
        context = ssl.create_default_context(cafile=cert)
    world = make_world({**ALONE, "api": config}, redis=False)
    world.cert = cert
    world.tcp = lambda token=SECRET: TcpApi(world.host, PORT, token, context)
    return world


def test_tcp_requires_the_token(tcp):
    assert tcp.tcp().get("/v1/status").expect(200).json["node"] == NODE
    for token in (None, "", SECRET[:-1], SECRET + "0", "x" * 1000):
        refused = tcp.tcp(token).get("/v1/status").expect(401)
        assert refused.headers["www-authenticate"].startswith("Bearer") and refused.error
    for path in ("/metrics", "/healthz", "/v1/history?interface=eth0", "/nothing"):
        tcp.tcp(None).get(path).expect(401)
    assert tcp.tcp("wrong").post({}).status == 401
    assert SECRET not in tcp.daemon.text()
    tcp.api.get("/v1/status").expect(200)  # the unix socket still works, without a token


def test_tcp_offers_the_whole_api(tcp):
    api = tcp.tcp()
    with api.events() as events:
        body = {"node": NODE, "interface": ["eth0"], "packets": 1000, "timeout": 30, "to_destinations": ["memory"]}
        request_id = api.post(body).expect(202).json["id"]
        tcp.sender.send(1000, rate=10000, size=1000)
        done = events.wait_kinds("accepted", "captured", "done")[-1]
    assert done["capture"] == f"{request_id}.1"
    CaptureFile(api.get(f"/v1/captures/{request_id}/file").expect(200).body).assert_numbers(0, 1000)


def test_curl_works_over_tcp(tcp):
    scheme, more = ("https", ["--cacert", tcp.cert]) if tcp.cert else ("http", [])
    url = f"{scheme}://127.0.0.1:{PORT}/healthz"
    curl = ["curl", "-sS", "--fail-with-body", "-H", f"Authorization: Bearer {SECRET}"]
    assert json.loads(tcp.host.run(*curl, *more, url).stdout)["status"] == "ok"
    if tcp.cert:
        assert tcp.host.run(*curl, url, check=False).returncode == 60  # unknown authority
        assert tcp.host.run("curl", "-sS", f"http://127.0.0.1:{PORT}/healthz", check=False).returncode != 0
        assert tcp.host.run(*curl, *more, "--tls-max", "1.1", url, check=False).returncode != 0


# --- sockets at start and end ---

@pytest.fixture
def embedded(netns, tmp_path):
    """A daemon without configuration, in its own /run/pcapdaemon."""
    (tmp_path / "embedded").mkdir()
    with Daemon(tmp_path / "embedded", netns=netns("bare"), wrapper=PRIVATE_RUN) as daemon:
        daemon.start(subscribed=False)
        daemon.socket = f"/proc/{daemon.pid}/root/run/pcapdaemon/control.sock"
        yield daemon


def test_embedded_api_needs_no_configuration(embedded, tmp_path):
    api = Api(embedded.socket)
    body = {"node": "any", "interface": ["lo"], "bpf": "udp port 4321", "packets": 5, "timeout": 30}
    request_id = api.post(body).expect(202).json["id"]
    udp_over_loopback(embedded.netns, 5, 4321)
    until(lambda: api.get(f"/v1/captures/{request_id}/file").status == 200, 15, "the file")
    path = tmp_path / "lo.pcapng"
    path.write_bytes(api.get(f"/v1/captures/{request_id}/file").body)
    assert judge(path)["Number of packets"] == "5"
    api.get("/healthz", ready=1).expect(200)  # Redis is not configured, so readiness does not wait for it
    assert embedded.stop() == 0 and not os.path.exists(embedded.socket)


def test_daemon_runs_while_the_default_socket_is_taken(embedded, tmp_path):
    inside = ["nsenter", "-t", str(embedded.pid), "-m"]
    (tmp_path / "second").mkdir()
    with Daemon(tmp_path / "second", netns=embedded.netns, wrapper=inside) as second:
        second.start(subscribed=False)
        assert "another process" in second.wait_log("api-unavailable").fields["error"]
        Api(embedded.socket).get("/v1/status").expect(200)
        assert second.stop() == 0
    Api(embedded.socket).get("/v1/status").expect(200)


def test_default_socket_is_opened_once_it_is_free(embedded, tmp_path):
    inside = ["nsenter", "-t", str(embedded.pid), "-m"]
    (tmp_path / "second").mkdir()
    with Daemon(tmp_path / "second", netns=embedded.netns, wrapper=inside) as second:
        second.start(subscribed=False)
        second.wait_log("api-unavailable")
        assert embedded.stop() == 0
        second.wait_log("api-ready", 15)
        Api(f"/proc/{second.pid}/root/run/pcapdaemon/control.sock").get("/v1/status").expect(200)
        assert second.stop() == 0


def test_daemon_ends_if_a_configured_socket_is_taken(make_world, tmp_path):
    world = make_world(ALONE, redis=False)
    (tmp_path / "second").mkdir()
    second = Daemon(tmp_path / "second", world.config, netns=world.host)
    second.launch()
    assert second.wait_exit() != 0
    assert "another process" in second.text()
    second.close()
    world.api.get("/v1/status").expect(200)


def test_stale_socket_is_replaced(make_world):
    world = make_world(ALONE, redis=False)
    world.daemon.kill()
    assert os.path.exists(world.api.path)
    world.daemon.start(subscribed=False)
    world.api.get("/v1/status").expect(200)
    assert world.daemon.stop() == 0 and not os.path.exists(world.api.path)


def test_socket_that_is_removed_is_made_again(make_world):
    """Clients that are connected stay so."""
    world = make_world(ALONE, redis=False)
    with world.api.events() as events:
        for _ in range(2):
            os.unlink(world.api.path)
            until(lambda: os.path.exists(world.api.path), 15, "the socket")
            assert os.stat(world.api.path).st_mode & 0o777 in (0o600, 0o660)
            world.api.get("/v1/status").expect(200)
        world.api.post({"node": NODE, "interface": ["eth0"], "timeout": 0.1}, wait=1).expect(200)
        until(lambda: any(name == "done" for name, _ in events.events), 10, "the event on the old connection")
    assert len(world.daemon.log("api-socket-made-again")) == 2


def test_empty_socket_option_opens_no_socket(make_world):
    world = make_world({**ALONE, "api": {"socket": ""}}, redis=False)
    assert not os.path.exists(world.api.path) and not world.daemon.log("api-ready")


# --- pcapctl ---

def test_pcapctl_works_against_the_real_api(world, tmp_path):
    ctl = lambda *arguments: pcapctl.run(*arguments, "--socket", world.api.path, cwd=tmp_path)  # noqa: E731
    with pcapctl.Pcapctl("capture", "-i", "eth0", "-c", "7", "--write", "seven.pcapng", "--id", (name := new_id("ctl")), "--socket", world.api.path,
                         cwd=tmp_path) as running:
        until(lambda: world.api.get(f"/v1/captures/{name}").status == 200 and
              world.api.get(f"/v1/captures/{name}").json["captures"][0]["state"] == "running", 10, "the capture")
        world.sender.send(7, rate=1000, first=70000)
        assert (result := running.finish()).status == 0, result
    CaptureFile(tmp_path / "seven.pcapng").assert_numbers(70000, 7)
    assert any(row[0].startswith(name) and "done" in row for row in ctl("list").rows())
    assert ctl("show", name).status == 0
    assert ctl("get", name, "--write", "again.pcapng").status == 0
    assert (tmp_path / "again.pcapng").read_bytes() == (tmp_path / "seven.pcapng").read_bytes()
    assert ctl("stop", name).status != 0
    status = ctl("status")
    assert status.status == 0 and "eth0" in status.stdout and NODE in status.stdout, status
    assert (result := ctl("history", "-i", "eth0", "-w", "history.pcapng")).status == 0, result
    assert CaptureFile(tmp_path / "history.pcapng").numbers[-7:] == list(range(70000, 70007))
    assert ctl("history", "-i", "eth1").status != 0
