# SPDX-License-Identifier: BSD-2-Clause
"""The test tools work as the tests rely on; judged by tcpdump and the kernel's counters, without the daemon."""

import subprocess

import pytest

from lib.account import assert_exact, assert_part
from lib.events import Events
from lib.netns import Netns
from lib.pcapfile import CaptureFile, assert_sequence, fields, judge
from lib.redis_server import RedisServer
from lib.traffic import Sender
from lib.waiting import until


@pytest.fixture
def pair():
    with Netns("a") as here, Netns("b") as there:
        here.add_veth("eth0", there, "peer0")
        yield here, there


def test_link_is_silent_until_a_test_sends(pair):
    here, there = pair
    there.run("true")
    before = here.counters("eth0")["rx"]["packets"]
    Sender(there, "peer0").send(10)
    assert (before, here.counters("eth0")["rx"]["packets"]) == (0, 10)


@pytest.mark.parametrize("method", ["mmsg", "ring"])
def test_sender_sends_each_number_once_and_in_order(pair, tmp_path, method):
    here, there = pair
    path = tmp_path / "t.pcap"
    with open(tmp_path / "err", "w+") as err:
        dump = here.popen("tcpdump", "-Z", "root", "-i", "eth0", "-U", "-B", "65536", "-c", "3000", "-w", path, stderr=err)
        until(lambda: "listening" in (tmp_path / "err").read_text(), 10, "tcpdump to listen")
        report = Sender(there, "peer0").send(3000, first=5, method=method, rate=50000, dst_port="100-109", src_port=7)
        assert dump.wait(20) == 0
    assert (report["sent"], report["errors"], report["first"]) == (3000, 0, 5)
    file = CaptureFile(str(path))
    file.assert_numbers(5, 3000)
    judge(path)
    assert fields(path, "udp.srcport", "udp.dstport", "ip.checksum.status")[:2] == [("7", "100", "2"), ("7", "101", "2")]


def test_vlan_header_is_stripped_by_the_kernel(pair):
    here, there = pair
    Sender(there, "peer0").send(1, vlan=7)
    assert here.counters("eth0")["rx"]["packets"] == 1


def test_sequence_check_distinguishes_lost_doubled_unknown_and_reordered():
    assert_sequence([3, 4, 5], 3, 3)
    for numbers, message in (([3, 5], "1 missing"), ([3, 4, 4, 5], "1 twice"), ([3, 4, 5, 9], "1 unexpected"),
                          ([4, 3, 5], "out of order")):
        with pytest.raises(AssertionError, match=message):
            assert_sequence(numbers, 3, 3)


def done(packets, kernel=0, evicted=0, complete=True, reached="2026-11-23T08:41:00.000000000Z"):
    return {"packets": packets, "lost": {"kernel": kernel, "evicted": evicted, "memory": 0},
            "window": {"from": reached, "asked_from": "2026-11-23T08:41:00.000000000Z", "complete": complete}}


def test_exact_account_covers_every_packet_that_arrived():
    sent = range(5)
    assert_exact(done(5), [0, 1, 2, 3, 4], sent, 5)
    assert_exact(done(3, 1, 1, False), [0, 2, 4], sent, 5)
    assert_exact(done(4), [0, 1, 3, 4], sent, 4)  # one packet never reached the interface
    assert_exact(done(5, 2, complete=False), [0, 1, 2, 3, 4], sent, 5, dropped_before=2)
    for event, numbers, arrived in ((done(4), [0, 1, 2, 3], 5), (done(4, 2, complete=False), [0, 1, 2, 3], 5), (done(4, 1), [0, 1, 2, 3], 5),
                                    (done(5, complete=False), [0, 1, 2, 3, 4], 5), (done(4), [0, 1, 2, 3, 4], 5),
                                    (done(5), [0, 1, 2, 2, 4], 5), (done(5), [0, 1, 3, 2, 4], 5), (done(5), [0, 1, 2, 3, 5], 5)):
        with pytest.raises(AssertionError):
            assert_exact(event, numbers, sent, arrived)


def test_partial_account_covers_every_hole():
    sent = range(10)
    assert_part(done(3), [4, 5, 6], sent)
    assert_part(done(3, evicted=2, complete=False), [3, 6, 7], sent)
    assert_part(done(3), [3, 5, 6], sent, not_arrived=1)
    assert_part(done(3, complete=False, reached="2026-11-23T08:41:00.000000001Z"), [4, 5, 6], sent)
    for event, numbers in ((done(3), [4, 5, 7]), (done(3, 1), [4, 5, 7]), (done(3, complete=False), [4, 5, 6]), (done(2), [4, 5, 6]),
                           (done(3, reached="2026-11-23T08:41:00.000000001Z"), [4, 5, 6])):
        with pytest.raises(AssertionError):
            assert_part(event, numbers, sent)


def test_links_can_be_renamed_deleted_and_lose_their_offloads(pair):
    here, _ = pair
    assert not here.offload("eth0", "gso")
    here.set_offloads("eth0", gso=True)
    assert here.offload("eth0", "gso")
    here.rename_link("eth0", "wan0")
    assert here.counters("wan0")["rx"]["packets"] == 0
    here.delete_link("wan0")
    with pytest.raises(RuntimeError):
        here.counters("wan0")


def test_tun_carries_packets_in(netns):
    here = netns()
    tun = here.add_tun("tun0")
    tun.write(bytes.fromhex("4500001c000000004011000001020304050607080001000200080000"))
    assert here.counters("tun0")["rx"]["packets"] == 1


def test_namespaces_of_dead_runs_are_removed():
    from lib import netns as module
    dead = subprocess.Popen(["true"])
    dead.wait()
    name = f"pcd{dead.pid}-1-left"
    subprocess.run(["ip", "netns", "add", name], check=True)
    module.remove_stale()
    assert name not in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout


def test_subscriber_is_back_before_a_restarted_redis_opens_tcp(netns, tmp_path):
    here = netns()
    with RedisServer(tmp_path, here, port=6400, password="secret", users=["bob on >word ~* &* +@all"]) as server:
        events = Events(server)
        with server.client() as client:
            client.publish("capture:events", '{"event":"one"}')
        events.wait(lambda event: event["event"] == "one")
        events.expect_restart()
        server.stop()
        server.start(tcp=False)
        events.wait_subscribed()
        server.open_tcp()
        assert "PONG" in here.run("redis-cli", "-p", "6400", "--user", "bob", "--pass", "word", "ping").stdout
        server.pause()
        server.resume()
        with server.client() as client:
            client.publish("capture:events", '{"event":"two"}')
        events.wait(lambda event: event["event"] == "two")
        events.close()
