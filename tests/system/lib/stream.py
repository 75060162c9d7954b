# SPDX-License-Identifier: BSD-2-Clause
"""An installation that takes requests from a Redis stream, and its entries. The fixture `durable` makes one."""

import json

from .events import Request
from .waiting import until
from .world import NODE, merged

STREAM, GROUP = "capture:stream", NODE


def with_stream(make_world, config=None, **options):
    world = make_world(merged({"redis": {"stream": STREAM}}, config), start=False, **options)
    start(world)
    return world


def add(world, entry="*", raw=None, stream=STREAM, **fields):
    """Adds an entry; returns the request, or the entry's id for a raw entry."""
    since = world.events.mark()
    fields = world.fields(**fields) if raw is None else raw
    with world.redis.client() as client:
        name = client.xadd(stream, {"request": json.dumps(fields)} if raw is None else raw, id=entry)
    return Request(world.events, fields.get("id"), fields, since) if raw is None else name.decode()


def pending(world):
    with world.redis.client() as client:
        return client.xpending(STREAM, GROUP)["pending"]


def wait_acked(world):
    until(lambda: pending(world) == 0, 10, "every entry to be acknowledged")


def finish(world, *requests):
    """Sends each of these, in turn, the packet that it waits for; then every entry is final."""
    for request in requests:
        request.accepted(timeout=30)
        world.sender.send(1)
        request.done()
    wait_acked(world)


def deliver_unanswered(client):
    """Delivers one entry to the node, as if the answer had been lost on its way."""
    client.xreadgroup(GROUP, NODE, {STREAM: ">"}, count=1)


def start(world):
    world.daemon.start()
    world.daemon.wait_log("stream-subscribed")


def restart(world, kill=False):
    world.daemon.kill() if kill else world.daemon.stop()
    start(world)
