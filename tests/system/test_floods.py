# SPDX-License-Identifier: BSD-2-Clause
"""What a flood of messages can cause: a bounded number of events, and an exact account of those that were not published."""

import re
import signal

from lib import pcapctl
from lib.events import new_id
from lib.waiting import until

GARBAGE, REPEATS = 3000, 400


def publish_often(world, messages, channel="capture"):
    with world.redis.client() as client:
        with client.pipeline(transaction=False) as pipeline:
            for message in messages:
                pipeline.publish(channel, message)
            pipeline.execute()


def suppressed(world, cause):
    text = world.api.get("/metrics").expect(200).body.decode()
    return int(re.search(rf'^pcapdaemon_suppressed_events_total{{cause="{cause}"}} (\d+)$', text, re.MULTILINE)[1])


def test_garbage_is_answered_up_to_a_limit_and_the_rest_is_reported(make_world):
    """To subscribers, in the log, and by pcapctl watch."""
    world = make_world({"limits": {"requests_per_second": 1000}})
    with pcapctl.Pcapctl("watch", "--socket", world.api.path) as watch:
        until(lambda: "pcapdaemon_api_connections 2" in world.api.get("/metrics").body.decode().splitlines(), 10, "the subscription")
        assert_garbage_is_accounted_for(world)
        watch.signal(signal.SIGINT)
        result = watch.finish()
    shown = [line for line in result.stdout.splitlines() if "suppressed" in line]
    assert shown and all(re.search(r" test-node suppressed [\d,]+ events: invalid$", line) for line in shown), shown


def assert_garbage_is_accounted_for(world):
    publish_often(world, ["{"] * GARBAGE)

    def account():
        rejected = world.events.all(lambda event: event["event"] == "rejected")
        reports = world.events.all(lambda event: event["event"] == "suppressed")
        return len(rejected), reports, len(rejected) + sum(report["count"] for report in reports) == GARBAGE

    until(lambda: account()[2], 30, "the account to be complete", interval=0.1)
    published, reports, _ = account()
    assert 100 <= published < 200 and all(report["reason"] == "invalid" and report["node"] == "test-node" for report in reports)
    assert suppressed(world, "invalid") == GARBAGE - published
    world.daemon.wait_log("event-suppressed", reason="invalid")
    assert len(world.daemon.log("event-rejected")) <= published
    # Requests that name the node have their own limit, and clients of the control API always get their answer.
    assert "packets" in world.refused(packets=-1)["reason"]
    for _ in range(3):
        assert world.api.post(b"{").status == 400


def test_repeated_ids_and_requests_over_the_rate_are_limited_apart(make_world):
    world = make_world({"limits": {"requests_per_second": 50}})
    request = world.capture(packets=1, timeout=20, node=None, nodere="test")
    world.sender.send(1)
    request.done()
    since = world.events.mark()
    repeated = ['{"nodere":"test","interface":["eth0"],"id":"%s"}' % request.id] * (REPEATS // 2)
    new = ['{"nodere":"test","interface":["none0"],"id":"%s"}' % new_id() for _ in range(REPEATS - len(repeated))]
    publish_often(world, [*repeated, *new])

    def complete():
        return sum(event.get("count", 1) for event in world.events.all(since=since)) >= REPEATS

    until(complete, 30, "the account to be complete", interval=0.1)
    events = world.events.all(since=since)
    assert sum(event.get("count", 1) for event in events) == REPEATS
    assert {event["reason"] for event in events if event["event"] == "suppressed"} <= {"rate", "repeated", "refused"}
    assert suppressed(world, "rate") > 0 and suppressed(world, "repeated") > 0
    assert len(events) < 300


def test_requests_are_logged_only_within_the_rate(make_world):
    world = make_world({"limits": {"requests_per_second": 20}, "general": {"logrequests": True}})
    publish_often(world, ['{"node":"test-node","interface":["lo"],"packets":1,"timeout":1,"id":"%s"}' % new_id() for _ in range(500)])
    until(lambda: len(world.events.all(lambda event: event["event"] in ("rejected", "accepted"))) == 500, 20, "an answer to each")
    accepted = len(world.events.all(lambda event: event["event"] == "accepted"))
    assert len(world.daemon.log("request")) <= accepted + 20
