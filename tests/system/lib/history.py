# SPDX-License-Identifier: BSD-2-Clause
"""Shared by the tests of the recorder: its configuration, times, and checks of a window against a reference."""

import calendar
import random
import re
import time

from .account import Arrivals, status  # noqa: F401

GENEROUS = {"general": {"maxpackets": 10_000_000, "maxbytes": 2**32}, "limits": {"memory": "1GiB"}}
NS = 1_000_000_000
EDGE_NS = 2_000  # an answer's times are converted from another clock: a packet this close to an edge may be on either side


def recorder(memory="32MiB", interfaces=("eth0",), **history):
    """A World's configuration with the recorder on."""
    return {**GENEROUS, "history": {"interfaces": list(interfaces), "memory": memory, **history}}


def ns(text):
    """Converts RFC 3339 in UTC to nanoseconds since 1970, exactly."""
    match = re.fullmatch(r"(\d+-\d+-\d+T\d+:\d+:\d+)(?:\.(\d{1,9}))?Z", text)
    assert match, f"not a time: {text!r}"
    return calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S")) * NS + int((match[2] or "0").ljust(9, "0"))


def rfc3339(time_ns):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ns // NS)) + f".{time_ns % NS:09d}Z"


def window(event, name):
    return ns(event["window"][name])


def assert_contiguous(file):
    """The packets have no gap, no duplicate, and are in time order. Returns the first number and the count."""
    numbers = file.numbers
    assert numbers, "no packets"
    file.assert_numbers(numbers[0], len(numbers))
    file.assert_time_order()
    return numbers[0], len(numbers)


def numbers_between(reference, from_ns, to_ns):
    return [packet.number for packet in reference.packets if from_ns <= packet.time_ns <= to_ns]


def assert_inside(file, from_ns, to_ns):
    """All packets lie between these times, in time order."""
    strange = [packet.number for packet in file.packets if not from_ns - EDGE_NS <= packet.time_ns <= to_ns + EDGE_NS]
    assert not strange, f"{len(strange)} outside the window: {strange[:5]}"
    file.assert_time_order()


def assert_holds_window(file, event, reference, from_ns=None, to_ns=None):
    """The file holds the packets that the reference (a complete capture file with the same timestamps) has between two times, by default
    the requested beginning and the end in the event."""
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
    """Sleeps to place the request at a random instant; not a wait for something."""
    instant = random.uniform(earliest, latest)
    print(f"the request comes {instant:.4f} s after the first packet")
    time.sleep(instant)


def slot_bytes(size):
    """Size of a packet in the ring: with its header (82 bytes), aligned to 8 bytes as the kernel does."""
    return (size + 82 + 7) // 8 * 8


def fill(world, total, size, interface="eth0", sender=None, first=0, **options):
    """Sends `total` bytes of ring memory in portions (an eighth of the ring) for which the kernel has room even if the daemon sleeps, so
    that it drops nothing. Returns the number of packets."""
    sender = sender or world.sender
    arrivals = Arrivals(world, interface)
    portion = max(int(status(world, interface)["ring_bytes"]) // 8 // slot_bytes(size), 1)
    count, sent = max(int(total) // slot_bytes(size), 1), 0
    while sent < count:
        sent += sender.send(min(portion, count - sent), size=size, first=first + sent, **options)["sent"]
        arrivals.settle()
    return sent


def reachable_share(world, rate, size, total, **request):
    """The reachable share of a new ring's configured memory after `total` MiB have passed through it."""
    arrivals, count = Arrivals(world), int(total * 2**20) // slot_bytes(size)
    while (taken := arrivals.accounted() - arrivals.dropped()) < count:  # dropped packets did not pass through it
        world.sender.send(count - taken, rate=rate, size=size)
        arrivals.settle()
    now = time.time_ns()
    event = world.request(**{"from": rfc3339(now - 100 * NS), "to": rfc3339(now)}, snap=64, **request).done(timeout=60)
    assert event["lost"]["evicted"] == event["lost"]["memory"] == 0 and event["lost"]["kernel"] <= arrivals.dropped(), event
    return event["packets"] * slot_bytes(size) / int(status(world)["ring_bytes"])
