# SPDX-License-Identifier: BSD-2-Clause
"""Who asked, for what, and with which limits: in events, lists, files and the log."""

import re

import pytest

from lib import pcapctl
from lib.world import World

RULE = "ip or arp or ip6"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    config = {"requests": {"filter": RULE}, "history": {"interfaces": ["eth0"], "memory": "32MiB"}}
    with World(tmp_path_factory.mktemp("accountability"), config) as world:
        yield world


def asked(event):
    return {key: event.get(key) for key in ("origin", "filter", "inner", "limits")}


def test_filter_requester_and_limits_are_in_events_lists_file_and_log(world):
    long = " or ".join(f"host 10.1.2.{number}" for number in range(40))
    request = world.capture(bpf=f"udp or {long}", packets=2, duration=20, timeout=7.5, snap=96, alertid=4711)
    accepted = request.accepted(1)
    assert accepted["origin"] == "redis:capture"
    assert accepted["filter"].startswith(f"({RULE}) and (udp or host 10.1.2.0") and accepted["filter"].endswith("...")
    assert len(accepted["filter"]) == 512
    assert accepted["limits"] == {"packets": 2, "bytes": 100000000, "snap": 96, "duration": 20, "idle": 7.5}
    line = world.daemon.wait_log("request-admitted", request=request.id)
    assert line.fields["bpf"] == f"udp or {long}" and line.fields["required"] == RULE, "the log has the filter whole"
    expected = {"origin": "redis:capture", "captures": "1", "interfaces": "eth0", "packets": "2", "duration": "20", "idle": "7.5", "alertid": "4711"}
    assert expected.items() <= line.fields.items()
    world.sender.send(2)
    done = request.done()
    assert asked(done) == asked(accepted)
    shown = world.api.get(f"/v1/captures/{request.id}.1").expect(200).json
    listed, = [one for one in world.api.get("/v1/captures").expect(200).json["captures"] if one["id"] == request.id]
    assert asked(shown) == asked(listed) == asked(accepted)
    comments = world.file(request).comments
    assert "origin: redis:capture" in comments and "limits: 2 packets, 100000000 bytes, 96 bytes a packet, 20 s, idle 7.5 s" in comments
    ctl = lambda *words: pcapctl.run(*words, "--socket", world.config["api"]["socket"])  # noqa: E731
    assert re.search(r"^limits\.packets +2$", ctl("show", f"{request.id}.1").stdout, re.M)
    row = next(line for line in ctl("list").stdout.splitlines() if request.id in line)
    assert "redis:capture" in row and f"({RULE}) and (udp" in row


def test_user_of_the_socket_is_named(world):
    answer = world.api.post({"node": "any", "interface": ["eth0"], "bpf": "udp", "inner": "icmp", "packets": 1, "duration": 1}, wait=1).expect(200)
    event, = answer.json["events"]
    assert event["origin"] == "api:unix:0(root)" and event["inner"] == "icmp" and event["filter"] == "udp"


def test_refusals_have_one_line_each_that_names_requester_and_reason(world):
    count = len(world.daemon.log("request-refused"))
    refused = world.refused(bpf="udp", interface=["absent0"])
    assert refused["origin"] == "redis:capture" and refused["limits"]["packets"] and "udp" in refused["filter"]
    line = world.daemon.wait_log("request-refused", request=refused["id"])
    assert line.fields["reason"] == refused["reason"] and line.fields["bpf"] == "udp" and line.fields["field"] == "interface"
    unread = world.refused(packets=-1)
    line = world.daemon.wait_log("request-refused", request=unread["id"])
    assert (line.fields["field"], line.fields["origin"]) == ("packets", "redis:capture") and "bpf" not in line.fields
    assert len(world.daemon.log("request-refused")) == count + 2
    assert not world.daemon.log("request-admitted")[-1].fields["request"] in (refused["id"], unread["id"])


def test_reading_history_is_in_the_log(world):
    world.api.get("/v1/history?interface=eth0&last=5&bpf=udp").expect(200)
    line = world.daemon.wait_log("history-read")
    assert {"origin": "api:unix:0(root)", "interface": "eth0", "bpf": "udp"}.items() <= line.fields.items() and "from" in line.fields
    world.api.get("/v1/history?interface=absent0").expect(404)
    assert world.daemon.wait_log("history-refused").fields["reason"]
