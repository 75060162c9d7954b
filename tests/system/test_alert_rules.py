# SPDX-License-Identifier: BSD-2-Clause
"""Alerts of other programs become captures by rules: webhooks on the control API, the rules' files and limits."""

import contextlib
import hashlib
import hmac
import http.client
import json
import os
import socket
import ssl
import subprocess
import time

import pytest

from lib import pcapctl
from lib.api import Api
from lib.daemon import PROGRAM
from lib.events import Request, new_id
from lib.history import recorder
from lib.signing import MONITORING, secret_file, sign
from lib.waiting import seconds, until

EVE = {"timestamp": "2026-12-01T10:00:00.000000+0000", "event_type": "alert", "in_iface": "eth0", "src_ip": "198.18.0.1",
       "dest_ip": "198.18.0.2", "src_port": 20000, "dest_port": 9, "proto": "UDP", "flow_id": 77,
       "alert": {"severity": 1, "signature": "ET SCAN"}}

IDS = """
[[rule]]
name = "ids"
input = "eve"
match = { event_type = "alert", "alert.severity" = "<=2", "alert.signature" = "!~ STREAM" }
interface = ["{in_iface|any}"]
bpf = "{flow}"
before = 30
duration = 1
dedupe = "{flow_id}"
comment = "{alert.signature}"
"""

FIRING = """
[[rule]]
name = "latency"
input = "alertmanager"
match = { status = "firing", "labels.alertname" = "~ ^Checkout" }
interface = ["eth0"]
duration = 600
dedupe = "{fingerprint}"
stop_on = "resolved"
"""


@pytest.fixture
def rules_world(make_world, tmp_path):
    """make(rules, more configuration, as for make_world): a world with these rules, which are in the file world.rules."""
    def make(rules, config=None, **how):
        folder = tmp_path / "rules.d"
        folder.mkdir()
        path = folder / "10-test.toml"
        path.write_text(rules)
        world = make_world({**(config or {}), "rules": {"files": f"{folder}/*.toml"}}, **how)
        world.rules = path
        return world
    return make


def alert(world, kind, body, **expected):
    answer = world.api.call("POST", f"/v1/alerts/{kind}", body=body).expect(200).json
    assert {key: answer[key] for key in expected} == expected, answer
    return answer


def begun(world, since, rule):
    """The request that the rule made since this moment."""
    event = world.events.wait(lambda event: event["event"] == "accepted" and event.get("rule") == rule, since=since)
    return Request(world.events, event["id"], {}, since)


def rule(world, name):
    return next(row for row in world.api.get("/v1/rules").expect(200).json["rules"] if row["name"] == name)


def test_an_ids_alert_becomes_the_packets_from_before_it(rules_world):
    world = rules_world(IDS, recorder())
    world.sender.send(20, rate=1000, dst_port=7000, first=0)
    world.sender.send(10, rate=1000, dst_port=7001, first=100)
    since = world.events.mark()
    alert(world, "eve", {**EVE, "dest_port": 7001}, alerts=1, matched=1, started=1)
    request = begun(world, since, "ids")
    done = request.done()
    assert done["rule"] == "ids" and done["packets"] == 10, done
    file = world.file(request)
    file.assert_numbers(100, 10)
    assert "asked for by the alert rule: ids" in file.comments and any("ET SCAN" in comment for comment in file.comments)
    until(lambda: rule(world, "ids")["running"] == 0)
    row = rule(world, "ids")
    assert (row["matches"], row["started"], row["suppressed"], row["failed"]) == (1, 1, 0, 0) and row["last_match"]


def test_the_same_flow_has_one_capture_at_a_time(rules_world, tmp_path):
    """A rule's request needs no signature; what it asks for is checked like any other, and its refusal names the rule."""
    (tmp_path / "keys").write_text("rules:0123456789abcdef\n")
    (tmp_path / "keys").chmod(0o600)
    world = rules_world(IDS.replace("duration = 1", 'duration = 600\npackets = "{packets:int|5}"'), {"requests": {"keys_file": f"{tmp_path}/keys"}})
    since = world.events.mark()
    alert(world, "eve", {**EVE, "flow_id": 79, "packets": 10**9}, started=1)
    refused = world.events.wait(lambda event: event["event"] == "rejected", since=since)
    assert (refused["rule"], refused["field"]) == ("ids", "packets") and rule(world, "ids")["refused"] == 1, refused
    alert(world, "eve", EVE, started=1)
    request = begun(world, since, "ids")
    alert(world, "eve", EVE, started=0, suppressed=1)
    alert(world, "eve", {**EVE, "flow_id": 78}, started=1, suppressed=0)
    world.stop(request)
    request.final()
    until(lambda: rule(world, "ids")["running"] == 1)
    alert(world, "eve", EVE, started=1)


def test_a_rules_limits(rules_world):
    world = rules_world(IDS.replace("duration = 1", 'duration = 600\nmax_running = 2\ncooldown = "600s"\nmax_per_hour = 3'))
    since = world.events.mark()
    for flow in (1, 2):
        alert(world, "eve", {**EVE, "flow_id": flow}, started=1)
    alert(world, "eve", {**EVE, "flow_id": 3}, suppressed=1)  # max_running
    requests = [Request(world.events, event["id"], {}, since)
                for event in world.events.wait_count(lambda event: event["event"] == "accepted", 2, 15, since)]
    for request in requests:
        world.stop(request)
        request.final()
    until(lambda: rule(world, "ids")["running"] == 0)
    alert(world, "eve", {**EVE, "flow_id": 1}, suppressed=1)  # cooldown
    alert(world, "eve", {**EVE, "flow_id": 4}, started=1)
    alert(world, "eve", {**EVE, "flow_id": 5}, suppressed=1)  # max_per_hour
    assert rule(world, "ids")["suppressed"] == 3


def test_a_resolved_alert_ends_the_capture_and_delivers_it(rules_world):
    world = rules_world(FIRING)
    since = world.events.mark()
    firing = {"status": "firing", "labels": {"alertname": "CheckoutSlow"}, "fingerprint": "f1"}
    alert(world, "alertmanager", {"status": "firing", "alerts": [firing, {**firing, "labels": {"alertname": "Disk"}}]},
          alerts=2, matched=1, started=1)
    request = begun(world, since, "latency")
    world.sender.send(5, rate=1000)
    world.wait_packets(request, 5)
    alert(world, "alertmanager", {"alerts": [{**firing, "status": "resolved"}]}, matched=1, stopped=1, started=0)
    done = request.done()
    assert done["reason"] == "stopped" and done["packets"] == 5
    world.file(request).assert_numbers(0, 5)


def test_an_alert_that_is_sent_again_begins_no_second_capture(rules_world):
    """Alertmanager's and Grafana's retries, also after the capture; the alert that fires anew is another one. A refusal uses up no limit."""
    world = rules_world(FIRING.replace("duration = 600", 'duration = 600\nmax_running = 1\nmax_per_hour = 2\npackets = "{labels.packets:int|5}"').replace('dedupe = "{fingerprint}"\n', "")
                        .replace('stop_on = "resolved"\n', ""))
    since = world.events.mark()
    firing = {"status": "firing", "labels": {"alertname": "CheckoutSlow"}, "fingerprint": "f1", "startsAt": "2026-12-01T10:00:00Z"}
    refused = {**firing, "fingerprint": "f2", "labels": {**firing["labels"], "packets": 10**9}}
    for _ in range(3):
        alert(world, "alertmanager", {"alerts": [refused]}, started=1, repeated=0)
    alert(world, "alertmanager", {"alerts": [firing]}, started=1, repeated=0)
    request = begun(world, since, "latency")
    later = {**firing, "startsAt": "2026-12-01T11:00:00Z"}
    alert(world, "alertmanager", {"alerts": [firing, later]}, started=0, repeated=1, suppressed=1)
    world.stop(request)
    request.final()
    until(lambda: rule(world, "latency")["running"] == 0)
    alert(world, "alertmanager", {"alerts": [firing, later]}, started=1, repeated=1)  # what was suppressed is not forgotten
    row = rule(world, "latency")
    assert (row["matches"], row["captures"], row["repeated"], row["suppressed"], row["refused"]) == (8, 2, 2, 1, 3), row
    assert 0 < row["rate"] <= 8 / 60


def test_files_are_read_again_and_a_faulty_set_keeps_the_old_one(rules_world):
    world = rules_world(IDS)
    world.rules.write_text(IDS + FIRING.replace('"alertmanager"', '"alertmanger"'))
    world.daemon.wait_log("rule-input-unknown", rule="latency", input="alertmanger")
    world.daemon.wait_log("rules-loaded", rules="2")
    since = len(world.daemon.lines)
    faulty = world.rules.with_name("20-faulty.toml")
    faulty.write_text('[[rule]]\nname = "x"\nmatch = { a = 1 }\nbpf = "port {p}"\n')
    line = world.daemon.wait_log("rules-faulty", since=since)
    assert line.fields["fault"].startswith(f"{faulty}:4:7: bpf: {{p}} needs a type in a filter")
    alert(world, "eve", EVE, started=1)
    os.unlink(faulty)
    world.daemon.wait_log("rules-loaded", since=since, rules="2")


def test_a_dry_run_says_what_it_would_do(rules_world):
    world = rules_world(IDS + "dry_run = true\n")
    alert(world, "eve", EVE, matched=1, started=0, dry_run=1)
    line = world.daemon.wait_log("alert-dry-run", rule="ids")
    assert 'port 20000 and port 9' in line.fields["request"]
    assert not world.api.get("/v1/captures").expect(200).json["captures"]


def test_what_cannot_be_read_is_refused_and_counted(rules_world):
    world = rules_world(IDS)
    assert "is not JSON" in world.api.call("POST", "/v1/alerts/eve", body="{").expect(400).error
    assert "the formats are eve zeek" in world.api.call("POST", "/v1/alerts/xml", body="{}").expect(404).error
    world.daemon.wait_log("alert-unreadable", format="eve")
    answer = world.api.get("/v1/rules").json
    assert answer["since_start"]["unreadable"] == 1
    assert [(row["name"], row["alerts"], row["unreadable"]) for row in answer["inputs"]] == [("api:eve", 0, 1)]


def test_a_flood_of_alerts_is_cut_down_and_summarised(rules_world):
    world = rules_world(IN_ALL_WAYS, {"limits": {"alerts_per_second": 5, "captures": 3}, "input": [{"format": "json", "from": "redis-channel", "name": "alerts"}]})
    world.daemon.wait_log("subscribed", channel="alerts")
    flood = [{"event_type": "alert", "flow_id": number} for number in range(100)]
    answer = alert(world, "json", flood)
    assert answer["alerts"] == answer["started"] < 20 and answer["alerts"] + answer["dropped"] == 100, answer
    world.publish(flood, "alerts")
    until(lambda: len(world.api.get("/v1/rules").json["inputs"]) == 2 and world.api.get("/v1/rules").json["inputs"][0]["suppressed"] > 80)
    row = rule(world, "ids")
    assert row["captures"] == 3 and row["refused"] == row["started"] - 3 > 0, row
    over = until(lambda: next((answer for answer in [world.api.call("POST", "/v1/alerts/json", body=flood)] if answer.status == 429), None))
    assert "limits.alerts_per_second" in over.error
    since, counts = world.events.mark(), {row["name"]: row["suppressed"] for row in world.api.get("/v1/rules").json["inputs"]}
    world.daemon.close()
    events = world.events.all(lambda event: event["event"] == "suppressed", since)
    assert {(event["reason"], event["origin"], event["count"]) for event in events} == {("alerts", name, count) for name, count in counts.items()}, events


def test_the_daemon_does_not_start_with_faulty_rules(make_world, tmp_path):
    (tmp_path / "bad.toml").write_text("[[rule]]\n")
    world = make_world({"rules": {"files": f"{tmp_path}/*.toml"}}, start=False)
    world.daemon.launch()
    world.daemon.wait_text("bad.toml:1:1: name: is missing")
    assert world.daemon.wait_exit() == 2
    checked = subprocess.run([*world.daemon.command(), "-check"], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 2 and "bad.toml:1:1: match: is missing" in checked.stderr


TRAP = """router1
UDP: [10.0.0.1]:45000->[10.0.0.9]:162
.1.3.6.1.2.1.1.3.0 0:0:00:10.00
.1.3.6.1.6.3.1.1.4.1.0 .1.3.6.1.6.3.1.1.5.3
"""

LINK_DOWN = """
[[rule]]
name = "linkdown"
input = "trap"
match = { oid = "1.3.6.1.6.3.1.1.5.3" }
bpf = "host {address:ip}"
interface = ["eth0"]
duration = 600
"""


def test_pcapctl_hands_over_a_trap_and_lists_rules(rules_world):
    world = rules_world(LINK_DOWN)
    since = world.events.mark()
    socket = ("--socket", world.api.path)
    result = pcapctl.run("alert", "--format", "trap", *socket, input=TRAP)
    assert result.status == 0 and "1 of 1 alerts matched a rule; captures begun: 1" in result.stderr, result
    assert begun(world, since, "linkdown")
    rows = pcapctl.run("rules", "list", *socket)
    assert rows.status == 0 and rows.rows()[0][:5] == ["linkdown", "trap", "1", "1", "1"], rows
    assert pcapctl.run("alert", "--format", "trap", "--json", *socket, input=TRAP).json["started"] == 1
    broken = pcapctl.run("alert", "--format", "trap", *socket, input="router1\n")
    assert broken.status == 1 and "has no variable 1.3.6.1.6.3.1.1.4.1.0 (snmpTrapOID)" in broken.stderr


SCRIPTS = """
[[rule]]
name = "nagios"
input = "kv"
match = { SERVICESTATE = "CRITICAL" }
bpf = "host {HOSTADDRESS:ip}"
interface = ["eth0"]
duration = 600

[[rule]]
name = "zabbix"
input = "kv"
match = { status = "PROBLEM" }
bpf = "host {address:ip}"
interface = ["eth0"]
duration = 600
dedupe = "{event}"
comment = "{name}"

[[rule]]
name = "wazuh"
input = "wazuh"
match = { "rule.level" = ">=10" }
bpf = "host {data.srcip:ip}"
interface = ["eth0"]
duration = 600
"""


def test_pcapctl_is_a_command_for_alerts_of_other_programs(rules_world, tmp_path):
    """Each passes its alert as that program does: environment, arguments, a file's name, an open standard input."""
    world = rules_world(SCRIPTS)
    socket = ("--socket", world.api.path)

    def take(name, *words, **how):
        since = world.events.mark()
        result = pcapctl.run("alert", *socket, "--format", *words, **how)
        assert result.status == 0 and "captures begun: 1" in result.stderr, result
        return begun(world, since, name)

    take("nagios", "kv", "--environment", "NAGIOS_", env={"NAGIOS_SERVICESTATE": "CRITICAL", "NAGIOS_HOSTADDRESS": "192.0.2.7",
                                                          "NAGIOS_SERVICEOUTPUT": 'PING CRITICAL - "100%" lost', "NAGIOS_LONGHOSTOUTPUT": ""})
    request = take("zabbix", "kv", "status=PROBLEM", "address=192.0.2.8", "event=17", 'name=Disk "C:\\" = full')
    world.stop(request)
    assert request.done()["rule"] == "zabbix"
    text = json.dumps({"rule": {"level": 10}, "data": {"srcip": "192.0.2.9"}})
    file = tmp_path / "custom-pcapdaemon-1796126380-77.alert"
    file.write_text(text)
    take("wazuh", "wazuh", file)
    response = pcapctl.Pcapctl("alert", *socket, "--format", "wazuh", stdin=subprocess.PIPE)
    response.process.stdin.write(b'{"version":1,"command":"add","parameters":{"alert":%s}}\n' % text.encode())
    response.process.stdin.flush()
    until(lambda: not response.is_running(), 10, "the active response to end")
    assert response.process.returncode == 0 and rule(world, "wazuh")["started"] == 2
    asked = world.fields(duration=600)
    result = pcapctl.run("alert", *socket, "--format", "request", input=json.dumps(asked))
    assert result.status == 0 and f"request {asked['id']}: captures begun: 1" in result.stderr, result
    assert pcapctl.run("alert", *socket, "--format", "request", input="{}").status == 1


def test_pcapctl_tries_rules_without_a_daemon(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(FIRING + IDS)
    checked = pcapctl.run("rules", "check", path)
    assert checked.status == 0 and "the rules are valid (2)" in checked.stderr
    tested = pcapctl.run("rules", "test", path, "--format", "eve", "--node", "edge1", input=json.dumps(EVE))
    assert tested.status == 0, tested
    assert tested.stdout.startswith("latency does not match: it is for the input alertmanager, and this alert came as eve\nids matches\n{\n")
    assert '"node": "edge1"' in tested.stdout and "port 20000 and port 9" in tested.stdout
    other = pcapctl.run("rules", "test", path, "--format", "eve", "--json", input=json.dumps({**EVE, "alert": {"severity": 3}}))
    assert other.status == 4 and [row["matches"] for row in other.json[0]] == [False, False]
    assert other.json[0][1]["why"] == 'alert.severity is "3"; the rule wants "<= 2"'


def test_pcapctl_helps_to_mend_a_rule(tmp_path):
    """Without --format each rule gets the alert as its input would read it; a named input counts as one."""
    path = tmp_path / "rules.toml"
    path.write_text(FIRING + IDS.replace('"eve"', '"suricata"').replace("alert.severity", "alert.sevrity")
                    + LINK_DOWN.replace('"trap"', '"trp"') + 'node = "{host}"\n')
    tested = pcapctl.run("rules", "test", path, input=json.dumps({**EVE, "oid": "1.3.6.1.6.3.1.1.5.3", "host": "edge9"}))
    assert tested.status == 4 and tested.stdout.splitlines() == [
        'latency does not match: the alert cannot be read as alertmanager: the message has no array "alerts"',
        "ids does not match: alert.sevrity is missing; did you mean alert.severity?",
        f"linkdown does not match: the alert is about edge9, and this node is {os.uname().nodename}; --node tests as another node"], tested
    checked = pcapctl.run("rules", "check", path)
    assert checked.status == 0 and 'rule linkdown: "trp" is no format, so an [[input]] must have this name (did you mean trap?)' in checked.stderr
    path.write_text(FIRING)
    empty = pcapctl.run("rules", "test", path, input="")
    assert empty.status == 1 and "there is no alert on standard input" in empty.stderr
    unread = pcapctl.run("rules", "test", path, input="a=1")
    assert unread.status == 1 and "cannot be read as alertmanager: is not JSON" in unread.stderr and "--format says how" in unread.stderr
    own = pcapctl.run("rules", "test", path, "--format", "json", input='{"v":1,"event":"done","node":"a"}')
    assert own.status == 4 and own.stdout == "latency does not match: pcapdaemon wrote this itself: no rule sees it\n", own
    ends = {"alerts": [{"status": "resolved", "labels": {"alertname": "CheckoutSlow"}, "fingerprint": "f"}]}
    assert pcapctl.run("rules", "test", path, input=json.dumps(ends)).stdout.startswith("latency matches, and ends its capture\n")


def test_pcapctl_names_the_faults_of_rules(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(IDS + "colldown = 5\n")
    checked = pcapctl.run("rules", "check", path)
    assert checked.status == 2 and f"{path}:12:1: " in checked.stderr and "did you mean cooldown?" in checked.stderr, checked
    assert "no such file, or no rule in it" in pcapctl.run("rules", "check", tmp_path / "none.toml").stderr
    assert pcapctl.run("rules", "check").status == 2


def test_alerts_come_over_a_redis_channel(rules_world):
    world = rules_world(IDS.replace('input = "eve"', 'input = "suricata"'),
                        {"input": [{"format": "eve", "from": "redis-channel", "name": "suricata"}]})
    world.daemon.wait_log("subscribed", channel="suricata")
    since = world.events.mark()
    world.publish("not JSON", "suricata")
    line = world.daemon.wait_log("alert-unreadable", input="redis-channel:suricata", format="eve")
    assert "line 1, column" in line.fields["error"], line
    world.publish(EVE, "suricata")
    assert begun(world, since, "ids")


def test_rules_never_see_what_they_cause(rules_world, make_world):
    """Requests and events as they go out, and log lines; and an input is no channel of ours."""
    world = rules_world('[[rule]]\nname = "all"\nmatch = { node = "~ .", id = "~ ." }\ninterface = ["eth0"]\nduration = 600\n',
                        {"input": [{"format": "json", "from": "redis-channel", "name": "others"}]})
    world.daemon.wait_log("subscribed", channel="others")
    since = world.events.mark()
    request = world.request(interface=["eth0"], duration=600)
    world.publish(request.fields, "others")
    world.publish(request.wait("accepted"), "others")
    world.publish({"stop": True, "node": "x", "dedupe": "f", "id": "s"}, "others")
    world.publish({"node": "x", "id": "other"}, "others")
    assert begun(world, since, "all")
    answer = world.api.get("/v1/rules").json
    assert (answer["rules"][0]["matches"], answer["inputs"][0]["own"], answer["since_start"]["own"]) == (1, 3, 3), answer
    for channel, key in (("capture", "redis.channel"), ("capture:events", "redis.events")):
        faulty = make_world({"input": [{"from": "redis-channel", "name": channel}]}, start=False)
        faulty.daemon.launch()
        faulty.daemon.wait_text(f"input.name: is also {key}: rules would see what they cause")
        assert faulty.daemon.wait_exit() == 2


def test_alerts_come_from_a_redis_list_and_a_stream(rules_world):
    """A list's items wait for the daemon; a stream is read from its start on, also across an outage of Redis."""
    world = rules_world(IDS.replace("duration = 1", "duration = 600"),
                        {"input": [{"format": "eve", "from": "redis-list", "name": "alerts"},
                                   {"format": "eve", "from": "redis-stream", "name": "eves", "field": "eve"}]})
    world.daemon.wait_log("input-ready", input="stream:eves")
    since = world.events.mark()
    with world.redis.client() as client:
        client.rpush("alerts", *(json.dumps({**EVE, "flow_id": flow}) for flow in (1, 2)))
        client.xadd("eves", {"other": "x"})
        client.xadd("eves", {"eve": json.dumps({**EVE, "flow_id": 3})})
    world.events.wait_count(lambda event: event["event"] == "accepted" and event.get("rule") == "ids", 3, 15, since)
    world.daemon.close()
    with world.redis.client() as client:
        client.rpush("alerts", json.dumps({**EVE, "flow_id": 4}))
        client.xadd("eves", {"eve": json.dumps({**EVE, "flow_id": 5})})
    since = world.events.mark()
    world.daemon.start(subscribed=True)
    begun(world, since, "ids")
    until(lambda: rule(world, "ids")["matches"] == 1)


IN_ALL_WAYS = """
[[rule]]
name = "ids"
match = { event_type = "alert" }
interface = ["eth0"]
duration = 600
dedupe = "{flow_id}"
"""


def test_alerts_come_through_sockets(rules_world, tmp_path):
    """Datagrams are messages; lines are, too, and what has its length before it, in pieces and without a last newline."""
    inputs = [{"format": "eve", "from": "unix-dgram", "name": f"{tmp_path}/dgram"},
              {"format": "eve", "from": "unix-stream", "name": f"{tmp_path}/stream"},
              {"format": "syslog", "from": "tcp", "name": "127.0.0.1:5141"},
              {"format": "eve", "from": "udp", "name": "127.0.0.1:5140"}]
    world = rules_world(IN_ALL_WAYS + IN_ALL_WAYS.replace('"ids"', '"syslog"').replace("event_type", '"json.event_type"')
                        .replace("{flow_id}", "{json.flow_id}"), {"input": inputs})
    for name in (f"unix:{tmp_path}/dgram", f"unix:{tmp_path}/stream", "tcp:127.0.0.1:5141", "udp:127.0.0.1:5140"):
        world.daemon.wait_log("input-ready", input=name)

    def eve(flow):
        return json.dumps({**EVE, "flow_id": flow}).encode()

    def matches(name, count):
        until(lambda: rule(world, name)["matches"] == count, what=f"{count} matches of {name}")

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(eve(1), f"{tmp_path}/dgram")
    matches("ids", 1)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/stream")
        client.sendall(eve(2) + b"\r\n\n" + eve(3)[:20])
        matches("ids", 2)
        client.sendall(eve(3)[20:])
    matches("ids", 3)
    with world.host.call(lambda: socket.create_connection(("127.0.0.1", 5141))) as client:
        message = b"<34>1 - - - - - - " + eve(4)
        client.sendall(b"%d " % len(message) + message + b"%d " % len(message) + message[:10])
        matches("syslog", 1)
        client.sendall(message[10:] + message.replace(b'"flow_id": 4', b'"flow_id": 5') + b"\n")
        matches("syslog", 3)
    with world.host.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        client.sendto(eve(6), ("127.0.0.1", 5140))
    matches("ids", 4)
    assert rule(world, "ids")["started"] == 4 and rule(world, "syslog")["started"] == 2  # the repeated one is suppressed


SYSLOG = """
[[rule]]
name = "login"
input = "syslog"
match = { app = "sshd", message = "~ ^Failed password", "severity" = ">= notice" }
interface = ["eth0"]
duration = 600
"""

RSYSLOG = """
global(DefaultNetstreamDriver="ossl" DefaultNetstreamDriverCAFile="{0}/ca.pem" DefaultNetstreamDriverCertFile="{0}/client.pem"
       DefaultNetstreamDriverKeyFile="{0}/client.key")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{0}/log")
action(type="omfwd" target="127.0.0.1" port="6514" protocol="tcp" template="RSYSLOG_SyslogProtocol23Format" TCP_Framing="octet-counted"
       StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="collector")
"""


def make_certificates(folder):
    """ca, server and client of it, and a stranger that signed itself."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    def made(name, subject, *arguments):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={subject}",
                "-addext", f"subjectAltName=DNS:{subject}", "-keyout", f"{name}.key", "-out", f"{name}.pem", *arguments)

    made("ca", "ca")
    made("stranger", "client")
    for name, subject in (("server", "collector"), ("client", "client")):
        made(name, subject, "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE")


def test_syslog_comes_over_tls_from_rsyslog_with_a_certificate(rules_world, tmp_path):
    """RFC 5425. A client without a certificate of the CA is refused; silent ones hold nothing up."""
    make_certificates(tmp_path)
    world = rules_world(SYSLOG, {"input": [{"format": "syslog", "from": "tls", "name": "127.0.0.1:6514", "cert_file": f"{tmp_path}/server.pem",
                                            "key_file": f"{tmp_path}/server.key", "ca_file": f"{tmp_path}/ca.pem"}]})
    world.daemon.wait_log("input-ready", input="tls:127.0.0.1:6514")

    def connect():
        return world.host.call(lambda: socket.create_connection(("127.0.0.1", 6514), timeout=seconds(20)))

    def knock(certificate):
        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        if certificate:
            context.load_cert_chain(tmp_path / f"{certificate}.pem", tmp_path / f"{certificate}.key")
        with connect() as client, pytest.raises(ssl.SSLError), context.wrap_socket(client, server_hostname="collector") as tls:
            tls.recv(1)

    (tmp_path / "rsyslog.conf").write_text(RSYSLOG.format(tmp_path))
    since = world.events.mark()
    with connect(), connect() as half:
        half.sendall(b"\x16\x03\x01")
        rsyslog = world.host.popen("rsyslogd", "-n", "-f", tmp_path / "rsyslog.conf", "-i", tmp_path / "rsyslogd.pid")
        try:
            until((tmp_path / "log").exists, 20, "rsyslogd to be ready")
            world.host.run("logger", "-u", tmp_path / "log", "-t", "cron", "Failed password")
            world.host.run("logger", "-u", tmp_path / "log", "-p", "auth.warning", "-t", "sshd", "Failed password for root")
            assert begun(world, since, "login")
        finally:
            rsyslog.terminate()
            rsyslog.wait(seconds(20))
    assert rule(world, "login")["matches"] == 1

    def is_logged(error):
        return any(line.fields["error"] == error and line.fields["peer"] == "127.0.0.1" for line in world.daemon.log("input-handshake-failed"))

    for certificate, error in (("stranger", "certificate verify failed"), (None, "peer did not return a certificate")):
        until(lambda certificate=certificate, error=error: knock(certificate) or is_logged(error), what=error, interval=0.1)  # one a second is logged


def test_the_keys_of_a_tls_input_are_checked(tmp_path):
    make_certificates(tmp_path)
    (tmp_path / "server.key").chmod(0o644)
    config = tmp_path / "pcapdaemon.toml"
    config.write_text(f"""
[[input]]
from = "tls"
name = "127.0.0.1:6514"
key_file = "{tmp_path}/server.key"
ca_file = "{tmp_path}/none.pem"
[[input]]
from = "tcp"
name = "127.0.0.1:601"
cert_file = "{tmp_path}/server.pem"
""")
    checked = subprocess.run([PROGRAM, "-check", "-config", config], capture_output=True, text=True, timeout=60)
    for fault in ("2:1: input.cert_file: is missing: from = \"tls\" needs it", "server.key: others may read it (mode 0644)",
                  "input.ca_file: " + str(tmp_path / "none.pem") + ": No such file", "input.cert_file: has no effect without from = \"tls\""):
        assert fault in checked.stderr, checked.stderr
    assert checked.returncode == 2
def test_requests_come_through_every_input_without_a_rule(make_world, tmp_path):
    """Admitted like those over Redis: signed if there are keys, within [requests]."""
    ways = {"redis-channel": "requests", "redis-list": "list", "redis-stream": "stream", "unix-dgram": f"{tmp_path}/dgram",
            "unix-stream": f"{tmp_path}/stream", "udp": "127.0.0.1:5140", "tcp": "127.0.0.1:5141", "file": f"{tmp_path}/file"}
    tokens = secret_file(tmp_path / "tokens", "source:0123456789abcdef\n")
    world = make_world({"input": [{"format": "request", "from": way, "name": name} for way, name in ways.items()],
                        "api": {"listen": "127.0.0.1:7227", "token_file": secret_file(tmp_path / "token", "f" * 16), "alert_tokens_file": tokens,
                                "alert_keys_file": secret_file(tmp_path / "alert_keys", "script:0123456789abcdef\n")},
                        "requests": {"interfaces": ["eth0"], "keys_file": secret_file(tmp_path / "keys", f"monitoring:{MONITORING}\n")}})
    world.daemon.wait_log("subscribed", channel="requests")
    for way in ("unix:" + ways["unix-dgram"], "unix:" + ways["unix-stream"], "udp:" + ways["udp"], "tcp:" + ways["tcp"], "stream:stream",
                "file:" + ways["file"]):
        world.daemon.wait_log("input-ready", input=way)

    def stream(family, address):
        with world.host.call(lambda: socket.socket(family)) as client:
            client.connect(address)
            yield lambda text: client.sendall(text.encode() + b"\n")

    def datagram(family, address):
        with world.host.call(lambda: socket.socket(family, socket.SOCK_DGRAM)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            yield lambda text: client.sendto(text.encode(), address)

    def redis(call):
        with world.redis.client() as client:
            yield lambda text: call(client, text)

    def file():
        with open(ways["file"], "a", encoding="utf-8", buffering=1) as lines:
            yield lambda text: lines.write(text + "\n")

    def signature(text):
        at = int(time.time())
        mac = hmac.new(b"0123456789abcdef", f"{at}:{text}".encode(), hashlib.sha256).hexdigest()
        return {"X-Pcapdaemon-Signature": mac, "X-Pcapdaemon-Timestamp": str(at)}

    def webhook(headers):
        def post(text):
            connection = http.client.HTTPConnection("127.0.0.1", 7227, timeout=30)
            world.host.call(connection.connect)
            connection.request("POST", "/v1/alerts/request", text, headers(text))
            statuses.append(connection.getresponse().status)
            connection.close()
        yield post

    senders = {"redis-channel": redis(lambda client, text: client.publish("requests", text)),
               "redis-list": redis(lambda client, text: client.rpush("list", text)),
               "redis-stream": redis(lambda client, text: client.xadd("stream", {"alert": text})),
               "unix-dgram": datagram(socket.AF_UNIX, ways["unix-dgram"]), "udp": datagram(socket.AF_INET, ("127.0.0.1", 5140)),
               "unix-stream": stream(socket.AF_UNIX, ways["unix-stream"]), "tcp": stream(socket.AF_INET, ("127.0.0.1", 5141)),
               "file": file(), "webhook": webhook(lambda _: {"Authorization": "Bearer 0123456789abcdef"}), "signed": webhook(signature)}
    statuses = []
    since = world.events.mark()
    for way, sender in senders.items():
        for send in sender:
            for name, fields in (("ours", {}), ("wide", {"interface": ["lo"]})):
                send(json.dumps(sign(world.fields(id=f"{way}-{name}", duration=600, **fields))))
            send(json.dumps(world.fields(id=f"{way}-unsigned", duration=600)))

    def answer(request_id):
        return world.events.wait(lambda event: event.get("id") == request_id, since=since)

    for way in senders:
        accepted, wide, unsigned = answer(f"{way}-ours"), answer(f"{way}-wide"), answer(f"{way}-unsigned")
        assert (accepted["event"], accepted["key"]) == ("accepted", "monitoring") and "rule" not in accepted, accepted
        assert (wide["event"], wide["field"]) == ("rejected", "interface"), wide
        assert (unsigned["event"], unsigned["field"]) == ("rejected", "sig"), unsigned
    assert statuses == 2 * [202, 403, 400], statuses
    with world.redis.client() as client:
        for text in ("[{}]", "{"):
            client.publish("requests", text)
    for send in datagram(socket.AF_UNIX, ways["unix-dgram"]):
        send("x" * 280000)
    until(lambda: {row["name"]: (row["alerts"], row["unreadable"]) for row in world.api.get("/v1/rules").json["inputs"]} == {
        f"{way}:{name}": (3, {"redis-channel": 2, "unix-dgram": 1}.get(way, 0)) for way, name in ways.items()})


def test_a_client_with_an_endless_line_is_cut_off(rules_world, tmp_path):
    world = rules_world(IN_ALL_WAYS, {"input": [{"format": "eve", "from": "unix-stream", "name": f"{tmp_path}/stream"},
                                                {"format": "eve", "from": "unix-dgram", "name": f"{tmp_path}/dgram"}]})
    world.daemon.wait_log("input-ready", input=f"unix:{tmp_path}/dgram")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        client.sendto(b'{"event_type":"alert"}' + b" " * 262144, f"{tmp_path}/dgram")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/stream")
        with pytest.raises(OSError):
            for _ in range(1000):
                client.sendall(b"x" * 65536)
    world.daemon.wait_log("input-client-dropped", error="a message is too long")
    until(lambda: [(row["unreadable"], row["alerts"]) for row in world.api.get("/v1/rules").json["inputs"]] == [(1, 0), (1, 0)])
    world.assert_works()


def test_an_input_that_cannot_be_opened_is_named(make_world, tmp_path):
    (tmp_path / "file").write_text("")
    for kind, name, fault in (("unix-stream", f"{tmp_path}/file", "Address already in use"), ("tcp", "localhost", "must be an absolute path"),
                              ("file", "eve.json", "must be the absolute path of a file")):
        world = make_world({"input": [{"from": kind, "name": name}]}, start=False)
        world.daemon.launch()
        world.daemon.wait_text("input.name", fault)
        assert world.daemon.wait_exit() != 0


def test_an_alert_token_opens_alerts_and_nothing_else(rules_world, tmp_path):
    """Over TCP; the file is followed when it changes, and the kind of body is the format's."""
    tokens, token = tmp_path / "tokens", tmp_path / "token"
    for path, text in ((tokens, "# sources\nids:0123456789abcdef\n"), (token, "f" * 16)):
        path.write_text(text)
        path.chmod(0o600)
    world = rules_world(IN_ALL_WAYS, {"api": {"listen": "127.0.0.1:7227", "token_file": str(token), "alert_tokens_file": str(tokens)}})

    def ask(secret, method, path, body=None, kind="application/json"):
        connection = http.client.HTTPConnection("127.0.0.1", 7227, timeout=30)
        world.host.call(connection.connect)
        connection.request(method, path, body, {"Authorization": f"Bearer {secret}", "Content-Type": kind})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    asked = json.dumps(world.fields(timeout=1))
    assert ask("0123456789abcdef", "POST", "/v1/alerts/request", asked) == 403 and ask("f" * 16, "POST", "/v1/alerts/request", asked) == 202
    alert_of = "event_type=alert flow_id=1"
    assert ask("0123456789abcdef", "POST", "/v1/alerts/kv", alert_of, "text/plain") == 200
    assert ask("f" * 16, "POST", "/v1/alerts/kv", alert_of, "text/plain") == 200
    assert rule(world, "ids")["matches"] == 2
    assert ask("0123456789abcdef", "GET", "/v1/captures") == 403
    assert ask("0123456789abcdef", "POST", "/v1/captures", asked) == 403
    assert ask("0123456789abcdee", "POST", "/v1/alerts/kv", alert_of) == 401
    tokens.write_text("ids:fedcba9876543210\n")
    until(lambda: ask("fedcba9876543210", "POST", "/v1/alerts/kv", alert_of, "text/plain") == 200)
    assert ask("0123456789abcdef", "POST", "/v1/alerts/kv", alert_of, "text/plain") == 401


def test_a_signature_opens_alerts_and_nothing_else(rules_world, tmp_path):
    """As Grafana and PagerDuty sign; a copy is answered as the first one was, and does nothing, unless that failed."""
    files = {"keys": "grafana:0123456789abcdef\npagerduty:fedcba9876543210\n", "token": "f" * 16}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    away = '[[rule]]\nname = "away"\nmatch = { away = true }\nnode = "{host}"\ninterface = ["eth0"]\npublish = true\n'
    world = rules_world(IN_ALL_WAYS + away, {"api": {"listen": "127.0.0.1:7227", "token_file": f"{tmp_path}/token", "alert_keys_file": f"{tmp_path}/keys",
                                                     "alert_untimed": True}, "redis": {"listen": False}}, redis=False)
    connection = http.client.HTTPConnection("127.0.0.1", 7227, timeout=seconds(30))

    def ask(headers, path="/v1/alerts/json", body='{"event_type":"alert","flow_id":1}', method="POST"):
        if not connection.sock:
            world.host.call(connection.connect)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), answer.getheader("Connection")

    def signed(key, body='{"event_type":"alert","flow_id":1}', at=None):
        text = body if at is None else f"{int(at)}:{body}"
        return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()

    def grafana(at, key="0123456789abcdef"):
        return {"X-Grafana-Alerting-Signature": signed(key, at=at), "X-Grafana-Alerting-Timestamp": str(int(at))}

    now = time.time()
    status, answer, _ = ask(grafana(now))
    assert status == 200 and answer["started"] == 1 and "duplicate" not in answer, answer
    status, answer, _ = ask(grafana(now))
    assert status == 200 and answer["duplicate"] and answer["matched"] == 0, answer
    status, answer, end = ask(grafana(now - 301))
    assert status == 401 and "api.alert_signature_age" in answer["error"] and end == "close", answer
    assert ask({"X-PagerDuty-Signature": f"v1={signed('fedcba9876543210')}"})[0] == 200
    assert ask({"X-PagerDuty-Signature": f"v1={signed('fedcba9876543210')}"}, "/v1/alerts/json?key=grafana")[0] == 401
    assert ask(grafana(now + 1, "wrong secret"))[0] == 401
    assert ask({"Authorization": "Bearer wrong", **grafana(now + 2)})[0] == 401
    assert ask(grafana(now + 2), "/v1/captures")[0] == 403
    status, answer, _ = ask(grafana(now + 2), "/v1/alerts/request")
    assert status == 403 and "requests.keys_file" in answer["error"], answer
    assert ask(grafana(now + 2), "/v1/alerts/none")[0] == 404
    assert ask(grafana(now + 2, "wrong secret"), "/v1/alerts/none")[0] == 401, "what does not fit learns nothing"
    assert ask(grafana(now + 2), body="x" * (256 * 1024 + 1))[0] == 413
    assert ask({"Authorization": f"Bearer {'f' * 16}"}, body="[" + " " * (256 * 1024) + "]")[0] == 200
    assert rule(world, "ids")["matches"] == 2
    body = '{"away":true,"host":"edge7"}'
    for failed in (1, 2):
        status, answer, _ = ask({"X-PagerDuty-Signature": f"v1={signed('fedcba9876543210', body)}"}, body=body)
        assert status == 503 and answer["failed"] == 1 and "alert-failed" in answer["error"] and rule(world, "away")["failed"] == failed, answer
    line = world.daemon.wait_log("api-refused", peer="tcp:127.0.0.1")
    assert "0123456789abcdef" not in world.daemon.text() and "api.alert_signature_age" in line.fields["reason"]
    (tmp_path / "keys").write_text("grafana:aaaaaaaaaaaaaaaa\n")
    until(lambda: ask(grafana(time.time(), "aaaaaaaaaaaaaaaa"))[0] == 200)
    connection.close()


PUBLISHED = """
[[rule]]
name = "latency"
match = { status = "firing" }
node = "{labels.instance:host}"
interface = ["eth0"]
duration = 600
dedupe = "{fingerprint}"
stop_on = "resolved"
publish = true
max_running = 1
"""


def test_a_rules_host_asks_other_nodes_and_stops_their_captures(make_fleet, tmp_path):
    """Signed with its key; the node that the alert is about is looked up; nothing runs where the rule is. The captures of other nodes count
    until their last event."""
    (tmp_path / "rules.toml").write_text(PUBLISHED)
    (tmp_path / "key").write_text("rules:0123456789abcdef0123456789abcdef\n")
    os.chmod(tmp_path / "key", 0o600)
    central = {"api": {"socket": f"{tmp_path}/central.sock"}, "rules": {"files": f"{tmp_path}/rules.toml", "hosts": ["10.0.0.7=edge"], "sign_key": f"{tmp_path}/key"},
               "input": [{"format": "alertmanager", "from": "redis-channel", "name": "alerts"}]}
    signed = {"requests": {"keys_file": f"{tmp_path}/key", "interfaces": ["eth0"]}}
    fleet = make_fleet(["central", "edge"], config={"central": {**central, **signed}, "edge": signed})
    for channel in ("alerts", "capture:events"):
        fleet.daemons["central"].wait_log("subscribed", channel=channel)

    def central_rule():
        return Api(f"{tmp_path}/central.sock").get("/v1/rules").json["rules"][0]

    events, since = fleet.events, fleet.events.mark()
    alerts = {"alerts": [{"status": "firing", "fingerprint": "f1", "labels": {"instance": "10.0.0.7:9100"}}]}
    with fleet.bus.client() as client:
        client.publish("alerts", json.dumps(alerts))
        accepted = events.wait(lambda event: event["event"] == "accepted", since=since)
        assert (accepted["node"], accepted["key"], accepted["rule"]) == ("edge", "rules", "latency"), accepted
        line = fleet.daemons["central"].wait_log("request-published", rule="latency", node="edge")
        assert line.fields["request"] == accepted["id"]
        second = {"alerts": [{**alerts["alerts"][0], "fingerprint": "f2"}]}
        for repeated in (alerts, second):  # the same run; max_running
            client.publish("alerts", json.dumps(repeated))
        until(lambda: central_rule()["suppressed"] == 2, what="two suppressed alerts")
        assert (central_rule()["running"], central_rule()["published"]) == (1, 1)
        stop = {"stop": True, "node": "edge", "dedupe": "f1", "id": new_id("stop")}
        client.publish("capture", json.dumps(stop))
        refused = events.wait(lambda event: event.get("id") == stop["id"], since=since)
        assert (refused["event"], refused["field"]) == ("rejected", "sig"), refused
        alerts["alerts"][0]["status"] = "resolved"
        client.publish("alerts", json.dumps(alerts))
        answer = events.wait(lambda event: event.get("reason") == "stop", since=since)
        assert (answer["event"], answer["node"], answer["count"]) == ("done", "edge", 1) and "capture" not in answer, answer
        done = events.wait(lambda event: event["event"] == "done" and event.get("capture"), since=since)
        assert done["id"] == accepted["id"] and (done["reason"], done["rule"]) == ("empty", "latency"), done
        until(lambda: central_rule()["running"] == 0, what="the end of the run")
        client.publish("alerts", json.dumps(alerts))
        events.wait_count(lambda event: event.get("reason") == "stop", 2, 15, since)
        assert "count" not in events.all(lambda event: event.get("reason") == "stop", since)[1]
        client.publish("alerts", json.dumps(second))
        events.wait(lambda event: event["event"] == "accepted" and event["id"] != accepted["id"], since=since)
        assert central_rule()["running"] == 1
    assert {event["node"] for event in events.all(lambda event: event["event"] != "warning", since)} == {"edge"}


def test_a_stop_ends_what_runs_with_its_key(rules_world):
    """Also without rules: it is a request like any other, over the control API, too. What waits for the reply store does not begin."""
    world = rules_world(PUBLISHED, {"redis": {"listen": True, "stream": "requests"}})
    world.daemon.wait_log("redis-up", role="keys")
    requests = [world.request(interface=["eth0"], duration=600, dedupe=key) for key in ("a", "a", "b")]
    for request in requests:
        request.wait("accepted")
    answer = world.api.call("POST", "/v1/captures?wait=1", body={"stop": True, "node": "test-node", "dedupe": "a"}).expect(200).json
    assert [(event["event"], event["reason"], event["count"]) for event in answer["events"]] == [("done", "stop", 2)], answer
    for request in requests[:2]:
        assert request.done()["reason"] == "empty"
    assert world.api.get("/v1/captures").json["captures"][0]["state"] == "running"
    assert "cannot be combined with stop" in world.api.call("POST", "/v1/captures", body={
        "stop": True, "node": "test-node", "dedupe": "a", "bpf": "tcp"}).expect(400).error
    since, late = world.events.mark(), world.fields(interface=["eth0"], duration=600, dedupe="late")
    world.redis.pause()
    with contextlib.closing(world.api.connect()) as connection:
        connection.request("POST", "/v1/captures", json.dumps(late), {"Content-Type": "application/json"})
        until(lambda: world.api.get("/v1/status").json, 5)  # the daemon has read the request by now
    answer = world.api.call("POST", "/v1/captures?wait=1", body={"stop": True, "node": "test-node", "dedupe": "late"}).expect(200).json
    assert answer["events"][0]["count"] == 1, answer
    world.redis.resume()
    refused = world.events.wait(lambda event: event.get("id") == late["id"], since=since)
    assert (refused["event"], refused["reason"]) == ("rejected", "it was stopped before it began"), refused


def test_a_file_is_followed_across_rotation(rules_world, tmp_path):
    """From its end, over a rename, a truncation and an absence; a line may come in pieces."""
    path, absent = tmp_path / "eve.json", tmp_path / "later" / "eve.json"
    path.write_text("{}\n" + json.dumps(EVE)[:30])
    world = rules_world(IN_ALL_WAYS, {"input": [{"format": "eve", "from": "file", "name": str(name)} for name in (path, absent)]})
    for name in (path, absent):
        world.daemon.wait_log("input-ready", input=f"file:{name}")

    def eve(flow):
        return json.dumps({**EVE, "flow_id": flow})

    def add(text, to=path):
        with open(to, "a", encoding="utf-8") as file:
            file.write(text)

    def matches(count):
        until(lambda: rule(world, "ids")["started"] == count, what=f"{count} captures")

    add(json.dumps(EVE)[30:] + "\n")  # its beginning was there before
    add(eve(1) + "\r\n" + eve(2)[:20])
    matches(1)
    add(eve(2)[20:] + "\n")
    matches(2)
    path.rename(tmp_path / "eve.json.1")
    add(eve(3) + "\n", tmp_path / "eve.json.1")  # the writer goes on until it opens the new one
    path.write_text("")
    add(eve(4), tmp_path / "eve.json.1")
    matches(3)
    add(eve(5) + "\n")
    matches(5)  # the last line of a file that is left may have no end
    os.truncate(path, 0)
    add(eve(6) + "\n")
    matches(6)
    path.unlink()
    absent.parent.mkdir()
    absent.write_text(eve(7) + "\n")
    matches(7)
    path.write_text(eve(8) + "\n" + "x" * 1100000 + "\n" + eve(9) + "\n")
    matches(9)
    world.daemon.wait_log("alert-unreadable", input=f"file:{path}", error="a line is too long")
    assert [row["unreadable"] for row in world.api.get("/v1/rules").json["inputs"]] == [1, 0]
