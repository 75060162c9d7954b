# SPDX-License-Identifier: BSD-2-Clause
"""A TCP proxy that breaks connections: it cuts, stalls or corrupts them after a number of bytes in one direction.

    with FaultyProxy(port, [Cut(up=1000), Corrupt(up=5000)]) as proxy: … connect to proxy.port

Each connection takes the next fault of the list; those after its end are passed on unharmed."""

import contextlib
import dataclasses
import selectors
import socket
import struct
import threading

from .waiting import seconds

@dataclasses.dataclass
class Fault:
    """After this number of bytes from the client (up) or from the server (down). `reset`: with a reset, not a FIN."""
    kind: str  # "cut", "stall", "corrupt", "refuse"
    up: int = None
    down: int = None
    reset: bool = False
    until: object = None  # a condition instead of a number: the fault takes effect once it holds, before an answer is passed on


def cut(**where):
    return Fault("cut", **where)


def stall(**where):
    return Fault("stall", **where)


def corrupt(**where):
    return Fault("corrupt", **where)


def lose_answers(once):
    """Cuts the connection instead of passing an answer on, once the condition holds."""
    return Fault("cut", until=once)


def none():
    return Fault("none")


def refuse():
    return Fault("refuse", up=0)


class FaultyProxy:
    def __init__(self, port, faults=(), host="127.0.0.1"):
        self.target, self.faults = (host, port), list(faults)
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        self.connections, self.met = 0, []  # met: faults that took effect
        self.changed = threading.Condition()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self):
        self.threads[0].start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)

    def _accept(self):
        while not self.ended.is_set():
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            fault = self.faults.pop(0) if self.faults else Fault("none")
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(client, fault), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, client, fault):
        if fault.kind == "refuse":
            self._note(fault)
            self._close(client, True)
            return
        with contextlib.suppress(OSError), client, socket.create_connection(self.target) as server:
            passed = {"up": 0, "down": 0}
            selector = selectors.DefaultSelector()
            selector.register(client, selectors.EVENT_READ, ("up", server))
            selector.register(server, selectors.EVENT_READ, ("down", client))
            while not self.ended.is_set():
                for key, _ in selector.select(0.1):
                    direction, other = key.data
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    data = self._harm(fault, direction, passed[direction], data)
                    if data is None:
                        self._close(client, fault.reset)
                        return
                    if data == "stall":
                        self.ended.wait()
                        return
                    other.sendall(data)
                    passed[direction] += len(data)

    def _note(self, fault):
        with self.changed:
            self.met.append(fault)
            self.changed.notify_all()

    def wait_met(self, count, timeout=20):
        """Waits until `count` faults have taken effect."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.met) >= count, seconds(timeout)), self.met

    def _harm(self, fault, direction, before, data):
        """The data to pass on; None: close now; "stall": pass nothing on any more."""
        if fault.until and direction == "down" and fault.until():
            self._note(fault)
            return None
        at = getattr(fault, direction) if fault.kind != "none" else None
        if at is None or fault in self.met or before + len(data) <= at:
            return data
        self._note(fault)
        if fault.kind == "corrupt":
            data = bytearray(data)
            data[at - before] ^= 0x55
            return bytes(data)
        return None if fault.kind == "cut" else "stall"

    @staticmethod
    def _close(sock, reset):
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
