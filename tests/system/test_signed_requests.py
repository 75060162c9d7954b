# SPDX-License-Identifier: BSD-2-Clause
"""Requests signed with a key: who signs, how (as the manual shows it), and what is refused."""

import hashlib
import json
import os
import re
import subprocess
import time

import pytest

from lib import pcapctl
from lib.events import Request, new_id
from lib.manual import example
from lib.pcapfile import CaptureFile
from lib.signing import MONITORING, canonical, secret_file, sign
from lib.stream import add, restart
from lib.waiting import until
from lib.world import NODE, World

CI = "0123456789abcdef0123456789abcdef"
KEYS = f"# keys\nmonitoring:{MONITORING}\nci:{CI} destinations=local interfaces=eth0,any\n"


def configuration(directory):
    return {"requests": {"keys_file": secret_file(directory / "keys", KEYS)}}


@pytest.fixture(scope="module")
def shared_signed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("signed")
    with World(directory, configuration(directory), pairs=2) as world:
        yield world


@pytest.fixture
def signed(shared_signed):
    yield shared_signed
    assert shared_signed.daemon.is_alive()


def send(world, message):
    """Publishes; returns the request. The captures of earlier tests may still have events."""
    since, request = world.events.mark(), json.loads(message) if isinstance(message, str) else message
    assert world.publish(message) == 1
    return Request(world.events, request.get("id"), request, since)


def answer_to(world, message):
    """Publishes; returns the first event about it."""
    request = send(world, message)
    return world.events.wait(lambda event: event["event"] in ("accepted", "rejected") and request.id in (None, event.get("id")),
                             since=request.since)


def enqueue(world, message):
    """Adds it to the stream; returns the request."""
    since = world.events.mark()
    add(world, raw={"request": json.dumps(message)})
    return Request(world.events, message.get("id"), message, since)


def refusal(world, message):
    event = answer_to(world, message)
    assert event["event"] == "rejected" and event["field"] == "sig", event
    return event["reason"]


def fields(**more):
    return {"node": NODE, "interface": ["eth0"], "timeout": 0.1, "id": new_id("sig"), **more}


# --- signing, as in the manual ---

def test_signed_request_is_taken_and_the_keys_name_is_in_events_and_file(signed):
    request = fields(packets=1, timeout=20, comment="Grüße, \u20ac")
    sent = send(signed, sign(request))
    sent.accepted()
    signed.sender.send(1)
    done = sent.done()
    assert {event["key"] for event in sent.all()} == {"monitoring"}
    comments = CaptureFile(os.path.join(signed.directory, done["file"])).comments
    assert "signed with the key: monitoring" in comments and not any('"sig"' in comment for comment in comments)
    assert MONITORING not in signed.daemon.text()


def test_manuals_python_signs(signed, tmp_path):
    secret_file(tmp_path / "monitoring.key", f"monitoring:{MONITORING}\n")
    text = example("hashlib.sha256")
    assert len(text.splitlines()) == 5
    program = text + "import sys; json.dump(request, sys.stdout)"
    message = subprocess.run(["/usr/bin/python3", "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    event = answer_to(signed, message)
    assert event["event"] == "accepted" and event["key"] == "monitoring", event
    signed.api.delete(f"/v1/captures/{event['id']}").expect(202)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_manuals_shell_signs(signed, tmp_path, shell):
    secret_file(tmp_path / "monitoring.key", f"monitoring:{MONITORING}\n")
    since = signed.events.mark()
    assert signed.host.run("env", f"--chdir={tmp_path}", shell, "-euc", example("SECRET=$secret")).stdout.strip() == "1"
    event = signed.events.wait(lambda event: event["event"] in ("accepted", "rejected"), since=since)
    assert event["event"] == "accepted" and event["key"] == "monitoring", event
    signed.api.delete(f"/v1/captures/{event['id']}").expect(202)


def test_pcapctl_signs(signed, tmp_path):
    key = secret_file(tmp_path / "ci.key", f"ci:{CI}\n")
    arguments = ["capture", "-i", "eth0", "--duration", "0.2", "--wait", "--redis", "redis://127.0.0.1/capture", "--node", NODE]
    result = pcapctl.run(*arguments, "--key-file", key, netns=signed.host, cwd=tmp_path)
    assert result.status == 4 and "empty" in result.stdout, result  # captured, no packet
    result = pcapctl.run(*arguments, netns=signed.host, cwd=tmp_path)
    assert result.status != 0 and "requests must be signed" in result.stdout + result.stderr, result
    os.chmod(key, 0o644)
    result = pcapctl.run(*arguments, "--key-file", key, netns=signed.host, cwd=tmp_path)
    assert result.status == 2 and "others may read it" in result.stderr, result
    result = pcapctl.run("capture", "-i", "eth0", "--key-file", key, "--socket", signed.api.path, cwd=tmp_path)
    assert result.status == 2 and "fleet" in result.stderr, result


# --- refused ---

def test_unsigned_and_wrongly_signed_requests_are_refused(signed):
    assert "must be signed" in refusal(signed, fields())
    assert "does not fit" in refusal(signed, sign(fields(), secret="another-secret-entirely"))
    assert "does not fit" in refusal(signed, sign(fields(), name="ci"))
    assert 'no key "nobody"' in refusal(signed, sign(fields(), name="nobody"))
    assert "does not fit" in refusal(signed, {**sign(fields()), "snap": 100})
    assert "KEY:TIME:NONCE:MAC" in refusal(signed, {**fields(), "sig": "x"})


def test_stale_requests_are_refused(signed):
    assert re.search(r"7\d s before .* limit is 60 s", refusal(signed, sign(fields(), at=time.time() - 75)))
    assert re.search(r"7\d s after .* limit is 60 s", refusal(signed, sign(fields(), at=time.time() + 75)))


def test_replay_is_refused(signed):
    message = sign(fields())
    sent = send(signed, message)
    sent.accepted()
    sent.done()
    assert "used before" in refusal(signed, message)
    assert "used before" in refusal(signed, json.dumps(message, indent=1, sort_keys=True))


def test_control_api_needs_no_signature(signed):
    signed.api.post(fields(), wait=1).expect(200)


@pytest.mark.parametrize("more, rule", [({"to_destinations": ["redis"]}, "to_destinations"), ({"interface": ["eth1"]}, "interface")])
def test_key_has_limits_of_its_own(signed, more, rule):
    event = answer_to(signed, sign(fields(**more), "ci", CI))
    assert event["event"] == "rejected" and event["field"] == rule and 'the key "ci"' in event["reason"], event
    assert event["key"] == "ci" and "(requests.keys_file)" in event["reason"], event
    assert answer_to(signed, sign(fields(**more)))["event"] == "accepted"


def test_any_means_the_interfaces_that_the_key_allows(signed):
    sent = send(signed, sign(fields(interface=["any"], timeout=0.2), "ci", CI))
    sent.done()
    assert {event["interface"] for event in sent.all()} == {"eth0"}


def test_a_key_stops_only_what_it_may_capture(signed):
    """The other key's captures on its own interface, too."""
    requests = [sign(fields(interface=[interface], timeout=600, dedupe="stop-me")) for interface in ("eth0", "eth1")]
    for request in requests:
        assert answer_to(signed, request)["event"] == "accepted"
    for key, ended in ((("ci", CI), 1), ((), 1), ((), 0)):
        since = signed.events.mark()
        signed.publish(sign({"node": NODE, "stop": True, "dedupe": "stop-me", "id": new_id("stop")}, *key))
        answer = signed.events.wait(lambda event: event.get("reason") == "stop", since=since)
        assert answer["event"] == "done" and answer.get("count", 0) == ended, answer
        assert answer["key"] == (key[0] if key else "monitoring")
        signed.events.wait_count(lambda event: event["event"] == "done" and event.get("capture"), ended, 15, since)


# --- restarts ---

@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_replay_after_a_restart_is_refused(make_world, tmp_path, how):
    world = make_world(configuration(tmp_path))
    message, unused = sign(fields()), sign(fields())
    assert answer_to(world, message)["event"] == "accepted"
    if how == "SIGKILL":
        world.daemon.kill()
        world.daemon.start()
    else:
        world.restart_daemon()
    assert "used before" in refusal(world, message)
    assert answer_to(world, unused)["event"] == "accepted"


def test_without_the_file_what_was_signed_before_the_start_is_refused(make_world, tmp_path):
    world = make_world(configuration(tmp_path))
    message = sign(fields())
    assert answer_to(world, message)["event"] == "accepted"
    world.daemon.close()
    os.unlink(world.api.path + ".nonces")
    second = int(time.time())
    until(lambda: int(time.time()) > second, 5, "the next second")
    world.daemon.start()
    assert "before what this node remembers" in refusal(world, message)
    assert answer_to(world, sign(fields()))["event"] == "accepted"


# --- the stream ---

def test_entry_is_resumed_after_a_restart(durable, tmp_path):
    """Its signature was used, by the same entry."""
    world = durable(configuration(tmp_path))
    request = enqueue(world, sign(fields(timeout=30)))
    request.accepted()
    since = world.events.mark()
    restart(world, kill=True)
    assert Request(world.events, request.id, request.fields, since).wait()["event"] == "accepted"


def test_entry_is_judged_by_its_own_time(durable, tmp_path):
    config = configuration(tmp_path)
    config["requests"]["signature_age"] = 1
    world = durable(config)
    world.daemon.close()
    request, stale = enqueue(world, sign(fields())), enqueue(world, sign(fields(), at=time.time() - 5))
    late = time.time() + 2.5
    until(lambda: time.time() > late, 10, "the signature to be old")
    world.daemon.start()
    assert request.wait()["event"] == "accepted"
    event = stale.wait()
    assert event["event"] == "rejected" and "signature_age" in event["reason"], event


def test_signature_of_another_entry_is_refused(durable, tmp_path):
    world = durable(configuration(tmp_path))
    message = sign(fields(timeout=0.1))
    enqueue(world, message).done()
    assert "used before" in enqueue(world, message).wait("rejected")["reason"]


def test_replayed_entry_does_not_run_twice_even_if_the_file_is_lost(durable, tmp_path):
    """The request has no id: it gets one from its signature, and the reply store knows that."""
    world = durable(configuration(tmp_path))
    message = sign({"node": NODE, "interface": ["eth0"], "timeout": 0.1})
    first = enqueue(world, message)
    done = world.events.wait(lambda event: event["event"] == "done", since=first.since)
    with world.redis.client() as client:
        until(lambda: client.keys(f"*:answer:*:{done['id']}"), 10, "the answer in Redis")
    world.daemon.close()
    os.unlink(world.api.path + ".nonces")
    second = enqueue(world, message)
    world.daemon.start()
    again = world.events.wait(lambda event: event.get("id") == done["id"], since=second.since)
    assert again.get("duplicate") and again["capture"] == done["capture"], again
