# SPDX-License-Identifier: BSD-2-Clause
"""Captures that are delivered while they run: larger than memory, exact whatever the destinations do."""

import json
import os

import pytest

from lib.account import assert_ascending
from lib.pcapfile import CaptureFile, judge
from lib.traffic import Sender
from lib.waiting import until
from lib.world import NODE, World

MEMORY = 16 << 20
SIZE = 1400


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    directory = tmp_path_factory.mktemp("streaming")
    config = {"general": {"maxpackets": 10000000, "maxbytes": 10000000000, "localdir": str(directory / "disk")}, "limits": {"memory": "16MiB", "cooldown": 60},
              "redis": {"file_size": "128MiB"}}
    (directory / "disk").mkdir()
    with World(directory, config, pairs=2) as installation:
        installation.disk = str(directory / "disk")
        yield installation


def submit(world, **fields):
    fields = world.fields(**{"stream": True, "timeout": 600, **fields})
    world.api.post(fields).expect(202)
    return fields["id"]


def view(world, id):
    return world.api.get(f"/v1/captures/{id}").expect(200).json["captures"][0]


def final(world, id):
    return until(lambda: (seen := view(world, id)) if view(world, id)["state"] in ("done", "failed") else None, 60, f"the end of {id}")


def memory_used(world):
    return world.api.get("/v1/status").expect(200).json["load"]["memory"]


def stored(world, url):
    """The file in Redis, as its chunks have it."""
    key = url.removeprefix("redis:")
    with world.redis.client() as client:
        header, *chunks = client.execute_command("LRANGE", key, 0, -1)
        assert 0 < client.execute_command("TTL", key)
    header = json.loads(header)
    chunks = [chunk if isinstance(chunk, bytes) else chunk.encode("latin-1") for chunk in chunks]
    assert header["chunks"] == len(chunks) and header["size"] == sum(map(len, chunks)), header
    return b"".join(chunks)


def send(world, count, rate=10000, first=0):
    return world.sender.send(count, rate=rate, size=SIZE, first=first)["sent"]


def test_a_file_larger_than_memory_is_exact_everywhere(world, tmp_path):
    """Half as much again as the memory, to two destinations; the list shows what they have, and memory returns."""
    count = 3 * MEMORY // 2 // SIZE
    before = memory_used(world)
    id = submit(world, to_destinations=["local", "redis"])
    until(lambda: view(world, id)["state"] == "running")
    sent = send(world, count)
    until(lambda: view(world, id)["delivered"] > MEMORY // 2, 30)
    assert view(world, id)["state"] == "running"
    world.api.delete(f"/v1/captures/{id}").expect(202)
    done = final(world, id)
    assert done["event"] == "done" and done["reason"] == "stopped", done
    by_name = {destination["name"]: destination for destination in done["destinations"]}
    path = by_name["local"]["url"]
    file = CaptureFile(path)
    assert_ascending(file.numbers, range(sent))
    assert len(file.packets) == done["packets"] and done["packets"] + sum(done["lost"].values()) == sent, done
    assert judge(path)["Number of packets"] == str(done["packets"])
    assert file.interfaces[0].statistics["dropped"] == sum(done["lost"].values())
    with open(path, "rb") as whole:
        assert whole.read() == stored(world, by_name["redis"]["url"])
    assert {by_name[name]["delivered"] for name in by_name} == {os.path.getsize(path)}
    assert any(text.startswith("stream: from ") for text in file.comments)
    until(lambda: memory_used(world) <= before, what="memory to return")


def test_a_slow_destination_loses_packets_that_are_counted(world):
    """Redis stands still; the ring and the capture go on, and the file has what found memory."""
    id = submit(world, to_destinations=["redis"])
    until(lambda: view(world, id)["state"] == "running")
    send(world, 500)
    until(lambda: view(world, id)["delivered"], 30)
    world.redis.pause()
    sent = 500 + send(world, 4 * MEMORY // SIZE, rate=40000, first=500)
    world.redis.resume()
    world.api.delete(f"/v1/captures/{id}").expect(202)
    done = final(world, id)
    assert done["event"] == "done" and done["lost"]["memory"] > 0 and not done["window"]["complete"], done
    file = CaptureFile(stored(world, done["destinations"][0]["url"]))
    assert_ascending(file.numbers, range(sent))
    assert len(file.packets) == done["packets"] and done["packets"] + sum(done["lost"].values()) == sent, done
    assert sum(packet.missing for packet in file.packets) <= sum(done["lost"].values())


def test_a_destination_that_fails_midway_reports_what_it_had(world):
    """Its key is removed when the first bytes are no longer in memory: it cannot begin again, and the others go on."""
    id = submit(world, to_destinations=["local", "redis"])
    until(lambda: view(world, id)["state"] == "running")
    sent = send(world, 3 * MEMORY // 4 // SIZE)
    until(lambda: view(world, id)["delivered"] > 9 << 20, 30)
    with world.redis.client() as client:
        assert client.delete(f"{{capture}}:file:{NODE}:{id}.1") == 1
    sent += send(world, 100, first=sent)
    until(lambda: view(world, id)["packets"] == sent)
    world.api.delete(f"/v1/captures/{id}").expect(202)
    done = final(world, id)
    local, redis = sorted(done["destinations"], key=lambda destination: destination["name"])
    assert done["event"] == "failed" and local["ok"] and not redis["ok"], done
    assert "changed or removed" in redis["error"] and redis["attempts"] == 1 and "url" not in redis
    assert 9 << 20 < redis["delivered"] < local["delivered"] == os.path.getsize(local["url"])
    assert CaptureFile(local["url"]).numbers == list(range(sent))


def test_a_request_for_more_than_memory_is_streamed_by_itself(world):
    for fields, streamed in (({"bytes": MEMORY + 1}, True), ({"bytes": MEMORY}, False), ({}, False),
                             ({"bytes": MEMORY + 1, "to_destinations": ["local", "memory"]}, False)):
        id = submit(world, **{"stream": None, "packets": 2, "to_destinations": ["local"], **fields})
        until(lambda id=id: view(world, id)["state"] == "running")
        send(world, 2)
        assert ["delivered" in destination for destination in final(world, id)["destinations"]] == [streamed] * len(
            fields.get("to_destinations", "1")), fields


def test_what_cannot_be_streamed_is_refused(world):
    for fields, name, text in (({"to_destinations": ["memory"]}, "stream", "\"memory\" takes whole files only"),
                               ({"format": "pcap"}, "format", "must be pcapng"), ({"packetdebug": True}, "packetdebug", "not possible"),
                               ({"merge": True, "drop_duplicates": True, "interface": ["eth0", "eth1"]}, "drop_duplicates", "not possible"),
                               ({"merge": True, "before": 1, "interface": ["eth0", "eth1"]}, "stream", "several interfaces"),
                               ({"stream": None, "files": 2}, "every", "go together"), ({"stream": None, "every": 1}, "files", "go together"),
                               ({"files": 2, "every": "100"}, "every", "must be 65536 to"), ({"files": 2, "every": 0.01}, "every", "at least"),
                               ({"files": 5000, "every": 1}, "files", "1 to 1000"), ({"files": 2, "every": "x"}, "every", "not a size"),
                               ({"files": 2, "every": 1, "merge": True}, "merge", "not possible with a series"),
                               ({"files": 1000, "every": 100, "timeout": None}, "files", "general.maxduration")):
        answer = world.api.post(world.fields(**{"stream": True, "timeout": 5, "to_destinations": ["local"], **fields}))
        assert answer.status == 400 and answer.json["field"] == name and text in answer.json["error"], (fields, answer.json)


def test_several_interfaces_are_streamed_into_one_file(world):
    """In time order, unless the machine is so busy that packets of one of them come a quarter of a second late."""
    second = Sender(world.peer, "peer1")
    id = submit(world, to_destinations=["local"], interface=["eth0", "eth1"], merge=True)
    until(lambda: view(world, id)["state"] == "running")
    streams = [sender.start(count=1000, rate=2000) for sender in (world.sender, second)]
    sent = sum(stream.result()["sent"] for stream in streams)
    world.api.delete(f"/v1/captures/{id}").expect(202)
    done = final(world, id)
    file = CaptureFile(done["destinations"][0]["url"])
    assert len(file.packets) == done["packets"] == sent and {packet.interface for packet in file.packets} == {0, 1}
    for number in 0, 1:
        times = [packet.time_ns for packet in file.packets if packet.interface == number]
        assert times == sorted(times)
    assert sum(before.interface != after.interface for before, after in zip(file.packets, file.packets[1:])) > 10


# --- series of files ---

def finals(world, id):
    """The final events of all of a series' files, in their order; it has ended."""
    def all_final():
        captures = world.api.get(f"/v1/captures/{id}").expect(200).json["captures"]
        return captures if all(capture["state"] in ("done", "failed") for capture in captures) else None
    return sorted(until(all_final, 60, f"the end of {id}"), key=lambda event: int(event["capture"].rsplit(".", 1)[1]))


def assert_whole(events, sent):
    """The files one after the other have each packet once, or it is counted as lost."""
    files = [CaptureFile(event["destinations"][0]["url"]) for event in events if event["packets"]]
    assert [len(file.packets) for file in files] == [event["packets"] for event in events if event["packets"]]
    numbers = [number for file in files for number in file.numbers]
    assert_ascending(numbers, range(sent))
    assert len(numbers) + sum(sum(event["lost"].values()) for event in events) == sent, events
    for before, after in zip(events, events[1:]):
        assert before["window"]["to"] == after["window"]["from"], (before, after)
    return files


@pytest.mark.parametrize("stream", [False, True], ids=["in memory", "streamed"])
def test_a_series_by_size_has_each_packet_once(world, stream):
    id = submit(world, stream=stream, to_destinations=["local"], every="2MB", files=20)
    until(lambda: view(world, id)["state"] == "running")
    sent = send(world, 8000)
    world.api.delete(f"/v1/captures/{id}").expect(202)
    events = finals(world, id)
    files = assert_whole(events, sent)
    assert len(events) > 2 and [event["capture"] for event in events] == [f"{id}.{number + 1}" for number in range(len(events))]
    assert [event["reason"] for event in events] == ["rotated"] * (len(events) - 1) + ["stopped"]
    assert all(2000000 <= event["bytes"] < 2000000 + SIZE for event in events[:-1])
    assert all(event["capture"] in event["file"] for event in events) and len({event["file"] for event in events}) == len(events)
    assert judge(events[0]["destinations"][0]["url"])["Number of packets"] == str(len(files[0].packets))


def test_a_series_by_time_ends_with_its_files(world):
    id = submit(world, stream=None, timeout=None, to_destinations=["local"], every=0.2, files=4)
    stream = world.sender.start(count=8000, rate=10000, size=200)
    events = finals(world, id)
    sent = stream.stop()["sent"]
    assert len(events) == 4 and [event["reason"] for event in events] == ["rotated"] * 3 + ["timeout"]
    assert all("error" not in event["destinations"][0] for event in events if event["packets"])
    numbers = [number for event in events if event["packets"] for number in CaptureFile(event["destinations"][0]["url"]).numbers]
    assert_ascending(numbers, range(sent))
    assert numbers[-1] - numbers[0] + 1 == len(numbers) + sum(sum(event["lost"].values()) for event in events)
    for before, after in zip(events, events[1:]):
        assert before["window"]["to"] == after["window"]["from"], (before, after)


def test_a_repetition_extends_the_whole_series(world):
    fields = {"stream": None, "timeout": None, "to_destinations": ["local"], "every": 0.3, "files": 20, "dedupe": "again"}
    id = submit(world, duration=1.2, **fields)
    folded = world.api.post(world.fields(**{name: value for name, value in {**fields, "duration": 2}.items() if value}))
    assert folded.json["folded_into"] == id, folded.json
    events = finals(world, id)
    assert len(events) >= 6 and events[-1]["ended_by"] == "timeout" and events[0]["ended_by"] == "rotated"


def test_what_runs_when_the_daemon_stops_is_whole(world):
    id = submit(world, to_destinations=["local"])
    until(lambda: view(world, id)["state"] == "running")
    sent = send(world, 500)
    until(lambda: view(world, id)["packets"] == sent)
    since = world.events.mark()
    assert world.daemon.stop() == 0
    done = world.events.wait(lambda event: event.get("id") == id and event["event"] == "done", 10, since)
    assert done["reason"] == "shutdown" and judge(done["destinations"][0]["url"])["Number of packets"] == str(sent)
    assert not [name for name in os.listdir(world.disk) if name.endswith(".part")]
    world.daemon.start()
