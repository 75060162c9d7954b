# SPDX-License-Identifier: BSD-2-Clause
"""Files stored in Redis in chunks, through tests/probes/upload_probe: what a reader finds there, also after faults."""

import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from lib.redis_cluster import RedisCluster, slot_of
from lib.redis_probe import PROBES, free_port, server  # noqa: F401
from lib.redis_sentinel import MASTER, FakeSentinel, SentinelSetup
from lib.waiting import seconds, until

CHUNK = 256 * 1024
KEY = "{capture}:file:n1:probe.1"
QUICK = ["--first-backoff-ms", "50", "--max-backoff-ms", "100"]


class Upload:
    def __init__(self, port, *arguments):
        self.process = subprocess.Popen([os.path.join(PROBES, "upload_probe"), "--redis-port", str(port), *QUICK, *map(str, arguments)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        # freed memory must not count (AddressSanitizer keeps it for a while)
                                        env={**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"})
        self.log, self._reader = [], threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        self.log += iter(self.process.stderr.readline, "")

    def lines(self):
        """All of standard output, after a successful end."""
        output = self.process.stdout.read()
        status = self.process.wait(seconds(30))
        self._reader.join(seconds(5))
        assert status == 0, "".join(self.log[-40:])
        return [json.loads(line) for line in output.splitlines()]

    def result(self):
        files = [line for line in self.lines() if "file" in line]
        assert all(line["opens"] == line["closes"] for line in files)
        result, = files[0]["results"]
        return result

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def upload():
    made = []

    def make(*arguments):
        made.append(Upload(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


def stored(run, key=KEY):
    """Header, chunks and time to live, as a reader finds them."""
    header, *chunks = run("LRANGE", key, 0, -1)
    return json.loads(header), chunks, run("TTL", key)


def runner(redis_server):
    def run(*words):
        with redis_server.client() as client:
            return client.execute_command(*words)
    return run


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5_000_000])
def test_file_is_stored_byte_for_byte(server, upload, tmp_path, size):
    redis_server = server().start()
    content = os.urandom(size)
    path = tmp_path / "a file.pcapng"
    path.write_bytes(content)
    result = upload(redis_server.port, path).result()
    assert result == {"name": "redis", "ok": True, "url": f"redis:{KEY}", "error": None, "attempts": 1}
    header, chunks, ttl = stored(runner(redis_server))
    assert header == {"v": 1, "name": "a file.pcapng", "size": size, "chunks": -(-size // CHUNK)}
    assert len(chunks) == header["chunks"] and all(len(chunk) == CHUNK for chunk in chunks[:-1])
    assert b"".join(chunks) == content
    assert 3590 < ttl <= 3600


def test_several_files_have_keys_of_their_own(server, upload):
    redis_server = server().start()
    lines = upload(redis_server.port, "--files", 20, "--size", 1_000_000, "--redis-ttl-s", 60).lines()
    assert all(line["results"][0]["ok"] for line in lines if "file" in line)
    run = runner(redis_server)
    for number in range(1, 21):
        header, chunks, ttl = stored(run, f"{{capture}}:file:n1:probe.{number}")
        assert sum(map(len, chunks)) == header["size"] and 50 < ttl <= 60


def test_existing_key_is_replaced(server, upload):
    redis_server = server().start()
    run = runner(redis_server)
    run("RPUSH", KEY, "a", "b", "c")
    assert upload(redis_server.port, "--size", 300_000).result()["ok"]
    header, chunks, _ = stored(run)
    assert len(chunks) == header["chunks"] == 2


def test_file_beyond_the_limit_is_refused_and_the_limit_named(server, upload):
    redis_server = server().start()
    result = upload(redis_server.port, "--size", 2_000_000, "--redis-size", 1_000_000).result()
    assert not result["ok"] and result["attempts"] == 1
    assert "redis.file_size" in result["error"] and "1000000" in result["error"]
    assert runner(redis_server)("EXISTS", KEY) == 0


def test_large_file_is_never_whole_in_memory(server, upload):
    redis_server = server().start()
    before = upload(redis_server.port, "--size", 300_000).lines()[-1]["peak_rss_kib"]
    *files, last = upload(redis_server.port, "--size", 60_000_000).lines()
    assert files[0]["results"][0]["ok"]
    assert last["peak_rss_kib"] - before < 8192


def test_full_server_keeps_no_part_of_the_file(server, upload):
    redis_server = server().start()
    run = runner(redis_server)
    used = int(run("INFO", "memory")["used_memory"])
    run("CONFIG", "SET", "maxmemory", used + 3_000_000)
    result = upload(redis_server.port, "--size", 20_000_000, "--attempts", 2).result()
    assert not result["ok"] and result["attempts"] == 2 and "OOM" in result["error"]
    assert run("EXISTS", KEY) == 0


def test_files_of_a_node_are_bounded_until_one_is_fetched_or_expires(server, upload):
    """pcapctl removes the files it has fetched; the others expire."""
    redis_server = server().start()
    run = runner(redis_server)
    one = upload(redis_server.port, "--size", 300_000, "--files", 3, "--parallel", 1, "--redis-held", 700_000, "--attempts", 1000)
    until(lambda: any("redis.files_size" in line for line in one.log), 20, "the third file to wait")
    keys = run("KEYS", "*")
    assert len(keys) == 2
    run("DEL", keys[0])
    results = [line["results"][0] for line in one.lines() if "file" in line]
    assert [result["ok"] for result in results] == [True] * 3 and len(run("KEYS", "*")) == 2
    expiring = upload(redis_server.port, "--size", 300_000, "--files", 2, "--parallel", 1, "--redis-held", 400_000, "--attempts", 1000,
                      "--redis-ttl-s", 1)
    assert all(line["results"][0]["ok"] for line in expiring.lines() if "file" in line)
    assert any("redis.files_size" in line for line in expiring.log)


def test_file_beyond_the_bound_is_refused_after_the_last_attempt(server, upload):
    redis_server = server().start()
    result = upload(redis_server.port, "--size", 300_000, "--redis-held", 200_000, "--attempts", 2).result()
    assert not result["ok"] and result["attempts"] == 2 and "redis.files_size" in result["error"]
    assert runner(redis_server)("KEYS", "*") == []


def test_missing_permission_is_a_final_refusal(server, upload):
    redis_server = server(users=["default on nopass ~* &* +@all -rpush"]).start()
    result = upload(redis_server.port, "--size", 300_000).result()
    assert not result["ok"] and result["attempts"] == 1 and "NOPERM" in result["error"]


def test_upload_is_repeated_after_the_server_dies(server, upload):
    redis_server = server().start()
    run = runner(redis_server)
    one = upload(redis_server.port, "--size", 60_000_000, "--attempts", 50)
    until(lambda: run("LLEN", KEY) > 20, 20, "the upload to be in progress")
    redis_server.pause()
    redis_server.stop(signal.SIGKILL)
    redis_server.start()
    result = one.result()
    assert result["ok"] and result["attempts"] >= 2
    header, chunks, ttl = stored(run)
    assert len(chunks) == header["chunks"] and sum(map(len, chunks)) == header["size"] and ttl > 3000


def test_abandoned_upload_expires(server, upload):
    """Redis removes it once its time to live ends, even if the daemon was killed."""
    redis_server = server().start()
    run = runner(redis_server)
    one = upload(redis_server.port, "--size", 60_000_000, "--redis-ttl-s", 2)
    until(lambda: run("LLEN", KEY) > 10, 20, "the upload to be in progress")
    one.process.kill()
    assert run("TTL", KEY) in (-2, 0, 1, 2), "the partial file must expire soon"
    until(lambda: run("EXISTS", KEY) == 0, 20, "the partial file to expire")


def test_cancelled_upload_ends_at_once(server, upload):
    redis_server = server().start()
    run = runner(redis_server)
    one = upload(redis_server.port, "--size", 60_000_000)
    until(lambda: run("LLEN", KEY) > 10, 20, "the upload to be in progress")
    redis_server.pause()
    one.process.send_signal(signal.SIGTERM)
    result = one.result()
    redis_server.resume()
    assert not result["ok"] and "shutting down" in result["error"]


def test_missing_server_is_retried(upload):
    one = upload(free_port(), "--size", 1000)
    one.process.send_signal(0)
    until(lambda: any("redis-down" in line for line in one.log), 10, "the link to fail")
    one.process.send_signal(signal.SIGTERM)
    assert "shutting down" in one.result()["error"]


def test_cluster_upload_survives_a_slot_migration(tmp_path, upload):
    cluster = RedisCluster(tmp_path / "cluster")
    try:
        cluster.start()
        owner = cluster.owner(KEY)
        target = next(one for one in cluster.servers if one is not owner)
        one = upload(target.port, "--size", 60_000_000, "--attempts", 20)
        with owner.client() as client:
            until(lambda: client.llen(KEY) > 20, 20, "the upload to be in progress")
        cluster.migrate(slot_of(KEY), owner, target)
        assert one.result()["ok"]
        header, chunks, _ = stored(runner(target))
        assert len(chunks) == header["chunks"] and sum(map(len, chunks)) == header["size"]
    finally:
        cluster.close()


# --- a file reported as stored survives its master ---

SETTLED_S = 8


def test_upload_survives_a_cluster_master_killed_just_after_it(tmp_path, upload):
    """Its replica hangs, so it has no part of the file when it is promoted."""
    cluster = RedisCluster(tmp_path / "cluster", replicas=3)
    try:
        cluster.start()
        old = cluster.owner(KEY)
        new = cluster.replica_of(old)
        new.pause()
        another = next(one for one in cluster.masters if one is not old)
        one = upload(another.port, "--size", 300_000, "--attempts", 20)
        until(lambda: "cmdstat_wait" in runner(old)("INFO", "commandstats"), 10, "the wait for the replica")
        old.stop(signal.SIGKILL)
        new.resume()
        assert one.result()["ok"]
        assert_holds(new, 300_000)
    finally:
        cluster.close()


def online_replicas(redis_server):
    info = runner(redis_server)("INFO", "replication")
    return [value for key, value in info.items() if re.fullmatch(r"slave\d+", key) and value["state"] == "online"]


@pytest.mark.parametrize("replica", ["in step", "lagging", "gone", "may not be asked for", "may not be waited for"])
def test_upload_without_sentinels_waits_for_the_replicas_of_the_master(server, upload, replica):
    master, second = server().start(), server().start()
    runner(second)("REPLICAOF", "127.0.0.1", master.port)
    until(lambda: master.has_in_step(second), 20, "the replica to be in step")
    if replica == "lagging":
        second.pause()
    elif replica == "gone":
        second.stop(signal.SIGKILL)
        until(lambda: not online_replicas(master), 20, "the master to notice")
    elif replica == "may not be asked for":
        second.pause()
        runner(master)("ACL", "SETUSER", "default", "-info")
    elif replica == "may not be waited for":
        second.pause()
        runner(master)("ACL", "SETUSER", "default", "-wait", "-llen")
    began = time.monotonic()
    one = upload(master.port, "--size", 300_000)
    result = one.result()
    assert result["ok"] and result["attempts"] == 1
    assert any("redis-file-unverified" in line for line in one.log) == replica.startswith("may not")
    assert (time.monotonic() - began >= SETTLED_S) == (replica == "lagging")
    assert_holds(master, 300_000)
    if replica == "in step":
        assert_holds(second, 300_000)


# --- Sentinels name the master and its healthy replicas ---


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    made = SentinelSetup(tmp_path_factory.mktemp("sentinel"))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def sentinel():
    made = []

    def make(*arguments):
        made.append(FakeSentinel(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


def sentinel_options(*endpoints):
    return ["--master", MASTER, *(word for endpoint in endpoints for word in ("--sentinel", endpoint)), "--attempts", 20]


def assert_holds(redis_server, size):
    header, chunks, ttl = stored(runner(redis_server))
    assert (len(chunks), sum(map(len, chunks))) == (header["chunks"], header["size"]) and header["size"] >= size and ttl > 3000


def test_upload_reaches_all_healthy_replicas_without_delay(setup, upload):
    setup.wait_ready()
    began = time.monotonic()
    result = upload(1, "--size", 1_000_000, *sentinel_options(*setup.endpoints)).result()
    assert result["ok"] and result["attempts"] == 1 and time.monotonic() - began < SETTLED_S
    for redis_server in setup.servers:
        assert_holds(redis_server, 1_000_000)


def test_upload_during_a_failover_reaches_the_new_master(setup, upload):
    setup.wait_ready()
    old = setup.master
    one = upload(1, "--size", 60_000_000, *sentinel_options(*setup.endpoints))
    until(lambda: runner(old)("LLEN", KEY) > 20, 20, "the upload to be in progress")
    new = setup.fail_over()
    assert one.result()["ok"]
    assert_holds(new, 60_000_000)
    setup.rejoin(old)


def test_upload_begun_at_the_replaced_master_reaches_the_new_master(setup, upload):
    """The upload asks the Sentinels that learn of the failover later, not the one that orders it."""
    setup.wait_ready()
    old, others = setup.master, setup.sentinels[1:]
    new = setup.fail_over(at_promotion=True)
    assert upload(1, "--size", 300_000, *sentinel_options(*(one.endpoint for one in others))).result()["ok"]
    assert setup.wait_other_master(old) is new
    assert_holds(new, 300_000)
    setup.rejoin(old)


def test_upload_is_repeated_if_an_unsynchronised_replica_is_promoted(server, upload, sentinel):
    """It may have been promoted: the master at the end must hold the whole file."""
    old, new = server().start(), server().start()
    fake = sentinel(("127.0.0.1", old.port), ["slave"])
    began = time.monotonic()
    one = upload(1, "--size", 300_000, *sentinel_options(fake.endpoint))
    until(lambda: runner(old)("LLEN", KEY) == 3, 10, "the old master to have the file")
    fake.answer, fake.replicas = ("127.0.0.1", new.port), ()
    result = one.result()
    assert result["ok"] and result["attempts"] == 2 and time.monotonic() - began >= SETTLED_S
    assert_holds(new, 300_000)


@pytest.mark.parametrize("replicas", [["slave,s_down,disconnected"], []], ids=["down", "none"])
def test_absent_replicas_are_not_waited_for(server, upload, sentinel, replicas):
    redis_server = server().start()
    fake = sentinel(("127.0.0.1", redis_server.port), replicas)
    began = time.monotonic()
    result = upload(1, "--size", 300_000, *sentinel_options(fake.endpoint)).result()
    assert result["ok"] and result["attempts"] == 1 and time.monotonic() - began < SETTLED_S
    assert_holds(redis_server, 300_000)


def test_upload_succeeds_without_replication_if_the_master_stays(server, upload, sentinel):
    redis_server = server().start()
    fake = sentinel(("127.0.0.1", redis_server.port), ["slave"])
    result = upload(1, "--size", 300_000, *sentinel_options(fake.endpoint)).result()
    assert result["ok"] and result["attempts"] == 1
    assert_holds(redis_server, 300_000)


def test_upload_settles_if_the_sentinel_hides_the_replicas(server, upload, sentinel):
    redis_server = server().start()
    fake = sentinel(("127.0.0.1", redis_server.port), None)
    began = time.monotonic()
    result = upload(1, "--size", 300_000, *sentinel_options(fake.endpoint)).result()
    assert result["ok"] and result["attempts"] == 1 and time.monotonic() - began >= SETTLED_S
    assert_holds(redis_server, 300_000)


def test_upload_cancelled_while_settling_ends_at_once(server, upload, sentinel):
    redis_server = server().start()
    fake = sentinel(("127.0.0.1", redis_server.port), ["slave"])
    one = upload(1, "--size", 300_000, *sentinel_options(fake.endpoint))
    run = runner(redis_server)
    until(lambda: "cmdstat_wait" in run("INFO", "commandstats"), 10, "the wait for the replicas")
    began = time.monotonic()
    one.process.send_signal(signal.SIGTERM)
    error = one.result()["error"]
    assert "shutting down" in error and "perhaps on no replica" in error and time.monotonic() - began < SETTLED_S / 2
    assert_holds(redis_server, 300_000)
