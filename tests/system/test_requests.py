# SPDX-License-Identifier: BSD-2-Clause
"""Invalid input: every refusal names the field and the reason; nothing crashes, and other requests are not disturbed."""

import json
import time

import pytest

from lib.events import new_id
from lib.waiting import seconds
from lib.world import NODE

ABSENT = object()

BAD_FIELDS = [
    # name, fields, the invalid field, text required in the reason
    ("unknown field", {"frobnicate": 1}, "frobnicate", "unknown"),
    ("misspelt field", {"packet": 5}, "packet", "packets"),
    ("misspelt alias of another word", {"time_out": 5}, "time_out", "timeout"),
    ("packets as text", {"packets": "50"}, "packets", "integer"),
    ("packets with a fraction", {"packets": 1.5}, "packets", "integer"),
    ("packets negative", {"packets": -1}, "packets", "negative"),
    ("packets beyond 64 bits", {"packets": 2**70}, "packets", "range"),
    ("packets beyond the cap", {"packets": 50_000_001}, "packets", "maxpackets"),
    ("packets true", {"packets": True}, "packets", "integer"),
    ("packets null", {"packets": None}, "packets", "integer"),
    ("bytes negative", {"bytes": -5}, "bytes", "negative"),
    ("bytes beyond the cap", {"bytes": 10**18}, "bytes", "maxbytes"),
    ("timeout negative", {"timeout": -0.5}, "timeout", "negative"),
    ("timeout as text", {"timeout": "5s"}, "timeout", "number"),
    ("timeout beyond the cap", {"timeout": 3601}, "timeout", "maxtimeout"),
    ("timeout huge", {"timeout": 1e300}, "timeout", "maxtimeout"),
    ("duration beyond the cap", {"duration": 3601}, "duration", "maxduration"),
    ("snap negative", {"snap": -1}, "snap", "1"),
    ("snap beyond the kernel's", {"snap": 262145}, "snap", "262144"),
    ("snap as text", {"snap": "64"}, "snap", "integer"),
    ("interface as text", {"interface": "eth0"}, "interface", "array"),
    ("interface of numbers", {"interface": [0]}, "interface", "string"),
    ("interface empty", {"interface": []}, "interface", "empty"),
    ("interface with an empty name", {"interface": [""]}, "interface", "empty"),
    ("interface with a path", {"interface": ["../../etc/passwd"]}, "interface", "name"),
    ("interface too long", {"interface": ["e" * 128]}, "interface", "name"),
    ("interface with NUL", {"interface": ["eth0\0x"]}, "interface", "NUL"),
    ("interface with a control character", {"interface": ["eth0\n"]}, "interface", "control"),
    ("too many interfaces", {"interface": [f"e{i}" for i in range(4097)]}, "interface", "4096"),
    ("alias unknown", {"interface": ABSENT, "alias": ["mian"]}, "alias", "main"),
    ("alias with a path", {"interface": ABSENT, "alias": ["../main"]}, "alias", "alias"),
    ("one alias of two unknown", {"interface": ABSENT, "alias": ["main", "nowhere"]}, "alias", "nowhere"),
    ("interface and alias", {"alias": ["main"]}, ("interface", "alias"), "one"),
    ("neither interface nor alias", {"interface": ABSENT}, ("interface", "alias"), "one"),
    ("node and nodere", {"nodere": "test"}, ("node", "nodere"), "one"),
    ("neither node nor nodere", {"node": ABSENT}, ("node", "nodere"), "one"),
    ("node as number", {"node": 5}, "node", "string"),
    ("node empty", {"node": ""}, "node", "empty"),
    ("node with NUL", {"node": "test-node\0"}, "node", ""),
    ("expression does not compile", {"node": ABSENT, "nodere": "test("}, "nodere", "expression"),
    ("expression too long", {"node": ABSENT, "nodere": "(?:" + "a" * 5000 + ")?"}, "nodere", "long"),
    ("filter does not compile", {"bpf": "udp prot 53"}, "bpf", "syntax"),
    ("filter of another link type", {"bpf": "wlan type mgt"}, "bpf", ""),
    ("filter as number", {"bpf": 5}, "bpf", "string"),
    ("filter too long", {"bpf": "udp or " * 3000 + "udp"}, "bpf", "long"),
    ("filter with NUL", {"bpf": "udp\0"}, "bpf", "NUL"),
    ("tags as array", {"tags": ["a"]}, "tags", "string"),
    ("tags with a line break", {"tags": "a\nb"}, "tags", "control"),
    ("customer as number", {"customer": 5}, "customer", "string"),
    ("customer too long", {"customer": "c" * 5000}, "customer", "long"),
    ("customer with an escape", {"customer": "\x1b[2J"}, "customer", "control"),
    ("comment as array", {"comment": []}, "comment", "string"),
    ("alertid with a fraction", {"alertid": 1.5}, "alertid", "integer"),
    ("alertid true", {"alertid": True}, "alertid", "integer"),
    ("format unknown", {"format": "snoop"}, "format", "pcap"),
    ("format as number", {"format": 1}, "format", "string"),
    ("merge as text", {"merge": "yes"}, "merge", "true or false"),
    ("logrequest as number", {"logrequest": 1}, "logrequest", "true or false"),
    ("destination unknown", {"to_destinations": ["nowhere"]}, "to_destinations", "nowhere"),
    ("destinations as text", {"to_destinations": "local"}, "to_destinations", "array"),
    ("destinations empty", {"to_destinations": []}, "to_destinations", "empty"),
    ("id with a path", {"id": "../x"}, "id", "1 to 64"),
    ("id empty", {"id": ""}, "id", "1 to 64"),
    ("id too long", {"id": "x" * 65}, "id", "1 to 64"),
    ("id as number", {"id": 5}, "id", "string"),
    ("before that is no number", {"before": "10"}, "before", "number"),
    ("before beyond the limit", {"before": 1e9}, "before", "limit"),
    ("before with from", {"before": 10, "from": 1795423260}, "before", "from"),
    ("from that is no time", {"from": "yesterday"}, "from", "time"),
    ("from far in the future", {"from": "2099-01-01T00:00:00Z"}, "from", "future"),
    ("to not later than from", {"from": 1795423260, "to": 1795423260}, "to", "later"),
    ("to with timeout", {"to": 1795423260, "timeout": 5}, "timeout", "to"),
    ("bucket, not allowed", {"bucket": "b"}, "bucket", "not"),
]

REQUEST = json.dumps({"node": NODE, "interface": ["eth0"], "packets": 1, "timeout": 5})

BAD_BYTES = [
    ("nothing", b""),
    ("white space", b" \n\t "),
    ("no JSON", b"capture eth0 please"),
    ("truncated", REQUEST[:-10].encode()),
    ("truncated in a string", b'{"node":"test-no'),
    ("trailing garbage", REQUEST.encode() + b" }"),
    ("two requests", REQUEST.encode() * 2),
    ("null", b"null"),
    ("a number", b"5"),
    ("a string", b'"capture"'),
    ("an array", b"[" + REQUEST.encode() + b"]"),
    ("an empty object", b"{}"),
    ("single quotes", REQUEST.replace('"', "'").encode()),
    ("NaN", b'{"node":"test-node","interface":["eth0"],"timeout":NaN}'),
    ("Infinity", b'{"node":"test-node","interface":["eth0"],"timeout":Infinity}'),
    ("number beyond a double", b'{"node":"test-node","interface":["eth0"],"timeout":1e999}'),
    ("number with a leading zero", b'{"node":"test-node","interface":["eth0"],"packets":010}'),
    ("NUL byte", b'{"node":"test-node","interface":["eth0"],\x00"packets":1}'),
    ("NUL bytes only", b"\0" * 100),
    ("control character in a string", b'{"node":"test-node","interface":["eth0"],"customer":"a\x01b"}'),
    ("no UTF-8", b'{"node":"test-node","interface":["eth0"],"customer":"\xff\xfe"}'),
    ("overlong UTF-8", b'{"node":"test-node","interface":["eth0"],"customer":"\xc0\xaf"}'),
    ("lone surrogate", b'{"node":"test-node","interface":["eth0"],"customer":"\\ud800"}'),
    ("byte order mark", b"\xef\xbb\xbf" + REQUEST.encode()),
    ("UTF-16", REQUEST.encode("utf-16")),
    ("a comment", b'{"node":"test-node", /* any */ "interface":["eth0"]}'),
    ("duplicate key", b'{"node":"test-node","interface":["eth0"],"packets":1,"packets":2}'),
    ("duplicate node", b'{"node":"test-node","node":"test-node","interface":["eth0"]}'),
    ("a hundred thousand brackets", b"[" * 100_000),
    ("deep below our node", b'{"node":"test-node","interface":' + b"[" * 30_000 + b"]" * 30_000 + b"}"),
    ("deep objects", b'{"node":"test-node","a":' * 5000 + b"1" + b"}" * 5000),
    ("ten megabytes of text", b'{"node":"test-node","interface":["eth0"],"comment":"' + b"x" * 10_000_000 + b'"}'),
    ("ten megabytes of blanks", REQUEST[:-1].encode() + b" " * 10_000_000 + b"}"),
    ("ten megabytes of array", b'{"node":"test-node","interface":[' + b'"e",' * 2_500_000 + b'"e"]}'),
]


@pytest.mark.parametrize("fields, at_fault, expected", [case[1:] for case in BAD_FIELDS], ids=[case[0] for case in BAD_FIELDS])
def test_invalid_field_is_refused_by_name(world, fields, at_fault, expected):
    request = {"node": NODE, "interface": ["eth0"], "id": new_id("bad"), **fields}
    request = {name: value for name, value in request.items() if value is not ABSENT}
    since = world.events.mark()
    world.publish(request)
    event = world.events.wait(lambda event: event["event"] in ("accepted", "rejected"), since=since)
    assert event["event"] == "rejected", event
    at_fault = (at_fault,) if isinstance(at_fault, str) else at_fault
    assert event["field"] in at_fault and any(field in event["reason"] for field in at_fault), event
    assert expected in event["reason"], event
    if str(request.get("id")).startswith("bad-") and expected != "range":  # as malformed JSON, a number out of range may leave no id
        assert event["id"] == request["id"]


@pytest.mark.parametrize("message", [case[1] for case in BAD_BYTES], ids=[case[0] for case in BAD_BYTES])
def test_malformed_request_is_refused(world, message):
    since = world.events.mark()
    world.publish(message)
    event = world.events.wait(lambda event: event["event"] in ("accepted", "rejected"), since=since, timeout=15)
    assert event["event"] == "rejected" and event["reason"], event
    assert len(json.dumps(event)) < 8192, "a refusal does not return the request"


def test_control_characters_cannot_forge_a_log_line(world):
    since = world.daemon.mark()
    request = world.fields(**{"frob\nready forged=1\x1b[2J": 1})
    mark = world.events.mark()
    world.publish(request)
    world.events.wait(lambda event: event["event"] == "rejected", since=mark)
    world.assert_works()
    assert not [line for line in world.daemon.lines[since:] if line.id == "ready"]
    assert "\x1b" not in world.daemon.text()


@pytest.mark.parametrize("interface", ["nope0", "absent0"])
def test_unknown_interface_is_reported(world, interface):
    request = world.request(interface=[interface], packets=1, timeout=5)
    event = request.wait("rejected", "failed", "done")
    assert event["event"] in ("rejected", "failed"), event
    assert interface in json.dumps(event)


def test_unknown_interface_among_two_leaves_no_capture_unanswered(world):
    request = world.request(interface=["eth0", "nope0"], packets=1, timeout=1)
    if request.answer()["event"] == "accepted":
        finals = {event.get("interface"): event["event"] for event in request.finals(2)}
        assert finals["nope0"] == "failed"


def test_paths_in_text_fields_have_no_effect(world):
    request = world.capture(packets=1, timeout=20, customer="../../etc/passwd", tags="../x", alertid="../y", id=new_id("..-.."))
    world.sender.send(1)
    done = request.done()
    assert "/" not in done["file"] and not done["file"].startswith(".") and done["file"] in world.files()


def test_unicode_is_preserved(world):
    request = world.capture(packets=1, timeout=20, customer="Grüße 東京 🦈", tags="naïve,日本")
    world.sender.send(1)
    assert request.done()["customer"] == "Grüße 東京 🦈"
    assert any("Grüße 東京 🦈" in comment for comment in world.file(request).comments)


def test_zero_means_not_given(world):
    request = world.capture(packets=2, timeout=20, bytes=0, snap=0, duration=0)
    world.sender.send(2, rate=1000)
    assert request.done()["reason"] == "packets"


def test_message_of_the_original_program_is_taken(world):
    request = world.capture(packets=1, timeout=20, alertid=0, alertstr="INC-7", aliasmatched=True)
    world.sender.send(1)
    done = request.done()
    assert done["alertid"] == "INC-7" and "alertid:INC-7" in done["tags"].split(",")


def test_large_request_within_the_limit_is_accepted(world):
    request = world.capture(packets=1, timeout=20, comment="c" * 4096, bpf="udp or " * 100 + "udp")
    world.sender.send(1)
    request.done()


def test_captures_still_work_after_all_invalid_input(world):
    """Last in the file: the same daemon has received all requests above."""
    world.assert_works()


@pytest.mark.parametrize("expression", ["^(a+)+$", "^(a|aa)+$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_catastrophic_expressions_are_cut_short(make_world, expression):
    world = make_world({"general": {"node": "a" * 60 + "!"}})
    started, count = time.monotonic(), 200
    with world.redis.client() as client, client.pipeline(transaction=False) as pipeline:
        for _ in range(count):
            pipeline.publish("capture", json.dumps({"nodere": expression, "interface": ["eth0"], "id": new_id("re")}))
        pipeline.execute()
    request = world.request(node="a" * 60 + "!", packets=1, timeout=60)
    request.accepted(timeout=30)
    assert time.monotonic() - started < seconds(20), "an expression blocked the daemon"
    for event in world.events.all(lambda event: str(event.get("id")).startswith("re-")):
        assert event["event"] == "rejected" and event["field"] == "nodere"
    world.sender.send(1)
    request.done()
