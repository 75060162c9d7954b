# SPDX-License-Identifier: BSD-2-Clause
"""`pcapctl doctor` names what is wrong on this host, and what to do. Findings that need a state of the kernel, or an answer that the daemon
cannot be made to give, are in tests/unit/tools/test_doctor.c."""

import contextlib
import json
import os
import shutil

import pytest

from lib import pcapctl, toml
from lib.manual import example
from lib.waiting import until
from lib.world import NODE, World, merged

STREAM = "{capture}:stream"
ADMIN = ("admin", "admin-password")
VERSION = pcapctl.run("--version").stdout.split()[1]


def users():
    text = example("user default off")
    for role in ("publisher", "reader", "daemon", "operator"):
        text = text.replace(f">{role.upper()}-PASSWORD", f">{role}-password")
    return [line.removeprefix("user ") for line in text.splitlines()]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    config = {"redis": {"username": "pcapdaemon", "auth": "daemon-password", "stream": STREAM}, "history": {"interfaces": ["eth0"], "memory": "32MiB"}}
    with World(tmp_path_factory.mktemp("doctor"), config, redis={"users": users(), "admin": ADMIN}) as world:
        world.daemon.wait_log("stream-subscribed")
        with world.redis.client() as client:
            until(lambda: client.exists(f"{{capture}}:node:{NODE}"), 10, "presence")
        yield world


def doctor(world, *words, config=True, **options):
    """Runs it. Returns the status, and the findings as (state, check, what, do)."""
    path = os.path.join(world.daemon.directory, "pcapdaemon.toml")
    result = pcapctl.run("doctor", "--json", *(["--config", path] if config else []), *words, netns=world.host, **options)
    answer = result.json
    found = [tuple(one[key] for key in ("state", "check", "what", "do")) for one in answer["findings"]]
    assert answer["faults"] == sum(one[0] == "fault" for one in found) and answer["warnings"] == sum(one[0] == "warning" for one in found)
    assert result.status == (1 if answer["faults"] else 3 if answer["warnings"] else 0), result
    return result.status, found


def wrong(found):
    return [one for one in found if one[0] in ("warning", "fault")]


def only(found):
    one, = wrong(found)
    return one


def with_config(world, tmp_path, changes):
    path = tmp_path / "other.toml"
    path.write_text(toml.dumps(merged(world.config, changes)))
    path.chmod(0o600)
    return str(path)


def test_installation_in_order_has_nothing_wrong(world):
    status, found = doctor(world)
    assert status == 0 and not wrong(found), found
    assert {"config", "daemon", "capture", "memory", "redis", "acl", "fleet", "local"} <= {check for state, check, *_ in found if state == "ok"}
    text = pcapctl.run("doctor", "--config", os.path.join(world.daemon.directory, "pcapdaemon.toml"), netns=world.host)
    assert text.status == 0 and f"ok       pcapdaemon {VERSION} answers at" in text.stdout and "as node test-node" in text.stdout
    with world.redis.client() as client:
        assert not [entry for entry in client.acl_log() if entry["username"] == "pcapdaemon"], "asking for rights raises no alarm"
        assert not [key for key in client.keys("*") if b"pcapctl-doctor" in key], "it leaves nothing in Redis"
    assert not world.events.all(lambda event: event.get("event") not in ("accepted", "done")), "and publishes nothing"


@pytest.fixture
def rights(world):
    """Changes the rights of a user for one test."""
    changed = []

    def change(user, *rules):
        changed.append(user)
        with world.redis.client() as client:
            client.execute_command("ACL", "SETUSER", user, *rules)

    yield change
    lines = {line.split()[0]: line.split()[1:] for line in users()}
    with world.redis.client() as client:
        for user in changed:
            client.execute_command("ACL", "SETUSER", user, "reset", *lines[user])
            client.acl_log_reset()
    until(lambda: world.api.get("/v1/status").json["redis"]["requests"], 20, "the daemon to be back")


@pytest.mark.parametrize("rules, state, what, todo", [
    (("resetchannels", "&capture:events"), "fault", "SUBSCRIBE on capture: without it there is no request from the channel", "+subscribe &capture"),
    (("resetchannels", "&capture"), "fault", "PUBLISH on capture:events: without it there is no event for readers", "+publish &capture:events"),
    (("-publish",), "fault", "PUBLISH on capture:events", "+publish &capture:events"),
    (("-xreadgroup",), "fault", f"XREADGROUP on {STREAM}: without it there is no request from the stream", f"+xreadgroup ~{STREAM}"),
    (("-xack",), "fault", f"XACK on {STREAM}", "+xack"),
    (("-xgroup|create",), "fault", f"XGROUP|CREATE on {STREAM}", "+xgroup|create"),
    (("-set",), "warning", "SET on {capture}:node:", "+set ~{capture}:node:"),
    (("-rpush",), "warning", "RPUSH on {capture}:file:", "+rpush"),
    (("-time",), "warning", "may not TIME", "+time"),
    (("-zadd",), "warning", "ZADD on {capture}:nodes", "+zadd ~{capture}:nodes"),
    (("-multi",), "note", "whether user pcapdaemon may PUBLISH on capture:events is not known", "+multi +discard"),
])
def test_missing_right_is_named_with_the_rule_that_grants_it(world, rights, rules, state, what, todo):
    rights("pcapdaemon", *rules)
    found = [one for one in doctor(world)[1] if one[1] == "acl"]
    assert found[0][0] == state and what in found[0][2] and todo in found[0][3], found


def test_rights_of_an_operator_are_judged_with_its_url(world, rights):
    url = "redis://operator:operator-password@127.0.0.1/capture"
    run = lambda: [one for one in doctor(world, "--redis", url, "--socket", world.config["api"]["socket"], config=False)[1] if one[1] == "acl"]  # noqa: E731
    assert run() == [("ok", "acl", "user operator of Redis may do what it needs", "")]
    rights("operator", "-lindex", "resetchannels", "&capture:events")
    assert [(state, what.partition(":")[0]) for state, _, what, _ in run()] == [
        ("fault", "user operator may not PUBLISH on capture"), ("warning", "user operator may not LINDEX on {capture}")]


def test_fleet_with_different_versions_names_and_clocks_is_named(world):
    def node(name, **more):
        return f"{{capture}}:node:{name}", json.dumps({"v": 1, "node": name, "version": VERSION, "redis": {"requests": True, "clock": {"offset": 0}}, **more})

    nodes = dict([node("old", version="1.0"), node("twin", name_taken=True), node("deaf", redis={"requests": False}),
                  node("late", redis={"requests": True, "clock": {"offset": 5}})])
    with world.redis.client() as client:
        client.mset(nodes)
        client.zadd("{capture}:nodes", {key.rpartition(":")[2]: 2e9 for key in nodes})
        try:
            status, found = doctor(world)
        finally:
            client.delete(*nodes)
            client.zrem("{capture}:nodes", *[key.rpartition(":")[2] for key in nodes])
    assert status == 1 and {(state, check, what) for state, check, what, _ in wrong(found)} == {
        ("fault", "names", "two daemons are called twin"), ("fault", "fleet", "node deaf takes no requests from Redis"),
        ("warning", "clocks", "the clock of node late is 5 s behind Redis's"),
        ("warning", "versions", f"nodes have different versions: {VERSION} on 4 (such as deaf), 1.0 on 1 (such as old)")}


def test_destinations_and_a_redis_that_cannot_be_reached_are_named(world, tmp_path):
    changes = {"cloudshark": {"upload": True, "token": "0123456789", "scheme": "http", "host": "127.0.0.1", "port": 9}, "redis": {"port": 9}}
    status, found = doctor(world, "--config", with_config(world, tmp_path, changes), config=False)
    assert status == 1 and [(state, check) for state, check, *_ in wrong(found)] == [("fault", "cloudshark"), ("fault", "redis")]
    assert wrong(found)[0][2].startswith("http://127.0.0.1:9: ") and "of this destination" in wrong(found)[0][3]
    assert "cannot reach Redis at 127.0.0.1:9" in wrong(found)[1][2] and "[redis]" in wrong(found)[1][3]


def test_configuration_is_judged_as_check_does(world, tmp_path):
    _, found = doctor(world, "--config", with_config(world, tmp_path, {"history": {"interfaces": ["eth0", "eht0"]}}), config=False)
    state, check, what, _ = only(found)
    assert (state, check) == ("warning", "config") and 'no interface "eht0" now (did you mean "eth0"?)' in what
    bad = with_config(world, tmp_path, {"general": {"maxpacket": 1}})
    status, found = doctor(world, "--config", bad, "--socket", world.config["api"]["socket"], config=False)
    state, check, what, todo = only(found)
    assert status == 1 and (state, check) == ("fault", "config") and "maxpacket" in what and f"pcapdaemon -check -config {bad}" in todo


def test_offloads_of_a_recorded_interface_are_noted(world):
    world.host.set_offloads("eth0", gro=True)
    try:
        _, found = doctor(world)
    finally:
        world.host.set_offloads("eth0", gro=False)
    (what, todo), = [(what, todo) for state, check, what, todo in found if (state, check) == ("note", "offloads")]
    assert what.startswith("eth0: gro on: ") and "ethtool -K eth0 gro off" in todo


def test_daemon_that_may_not_capture_or_is_not_there_is_a_fault(make_world):
    world = make_world({"redis": {"listen": False}}, redis=False, wrapper=["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"])
    state, check, what, todo = only(doctor(world)[1])
    assert (state, check) == ("fault", "capture") and "CAP_NET_RAW" in todo, what
    world.daemon.stop()
    state, check, what, todo = only(doctor(world)[1])
    assert (state, check) == ("fault", "daemon") and "cannot reach" in what and "systemctl start pcapdaemon" in todo


def test_user_without_rights_learns_which_are_missing(world, tmp_path):
    with contextlib.ExitStack() as stack:
        for path in (world.root, *tmp_path.parents[:3]):
            mode = os.stat(path).st_mode & 0o777
            os.chmod(path, 0o755)
            stack.callback(os.chmod, path, mode)
        program = shutil.copy(pcapctl.PROGRAM, os.path.join(world.root, "pcapctl"))
        done = world.host.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "doctor", "--json", "--config",
                              os.path.join(world.daemon.directory, "pcapdaemon.toml"), "--socket", world.config["api"]["socket"],
                              capture_output=True, check=False, text=True)
    found = wrong([tuple(one.values()) for one in json.loads(done.stdout)["findings"]])
    assert done.returncode == 1 and [one[:2] for one in found] == [("warning", "config"), ("fault", "daemon")], found
    assert "as root" in found[0][3] and "pcapdaemon" in found[1][3]


def test_wrong_usage_is_refused():
    result = pcapctl.run("doctor", "--api", "http://127.0.0.1:1")
    assert result.status == 2 and "run it there" in result.stderr
