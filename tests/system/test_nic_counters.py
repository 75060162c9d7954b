# SPDX-License-Identifier: BSD-2-Clause
"""What the interface lost before a packet socket could see it is in the event and in the file; what it lost at other times is not."""

import time

import pytest

from lib.history import recorder, rfc3339
from lib.pcapfile import CaptureFile, fields, judge

IPV4 = bytes.fromhex("4500001c00010000401100000a0000010a000002") + bytes(8)
BROKEN = b"\x00" + bytes(40)  # no IP version: a tun drops it before anyone sees it


@pytest.fixture
def tun_world(make_world):
    world = make_world(pairs=1)
    return world, world.host.add_tun("tun0")


def lose(tun, count):
    for _ in range(count):
        try:
            tun.write(BROKEN)
        except OSError:
            continue
        raise AssertionError("it was taken")


def test_drops_during_a_capture_are_reported(tun_world):
    world, tun = tun_world
    lose(tun, 5)
    request = world.capture(interface=["tun0"], packets=3, timeout=30)
    lose(tun, 7)
    for _ in range(3):
        tun.write(IPV4)
    done = request.done()
    assert done["nic"] == {"rx_dropped": 7} and done["lost"] == {"kernel": 0, "evicted": 0, "memory": 0}, done
    assert done["window"]["complete"] is True
    assert world.file(request).interfaces[0].statistics_comment == "nic rx_dropped: 7"
    judge(world.path(request))
    lose(tun, 5)
    assert "nic" not in world.request(interface=["tun0"], timeout=0.3).done()


def test_merged_capture_reports_the_sum_and_each_interface_its_own(tun_world):
    world, tun = tun_world
    other = world.host.add_tun("tun1")
    request = world.capture(captures=1, interface=["tun0", "tun1"], merge=True, packets=2, timeout=30)
    lose(tun, 3)
    lose(other, 4)
    tun.write(IPV4)
    other.write(IPV4)
    done = request.done()
    assert done["nic"] == {"rx_dropped": 7}, done
    comments = {interface.name: interface.statistics_comment for interface in world.file(request).interfaces}
    assert comments == {"tun0": "nic rx_dropped: 3", "tun1": "nic rx_dropped: 4"}
    assert len(fields(world.path(request), "frame.number")) == 2  # libpcap 1.10 reads no file of several interfaces of raw IP


def test_history_does_not_count_what_was_lost_later(make_world):
    world = make_world(recorder(interfaces=("tun0",)))
    tun = world.host.add_tun("tun0")
    world.daemon.wait_log("recording", interface="tun0")
    begin = time.time_ns()
    for _ in range(3):
        tun.write(IPV4)
    lose(tun, 4)
    request = world.request(**{"interface": ["tun0"], "from": rfc3339(begin), "to": rfc3339(time.time_ns())})
    lose(tun, 5)
    assert "nic" not in request.done()
    live = world.capture(interface=["tun0"], before=10, packets=4, timeout=30)
    lose(tun, 6)
    tun.write(IPV4)
    assert live.done()["nic"] == {"rx_dropped": 6}
    assert not CaptureFile(world.api.get("/v1/history?interface=tun0&last=60s").expect(200).body).interfaces[0].statistics_comment


def test_interface_that_vanishes_has_no_count(tun_world):
    world, tun = tun_world
    request = world.capture(interface=["tun0"], timeout=30)
    lose(tun, 3)
    tun.close()
    done = request.done()
    assert done["reason"] in ("interface-gone", "empty") and "nic" not in done
