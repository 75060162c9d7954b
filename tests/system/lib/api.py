# SPDX-License-Identifier: BSD-2-Clause
"""A client of the control API: http.client over the daemon's unix socket (or TCP), and a reader of server-sent events."""

import contextlib
import http.client
import json
import socket
import threading
import urllib.parse

from .waiting import seconds


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, response, body):
        self.status, self.body = response.status, body
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    @property
    def json(self):
        assert self.headers["content-type"] == "application/json", self
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    def expect(self, status):
        assert self.status == status, self
        return self

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:2000]!r}"


class Events:
    """GET /v1/events, read by a thread: `events` holds (name, object) pairs, `comments` their number."""

    def __init__(self, connection, response):
        self.events, self.comments, self.ended = [], 0, False
        self._connection, self._response = connection, response
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        name, data = None, []
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, AttributeError):
            for raw in self._response:
                line = raw.decode().rstrip("\n")
                with self._news:
                    if line.startswith(":"):
                        self.comments += 1
                    elif line.startswith("event: "):
                        name = line[7:]
                    elif line.startswith("data: "):
                        data.append(line[6:])
                    elif not line and data:
                        self.events.append((name, json.loads("\n".join(data))))
                        name, data = None, []
                    self._news.notify_all()
        with self._news:
            self.ended = True
            self._news.notify_all()

    def wait(self, condition, timeout=10):
        with self._news:
            assert self._news.wait_for(lambda: condition(self), seconds(timeout)), f"condition not met; received {self.events}"

    def wait_kinds(self, *kinds, timeout=10):
        """Waits for exactly these events in this order and returns them."""
        self.wait(lambda stream: len(stream.events) >= len(kinds), timeout)
        assert [name for name, _ in self.events] == list(kinds), self.events
        assert all(event["event"] == name for name, event in self.events), self.events
        return [event for _, event in self.events]

    def close(self):
        with contextlib.suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(seconds(5))
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Api:
    def __init__(self, path, timeout=30):
        self.path, self.timeout = path, timeout

    def connect(self):
        return UnixConnection(self.path, seconds(self.timeout))

    @staticmethod
    def target(path, parameters):
        given = {name: value for name, value in parameters.items() if value is not None}
        given = {name.rstrip("_"): value for name, value in given.items()}  # from_
        return path + ("?" + urllib.parse.urlencode(given) if given else "")

    def open(self, method, path, body=None, headers=None, **parameters):
        """Returns the connection and the response, its body still unread."""
        connection = self.connect()
        headers = dict(headers or {})
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            if not isinstance(body, (bytes, str)):
                body = json.dumps(body)
        with contextlib.suppress(BrokenPipeError):  # the server refused by the header and closed before the body was sent
            connection.request(method, self.target(path, parameters), body, headers)
        return connection, connection.getresponse()

    def call(self, method, path, body=None, headers=None, **parameters):
        connection, response = self.open(method, path, body, headers, **parameters)
        with contextlib.closing(connection):
            return Answer(response, response.read())

    def get(self, path, **parameters):
        return self.call("GET", path, **parameters)

    def answers(self):
        """Whether the daemon accepts connections already."""
        with contextlib.suppress(OSError):
            return self.get("/healthz").status == 200
        return False

    def post(self, request, **parameters):
        return self.call("POST", "/v1/captures", request, **parameters)

    def delete(self, path):
        return self.call("DELETE", path)

    def events(self, **parameters):
        connection, response = self.open("GET", "/v1/events", **parameters)
        if response.status != 200:
            with contextlib.closing(connection):
                raise AssertionError(Answer(response, response.read()))
        assert response.getheader("content-type") == "text/event-stream"
        connection.sock.settimeout(None)
        stream = Events(connection, response)
        stream.wait(lambda events: events.comments)  # subscribed
        return stream


class TcpApi(Api):
    def __init__(self, netns, port, token=None, tls=None, timeout=30):
        super().__init__(None, timeout)
        self.netns, self.port, self.token, self.tls = netns, port, token, tls

    def connect(self):
        kind = http.client.HTTPSConnection if self.tls else http.client.HTTPConnection
        connection = kind("127.0.0.1", self.port, timeout=seconds(self.timeout), **({"context": self.tls} if self.tls else {}))
        self.netns.call(connection.connect)
        return connection

    def open(self, method, path, body=None, headers=None, **parameters):
        headers = dict(headers or {})
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        return super().open(method, path, body, headers, **parameters)
