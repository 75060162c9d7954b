# SPDX-License-Identifier: BSD-2-Clause
"""A real Cluster: any node serves pub/sub, and keyed commands reach their node, even while slots move and nodes die."""

import re
import signal

import pytest

from lib.redis_client import ECONNRESET, ETIMEDOUT, commands  # noqa: F401
from lib.redis_cluster import RedisCluster, slot_of
from lib.redis_probe import free_port, probe  # noqa: F401
from lib.waiting import until
from test_redis_link import events_of, pki, publish  # noqa: F401


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Three masters, shared; tests that kill nodes use `own_cluster`."""
    made = RedisCluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def own_cluster(tmp_path):
    made = []

    def make(**options):
        directory = tmp_path / f"cluster{len(made)}"
        directory.mkdir()
        made.append(RedisCluster(directory, **options))
        return made[-1].start()

    yield make
    for one in made:
        one.close()


def key_in(server_index, count=3, label=""):
    """A key in the slots of server number `server_index` of `count`."""
    return next(key for key in (f"{label}key{number}" for number in range(1000)) if slot_of(key) * count // 16384 == server_index)


def moved_count(server):
    return int((re.search(r"errorstat_MOVED:count=(\d+)", RedisCluster.run(server, "INFO", "errorstats")) or [0, 0])[1])


# --- pub/sub ---


def test_any_cluster_node_serves_requests_and_events(cluster, probe):
    first, second, third = cluster.servers
    one = probe(first.port)
    one.both_up()
    assert publish(third, "hello") >= 0
    assert one.message()["message"] == "hello"
    with second.client() as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("capture:events")
        subscription.get_message(timeout=5)
        one.send_line("event here")
        assert events_of(subscription, 1) == ["here"]


def test_missing_first_node_is_skipped(cluster, probe):
    one = probe(free_port(), "--node", f"localhost:{free_port()}", "--node", cluster.endpoints[1])
    one.both_up()
    publish(cluster.servers[2], "hello")
    assert one.message()["message"] == "hello"


def test_killed_node_is_replaced_by_another(own_cluster, probe):
    cluster = own_cluster(replicas=1)
    first = cluster.servers[0]
    one = probe(first.port, *(word for endpoint in cluster.endpoints[1:] for word in ("--node", endpoint)))
    one.both_up()
    first.stop(signal.SIGKILL)
    one.expect(r"redis-down .*role=\"?subscriber")
    one.expect(r"subscribed channel=")
    publish(cluster.servers[2], "still here")
    assert one.message()["message"] == "still here"


# --- keys ---


def test_commands_reach_the_node_of_their_key(cluster, commands):
    one = commands(cluster.servers[0].port)
    keys = [f"find-{number}" for number in range(300)]
    numbers = [one.send("SET", key, key) for key in keys]
    assert {one.reply(number) for number in numbers} == {"OK"}
    for key in keys:
        assert cluster.run(cluster.owner(key), "GET", key) == key
    assert one.do("OBJECT", "ENCODING", keys[7], flags="k2") == "embstr"


def test_moved_slot_is_remembered(cluster, commands):
    one, key = commands(cluster.servers[0].port), key_in(2, label="known-")
    one.do("SET", key, "0")
    before = moved_count(cluster.servers[0])
    for _ in range(50):
        one.do("INCR", key)
    assert moved_count(cluster.servers[0]) == before


def test_redirection_without_a_host_means_the_redirecting_node(cluster, commands):
    for server in cluster.servers:
        cluster.run(server, "CONFIG", "SET", "cluster-preferred-endpoint-type", "unknown-endpoint")
    try:
        one, key = commands(cluster.servers[0].port), key_in(1, label="unnamed-")
        assert one.do("SET", key, "x") == "OK"
        assert cluster.run(cluster.owner(key), "GET", key) == "x"
    finally:
        for server in cluster.servers:
            cluster.run(server, "CONFIG", "SET", "cluster-preferred-endpoint-type", "ip")


def test_redirection_is_followed_only_where_a_cluster_is_expected(cluster, commands):
    """Any server, or a stranger's in its place, could send the client and its password anywhere."""
    key = key_in(2, label="sent-away-")
    alone = commands(cluster.servers[0].port, "--no-cluster")
    answer = alone.answer(alone.send("SET", key, "x"))
    assert answer["code"] and answer["error"].startswith("MOVED ") and "is this a Cluster?" in answer["error"], answer
    assert commands(cluster.servers[0].port, "--no-cluster", "--node", cluster.endpoints[1]).do("SET", key, "x") == "OK"


# --- slot migration ---


def test_slot_migration_under_load_neither_loses_nor_repeats_commands(cluster, commands):
    one = commands(cluster.servers[0].port)
    slot, owner = slot_of("{moving}"), cluster.owner("{moving}")
    others = [server for server in cluster.servers if server is not owner]
    keys = [f"{{moving}}{number}" for number in range(40)]
    numbers, lists = {key: [] for key in keys}, []

    def load(rounds):
        for round_number in range(rounds):
            for key in keys:
                numbers[key].append(one.send("INCR", key))
            lists.append(one.send("RPUSH", f"{{moving}}list{len(lists)}", "x", "y"))

    def asked():
        return any("errorstat_ASK:" in RedisCluster.run(server, "INFO", "errorstats") for server in cluster.servers)

    load(5)
    for source, target in ((owner, others[0]), (others[0], others[1]), (others[1], owner)):
        cluster.begin_migration(slot, source, target)
        while cluster.migrate_keys(slot, source, target, 4):
            load(1)
        load(3)
        until(asked, 20, "commands to reach the target during the migration")
        cluster.end_migration(slot, source, target)
        load(2)
    for key in keys:
        replies = [one.reply(number) for number in numbers[key]]
        assert sorted(replies) == list(range(1, len(replies) + 1)), key
        assert cluster.run(owner, "GET", key) == str(len(replies))
    assert {one.reply(number) for number in lists} == {2}


def test_command_on_keys_split_by_a_migration_is_retried(cluster, commands):
    one = commands(cluster.servers[0].port)
    slot, source = slot_of("{apart}"), cluster.owner("{apart}")
    target = next(server for server in cluster.servers if server is not source)
    one.do("MSET", "{apart}a", "1", "{apart}b", "2")
    cluster.begin_migration(slot, source, target)
    assert cluster.migrate_keys(slot, source, target, 1) == 1
    number = one.send("MGET", "{apart}a", "{apart}b")
    until(lambda: any("errorstat_TRYAGAIN" in RedisCluster.run(server, "INFO", "errorstats") for server in (source, target)),
          5, "TRYAGAIN")
    cluster.migrate_keys(slot, source, target)
    cluster.end_migration(slot, source, target)
    assert one.reply(number) == ["1", "2"]


def test_blocked_command_follows_its_key(cluster, commands):
    one = commands(cluster.servers[0].port, "--block-ms", 10000)
    slot, source = slot_of("{blocked}"), cluster.owner("{blocked}")
    target = next(server for server in cluster.servers if server is not source)
    number = one.send("BLPOP", "{blocked}list", 10)
    with source.client() as client:
        until(lambda: client.info("clients")["blocked_clients"] == 1, 5, "the command to block")
    cluster.migrate(slot, source, target)
    with target.client() as client:
        until(lambda: client.info("clients")["blocked_clients"] == 1, 5, "the command to block at the new node")
    cluster.run(target, "RPUSH", "{blocked}list", "word")
    assert one.reply(number) == ["{blocked}list", "word"]


# --- dead nodes ---


def test_commands_for_a_killed_node_reach_its_replica(own_cluster, commands):
    cluster = own_cluster(replicas=1)
    last, replica = cluster.masters[-1], cluster.replicas[0]
    key = key_in(2)
    one = commands(cluster.servers[0].port)
    assert one.do("INCR", key) == 1
    until(lambda: last.has_in_step(cluster.replicas[0]), 20, "the replica to be in step")
    last.pause()
    safe, unsafe = one.send("SET", f"{{{key}}}safe", "x", flags="i"), one.send("INCR", key)
    one.is_up()
    last.stop(signal.SIGKILL)
    assert one.answer(unsafe)["code"] == ECONNRESET and one.answer(unsafe)["maybe"]
    later = one.send("INCR", key)
    assert one.reply(safe) == "OK" and one.reply(later) == 2
    assert cluster.run(replica, "GET", key) == "2"


def test_commands_survive_the_death_of_the_first_node(own_cluster, commands):
    cluster = own_cluster(replicas=1)
    last, key = cluster.masters[-1], key_in(2)
    one = commands(last.port, *(word for endpoint in cluster.endpoints[:2] for word in ("--node", endpoint)))
    assert one.do("INCR", key) == 1
    until(lambda: last.has_in_step(cluster.replicas[0]), 20, "the replica to be in step")
    last.stop(signal.SIGKILL)
    assert one.do("INCR", key) == 2


def test_commands_wait_for_a_failed_cluster_until_the_deadline(own_cluster, commands):
    cluster = own_cluster()
    one = commands(cluster.servers[0].port, "--deadline-ms", 20000)
    short = commands(cluster.servers[0].port, "--deadline-ms", 3000)
    assert one.do("INCR", key_in(0)) == 1
    cluster.servers[1].stop(signal.SIGKILL)
    until(lambda: "cluster_state:fail" in cluster.run(cluster.servers[0], "CLUSTER", "INFO"), 20, "the Cluster to be down")
    number = one.send("INCR", key_in(0))
    answer = short.answer(short.send("INCR", key_in(0)))
    assert answer["code"] == ETIMEDOUT and "CLUSTERDOWN" in answer["error"] and not answer["maybe"]
    cluster.servers[1].start(tcp=False)
    assert one.reply(number) == 2


def test_tls_works_with_nodes_that_announce_addresses(own_cluster, commands, pki):
    """Their certificate is for the configured name."""
    cluster = own_cluster(masters=2, tls={"cert": pki / "named.crt", "key": pki / "named.key", "ca": pki / "ca.crt"})
    one = commands(cluster.servers[0].port, "--tls", "--ca", pki / "ca.crt", host="localhost")
    for index in (0, 1):
        assert one.do("INCR", key_in(index, 2)) == 1
    other = commands(cluster.servers[0].port, "--tls", "--ca", pki / "ca.crt", "--deadline-ms", 1000)
    assert other.answer(other.send("GET", "key"))["code"] == ETIMEDOUT
    assert any("IP address mismatch" in line for line in other.seen)
