# SPDX-License-Identifier: BSD-2-Clause
"""What alerts watch: recorders that wait for their interface, and counters of what became of requests."""

import os

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lib import pcapctl
from lib.waiting import until
from lib.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    config = {"limits": {"cooldown": 60, "retry": 0}, "history": {"interfaces": ["eht0", "eth0"], "memory": "32MiB"}}
    with World(tmp_path_factory.mktemp("alerts"), config) as world:
        yield world


def metrics(world):
    """Values by name and labels."""
    text = world.api.call("GET", "/metrics").expect(200).body.decode()
    return {(sample.name, *sample.labels.values()): sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


def test_recorder_without_its_interface_waits_visibly(world):
    def rows():
        return {row["name"]: row for row in world.api.get("/v1/interfaces").expect(200).json["interfaces"]}

    assert rows()["eht0"] == {"name": "eht0", "aliases": [], "up": False, "recorder": False, "waiting": True, "rate": {"packets": 0, "bytes": 0}}
    table = pcapctl.run("status", "--socket", world.config["api"]["socket"]).rows()
    assert next(row for row in table if row[:1] == ["eht0"])[1:4] == ["none", "-", "waiting"]
    now = metrics(world)
    assert now["pcapdaemon_recorder_up", "eht0"] == 0 and now["pcapdaemon_recorder_up", "eth0"] == 1
    assert ("pcapdaemon_interface_up", "eht0") not in now
    world.host.add_veth("eht0", world.peer, "peer9")
    until(lambda: metrics(world)["pcapdaemon_recorder_up", "eht0"] == 1, 10, "the recorder to start")
    assert "waiting" not in rows()["eht0"] and rows()["eht0"]["recorder"]
    world.host.delete_link("eht0")
    until(lambda: metrics(world)["pcapdaemon_recorder_up", "eht0"] == 0, 10, "the recorder to wait again")
    assert rows()["eht0"]["waiting"] and rows()["eht0"]["gone"], "what it held is still there"


def test_metrics_count_what_alerts_watch(world, tmp_path):
    before = metrics(world)

    def grown():
        return {key: value - before.get(key, 0) for key, value in metrics(world).items() if value != before.get(key, 0)}

    assert ("pcapdaemon_deliveries_total", "local", "failed") in before, "shown before the first failure"
    first = world.capture(bpf="udp port 9", alertid=1, duration=30)
    world.request(bpf="udp port 9", alertid=1, duration=1).done()
    world.stop(first)
    first.done()
    world.refused(interface=["absent0"])
    world.refused(packets=-1)
    os.rename(world.directory, tmp_path / "away")
    try:
        late = world.capture(packets=1, before=3600, timeout=20)  # reaches back further than the recorder does
        world.sender.send(1)
        assert late.final()["event"] == "failed"
    finally:
        os.rename(tmp_path / "away", world.directory)
    assert {("pcapdaemon_folded_total",): 1, ("pcapdaemon_rejected_total", "interface"): 1, ("pcapdaemon_rejected_total", "invalid"): 1,
            ("pcapdaemon_incomplete_captures_total",): 1, ("pcapdaemon_deliveries_total", "local", "failed"): 1}.items() <= grown().items()
    assert ("pcapdaemon_lost_packets_total", "evicted") in metrics(world)
