# SPDX-License-Identifier: BSD-2-Clause
"""Filters with names, and a name server that never answers: they end at their deadline and delay no other request."""

import concurrent.futures
import os
import socket

import pytest

from lib.history import recorder
from lib.waiting import until

SLOW = 20  # more than there are threads for filters with names


@pytest.fixture
def world(make_world, tmp_path):
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:3\n")
    world = make_world(recorder("32MiB"), wrapper=["unshare", "-m", "--propagation", "private", "sh", "-c",
                                                   'mount --bind "$0" /etc/resolv.conf && exec "$@"', resolver])
    with world.host.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        server.settimeout(10)
        world.name_server = server
        yield world


def test_slow_names_end_at_their_deadline_and_delay_no_other_filter(world):
    def post(number):
        return world.api.post(world.fields(bpf=f"host {number}.slow.example", timeout=20))

    with concurrent.futures.ThreadPoolExecutor(SLOW) as pool:
        answers = [pool.submit(post, number) for number in range(SLOW)]
        world.name_server.recv(512)  # the first is asked for: "1.slow.example" is no number
        until(lambda: len([name for name in threads(world) if name == "pcapd-lookup"]) >= 8, 10, "look-ups under way")
        request = world.capture(bpf="udp and net 10.0.0.0/8 or udp", packets=5, timeout=30)
        world.sender.send(5, rate=1000)
        request.done()
        world.api.get("/v1/history", interface="eth0", last="10s", bpf="udp").expect(200)
        world.api.get("/healthz").expect(200)
        assert not any(answer.done() for answer in answers), "the others were answered while names were being looked up"
        results = [answer.result() for answer in answers]
    assert all(result.status >= 400 for result in results)
    assert all("looking up its names took longer than 5 s" in result.error for result in results), results[0]
    world.assert_works()


def threads(world):
    names = []
    for task in os.listdir(f"/proc/{world.daemon.pid}/task"):
        try:
            with open(f"/proc/{world.daemon.pid}/task/{task}/comm") as comm:
                names.append(comm.read().strip())
        except OSError:
            pass
    return names
