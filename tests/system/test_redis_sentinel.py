# SPDX-License-Identifier: BSD-2-Clause
"""The link, the subscriber and the publisher when Sentinels decide which server is the master."""

import socket
import time

import pytest

from lib.redis_client import commands  # noqa: F401
from lib.redis_probe import QUICK_PING, free_port, probe, server  # noqa: F401
from lib.redis_sentinel import MASTER, FakeSentinel, Sentinel, SentinelSetup
from lib.waiting import until
from test_redis_link import events_of, lines_of, pki, publish, tls_server  # noqa: F401

SETTLED_S = 8


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    made = SentinelSetup(tmp_path_factory.mktemp("sentinel"))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def fake():
    made = []

    def make(answer):
        made.append(FakeSentinel(answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


def sentinel_options(*endpoints):
    """The probe's options; no server listens at the configured host and port."""
    return ["--master", MASTER, *(word for endpoint in endpoints for word in ("--sentinel", endpoint))]


def assert_serves(one, master):
    """Requests and events work at this server."""
    until(lambda: "pcapdaemon-publisher" in {entry["name"] for entry in master.clients()}, 15, "the publisher at the new master")
    until(lambda: publish(master, "hello") == 1, 15, "the subscription at the new master")
    assert one.message()["message"] == "hello"
    with master.client() as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("capture:events")
        subscription.get_message(timeout=5)
        one.send_line("event here")
        assert "here" in events_of(subscription, 1)


def test_master_is_found_despite_missing_and_ignorant_sentinels(setup, probe, fake):
    one = probe(1, *sentinel_options(f"127.0.0.1:{free_port()}", fake(None).endpoint, *setup.endpoints))
    one.both_up()
    assert_serves(one, setup.master)
    assert any(f"port={setup.master.port}" in line for line in lines_of(one, "redis-up"))


def test_one_connection_to_the_sentinels_serves_all_links(setup, probe):
    setup.wait_ready()
    one = probe(1, *sentinel_options(*setup.endpoints))
    one.both_up()

    def watchers():
        clients = []
        for sentinel in setup.sentinels:
            with sentinel.client() as client:
                clients += client.client_list()
        return sum(entry["name"] == "pcapdaemon-sentinel" for entry in clients)

    assert watchers() == 1
    old = setup.master
    new = setup.fail_over()
    assert_serves(one, new)
    assert watchers() == 1
    setup.rejoin(old)


def test_ordered_failover_is_followed(setup, probe):
    setup.wait_ready()
    one = probe(1, *sentinel_options(*setup.endpoints))
    one.both_up()
    old = setup.master
    new = setup.fail_over()
    assert_serves(one, new)
    setup.rejoin(old)


def test_killed_master_is_replaced_without_losing_events(setup, probe):
    setup.wait_ready()
    old = setup.master
    one = probe(1, *sentinel_options(*setup.endpoints))
    one.both_up()
    old.stop(9)
    one.expect(r"redis-down .*role=\"?publisher")
    for number in range(100):
        one.send_line(f"event {number}")
    assert one.pending() == 100
    new = setup.wait_other_master(old)
    until(lambda: one.pending() == 0, 15, "the new master to take the events within seconds")
    assert_serves(one, new)
    old.start()
    setup.rejoin(old)


def test_hanging_master_is_replaced(setup, probe):
    setup.wait_ready()
    old = setup.master
    one = probe(1, *sentinel_options(*setup.endpoints))
    one.both_up()
    old.pause()
    try:
        new = setup.wait_other_master(old)
        assert_serves(one, new)
    finally:
        old.resume()
    setup.rejoin(old)


def test_replica_is_refused_even_if_a_sentinel_names_it(setup, probe, fake):
    setup.wait_ready()
    replica = next(one for one in setup.servers if one is not setup.master)
    liar = fake(("127.0.0.1", replica.port))
    one = probe(1, *sentinel_options(liar.endpoint))
    one.expect(r"redis-down .*role=\"?subscriber.*is a replica")
    assert not lines_of(one, "redis-up")
    liar.answer = ("127.0.0.1", setup.master.port)
    one.both_up()
    assert_serves(one, setup.master)


def test_link_follows_the_sentinels_while_the_old_master_still_answers(server, probe, fake):
    """The old master is cut off from the Sentinels and does not know that it was replaced."""
    old, new = server().start(), server().start()
    sentinel = fake(("127.0.0.1", old.port))
    one = probe(1, *sentinel_options(sentinel.endpoint))
    one.both_up()
    sentinel.answer = ("127.0.0.1", new.port)
    one.expect(rf"redis-down .*role=\"?subscriber.*the master is now at 127\.0\.0\.1 port {new.port}")
    assert_serves(one, new)


@pytest.mark.parametrize("later", [0, SETTLED_S + 1], ids=["at once", "once it is reachable"])
def test_last_events_sent_to_a_replaced_master_are_repeated_at_the_new_one(server, probe, fake, later):
    """A replaced master takes events that reach no subscriber: those of the last seconds are sent to the new one, in order."""
    old, new = server().start(), server().start(tcp=not later)
    sentinel = fake(("127.0.0.1", old.port))
    one = probe(1, *sentinel_options(sentinel.endpoint))
    one.both_up()
    with new.client() as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("capture:events")
        subscription.get_message(timeout=5)
        for number in range(20):
            one.send_line(f"event {number:02}")
        until(lambda: one.pending() == 0, 5, "the old master to take them")
        sentinel.answer = ("127.0.0.1", new.port)
        if later:
            time.sleep(later)
            new.open_tcp()
        assert events_of(subscription, 20) == [f"{number:02}" for number in range(20)]


def test_events_are_not_repeated_at_an_unchanged_master(server, probe, fake):
    only = server().start()
    one = probe(1, *sentinel_options(fake(("127.0.0.1", only.port)).endpoint))
    one.both_up()
    with only.client() as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("capture:events")
        subscription.get_message(timeout=5)
        one.send_line("event first")
        assert "first" in events_of(subscription, 1)
        for entry in only.clients():
            if entry["name"] == "pcapdaemon-publisher":
                client.client_kill_filter(_id=entry["id"])
        one.expect(r"redis-down .*role=\"?publisher")
        one.send_line("event second")
        assert "second" in events_of(subscription, 1)


def test_demoted_master_is_left_by_the_publisher(server, probe, fake):
    """The publisher asks for its ROLE before the Sentinels notice."""
    old, new = server().start(), server().start()
    sentinel = fake(("127.0.0.1", old.port))
    one = probe(1, *sentinel_options(sentinel.endpoint), *QUICK_PING)
    one.both_up()
    with old.client() as client:
        client.replicaof("127.0.0.1", new.port)
    one.expect(r"redis-down .*role=\"?publisher.*is a replica")


def test_silent_sentinels_do_not_disturb_the_link(server, probe, fake):
    redis_server = server().start()
    sentinel = fake(("127.0.0.1", redis_server.port))
    one = probe(1, *sentinel_options(sentinel.endpoint))
    one.both_up()
    sentinel.close()
    one.expect(r"redis-down .*role=\"?sentinel")
    assert_serves(one, redis_server)
    assert not lines_of(one, "redis-down") and not lines_of(one, "redis-down", "publisher")


def test_missing_sentinels_are_logged_once(probe):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    one = probe(1, *sentinel_options(f"127.0.0.1:{port}"))
    one.expect(r"redis-down .*role=\"?subscriber.*no Sentinel answers: .*refused")
    one.pending()
    assert len(lines_of(one, "redis-down")) == 1


def test_unknown_master_name_is_logged(setup, probe):
    one = probe(1, "--master", "elsewhere", *sentinel_options(*setup.endpoints)[2:])
    one.expect(r"redis-down .*role=\"?subscriber.*does not know the master elsewhere")


def test_keyed_commands_follow_a_failover(setup, commands):
    setup.wait_ready()
    old = setup.master
    one = commands(1, *sentinel_options(*setup.endpoints))
    assert one.do("SET", "key", "before") == "OK"
    old.pause()
    waiting = [one.send("SET", f"key{number}", "x", flags="i") for number in range(50)]
    new = setup.wait_other_master(old)
    assert {one.reply(number) for number in waiting} == {"OK"}
    with new.client() as client:
        assert client.exists(*(f"key{number}" for number in range(50))) == 50
    old.resume()
    setup.rejoin(old)


# --- authentication ---


@pytest.fixture
def sentinel_of(tmp_path):
    """Makes a real Sentinel for one server."""
    made = []

    def make(redis_server, **options):
        directory = tmp_path / f"sentinel{len(made)}"
        directory.mkdir()
        made.append(Sentinel(directory, redis_server.port, 1, **options).start())
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_sentinels_have_their_own_password(server, probe, sentinel_of):
    redis_server = server(password="s3cr3t").start()
    sentinel = sentinel_of(redis_server, password="s3ntry", settings=[f"sentinel auth-pass {MASTER} s3cr3t"])
    probe(1, *sentinel_options(sentinel.endpoint), "--auth", "s3cr3t", "--sentinel-auth", "s3ntry").both_up()
    other = probe(1, *sentinel_options(sentinel.endpoint), "--auth", "s3cr3t", "--sentinel-auth", "wr0ng")
    other.expect(r"redis-down .*role=\"?sentinel.*reason=\"WRONGPASS")
    assert "wr0ng" not in "\n".join(other.seen) and "s3cr3t" not in "\n".join(other.seen)


def tls_settings(pki, port, name="addressed"):
    return [f"tls-port {port}", f"tls-cert-file {pki}/{name}.crt", f"tls-key-file {pki}/{name}.key", f"tls-ca-cert-file {pki}/ca.crt",
            "tls-auth-clients no", "tls-replication yes"]


@pytest.mark.parametrize("certificate,host,good", [("addressed", "127.0.0.1", True), ("named", "localhost", True),
                                                  ("named", "127.0.0.1", False)])
def test_tls_verifies_sentinel_and_master(server, probe, pki, sentinel_of, certificate, host, good):
    """A Sentinel names addresses: the master's certificate must have the address or the configured host name."""
    redis_server = tls_server(server, pki, certificate).start()
    port = free_port()
    sentinel_of(redis_server, settings=tls_settings(pki, port))
    one = probe(1, *sentinel_options(f"127.0.0.1:{port}"), "--tls", "--ca", pki / "ca.crt", host=host)
    if good:
        one.both_up()
    else:
        one.expect(r"redis-down .*role=\"?subscriber.*certificate is refused: IP address mismatch")
        assert not lines_of(one, "redis-up")
