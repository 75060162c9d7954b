# SPDX-License-Identifier: BSD-2-Clause
"""scripts/demo judges its own files; here it must succeed, and show what it promises."""

import os
import subprocess

from lib import pcapctl
from lib.daemon import PROGRAM, ROOT
from lib.waiting import seconds


def test_the_demo_shows_a_request_and_two_alerts():
    environment = pcapctl.environment(PCAPDAEMON=PROGRAM, PCAPCTL=pcapctl.PROGRAM)
    done = subprocess.run([os.path.join(ROOT, "scripts", "demo")], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=seconds(60))
    assert done.returncode == 0, done.stdout
    for shown in ("Requested 50 packets to port 7000; exactly these 50 were delivered", "AP  uid=0(root) gid=0(root)", "AP  503 Service Unavailable",
                  "Each alert became the packets of its flow, from before the alert."):
        assert shown in done.stdout, done.stdout
