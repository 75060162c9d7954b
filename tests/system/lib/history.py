# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the flight recorder share: its configuration, times, and what a window must hold according to a reference."""

import calendar
import random
import re
import time

from .account import Arrivals, status  # noqa: F401

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


def assert_inside(file, from_ns, to_ns):
    """All of its packets lie between these moments, in the order of time."""
    strange = [packet.number for packet in file.packets if not from_ns - EDGE_NS <= packet.time_ns <= to_ns + EDGE_NS]
    assert not strange, f"{len(strange)} that do not belong: {strange[:5]}"
    file.assert_time_order()


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


def at_random(earliest, latest):
    """The random instant of a test; nothing is waited for by it."""
    instant = random.uniform(earliest, latest)
    print(f"the request comes {instant:.4f} s after the first packet")
    time.sleep(instant)


def slot_bytes(size):
    """What a packet takes in the ring: with its header (82 bytes), in steps of 8 bytes as the kernel lays them."""
    return (size + 82 + 7) // 8 * 8


def fill(world, total, size, interface="eth0", sender=None, first=0, **options):
    """`total` bytes of ring pass by, in portions for which the kernel has room (a quarter of the ring) even if the daemon sleeps: none is
    dropped. Returns how many packets that is."""
    sender = sender or world.sender
    arrivals = Arrivals(world, interface)
    portion = max(int(status(world, interface)["ring_bytes"]) // 8 // slot_bytes(size), 1)
    count, sent = max(int(total) // slot_bytes(size), 1), 0
    while sent < count:
        sent += sender.send(min(portion, count - sent), size=size, first=first + sent, **options)["sent"]
        arrivals.settle()
    return sent


def reachable_share(world, rate, size, total, **request):
    """Of the configured memory of a ring that is new, once `total` MiB have gone through it."""
    arrivals, count = Arrivals(world), int(total * 2**20) // slot_bytes(size)
    while (taken := arrivals.accounted() - arrivals.dropped()) < count:  # what was dropped did not go through it
        world.sender.send(count - taken, rate=rate, size=size)
        arrivals.settle()
    now = time.time_ns()
    event = world.request(**{"from": rfc3339(now - 100 * NS), "to": rfc3339(now)}, snap=64, **request).done(timeout=60)
    assert event["lost"]["evicted"] == event["lost"]["memory"] == 0 and event["lost"]["kernel"] <= arrivals.dropped(), event
    return event["packets"] * slot_bytes(size) / int(status(world)["ring_bytes"])
