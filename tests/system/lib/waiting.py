# SPDX-License-Identifier: BSD-2-Clause
"""Deadlines. Instead of sleeping for a fixed time, tests wait for a condition and report what they saw if it never holds.
PCAPDAEMON_PATIENCE stretches every deadline (sanitizers, a busy machine)."""

import os
import time

PATIENCE = float(os.environ.get("PCAPDAEMON_PATIENCE", "1"))


def seconds(value):
    """Stretches a deadline that suits an idle machine."""
    return value * PATIENCE


def until(condition, timeout=10, what=None, interval=0.005):
    """Calls condition() until its value is true, and returns that value."""
    deadline = time.monotonic() + seconds(timeout)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds(timeout):g} s in vain for {what or condition}")
        time.sleep(interval)
