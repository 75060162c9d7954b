# SPDX-License-Identifier: BSD-2-Clause
"""A daemon that has no file descriptors or memory left for a ring says so; it does not say that the interface is not there."""

import os
import resource

import pytest

from lib.daemon import is_sanitized


def limit_files(daemon, count):
    """How many files the daemon may have open; None: as many as ever."""
    hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (hard if count is None else count, hard))


def files_in_use(daemon):
    """The descriptors up to here are taken."""
    return max(map(int, os.listdir(f"/proc/{daemon.pid}/fd"))) + 1


REQUESTS = {"one": (1, {"interface": ["eth1"]}), "any": (3, {"interface": ["any"]}), "before": (1, {"interface": ["eth1"], "before": 5}),
            "merged": (1, {"interface": ["eth0", "eth1"], "merge": True})}


@pytest.mark.parametrize("captures, wanted", REQUESTS.values(), ids=REQUESTS)
def test_request_without_a_file_descriptor_left_is_refused_for_that(make_world, captures, wanted):
    world = make_world(pairs=2)
    refusals = 0
    for spare in range(5):
        limit_files(world.daemon, files_in_use(world.daemon) + spare)
        answer = world.request(timeout=1, **wanted).answer()
        if answer["event"] == "rejected":
            refusals += 1
            assert "Too many open files" in answer["reason"] and answer["field"] == "interface", answer
    assert refusals, "the limit was none"
    limit_files(world.daemon, None)
    world.capture(timeout=1, captures=captures, **wanted)


def test_sixty_interfaces_and_few_file_descriptors(make_world):
    world = make_world()
    for number in range(60):
        world.host.add_veth(f"many{number}", world.peer, f"peer-many{number}")
    limit_files(world.daemon, 48)
    answers = [world.request(interface=[f"many{number}"], timeout=30).answer() for number in range(60)]
    reasons = {answer["reason"] for answer in answers if answer["event"] == "rejected"}
    assert reasons and all("Too many open files" in reason for reason in reasons), reasons
    limit_files(world.daemon, None)
    world.capture(interface=["many59"], timeout=1).done()


def test_recorder_that_could_not_bind_for_want_of_files_tries_again(make_world):
    world = make_world({"history": {"interfaces": ["eth0"], "memory": "32MiB"}})
    world.host.delete_link("eth0")
    world.daemon.wait_log("interface-gone", interface="eth0")
    limit_files(world.daemon, 3)
    world.host.add_veth("eth0", world.peer, "peer0")
    line = world.daemon.wait_log("recorder-not-bound", interface="eth0")
    assert line.fields["error"] == "Too many open files"
    limit_files(world.daemon, None)
    world.daemon.wait_log("recording-again", interface="eth0")


@pytest.mark.skipif(is_sanitized(), reason="sanitizers need address space of their own")
def test_request_without_memory_for_a_ring_is_refused_for_that(make_world):
    world = make_world(pairs=2)
    with open(f"/proc/{world.daemon.pid}/statm") as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    before = resource.prlimit(world.daemon.pid, resource.RLIMIT_AS)
    resource.prlimit(world.daemon.pid, resource.RLIMIT_AS, (size + (32 << 20), before[1]))
    answer = world.request(interface=["eth1"], timeout=1).rejected()
    assert "Cannot allocate memory" in answer["reason"] and answer["field"] == "interface", answer
    resource.prlimit(world.daemon.pid, resource.RLIMIT_AS, before)
    world.capture(interface=["eth1"], timeout=1)
