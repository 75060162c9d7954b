# SPDX-License-Identifier: BSD-2-Clause
"""Traffic: the fast sender of numbered packets (tests/probes/send_packets.c) and single frames."""

import functools
import json
import os
import socket
import subprocess
import tempfile
import threading

from .daemon import PROGRAM, ROOT
from .waiting import seconds


@functools.lru_cache(None)
def sender_program():
    """The sender from the environment, next to the daemon under test, or compiled now."""
    beside = os.path.join(os.path.dirname(PROGRAM), "tests", "probes", "send_packets")
    candidate = os.environ.get("SEND_PACKETS", beside)
    if os.access(candidate, os.X_OK):
        return candidate
    directory = tempfile.mkdtemp(prefix="pcapdaemon-probe-")
    program = os.path.join(directory, "send_packets")
    source = os.path.join(ROOT, "tests", "probes", "send_packets.c")
    subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", source, "-o", program], check=True)
    return program


class Stream:
    """A running sender; result() waits for its end and returns its report."""

    def __init__(self, process):
        self.process = process

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.result()

    def result(self, timeout=60):
        try:
            out, err = self.process.communicate(timeout=seconds(timeout))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        assert self.process.returncode == 0, f"send_packets: {err}{out}"
        return json.loads(out)


class Sender:
    """Sends on one interface of one namespace: sender.send(count=50, rate=1000, dst_port=53, vlan=7)."""

    def __init__(self, netns, interface):
        self.netns, self.interface = netns, interface

    def start(self, **options):
        command = [sender_program(), "--interface", self.interface]
        for name, value in options.items():
            option = "--" + name.replace("_", "-")
            command += [option] if value is True else [option, str(value)]
        return Stream(self.netns.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))

    def send(self, count=1, **options):
        return self.start(count=count, **options).result()

    def frame(self, *frames):
        """Sends raw frames unchanged."""

        def send():
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
                sock.bind((self.interface, 0))
                for frame in frames:
                    sock.send(frame)

        self.netns.call(send)


def udp_over_loopback(netns, count, port, payload=b"over loopback"):
    """Sends datagrams to a port on the namespace's loopback; returns the sender's port."""

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            receiver.bind(("127.0.0.1", port))  # an unbound port would answer with ICMP
            sock.bind(("127.0.0.1", 0))
            for number in range(count):
                sock.sendto(payload + b" %d" % number, ("127.0.0.1", port))
            return sock.getsockname()[1]

    return netns.call(send)


SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33


def tcp_over_loopback(netns, size, family=socket.AF_INET, gso_max=None):
    """Sends `size` bytes through a connection over the namespace's own loopback, in frames as large as the kernel makes them.
    gso_max: raises that size; the MTU is then Ethernet's, as more segments fill a frame better. Returns the receiver's port."""
    if gso_max:
        netns.ip("link", "set", "lo", "gso_max_size", gso_max, "gro_max_size", gso_max, "mtu", 1500)

    def transfer():
        if family == socket.AF_INET6:
            with open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "w") as knob:
                knob.write("0")
        with socket.socket(family) as listener, socket.socket(family) as sock:
            listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
            sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 16 << 20)
            listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
            listener.listen()
            sock.connect(listener.getsockname())
            peer, _ = listener.accept()
            sender = threading.Thread(target=sock.sendall, args=(bytes(size),))
            sender.start()
            with peer:
                left = size
                while left:
                    left -= len(peer.recv(1 << 20))
            sender.join()
            return listener.getsockname()[1]

    return netns.call(transfer)
