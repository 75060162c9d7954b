# SPDX-License-Identifier: BSD-2-Clause
"""tcpdump at the same time as the daemon, as a reference."""

import os
import subprocess
import tempfile

from .pcapfile import CaptureFile
from .waiting import seconds


class Tcpdump:
    """Captures an interface of `world.host` into memory, with packets cut at 128 bytes."""

    def __init__(self, world, interface):
        self.file = tempfile.NamedTemporaryFile(dir="/dev/shm", suffix=".pcap")
        self.process = world.host.popen("tcpdump", "-i", interface, "-p", "-n", "-s", "128", "-B", "65536", "--immediate-mode",
                                        "-U", "-Z", "root", "--time-stamp-precision=nano", "-w", self.file.name, "udp",
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        os.set_blocking(self.process.stderr.fileno(), True)
        for line in self.process.stderr:
            if b"listening on" in line:
                return
        raise AssertionError("tcpdump does not listen")

    def packets(self):
        self.process.terminate()
        self.process.communicate(timeout=seconds(10))
        return CaptureFile(self.file.name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self.file.close()
