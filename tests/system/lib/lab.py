# SPDX-License-Identifier: BSD-2-Clause
"""The installation in which the sessions of the documents run: three nodes (edge1, edge2, edge3) whose eth0 gets DNS and other packets all
the time, Redis at redis.example.net and CloudShark at cloudshark.example.net. The user is root on edge1, where only the tour or a test
starts the daemon. edge1 has /etc, /run/pcapdaemon and /var/lib of its own."""

import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import threading

from .cloudshark_server import CloudSharkServer
from .daemon import PROGRAM, Daemon
from .fleet import ADDRESS, Fleet
from .pcapctl import PROGRAM as PCAPCTL
from .pcapctl import environment
from .transcript import Step
from .waiting import seconds, until

DOCUMENTS = ("docs/tour.md", "docs/pcapctl.1.in", "docs/pcapdaemon.8.in")
HOME = "edge1"
TOKEN = "0badc0de0badc0de0badc0de"
CONFIGURATION = """\
[redis]
host = "redis.example.net"
[history]
interfaces = ["eth0"]
memory = "32MiB"
seconds = 60
"""
REACH_S = 3
STARTS = ("pcapdaemon &", "systemctl restart pcapdaemon", "systemctl enable --now pcapdaemon")  # systemd's part
CLOUDSHARK = {"host": "cloudshark.example.net", "scheme": "http", "token": TOKEN, "upload": True}

LOGIN = """
set -e
cp -a /etc "$1/etc" && rm -f "$1"/etc/*shadow* && mount --bind "$1/etc" /etc
mkdir -p /etc/pcapdaemon
printf '%s redis.example.net cloudshark.example.net\\n127.0.0.1 localhost\\n' "$2" >/etc/hosts
mkdir -p /run/pcapdaemon && mount -t tmpfs -o mode=755 none /run/pcapdaemon
mount -t tmpfs -o mode=755 none /var/lib && mkdir /var/lib/pcapdaemon
hostname "$3"
: >"$1/ready"
exec sleep infinity
"""


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def dns_query(number):
    """An Ethernet frame."""
    query = struct.pack("!6H", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + b"\3www\7example\3net\0" + struct.pack("!2H", 1, 1)
    udp = struct.pack("!4H", 40000 + number % 1000, 53, 8 + len(query), 0) + query
    ip = struct.pack("!2B3H2BH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes((10, 0, 0, 1)), bytes((10, 0, 0, 53)))
    return bytes.fromhex("02000000000202000000000108 00") + ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:] + udp


class Resolver:
    """Sends a DNS query to each node, 20 times a second."""

    def __init__(self, senders):
        self.sockets = [sender.netns.call(self._open, sender.interface) for sender in senders.values()]
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._run)

    @staticmethod
    def _open(interface):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sock.bind((interface, 0))
        return sock

    def _run(self):
        for number in itertools.count():
            for sock in self.sockets:
                sock.send(dns_query(number))
            if self.end.wait(0.05):
                return

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()
        for sock in self.sockets:
            sock.close()


class Lab(Fleet):
    def __init__(self, root):
        self.root = root
        self.work = root / "work"
        self.work.mkdir()
        self.login = self.daemon = None
        self.more = {"cloudshark": CLOUDSHARK, "history": {"interfaces": ["eth0"], "memory": "32MiB", "seconds": 60}}
        super().__init__(root, ["edge1", "edge2", "edge3"], config={name: self.more for name in ("edge2", "edge3")})

    def _build(self, bus, interfaces, config):
        super()._build(bus, interfaces, config)
        self.cloudshark = self.office.call(lambda: CloudSharkServer(TOKEN, host=ADDRESS, port=80).start())
        self._stack.callback(self.cloudshark.stop)
        self._log_in()
        for daemon in self.daemons.values():
            daemon.wrapper = ["nsenter", "-t", str(self.login.pid), "-m", "--"]  # for the names of the two servers
        for (name, _), sender in self.senders.items():
            self._stack.callback(sender.start(count=10_000_000, rate=20, dst_port=443, size=90).stop)
        self._stack.enter_context(Resolver(self.senders))
        self._stack.callback(self._end_daemon)

    def _log_in(self):
        """A process on edge1 with mounts and a host name of its own, which commands enter."""
        host = self.hosts[HOME]
        self.login = host.popen("unshare", "-m", "-u", "--propagation", "private", "sh", "-c", LOGIN, "sh", self.root, ADDRESS, HOME)
        self._stack.callback(lambda: (self.login.kill(), self.login.wait()))
        until((self.root / "ready").exists, 20, "the login")
        self.tools = self.root / "bin"
        self.tools.mkdir()
        for program in (PROGRAM, PCAPCTL):
            os.symlink(program, self.tools / os.path.basename(program))

    def prepare(self, document):
        """What a document's sessions begin with: pcapctl's manual a running daemon, the others nothing."""
        if "pcapctl" in document:
            (self.root / "etc/pcapdaemon/pcapdaemon.toml").write_text(CONFIGURATION)
            self.start_daemon()
        return self

    def start(self, *names):
        """All but edge1, which the user starts."""
        super().start(*(name for name in names if name != HOME))

    # --- the daemon on edge1 ---

    def start_daemon(self):
        """As the unit does. With a recorder, it also waits until history reaches back as far as the sessions ask for."""
        self._end_daemon()
        file = self.root / "etc/pcapdaemon/pcapdaemon.toml"
        config = file.read_text() if file.exists() else ""
        self.daemon = Daemon(self.root, arguments=["-config", "/etc/pcapdaemon/pcapdaemon.toml"] if file.exists() else [],
                             netns=self.hosts[HOME], wrapper=["nsenter", "-t", str(self.login.pid), "-m", "-u", "--"])
        self.daemon.start(subscribed="[redis]" in config)
        if "[redis]" in config:
            until(lambda: HOME in self.present(), 20, "presence")
        if "[history]" in config:
            until(self._reaches_back, 30, "history")

    def _reaches_back(self):
        status = json.loads("".join(self.run(Step("pcapctl status --json", []))))
        return any((one.get("reach") or 0) >= REACH_S for one in status["interfaces"])

    def _end_daemon(self):
        if self.daemon:
            self.daemon.close()
            self.daemon = None

    # --- the user ---

    def _popen(self, words):
        return subprocess.Popen(["nsenter", "-t", str(self.login.pid), "-m", "-u", "-n", f"--wdns={self.work}", "--", "bash", "-c", words],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                env=environment(PATH=f"{self.tools}:{os.environ['PATH']}", LANG="C.UTF-8", TMPDIR=str(self.root)),
                                start_new_session=True)

    def run(self, step, meanwhile=None):
        """Runs a step as the user does; returns the lines that came back. A step that is interrupted listens for events: `meanwhile` is
        called once it does."""
        if step.words in STARTS:
            self.start_daemon()
            return []
        listeners = self._listeners()
        process, lines = self._popen(step.words), []
        timer = threading.Timer(seconds(60), lambda: os.killpg(process.pid, signal.SIGKILL))
        timer.start()
        try:
            if meanwhile:
                until(lambda: self._listeners() > listeners, 20, "the listener")
                meanwhile()
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if len(lines) == step.interrupted_after:
                    os.killpg(process.pid, signal.SIGINT)
            status = process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        assert status != -signal.SIGKILL, f"{step.words}: did not end; it printed {lines}"
        return lines

    def _listeners(self):
        with self.bus.client() as client:
            return dict(client.pubsub_numsub("capture:events"))[b"capture:events"]

    def session(self, session, fresh=False):
        """Runs all steps; returns them with what came back, or unless `fresh` as they are if that fits. One that is interrupted runs beside
        the next one."""
        done, waiting = [], list(session)
        while waiting:
            step = waiting.pop(0)
            if step.interrupted_after is None:
                done.append(step.with_output(self.run(step), fresh))
            else:
                beside, found = waiting.pop(0), []
                lines = self.run(step, lambda: found.extend(self.run(beside)))
                done += [step.with_output([*lines, "^C"], fresh), beside.with_output(found, fresh)]
        return done
