# SPDX-License-Identifier: BSD-2-Clause
"""Redis moves to another server without Sentinels: the name leads to B, A becomes its replica, and no connection ends."""

import contextlib
import json
import os
import time

import pytest

from lib.events import Events, Request
from lib.redis_server import RedisServer
from lib.waiting import until

NODE, NAME, STREAM = "test-node", "redis.test", "capture:stream"
A, B = "127.0.0.2", "127.0.0.3"
PRIVATE_HOSTS = ["unshare", "-m", "--propagation", "private", "sh", "-c", 'mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh"]
MOVED_S = 10


class Move:
    """A world whose daemon knows Redis by a name that leads to A, and a replica B of A."""

    def __init__(self, make_world, directory, redis=None, users=()):
        self.hosts = os.path.join(directory, "hosts")
        self.point_to(A)
        self.world = make_world({"redis": {"host": NAME, **(redis or {})}}, start=False, wrapper=[*PRIVATE_HOSTS, self.hosts],
                                redis={"settings": [f"bind {A}"], "users": users})
        os.mkdir(os.path.join(directory, "b"))
        self.a, self.b = self.world.redis, RedisServer(os.path.join(directory, "b"), self.world.host, settings=[f"bind {B}"], users=users)
        self.b.start()
        with self.b.client() as client:
            client.replicaof(A, 6379)
        until(lambda: self.a.has_in_step(self.b), 60, "B to be in step")
        self.events = Events(self.b)

    def point_to(self, address):
        """The file is bind-mounted, so it is rewritten in place."""
        with open(self.hosts, "w") as file:
            file.write(f"{address} {NAME}\n")

    def start(self):
        self.world.daemon.start()
        until(lambda: self.names(self.a) >= {"pcapdaemon-publisher", "pcapdaemon-subscriber"}, 10, "connections to A")

    @staticmethod
    def names(server):
        return {entry["name"] for entry in server.clients()}

    def promote(self):
        with self.b.client() as client:
            client.replicaof("NO", "ONE")

    def demote(self):
        with self.a.client() as client:
            client.replicaof(B, 6379)

    def move(self):
        self.promote()
        self.point_to(B)
        self.demote()

    def close(self):
        self.world.daemon.close()  # while there is a Redis to take its last events
        self.events.close()
        self.b.stop()


@pytest.fixture
def make_move(make_world, tmp_path):
    with contextlib.ExitStack() as stack:
        def make(**options):
            move = Move(make_world, str(tmp_path), **options)
            stack.callback(move.close)
            return move
        yield make


def capture(move, **fields):
    """Starts a capture by the control API, whatever Redis does; returns the request as seen at B."""
    since, fields = move.events.mark(), move.world.fields(**fields)
    move.world.api.post(fields).expect(202)
    return Request(move.events, fields["id"], fields, since)


def test_everything_follows_a_name_to_the_new_master(make_move):
    move = make_move(redis={"stream": STREAM})
    move.start()
    move.world.daemon.wait_log("stream-subscribed")
    move.move()
    with move.b.client() as client:
        client.delete(f"{{capture}}:node:{NODE}", f"{{capture}}:nodes")
        moved = time.monotonic()
        early = [capture(move, packets=1, timeout=60) for _ in range(25)]  # A takes these events, and no one hears them
        fields = move.world.fields(packets=1, timeout=60)
        entry = Request(move.events, fields["id"], fields, 0)
        client.xadd(STREAM, {"request": json.dumps(fields)})
        for request in early:
            request.accepted(timeout=MOVED_S)
        entry.accepted(timeout=MOVED_S)
        until(lambda: client.exists(f"{{capture}}:node:{NODE}") and client.zscore("{capture}:nodes", NODE), MOVED_S, "presence at B")
        until(lambda: client.publish("capture", "{}"), MOVED_S, "the subscription at B")
        assert time.monotonic() - moved < 3 * MOVED_S  # four waits, one after the other, on a slow machine
    until(lambda: not move.names(move.a) & {"pcapdaemon-publisher", "pcapdaemon-subscriber", "pcapdaemon-keys", "pcapdaemon-stream"},
          MOVED_S, "every connection to leave A")


def test_a_server_that_tells_no_role_is_left_on_readonly(make_move):
    """ROLE and INFO are forbidden: presence is what meets READONLY, and all connections follow."""
    move = make_move(users=["limited on >secret ~* &* +@all -role -info"], redis={"username": "limited", "auth": "secret"})
    move.start()
    move.move()
    until(lambda: move.names(move.b) >= {"pcapdaemon-publisher", "pcapdaemon-subscriber"}, 2 * MOVED_S, "connections to B")
    capture(move, packets=1, timeout=60).accepted()


def test_a_replica_is_tried_again_until_the_name_leads_to_a_master(make_move):
    """The name follows late: events wait meanwhile."""
    move = make_move()
    move.start()
    move.promote()
    move.demote()
    move.world.daemon.wait_log("redis-down", role="publisher")
    request = capture(move, packets=1, timeout=60)
    move.point_to(B)
    request.accepted(timeout=2 * MOVED_S)


def test_a_replica_is_kept_where_the_configuration_allows_it(make_move):
    move = make_move(redis={"allow_replica": True})
    with move.a.client() as client:
        client.replicaof(B, 6379)
    move.promote()
    move.start()
    with move.b.client() as client:
        until(lambda: move.b.has_in_step(move.a), 60, "A to be in step")
        fields = move.world.fields(packets=1, timeout=60)
        since = move.world.events.mark()
        client.publish("capture", json.dumps(fields))
        Request(move.world.events, fields["id"], fields, since).accepted()
