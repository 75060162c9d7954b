"""The control API as a client sees it: HTTP over the unix socket (or TCP), and server-sent events."""

import http.client
import json
import socket
import threading

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
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Api:
    def __init__(self, path):
        self.path = path

    def connect(self, timeout=30):
        return UnixConnection(self.path, seconds(timeout))

    def ask(self, method, target, body=None, timeout=30, **headers):
        connection = self.connect(timeout)
        try:
            if isinstance(body, (dict, list)):
                body, headers = json.dumps(body), {"Content-Type": "application/json", **headers}
            connection.request(method, target, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, target, **options):
        return self.ask("GET", target, **options)

    def submit(self, wait=False, **fields):
        return self.ask("POST", "/v1/captures" + ("?wait=1" if wait else ""), fields)


class EventStream:
    """Server-sent events, read as they come."""

    def __init__(self, api, target="/v1/events"):
        self.items, self._news = [], threading.Condition()
        self.connection = api.connect()
        self.connection.request("GET", target)
        self.response = self.connection.getresponse()
        assert self.response.status == 200 and self.response.headers["Content-Type"].startswith("text/event-stream")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        kind = None
        try:
            for line in self.response:
                line = line.decode().rstrip("\n")
                if line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: "):
                    with self._news:
                        self.items.append((kind, json.loads(line[6:])))
                        self._news.notify_all()
        except (OSError, ValueError, http.client.HTTPException):
            pass

    def wait(self, kind, timeout=10, **fields):
        def found():
            return next((event for name, event in self.items
                         if name == kind and all(event.get(key) == value for key, value in fields.items())), None)
        with self._news:
            assert self._news.wait_for(found, seconds(timeout)), f"no {kind} {fields} among {self.items}"
            return found()

    def close(self):
        self.connection.sock.shutdown(socket.SHUT_RDWR)  # a reader in the middle of a line would hold up close()
