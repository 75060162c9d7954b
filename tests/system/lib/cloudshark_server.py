#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A strict receiver for CloudShark's API: POST /api/v1/<token>/upload, multipart/form-data with exactly one part `file`
that holds a capture readable to its end; GET /api/v1/<token>/search?search[filename]=…, which lists that token's uploads whose names
contain the text. It answers faults as CloudShark does, with {"status": …, "exceptions": […]}, and lists them in
`faults`. It can also fail on purpose: see `Behaviour`.

In a test:       with CloudSharkServer("token", behaviour=[busy(503), hang()]) as server: …; server.wait_for_uploads(1)
From a shell:    cloudshark_server.py --port 0 --token T --dir D
                 prints {"port": …} first, then one line of JSON for every upload; the files are kept in D.
Standard library only."""

import argparse
import contextlib
import dataclasses
import gzip
import hashlib
import hmac
import json
import os
import re
import secrets
import select
import signal
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import urllib.parse
import zlib

BODY_MAX = 1 << 30
LINE_MAX = 16384


# --- behaviours ---


@dataclasses.dataclass
class Behaviour:
    """How the server treats one request. `kind`:
    ok              accepts an upload
    refuse          reads the request, answers `status` with `exceptions`
    refuse-early    answers before it reads the body, then closes
    answer          reads the request, answers with the given `status`, `headers` and `body`
    hang-before     reads only the request's headers and never answers
    hang-after      reads the request, never answers
    hang-in-answer  reads the request, answers with headers but no body
    close-before    closes (with a reset) after half of the body
    close-after     reads the request and closes without an answer
    lose-answer     accepts an upload and closes without an answer
    lose-at-gateway accepts an upload and answers as a gateway does that got no answer: `status`, HTML
    close-in-answer closes in the middle of the answer's body
    raw             reads the request, answers with exactly `body`, head included, and closes
    slow            reads `chunk` bytes at a time with a pause after each, then acts as ok"""
    kind: str = "ok"
    status: int = 200
    exceptions: list = dataclasses.field(default_factory=list)
    headers: dict = dataclasses.field(default_factory=dict)
    body: str = ""
    chunk: int = 4096
    pause: float = 0.001


def ok():
    return Behaviour()


def refuse(status, *exceptions, early=False, **headers):
    return Behaviour("refuse-early" if early else "refuse", status, list(exceptions),
                     {name.replace("_", "-"): str(value) for name, value in headers.items()})


def busy(status=503, retry_after=None):
    return refuse(status, "busy", **({} if retry_after is None else {"Retry_After": retry_after}))


def redirect(location, status=302):
    return Behaviour("answer", status, headers={"Location": location})


def answer(body, status=200, **headers):
    return Behaviour("answer", status, headers=headers, body=body)


def hang(where="after"):
    return Behaviour(f"hang-{where}")


def close(where="before"):
    return Behaviour(f"close-{where}")


def lose(status=None):
    """Accepts an upload, whose answer is lost."""
    return Behaviour("lose-at-gateway", status) if status else Behaviour("lose-answer")


def slow(chunk=4096, pause=0.001):
    return Behaviour("slow", chunk=chunk, pause=pause)


# --- capture files: every block or record is checked up to the end of the file ---


def check_pcap(data):
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}[data[:4]]
    if len(data) < 24 or struct.unpack(order + "HH", data[4:8]) != (2, 4):
        return "not a pcap file of version 2.4"
    position = 24
    while position < len(data):
        if position + 16 > len(data):
            return f"pcap: cut short in a record's header at byte {position}"
        captured, wire = struct.unpack_from(order + "II", data, position + 8)
        if captured > wire or position + 16 + captured > len(data):
            return f"pcap: wrong record at byte {position}"
        position += 16 + captured
    return None


def check_pcapng(data):
    order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(data[8:12])
    if not order:
        return "pcapng: no byte order magic"
    position = 0
    while position < len(data):
        if position + 12 > len(data):
            return f"pcapng: cut short in a block's header at byte {position}"
        length = struct.unpack_from(order + "I", data, position + 4)[0]
        if length < 12 or length % 4 or position + length > len(data):
            return f"pcapng: wrong block length at byte {position}"
        if struct.unpack_from(order + "I", data, position + length - 4)[0] != length:
            return f"pcapng: the block's two lengths differ at byte {position}"
        position += length
    return None


def check_capture(data):
    """Returns None or a description of the fault."""
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        return check_pcapng(data)
    if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d"):
        return check_pcap(data)
    return "the file is no capture: unknown magic"


def check_zstd(data):
    """Walks one frame (RFC 8878, 3.1.1): the standard library has no decoder."""
    if data[:4] != b"\x28\xb5\x2f\xfd" or len(data) < 6:
        return "zstd: wrong magic, or no frame header"
    single, checksum, dictionary = data[4] & 0x20, data[4] & 4, (0, 1, 2, 4)[data[4] & 3]
    position = 5 + (not single) + dictionary + (1 if single else 0, 2, 4, 8)[data[4] >> 6]
    last = False
    while not last:
        if position + 3 > len(data):
            return f"zstd: cut short in a block's header at byte {position}"
        header = int.from_bytes(data[position:position + 3], "little")
        last = header & 1
        position += 3 + (1 if header >> 1 & 3 == 1 else header >> 3)
    return None if position + (4 if checksum else 0) == len(data) else "zstd: the frame does not end with the file"


def check_file(filename, data):
    """The same for a file that may be compressed, by its name."""
    if filename.endswith(".zst"):
        return check_zstd(data)
    if filename.endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            return f"gzip: {error}"
    return check_capture(data)


# --- HTTP and multipart ---


class Fault(Exception):
    """The client violated the API."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Gone(Exception):
    """The client closed the connection."""


@dataclasses.dataclass
class Request:
    method: str = ""
    path: str = ""
    headers: dict = dataclasses.field(default_factory=dict)  # names in lower case
    kind: str = ""  # of the behaviour applied
    stage: str = "headers"  # "headers", "body" (read completely), "over"
    body_size: int = 0
    status: int = 0  # of the answer; 0: none yet
    client_left: bool = False
    connection: int = 0  # number of the connection


@dataclasses.dataclass
class Upload:
    filename: str
    content: bytes
    fields: dict
    headers: dict
    id: str
    token: str

    def summary(self):
        return {"id": self.id, "filename": self.filename, "size": len(self.content),
                "sha256": hashlib.sha256(self.content).hexdigest(), "fields": self.fields}


HEADER_ONCE = ("host", "content-length", "transfer-encoding", "content-type", "expect", "user-agent")
PART_NAME = re.compile(r'form-data((?:; (?:name|filename)="(?:[^"\\\r\n]|\\.)*")+)')
PART_PARAMETER = re.compile(r'; (name|filename)="((?:[^"\\]|\\.)*)"')
FIELDS = {"additional_tags", "comments", "filename"}


def parse_headers(read_line):
    headers = {}
    while line := read_line():
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise Fault(400, f"malformed header line: {line[:40]!r}")
        name = name.lower()
        if name in headers and name in HEADER_ONCE:
            raise Fault(400, f"header {name} given twice")
        headers[name] = value.strip()
    return headers


def parse_part(part):
    """Returns one part's (name, filename or None, headers, content)."""
    head, blank, content = part.partition(b"\r\n\r\n")
    if not blank:
        raise Fault(400, "multipart: a part without the end of its header")
    lines = iter(head.decode().split("\r\n") + [""])
    headers = parse_headers(lambda: next(lines))
    disposition = PART_NAME.fullmatch(headers.get("content-disposition", ""))
    if not disposition:
        raise Fault(400, "multipart: a part without a proper Content-Disposition")
    if "content-transfer-encoding" in headers:
        raise Fault(400, "multipart: Content-Transfer-Encoding is not for HTTP (RFC 7578, 4.7)")
    parameters = PART_PARAMETER.findall(disposition.group(1))
    if len(dict(parameters)) != len(parameters) or "name" not in dict(parameters):
        raise Fault(400, "multipart: parameters of Content-Disposition")
    values = {key: value.replace("%22", '"').replace('\\"', '"') for key, value in parameters}
    return values["name"], values.get("filename"), headers, content


def parse_multipart(content_type, body):
    """Returns (filename, content, fields)."""
    match = re.fullmatch(r'multipart/form-data; ?boundary=("?)([A-Za-z0-9\'()+_,./:=?-]{1,70})\1', content_type)
    if not match:
        raise Fault(415, f"not multipart/form-data with a boundary: {content_type[:80]!r}")
    pieces = (b"\r\n" + body).split(b"\r\n--" + match.group(2).encode())
    if pieces[0] != b"":
        raise Fault(400, "multipart: text before the first boundary")
    if len(pieces) < 3 or pieces[-1] not in (b"--\r\n", b"--"):
        raise Fault(400, "multipart: the closing boundary is missing or not the end")
    files, fields = [], {}
    for piece in pieces[1:-1]:
        if not piece.startswith(b"\r\n"):
            raise Fault(400, "multipart: junk after a boundary")
        name, filename, _, content = parse_part(piece[2:])
        if filename is not None or name == "file":
            files.append((name, filename, content))
        elif name not in FIELDS or name in fields:
            raise Fault(400, f"multipart: unexpected or repeated field {name!r}")
        else:
            fields[name] = content.decode()
    if len(files) != 1 or files[0][0] != "file":
        raise Fault(400, f"multipart: exactly one part `file` is needed, there are {[file[0] for file in files]}")
    filename = files[0][1]
    if not filename or "/" in filename or "\\" in filename or filename.startswith("."):
        raise Fault(400, f"multipart: file name {filename!r}")
    return filename, files[0][2], fields


class Handler(socketserver.BaseRequestHandler):
    def setup(self):
        self.owner = self.server.owner
        self.connection_number = self.owner.next_connection()
        self.buffered = b""
        if self.owner.tls:
            self.request.settimeout(30)
            self.request.do_handshake()
            self.request.settimeout(None)

    def handle(self):
        with contextlib.suppress(Gone, ConnectionError, ssl.SSLError):
            while self.handle_request():
                pass

    # --- reading ---

    def receive(self, size=65536):
        data = self.request.recv(size)
        if not data:
            raise Gone
        return data

    def read_line(self):
        while b"\r\n" not in self.buffered:
            if len(self.buffered) > LINE_MAX:
                raise Fault(431, "line too long")
            self.buffered += self.receive()
        line, _, self.buffered = self.buffered.partition(b"\r\n")
        if b"\n" in line or b"\r" in line or b"\0" in line:
            raise Fault(400, "bare CR, LF or NUL in a header")
        return line.decode("latin-1")

    def read_exactly(self, size, chunk=1 << 20, pause=0):
        parts, have = [], 0
        while have < size:
            if self.buffered:
                data, self.buffered = self.buffered[:size - have], self.buffered[size - have:]
            else:
                data = self.receive(min(size - have, chunk))
                if pause:
                    time.sleep(pause)  # the slowness under test, not a wait for something
            parts.append(data)
            have += len(data)
        return b"".join(parts)

    def read_chunked(self, **pace):
        body = b""
        while True:
            line = self.read_line()
            if not re.fullmatch(r"[0-9A-Fa-f]{1,8}", line) or len(body) + int(line, 16) > BODY_MAX:
                raise Fault(400, f"chunk size {line[:20]!r}")
            if int(line, 16) == 0:
                break
            body += self.read_exactly(int(line, 16), **pace)
            if self.read_line() != "":
                raise Fault(400, "a chunk differs from its stated length")
        if self.read_line() != "":
            raise Fault(400, "trailers are not expected")
        return body

    def content_length(self, headers):
        text = headers.get("content-length", "")
        if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) > BODY_MAX:
            raise Fault(411, f"Content-Length {text[:20]!r}")
        return int(text)

    @staticmethod
    def read_no_body(headers):
        if "content-length" in headers or "transfer-encoding" in headers or "content-type" in headers:
            raise Fault(400, "a GET with a body")
        return b""

    def read_body(self, headers, **pace):
        if "transfer-encoding" in headers:
            if "content-length" in headers or headers["transfer-encoding"].lower() != "chunked":
                raise Fault(400, "Transfer-Encoding is wrong, or comes with a Content-Length")
            return self.read_chunked(**pace)
        return self.read_exactly(self.content_length(headers), **pace)

    # --- answering ---

    def answer(self, status, body, headers=None, cut=None):
        payload = body if isinstance(body, bytes) else body.encode()
        head = {"Content-Type": "application/json", "Content-Length": str(len(payload)), **(headers or {})}
        text = f"HTTP/1.1 {status} Answer\r\n" + "".join(f"{name}: {value}\r\n" for name, value in head.items()) + "\r\n"
        self.record.status = status
        self.request.sendall(text.encode() + (payload if cut is None else payload[:cut]))

    def answer_fault(self, status, exceptions, headers=None):
        self.answer(status, json.dumps({"status": status, "exceptions": exceptions}), headers)

    # --- a request ---

    def handle_request(self):
        self.record = Request(connection=self.connection_number)
        try:
            self.buffered = self.buffered or self.receive()
            if self.buffered[:1] == b"\x16":
                raise Fault(400, "TLS sent to an HTTP port")
            line = self.read_line()
            match = re.fullmatch(r"([A-Z]+) (/[\x21-\x7e]*) HTTP/1\.1", line)
            if not match:
                raise Fault(400, f"request line {line[:60]!r}")
            self.record.method, self.record.path = match.groups()
            self.record.headers = headers = parse_headers(self.read_line)
            if not headers.get("host"):
                raise Fault(400, "no Host header")
            if self.record.method == "GET":
                return self.behave_after(self.owner.note_search(self.record), headers, self.read_no_body(headers))
            behaviour = self.owner.next_behaviour(self.record)
            return self.behave(behaviour, headers)
        except Gone:
            self.owner.note(self.record, client_left=True)
            raise
        except Fault as fault:
            self.owner.fault(self.record, str(fault))
            self.answer_fault(fault.status, [str(fault)], {"Connection": "close"})
            return False
        finally:
            self.owner.note(self.record, stage="over")

    def behave(self, behaviour, headers):
        kind = behaviour.kind
        if kind == "refuse-early":
            self.answer_fault(behaviour.status, behaviour.exceptions, {"Connection": "close", **behaviour.headers})
            self.drain()
            return False
        if kind == "hang-before":
            return self.owner.wait_for_end()
        if kind == "close-before":
            self.read_exactly(self.content_length(headers) // 2)
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if headers.get("expect", "").lower() == "100-continue":
            self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.read_body(headers, **({"chunk": behaviour.chunk, "pause": behaviour.pause} if kind == "slow" else {}))
        self.owner.note(self.record, stage="body", body_size=len(body))
        return self.behave_after(behaviour, headers, body)

    def behave_after(self, behaviour, headers, body):
        kind = behaviour.kind
        if kind == "hang-after":
            return self.hang()
        if kind == "hang-in-answer":
            self.answer(200, '{"filename": "x", "id": "never"}', cut=0)
            return self.hang()
        if kind == "close-after":
            return False
        if kind == "close-in-answer":
            self.answer(200, '{"filename": "x", "id": "never"}', cut=12)
            return False
        if kind == "raw":
            self.request.sendall(behaviour.body.encode())
            return False
        if kind == "refuse":
            self.answer_fault(behaviour.status, behaviour.exceptions, behaviour.headers)
        elif kind == "answer":
            self.answer(behaviour.status, behaviour.body, behaviour.headers)
        elif kind == "lose-answer":
            self.accept_upload(headers, body)
            return False
        elif kind == "lose-at-gateway":
            self.accept_upload(headers, body)
            self.answer(behaviour.status, "<html>the server did not answer</html>", {"Content-Type": "text/html"})
        elif self.record.method == "GET":
            self.search()
        else:
            self.take_upload(headers, body)
        return headers.get("connection", "").lower() != "close"

    def drain(self):
        """Reads the rest of the request, so that closing does not reset the connection before the client reads the answer."""
        self.request.shutdown(socket.SHUT_WR)
        while self.request.recv(65536):
            pass

    def hang(self):
        """Blocks until the client hangs up or the server ends."""
        while True:
            ready, _, _ = select.select([self.request, self.owner.ended_fd], [], [])
            if self.owner.ended_fd in ready:
                return False
            self.receive()

    def check_token(self, path):
        """The token in the path of an API call, which must be a known one."""
        token = urllib.parse.unquote_to_bytes(path.split("/")[3])
        known = [one for one in (self.owner.token, *self.owner.more_tokens) if hmac.compare_digest(token, one.encode())]
        if not known:
            raise Fault(401, "invalid API token")
        return known[0]

    def take_upload(self, headers, body):
        upload = self.accept_upload(headers, body)
        self.answer(200, json.dumps({"filename": upload.filename, "id": upload.id}))

    def accept_upload(self, headers, body):
        if not re.fullmatch(r"/api/v1/[^/]+/upload", self.record.path):
            raise Fault(404, f"no such path: {self.record.path.rsplit('/', 1)[-1][:40]!r}")
        if self.record.method != "POST":
            raise Fault(405, f"method {self.record.method}")
        token = self.check_token(self.record.path)
        try:
            filename, content, fields = parse_multipart(headers.get("content-type", ""), body)
        except UnicodeDecodeError as error:
            raise Fault(400, "multipart: not UTF-8") from error
        wrong = check_file(filename, content)
        if wrong:
            raise Fault(422, wrong)
        upload = Upload(filename, content, fields, headers, secrets.token_hex(6), token)
        self.owner.add_upload(upload)  # before the answer: the upload must be listed once the client has it
        return upload

    def search(self):
        path, _, query = self.record.path.partition("?")
        if not re.fullmatch(r"/api/v1/[^/]+/search", path):
            raise Fault(404, f"no such path: {path.rsplit('/', 1)[-1][:40]!r}")
        token = self.check_token(path)
        parameters = urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=True)
        if [name for name, _ in parameters] != ["search[filename]"] or not parameters[0][1]:
            raise Fault(400, f"search: exactly one search[filename] is known here, not {parameters}")
        found = [upload for upload in self.owner.uploads if upload.token == token and parameters[0][1] in upload.filename]
        self.answer(200, json.dumps({"captures": [{"id": upload.id, "filename": upload.filename, "size": len(upload.content)}
                                                  for upload in found]}))


class Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 512
    owner = None

    def get_request(self):
        connection, address = super().get_request()
        if self.owner.tls:
            connection = self.owner.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        self.owner.add_error(error)

    def shutdown_request(self, request):
        with contextlib.suppress(OSError):
            request.close()


class CloudSharkServer:
    """Runs in its own threads during the `with` block (or from start() to stop()).

    tls: None or (certificate file, key file). behaviour: one Behaviour for every request, or a list with one for each request in order
    of arrival, followed by `ok`. search: the same for searches, which do not count as requests. more_tokens: further valid ones.
    `uploads`, `requests`, `searches`, `faults` and `errors` (failed handshakes) grow."""

    handler = Handler

    def __init__(self, token, tls=None, behaviour=(), host="127.0.0.1", port=0, on_upload=None, search=(), more_tokens=()):
        self.token, self.on_upload, self.more_tokens = token, on_upload, more_tokens
        self.search_always = search if isinstance(search, Behaviour) else None
        self.search_script = [] if self.search_always else list(search)
        self.changed = threading.Condition()
        self.tls = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        self.behave(behaviour)
        self.uploads, self.requests, self.searches, self.faults, self.errors = [], [], [], [], []
        self.connections = 0
        self.ended = threading.Event()
        self.ended_fd, self._end_fd = os.pipe()
        family = {"address_family": socket.AF_INET6 if ":" in host else socket.AF_INET}
        self.listener = type("Listener", (Listener,), family)((host, port), self.handler)
        self.listener.owner = self
        self.port = self.listener.server_address[1]
        self.thread = threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True)

    def start(self):
        self.thread.start()
        return self

    def behave(self, behaviour):
        """Changes the behaviour for requests from now on; the argument is the constructor's."""
        with self.changed:
            self.always = behaviour if isinstance(behaviour, Behaviour) else None
            self.script = [] if self.always else list(behaviour)

    def stop(self):
        self.ended.set()
        os.write(self._end_fd, b"x")
        self.listener.shutdown()
        self.listener.server_close()
        self.thread.join()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # --- results; waits raise AssertionError after `timeout` seconds ---

    def wait(self, condition, timeout=20, what="the server's state"):
        with self.changed:
            if not self.changed.wait_for(condition, timeout):
                raise AssertionError(f"waited {timeout} s in vain for {what}: {len(self.uploads)} uploads, "
                                     f"{[(r.kind, r.stage, r.status) for r in self.requests]}, faults {self.faults}, {self.errors}")

    def wait_for_uploads(self, count, timeout=20):
        self.wait(lambda: len(self.uploads) >= count, timeout, f"{count} uploads")
        return self.uploads

    def wait_for_requests(self, count, timeout=20, stage=None):
        """stage: "body": the body has been read too; "over": the request is finished."""
        stages = {None: ("headers", "body", "over"), "body": ("body", "over"), "over": ("over",)}[stage]
        self.wait(lambda: sum(r.stage in stages for r in self.requests) >= count, timeout, f"{count} requests")
        return self.requests

    # --- for the handlers ---

    def next_connection(self):
        with self.changed:
            self.connections += 1
            return self.connections

    def next_behaviour(self, record):
        with self.changed:
            behaviour = self.always or (self.script.pop(0) if self.script else ok())
            record.kind = behaviour.kind
            self.requests.append(record)
            self.changed.notify_all()
        return behaviour

    def note_search(self, record):
        with self.changed:
            behaviour = self.search_always or (self.search_script.pop(0) if self.search_script else ok())
            record.kind = behaviour.kind
            self.searches.append(record)
            self.changed.notify_all()
        return behaviour

    def note(self, record, **changes):
        with self.changed:
            for name, value in changes.items():
                setattr(record, name, value)
            self.changed.notify_all()

    def fault(self, record, text):
        with self.changed:
            self.faults.append(text)
            if record not in self.requests and record not in self.searches:
                self.requests.append(record)
            self.changed.notify_all()

    def add_error(self, error):
        with self.changed:
            self.errors.append(repr(error))
            self.changed.notify_all()

    def add_upload(self, upload):
        if self.on_upload:
            self.on_upload(upload)
        with self.changed:
            self.uploads.append(upload)
            self.changed.notify_all()

    def wait_for_end(self):
        self.ended.wait()
        return False


# --- the program ---


def keep(directory, upload):
    """Writes the file, complete or not at all; returns its path."""
    path = os.path.join(directory, f"{upload.id}-{upload.filename}")
    with open(path + ".part", "wb") as file:
        file.write(upload.content)
    os.rename(path + ".part", path)
    return path


def main():
    parser = argparse.ArgumentParser(description="a receiver that speaks CloudShark's upload API")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", required=True)
    parser.add_argument("--dir", help="keep the uploaded files here")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--behaviour", default="[]", help='JSON: one object for every request, or a list: one for each, e.g. '
                        '[{"kind": "refuse", "status": 503}, {"kind": "hang-after"}]; kinds: see Behaviour')
    options = parser.parse_args()
    behaviour = json.loads(options.behaviour)
    behaviour = Behaviour(**behaviour) if isinstance(behaviour, dict) else [Behaviour(**one) for one in behaviour]
    printing = threading.Lock()

    def print_line(line):
        with printing:
            print(json.dumps(line), flush=True)

    def on_upload(upload):
        print_line({**upload.summary(), **({"path": keep(options.dir, upload)} if options.dir else {})})

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with CloudSharkServer(options.token, options.tls, behaviour, options.host, options.port, on_upload) as server:
        print_line({"port": server.port})
        printed = 0
        while True:
            with contextlib.suppress(AssertionError):
                server.wait(lambda: len(server.faults) > printed, 3600)
            for fault in server.faults[printed:]:
                print(f"cloudshark_server: refused: {fault}", file=sys.stderr, flush=True)
                printed += 1


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
