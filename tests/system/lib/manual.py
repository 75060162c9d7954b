# SPDX-License-Identifier: BSD-2-Clause
"""Examples in the manual, so that tests run what users read."""

import os
import re

from .daemon import ROOT


def example(containing, page="pcapdaemon.8.in"):
    """The one literal block of the manual that has this text, as a reader sees it."""
    with open(os.path.join(ROOT, "docs", page), encoding="utf-8") as file:
        blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", file.read(), re.S | re.M)
    found = [block for block in blocks if containing in block]
    assert len(found) == 1, f"{len(found)} examples with {containing!r}"
    return found[0].replace("\\e", "\\")
