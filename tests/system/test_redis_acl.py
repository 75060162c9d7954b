# SPDX-License-Identifier: BSD-2-Clause
"""The manual's Redis users: each role can do its part, and nothing else, with exactly these rights."""

import json

import pytest
import redis

from lib import pcapctl
from lib.manual import example
from lib.waiting import until
from lib.world import NODE, World

PASSWORDS = {role: f"{role}-password" for role in ("publisher", "reader", "daemon", "operator")}
STREAM = "{capture}:stream"


def users():
    text = example("user default off")
    for role, password in PASSWORDS.items():
        text = text.replace(f">{role.upper()}-PASSWORD", f">{password}")
    assert "PASSWORD" not in text.replace("password", "")
    return [line.removeprefix("user ") for line in text.splitlines()]


@pytest.fixture(scope="module")
def shared_roles(tmp_path_factory):
    config = {"redis": {"username": "pcapdaemon", "auth": PASSWORDS["daemon"], "stream": STREAM}}
    with World(tmp_path_factory.mktemp("acl"), config, redis={"users": users(), "admin": ("admin", "admin-password")}) as world:
        world.daemon.wait_log("stream-subscribed")
        yield world


@pytest.fixture
def roles(shared_roles):
    """The daemon must have been refused nothing."""
    yield shared_roles
    assert denied(shared_roles, "pcapdaemon") == [], shared_roles.daemon.tail()


def denied(world, user):
    with world.redis.client() as client:
        return [(entry["reason"], entry["object"]) for entry in client.acl_log() if entry["username"] == user]


def connect(world, role):
    return world.redis.client(username="pcapdaemon" if role == "daemon" else role, password=PASSWORDS[role], decode_responses=True)


def refused(client, *words):
    with pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*words)


def captured_file(world, send):
    """A capture to Redis, requested by `send`. Returns its final event."""
    request = world.fields(packets=2, timeout=20, to_destinations=["redis", "local"])
    since = world.events.mark()
    send(json.dumps(request))
    world.events.wait(lambda event: event["event"] == "accepted" and event["id"] == request["id"], since=since)
    world.sender.send(2)
    return world.events.wait(lambda event: event["event"] == "done" and event["id"] == request["id"], since=since)


def test_publisher_asks_and_reads_nothing(roles):
    with connect(roles, "publisher") as publisher:
        done = captured_file(roles, lambda message: publisher.publish("capture", message))
        assert all(one["ok"] for one in done["destinations"]), done
        key = f"{{capture}}:file:{NODE}:{done['capture']}"
        for words in (("GET", key), ("LINDEX", key, 0), ("LRANGE", key, 0, -1), ("KEYS", "*"), ("SUBSCRIBE", "capture:events"), ("SUBSCRIBE", "capture"),
                      ("PUBLISH", "capture:events", "{}"), ("XREAD", "STREAMS", STREAM, "0"), ("DEL", STREAM), ("CONFIG", "GET", "*"),
                      ("SET", f"{{capture}}:node:{NODE}", "{}"), ("FLUSHALL",)):
            refused(publisher, *words)


def test_publisher_adds_to_the_stream(roles):
    with connect(roles, "publisher") as publisher:
        captured_file(roles, lambda message: publisher.xadd(STREAM, {"request": message}, maxlen=10000, approximate=True))
    with roles.redis.client() as client:
        until(lambda: client.xpending(STREAM, NODE)["pending"] == 0, 10, "the entry to be acknowledged")


def test_reader_reads_and_asks_nothing(roles):
    done = captured_file(roles, roles.publish)
    key = f"{{capture}}:file:{NODE}:{done['capture']}"
    with connect(roles, "reader") as reader:
        with reader.pubsub() as subscription:
            subscription.subscribe("capture:events")
            assert subscription.get_message(timeout=5)["type"] == "subscribe"
        until(lambda: reader.get(f"{{capture}}:node:{NODE}"), 10, "presence")
        assert json.loads(reader.lindex(key, 0)) and json.loads(reader.get(f"{{capture}}:node:{NODE}"))["node"] == NODE
        assert [name for name, _ in reader.zrevrange("{capture}:nodes", 0, -1, withscores=True)] == [NODE]
        for words in (("PUBLISH", "capture", "{}"), ("PUBLISH", "capture:events", "{}"), ("SUBSCRIBE", "capture"), ("DEL", key),
                      ("XADD", STREAM, "*", "request", "{}"), ("SET", "x", "y"), ("GET", "x"), ("RPUSH", key, "x")):
            refused(reader, *words)


def test_daemon_does_its_work_and_no_more(roles):
    done = captured_file(roles, roles.publish)
    assert all(one["ok"] for one in done["destinations"]), done
    roles.restart_daemon()
    roles.daemon.wait_log("stream-subscribed")
    with roles.redis.client() as client:
        until(lambda: client.exists(f"{{capture}}:node:{NODE}"), 10, "presence")
    assert not [line for line in roles.daemon.log() if "NOPERM" in line.text], roles.daemon.text()
    with connect(roles, "daemon") as daemon:
        for words in (("KEYS", "*"), ("CONFIG", "GET", "*"), ("FLUSHALL",), ("SET", "other", "x"), ("PUBLISH", "other", "x"),
                      ("XGROUP", "DESTROY", STREAM, NODE), ("ACL", "LIST"), ("EVAL", "return 1", "0")):
            refused(daemon, *words)
    with roles.redis.client() as client:
        client.acl_log_reset()


def test_operator_runs_pcapctl(roles, tmp_path):
    url = f"redis://operator:{PASSWORDS['operator']}@127.0.0.1/capture"
    ctl = lambda *arguments: pcapctl.run(*arguments, netns=roles.host, cwd=tmp_path, env={"PCAPDAEMON_REDIS": url})  # noqa: E731
    assert [row[:2] for row in ctl("nodes").rows()] == [[NODE, "up"]]
    for more in ([], ["--stream", STREAM]):
        since = roles.events.mark()
        with pcapctl.Pcapctl("capture", "--node", NODE, "-i", "eth0", "-c", "3", "--merge", f"merged{len(more)}", *more, netns=roles.host,
                             cwd=tmp_path, env={"PCAPDAEMON_REDIS": url}) as running:
            roles.events.wait(lambda event: event["event"] == "accepted", since=since)
            roles.sender.send(3)
            result = running.finish()
        assert result.status == 0, result
    with roles.redis.client() as client:
        assert not [key for key in client.keys("*:file:*") if json.loads(client.lindex(key, 0)).get("request", "").startswith("ctl-")]
    assert denied(roles, "operator") == []
    with connect(roles, "operator") as operator:
        for words in (("SET", f"{{capture}}:answer:{NODE}:x", "[]"), ("DEL", f"{{capture}}:node:{NODE}"), ("KEYS", "*"), ("FLUSHALL",)):
            refused(operator, *words)


def test_refused_subscription_is_reported_at_once(roles):
    url = f"redis://publisher:{PASSWORDS['publisher']}@127.0.0.1/capture"
    result = pcapctl.run("watch", "--redis", url, netns=roles.host, timeout=8)
    assert result.status == 1 and "NOPERM" in result.stderr, "not \"no answer\", after ten seconds"


def test_no_one_comes_in_without_a_user(roles):
    with redis.Redis(unix_socket_path=roles.redis.socket_path) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
        stranger.publish("capture", "{}")
