# SPDX-License-Identifier: BSD-2-Clause
"""Faults of Redis, CloudShark and the disk: captures go on, and every outcome is reported."""

import contextlib
import json
import os
import shutil
import signal
import subprocess

import pytest

from lib.cloudshark_server import Behaviour, answer, busy, close, hang, ok, refuse, slow
from lib.events import Events, Request
from lib.pcapfile import CaptureFile, judge
from lib.waiting import seconds, until
from lib.world import World

TOKEN = "0badc0de0badc0de0badc0de"
UPLOAD_ONLY = {"general": {"writelocal": False, "localdir": None}}


@pytest.fixture(scope="module")
def uploading(tmp_path_factory):
    """An installation that only uploads; each test tells the receiver how to behave."""
    with World(tmp_path_factory.mktemp("uploading"), UPLOAD_ONLY, cloudshark={"token": TOKEN}) as world:
        yield world


# A file that was sent whole, and not answered, may be there: the next copy waits 60 s. Meanwhile the other tests of this file run.

COPY_WAIT_S = 60
UNANSWERED = {"closed half-way": close("before"), "closed without an answer": close("after"), "hanging": hang()}


@pytest.fixture(scope="module")
def unanswered(tmp_path_factory):
    """Worlds by fault, each with a request whose upload has met it."""
    with contextlib.ExitStack() as stack:
        worlds = {}
        for fault, behaviour in UNANSWERED.items():
            worlds[fault] = world = stack.enter_context(World(
                tmp_path_factory.mktemp("unanswered"), {**UPLOAD_ONLY, "cloudshark": {"timeout": 5} if behaviour == hang() else {}},
                cloudshark={"token": TOKEN, "behaviour": [behaviour, ok()]}))
            world.unanswered = world.capture(packets=200, timeout=20)
            world.sender.send(200, size=1400, rate=20_000)
            world.receiver.server.wait_for_requests(1, timeout=seconds(20))
        yield worlds


@pytest.mark.parametrize("fault", ("closed without an answer", "hanging"))
def test_file_that_was_not_answered_waits_before_it_is_sent_again(unanswered, fault):
    line = unanswered[fault].daemon.wait_log("delivery-retry", 30, id=unanswered[fault].unanswered.id)
    assert line.fields["attempt"] == "1" and float(line.fields["wait_s"]) >= COPY_WAIT_S, line.text


# --- Redis ---

def test_daemon_connects_once_redis_appears(make_world):
    world = make_world(start=False)
    world.stop_redis()
    world.daemon.start(subscribed=False)
    world.daemon.wait_log("redis-down")
    world.start_redis()
    world.daemon.wait_log("subscribed", 20)
    world.assert_works()


def test_capture_is_delivered_although_redis_is_killed(make_world):
    """Its events are sent when Redis is back."""
    world = make_world()
    request = world.capture(packets=10, timeout=30)
    world.stop_redis(signal.SIGKILL)
    world.daemon.wait_log("redis-down")
    world.sender.send(10, rate=1000)
    CaptureFile(world.wait_file(request)).assert_numbers(0, 10)
    world.start_redis()
    assert request.wait("captured", timeout=30)["packets"] == 10
    done = request.done(timeout=30)
    assert (done["packets"], done["reason"]) == (10, "packets")
    world.daemon.wait_log("subscribed", 20, since=world.daemon.lines.index(world.daemon.log("redis-down")[0]))
    world.assert_works()


def test_captures_work_after_a_redis_restart(make_world):
    world = make_world()
    for _ in range(3):
        since = world.daemon.mark()
        world.stop_redis(signal.SIGTERM)
        world.start_redis()
        world.daemon.wait_log("subscribed", 20, since=since)
        world.assert_works()


def test_each_connection_state_change_is_logged_once(make_world):
    world = make_world()
    world.stop_redis()
    world.daemon.wait_log("redis-down")
    with contextlib.suppress(subprocess.TimeoutExpired):
        world.daemon.process.wait(3)  # long enough for several attempts
    down = world.daemon.log("redis-down")
    states = [(line.fields["role"], line.fields["reason"]) for line in down]
    assert len(states) == len(set(states)) <= 6, "repeated log lines:\n" + world.daemon.tail()
    world.start_redis()
    world.daemon.wait_log("subscribed", 20, since=world.daemon.lines.index(down[0]))


def test_killed_redis_connections_are_reopened(make_world):
    world = make_world()
    assert len(world.redis.clients()) >= 2, "a subscriber and a publisher"
    since = world.daemon.mark()
    world.redis.kill_clients()
    world.daemon.wait_log("subscribed", 20, since=since)
    world.assert_works()


def test_hanging_redis_disturbs_no_capture(make_world):
    world = make_world()
    request = world.capture(packets=10, timeout=30)
    world.redis.pause()
    try:
        world.sender.send(10, rate=1000)
        world.wait_file(request)
    finally:
        world.redis.resume()
    assert request.done(timeout=30)["packets"] == 10
    world.assert_works()


def test_second_sigterm_does_not_wait_for_a_hanging_redis(make_world):
    """The second signal ends the wait for the last events to reach Redis."""
    world = make_world()
    request = world.capture(packets=10, timeout=30)
    world.sender.send(3, rate=1000)
    world.redis.pause()
    try:
        world.daemon.signal(signal.SIGTERM)
        world.wait_file(request)
        world.daemon.signal(signal.SIGTERM)
        assert world.daemon.wait_exit(8) == 0, "the daemon waits for the grace time"
    finally:
        world.redis.resume()


def test_password_and_acl_user_work_and_a_wrong_password_is_logged(make_world):
    good = make_world({"redis": {"auth": "general-secret"}}, redis={"password": "general-secret"})
    good.assert_works()
    acl = make_world({"redis": {"username": "pcap", "auth": "acl-secret"}},
                     redis={"users": ["pcap on >acl-secret ~* &* +@all"]})
    acl.assert_works()
    bad = make_world({"redis": {"auth": "wrong-secret"}}, redis={"password": "general-secret"}, start=False)
    bad.daemon.start(subscribed=False)
    line = bad.daemon.wait_log("redis-down")
    assert "wrong-secret" not in bad.daemon.text() and line.fields.get("reason")


def test_event_and_request_channels_are_configurable(make_world):
    world = make_world({"redis": {"channel": "office:capture", "events": "office:answers"}})
    events = Events(world.redis, "office:answers")
    fields = world.fields(packets=1, timeout=20)
    world.publish(fields, "office:capture")
    request = Request(events, fields["id"], fields, 0)
    request.accepted()
    world.sender.send(1)
    request.done()
    events.close()


# --- disk ---

SMALL_DISK = r"""
set -e
mount -t tmpfs -o size=256k tmpfs "$1"
shift
exec "$@"
"""


def small_disk_world(make_world, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    return make_world({"general": {"localdir": str(disk)}, "local": {"min_free": 0}},
                      wrapper=["unshare", "-m", "--propagation", "private", "sh", "-c", SMALL_DISK, "sh", disk]), disk


def inside(world, path):
    """The path in the daemon's own mount namespace."""
    return f"/proc/{world.daemon.pid}/root{path}"


def test_full_disk_is_retried_until_there_is_room(make_world, tmp_path):
    world, disk = small_disk_world(make_world, tmp_path)
    ballast = inside(world, f"{disk}/ballast")
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    request = world.capture(packets=50, timeout=20)
    world.sender.send(50, size=1000, rate=5000)
    line = world.daemon.wait_log("delivery-retry", id=request.id)
    assert "space" in line.text
    until(lambda: os.listdir(inside(world, disk)) == ["ballast"], 10, "no partial file to remain")  # except during an attempt
    os.unlink(ballast)
    done = request.done(timeout=30)
    destination, = done["destinations"]
    assert destination["ok"] is True and destination["attempts"] > 1
    CaptureFile(inside(world, f"{disk}/{done['file']}")).assert_numbers(0, 50)


def test_file_that_never_fits_leaves_no_remains_and_delays_no_capture(make_world, tmp_path):
    world, disk = small_disk_world(make_world, tmp_path)
    big = world.capture(packets=500, timeout=20)
    world.sender.send(500, size=1500, rate=5000)
    world.daemon.wait_log("delivery-retry", id=big.id)
    small = world.capture(packets=5, timeout=20)
    world.sender.send(5, rate=1000)
    done = small.done()
    CaptureFile(inside(world, f"{disk}/{done['file']}")).assert_numbers(0, 5)
    until(lambda: os.listdir(inside(world, disk)) == [done["file"]], 10, "no partial file to remain")
    assert world.daemon.stop(grace=False) == 0
    final = big.final()
    assert final["destinations"][0]["ok"] is False and "space" in final["destinations"][0]["error"]


def test_missing_directory_is_retried_until_it_is_back(make_world):
    world = make_world()
    os.rmdir(world.directory)
    request = world.capture(packets=5, timeout=20)
    world.sender.send(5, rate=1000)
    world.daemon.wait_log("delivery-retry", id=request.id)
    os.mkdir(world.directory)
    assert request.done(timeout=30)["destinations"][0]["ok"] is True
    world.file(request).assert_numbers(0, 5)


def test_directory_that_is_a_file_is_reported(make_world):
    world = make_world()
    os.rmdir(world.directory)
    open(world.directory, "w").close()
    request = world.capture(packets=1, timeout=20)
    world.sender.send(1)
    final = request.final(timeout=30)
    assert final["destinations"][0]["ok"] is False and final["destinations"][0]["error"]
    os.unlink(world.directory)
    os.mkdir(world.directory)
    world.assert_works()


# --- CloudShark ---

EXCEPTIONS = ("Capture file is too large", "Quota of the token is used up")


@pytest.mark.parametrize("status", [400, 403, 413, 422])
def test_refusal_is_final_and_every_exception_is_reported(uploading, status):
    uploading.receiver.server.behave(refuse(status, *EXCEPTIONS))
    since = uploading.daemon.mark()
    request = uploading.capture(packets=1, timeout=20)
    uploading.sender.send(1)
    final = request.final()
    destination, = final["destinations"]
    assert destination["ok"] is False and destination["attempts"] == 1
    assert all(text in destination["error"] for text in EXCEPTIONS), destination
    uploading.daemon.wait_text(*EXCEPTIONS, since=since)


def test_refusal_by_one_destination_does_not_affect_the_other(make_world):
    world = make_world(cloudshark={"token": TOKEN, "behaviour": refuse(403, *EXCEPTIONS)})
    request = world.capture(packets=3, timeout=20)
    world.sender.send(3, rate=1000)
    final = request.final()
    assert {d["name"]: d["ok"] for d in final["destinations"]} == {"local": True, "cloudshark": False}
    world.file(request).assert_numbers(0, 3)


PASSING = {"500": busy(500), "503 with Retry-After": busy(503, retry_after=1), "429": busy(429),
           "500 before the body": Behaviour("refuse-early", 500, ["early"]), "no JSON after a 500": answer("<html>", 500)}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_transient_fault_is_retried_until_it_succeeds(uploading, fault):
    uploading.receiver.server.behave([fault, ok()])
    request = uploading.capture(packets=200, timeout=20)
    uploading.sender.send(200, size=1400, rate=20_000)
    destination, = request.done(timeout=60)["destinations"]
    assert destination["ok"] is True and destination["attempts"] == 2
    CaptureFile(uploading.receiver.of(request.id).content).assert_numbers(0, 200)
    assert uploading.receiver.faults == []


def test_slow_receiver_gets_the_whole_file(uploading):
    uploading.receiver.server.behave(slow(chunk=65536, pause=0.01))
    request = uploading.capture(packets=5000, timeout=20)
    uploading.sender.send(5000, size=1400, rate=20_000)
    request.done(timeout=30)
    CaptureFile(uploading.receiver.of(request.id).content).assert_numbers(0, 5000)


def test_absent_receiver_is_retried_until_it_appears(make_world):
    world = make_world(UPLOAD_ONLY, cloudshark={"token": TOKEN, "start": False})
    request = world.capture(packets=5, timeout=20)
    world.sender.send(5, rate=1000)
    world.daemon.wait_log("delivery-retry", id=request.id)
    world.receiver.start()
    assert request.done(timeout=30)["destinations"][0]["ok"] is True
    CaptureFile(world.receiver.of(request.id).content).assert_numbers(0, 5)


def test_hanging_receiver_delays_neither_captures_nor_the_local_file(make_world):
    world = make_world(cloudshark={"token": TOKEN, "behaviour": hang()})
    hanging = [world.capture(packets=2, timeout=20) for _ in range(20)]
    world.sender.send(2, rate=1000)
    for request in hanging:
        request.wait("captured")
        world.wait_file(request)
    request = world.capture(packets=3, timeout=20, to_destinations=["local"])
    world.sender.send(3, rate=1000)
    request.done()


def test_wrong_token_is_reported_without_the_token(make_world):
    world = make_world({**UPLOAD_ONLY, "cloudshark": {"token": "not-the-right-one"}}, cloudshark={"token": TOKEN})
    request = world.capture(packets=1, timeout=20)
    world.sender.send(1)
    final = request.final()
    assert final["destinations"][0]["ok"] is False
    assert "not-the-right-one" not in world.daemon.text() + json.dumps(world.events.items)


def test_upload_and_redis_over_tls_with_verified_names(make_world, tmp_path):
    """Both use one certificate authority; the second installation does not trust it and reports that."""
    ca, cert, key = (str(tmp_path / name) for name in ("ca.pem", "cert.pem", "key.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True,
                   capture_output=True)
    shutil.copy(cert, ca)
    tls = {"cert": cert, "key": key, "ca": ca}
    secure = {"cloudshark": {"scheme": "https", "ca_file": ca}, "redis": {"tls": True, "ca_file": ca, "host": "localhost"}}
    world = make_world({**UPLOAD_ONLY, **secure}, redis={"tls": tls}, cloudshark={"token": TOKEN, "tls": (cert, key)})
    request = world.capture(packets=1, timeout=20)
    world.sender.send(1)
    assert request.done()["destinations"][0]["url"].startswith("https://")
    (tmp_path / request.id).write_bytes(world.receiver.of(request.id).content)
    judge(tmp_path / request.id)

    untrusting = make_world({**UPLOAD_ONLY, "redis": {"tls": True, "host": "localhost"}}, redis={"tls": tls}, start=False)
    untrusting.daemon.start(subscribed=False)
    assert "cert" in untrusting.daemon.wait_log("redis-down").text


# --- at the end, after its wait ---

@pytest.mark.parametrize("fault", UNANSWERED)
def test_file_that_was_not_answered_is_sent_again(unanswered, fault):
    world = unanswered[fault]
    destination, = world.unanswered.done(timeout=COPY_WAIT_S + 60)["destinations"]
    assert destination["ok"] is True and destination["attempts"] == 2
    CaptureFile(world.receiver.of(world.unanswered.id).content).assert_numbers(0, 200)
    assert world.receiver.faults == []
