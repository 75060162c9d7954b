# SPDX-License-Identifier: BSD-2-Clause
"""A fleet whose Redis fails over or is away for a while: events and files still arrive, and pcapctl waits."""

import collections
import concurrent.futures
import contextlib
import signal
import time

import pytest

from lib.events import Events
from lib.fleet import STREAM, Fleet, Guarded
from lib.waiting import until

THREE = ["edge1", "edge2", "edge3"]
PRESENCE_S = 15
AWAY_MAX_S = 120


def clients(server):
    """The number of clients by name."""
    return collections.Counter(entry["name"] for entry in server.clients()).items()


@pytest.fixture(scope="module")
def abandoned(tmp_path_factory):
    """A capture whose Redis goes away for good once one node has finished: when that was, and a future with the result and the time of the
    end. pcapctl waits for AWAY_MAX_S, during which the other tests of this file run."""
    directory = tmp_path_factory.mktemp("abandoned")
    with Fleet(directory, THREE) as fleet, concurrent.futures.ThreadPoolExecutor() as pool:
        server, = fleet.bus.servers
        capture = fleet.capture(directory, "-c", 10)
        capture.accepted()
        capture.send(10, nodes=["edge1"])
        until(lambda: capture.nodes_of("done") == ["edge1"], 20, "one node to finish")
        server.stop(signal.SIGKILL)
        yield time.monotonic(), pool.submit(lambda: (capture.finish(AWAY_MAX_S + 30), time.monotonic()))
        server.start()  # takes the daemons' last events


def test_pcapctl_waits_for_a_redis_that_went_away(abandoned):
    """The end of this file has the rest."""
    assert not abandoned[1].done()


def test_pcapctl_rides_out_an_outage_longer_than_presence_lasts(make_fleet, tmp_path):
    fleet = make_fleet(THREE)
    server, = fleet.bus.servers
    capture = fleet.capture(tmp_path, "-c", 30, answer_timeout=60)
    capture.accepted()
    capture.send(20)
    server.pause()
    capture.send(10, first=20)
    time.sleep(PRESENCE_S + 1)  # presence expires and queries time out
    assert capture.command.is_running()
    server.resume()
    result = capture.finish(120)
    assert result.status == 0, result
    capture.assert_holds({name: 30 for name in THREE})


@pytest.mark.parametrize("options", [[], ["--stream", STREAM]], ids=["published", "stream"])
def test_pcapctl_rides_out_an_outage_before_the_first_answer(make_fleet, tmp_path, options):
    """The answer timeout does not end during an outage, and a request that Redis lost is sent again."""
    fleet = make_fleet(THREE)
    server, = fleet.bus.servers
    for daemon in fleet.daemons.values():
        daemon.signal(signal.SIGSTOP)
    try:
        with contextlib.closing(Events(server, "capture")) as requests, server.client() as client:
            capture = fleet.capture(tmp_path, "-c", 10, *options, answer_timeout=2)
            if options:
                until(lambda: client.xlen(STREAM), 10, "the request in the stream")
            else:
                requests.wait(lambda request: request["id"] == capture.id)
        server.stop(signal.SIGKILL)
    finally:
        for daemon in fleet.daemons.values():
            daemon.signal(signal.SIGCONT)
    time.sleep(4)  # the outage
    assert capture.command.is_running()
    server.start()
    for daemon in fleet.daemons.values():
        daemon.wait_log("event-accepted", 30, request=capture.id)
    capture.send(10)
    result = capture.finish(60)
    assert result.status == 0, result
    capture.assert_holds({name: 10 for name in THREE})


def test_ctrl_c_ends_a_merge_while_redis_hangs(make_fleet, tmp_path):
    fleet = make_fleet(THREE)
    server, = fleet.bus.servers
    capture = fleet.capture(tmp_path, "-c", 10000)
    capture.accepted()
    capture.send(10000, size=1400)
    with server.client() as client:
        until(lambda: "cmdstat_lindex" in client.info("commandstats"), 30, "the files to be fetched")
    server.pause()
    try:
        capture.command.signal(signal.SIGINT)
        result = capture.finish(15)
    finally:
        server.resume()
    assert result.status == 130 and not capture.path.exists(), result


@pytest.mark.parametrize("packets", ["at once", "after half a second", "once all have reconnected"])
def test_events_and_files_arrive_through_a_failover_with_sentinels(make_fleet, tmp_path, packets):
    """The old master accepts events and files until it learns that it was replaced."""
    fleet = make_fleet(THREE, Guarded)
    setup, old = fleet.bus.setup, fleet.bus.setup.master
    capture = fleet.capture(tmp_path, "-c", 30, answer_timeout=60)
    capture.accepted()
    capture.send(20)
    new = setup.fail_over(at_promotion=packets != "once all have reconnected")
    assert new is not old
    if packets == "after half a second":
        time.sleep(0.5)
    elif packets != "at once":
        until(lambda: clients(new) >= {f"pcapdaemon-{role}": 3 for role in ("publisher", "subscriber", "keys", "stream")}.items()
              and "pcapdaemon-ctl" in dict(clients(new)), 20, "all clients to reconnect")
    capture.send(10, first=20)
    result = capture.finish(120)
    assert result.status == 0, result
    capture.assert_holds({name: 30 for name in THREE})
    assert setup.master is new and not fleet.files()


def test_a_capture_survives_a_killed_master(make_fleet, tmp_path):
    fleet = make_fleet(THREE, Guarded)
    old = fleet.bus.setup.master
    capture = fleet.capture(tmp_path, "-c", 30, answer_timeout=60)
    capture.accepted()
    capture.send(20)
    old.stop(signal.SIGKILL)
    capture.send(10, first=20)  # its events wait for the new master
    result = capture.finish(90)
    assert result.status == 0, result
    capture.assert_holds({name: 30 for name in THREE})
    assert fleet.bus.setup.master is not old


# --- at the end, after its wait ---

def test_answers_from_before_redis_went_away_for_good_are_shown(abandoned):
    gone, finished = abandoned
    result, ended = finished.result()
    assert result.status == 3 and f"away for more than {AWAY_MAX_S} s" in result.stderr, result
    assert ended - gone > AWAY_MAX_S - 5
    states = {row[0]: row for row in result.rows()}
    assert states.keys() == set(THREE) and "done" in " ".join(states["edge1"]), result
