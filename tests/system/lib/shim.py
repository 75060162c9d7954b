# SPDX-License-Identifier: BSD-2-Clause
"""Libraries that stand between a program and libc (LD_PRELOAD), for what a test cannot do to a kernel."""

import os
import subprocess

import pytest

from .daemon import is_sanitized


def make_shim(directory, source):
    """Compiles C into a shared library; returns the environment that loads it. Where the daemon has a sanitizer the test is left out."""
    if is_sanitized():
        pytest.skip("a sanitizer's runtime must be the first library")
    code, library = os.path.join(directory, "shim.c"), os.path.join(directory, "shim.so")
    with open(code, "w") as file:
        file.write(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, code], check=True)
    return {"LD_PRELOAD": library}
