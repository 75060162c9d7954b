# SPDX-License-Identifier: BSD-2-Clause
"""A daemon that has no file descriptors or memory left for a ring says so; it does not say that the interface is not there."""

import resource
import subprocess

import pytest

from lib.daemon import is_sanitized
from lib.waiting import until


def limit_files(daemon, count):
    """How many files the daemon may have open; None: as many as ever."""
    hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (hard if count is None else count, hard))


REQUESTS = {"one": (1, {"interface": ["eth1"]}), "any": (3, {"interface": ["any"]}), "before": (1, {"interface": ["eth1"], "before": 5}),
            "merged": (1, {"interface": ["eth0", "eth1"], "merge": True})}


@pytest.mark.parametrize("captures, wanted", REQUESTS.values(), ids=REQUESTS)
def test_request_without_a_file_descriptor_left_is_refused_for_that(make_world, captures, wanted):
    world = make_world(pairs=2)
    refusals = 0
    for spare in range(5):
        limit_files(world.daemon, world.daemon.descriptor_limit(spare))
        answer = world.request(timeout=1, **wanted).answer()
        if answer["event"] == "rejected":
            refusals += 1
            assert "Too many open files" in answer["reason"] and answer["field"] == "interface", answer
    assert refusals, "the limit was none"
    limit_files(world.daemon, None)
    world.capture(timeout=1, captures=captures, **wanted)


@pytest.mark.parametrize("spare", range(5))
def test_upload_without_a_file_descriptor_left_is_retried(make_world, tmp_path, spare):
    """With none there is no socket; with one or two the authorities' file cannot be read, which is a refusal otherwise."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=receiver", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True)
    world = make_world({"cloudshark": {"ca_file": str(cert)}, "general": {"writelocal": False}, "memory": {"bytes": 0}},
                       cloudshark={"token": "t" * 16, "tls": (cert, key)})
    request = world.capture(packets=5, timeout=30)
    limit_files(world.daemon, world.daemon.descriptor_limit(spare))
    world.sender.send(5, rate=1000)
    if spare == 0:
        assert "too many open files" in world.daemon.wait_log("delivery-retry").fields["error"]
    else:
        until(lambda: world.daemon.log("delivery-retry") or request.all("done"), 10, "the first attempt to end")
    limit_files(world.daemon, None)
    destination, = request.done()["destinations"]
    assert destination["ok"] and (spare or destination["attempts"] >= 2), destination


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
