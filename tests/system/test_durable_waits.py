# SPDX-License-Identifier: BSD-2-Clause
"""Requests on a Redis stream that cannot run now, must not run again, or end the daemon."""

import contextlib
import json
import re
import resource
import selectors
import socket
import threading
import time

import pytest

from lib.events import Request
from lib.stream import GROUP, STREAM, add, deliver_unanswered, finish, pending, start, wait_acked
from lib.waiting import until
from lib.world import NODE

LIMITED = {"redis": {"users": ["limited on >secret ~* &* +@all"]}, "config": {"redis": {"username": "limited", "auth": "secret"}}}


def metric(world, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", world.api.get("/metrics").expect(200).body.decode(), re.MULTILINE)
    return float(found[1]) if found else None


def set_acl(world, *rules):
    with world.redis.client() as client:
        client.execute_command("ACL", "SETUSER", "limited", *rules)


def test_stream_request_beyond_the_captures_limit_runs_later(durable):
    world = durable({"limits": {"captures": 1}})
    first = add(world, packets=1, timeout=60)
    first.accepted()
    second = add(world, packets=1, timeout=60, alertid=7)
    world.daemon.wait_log("request-waits", request=second.id)
    assert (metric(world, "pcapdaemon_stream_requests_running"), metric(world, "pcapdaemon_stream_requests_waiting")) == (1, 1)
    finish(world, first, second)
    assert metric(world, "pcapdaemon_stream_requests_waiting") == 0
    assert not second.all("rejected")


def test_stream_request_beyond_the_rate_runs_later(durable):
    world = durable({"limits": {"requests_per_second": 1}})
    requests = [add(world, packets=1, timeout=0.1) for _ in range(6)]
    for request in requests:
        request.done(timeout=60)
        assert not request.all("rejected")
    wait_acked(world)


def test_stream_request_without_descriptors_runs_later(durable):
    world = durable()
    pid = world.daemon.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (world.daemon.descriptor_limit(), before[1]))
    try:
        request = add(world, packets=1, timeout=60)
        world.daemon.wait_log("request-waits", request=request.id)
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    finish(world, request)
    assert not request.all("rejected", "failed")


def test_request_that_can_never_fit_is_refused(durable):
    world = durable({"limits": {"captures": 1}}, pairs=2)
    request = add(world, interface=["eth0", "eth1"], packets=1)
    assert "limits.captures" in request.rejected()["reason"]
    wait_acked(world)


def test_other_requests_run_while_one_waits_for_its_customer(durable):
    world = durable({"limits": {"customer_captures": 1}})
    first = add(world, packets=1, timeout=60, customer="ACME")
    first.accepted()
    waiting = add(world, packets=1, timeout=60, customer="ACME")
    world.daemon.wait_log("request-waits", request=waiting.id)
    other = add(world, packets=1, timeout=60)
    other.accepted()
    assert not waiting.all()
    finish(world, first, waiting)


def test_known_id_is_answered_before_rates_are_judged(durable):
    world = durable({"limits": {"requests_per_second": 1}})
    request = add(world, packets=1, timeout=60)
    finish(world, request)
    for _ in range(10):
        world.publish(request.fields)
    request.wait("done", count=10, duplicate=True)
    assert not request.all("rejected")


def test_stream_request_waits_until_the_reply_store_can_be_asked(durable):
    world = durable(LIMITED["config"], redis=LIMITED["redis"])
    set_acl(world, "-get")
    request = add(world, packets=1, timeout=60)
    world.daemon.wait_log("request-waits", request=request.id)
    assert pending(world) == 1 and not request.all()
    set_acl(world, "+get")
    finish(world, request)


@pytest.mark.parametrize("stored", ["garbage", "[]", '[{"v":1}]'])
def test_unreadable_answer_is_an_error_and_no_reason_to_run_again(durable, stored):
    world = durable()
    with world.redis.client() as client:
        client.set("{capture}:answer:test-node:known", stored)
    request = add(world, id="known", packets=1, timeout=60)
    assert "cannot be read" in request.rejected()["reason"]
    world.daemon.wait_log("ledger-unreadable", request="known")
    wait_acked(world)


def test_entry_that_crashed_the_daemon_three_times_is_moved_away(durable):
    world = durable()
    request = add(world, packets=1, timeout=600)
    request.accepted()
    for crash in range(3):
        since = world.events.mark()
        world.daemon.kill()
        start(world)
        again = Request(world.events, request.id, request.fields, since)
        if crash < 2:
            again.accepted()
    assert "crashed three times" in again.rejected()["reason"]
    world.daemon.wait_log("stream-entry-dead", moved_to=f"{STREAM}:dead")
    wait_acked(world)
    with world.redis.client() as client:
        (_, fields), = client.xrange(f"{STREAM}:dead")
        assert json.loads(fields[b"request"]) == request.fields and fields[b"node"] == b"test-node"
    world.assert_works()


def test_clean_stops_are_no_crashes(durable):
    world = durable()
    world.daemon.kill()
    request = add(world, packets=1, timeout=600)
    with world.redis.client() as client:
        deliver_unanswered(client)
        client.hset("{capture}:crashes:test-node", "1-1", 2)
        start(world)
        request.accepted()
        world.daemon.stop()
        assert not client.exists("{capture}:crashes:test-node")


def test_lost_group_of_a_known_node_begins_again_with_what_is_not_too_old(durable):
    world = durable({"redis": {"stream_max_age": 600}})
    with world.redis.client() as client:
        until(lambda: client.zscore("{capture}:nodes", "test-node"), 10, "the node in the registry")
        world.daemon.kill()  # a clean stop would remove it
        old = add(world, entry=f"{int((time.time() - 900) * 1000)}-0", packets=1, timeout=60)
        missed = add(world, packets=1, timeout=60)
        client.xgroup_destroy(STREAM, GROUP)
    start(world)
    world.daemon.wait_log("stream-group-lost")
    finish(world, missed)
    assert not old.all()


def test_new_node_begins_with_what_is_published_from_now_on(durable):
    world = durable()
    world.daemon.stop()
    with world.redis.client() as client:
        before = add(world, packets=1, timeout=60)
        client.xgroup_destroy(STREAM, GROUP)
        client.zrem("{capture}:nodes", NODE)  # the registry knows a stopped one
    start(world)
    after = add(world, packets=1, timeout=60)
    after.accepted()
    assert not before.all()


class Impatient:
    """A proxy before Redis that lets no command block: XREADGROUP is answered at once, with nothing."""

    BLOCKING = re.compile(rb"\*11(\r\n\$10\r\nXREADGROUP.*?)\$5\r\nBLOCK\r\n\$\d+\r\n\d+\r\n", re.DOTALL)

    def __init__(self, world, port):
        self.world, self.listener = world, world.host.call(lambda: socket.create_server(("127.0.0.1", port)))
        self.pairs, self.stopping = {}, False
        self.thread = threading.Thread(target=lambda: world.host.call(self.run))

    def accept(self, selector):
        client, server = self.listener.accept()[0], socket.create_connection(("127.0.0.1", self.world.redis.port))
        self.pairs |= {client: (server, True), server: (client, False)}
        for one in (client, server):
            selector.register(one, selectors.EVENT_READ)

    def forward(self, source):
        target, to_redis = self.pairs[source]
        data = b""
        with contextlib.suppress(OSError):
            data = source.recv(65536)
            target.sendall(self.BLOCKING.sub(rb"*9\1", data) if to_redis else data)
        return data

    def run(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            while not self.stopping:
                for key, _ in selector.select(0.1):
                    if key.fileobj is self.listener:
                        self.accept(selector)
                    elif key.fileobj in self.pairs and not self.forward(key.fileobj):
                        other = self.pairs[key.fileobj][0]
                        for one in (key.fileobj, other):
                            selector.unregister(one)
                            del self.pairs[one]
                            one.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        for one in (self.listener, *self.pairs):
            one.close()


def test_reads_answered_at_once_do_not_spin(make_world):
    world = make_world({"redis": {"stream": STREAM, "port": 6380}}, start=False)
    with Impatient(world, 6380):
        world.daemon.start()
        world.daemon.wait_log("stream-read-paused", 20)
        began = time.monotonic()
        pauses = metric(world, "pcapdaemon_stream_read_pauses_total")
        until(lambda: metric(world, "pcapdaemon_stream_read_pauses_total") >= pauses + 2, 20, "two more pauses")
        with world.redis.client() as client:
            reads = client.info("commandstats")["cmdstat_xreadgroup"]["calls"]
        assert reads < 200 + 10 * (time.monotonic() - began), "128 at once, then 8 a second"
        request = add(world, packets=1, timeout=20)
        request.accepted()
        world.sender.send(1)
        request.done()
        wait_acked(world)
        world.daemon.stop()
