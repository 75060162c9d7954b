# SPDX-License-Identifier: BSD-2-Clause
"""Requests on a Redis stream: none is lost and none runs twice, whatever fails."""

import json
import time

import pytest

from lib.events import Request
from lib.shim import shifted_clock
from lib.stream import STREAM, add, deliver_unanswered, finish, pending, restart, start, wait_acked
from lib.waiting import until
def test_stream_request_is_run_and_acknowledged(durable):
    world = durable()
    request = add(world, packets=3, timeout=20)
    assert request.accepted()["capture"] == f"{request.id}.1"
    assert pending(world) == 1, "acknowledged before it was final"
    world.sender.send(3, rate=1000)
    request.done()
    world.file(request).assert_numbers(0, 3)
    wait_acked(world)


def test_stream_request_without_an_id_gets_the_entry_id(durable):
    world = durable()
    since = world.events.mark()
    entry = add(world, raw={"request": json.dumps({"node": "any", "interface": ["eth0"], "packets": 1, "timeout": 20})})
    event = world.events.wait(lambda event: event["event"] == "accepted", since=since)
    assert event["id"] == f"s{entry}"
    world.sender.send(1)
    world.events.wait(lambda event: event["event"] == "done" and event["id"] == f"s{entry}", since=since)
    wait_acked(world)


def test_requests_added_while_the_node_is_down_are_run(durable):
    world = durable()
    world.daemon.stop()
    requests = [add(world, packets=2, timeout=20) for _ in range(3)]
    start(world)
    for request in requests:
        request.accepted()
    world.sender.send(2, rate=1000)
    for request in requests:
        request.done()
    wait_acked(world)


def test_requests_added_while_the_node_is_disconnected_are_run(durable):
    world = durable()
    with world.redis.client() as client:
        client.config_set("port", 0)
    world.redis.kill_clients()
    for role in ("stream", "subscriber"):
        world.daemon.wait_log("redis-down", role=role)
    request = add(world, packets=2, timeout=60)
    world.redis.open_tcp()
    request.accepted(timeout=60)
    world.sender.send(2, rate=1000)
    request.done()
    wait_acked(world)


def test_node_killed_during_a_capture_repeats_it(durable):
    world = durable()
    request = add(world, packets=5, timeout=60)
    request.accepted()
    world.sender.send(2, rate=1000)
    since = world.events.mark()
    restart(world, kill=True)
    again = Request(world.events, request.id, request.fields, since)
    again.accepted()
    world.sender.send(5, rate=1000, first=100)
    again.done()
    world.file(again).assert_numbers(100, 5)
    wait_acked(world)
    assert len(again.all("done", "failed")) == 1


def test_clean_stop_during_a_capture_is_final(durable):
    world = durable()
    request = add(world, packets=5, timeout=60)
    request.accepted()
    world.sender.send(2, rate=1000)
    since = world.events.mark()
    world.daemon.stop()
    assert request.done()["reason"] == "shutdown"
    wait_acked(world)
    start(world)
    world.assert_works()
    assert not Request(world.events, request.id, request.fields, since).all("accepted")


@pytest.mark.parametrize("way", ["stream", "channel"])
def test_known_id_is_answered_but_not_run_again_after_a_restart(durable, way):
    world = durable()
    request = add(world, packets=2, timeout=20, customer="ACME", alertid=7)
    request.accepted()
    world.sender.send(2, rate=1000)
    first = request.done()
    wait_acked(world)
    restart(world)
    again = add(world, **request.fields) if way == "stream" else world.request(**request.fields)
    event = again.done()
    assert event.pop("duplicate") is True
    assert {**event, "time": 0} == {**first, "time": 0}
    wait_acked(world)
    assert len(world.files_of(request)) == 1
    assert not again.all("accepted")


def test_duplicate_of_a_running_request_is_acknowledged_when_that_is_final(durable):
    world = durable()
    first = add(world, packets=2, timeout=20)
    first.accepted()
    second = add(world, **first.fields)
    second.wait("accepted", duplicate=True)
    assert pending(world) == 2
    world.sender.send(2, rate=1000)
    first.done()
    wait_acked(world)
    assert len(world.files_of(first)) == 1


def test_entry_older_than_the_maximum_age_is_refused(durable):
    world = durable({"redis": {"stream_max_age": 60}})
    request = add(world, entry=f"{int((time.time() - 90) * 1000)}-0")
    reason = request.rejected()["reason"]
    assert reason.endswith("s old; the limit is 60 s (redis.stream_max_age)"), reason
    wait_acked(world)


@pytest.mark.parametrize("shift_s", [0, -30, 30])
def test_late_request_gets_the_packets_of_its_time_by_the_servers_clock(durable, tmp_path, shift_s):
    world = durable({"history": {"interfaces": ["eth0"], "memory": "32MiB"}},
                    redis={"environment": shifted_clock(tmp_path, shift_s)} if shift_s else None)
    if shift_s:
        world.wait_clock()
    world.sender.send(20, rate=1000, first=0)
    asked = time.time() + 0.05
    until(lambda: time.time() > asked)
    world.sender.send(30, rate=1000, first=100)
    until(lambda: time.time() > asked + 3.2)
    world.sender.send(10, rate=1000, first=900)
    request = add(world, entry=f"{int((asked + shift_s) * 1000)}-0", before=0, duration=3)
    event = request.done()
    assert event["reason"] == "window" and event["window"]["complete"] is True, event
    world.file(request).assert_numbers(100, 30)
    wait_acked(world)


def test_entry_that_claims_to_be_old_reaches_no_further_back_than_the_rules_allow(durable):
    world = durable({"history": {"interfaces": ["eth0"], "memory": "32MiB"}, "requests": {"maxbefore": 1}})
    begin = time.time()
    world.sender.send(20, rate=1000)
    until(lambda: time.time() > begin + 4)
    window = {"from": begin, "to": begin + 60, "packets": 5}
    requests = [add(world, entry=f"{int(begin * 1000)}-{number}", **fields)
                for number, fields in enumerate(({"before": 0, "duration": 60, "packets": 5}, window))]
    for request in requests:
        request.accepted()
    world.sender.send(5, rate=1000, first=100)
    for request in requests:
        assert request.done()["window"]["complete"] is False
        world.file(request).assert_numbers(100, 5)
    wait_acked(world)


def test_late_request_without_a_recorder_reports_an_incomplete_window(durable):
    world = durable()
    request = add(world, entry=f"{int((time.time() - 30) * 1000)}-0", packets=1, timeout=20)
    request.accepted()
    world.sender.send(1)
    event = request.done()
    assert event["window"]["complete"] is False
    assert event["window"]["asked_from"] < event["window"]["from"]
    wait_acked(world)


@pytest.mark.parametrize("raw", [{"request": "{"}, {"request": '{"node":"any"}'}])
def test_invalid_request_is_refused_and_acknowledged(durable, raw):
    world = durable()
    since = world.events.mark()
    add(world, raw=raw)
    world.events.wait(lambda event: event["event"] == "rejected", since=since)
    wait_acked(world)


def test_entry_without_a_request_is_logged_and_acknowledged(durable):
    world = durable()
    add(world, raw={"other": "x"})
    world.daemon.wait_log("stream-entry-useless")
    wait_acked(world)
    world.assert_works()


def test_request_for_another_node_is_acknowledged_silently(durable):
    world = durable()
    other = add(world, node="another")
    finish(world, add(world, packets=1, timeout=20))  # so the preceding entry has been read too
    assert not other.all()


def test_burst_on_the_stream_is_fully_answered(durable):
    world = durable({"limits": {"captures": 10}})
    requests = [add(world, packets=1, timeout=0.2) for _ in range(400)]
    for request in requests:
        request.wait("done", timeout=120)
    assert all(len(request.all("accepted")) == 1 for request in requests)
    wait_acked(world)


def test_recreated_stream_is_read_from_its_beginning(durable):
    world = durable()
    world.stop_redis()
    world.redis.start(tcp=False)  # empty, because it persists nothing
    world.events.wait_subscribed()
    request = add(world, packets=1, timeout=60)
    world.redis.open_tcp()
    request.accepted(timeout=60)
    finish(world, request)


def test_trimmed_entries_are_logged_and_acknowledged(durable):
    world = durable()
    world.daemon.kill()
    with world.redis.client() as client:
        request = add(world, packets=1)
        deliver_unanswered(client)
        client.xtrim(STREAM, maxlen=0, approximate=False)
    start(world)
    world.daemon.wait_log("stream-entry-useless")
    wait_acked(world)
    assert not request.all("accepted")
