# SPDX-License-Identifier: BSD-2-Clause
"""A fake of the daemon's control API (contract: "Control API"), for answers that the real one cannot be made to give. It validates
requests as strictly as the daemon; close() fails after an invalid one."""

import json
import os
import re
import socket
import struct
import threading

from .waiting import seconds

FIELDS = {"node": str, "nodere": str, "interface": list, "alias": list, "bpf": str, "snap": int, "packets": int, "bytes": int,
          "timeout": (int, float), "duration": (int, float), "before": (int, float), "from": (int, str, float),
          "to": (int, str, float), "tags": str, "customer": str, "alertid": (int, str), "comment": str, "id": str,
         "format": str, "merge": bool, "drop_duplicates": bool, "follow": bool, "to_destinations": list, "logrequest": bool,
         "packetdebug": bool, "dedupe": str}
ROUTES = {("POST", "/v1/destinations/check"), ("POST", "/v1/captures"), ("GET", "/v1/captures"), ("GET", "/v1/captures/ID"), ("DELETE", "/v1/captures/ID"),
          ("GET", "/v1/captures/ID/file"), ("GET", "/v1/interfaces"), ("GET", "/v1/history"), ("GET", "/v1/status"),
          ("GET", "/v1/events"), ("GET", "/v1/live")}


def block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def pcapng(name="lo", packets=((1, b"x" * 60),), linktype=1, comment=""):
    """A small file: packets are (time in ns, bytes)."""
    option = struct.pack("<HH", 2, len(name)) + name.encode() + bytes(-len(name) % 4)
    description = struct.pack("<HHI", linktype, 0, 65535) + option + struct.pack("<HHB3x", 9, 1, 9) + struct.pack("<HH", 0, 0)
    comment = comment.encode()
    comment = struct.pack("<HH", 1, len(comment)) + comment + bytes(-len(comment) % 4) + bytes(4) if comment else b""
    out = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + comment) + block(1, description)
    for time_ns, data in packets:
        out += block(6, struct.pack("<IIIII", 0, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), len(data)) + data)
    return out


def final(capture="r.1", event="done", **more):
    return {"v": 1, "event": event, "id": capture.rpartition(".")[0], "capture": capture, "node": "n1", "interface": "lo",
            "time": "2026-11-23T08:41:00.123456789Z", "reason": "packets", "packets": 5, "bytes": 500,
            "destinations": [{"name": "memory", "ok": True, "attempts": 1}], "file": "n1-lo.pcapng", **more}


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body = method, headers, body
        self.path, _, self.query = target.partition("?")

    @property
    def json(self):
        return json.loads(self.body)


class ControlServer:
    """`answer(request)` returns (status, body, headers), on the connection's thread. The body is bytes, a dict or list that becomes
    JSON, or a tuple or generator of pieces, sent chunked; a piece of None breaks the connection."""

    def __init__(self, path=None, token=None, answer=None):
        self.path, self.token, self.answer = path, token, answer
        self.requests, self.faults = [], []
        self._news = threading.Condition()
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
        else:
            self.socket = socket.create_server(("127.0.0.1", 0))
            self.port = self.socket.getsockname()[1]
        self.socket.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            try:
                while self._one(connection, stream):
                    pass
            except (ConnectionError, BrokenPipeError):
                pass
            except Exception as fault:  # close() reports a bad request
                with self._news:
                    self.faults.append(f"{type(fault).__name__}: {fault}")
                    self._news.notify_all()

    def _one(self, connection, stream):
        line = stream.readline(8192)
        if not line:
            return False
        match = re.fullmatch(rb"([A-Z]+) (/[!-~]*) HTTP/1\.1\r\n", line)
        assert match, f"request line: {line!r}"
        request = Request(match[1].decode(), match[2].decode(), self._headers(stream), b"")
        length = request.headers.get("content-length", "0")
        assert re.fullmatch("[0-9]+", length), f"Content-Length: {length}"
        request.body = stream.read(int(length))
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            self._send(connection, 401, {"error": "a bearer token is needed"}, {})
            return True
        self._check(request)
        with self._news:
            self.requests.append(request)
            self._news.notify_all()
        status, body, *headers = self.answer(request)
        self._send(connection, status, body, headers[0] if headers else {})
        return True

    @staticmethod
    def _headers(stream):
        headers = {}
        while True:
            line = stream.readline(8192)
            if line == b"\r\n":
                break
            match = re.fullmatch(rb"([A-Za-z-]+): *(.*?)\r\n", line)
            assert match, f"header: {line!r}"
            name = match[1].decode().lower()
            assert name not in headers, f"twice: {name}"
            headers[name] = match[2].decode()
        assert headers.get("host"), "no Host"
        assert "transfer-encoding" not in headers and "expect" not in headers, headers
        return headers

    @staticmethod
    def _check(request):
        route = re.sub(r"^/v1/captures/[^/]+", "/v1/captures/ID", request.path)
        assert (request.method, route) in ROUTES, f"no such call: {request.method} {request.path}"
        if request.method != "POST" or route == "/v1/destinations/check":
            assert not request.body, "unexpected body"
            return
        assert request.headers.get("content-type") == "application/json", request.headers
        fields = json.loads(request.body)
        for name, value in fields.items():
            assert name in FIELDS and isinstance(value, FIELDS[name]), f"{name}: {value!r}"
        assert ("node" in fields) != ("nodere" in fields) and ("interface" in fields) != ("alias" in fields), fields

    @staticmethod
    def _send(connection, status, body, headers):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **headers}
        head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if isinstance(body, bytes):
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            return
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for piece in body:
            if piece is None:  # break the connection
                connection.shutdown(socket.SHUT_RDWR)
                return
            connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        connection.sendall(b"0\r\n\r\n")

    def wait(self, method, path, timeout=10):
        """The first request of this kind."""
        def find():
            return next((r for r in self.requests if (r.method, r.path) == (method, path)), None)

        with self._news:
            assert self._news.wait_for(lambda: find() or self.faults, seconds(timeout)), f"no {method} {path}"
            assert not self.faults, self.faults
            return find()

    def close(self):
        if self.socket.fileno() >= 0:
            self.socket.shutdown(socket.SHUT_RDWR)  # ends the accept() that waits
            self.socket.close()
            if self.path:
                os.unlink(self.path)
        assert not self.faults, self.faults
