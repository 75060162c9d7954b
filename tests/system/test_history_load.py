# SPDX-License-Identifier: BSD-2-Clause
"""The recorder with many and slow readers, and the share of its memory that is reachable at various rates."""

import json
import os
import random
import time
from pathlib import Path

import pytest

from lib.account import Arrivals, assert_exact, lost
from lib.events import FINAL, new_id
from lib.history import EDGE_NS, reachable_share, recorder, rfc3339, status, window
from lib.pcapfile import CaptureFile
from lib.shim import make_shim
from lib.waiting import until
from lib.world import NODE

MIB = 1 << 20


def assert_all_since(world, begin, count, arrivals):
    """History holds all packets since then except kernel drops, which the event counts."""
    arrived = arrivals.settle()
    request = world.request(**{"from": rfc3339(begin), "to": rfc3339(time.time_ns())})
    event = request.done()
    assert window(event, "from") == begin and event["lost"]["evicted"] == event["lost"]["memory"] == 0, event
    assert_exact(event, world.file(request).numbers, range(count), arrived)


# --- reach: bounded by bytes, not blocks, and without a cliff between rates ---

@pytest.mark.parametrize("rate, size, duration", [(2, 64, 2.5), (50, 250, 2), (500, 1250, 2), (5000, 1250, 3)],
                         ids=["1 kbit/s", "100 kbit/s", "5 Mbit/s", "50 Mbit/s"])
def test_all_history_that_fits_is_reachable_at_low_rates(make_world, rate, size, duration):
    world = make_world(recorder("32MiB"))
    arrivals, begin, count = Arrivals(world), time.time_ns(), int(rate * duration)
    assert count * size < 0.6 * 32 * MIB
    world.sender.send(count, rate=rate, size=size)
    assert_all_since(world, begin, count, arrivals)


@pytest.mark.parametrize("rate, size", [(100_000, 64), (50_000, 300), (20_000, 1500)])
def test_sixty_percent_of_the_memory_is_reachable(make_world, rate, size):
    assert reachable_share(make_world(recorder("32MiB")), rate, size, 50) >= 0.6


@pytest.mark.parametrize("memory", [64, 128])
def test_sixty_percent_of_a_larger_memory_is_reachable(make_world, memory):
    assert reachable_share(make_world(recorder(f"{memory}MiB")), 20_000, 1250, 1.6 * memory) >= 0.6


def test_reach_has_no_cliff_between_bursts_and_quiet_times(make_world):
    """Quiet traffic survives a burst that leaves room for it, and a burst survives quiet traffic."""
    world = make_world(recorder("32MiB"))
    arrivals, begin, number = Arrivals(world), time.time_ns(), 0
    for _ in range(3):
        for count, rate, size in ((100, 200, 200), (1500, 0, 1000)):
            world.sender.send(count, rate=rate, size=size, first=number)
            number += count
    assert_all_since(world, begin, number, arrivals)


# --- many readers ---

def test_hundred_overlapping_requests_each_get_their_packets(make_world):
    config = recorder("64MiB")
    config["limits"] = {**config["limits"], "captures": 256}
    world = make_world(config)
    chance = random.Random(7)
    ports = 10
    reference, arrivals = world.capture(timeout=300), Arrivals(world)
    stream = world.sender.start(count=0, seconds=300, rate=8000, size=300, dst_port=f"6000-{6000 + ports - 1}")
    until(lambda: arrivals.accounted() > 9000, 30, "some history")
    wanted, since = [], world.events.mark()
    with world.redis.client() as client, client.pipeline(transaction=False) as pipeline:
        for index in range(100):
            port = chance.randrange(ports + 2)  # two of these mean everything
            fields = {"id": new_id("many"), "node": NODE, "interface": ["eth0"]}
            fields |= {"before": round(chance.uniform(0.01, 0.9), 3)}
            fields |= {"timeout": round(chance.uniform(0.05, 0.8), 3)} if index % 4 else {"packets": 500 + index, "timeout": 300}
            if port < ports:
                fields["bpf"] = f"udp dst port {6000 + port}"
            wanted.append((fields, port if port < ports else None))
            pipeline.publish("capture", json.dumps(fields))
        pipeline.execute()
    ids = {fields["id"] for fields, _ in wanted}
    finals = world.events.wait_count(lambda event: event.get("id") in ids and event["event"] in (*FINAL, "rejected"), 100, 60,
                                     since)
    sent = range(stream.stop()["sent"])
    arrived = arrivals.settle()
    world.stop(reference)
    everything = world.file(reference)
    assert_exact(reference.done(), everything.numbers, sent, arrived)
    by_id = {event["id"]: event for event in finals}
    for fields, port in wanted:
        event = by_id[fields["id"]]
        assert event["event"] == "done" and event["window"]["complete"] is (lost(event) == 0), event
        assert window(event, "from") == window(event, "asked_from"), event
        numbers = CaptureFile(f"{world.directory}/{event['file']}").numbers
        asked, end = window(event, "asked_from"), window(event, "to")
        mine = [packet for packet in everything.packets if port is None or packet.number % ports == port]
        surely = [packet.number for packet in mine if asked + EDGE_NS <= packet.time_ns <= end - EDGE_NS]
        maybe = {packet.number for packet in mine if asked - EDGE_NS <= packet.time_ns <= end + EDGE_NS}
        assert len(set(surely) - set(numbers)) <= event["lost"]["evicted"] and numbers == sorted(set(numbers)), (fields, event)
        assert len(set(numbers) - maybe) <= reference.done()["lost"]["evicted"], (fields, event)
        if "packets" in fields:
            assert len(numbers) == fields["packets"]


# --- memory ---

def test_rings_exist_before_the_daemon_is_ready(make_world):
    world = make_world(recorder("32MiB"))
    ids = [line.id for line in world.daemon.log()]
    assert ids.index("recording") < ids.index("ready")
    assert int(world.daemon.log("recording")[0].fields["bytes"]) == 32 * MIB
    assert int(status(world)["ring_bytes"]) == 32 * MIB


NO_MEMORY = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/socket.h>
int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
	static int left = -1;
	if (left < 0)
		left = (int)strtol(getenv("RINGS_REFUSED"), 0, 10);
	if (level == SOL_PACKET && option == PACKET_RX_RING && left && left--) {
		errno = ENOMEM;
		return -1;
	}
	return ((int (*)(int, int, int, const void *, socklen_t))dlsym(RTLD_NEXT, "setsockopt"))(fd, level, option, value, size);
}
"""


@pytest.fixture(scope="module")
def no_memory(tmp_path_factory):
    """A kernel without memory for rings: it refuses the first RINGS_REFUSED."""
    return make_shim(tmp_path_factory.mktemp("shim"), NO_MEMORY)


def test_ring_shrinks_when_memory_is_short(make_world, no_memory):
    world = make_world(recorder("32MiB"), environment={**no_memory, "RINGS_REFUSED": "2"})
    shrunk = world.daemon.wait_log("recorder-shrunk", interface="eth0")
    assert int(shrunk.fields["asked"]) == 32 * MIB and int(shrunk.fields["bytes"]) == 8 * MIB
    assert int(status(world)["ring_bytes"]) == 8 * MIB
    world.sender.send(50, rate=5000)
    request = world.request(before=10, packets=50, timeout=10)
    assert request.done()["packets"] == 50
    world.file(request).assert_numbers(0, 50)


def test_ring_that_cannot_be_made_is_a_clear_error(make_world, no_memory):
    world = make_world(recorder("32MiB"), start=False, environment={**no_memory, "RINGS_REFUSED": "1000"})
    world.daemon.launch()
    assert world.daemon.wait_exit() == 1
    assert "eth0" in world.daemon.text() and "memory" in world.daemon.text(), world.daemon.text()


WHERE = """
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <linux/if_packet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
/* For each ring that is made: on which CPU, and how many of the engine's threads there are, and may run on that CPU. */
static void look(FILE *out)
{
	DIR *tasks = opendir("/proc/self/task");
	int threads = 0, here = 0;
	cpu_set_t own;
	sched_getaffinity(0, sizeof(own), &own);
	for (struct dirent *task; (task = readdir(tasks));) {
		char path[300], name[32] = "";
		cpu_set_t cpus;
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
		FILE *file = fopen(path, "r");
		if (!file || !fgets(name, sizeof(name), file))
			name[0] = 0;
		if (file)
			fclose(file);
		if (strcmp(name, "pcapd-ring\\n") && strcmp(name, "pcapd-worker\\n"))
			continue;
		threads++;
		sched_getaffinity(atoi(task->d_name), sizeof(cpus), &cpus);
		here += CPU_ISSET(sched_getcpu(), &cpus);
	}
	closedir(tasks);
	fprintf(out, "%d %d %d\\n", CPU_COUNT(&own), threads, here);
}
int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
	if (level == SOL_PACKET && option == PACKET_RX_RING) {
		FILE *out = fopen(getenv("RINGS_MADE"), "a");
		look(out);
		fclose(out);
	}
	return ((int (*)(int, int, int, const void *, socklen_t))dlsym(RTLD_NEXT, "setsockopt"))(fd, level, option, value, size);
}
"""


def wait_unpinned(world):
    """Waits until all threads of the daemon may use every CPU."""
    def cpus():
        return [os.sched_getaffinity(int(task.name)) for task in Path(f"/proc/{world.daemon.pid}/task").iterdir()]
    until(lambda: all(mask == os.sched_getaffinity(0) for mask in cpus()), what="all threads to run on every CPU again")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one CPU only")
def test_ring_is_made_on_a_cpu_that_no_thread_needs(make_world, tmp_path):
    """The kernel makes a ring without rescheduling, which would delay other threads on that CPU."""
    made = tmp_path / "made"
    world = make_world(recorder("32MiB", ["eth0", "eth1", "late0"]), pairs=3,
                       environment={**make_shim(tmp_path, WHERE), "RINGS_MADE": str(made)})
    assert world.capture(interface=["eth2"], timeout=0.05).done()["packets"] == 0
    world.host.add_veth("late0", world.peer, "latepeer0")
    world.daemon.wait_log("recording", interface="late0")
    rings = [[int(word) for word in line.split()] for line in made.read_text().splitlines()]
    assert len(rings) == 4
    workers = rings[0][1] - 1
    assert workers >= 2
    for own, threads, here in rings[:3]:
        assert (own, threads, here) == (1, 1 + workers, 0), rings
    assert rings[3] == [1, 1 + workers, 1], "a worker made the ring itself"
    wait_unpinned(world)


def test_threads_regain_every_cpu_after_a_failed_ring(make_world, no_memory):
    world = make_world(environment={**no_memory, "RINGS_REFUSED": "1000"})
    request = world.request(timeout=0.05)
    assert "Cannot allocate memory" in request.wait("rejected", "failed")["reason"]
    wait_unpinned(world)
