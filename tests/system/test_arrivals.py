# SPDX-License-Identifier: BSD-2-Clause
"""Windows go by when packets arrived. A sender on the same host can stamp its packets as it likes (SO_TXTIME); such a stamp stays in the
file, is counted, and moves neither the end of a capture nor its other packets."""

import json
import time

import pytest

from lib.events import NOTHING
from lib.history import ns, recorder, rfc3339
from lib.world import World

YEAR_2100_NS = 4102444800 * 10**9

# Sends frames from the host's own end of the pair, because stamps do not cross namespaces. argv: interface, first number, JSON list of stamps:
# 0 means no stamp, "+N" and "-N" are relative to now. Frames look like those of send_packets: the number follows "pcapdseq".
SENDER = """
import json, socket, struct, sys, time
SO_TXTIME = 61
interface, first, stamps = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.setsockopt(socket.SOL_SOCKET, SO_TXTIME, struct.pack("iI", time.CLOCK_REALTIME, 0))
sender.bind((interface, 0))
for number, stamp in enumerate(stamps, first):
    payload = b"pcapdseq" + struct.pack("!Q", number) + bytes(40)
    udp = struct.pack("!HHHH", 20000, 10000, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes([198, 18, 0, 1]), bytes([198, 18, 0, 2]))
    frame = bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]) + b"\\x08\\x00" + ip + udp
    if isinstance(stamp, str):
        stamp = time.time_ns() + int(stamp)
    sender.sendmsg([frame], [(socket.SOL_SOCKET, SO_TXTIME, struct.pack("Q", stamp))] if stamp else [])
"""


def send_stamped(netns, interface, stamps, first=0):
    netns.run("/usr/bin/python3", "-c", SENDER, interface, str(first), json.dumps(stamps))


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    """A recorder on s1, whose peer s0 is in the same namespace: stamps do not cross namespaces."""
    world = World(tmp_path_factory.mktemp("world"), recorder("32MiB", interfaces=["s1"]), start=False)
    with world:
        world.host.run("ip", "link", "add", "s0", "type", "veth", "peer", "name", "s1")
        for name in "s0", "s1":
            world.host.run("ip", "link", "set", name, "arp", "off", "up")
        world.daemon.start()
        yield world


def capture(world, **fields):
    return world.capture(interface=["s1"], bpf="udp dst port 10000", **fields)


def stamps_of(world, request):
    return [packet.time_ns for packet in world.file(request, "s1").packets]


def test_one_odd_stamp_does_not_end_a_capture(world):
    requests = [capture(world, duration=3) for _ in range(10)]
    send_stamped(world.host, "s0", [1])
    begin = time.monotonic()
    send_stamped(world.host, "s0", [0, 0], first=1)
    for request in requests:
        done = request.done()
        assert (done["reason"], done["packets"], done["odd_stamps"]) == ("timeout", 3, 1), done
        assert done["window"]["complete"] is True and done["lost"] == NOTHING, done
        world.file(request, "s1").assert_numbers(0, 3)
        assert stamps_of(world, request)[0] == 1
    assert time.monotonic() - begin > 2


@pytest.mark.parametrize("stamp", ["+3600000000000", "-3600000000000", 1, YEAR_2100_NS], ids=["an hour on", "an hour ago", "1970", "2100"])
@pytest.mark.parametrize("past", [False, True], ids=["live", "history"])
def test_a_burst_with_one_odd_stamp_is_complete(world, stamp, past):
    count, odd = 200, 77
    stamps = [0] * odd + [stamp] + [0] * (count - odd - 1)
    mark = time.time_ns()
    request = None if past else capture(world, duration=1.5)
    send_stamped(world.host, "s0", stamps, first=1000)
    request = request or capture(world, **{"from": rfc3339(mark), "duration": 1})
    done = request.done()
    assert (done["packets"], done["odd_stamps"], done["lost"]) == (count, 1, NOTHING), done
    assert done["window"]["complete"] is True, done
    assert mark <= ns(done["first"]) <= ns(done["last"]) <= time.time_ns()
    file = world.file(request, "s1")
    assert file.numbers == list(range(1000, 1000 + count))  # in order of arrival
    kept = file.packets[odd].time_ns
    assert abs(kept - (stamp if isinstance(stamp, int) else mark + int(stamp))) < 60 * 10**9


def test_odd_stamps_do_not_count_toward_an_idle_limit(world):
    request = capture(world, timeout=5, duration=60)
    send_stamped(world.host, "s0", [0, "+3600000000000", "-3600000000000", 0])
    done = request.done()
    assert (done["reason"], done["packets"], done["odd_stamps"]) == ("idle", 4, 2), done
    assert done["window"]["complete"] is True, done


def test_odd_stamps_do_not_disturb_the_order_of_a_merged_file(world):
    request = world.capture(captures=1, interface=["s0", "s1"], merge=True, bpf="udp dst port 10000", packets=10, duration=10)
    send_stamped(world.host, "s0", [0, 1, 0, YEAR_2100_NS, 0])
    done = request.done()
    assert (done["reason"], done["packets"]) == ("packets", 10), done
    numbers = world.file(request).numbers
    assert sorted(numbers) == sorted(list(range(5)) * 2)
    assert ns(done["window"]["to"]) <= time.time_ns()
