# SPDX-License-Identifier: BSD-2-Clause
"""Clocks that differ, and nodes that share a name."""

import json
import os

import pytest

from lib.daemon import Daemon
from lib.shim import shifted_clock
from lib.stream import add, wait_acked
from lib.waiting import until
from lib.world import NODE, merged

NODES, KEY = "{capture}:nodes", f"{{capture}}:node:{NODE}"
DAY_S = 86400


def test_clock_that_agrees_is_shown_and_not_warned_about(make_world):
    world = make_world()
    clock = world.wait_clock()
    assert abs(clock["offset"]) < 0.5 and 0 <= clock["uncertainty"] < 0.5, clock
    assert not world.daemon.log("clock-differs")


def test_clock_that_differs_is_shown_and_warned_about(make_world, tmp_path):
    world = make_world(redis={"environment": shifted_clock(tmp_path, -30)})
    clock = world.wait_clock()
    assert abs(clock["offset"] + 30) < 0.5 + clock["uncertainty"], clock
    world.daemon.wait_log("clock-differs")
    with world.redis.client() as client:
        presence = until(lambda: client.get(KEY), 10, "presence")
    assert json.loads(presence)["node"] == NODE


def test_next_seconds_are_captured_although_redis_is_behind(durable, tmp_path):
    world = durable({"history": {"interfaces": ["eth0"], "memory": "32MiB"}}, redis={"environment": shifted_clock(tmp_path, -8)})
    world.wait_clock()
    request = add(world, duration=4)
    request.accepted()
    world.sender.send(5, rate=1000)
    event = request.done()
    assert event["packets"] == 5 and event["window"]["complete"] is True, event
    wait_acked(world)


def test_node_two_days_ahead_removes_no_other(make_world, tmp_path):
    world = make_world(environment=shifted_clock(tmp_path, 2 * DAY_S), start=False)
    with world.redis.client() as client:
        now = client.time()[0]
        client.zadd(NODES, {"other": now, "gone": now - 2 * DAY_S})
        world.daemon.start()
        until(lambda: client.zscore(NODES, "gone") is None, 20, "the node gone for two days to be removed")
        assert client.zscore(NODES, "other") == now
        assert abs(client.zscore(NODES, NODE) - client.time()[0]) < 30


@pytest.fixture
def twins(make_world):
    """Two daemons with one name, and a third one of another."""
    world = make_world(start=False)
    made = []
    for name in ("a", "b"):
        directory = os.path.join(world.root, name)
        os.mkdir(directory)
        config = merged(world.config, {"api": {"socket": os.path.join(directory, "control.sock")}})
        made.append(Daemon(directory, config, netns=world.host))
        made[-1].start()
    yield world, made
    for daemon in made:
        daemon.close()


def test_two_nodes_with_one_name_are_noticed_and_do_not_remove_each_other(twins):
    world, (first, second) = twins
    for daemon in (first, second):
        daemon.wait_log("node-name-taken", 20, node=NODE)
    warning = world.events.wait(lambda event: event["event"] == "warning", 20)
    assert warning["node"] == NODE and "another daemon calls itself" in warning["reason"]
    with world.redis.client() as client:
        until(lambda: json.loads(client.get(KEY) or "{}").get("name_taken"), 20, "the warning in the node's status")
        second.stop()
        assert client.get(KEY) and client.zscore(NODES, NODE), "one's stop removed the other"
        first.wait_log("node-name-free", 20)
        first.stop()
        assert json.loads(client.get(KEY))["stopped"] and client.zscore(NODES, NODE)
        assert DAY_S - 60 < client.ttl(KEY) <= DAY_S


def test_a_killed_nodes_next_run_is_no_second_node(make_world):
    world = make_world()
    with world.redis.client() as client:
        before = until(lambda: client.get(KEY), 10, "presence")
        world.daemon.kill()
        world.daemon.start()
        until(lambda: json.loads(client.get(KEY))["instance"] != json.loads(before)["instance"], 10, "the new run's presence")
        first = client.get(KEY)
        until(lambda: client.get(KEY) != first, 15, "its next status")
    assert not world.daemon.log("node-name-taken")
