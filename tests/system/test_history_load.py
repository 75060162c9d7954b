"""The recorder under many and slow readers, and how much of its memory can be reached at which rate of traffic."""

import json
import random
import subprocess
import time

import pytest

from lib.cloudshark_server import hang
from lib.daemon import is_sanitized
from lib.events import FINAL, NOTHING, new_id
from lib.history import EDGE_NS, NS, assert_contiguous, recorder, rfc3339, status, window
from lib.pcapfile import CaptureFile
from lib.waiting import until
from lib.world import NODE

MIB = 1 << 20


def whole_past(world, **options):
    now = time.time_ns()
    request = world.request(**{"from": rfc3339(now - 100 * NS), "to": rfc3339(now)}, **options)
    return request, request.done()


# How far back: bytes are the bound, not blocks, and there is no cliff between the rates.

@pytest.mark.parametrize("rate, size, duration", [(2, 64, 2.5), (50, 250, 2), (500, 1250, 2), (5000, 1250, 3)],
                         ids=["1 kbit/s", "100 kbit/s", "5 Mbit/s", "50 Mbit/s"])
def test_all_that_fits_is_reachable_at_low_rates(make_world, rate, size, duration):
    world = make_world(recorder("32MiB"))
    begin, count = time.time_ns(), int(rate * duration)
    assert count * size < 0.6 * 32 * MIB
    world.sender.send(count, rate=rate, size=size)
    request = world.request(**{"from": rfc3339(begin), "to": rfc3339(time.time_ns())})
    event = request.done()
    assert event["window"]["complete"] is True, event
    world.file(request).assert_numbers(0, count)


def wait_taken_over(world):
    """Until the ring thread is through with what was sent: what it takes over pushes out what is oldest."""
    seen = []

    def stands_still():
        seen.append(status(world)["packets"])
        return seen[-2:-1] == seen[-1:]

    until(stands_still, 20, "all blocks to be taken over", interval=0.2)


def reachable_share(world, rate, size, total):
    """Of the configured memory, once `total` MiB have gone through it: packets with their header in the ring (82 bytes), in
    steps of 8 bytes as the kernel lays them."""
    slot = (size + 82 + 7) // 8 * 8
    world.sender.send(int(total * MIB) // slot, rate=rate, size=size)
    wait_taken_over(world)
    event = whole_past(world, snap=64)[1]
    assert event["lost"] == NOTHING, event
    return event["packets"] * slot / int(status(world)["ring_bytes"])


@pytest.mark.parametrize("rate, size", [(100_000, 64), (50_000, 300), (20_000, 1500), (0, 64), (0, 1500)])
def test_sixty_percent_of_the_memory_is_reachable(make_world, rate, size):
    assert reachable_share(make_world(recorder("32MiB")), rate, size, 50) >= 0.6


@pytest.mark.parametrize("memory", [64, 128])
@pytest.mark.parametrize("rate", [20_000, 0])
def test_sixty_percent_of_a_larger_memory_is_reachable(make_world, memory, rate):
    assert reachable_share(make_world(recorder(f"{memory}MiB")), rate, 1250, 1.6 * memory) >= 0.6


def test_bursts_and_quiet_times_take_turns_without_a_cliff(make_world):
    """Quiet traffic before a burst that leaves room for it is still there, and the other way round."""
    world = make_world(recorder("32MiB"))
    begin, number = time.time_ns(), 0
    for _ in range(3):
        for count, rate, size in ((100, 200, 200), (1500, 0, 1000)):
            world.sender.send(count, rate=rate, size=size, first=number)
            number += count
    request = world.request(**{"from": rfc3339(begin), "to": rfc3339(time.time_ns())})
    event = request.done()
    assert event["packets"] == number and event["window"]["complete"] is True, event
    world.file(request).assert_numbers(0, number)


# Many readers

def test_hundred_overlapping_requests_each_get_theirs(make_world):
    config = recorder("64MiB")
    config["limits"] = {**config["limits"], "captures": 256}
    world = make_world(config)
    chance = random.Random(7)
    count, ports = 24_000, 10
    reference = world.capture(packets=count, timeout=30)
    stream = world.sender.start(count=count, rate=8000, size=300, dst_port=f"6000-{6000 + ports - 1}")
    until(lambda: int(status(world)["packets"]) > 9000, what="a past")
    wanted, since = [], world.events.mark()
    with world.redis.client() as client, client.pipeline(transaction=False) as pipeline:
        for index in range(100):
            port = chance.randrange(ports + 2)  # two of them: everything
            fields = {"id": new_id("many"), "node": NODE, "interface": ["eth0"]}
            fields |= {"before": round(chance.uniform(0.01, 0.9), 3)}
            fields |= {"timeout": round(chance.uniform(0.05, 0.8), 3)} if index % 4 else {"packets": 500 + index, "timeout": 20}
            if port < ports:
                fields["bpf"] = f"udp dst port {6000 + port}"
            wanted.append((fields, port if port < ports else None))
            pipeline.publish("capture", json.dumps(fields))
        pipeline.execute()
    ids = {fields["id"] for fields, _ in wanted}
    finals = world.events.wait_count(lambda event: event.get("id") in ids and event["event"] in (*FINAL, "rejected"), 100, 30,
                                     since)
    assert stream.result()["sent"] == count
    assert reference.done()["lost"] == NOTHING
    everything = world.file(reference)
    everything.assert_numbers(0, count)
    by_id = {event["id"]: event for event in finals}
    for fields, port in wanted:
        event = by_id[fields["id"]]
        assert event["event"] == "done" and event["window"]["complete"] is True, event
        assert event["lost"] == NOTHING, event
        numbers = CaptureFile(f"{world.directory}/{event['file']}").numbers
        asked, end = window(event, "asked_from"), window(event, "to")
        mine = [packet for packet in everything.packets if port is None or packet.number % ports == port]
        surely = [packet.number for packet in mine if asked + EDGE_NS <= packet.time_ns <= end - EDGE_NS]
        maybe = {packet.number for packet in mine if asked - EDGE_NS <= packet.time_ns <= end + EDGE_NS}
        assert set(surely) <= set(numbers) <= maybe and numbers == sorted(set(numbers)), (fields, event)
        if "packets" in fields:
            assert len(numbers) == fields["packets"]
    assert status(world)["dropped"] == "0"


def test_requests_while_recording_at_full_rate_cost_the_ring_nothing(make_world):
    world = make_world(recorder("256MiB"))
    stream = world.sender.start(count=0, seconds=2, size=200)
    until(lambda: int(status(world)["packets"]) > 50_000)
    requests = [world.request(before=0.05, packets=1000, timeout=20, snap=100) for _ in range(20)]
    for request in requests:
        event = request.done()
        assert (event["packets"], event["lost"], event["window"]["complete"]) == (1000, NOTHING, True), event["window"]
        assert_contiguous(world.file(request))
    sent = stream.result()["sent"]
    until(lambda: int(status(world)["packets"]) >= sent, what="all of it in the ring")
    assert status(world)["dropped"] == "0"


# Slow ways out

def test_hanging_uploads_do_not_make_the_ring_lose(make_world):
    config = recorder("128MiB")
    config["cloudshark"] = {"timeout": 60}
    world = make_world(config, cloudshark={"token": "secret", "behaviour": [hang("before")] * 10})
    world.sender.send(5000, rate=50_000)
    waiting = [world.capture(before=10, packets=2000, timeout=20) for _ in range(8)]
    for request in waiting:
        request.wait("captured")
    before = int(status(world)["packets"])
    stream = world.sender.start(count=0, seconds=1.5, size=64)
    more = world.request(before=10, packets=100, timeout=20)
    more.wait("captured")
    sent = stream.result()["sent"]
    until(lambda: int(status(world)["packets"]) >= before + sent, what="all of it in the ring")
    assert status(world)["dropped"] == "0"
    assert not [request for request in waiting if request.all(*FINAL)], "the uploads do hang"
    world.daemon.stop(grace=False)


# Memory

def test_rings_are_there_before_the_daemon_says_ready(make_world):
    world = make_world(recorder("32MiB"))
    ids = [line.id for line in world.daemon.log()]
    assert ids.index("recording") < ids.index("ready")
    assert int(world.daemon.log("recording")[0].fields["bytes"]) == 32 * MIB
    assert int(status(world)["ring_bytes"]) == 32 * MIB


SHIM = """
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
def shim(tmp_path_factory):
    """A kernel without memory for rings: the first RINGS_REFUSED of them are refused."""
    if is_sanitized():
        pytest.skip("a sanitizer's runtime must be the first library")
    directory = tmp_path_factory.mktemp("shim")
    (directory / "shim.c").write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", directory / "shim.so", directory / "shim.c"], check=True)
    return str(directory / "shim.so")


def test_ring_shrinks_where_there_is_no_memory(make_world, shim):
    world = make_world(recorder("32MiB"), environment={"LD_PRELOAD": shim, "RINGS_REFUSED": "2"})
    shrunk = world.daemon.wait_log("recorder-shrunk", interface="eth0")
    assert int(shrunk.fields["asked"]) == 32 * MIB and int(shrunk.fields["bytes"]) == 8 * MIB
    assert int(status(world)["ring_bytes"]) == 8 * MIB
    world.sender.send(50, rate=5000)
    request = world.request(before=10, packets=50, timeout=10)
    assert request.done()["packets"] == 50
    world.file(request).assert_numbers(0, 50)


def test_not_even_a_small_ring_is_a_clear_error(make_world, shim):
    world = make_world(recorder("32MiB"), start=False, environment={"LD_PRELOAD": shim, "RINGS_REFUSED": "1000"})
    world.daemon.launch()
    assert world.daemon.wait_exit() == 1
    assert "eth0" in world.daemon.text() and "memory" in world.daemon.text(), world.daemon.text()
