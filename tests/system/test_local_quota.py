# SPDX-License-Identifier: BSD-2-Clause
"""Limits of the local directory: what would exceed them fails with the reason, and only this node's files are ever removed."""

import fcntl
import os

from lib.waiting import until

STAMP = "20261123T084100.123Z"


def deliver(world):
    request = world.capture(packets=10, timeout=30)
    world.sender.send(10, rate=10000, size=1000)
    return request


def test_file_beyond_max_bytes_fails_with_the_reason(make_world):
    world = make_world({"local": {"max_bytes": 20000}})
    deliver(world).done()
    failed = deliver(world).final()
    assert failed["event"] == "failed" and failed["destinations"][0]["attempts"] == 1
    assert "local.max_bytes" in failed["destinations"][0]["error"]
    assert len(os.listdir(world.directory)) == 1
    os.unlink(os.path.join(world.directory, os.listdir(world.directory)[0]))
    until(lambda: deliver(world).final()["event"] == "done", 30, "the freed room to be noticed", interval=1)


def test_file_that_would_fill_the_filesystem_fails_with_the_reason(make_world):
    world = make_world({"local": {"min_free": 99}})
    failed = deliver(world).final()
    assert failed["event"] == "failed" and "local.min_free" in failed["destinations"][0]["error"]
    assert os.listdir(world.directory) == []


def test_old_files_of_this_node_are_removed(make_world):
    world = make_world({"local": {"max_age": 1}})
    foreign = os.path.join(world.directory, f"test-node-eth0-{STAMP}.txt")
    open(foreign, "w").close()
    os.utime(foreign, (0, 0))
    deliver(world).done()
    world.daemon.wait_log("local-files-expired", timeout=20, files=1)
    assert os.listdir(world.directory) == [os.path.basename(foreign)]


def test_unfinished_files_of_a_dead_process_are_removed_at_start(make_world):
    world = make_world(start=False)
    dead, living, foreign = (os.path.join(world.directory, name) for name in
                             (f".test-node-eth0-{STAMP}-a.pcapng.part", f".test-node-eth0-{STAMP}-b.pcapng.part",
                              f".other-eth0-{STAMP}-c.pcapng.part"))
    for path in (dead, living, foreign):
        open(path, "w").close()
    with open(living) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        world.daemon.start()
        world.daemon.wait_log("local-part-removed", file=os.path.basename(dead))
        deliver(world).done()
    names = os.listdir(world.directory)
    assert os.path.basename(dead) not in names and {os.path.basename(living), os.path.basename(foreign)} <= set(names)
    assert len(world.daemon.log("local-part-removed")) == 1
