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
