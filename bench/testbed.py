# SPDX-License-Identifier: BSD-2-Clause
"""The test bed, the same as the system tests': two namespaces with veth pairs between them, a private Redis, the daemon, and
files on tmpfs."""

import contextlib
import os
import subprocess
import tempfile

from lib.daemon import PROGRAM, ROOT, Daemon
from lib.netns import remove_stale
from lib.world import World

TMPFS = "/dev/shm"
PORT = 10000  # the first destination port of the traffic
GIB = 1 << 30

# So that only a capture's own limits, or the recorder's, end it.
GENEROUS_LIMITS = {"general": {"writelocal": False, "maxpackets": 100_000_000, "maxbytes": 2 * GIB}, "limits": {"memory": "2GiB"}}


@contextlib.contextmanager
def testbed(config=None, **options):
    """A test bed whose daemon is not started; always removed afterwards, with its files."""
    remove_stale()
    with tempfile.TemporaryDirectory(prefix="pcapdaemon-bench-", dir=TMPFS) as directory:
        with World(directory, config or GENEROUS_LIMITS, start=False, **options) as world:
            yield world


def start(world, config=None):
    """Starts the daemon, with sections of its configuration replaced."""
    world.daemon.config = {**world.config, **(config or {})}
    world.daemon.start(subscribed=True)
    return world.daemon.pid


def history(memory="1GiB", seconds=0):
    return {"history": {"interfaces": ["eth0"], "memory": memory, "seconds": seconds}}


def recording(world, memory="1GiB"):
    """The recorder on, and captured files on tmpfs."""
    return {**history(memory), **to_tmpfs(world)}


def warm(memory):
    """Maps and touches this much packet memory at start."""
    return {"limits": {**GENEROUS_LIMITS["limits"], "warm_memory": memory}}


def wait_for_warm_memory(world):
    """Waits until the daemon has touched its warm memory, if any is configured."""
    if "warm_memory" in world.daemon.config.get("limits", {}):
        world.daemon.wait_log("warm-memory-ready", 60)


def to_tmpfs(world):
    """Files on tmpfs."""
    return {"general": {**world.config["general"], "writelocal": True, "localdir": world.directory}}


def remove_files(world):
    for name in os.listdir(world.directory):
        os.unlink(os.path.join(world.directory, name))


def accepts(config):
    """Whether the daemon accepts the configuration."""
    with tempfile.TemporaryDirectory() as directory:
        command = Daemon(directory, config, ["-check"]).command()
        return subprocess.run(command, capture_output=True, timeout=30).returncode == 0


def has_recorder():
    """Whether the daemon accepts a [history] section."""
    return accepts(history("64MiB"))


def has_warm_memory():
    """Whether the daemon accepts limits.warm_memory."""
    return accepts(warm("64MiB"))


def probe(name):
    """A program of tests/probes from the build directory of the measured daemon, rebuilt if possible."""
    build = os.path.dirname(PROGRAM)
    path = os.path.join(build, "tests", "probes", name)
    if os.path.exists(os.path.join(build, "build.ninja")):
        subprocess.run(["ninja", "-C", build, f"tests/probes/{name}"], capture_output=True, timeout=300)
    if not os.access(path, os.X_OK):
        raise SystemExit(f"bench: {path} is missing (meson compile -C {os.path.relpath(build, ROOT)})")
    return path


def filters(count):
    return [f"udp dst port {PORT + i}" for i in range(count)]


def ports(count):
    """For the sender: packet n goes to port PORT + n % count."""
    return f"{PORT}-{PORT + count - 1}"


def expected(sent, port_count, filter_count):
    """The number of `sent` packets that the first `filter_count` filters match together."""
    rounds, rest = divmod(sent, port_count)
    return rounds * filter_count + min(rest, filter_count)
