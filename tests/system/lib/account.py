# SPDX-License-Identifier: BSD-2-Clause
"""Accounts for packets. On any machine, each packet that reached the interface is in the file or counted in `lost`, none is there twice,
all are in order, and `complete` reports whether any is missing. How many are lost is for the benchmark to show."""

import signal

from .waiting import until


def status(world, interface="eth0"):
    """The fields of the interface's status line, logged on SIGUSR1."""
    since = world.daemon.mark()
    world.daemon.signal(signal.SIGUSR1)
    world.daemon.wait_log("status", since=since)
    lines = [line for line in world.daemon.log("status-interface", since) if line.fields["interface"] == interface]
    assert lines, f"no status of {interface}: {world.daemon.tail(5)}"
    return lines[-1].fields


class Arrivals:
    """Counts packets that reach an interface from now on, by the kernel's counters, and how the daemon's ring accounts for them. The ring
    must be open and unfiltered, and must have taken over all earlier packets. The kernel counts what a packet socket can see, not what a
    full input queue discarded before."""

    def __init__(self, world, interface="eth0"):
        self.world, self.interface = world, interface
        self._before, self._ring_before = self._counter(), self._ring()
        self.dropped_before = int(status(world, interface)["dropped"])

    def _counter(self):
        return self.world.host.counters(self.interface)["rx"]["packets"]

    def _ring(self):
        fields = status(self.world, self.interface)
        return int(fields["packets"]) + int(fields["dropped"])

    def count(self):
        return self._counter() - self._before

    def accounted(self):
        """Number of these packets in retired blocks or counted as dropped."""
        return self._ring() - self._ring_before

    def dropped(self):
        return int(status(self.world, self.interface)["dropped"]) - self.dropped_before

    def settle(self, timeout=30):
        """Call after the last packet was sent. Waits until the ring accounts for every packet; returns how many arrived."""
        came = self.count()
        seen = []
        until(lambda: seen.append(self.accounted()) or seen[-1] >= came, timeout,
              f"{came} packets to be in the ring or dropped; {seen[-3:]}", interval=0.02)
        assert seen[-1] == came == self.count(), f"{came} packets arrived, the ring accounts for {seen[-1]}"
        return came


def lost(event):
    return sum(event["lost"].values())


def assert_ascending(numbers, sent):
    """The numbers ascend, none is repeated, and all are in the range `sent`."""
    wrong = [pair for pair in zip(numbers, numbers[1:]) if pair[0] >= pair[1]]
    assert not wrong, f"{len(wrong)} twice or out of order: {wrong[:5]}"
    strange = [number for number in numbers if number not in sent]
    assert not strange, f"{len(strange)} never sent: {strange[:5]}"


def assert_exact(event, numbers, sent, arrived, dropped_before=0):
    """Checks a capture that began before the first packet and ended after the last. dropped_before: packets the ring had dropped
    before; a window of history may count them, too."""
    assert_ascending(numbers, sent)
    missing, reported = arrived - len(numbers), lost(event)
    assert event["packets"] == len(numbers), event
    assert missing <= reported <= missing + dropped_before, f"{missing} of {arrived} missing (dropped before: {dropped_before}): {event}"
    assert event["window"]["complete"] is (reported == 0), event


def assert_part(event, numbers, sent, not_arrived=0):
    """Checks a capture that began or ended amid the packets. not_arrived: packets that were sent but did not reach the interface."""
    assert_ascending(numbers, sent)
    holes, reported = numbers[-1] - numbers[0] + 1 - len(numbers), lost(event)
    assert event["packets"] == len(numbers), event
    assert holes <= reported + not_arrived, f"{holes} are missing, {not_arrived} did not arrive: {event}"
    reaches_back = event["window"]["from"] <= event["window"]["asked_from"]
    assert event["window"]["complete"] is (reported == 0 and reaches_back), event
