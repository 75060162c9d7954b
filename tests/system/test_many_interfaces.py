# SPDX-License-Identifier: BSD-2-Clause
"""More interfaces than one answer shows: the important ones are among those shown, and the answer says that it is cut."""

import contextlib
import json
import resource

import pytest

from lib.waiting import until
from lib.world import World

PAIRS = 560  # both ends here, so that there are more than 1024 interfaces
RECORDED, CAPTURED = "z999", "z998"


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    config = {"history": {"interfaces": ["eth0", RECORDED], "memory": "32MiB"}}
    with World(tmp_path_factory.mktemp("many"), config, start=False) as world:
        batch = "".join(f"link add {name} type veth peer name p{name}\n" for name in
                        [RECORDED, CAPTURED, *(f"v{number}" for number in range(PAIRS))])
        world.host.run("ip", "-batch", "-", input=batch)
        world.host.set_up(CAPTURED)
        world.daemon.start()
        yield world


def listed(world, **parameters):
    return world.api.get("/v1/interfaces", **parameters).expect(200).json


def test_recorders_and_captures_are_shown_first_and_the_cut_is_said(world):
    request = world.capture(interface=[CAPTURED], timeout=120)
    answer = listed(world)
    names = [entry["name"] for entry in answer["interfaces"]]
    total = 2 * (PAIRS + 2) + 2  # and lo, eth0
    assert names[:3] == ["eth0", RECORDED, CAPTURED] and names[3:] == sorted(names[3:]) and len(names) == 256
    assert answer["truncated"] is True and answer["total"] == total
    status = world.api.get("/v1/status").expect(200).json
    assert [entry["name"] for entry in status["interfaces"]] == names and status["interfaces_total"] == total
    few = listed(world, limit=2)
    assert [entry["name"] for entry in few["interfaces"]] == ["eth0", RECORDED] and few["total"] == total
    world.stop(request)
    request.done()


def test_all_are_shown_if_asked_for(world):
    answer = listed(world, limit=4096)
    assert "truncated" not in answer and "total" not in answer
    names = [entry["name"] for entry in answer["interfaces"]]
    assert len(names) == len(set(names)) == 2 * (PAIRS + 2) + 2 and names[0] == "lo", "the kernel's order"
    until(lambda: {entry["name"] for entry in listed(world, limit=4096)["interfaces"] if "rate" in entry} == set(names), 15, "rates")
    for wrong in ("0", "4097", "x", "-1"):
        world.api.get("/v1/interfaces", limit=wrong).expect(400)


def test_metrics_have_the_important_ones_and_the_total(world):
    lines = world.api.get("/metrics").expect(200).body.decode().splitlines()
    assert f"pcapdaemon_interfaces {2 * (PAIRS + 2) + 2}" in lines
    up = [line for line in lines if line.startswith("pcapdaemon_interface_up{")]
    assert len(up) == 1024 and up[0].startswith('pcapdaemon_interface_up{interface="eth0"}')
    assert any(line.startswith(f'pcapdaemon_recorder_reach_seconds{{interface="{RECORDED}"}}') for line in lines)


def test_interfaces_are_listed_without_a_file_descriptor_left(make_world):
    world = make_world(redis=False)
    with contextlib.closing(world.api.connect()) as connection:  # open before there are no more files
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        before = resource.prlimit(world.daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(world.daemon.pid, resource.RLIMIT_NOFILE, (3, before[1]))
        answers = {}
        for path in ("/v1/interfaces", "/metrics", "/v1/status"):
            connection.request("GET", path)
            response = connection.getresponse()
            answers[path] = (response.status, response.read().decode())
        resource.prlimit(world.daemon.pid, resource.RLIMIT_NOFILE, before)
    assert [status for status, _ in answers.values()] == [200, 200, 200], answers
    for path in ("/v1/interfaces", "/v1/status"):
        assert {entry["name"] for entry in json.loads(answers[path][1])["interfaces"]} == {"lo", "eth0"}
    assert "pcapdaemon_interfaces 2" in answers["/metrics"][1].splitlines()
