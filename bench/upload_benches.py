# SPDX-License-Identifier: BSD-2-Clause
"""Benchmark of uploads: the same bytes over loopback TLS by a sink and by `curl -T`, to a server that throws them away."""

import contextlib
import os
import resource
import subprocess
import tempfile
import time

from lib.daemon import PROGRAM
from measure import medians
from report import Column, Table, number
from testbed import TMPFS

HERE = os.path.dirname(os.path.abspath(__file__))
PROBE = os.path.join(os.path.dirname(PROGRAM), "tests", "probes", "upload_probe")


@contextlib.contextmanager
def discarding(directory):
    """The server's port."""
    certificate, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
                    "-days", "2", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    server = subprocess.Popen(["/usr/bin/python3", os.path.join(HERE, "discard_server.py"), certificate, key], stdout=subprocess.PIPE, text=True)
    try:
        yield int(server.stdout.readline())
    finally:
        server.kill()
        server.communicate()


def timed(command):
    """Runs it; returns its seconds and CPU-seconds."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": time.monotonic() - begin, "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def upload(settings):
    samples = []
    with tempfile.TemporaryDirectory(prefix="pcapdaemon-bench-", dir=TMPFS) as directory, discarding(directory) as port:
        path = os.path.join(directory, "made.pcap")
        with open(path, "wb") as file:
            block = os.urandom(1 << 20)
            for _ in range(settings.upload_bytes >> 20):
                file.write(block)
        contenders = {
            "curl -T": ["curl", "-k", "-s", "-S", "-f", "-T", path, f"https://127.0.0.1:{port}/made.pcap"],
            "sink s3": [PROBE, "--s3-endpoint", f"https://127.0.0.1:{port}", "--no-verify", "--s3-bucket", "bench", "--s3-id", "id", "--s3-secret",
                        "secret", path],
        }
        for _ in range(settings.repetitions):
            for label, command in contenders.items():
                settings.report_progress(f"upload: {label}")
                samples.append({"label": label, **timed(command)})
    rows = [medians([sample for sample in samples if sample["label"] == label]) for label in contenders]
    for row in rows:
        row |= {"rate": settings.upload_bytes / row["seconds"], "cpu_per_gb": row["cpu_s"] * 1e9 / settings.upload_bytes,
                "ratio": rows[0]["seconds"] / row["seconds"]}
    return [Table("upload", f"Upload of {settings.upload_bytes >> 20} MiB over loopback TLS, to a server that throws it away",
                  [Column("label", ""), Column("seconds", "s", number(2)), Column("rate", "GB/s", number(2, 1e-9)),
                   Column("ratio", "of curl's rate", number(2)), Column("cpu_per_gb", "CPU-s a GB", number(2))], rows,
                  "The file is in tmpfs. The sink's program reads it into memory first, which counts; it hashes every byte, and sends three "
                  "parts at a time.", samples=samples)]
