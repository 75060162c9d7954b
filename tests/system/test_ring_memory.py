# SPDX-License-Identifier: BSD-2-Clause
"""No ring takes memory that the host, or the cgroup, does not have left: it is smaller, or is not allocated at all, and everything says so."""

import subprocess

import pytest

from lib import daemon as daemon_module
from lib.host_memory import MIB, HostMemory
from lib.pcapctl import Pcapctl
from lib.shim import make_shim

RESERVE = 256 * MIB

# Writes down the size of each ring that is about to be allocated. With LEFT_KIB, other processes have taken all
# but that from then on.
RINGS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
	const struct tpacket_req3 *request = value;
	if (level == SOL_PACKET && option == PACKET_RX_RING) {
		char text[96];
		int list = open(getenv("RINGS"), O_WRONLY | O_CREAT | O_APPEND, 0600);
		snprintf(text, sizeof(text), "%lu\\n", (unsigned long)request->tp_block_size * request->tp_block_nr);
		if (write(list, text, strlen(text)) < 0)
			abort();
		close(list);
		if (getenv("LEFT_KIB")) {
			int meminfo = open("/proc/meminfo", O_WRONLY);
			snprintf(text, sizeof(text), "MemTotal: %15d kB\\nMemAvailable: %15ld kB\\n", 4 << 20, strtol(getenv("LEFT_KIB"), 0, 10));
			if (write(meminfo, text, strlen(text)) < 0)
				abort();
			close(meminfo);
		}
	}
	return ((int (*)(int, int, int, const void *, socklen_t))dlsym(RTLD_NEXT, "setsockopt"))(fd, level, option, value, size);
}
"""


class Rings:
    """The rings that a daemon has allocated, by their sizes."""

    def __init__(self, directory):
        self.path = directory / "rings"
        self.environment = {**make_shim(directory, RINGS), "RINGS": str(self.path)}

    @property
    def sizes(self):
        return [int(size) for size in self.path.read_text().split()] if self.path.exists() else []


@pytest.fixture
def rings(tmp_path):
    return Rings(tmp_path)


@pytest.fixture
def make_host(tmp_path):
    def make(available, **options):
        directory = tmp_path / "host"
        directory.mkdir()
        return HostMemory(directory, available, **options)

    return make


def recorder(memory, *interfaces, **limits):
    return {"history": {"interfaces": list(interfaces), "memory": memory}, "limits": {"ring_reserve": RESERVE, **limits}}


def metric(world, name, **labels):
    wanted = name + ("{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}" if labels else "") + " "
    lines = world.api.get("/metrics").expect(200).body.decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(wanted))


def interfaces_of(world, path):
    return {entry["name"]: entry for entry in world.api.get(path).expect(200).json["interfaces"]}


def test_ring_for_which_there_is_no_memory_is_not_allocated(make_world, make_host, rings):
    host = make_host(available=2048 * MIB)
    world = make_world({"limits": {"ring_reserve": RESERVE}}, pairs=2, wrapper=host.wrapper, environment=rings.environment)
    running = world.capture(packets=1, duration=60)
    assert rings.sizes == [64 * MIB]

    host.set_available(RESERVE + (100 << 10))
    refused = world.refused(interface=["eth1"], duration=60)
    assert refused["field"] == "interface" and "256 MiB stay free (limits.ring_reserve)" in refused["reason"], refused
    line = world.daemon.wait_log("ring-refused", interface="eth1")
    assert "limits.ring_reserve" in line.fields["error"]
    both = world.capture(captures=1, interface=["any"], merge=True, packets=1, duration=60)
    skipped = {item["interface"]: item["reason"] for item in both.answer()["skipped"]}
    assert skipped == {"lo": "memory", "eth1": "memory"}
    assert rings.sizes == [64 * MIB] and metric(world, "pcapdaemon_rings_refused_total") == 3

    world.sender.send(1)
    running.done()
    assert both.done()["skipped"] == both.answer()["skipped"]
    assert world.host.packet_sockets("eth0") == 1
    world.refused(interface=["eth1"], duration=60)
    assert world.host.packet_sockets("eth0") == 0, "the idle ring gives way"
    assert rings.sizes == [64 * MIB]

    host.set_available(RESERVE + 10 * MIB)
    world.assert_works()
    assert len(rings.sizes) == 2 and rings.sizes[1] <= 10 * MIB


def test_recorders_share_what_the_cgroup_leaves_and_say_so(make_world, make_host):
    """The kernel does not charge rings to a cgroup; the daemon keeps them within its limit all the same."""
    host = make_host(available=2048 * MIB, cgroup_limit=100 * MIB, cgroup_used=4 * MIB)
    world = make_world(recorder("64MiB", "eth0", "eth1", oom_score_adj=300), pairs=2, wrapper=host.wrapper)
    for name in ("eth0", "eth1"):
        line = world.daemon.wait_log("recorder-shrunk", interface=name)
        assert (int(line.fields["bytes"]), int(line.fields["asked"])) == (48 * MIB, 64 * MIB)
        assert "cgroup's limit of 100 MiB" in line.fields["reason"]
        for path in ("/v1/interfaces", "/v1/status"):
            entry = interfaces_of(world, path)[name]
            assert (entry["ring"], entry["ring_asked"]) == (48 * MIB, 64 * MIB)
        assert metric(world, "pcapdaemon_ring_size_bytes", interface=name) == 48 * MIB
        assert metric(world, "pcapdaemon_ring_asked_bytes", interface=name) == 64 * MIB
    assert metric(world, "pcapdaemon_rings_shrunk_total") == 2
    assert world.daemon.wait_log("memory-exceeds-host").fields["warning"].endswith("the cgroup's limit is 100 MiB")
    status = Pcapctl("--socket", world.api.path, "status", netns=world.host).finish()
    assert [row[2] for row in status.rows() if row and row[0] in ("eth0", "eth1")] == ["shrunk", "shrunk"]
    assert world.daemon.oom_score_adj() == 300
    world.capture(interface=["eth0"], duration=60)
    assert "cgroup's limit" in world.refused(interface=["lo"], duration=60)["reason"]


def test_large_recorder_is_tried_in_parts(make_world, make_host, rings):
    host = make_host(available=2048 * MIB)
    world = make_world(recorder("150MiB", "eth0", ring_reserve=MIB), wrapper=host.wrapper, environment=rings.environment)
    assert rings.sizes == [50 * MIB, 50 * MIB, 50 * MIB, 150 * MIB]
    assert not world.daemon.log("recorder-shrunk") and "ring_asked" not in interfaces_of(world, "/v1/interfaces")["eth0"]
    assert world.daemon.oom_score_adj() == 1000, "of all processes the kernel ends this one first"


def test_memory_that_goes_while_a_recorder_is_allocated_is_noticed(make_world, make_host, rings):
    host = make_host(available=2048 * MIB)
    world = make_world(recorder("150MiB", "eth0", ring_reserve=MIB), wrapper=host.wrapper,
                       environment={**rings.environment, "LEFT_KIB": str(9 << 10)})
    assert rings.sizes == [50 * MIB, 8 * MIB, 8 * MIB]
    assert "limits.ring_reserve" in world.daemon.wait_log("recorder-shrunk").fields["reason"]
    world.sender.send(5, rate=1000)
    world.capture(before=10, packets=5, duration=10).done()


def test_recorder_without_memory_is_an_error_and_allocates_nothing(make_world, make_host, rings):
    host = make_host(available=RESERVE + MIB)
    world = make_world(recorder("64MiB", "eth0"), start=False, wrapper=host.wrapper, environment=rings.environment)
    world.daemon.launch()
    assert world.daemon.wait_exit() == 1
    assert "interface eth0: no memory for its ring" in world.daemon.text() and rings.sizes == []


def test_check_warns_of_a_configuration_that_exceeds_the_host(tmp_path, make_host):
    host = make_host(available=2048 * MIB)
    file = tmp_path / "pcapdaemon.toml"

    def check(text):
        file.write_text(text)
        result = subprocess.run([*host.wrapper, daemon_module.PROGRAM, "-check", "-config", str(file)], capture_output=True, text=True)
        assert (result.returncode, result.stdout) == (0, "configuration is valid\n")
        return result.stderr

    assert "may take" not in check('[history]\ninterfaces = ["eth0", "eth1"]\nmemory = "1GiB"')
    warning = check('[history]\ninterfaces = ["eth0", "eth1"]\nmemory = "2GiB"')
    assert "pcapdaemon: warning: the configuration may take" in warning and "history.memory 4096 MiB" in warning and "this host has 4096 MiB" in warning
