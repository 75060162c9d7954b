# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the flight recorder share: its configuration, times, and what a window must hold according to a reference."""

import calendar
import random
import re
import signal
import time

from .events import NOTHING
from .waiting import until

GENEROUS = {"general": {"maxpackets": 10_000_000, "maxbytes": 2**32}, "limits": {"memory": "1GiB"}}
NS = 1_000_000_000
EDGE_NS = 2_000  # times of an answer are those of another clock, turned over: a packet so near to an edge may be on either side


def recorder(memory="32MiB", interfaces=("eth0",), **history):
    """A World's configuration with the recorder on."""
    return {**GENEROUS, "history": {"interfaces": list(interfaces), "memory": memory, **history}}


def ns(text):
    """RFC 3339 in UTC → nanoseconds since 1970, exact."""
    match = re.fullmatch(r"(\d+-\d+-\d+T\d+:\d+:\d+)(?:\.(\d{1,9}))?Z", text)
    assert match, f"no time: {text!r}"
    return calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S")) * NS + int((match[2] or "0").ljust(9, "0"))


def rfc3339(time_ns):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ns // NS)) + f".{time_ns % NS:09d}Z"


def window(event, name):
    return ns(event["window"][name])


def assert_contiguous(file):
    """No gap, none twice, in the order of time. Returns the first number and how many there are."""
    numbers = file.numbers
    assert numbers, "no packets"
    file.assert_numbers(numbers[0], len(numbers))
    file.assert_time_order()
    return numbers[0], len(numbers)


def numbers_between(reference, from_ns, to_ns):
    return [packet.number for packet in reference.packets if from_ns <= packet.time_ns <= to_ns]


def assert_holds_window(file, event, reference, from_ns=None, to_ns=None):
    """The file holds what the reference (a capture file with the same stamps, of everything) has between the two moments, by
    default those of the answer: the asked beginning, and the end."""
    from_ns = window(event, "asked_from") if from_ns is None else from_ns
    to_ns = window(event, "to") if to_ns is None else to_ns
    at_least = numbers_between(reference, from_ns + EDGE_NS, to_ns - EDGE_NS)
    at_most = numbers_between(reference, from_ns - EDGE_NS, to_ns + EDGE_NS)
    numbers = file.numbers
    missing, strange = sorted(set(at_least) - set(numbers)), sorted(set(numbers) - set(at_most))
    assert not missing and not strange, (f"{len(missing)} missing {missing[:5]}, {len(strange)} that do not belong {strange[:5]}, "
                                         f"of {at_least[:1]}…{at_least[-1:]}; {event}")
    if numbers:
        assert_contiguous(file)


def status(world, interface="eth0"):
    """The fields of an interface's line in answer to SIGUSR1."""
    since = world.daemon.mark()
    world.daemon.signal(signal.SIGUSR1)
    world.daemon.wait_log("status", since=since)
    lines = [line for line in world.daemon.log("status-interface")[-64:] if line.fields["interface"] == interface]
    assert lines, f"no status of {interface}: {world.daemon.tail(5)}"
    return lines[-1].fields


def at_random(earliest, latest):
    """The random instant of a test; nothing is waited for by it."""
    instant = random.uniform(earliest, latest)
    print(f"the request comes {instant:.4f} s after the first packet")
    time.sleep(instant)


def wait_taken_over(world):
    """Until the ring thread is through with what was sent: what it takes over pushes out what is oldest."""
    seen = []

    def stands_still():
        seen.append(status(world)["packets"])
        return seen[-2:-1] == seen[-1:]

    until(stands_still, 20, "all blocks to be taken over", interval=0.2)


def reachable_share(world, rate, size, total):
    """Of the configured memory, once `total` MiB have gone through it: packets with their header in the ring (82 bytes), in
    steps of 8 bytes as the kernel lays them."""
    slot = (size + 82 + 7) // 8 * 8
    world.sender.send(int(total * 2**20) // slot, rate=rate, size=size)
    wait_taken_over(world)
    now = time.time_ns()
    event = world.request(**{"from": rfc3339(now - 100 * NS), "to": rfc3339(now)}, snap=64).done()
    assert event["lost"] == NOTHING, event
    return event["packets"] * slot / int(status(world)["ring_bytes"])
