# SPDX-License-Identifier: BSD-2-Clause
"""One command for a fleet: each daemon, and Redis, on a host (network namespace) of its own."""

import itertools
import json
import re
import signal

import pytest

from lib import toml
from lib.events import new_id
from lib.fleet import ADDRESS, STREAM, Clustered, Fleet
from lib.pcapfile import CaptureFile
from lib.redis_cluster import slot_of
from lib.waiting import until

FIVE = [f"edge{number}" for number in range(1, 6)]
THREE = FIVE[:3]
SMALL, SMALL_BYTES = "edge1", 65536  # its configuration forbids larger files in Redis


@pytest.fixture(scope="module")
def shared_five(tmp_path_factory):
    """Every node but the last has eth1."""
    with Fleet(tmp_path_factory.mktemp("five"), FIVE, interfaces={name: ["eth0", "eth1"] for name in FIVE[:-1]},
               config={SMALL: {"redis": {"file_size": SMALL_BYTES}}}) as fleet:
        yield fleet


@pytest.fixture
def five(shared_five):
    """For tests that leave the fleet unchanged: all nodes alive, no file in Redis."""
    yield shared_five
    shared_five.end_commands()
    for name, daemon in shared_five.daemons.items():
        assert daemon.is_alive(), f"{name} ended during this test:\n{daemon.tail()}"
    assert not shared_five.files(), "files left behind"


def without(names, *others):
    return [name for name in names if name not in others]


# All nodes are up


def test_one_command_writes_the_merged_file_of_five_nodes(five, tmp_path):
    capture = five.capture(tmp_path, "-c", 30)
    capture.accepted()
    capture.send(30)
    result = capture.finish()
    assert result.status == 0 and result.stdout.splitlines()[-1] == "out.pcapng", result
    capture.assert_holds({name: 30 for name in FIVE})


def test_packets_from_before_the_command_are_in_the_file(five, tmp_path):
    port = five.next_port()
    five.send(port, 20)
    capture = five.capture(tmp_path, "-c", 30, port=port, before=10)
    capture.accepted()
    capture.send(10, first=20)
    result = capture.finish()
    assert result.status == 0 or (result.status == 3 and "history reaches back only" in result.stderr), result  # it has just begun
    capture.assert_holds({name: 30 for name in FIVE})


def test_the_history_of_the_fleet_comes_in_one_file(five, tmp_path):
    port = five.next_port()
    five.send(port, 20)
    result = five.ask("history", "-i", "eth0", "--last", "30s", f"udp port {port}", cwd=tmp_path)
    file, = tmp_path.iterdir()
    assert result.status == 0 and result.stdout.splitlines()[-1] == file.name and file.name.startswith("history-"), result
    assert len(CaptureFile(file).packets) == 20 * len(FIVE)
    result = five.ask("history", "-i", "eth0", "-w", "-")
    assert result.status == 2 and "needs a start" in result.stderr, result
    result = five.ask("capture", "-i", "eth0", "-w", "x.pcap")
    assert result.status == 2 and "a merged file is always pcapng" in result.stderr, result


def test_nodes_and_status_show_all_nodes_and_how_far_back_they_reach(five):
    five.send(five.next_port(), 5)
    for command in ("nodes", "status"):
        shown = five.ask(command)
        assert shown.status == 0 and [row[:2] for row in shown.rows()] == [[name, "up"] for name in FIVE], shown
        assert [node["node"] for node in five.ask(command, "--json").json["nodes"]] == FIVE

    def reach():
        nodes = five.ask("nodes", "--json").json["nodes"]
        eth0 = [next(one for one in node["presence"]["interfaces"] if one["name"] == "eth0") for node in nodes]
        return all(one["recorder"] and one["up"] and one["reach"] > 0 and one["packets"] >= 5 for one in eth0)

    until(reach, 20, "every node to publish how far it reaches back", interval=0.2)  # published every 5 s
    lines = five.ask("nodes").stdout.splitlines()[1:]
    assert len(lines) == 5 and all(re.search(r"\beth0 \d+(\.\d+)? (ms|s)\b", line) for line in lines), lines


def test_a_node_that_refuses_is_named_with_its_reason_and_the_others_go_on(five, tmp_path):
    capture = five.capture(tmp_path, "-c", 20, interface="eth1")
    capture.accepted(FIVE[:-1])
    capture.send(20, nodes=FIVE[:-1])
    result = capture.finish()
    assert result.status == 3, result
    assert [row[0] for row in result.rows() if "rejected" in row] == [FIVE[-1]], result
    assert 'this host has no "eth1"' in result.stdout, result
    capture.assert_holds({name: 20 for name in FIVE[:-1]})


def test_a_file_too_large_for_redis_is_reported_and_the_rest_is_merged(five, tmp_path):
    count = SMALL_BYTES // 1000
    capture = five.capture(tmp_path, "-c", count)
    capture.accepted()
    capture.send(count, size=1400)
    result = capture.finish()
    assert result.status == 3, result
    assert f"more than redis.file_size allows ({SMALL_BYTES})" in result.stdout + result.stderr, result
    capture.assert_holds({name: count for name in FIVE if name != SMALL})


def test_a_burst_of_requests_is_answered_by_every_node(five):
    since, port, run = five.events.mark(), five.next_port(), new_id("burst")
    requests = [{"node": "any", "interface": ["eth0"], "packets": 1, "timeout": 60, "bpf": f"udp port {port}",
                 "id": f"{run}-{number}", "to_destinations": ["memory"]} for number in range(50)]
    with five.bus.client() as client, client.pipeline(transaction=False) as pipeline:
        for request in requests:
            pipeline.publish("capture", json.dumps(request))
        pipeline.execute()

    def answers(kind):
        found = five.events.wait_count(lambda event: event["event"] == kind and event["id"].startswith(run), 250, 30, since)
        return sorted((event["node"], event["id"]) for event in found)

    wanted = sorted((name, request["id"]) for name in FIVE for request in requests)
    assert answers("accepted") == wanted
    five.send(port, 1)
    assert answers("done") == wanted


# A node is missing


def test_a_node_that_is_cut_off_is_named_and_takes_part_again_later(make_fleet, tmp_path):
    fleet = make_fleet(FIVE)
    fleet.cut_off("edge3")
    capture = fleet.capture(tmp_path, "-c", 20, answer_timeout=5)
    capture.accepted(without(FIVE, "edge3"))
    capture.send(20)
    result = capture.finish()
    assert result.status == 3 and "edge3 never answered" in result.stderr, result
    capture.assert_holds({name: 20 for name in without(FIVE, "edge3")})
    fleet.reconnect("edge3")
    (tmp_path / "again").mkdir()
    again = fleet.capture(tmp_path / "again", "-c", 20, answer_timeout=60)
    again.accepted()
    again.send(20)
    result = again.finish()
    assert result.status == 0, result
    again.assert_holds({name: 20 for name in FIVE})


def test_a_node_killed_during_a_capture_is_named_and_the_rest_is_merged(make_fleet, tmp_path):
    fleet = make_fleet(FIVE)
    capture = fleet.capture(tmp_path, "-c", 30)
    capture.accepted()
    capture.send(20)
    fleet.daemons["edge2"].kill()
    capture.send(10, first=20)
    result = capture.finish()
    assert result.status == 3 and "edge2 went away while it captured, last seen 20" in result.stderr, result
    capture.assert_holds({name: 30 for name in without(FIVE, "edge2")})


def test_a_node_stopped_cleanly_is_not_expected(make_fleet, tmp_path):
    fleet = make_fleet(THREE)
    assert fleet.daemons["edge3"].stop() == 0
    until(lambda: fleet.present() == {"edge1", "edge2"}, 5, "edge3 to leave the presence list")  # long before its presence expires
    capture = fleet.capture(tmp_path, "-c", 20)
    capture.accepted(["edge1", "edge2"])
    capture.send(20)
    result = capture.finish()
    assert result.status == 0 and "edge3" not in result.stdout and "edge3 is stopped since 20" in result.stderr, result
    capture.assert_holds({"edge1": 20, "edge2": 20})
    assert [row[:2] for row in fleet.ask("nodes").rows()] == [["edge1", "up"], ["edge2", "up"], ["edge3", "stopped"]]
    result = fleet.ask("nodes", "--forget", "edge1")
    assert result.status == 1 and "edge1 is up: stop its daemon first" in result.stderr, result
    assert fleet.ask("nodes", "--forget", "edge3").status == 0
    assert [row[0] for row in fleet.ask("nodes").rows()] == ["edge1", "edge2"]
    fleet.start("edge3")  # it is known again
    assert [row[:2] for row in fleet.ask("nodes").rows()][2] == ["edge3", "up"]


# The stream


def presence_reads(fleet):
    """How often presence was read."""
    with fleet.bus.client() as client:
        return client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]


def await_presence_read(fleet):
    seen = presence_reads(fleet)
    until(lambda: presence_reads(fleet) > seen, 15, "pcapctl to read presence again", interval=0.1)


def test_restarted_nodes_resume_the_request_from_the_stream(make_fleet, tmp_path):
    names = FIVE[:4]
    fleet = make_fleet(names)
    fleet.daemons["edge2"].kill()  # still expected
    fleet.daemons["edge3"].stop()  # not expected, but may take part
    capture = fleet.capture(tmp_path, "-c", 20, "--stream", STREAM, answer_timeout=60)
    capture.accepted(["edge1", "edge4"])
    fleet.daemons["edge4"].kill()
    fleet.start("edge2", "edge3", "edge4")
    until(lambda: capture.nodes_of("accepted") == [*names, "edge4"], 20, "all nodes to accept, and the last one again")
    await_presence_read(fleet)  # their restarts since the request must not count against them
    capture.send(20)
    result = capture.finish()
    assert result.status == 3 and "edge4 eth0: history reaches back only to 20" in result.stderr, result  # of the new run
    capture.assert_holds({name: 20 for name in names})
    assert capture.nodes_of("accepted") == [*names, "edge4"] and capture.nodes_of("done") == names
    until(lambda: not fleet.unacknowledged(), 10, "every node to acknowledge")
    assert not fleet.files()


# A Cluster


@pytest.fixture(scope="module")
def cluster_fleet(tmp_path_factory):
    with Fleet(tmp_path_factory.mktemp("clustered"), THREE, Clustered) as fleet:
        yield fleet
        for name, daemon in fleet.daemons.items():
            assert daemon.is_alive(), f"{name} ended:\n{daemon.tail()}"


def test_any_node_of_a_cluster_accepts_a_request(cluster_fleet, tmp_path):
    fleet = cluster_fleet
    for number, (server, words) in enumerate(itertools.product(fleet.bus.servers, ([], ["--stream", STREAM]))):
        url, directory = fleet.bus.url_of(server), tmp_path / str(number)
        directory.mkdir()
        assert [row[:2] for row in fleet.pcapctl("nodes", "--redis", url, *fleet.bus.options).finish().rows()] == [[name, "up"] for name in THREE]
        capture = fleet.capture(directory, "-c", 10, *words, target=["--redis", url, *fleet.bus.options])
        capture.accepted()
        capture.send(10)
        result = capture.finish()
        assert result.status == 0, result
        capture.assert_holds({name: 10 for name in THREE})
        assert capture.nodes_of("accepted") == THREE
    assert not fleet.files()
    until(lambda: not fleet.unacknowledged(), 10, "every node to acknowledge")


def test_the_fleets_slot_may_move_while_files_are_uploaded(cluster_fleet, tmp_path):
    fleet, cluster = cluster_fleet, cluster_fleet.bus.cluster
    slot, source = slot_of("{capture}"), cluster_fleet.bus.owner
    target = next(server for server in cluster.masters if server is not source)
    count = 1000  # of 1400 bytes: a file of several chunks
    capture = fleet.capture(tmp_path, "-c", count)
    capture.accepted()
    cluster.begin_migration(slot, source, target)
    capture.send(count, nodes=["edge1"], size=1400)
    until(lambda: capture.nodes_of("done") == ["edge1"], 20, "the first file to be stored during the migration")
    assert f"{{capture}}:file:edge1:{capture.id}.1" in cluster.run(target, "CLUSTER", "GETKEYSINSLOT", slot, 100)
    cluster.migrate_keys(slot, source, target, count=1)
    capture.send(count, nodes=["edge2"], size=1400)
    cluster.migrate_keys(slot, source, target)
    cluster.end_migration(slot, source, target)
    capture.send(count, nodes=["edge3"], size=1400)
    result = capture.finish()
    assert result.status == 0, result
    capture.assert_holds({name: count for name in THREE})
    assert fleet.bus.owner is target and not fleet.files()


@pytest.mark.parametrize("asked", ["another", "the one that dies"])
def test_a_node_of_a_cluster_may_die_during_a_capture(make_fleet, tmp_path, asked):
    fleet = make_fleet(THREE, lambda directory, netns: Clustered(directory, netns, replicas=3))
    owner = fleet.bus.owner
    others = without(fleet.bus.cluster.masters, owner)
    first = owner if asked == "the one that dies" else others[0]
    config = tmp_path / "operator.toml"  # names the first master and those that survive
    config.write_text(toml.dumps({"redis": {"host": ADDRESS, "port": first.port, "nodes": [f"{ADDRESS}:{one.port}" for one in others]}}))
    capture = fleet.capture(tmp_path, "-c", 30, target=["--config", config], answer_timeout=60)
    capture.accepted()
    capture.send(20)
    owner.stop(signal.SIGKILL)
    capture.send(10, first=20)
    result = capture.finish(90)
    assert result.status == 0, result
    capture.assert_holds({name: 30 for name in THREE})
    assert fleet.bus.owner not in fleet.bus.cluster.masters and not fleet.files()
