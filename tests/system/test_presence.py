# SPDX-License-Identifier: BSD-2-Clause
"""What a node publishes of itself in Redis, and what becomes of it when Redis refuses."""

from lib.waiting import until


def test_presence_that_redis_refuses_is_reported_once(make_world):
    """Once for each command and kind of refusal, not every five seconds; and when it is over."""
    world = make_world(redis={"users": ["capturer on >s3cr3t ~* &* +@all -zadd -zremrangebyscore"]}, start=False,
                       config={"redis": {"username": "capturer", "auth": "s3cr3t"}})
    world.daemon.start()
    lines = world.daemon.wait_lines(lambda line: line.id == "presence-refused", count=2)
    assert {line.fields["command"] for line in lines} == {"ZADD", "ZREMRANGEBYSCORE"}
    assert all("NOPERM" in line.fields["error"] for line in lines)
    with world.redis.client() as client:
        publications = lambda: client.info("commandstats").get("cmdstat_set", {}).get("calls", 0)  # noqa: E731
        seen = publications()
        until(lambda: publications() >= seen + 2, 30, "two more publications", interval=0.1)
        assert len(world.daemon.log("presence-refused")) == 2
        client.execute_command("ACL", "SETUSER", "capturer", "+@all")
        world.daemon.wait_log("presence-accepted", timeout=15, command="ZADD")
