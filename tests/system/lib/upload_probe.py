# SPDX-License-Identifier: BSD-2-Clause
"""tests/probes/upload_probe.c: delivers a file through the sinks without a daemon. Every run checks that it prints no secret."""

import json
import os
import struct
import subprocess

from .daemon import PROGRAM
from .waiting import seconds

PROBE = os.environ.get("UPLOAD_PROBE", os.path.join(os.path.dirname(PROGRAM), "tests", "probes", "upload_probe"))
NAME = "node-eth0-20261123T084100.123Z-id.pcap"
RECORD = 65536
HEADER = struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1)
CONTENT = HEADER + b"".join(struct.pack("<IIII", 1, 2, len(packet), len(packet)) + packet for packet in (b"x" * 60, bytes(range(256)) * 5))


class Outcome:
    def __init__(self, out, err):
        self.err = err
        *self.deliveries, self.end = [json.loads(line) for line in out.splitlines()]
        for delivery in self.deliveries:
            assert delivery["opens"] == delivery["closes"], delivery

    @property
    def only(self):
        """The result of the only delivery."""
        (delivery,) = self.deliveries
        (result,) = delivery["results"]
        return result


class Probe:
    def __init__(self, directory, secrets):
        self.secrets, self.path = secrets, directory / NAME
        self.path.write_bytes(CONTENT)

    def start(self, *options, attempts=3, leaks=False):
        """Delivers CONTENT as NAME, or with --size a generated file. `leaks`: a library does, and AddressSanitizer need not say so."""
        what = [] if "--size" in options else [self.path]
        command = [PROBE, "--attempts", attempts, "--first-backoff-ms", 1, "--max-backoff-ms", 4, "--copy-wait-ms", 1, *options, *what]
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        if leaks:
            environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def finish(self, process, timeout=60):
        try:
            out, err = process.communicate(timeout=seconds(timeout))
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"the probe did not end: {process.communicate()}") from None
        assert process.returncode == 0, (out, err)
        for secret in self.secrets:
            assert secret not in out and secret not in err, f"{secret} leaked: {out} {err}"
        return Outcome(out, err)

    def run(self, *options, **more):
        return self.finish(self.start(*options, **more))

    @staticmethod
    def made(size):
        """The content of a generated file (--size)."""
        total = len(HEADER) + (size // RECORD + 1) * RECORD
        cycle = bytes(range(256)) * (RECORD // 256 + 1)
        whole = bytearray(b"".join(cycle[number % 256:number % 256 + RECORD] for number in range(total // RECORD + 1)))[:total]
        whole[:len(HEADER)] = bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 00000400 01000000")
        for at in range(len(HEADER), total, RECORD):
            whole[at:at + 16] = bytes.fromhex("00000000 00000000 f0ff0000 f0ff0000")
        return bytes(whole)
