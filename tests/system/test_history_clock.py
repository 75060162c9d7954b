# SPDX-License-Identifier: BSD-2-Clause
"""Clocks: windows follow the time that really passed, whatever happens to the clock, or events report that they may not.

A test must not set its machine's clock. Two things stand in for that: a time namespace in which the machine seems to have slept for a long
time, and a daemon for which time passes while the clock stands still, as it does for a daemon whose clock is set back."""

import mmap
import os
import struct
import time

import pytest

from lib.events import NOTHING
from lib.history import NS, recorder, rfc3339, status, window
from lib.shim import make_shim
from lib.waiting import until

ASLEEP_S = 100 * 86400
SET_BACK_S = 40


def capture_history(world, **options):
    request = world.request(**options)
    event = request.done()
    return event, world.file(request).numbers if event["packets"] else []


def wait_retired(world, count):
    until(lambda: status(world)["packets"] == str(count), what=f"{count} packets in retired blocks")


# --- after sleep: boot time differs from monotonic time ---

@pytest.fixture
def slept(make_world):
    def make(**history):
        world = make_world(recorder(**history), wrapper=["unshare", "--time", "--boottime", str(ASLEEP_S), "--fork", "--kill-child", "--"])
        assert os.readlink(f"/proc/{world.daemon.pid}/ns/time") != os.readlink("/proc/self/ns/time")
        return world
    return make


def test_history_and_live_are_exact_on_a_machine_that_has_slept(slept):
    world = slept()
    mark = time.time_ns()
    world.sender.send(30, rate=2000)
    request = world.capture(before=10, timeout=3)
    world.sender.send(30, rate=2000, first=30)
    event = request.done()
    assert window(event, "to") - window(event, "asked_from") == 13 * NS
    assert (event["reason"], event["packets"], event["lost"]["evicted"]) == ("timeout", 60, 0), event
    world.file(request).assert_numbers(0, 60)
    event, numbers = capture_history(world, **{"from": rfc3339(mark), "to": rfc3339(time.time_ns())})
    assert numbers == list(range(60)) and event["window"]["complete"] is True, event
    assert abs(window(event, "asked_from") - mark) < 10_000


def test_history_expires_on_time_on_a_machine_that_has_slept(slept):
    world = slept(seconds=3)
    world.sender.send(50, rate=5000)
    sent = time.monotonic()
    assert capture_history(world, before=20, timeout=0.1)[1] == list(range(50))
    until(lambda: not capture_history(world, before=20, timeout=0.1)[1], 20, "the packets to expire")
    assert time.monotonic() - sent > 2.9


# --- clock set back ---

SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
static long still;
static long *passed = &still; /* seconds that pass for the boot time only */
__attribute__((constructor)) static void begin(void)
{
	long *shared = mmap(0, sizeof(*shared), PROT_READ, MAP_SHARED, open(getenv("PASSED"), O_RDONLY | O_CLOEXEC), 0);
	if (shared == MAP_FAILED)
		abort();
	passed = shared;
}
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int r = ((int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime"))(clock, now);
	if (clock == CLOCK_BOOTTIME)
		now->tv_sec += *passed;
	return r;
}
int timerfd_settime(int fd, int flags, const struct itimerspec *wanted, struct itimerspec *old)
{
	struct itimerspec when = *wanted;
	if (flags & TFD_TIMER_ABSTIME && (when.it_value.tv_sec || when.it_value.tv_nsec)) {
		when.it_value.tv_sec -= *passed;
		if (when.it_value.tv_sec < 1)
			when.it_value.tv_sec = 1;
	}
	return ((int (*)(int, int, const struct itimerspec *, struct itimerspec *))dlsym(RTLD_NEXT, "timerfd_settime"))(
		fd, flags, &when, old);
}
"""


@pytest.fixture
def steppable(make_world, tmp_path):
    """A world, and a function that sets its daemon's clock back by SET_BACK_S once that much time has passed."""
    passed = tmp_path / "passed"
    passed.write_bytes(struct.pack("l", 0))
    world = make_world(recorder(), environment={**make_shim(tmp_path, SHIM), "PASSED": str(passed)})

    def set_back():
        with open(passed, "r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
            shared[:] = struct.pack("l", SET_BACK_S)
    return world, set_back


def test_window_after_a_clock_step_back_holds_only_its_own_packets(steppable):
    world, set_back = steppable
    world.sender.send(20, rate=2000)
    wait_retired(world, 20)
    set_back()
    world.sender.send(20, rate=2000, first=20)
    wait_retired(world, 40)
    event, numbers = capture_history(world, before=SET_BACK_S // 2, timeout=0.2)
    assert numbers == list(range(20, 40)), "packets with the same clock time from before the step"
    assert abs(window(event, "from") - (time.time_ns() - SET_BACK_S // 2 * NS)) < 5 * NS


def test_window_across_a_clock_step_back_is_whole_and_marked_uncertain(steppable):
    world, set_back = steppable
    world.sender.send(20, rate=2000)
    wait_retired(world, 20)
    set_back()
    world.sender.send(20, rate=2000, first=20)
    wait_retired(world, 40)
    event, numbers = capture_history(world, before=SET_BACK_S + 10, timeout=0.2)
    assert numbers == list(range(40))
    assert event["lost"] == NOTHING and event["window"]["complete"] is False, event


def test_limits_of_a_running_capture_follow_elapsed_time_not_the_clock(steppable):
    world, set_back = steppable
    world.sender.send(10, rate=2000)
    request = world.capture(before=10, timeout=SET_BACK_S - 1)  # so that the packet is later than reordering allows
    wait_retired(world, 10)
    began = time.monotonic()
    set_back()
    world.sender.send(1, first=10)  # makes the daemon read its clock
    event = request.done()
    assert (event["reason"], time.monotonic() - began < SET_BACK_S / 2) == ("timeout", True), event
    assert world.file(request).numbers[:10] == list(range(10))
