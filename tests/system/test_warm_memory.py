# SPDX-License-Identifier: BSD-2-Clause
"""Warm memory ([limits] warm_memory): its amount, when it is kept, and when it is released."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lib.waiting import until

MIB = 1 << 20
DEFAULT_BYTES = 64 * MIB


def gauge(world, name):
    text = world.api.get("/metrics").expect(200).body.decode()
    family = next(family for family in text_string_to_metric_families(text) if family.name == name)
    return int(family.samples[0].value)


def warm_bytes(world):
    return gauge(world, "pcapdaemon_warm_memory_bytes")


def capture_bytes(world, size, **fields):
    """Captures `size` bytes of packets, which are delivered on return."""
    request = world.capture(bytes=size, timeout=60, **fields)
    stream = world.sender.start(count=4 * size // 1500, size=1500, rate=50_000)
    done = request.done(timeout=60)
    stream.stop()
    assert done["reason"] == "bytes", done
    assert len(world.file(request).packets) == done["packets"]
    return done


def test_warm_memory_is_kept_after_a_large_capture_and_released_when_idle(make_world):
    world = make_world()
    assert warm_bytes(world) == 0
    capture_bytes(world, MIB // 4)
    assert warm_bytes(world) == 0  # small captures need none
    capture_bytes(world, 16 * MIB)
    until(lambda: 8 * MIB <= warm_bytes(world) <= DEFAULT_BYTES, 10, "the capture's memory to be kept")
    assert gauge(world, "pcapdaemon_capture_memory_bytes") == 0
    until(lambda: warm_bytes(world) == 0, 60, "the idle time to be over", interval=0.2)
    capture_bytes(world, 16 * MIB)


def test_warm_memory_above_the_default_is_touched_at_start_and_stays(make_world):
    world = make_world({"limits": {"warm_memory": "96MiB"}})
    ready = world.daemon.wait_log("warm-memory-ready", 60)
    assert int(ready.fields["bytes"]) == warm_bytes(world) == 96 * MIB
    assert world.daemon.resident_bytes() >= 96 * MIB
    capture_bytes(world, 16 * MIB)
    until(lambda: warm_bytes(world) == 96 * MIB, 10, "the capture's memory to be kept")


def test_warm_memory_never_exceeds_the_memory_limit(make_world):
    world = make_world({"limits": {"warm_memory": "1GiB", "memory": "32MiB"}, "memory": {"bytes": "48MiB"}})
    ready = world.daemon.wait_log("warm-memory-ready", 60)
    assert int(ready.fields["bytes"]) == warm_bytes(world) == 80 * MIB


def test_warm_memory_can_be_disabled(make_world):
    world = make_world({"limits": {"warm_memory": 0}})
    capture_bytes(world, 16 * MIB)
    until(lambda: warm_bytes(world) == 0, 10, "the memory to be released")


def test_files_in_memory_use_warm_memory_and_return_it(make_world):
    world = make_world({"limits": {"warm_memory": "96MiB"}, "memory": {"bytes": "64MiB"},
                        "requests": {"destinations": ["memory"]}})
    world.daemon.wait_log("warm-memory-ready", 60)
    request = world.capture(bytes=20 * MIB, timeout=60, to_destinations=["memory"])
    stream = world.sender.start(count=60_000, size=1500, rate=50_000)
    done = request.done(timeout=60)
    stream.stop()
    until(lambda: warm_bytes(world) <= 96 * MIB - 20 * MIB, 10, "the file to be in warm memory")
    file = world.api.get(f"/v1/captures/{done['capture']}/file").expect(200).body
    assert len(file) >= done["bytes"] >= 20 * MIB
