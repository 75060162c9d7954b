# SPDX-License-Identifier: BSD-2-Clause
"""pcapctl and the real daemon on one host."""

import contextlib
import json
import re
import signal
import socket
import struct
import threading

import pytest

from lib.cloudshark_server import CloudSharkServer, hang
from lib.daemon import PRIVATE_RUN, Daemon, into_mounts_of
from lib.events import Events
from lib.pcapctl import Pcapctl
from lib.pcapfile import CaptureFile
from lib.redis_cluster import RedisCluster
from lib.redis_sentinel import MASTER, SentinelSetup
from lib.tunnels import tunnelled
from lib.waiting import until
from lib.world import NODE


def ping_loopback(netns, stop):
    """ICMP echo requests to 127.0.0.1 (each appears with its reply) until `stop` is set."""

    def inside():
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        head = struct.pack("!BBHHH", 8, 0, 0, 1, 1)
        total = sum(struct.unpack("!4H", head))
        while not stop.wait(0.05):
            sender.sendto(struct.pack("!BBHHH", 8, 0, ~total & 0xFFFF, 1, 1), ("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: netns.call(inside), daemon=True)
    thread.start()
    return thread


def test_one_command_writes_a_file_without_configuration_or_redis(netns, tmp_path):
    bare, stop = netns("bare"), threading.Event()
    (tmp_path / "files").mkdir()
    with Daemon(tmp_path, netns=bare, wrapper=PRIVATE_RUN) as daemon:
        daemon.start(subscribed=False)
        daemon.wait_log("api-ready")
        thread = ping_loopback(bare, stop)
        try:
            with Pcapctl("capture", "-i", "lo", "-c", "4", "icmp", wrapper=into_mounts_of(daemon, tmp_path / "files")) as command:
                result = command.finish(30)
        finally:
            stop.set()
            thread.join()
        assert result.status == 0, result
        file, = (tmp_path / "files").iterdir()
        assert file.name.endswith(".pcapng") and "-lo-" in file.name
        assert daemon.stop() == 0


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    from lib.world import World
    with World(tmp_path_factory.mktemp("real"), {"general": {"writelocal": False}, "history": {"interfaces": ["eth0"], "memory": "32MiB"}},
               redis=False) as world:
        yield world


def pcapctl(host, *arguments, cwd=None, **options):
    return Pcapctl(*arguments, "--socket", host.config["api"]["socket"], cwd=cwd, **options)


def test_history_goes_to_standard_output(host, tmp_path):
    host.sender.send(100, rate=10000, first=300)
    result = pcapctl(host, "history", "-i", "eth0", "-w", "-").finish()
    assert result.status == 0, result.stderr
    path = tmp_path / "out.pcapng"
    path.write_bytes(result.bytes)
    assert [number for number in CaptureFile(path).numbers if 300 <= number < 400] == list(range(300, 400))


def test_history_that_reaches_less_far_than_asked_is_partial_success(host, tmp_path):
    host.sender.send(5, rate=1000, first=400)
    result = pcapctl(host, "history", "-i", "eth0", "--last", "1h", cwd=tmp_path).finish()
    assert re.fullmatch(f"{NODE}-eth0-.*Z-history.pcapng\n", result.stdout) and " packets from 20" in result.stderr, result
    assert result.status == 3 and re.search("history reaches back only to 20.*Z, not to 20.*Z\n",
                                                                                    result.stderr), result
    until(lambda: "reaches" not in pcapctl(host, "history", "-i", "eth0", "--last", "0.5", "-w", "-").finish().stderr)
    everything = pcapctl(host, "history", "-i", "eth0", "-w", "-").finish()
    assert re.fullmatch("pcapctl: [0-9,]+ packets from 20.*Z to 20.*Z\n", everything.stderr), everything
    result = pcapctl(host, "history", "-i", "eth0", "-Q", "in", "-w", "all.pcap", cwd=tmp_path).finish()
    file = CaptureFile(tmp_path / "all.pcap")
    assert result.status == 0 and file.format == "pcap" and len(file.packets) == len(CaptureFile(everything.bytes).packets), result
    assert pcapctl(host, "history", "-i", "eth0", "-Q", "out", "-w", "out.pcap", cwd=tmp_path).finish().status == 4
    result = pcapctl(host, "history", "-i", "eth0", "-w", "none", "host 10.254.254.254", cwd=tmp_path).finish()
    assert result.status == 4 and "no packet" in result.stderr and CaptureFile(tmp_path / "none").packets == [], result


def test_history_is_filtered_by_what_tunnels_carry(host, tmp_path):
    wanted = tunnelled("10.0.0.1")
    host.sender.frame(*wanted, *tunnelled("10.0.0.3"))
    until(lambda: b"inside" in pcapctl(host, "history", "-i", "eth0", "--last", "30s", "-w", "-", "--inner", "host 10.0.0.3").finish().bytes)
    result = pcapctl(host, "history", "-i", "eth0", "-w", "in.pcapng", "--inner", "host 10.0.0.1", "not ip6",
                     cwd=tmp_path).finish()
    assert result.status == 0, result
    file = CaptureFile(tmp_path / "in.pcapng")
    assert [packet.data for packet in file.packets] == [frame for number, frame in enumerate(wanted) if number in (0, 2, 4, 6, 7, 9)]
    assert "inner: host 10.0.0.1" in file.comments
    assert pcapctl(host, "history", "-i", "eth0", "-w", "-", "--inner", "hots 10.0.0.1").finish().status == 1


def test_a_capture_reaches_back_and_is_fetched_again(host, tmp_path):
    host.sender.send(20, rate=5000, first=1000)
    result = pcapctl(host, "capture", "-i", "eth0", "--before", "0.5", "-c", "20", "--id", "real-1", "-w", "first.pcapng",
                     "udp and ip[28:4] >= 0", cwd=tmp_path).finish()
    assert result.status == 0, result
    assert pcapctl(host, "get", "real-1.1", "-w", "again.pcapng", cwd=tmp_path).finish().status == 0
    assert (tmp_path / "first.pcapng").read_bytes() == (tmp_path / "again.pcapng").read_bytes()
    shown = pcapctl(host, "show", "real-1", "--json").finish()
    assert shown.status == 0 and "real-1.1" in shown.stdout


def test_a_running_capture_is_listed_and_stopped(host, tmp_path):
    command = pcapctl(host, "capture", "-i", "eth0", "--timeout", "60s", "--id", "real-2", "-w", "out.pcapng", cwd=tmp_path)
    until(lambda: "real-2" in pcapctl(host, "list").finish().stdout)
    host.sender.send(5, rate=1000, first=2000)
    until(lambda: '"packets": 5' in pcapctl(host, "show", "real-2.1", "--json").finish().stdout
          or '"packets":5' in pcapctl(host, "show", "real-2.1", "--json").finish().stdout)
    assert pcapctl(host, "stop", "real-2").finish().status == 0
    result = command.finish()
    assert result.status == 3 and re.search(r"test-node eth0: stopped after \S+ s of 60 s: it was stopped by a client\n", result.stderr), result
    CaptureFile(tmp_path / "out.pcapng").assert_numbers(2000, 5)


def test_status_and_refusals_are_printed(host):
    status = pcapctl(host, "status").finish()
    assert status.status == 0 and "eth0" in status.stdout
    refused = pcapctl(host, "capture", "-i", "eth9").finish()
    assert refused.status == 1 and "eth9" in refused.stderr + refused.stdout


def test_a_daemon_on_a_cluster_serves_channel_stream_and_files(netns, tmp_path):
    (tmp_path / "cluster").mkdir()
    (tmp_path / "daemon").mkdir()
    cluster = RedisCluster(tmp_path / "cluster")
    cluster.start()
    try:
        first = cluster.masters[0]
        config = {"general": {"node": "on-cluster"}, "api": {"socket": str(tmp_path / "daemon" / "control.sock")},
                  "redis": {"host": "127.0.0.1", "port": first.port, "nodes": cluster.endpoints[1:], "stream": "capture:stream"}}
        with Daemon(tmp_path / "daemon", config) as daemon:
            daemon.start()
            daemon.wait_log("stream-subscribed", 20)
            url = f"redis://127.0.0.1:{cluster.masters[2].port}/capture"
            until(lambda: "on-cluster" in Pcapctl("nodes", "--redis", url, "--redis-cluster").finish().stdout, 20)
            for options in ([], ["--stream", "capture:stream"]):
                stop = threading.Event()
                thread = threading.Thread(target=chatter, args=(stop,), daemon=True)
                thread.start()
                try:
                    result = Pcapctl("capture", "--redis", url, "--redis-cluster", "--node", "on-cluster", "-i", "lo", "-c", "3", "--timeout", "20s",
                                     "--merge", "out.pcapng", *options, "udp port 17999", cwd=tmp_path).finish(60)
                finally:
                    stop.set()
                    thread.join()
                assert result.status == 0, result
                assert (tmp_path / "out.pcapng").stat().st_size > 0
                (tmp_path / "out.pcapng").unlink()
    finally:
        cluster.close()


def chatter(stop):
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while not stop.wait(0.05):
        sender.sendto(b"x", ("127.0.0.1", 17999))


def test_a_daemon_with_sentinels_follows_a_new_master_during_a_capture(tmp_path):
    (tmp_path / "sentinels").mkdir()
    (tmp_path / "daemon").mkdir()
    setup = SentinelSetup(tmp_path / "sentinels").start()
    try:
        config = {"general": {"node": "guarded"}, "api": {"socket": str(tmp_path / "daemon" / "control.sock")},
                  "redis": {"sentinels": setup.endpoints, "master": MASTER, "stream": "capture:stream"}}
        with Daemon(tmp_path / "daemon", config) as daemon:
            daemon.start()
            daemon.wait_log("stream-subscribed", 20)
            request = {"node": "guarded", "interface": ["lo"], "bpf": "udp port 17999", "packets": 40, "timeout": 60, "id": "guarded-1",
                       "to_destinations": ["redis"]}
            with setup.master.client() as client:
                client.xadd("capture:stream", {"request": json.dumps(request)})
            daemon.wait_log("event-accepted", 20)
            new = setup.fail_over()
            with contextlib.closing(Events(new)) as events:
                until(lambda: new.clients() and any("pcapdaemon-subscriber" in entry["name"] for entry in new.clients()), 30)
                stop = threading.Event()
                thread = threading.Thread(target=chatter, args=(stop,), daemon=True)
                thread.start()
                try:
                    event = events.wait(lambda event: event["event"] in ("done", "failed"), 60)
                finally:
                    stop.set()
                    thread.join()
            assert event["event"] == "done" and event["packets"] == 40, event
            with new.client() as client:
                assert client.exists("{capture}:file:guarded:guarded-1.1")
                until(lambda: client.xpending("capture:stream", "guarded")["pending"] == 0)
    finally:
        setup.close()


def test_ctrl_c_fetches_the_file_of_a_capture_whose_delivery_hangs(tmp_path):
    (tmp_path / "files").mkdir()
    config = {"api": {"socket": str(tmp_path / "control.sock")}, "redis": {"listen": False}}
    with CloudSharkServer("token", behaviour=hang()) as server:
        config["cloudshark"] = {"host": "127.0.0.1", "port": server.port, "scheme": "http", "token": "token", "upload": True}
        with Daemon(tmp_path, config) as daemon:
            daemon.start(subscribed=False)
            daemon.wait_log("api-ready")
            stop = threading.Event()
            thread = threading.Thread(target=chatter, args=(stop,), daemon=True)
            thread.start()
            command = Pcapctl("capture", "-i", "lo", "-c", "3", "-d", "cloudshark", "-w", "out.pcapng", "udp port 17999",
                              "--socket", config["api"]["socket"], cwd=tmp_path / "files")
            try:
                server.wait_for_requests(1, stage="body")
            finally:
                stop.set()
                thread.join()
            command.signal(signal.SIGINT)
            result = command.finish()
            assert result.status == 3 and "its delivery goes on" in result.stderr, result
            assert len(CaptureFile(tmp_path / "files" / "out.pcapng").packets) == 3
