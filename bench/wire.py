# SPDX-License-Identifier: BSD-2-Clause
"""Redis without a client library, which would blur the times: it sends commands as bytes over the unix socket, and notes when
the bytes that it waits for arrive."""

import select
import socket
import time


def command(*words):
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Wire:
    def __init__(self, server):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(server.socket_path)
        self.seen = b""

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def subscribe(self, channel):
        self.send(command("SUBSCRIBE", channel))
        self.wait_for(b":1\r\n")
        return self

    def wait_for(self, wanted, unwanted=b"\0", timeout=15):
        """The monotonic time at which `wanted` arrived. Earlier bytes are discarded."""
        deadline = time.monotonic() + timeout
        while wanted not in self.seen:
            if unwanted in self.seen or time.monotonic() > deadline:
                raise AssertionError(f"waited for {wanted!r}, saw {self.seen[-600:]!r}")
            if select.select([self.socket], [], [], 0.5)[0]:
                data = self.socket.recv(1 << 18)
                if not data:
                    raise AssertionError("Redis closed the connection")
                self.seen = self.seen[-(1 << 16):] + data
        now = time.monotonic()
        self.seen = self.seen.partition(wanted)[2]
        return now

    def accepted(self, request_id):
        return self.wait_for(f'"event":"accepted","id":"{request_id}"'.encode(),
                             f'"event":"rejected","id":"{request_id}"'.encode())
