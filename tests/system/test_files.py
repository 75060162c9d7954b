# SPDX-License-Identifier: BSD-2-Clause
"""Capture files: their metadata, names, and how they appear. Judged by capinfos, tshark and tcpdump."""

import json
import os
import re
import stat

from lib.events import new_id
from lib.pcapfile import capinfos, fields, judge
from lib.world import NODE


def test_section_comments_carry_the_request_and_its_purpose(world):
    request = world.capture(packets=3, timeout=20, tags="one,two", customer="ACME", alertid=655443, comment="looked odd")
    world.sender.send(3, rate=1000)
    done = request.done()
    file = world.file(request)
    found = [json.loads(comment[comment.index("{"):]) for comment in file.comments if "{" in comment]
    assert request.fields in found, file.comments
    rest = "\n".join(comment for comment in file.comments if "{" not in comment)
    for text in ("customer:ACME,alertid:655443,one,two", "ACME", "655443", "looked odd",
                 done["window"]["from"][:19], done["window"]["to"][:19]):
        assert text in rest, f"no comment contains {text!r}: {file.comments}"
    assert "pcapdaemon" in file.application
    uname = os.uname()
    assert uname.sysname in file.os and uname.release in file.os and file.hardware
    report = capinfos(world.path(request))
    assert "pcapdaemon" in report["Capture application"] and "Linux" in report["Capture oper-sys"]


def test_interface_block_describes_the_capture(world):
    request = world.capture(packets=2, timeout=20, bpf="udp  dst port 9", snap=96)
    world.sender.send(2, size=400, rate=1000)
    request.done()
    interface = world.file(request).interfaces[0]
    assert (interface.name, interface.filter, interface.snaplen, interface.linktype) == ("eth0", "udp  dst port 9", 96, 1)
    assert interface.units == 10**9, "nanoseconds"
    long_report = capinfos(world.path(request), "-M")
    assert int(long_report["Number of interfaces in file"]) == 1
    assert set(fields(world.path(request), "frame.interface_name", "frame.cap_len", "frame.len")) == {("eth0", "96", "400")}


def test_interface_block_without_a_filter_names_none(world):
    request = world.capture(packets=1, timeout=20)
    world.sender.send(1)
    request.done()
    assert world.file(request).interfaces[0].filter is None


def test_statistics_count_received_and_dropped(world):
    request = world.capture(packets=50, timeout=20, bpf="udp dst port 9")
    world.sender.send(50, rate=5000)
    request.done()
    statistics = world.file(request).interfaces[0].statistics
    assert statistics["received"] >= 50 and statistics["dropped"] == 0, statistics


def test_classic_pcap_has_nanoseconds_and_the_same_packets(world):
    request = world.capture(packets=10, timeout=20, format="pcap", snap=100)
    world.sender.send(10, size=300, rate=1000)
    done = request.done()
    assert done["file"].endswith(".pcap")
    file = world.file(request)
    assert file.format == "pcap" and file.bytes[:4] == b"\x4d\x3c\xb2\xa1"
    file.assert_numbers(0, 10)
    assert (file.interfaces[0].snaplen, file.interfaces[0].linktype) == (100, 1)
    assert judge(world.path(request))["File type"] == "nsecpcap"
    assert done["first"].endswith(f"{file.packets[0].time_ns % 10**9:09d}Z")


def test_pcap_and_pcapng_of_the_same_packets_agree(world):
    one = world.capture(packets=20, timeout=20, format="pcap")
    other = world.capture(packets=20, timeout=20, format="pcapng")
    world.sender.send(20, rate=1000)
    one.done()
    other.done()
    assert [(p.time_ns, p.data) for p in world.file(one).packets] == [(p.time_ns, p.data) for p in world.file(other).packets]


def test_name_is_node_interface_time_and_id(world):
    request = world.capture(packets=1, timeout=20)
    world.sender.send(1)
    done = request.done()
    match = re.fullmatch(rf"{NODE}-eth0-(\d{{8}}T\d{{6}}\.\d{{3}}Z)-{re.escape(request.id)}\.pcapng", done["file"])
    assert match, done["file"]
    stamp = done["window"]["from"]
    assert match[1][:8] == stamp[:10].replace("-", ""), "the day on which the window begins"
    assert re.fullmatch(r"[A-Za-z0-9._-]+", done["file"])


def test_directory_holds_only_finished_files(world):
    request = world.capture(packets=10, timeout=20)
    world.sender.send(5, rate=1000)
    assert world.files_of(request) == [], "a file appears only once it is complete"
    world.sender.send(5, first=5, rate=1000)
    request.done()
    assert [name for name in world.files() if not re.search(r"\.pcap(ng)?$", name) or name.startswith(".")] == []


def test_file_is_neither_world_readable_nor_executable(world):
    request = world.capture(packets=1, timeout=20)
    world.sender.send(1)
    request.done()
    assert stat.S_IMODE(os.stat(world.path(request)).st_mode) & 0o137 == 0


def test_existing_file_is_never_overwritten(world):
    """The test cannot predict the daemon's file name, but captures with the same id and time collide."""
    ids = [new_id("same") for _ in range(3)]
    requests = [world.capture(packets=1, timeout=20, id=request_id) for request_id in ids]
    world.sender.send(1)
    names = [request.done()["file"] for request in requests]
    assert len(set(names)) == 3 and all(len(world.files_of(request)) == 1 for request in requests)


def test_packet_comments_and_texts_survive_odd_characters(world):
    request = world.capture(packets=1, timeout=20, customer='quote " backslash \\ <tag> %s %n', comment="line one\nline two")
    world.sender.send(1)
    request.done()
    comments = "\n".join(world.file(request).comments)
    assert 'quote " backslash \\ <tag> %s %n' in comments and "line one\nline two" in comments
    judge(world.path(request))


def test_request_format_overrides_the_configured_default(make_world):
    world = make_world({"general": {"format": "pcap", "snaplength": 80}})
    classic = world.capture(packets=1, timeout=20)
    modern = world.capture(packets=1, timeout=20, format="pcapng", snap=70)
    world.sender.send(1, size=200)
    classic.done()
    modern.done()
    assert (world.file(classic).format, world.file(classic).packets[0].caplen) == ("pcap", 80)
    assert (world.file(modern).format, world.file(modern).packets[0].caplen) == ("pcapng", 70)


def test_odd_node_name_makes_a_safe_file_name(make_world):
    node = "Größe a/../b;$(x)"
    world = make_world({"general": {"node": node}})
    request = world.capture(node=node, packets=1, timeout=20)
    world.sender.send(1)
    done = request.done()
    assert done["node"] == node and re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", done["file"]) and world.files() == [done["file"]]


def test_packets_equal_those_of_dumpcap(world, tmp_path):
    """The daemon and dumpcap capture the same link at the same time."""
    from lib.waiting import until
    path = tmp_path / "reference.pcapng"
    with open(tmp_path / "err", "w") as err:
        reference = world.host.popen("dumpcap", "-q", "-i", "eth0", "-c", "30", "-w", path, stderr=err)
        until(lambda: "File:" in (tmp_path / "err").read_text(), 10, "dumpcap to start")
        request = world.capture(packets=30, timeout=20)
        world.sender.send(30, size=120, rate=1000)
        request.done()
        assert reference.wait(20) == 0
    names = ("frame.time_epoch", "frame.len", "frame.cap_len", "udp.payload")
    assert fields(world.path(request), *names) == fields(path, *names)
