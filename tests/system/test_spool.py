# SPDX-License-Identifier: BSD-2-Clause
"""What could not be delivered waits on disk, across restarts, and has one final event once it is delivered or given up."""

import json
import os
import re
import time

from lib.cloudshark_server import busy, close, hang, ok, refuse
from lib.pcapctl import Pcapctl
from lib.pcapfile import CaptureFile
from lib.waiting import until

TOKEN = "0badc0de0badc0de0badc0de"


def spooling(make_world, tmp_path, behaviour, **settings):
    """A world whose CloudShark behaves like this, and the spool's directory."""
    directory = tmp_path / "spool"
    directory.mkdir(exist_ok=True)
    config = {"general": {"writelocal": False, "localdir": None}, "limits": {"retry": 0}, "spool": {"dir": str(directory), **settings}}
    return make_world(config, cloudshark={"token": TOKEN, "behaviour": behaviour}), directory


def capture(world, **fields):
    request = world.capture(packets=10, timeout=30, **fields)
    world.sender.send(10, rate=10000)
    return request


def metric(world, name):
    return float(re.search(rf"^{name} (\S+)$", world.api.get("/metrics").expect(200).body.decode(), re.MULTILINE)[1])


def test_what_a_destination_does_not_take_is_delivered_after_a_restart(make_world, tmp_path):
    world, directory = spooling(make_world, tmp_path, busy())
    request = capture(world, comment="Grüße", customer="ACME", alertid=7)
    spooled = request.wait("spooled", timeout=20)
    assert not spooled["destinations"][0]["ok"] and "503" in spooled["destinations"][0]["error"], spooled
    name = spooled["file"]
    assert sorted(os.listdir(directory)) == [name, f"{name}.spool"]
    assert (metric(world, "pcapdaemon_spool_files"), metric(world, "pcapdaemon_spool_bytes")) == (1, (directory / name).stat().st_size)
    content = (directory / name).read_bytes()
    CaptureFile(directory / name).assert_numbers(0, 10)
    assert not request.all("done", "failed")
    world.receiver.server.behave(ok())
    world.restart_daemon()
    done = request.done(timeout=30)
    destination, = done["destinations"]
    assert destination["ok"] and destination["url"] and destination["attempts"] == 2 and "error" not in destination, done
    assert [done[key] for key in ("capture", "packets", "customer", "alertid")] == [spooled["capture"], 10, "ACME", 7]
    upload = world.receiver.server.wait_for_uploads(1)[0]
    assert upload.content == content and upload.filename == name and upload.fields["comments"] == "Grüße"
    until(lambda: os.listdir(directory) == [], 10, "the spool to be empty")


def test_repeated_request_is_answered_with_the_delivery(make_world, tmp_path):
    """Its answer in Redis says that the file waits, until the next daemon has delivered it."""
    world, _ = spooling(make_world, tmp_path, busy())
    world.daemon.config["redis"]["stream"] = "requests"
    world.restart_daemon()
    words = ("-i", "eth0", "-c", "10", "--duration", "30", "--id", "again", "-d", "cloudshark", "--no-file")
    with Pcapctl("capture", "--socket", world.config["api"]["socket"], *words) as command:
        world.events.wait(lambda event: event["event"] == "accepted" and event["id"] == "again")
        world.sender.send(10, rate=10000)
        result = command.finish(30)
    assert result.status == 3 and "waits in the node's spool" in result.stdout, result
    world.receiver.server.behave(ok())
    world.restart_daemon()
    world.events.wait(lambda event: event["event"] == "done" and event["id"] == "again", 30)
    with world.redis.client() as client:
        until(lambda: json.loads(client.get("{capture}:answer:test-node:again"))[0]["event"] == "done", 10, "the stored answer")


def test_what_is_under_way_as_the_daemon_stops_is_delivered_by_the_next(make_world, tmp_path):
    world, directory = spooling(make_world, tmp_path, busy())
    world.daemon.config["limits"]["retry"] = 900
    world.restart_daemon()
    requests = [capture(world) for _ in range(3)]
    for request in requests:
        world.daemon.wait_log("delivery-retry", id=request.id)
    assert world.daemon.stop(timeout=30) == 0
    world.receiver.server.behave(ok())
    assert len(os.listdir(directory)) == 6, world.daemon.tail()
    world.daemon.start()
    for request in requests:
        assert request.done(timeout=30)["packets"] == 10
        assert len(request.all("spooled")) == 1
    assert len(world.receiver.server.wait_for_uploads(3)) == 3


def test_what_the_spool_does_not_take_or_keep_has_failed(make_world, tmp_path):
    world, directory = spooling(make_world, tmp_path, busy(), max_bytes=5000, max_age=1)
    first = capture(world)
    name = first.wait("spooled", timeout=20)["file"]
    world.receiver.server.behave(busy())
    second = world.capture(packets=10, timeout=30)
    world.sender.send(10, rate=10000, size=1000)
    failed = second.final()
    assert failed["event"] == "failed" and "spool.max_bytes" in failed["destinations"][0]["error"], failed
    world.receiver.server.behave(refuse(403, "no such token"))
    refused = capture(world).final()  # for good, so it does not wait
    assert refused["event"] == "failed" and "no such token" in refused["destinations"][0]["error"], refused
    state = json.loads((directory / f"{name}.spool").read_text())
    until(lambda: time.time() > state["stored"] / 1e9 + 1, 10, "the file to be too old")
    world.restart_daemon()
    old = first.final(timeout=30)
    assert old["event"] == "failed" and "spool.max_age" in old["destinations"][0]["error"], old
    until(lambda: os.listdir(directory) == [], 10, "the spool to be empty")


def test_first_of_a_fallback_order_gets_the_file_that_none_took(make_world, tmp_path):
    """One is away, the other refuses for good: the file waits for the first, and only that one gets it."""
    world, directory = spooling(make_world, tmp_path, busy())
    world.daemon.config["destination"] = [{**world.daemon.config["cloudshark"], "name": "second", "type": "cloudshark", "token": "f" * 24}]
    del world.daemon.config["destination"][0]["upload"]
    world.daemon.config["requests"] = {"destinations": ["cloudshark", "second"]}
    world.restart_daemon()
    request = capture(world, first_of=["cloudshark", "second"])
    spooled = request.wait("spooled", timeout=20)
    destination, = spooled["destinations"]
    assert destination["name"] == "second" and destination["instead_of"][0]["name"] == "cloudshark", spooled
    state, = (json.loads(path.read_text()) for path in directory.glob("*.spool"))
    assert state["pending"] == ["cloudshark"]
    world.receiver.server.behave(ok())
    world.restart_daemon()
    destination, = request.done(timeout=30)["destinations"]
    assert destination["ok"] and destination["name"] == "cloudshark" and destination["instead_of"][0]["name"] == "second", destination
    assert len(world.receiver.server.wait_for_uploads(1)) == 1


def test_file_that_comes_in_while_another_is_tried_is_delivered_too(make_world, tmp_path):
    """Also one whose answer was lost: the server is asked for it before it is sent again."""
    world, directory = spooling(make_world, tmp_path, busy())
    first = capture(world)
    first.wait("spooled", timeout=20)
    world.receiver.server.behave([hang("after"), close("after"), ok()])
    world.restart_daemon()
    world.receiver.server.wait_for_requests(2, stage="body")  # the first one's second attempt hangs
    second = capture(world)
    second.wait("spooled", timeout=20)
    world.daemon.stop(timeout=30)
    world.receiver.server.behave(ok())
    world.daemon.start()
    for request in (first, second):
        assert request.done(timeout=30)["packets"] == 10
    assert len(world.receiver.server.uploads) == 2, [upload.filename for upload in world.receiver.server.uploads]
    until(lambda: os.listdir(directory) == [], 10, "the spool to be empty")
