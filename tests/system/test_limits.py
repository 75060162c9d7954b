# SPDX-License-Identifier: BSD-2-Clause
"""Limits: every growth that a request can cause has a named cap, and every refusal is answered."""

import collections
import json

from lib.account import assert_part
from lib.daemon import is_sanitized
from lib.events import FINAL, new_id
from lib.traffic import Sender
from lib.waiting import until
from lib.world import NODE


def publish_many(world, requests):
    with world.redis.client() as client, client.pipeline(transaction=False) as pipeline:
        for request in requests:
            pipeline.publish("capture", json.dumps(request))
        pipeline.execute()


def test_more_captures_than_allowed_are_refused(make_world):
    world = make_world({"limits": {"captures": 3}})
    running = [world.capture(packets=2, timeout=30) for _ in range(3)]
    refused = world.refused(packets=2, timeout=30)
    assert "captures" in refused["reason"], refused
    world.sender.send(2, rate=1000)
    for request in running:
        request.done()
        world.file(request).assert_numbers(0, 2)
    world.assert_works()


def test_request_for_more_interfaces_than_captures_allowed_is_refused_whole(make_world):
    world = make_world({"limits": {"captures": 1}}, pairs=2)
    refused = world.refused(interface=["eth0", "eth1"], packets=1, timeout=5)
    assert "captures" in refused["reason"]
    world.assert_works()


def test_maxpackets_is_default_and_cap(make_world):
    world = make_world({"general": {"maxpackets": 10}})
    assert world.refused(packets=11, timeout=20)["field"] == "packets"
    request = world.capture(timeout=20)
    world.sender.send(20, rate=1000)
    done = request.done()
    assert (done["reason"], done["packets"]) == ("packets", 10)


def test_maxbytes_is_default_and_cap(make_world):
    world = make_world({"general": {"maxbytes": 1000}})
    assert world.refused(bytes=1001, timeout=20)["field"] == "bytes"
    request = world.capture(timeout=20)
    world.sender.send(20, size=100, rate=1000)
    done = request.done()
    assert (done["reason"], done["bytes"]) == ("bytes", 1000)


def test_default_timeout_applies_to_a_request_without_one(make_world):
    world = make_world({"general": {"defaulttimeout": 3}})
    request = world.capture(packets=10)
    world.sender.send(3, rate=1000)
    done = request.done(timeout=10)
    assert (done["reason"], done["packets"]) == ("timeout", 3)


def test_maxtimeout_and_maxduration_are_caps(make_world):
    world = make_world({"general": {"maxtimeout": 10, "maxduration": 20, "defaulttimeout": 5}})
    assert world.refused(timeout=10.5)["field"] == "timeout"
    assert world.refused(duration=20.5)["field"] == "duration"
    request = world.capture(timeout=10, duration=20, packets=1)
    world.sender.send(1)
    request.done()


def test_exhausted_memory_ends_the_capture_and_delivers_its_packets(make_world):
    world = make_world({"limits": {"memory": "8MiB"}})
    request = world.capture(timeout=300)
    stream = world.sender.start(count=0, seconds=300, size=1500, rate=20_000)
    done = request.done(timeout=60)
    sent = stream.stop()["sent"]
    assert done["reason"] == "memory" and done["lost"]["memory"] > 0, done
    assert 4 << 20 < done["bytes"] <= 8 << 20
    assert_part(done, world.file(request).numbers, range(sent))
    world.assert_works()


def test_memory_is_shared_between_captures_and_released(make_world):
    world = make_world({"limits": {"memory": "8MiB"}})
    for _ in range(3):
        greedy = [world.capture(packets=2500, timeout=300) for _ in range(3)]
        stream = world.sender.start(count=0, seconds=300, size=1500, rate=20_000)
        reasons = collections.Counter(request.done(timeout=60)["reason"] for request in greedy)
        sent = stream.stop()["sent"]
        assert reasons["memory"] >= 1 and reasons["memory"] + reasons["packets"] == 3, reasons
        for request in greedy:
            assert_part(request.done(), world.file(request).numbers, range(sent))
    world.assert_works()


def answered_or_counted(world, ids, since):
    """Waits until each request has its answer or is one of those that `suppressed` events stand for; returns the answers."""
    wanted = set(ids)

    def answers():
        return world.events.all(lambda event: event.get("id") in wanted and event["event"] in ("accepted", "rejected"), since)

    def suppressed():
        return sum(event["count"] for event in world.events.all(lambda event: event["event"] == "suppressed", since))

    until(lambda: len(answers()) + suppressed() >= len(ids), 60, "an answer to every request", interval=0.1)
    assert len({event["id"] for event in answers()}) + suppressed() == len(ids)
    return answers()


def test_ten_thousand_requests_at_once_are_all_answered_or_counted(make_world):
    world = make_world({"limits": {"requests_per_second": 1_000_000}})
    count = 10_000
    threads, descriptors = world.daemon.threads(), world.daemon.descriptors()
    ids = [new_id("many") for _ in range(count)]
    since = world.events.mark()
    publish_many(world, [{"node": NODE, "interface": ["eth0"], "timeout": 1, "id": request_id} for request_id in ids])
    answers = answered_or_counted(world, ids, since)
    accepted = {event["id"] for event in answers if event["event"] == "accepted"}
    assert 1 <= len(accepted) and len(answers) >= 1000 and all("captures" in e["reason"] for e in answers if e["event"] == "rejected")
    world.events.wait_count(lambda event: event.get("id") in accepted and event["event"] in FINAL, len(accepted), 60, since)
    world.assert_works()
    assert world.daemon.threads() < threads + 40 and world.daemon.descriptors() < descriptors + 100


def test_requests_beyond_the_rate_are_counted_and_the_daemon_stays_responsive(make_world):
    world = make_world({"limits": {"requests_per_second": 100}})
    count = 10_000
    ids = [new_id("flood") for _ in range(count)]
    since = world.events.mark()
    publish_many(world, [{"node": NODE, "interface": ["eth0"], "timeout": 1, "id": request_id} for request_id in ids])
    answered_or_counted(world, ids, since)
    until(lambda: world.request(packets=1, timeout=0.2).answer()["event"] == "accepted", 30, "the rate to recover", interval=0.5)


def test_requests_for_other_nodes_cost_little(make_world):
    world = make_world()
    publish_many(world, [{"node": f"web{i}", "interface": ["eth0"], "packets": 50, "id": new_id()} for i in range(20_000)])
    request = world.capture(packets=1, timeout=20)
    world.sender.send(1)
    request.done()
    assert world.events.all(lambda event: event.get("id") != request.id) == []


def test_request_on_many_interfaces_captures_on_each(make_world):
    world = make_world(pairs=20)
    request = world.capture(interface=[f"eth{i}" for i in range(20)], packets=1, timeout=20)
    for i in range(20):
        Sender(world.peer, f"peer{i}").send(1, first=i)
    finals = request.finals(20, timeout=30)
    assert sorted(event["interface"] for event in finals) == sorted(f"eth{i}" for i in range(20))
    assert all(event["event"] == "done" and event["packets"] == 1 for event in finals)


def test_process_memory_stays_bounded_over_many_captures(make_world):
    world = make_world()

    def round_trip():
        requests = [world.capture(packets=200, timeout=20) for _ in range(10)]
        world.sender.send(200, size=1000, rate=50_000)
        for request in requests:
            request.done()

    for _ in range(3):
        round_trip()
    before = world.daemon.resident_bytes()
    descriptors, threads = world.daemon.descriptors(), world.daemon.threads()
    for _ in range(10):
        round_trip()
    if not is_sanitized():  # sanitizers keep freed memory for a while
        assert world.daemon.resident_bytes() < before + (24 << 20)
    assert world.daemon.descriptors() <= descriptors + 4 and world.daemon.threads() <= threads + 2


def test_requests_are_charged_to_the_memory_limit(make_world):
    """Each stays as long as its captures do, and a copy of it goes into each file."""
    world = make_world({"limits": {"memory": "1MiB"}})

    def charged():
        lines = world.api.get("/metrics").expect(200).body.decode().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("pcapdaemon_capture_memory_bytes "))

    large = {name: "x" * 4000 for name in ("comment", "tags", "customer", "dedupe")}
    requests = [world.request(timeout=120, bpf="udp" + " " * 4000, **large) for _ in range(60)]
    answers = [request.answer() for request in requests]
    accepted = [request for request, answer in zip(requests, answers) if answer["event"] == "accepted"]
    refused = [answer for answer in answers if answer["event"] == "rejected"]
    assert accepted and refused and all("limits.memory" in answer["reason"] for answer in refused)
    assert 500_000 < charged() <= 1 << 20
    for request in accepted:
        world.stop(request)
    for request in accepted:
        request.done()
    until(lambda: charged() == 0, 10, "the memory to be returned")
    world.assert_works()
