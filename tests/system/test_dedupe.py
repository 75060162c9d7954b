# SPDX-License-Identifier: BSD-2-Clause
"""Bursts of alerts: repeated alerts are folded into the running capture, each customer has limits, and every refusal is an event."""

import datetime
import json
import time

import pytest

from lib.events import Request, new_id
from lib.waiting import until


@pytest.fixture
def dedupe_world(make_world):
    return lambda **limits: make_world({"limits": limits})


def seconds_of(text):
    return datetime.datetime.fromisoformat(text[:26] + "+00:00").timestamp()


def test_same_alert_is_folded_into_the_running_capture_and_extends_it(dedupe_world):
    world = dedupe_world(cooldown=60)
    first = world.capture(duration=3, alertid=655443)
    began = time.time()
    again = world.request(duration=7, alertid=655443)
    event = again.done()
    assert event["reason"] == "folded" and event["folded_into"] == first.id
    assert "capture" not in event and not again.all("accepted")
    assert began + 7 <= seconds_of(event["until"]) <= time.time() + 7
    until(lambda: time.time() > began + 3.3)  # without the extension the first would have ended
    world.sender.send(5, rate=1000)
    done = first.done()
    assert done["reason"] == "timeout" and done["packets"] == 5 and done["window"]["complete"] is True
    assert seconds_of(done["window"]["to"]) == pytest.approx(seconds_of(event["until"]), abs=0.05)
    world.file(first).assert_numbers(0, 5)


def test_burst_before_the_first_capture_is_armed_is_folded(make_world):
    """Forty requests at once while the ring is closed; opening it takes some milliseconds."""
    world = make_world({"limits": {"cooldown": 60}})
    fields = [world.fields(id=new_id("burst"), duration=1, alertid="burst") for _ in range(40)]
    requests = [Request(world.events, one["id"], one, world.events.mark()) for one in fields]
    with world.redis.client() as client, client.pipeline(transaction=False) as pipeline:
        for one in fields:
            pipeline.publish("capture", json.dumps(one))
        pipeline.execute()
    first = requests[0].done(timeout=20)
    for request in requests[1:]:
        event = request.done()
        assert (event["reason"], event["folded_into"]) == ("folded", requests[0].id)
    assert first["reason"] in ("timeout", "empty") and sum(len(request.all("accepted")) for request in requests) == 1


def test_extension_never_shortens_a_capture(dedupe_world):
    world = dedupe_world(cooldown=60)
    first = world.capture(duration=2, packets=50, alertid=1)
    event = world.request(duration=0.1, packets=50, alertid=1).done()
    assert event["reason"] == "folded"
    done = first.final(timeout=20)
    assert seconds_of(done["window"]["to"]) - seconds_of(done["window"]["from"]) == pytest.approx(2, abs=0.1)


def test_extension_ends_at_maxduration(make_world):
    world = make_world({"limits": {"cooldown": 60}, "general": {"maxduration": 2, "defaulttimeout": 1, "maxtimeout": 2}})
    began = time.time()
    world.capture(duration=2, alertid=1)
    armed = time.time()
    until(lambda: time.time() > armed + 0.5)
    event = world.request(duration=2, alertid=1).done()
    assert event["reason"] == "folded" and began + 2 <= seconds_of(event["until"]) <= armed + 2


def test_same_alert_is_refused_during_the_cooldown(dedupe_world):
    world = dedupe_world(cooldown=4)
    first = world.capture(packets=1, timeout=20, alertid="a-1")
    world.sender.send(1)
    first.done()
    event = world.refused(packets=1, timeout=20, alertid="a-1")
    assert event["field"] == "alertid"
    assert event["reason"] == f"the same alertid was captured as request {first.id} less than 4 s ago (limits.cooldown)"
    ended = time.time()
    until(lambda: time.time() > ended + 4)
    later = world.capture(packets=1, timeout=20, alertid="a-1")
    world.sender.send(1)
    later.done()


def test_dedupe_key_replaces_the_alert_id(dedupe_world):
    world = dedupe_world(cooldown=60)
    first = world.capture(packets=5, timeout=20, alertid=1, dedupe="link-7 down")
    assert world.request(packets=5, timeout=20, alertid=2, dedupe="link-7 down").done()["folded_into"] == first.id
    other = world.capture(packets=5, timeout=20, alertid=1)
    world.sender.send(5, rate=1000)
    first.done()
    other.done()
    assert world.refused(packets=5, timeout=20, alertid=3, dedupe="link-7 down")["field"] == "dedupe"


def test_request_for_other_packets_is_not_folded(dedupe_world):
    world = dedupe_world(cooldown=60)
    requests = [world.capture(packets=5, timeout=20, alertid=1), world.capture(packets=5, timeout=20, alertid=1, bpf="udp"),
                world.capture(packets=4, timeout=20, alertid=1), world.capture(packets=5, timeout=20, alertid=1, customer="ACME")]
    world.sender.send(5, rate=1000)
    for request in requests:
        assert request.done()["reason"] == "packets"


def test_requests_are_not_folded_without_a_cooldown(make_world):
    world = make_world()
    requests = [world.capture(packets=2, timeout=20, alertid=1) for _ in range(3)]
    world.sender.send(2, rate=1000)
    for request in requests:
        assert request.done()["packets"] == 2


def test_thousand_alerts_make_one_capture_and_a_thousand_answers(dedupe_world):
    world = dedupe_world(cooldown=60, requests_per_second=100000)
    first = world.capture(packets=10, timeout=300, alertid=5)
    again = [world.request(packets=10, timeout=300, alertid=5) for _ in range(1000)]
    for request in again:
        assert request.done(timeout=30)["folded_into"] == first.id
    world.sender.send(10, rate=1000)
    assert first.done()["packets"] == 10
    assert len(world.files()) == 1


def test_captures_of_a_customer_are_limited(dedupe_world):
    world = dedupe_world(customer_captures=2)
    running = [world.capture(packets=1, timeout=30, customer="ACME") for _ in range(2)]
    event = world.refused(packets=1, timeout=30, customer="ACME")
    assert event["field"] == "customer"
    assert event["reason"] == "2 captures of this customer are running already; the limit is 2 (limits.customer_captures)"
    other = world.capture(packets=1, timeout=30, customer="Other")
    without_customer = world.capture(packets=1, timeout=30)
    world.sender.send(1)
    for request in [*running, other, without_customer]:
        request.done()
    late = world.capture(packets=1, timeout=30, customer="ACME")
    world.sender.send(1)
    late.done()


def test_request_rate_of_a_customer_is_limited(dedupe_world):
    world = dedupe_world(customer_requests_per_second=3)
    fields = [world.fields(id=new_id("many"), packets=1, timeout=5, customer="ACME") for _ in range(100)]
    since, began = world.events.mark(), time.monotonic()
    with world.redis.client() as client, client.pipeline(transaction=False) as pipeline:
        for one in fields:
            pipeline.publish("capture", json.dumps(one))
        pipeline.execute()
    answers = [Request(world.events, one["id"], one, since).answer() for one in fields]
    refused = [event for event in answers if event["event"] == "rejected"]
    assert refused and 3 <= len(answers) - len(refused) <= 3 + 3 * (time.monotonic() - began)
    assert {event["reason"] for event in refused} == {
        "too many requests from this customer (limits.customer_requests_per_second)"}
    world.sender.send(1)
