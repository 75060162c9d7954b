# SPDX-License-Identifier: BSD-2-Clause
"""LD_PRELOAD libraries between a program and libc, for kernel behaviour that a test cannot provoke."""

import os
import subprocess

import pytest

from .daemon import is_sanitized


def make_shim(directory, source):
    """Compiles C into a shared library; returns the environment that loads it. Skips the test if the daemon has a sanitizer."""
    if is_sanitized():
        pytest.skip("a sanitizer's runtime must be the first library")
    code, library = os.path.join(directory, "shim.c"), os.path.join(directory, "shim.so")
    with open(code, "w") as file:
        file.write(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, code], check=True)
    return {"LD_PRELOAD": library}


SHIFTED_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long shift(void)
{
	return strtol(getenv("CLOCK_SHIFT_S"), NULL, 10);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	int (*real)(struct timeval *, void *) = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
	int r = real(now, zone);

	now->tv_sec += shift();
	return r;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int r = real(clock, now);

	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		now->tv_sec += shift();
	return r;
}

time_t time(time_t *now)
{
	struct timespec exact;

	clock_gettime(CLOCK_REALTIME, &exact);
	if (now)
		*now = exact.tv_sec;
	return exact.tv_sec;
}
"""


def shifted_clock(directory, shift_s):
    """The environment of a program whose real time is `shift_s` ahead of the kernel's, which stamps packets. Skips the test if the daemon
    has a sanitizer."""
    return {**make_shim(directory, SHIFTED_CLOCK), "CLOCK_SHIFT_S": str(shift_s)}
