# SPDX-License-Identifier: BSD-2-Clause
"""GET /v1/history: history as a stream, without a job."""

import concurrent.futures
import contextlib
import http.client
import threading
import time

import pytest

from lib.history import NS, fill, recorder, rfc3339, slot_bytes, status
from lib.pcapfile import CaptureFile, judge, tshark
from lib.waiting import seconds, until
from lib.world import World

COUNT, SIZE = 30000, 1400  # more than five pieces of 8 MiB
STREAMS_MAX = 8
EARLY = 50


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    """A recorder on eth0 that holds 50 early packets, a pause, and 30000 large packets; no test sends on eth0."""
    with World(tmp_path_factory.mktemp("world"), recorder("128MiB"), pairs=2) as installation:
        installation.sender.send(EARLY, rate=1000, dst_port=53)
        installation.pause_ns = time.time_ns()
        until(lambda: time.time_ns() > installation.pause_ns + NS // 10)
        assert fill(installation, COUNT * slot_bytes(SIZE), SIZE, rate=25000, first=1000) == COUNT
        assert status(installation)["dropped"] == "0"
        yield installation


def history(world, **parameters):
    answer = world.api.get("/v1/history", **{"interface": "eth0", **parameters}).expect(200)
    assert answer.headers["content-type"] == "application/x-pcapng" and answer.headers["transfer-encoding"] == "chunked"
    return CaptureFile(answer.body)


def expected():
    return [*range(EARLY), *range(1000, 1000 + COUNT)]


def test_stream_holds_exactly_the_history(world, tmp_path):
    file = history(world)
    assert file.numbers == expected()
    file.assert_time_order()
    path = tmp_path / "history.pcapng"
    path.write_bytes(file.bytes)
    assert len(file.bytes) > 5 * 8 * 1024 * 1024
    assert judge(path)["Number of packets"] == str(EARLY + COUNT)
    sizes = tshark(path, "-T", "fields", "-e", "frame.len", "-Y", f"frame.len == {SIZE}").split()
    assert len(sizes) == COUNT
    assert file.interfaces[0].name == "eth0" and file.interfaces[0].statistics["dropped"] == 0


@pytest.mark.parametrize("how", ["RFC 3339", "Unix seconds"])
def test_stream_holds_exactly_the_window(world, how):
    text = rfc3339(world.pause_ns) if how == "RFC 3339" else f"{world.pause_ns // NS}.{world.pause_ns % NS:09d}"
    assert history(world, to=text).numbers == list(range(EARLY))
    history(world, from_=text).assert_numbers(1000, COUNT)
    seconds_ago = (time.time_ns() - world.pause_ns) / NS
    history(world, last=f"{seconds_ago:.6f}").assert_numbers(1000, COUNT)
    assert history(world, last=5, to=text).numbers == list(range(EARLY))


def test_a_live_capture_begins_with_history_of_any_size(world):
    answer = world.api.get("/v1/live", interface="eth0", before=600, packets=EARLY + COUNT).expect(200)
    file = CaptureFile(answer.body)
    assert file.numbers == expected() and file.interfaces[0].statistics["dropped"] == 0


def test_window_before_all_packets_is_an_empty_file(world):
    assert history(world, to=1_000_000_000).numbers == []


def test_filter_and_limits_apply(world):
    assert history(world, bpf="udp dst port 53").numbers == list(range(EARLY))
    history(world, bpf="udp and not port 53", packets=10001).assert_numbers(1000, 10001)
    assert history(world, packets=3, bytes=0).numbers == [0, 1, 2]
    few = history(world, bpf="not port 53", bytes=20 * 1024 * 1024)
    assert len(few.packets) == pytest.approx(20 * 1024 * 1024 / SIZE, abs=2)
    few.assert_numbers(1000, len(few.packets))
    short = history(world, snap=60, packets=20000)
    assert {packet.caplen for packet in short.packets} == {60} and len(short.packets) == 20000
    assert short.packets[-1].wirelen == SIZE


@pytest.mark.parametrize("parameters, status, word", [
    ({"interface": None}, 400, "interface"), ({"interface": ""}, 400, "interface"), ({"interface": "eht0"}, 404, "eth"),
    ({"interface": "eth1"}, 404, "history.interfaces"), ({"bpf": "no filter ("}, 400, "bpf"), ({"bpf": "x" * 4097}, 400, "bpf"),
    ({"from_": "yesterday"}, 400, "from"), ({"to": "5m"}, 400, "to"), ({"last": "-1"}, 400, "last"), ({"last": "0"}, 400, "last"),
    ({"last": "5", "from_": "2026-01-01T00:00:00Z"}, 400, "last"), ({"from_": "4000000000"}, 400, "from"),
    ({"from_": "1000000001", "to": "1000000000"}, 400, "from"), ({"snap": "x"}, 400, "snap"), ({"snap": "262145"}, 400, "snap"),
    ({"packets": "-1"}, 400, "packets"), ({"bytes": "1e9"}, 400, "bytes"), ({"what": "1"}, 400, "what"),
], ids=str)
def test_invalid_parameter_is_refused_before_the_first_byte(world, parameters, status, word):
    assert word in world.api.get("/v1/history", **{"interface": "eth0", **parameters}).expect(status).error


def test_repeated_parameter_is_refused(world):
    assert "bpf" in world.api.get("/v1/history?interface=eth0&bpf=udp&bpf=tcp").expect(400).error


def open_history(world, **parameters):
    """Opens a stream and reads only its header."""
    connection, response = world.api.open("GET", "/v1/history", interface="eth0", **parameters)
    assert response.status == 200, response.read()
    return connection, response


def close(connections):
    for connection, _ in connections:
        connection.close()


def test_disconnected_clients_leave_no_resources_in_use(world):
    """Repeatedly opens all permitted streams; their resources are released each time."""
    descriptors = world.daemon.descriptors()
    for _ in range(4):
        streams = [open_history(world) for _ in range(STREAMS_MAX)]
        for _, response in streams[::2]:
            response.read(3_000_000)
        close(streams)
        until(lambda: world.api.get("/v1/history", interface="eth0", packets=1).status == 200, 15, "room for another history")
    until(lambda: world.daemon.descriptors() <= descriptors, 10, "descriptors to be closed")
    until(lambda: world.api.get("/v1/status").json["load"]["memory"] == 0, 10, "memory to be released")
    assert history(world).numbers == expected()


def test_streams_beyond_the_limit_are_refused(world):
    streams = [open_history(world) for _ in range(STREAMS_MAX)]
    try:
        assert str(STREAMS_MAX) in world.api.get("/v1/history", interface="eth0").expect(429).error
        assert CaptureFile(streams[3][1].read()).numbers == expected()
        history(world, packets=5)
    finally:
        close(streams)


def test_slow_clients_delay_no_one_else(world):
    """A fast capture completes while unread streams are open."""
    with contextlib.ExitStack() as stack:
        streams = [open_history(world) for _ in range(STREAMS_MAX - 1)]
        stack.callback(close, streams)
        for _ in range(10):
            stack.enter_context(world.api.events())
        began = time.monotonic()
        request = world.capture(interface=["eth1"], packets=5000, timeout=30)
        for _ in range(50):
            world.api.get("/v1/status").expect(200)
        assert time.monotonic() - began < seconds(20), "other clients wait for one that does not read"
        sender = type(world.sender)(world.peer, "peer1")
        sender.send(5000, rate=20000)
        assert request.done()["packets"] == 5000
        world.file(request, "eth1").assert_numbers(0, 5000)
        history(world, packets=100)


def test_streams_break_off_when_the_daemon_stops(make_world):
    """They break off, so that no client takes half a file for a whole one, and they do not delay the shutdown."""
    world = make_world(recorder("64MiB"))
    world.sender.send(20000, rate=25000, size=SIZE)
    streams = [open_history(world) for _ in range(3)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        began = threading.Event()

        def read(response):
            data = response.read(1000)
            began.set()
            with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
                while piece := response.read(1 << 16):
                    data += piece
                return "whole"
            return "broken off"

        outcomes = pool.submit(read, streams[0][1])
        assert began.wait(seconds(10)) and world.daemon.stop() == 0
        assert outcomes.result() in ("broken off", "whole")  # a fast reader may have received everything
        assert [read(response) for _, response in streams[1:]] == ["broken off"] * 2
    close(streams)
