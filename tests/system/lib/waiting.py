# SPDX-License-Identifier: BSD-2-Clause
"""Deadlines. Nothing here sleeps for a fixed time to let something happen: it waits for the thing, and says what it saw if it
never came. PCAPDAEMON_PATIENCE stretches every deadline (sanitizers, a busy machine)."""

import os
import time

PATIENCE = float(os.environ.get("PCAPDAEMON_PATIENCE", "1"))


def seconds(value):
    """A deadline of so many seconds on an idle machine, stretched."""
    return value * PATIENCE


def until(condition, timeout=10, what=None, interval=0.005):
    """Calls condition() until it is true and returns its value."""
    deadline = time.monotonic() + seconds(timeout)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds(timeout):g} s in vain for {what or condition}")
        time.sleep(interval)
