# SPDX-License-Identifier: BSD-2-Clause
"""The HTTP server alone, through tests/probes/http_probe: cases that need TCP, TLS or another user, with Python's own clients as judges.
Malformed requests, byte by byte, are in tests/unit/http."""

import concurrent.futures
import hashlib
import http.client
import json
import os
import pwd
import signal
import socket
import ssl
import subprocess

import pytest

from lib.daemon import PROGRAM
from lib.waiting import seconds, until

PROBE = os.path.join(os.path.dirname(os.path.abspath(PROGRAM)), "tests", "probes", "http_probe")
TOKEN = "a-token-of-the-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
DOWNLOAD = 64 << 20


class Server:
    def __init__(self, path, *options):
        self.path = path
        self.process = subprocess.Popen([PROBE, "--socket", path, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.port = json.loads(line)["port"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=seconds(20))
        assert self.process.returncode == 0, errors
        assert not os.path.exists(self.path)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("local", timeout=seconds(20))
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@pytest.fixture
def serve(tmp_path):
    made = []

    def make(*options):
        made.append(Server(str(tmp_path / f"{len(made)}.sock"), *options))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return str(cert), str(key)


def tcp(server):
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=seconds(20))


def ask(connection, method="GET", path="/ok", body=None, headers=BEARER):
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def listening(*options):
    return ("--listen", "127.0.0.1:0", "--token", TOKEN, *options)


# --- token ---


def test_tcp_server_requires_the_token(serve):
    server = serve(*listening())
    for headers in ({}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x"},
                    {"Authorization": f"Basic {TOKEN}"}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Bearer {TOKEN[:-1]}"}):
        for path in ("/ok", "/unknown"):  # a refusal does not reveal which paths exist
            status, answered, body = ask(tcp(server), path=path, headers=headers)
            assert status == 401, headers
            assert answered["WWW-Authenticate"] == 'Bearer realm="pcapdaemon"'
            assert answered["Connection"] == "close"
            assert "error" in json.loads(body)
    status, _, body = ask(tcp(server))
    assert status == 200 and json.loads(body)["peer"] == "tcp:127.0.0.1"


def test_two_tokens_are_refused(serve):
    server = serve(*listening())
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds(20)) as client:
        line = f"Authorization: Bearer {TOKEN}\r\n"
        client.sendall(f"GET /ok HTTP/1.1\r\nHost: x\r\n{line}{line}\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 401 ")


def test_unix_socket_needs_no_token(serve):
    status, _, body = ask(UnixConnection(serve(*listening()).path), headers={})
    assert status == 200 and json.loads(body)["peer"] == "unix:0(root)"


# --- peers ---

ASK_AS = """
import http.client, os, socket, sys
os.setgroups([int(g) for g in sys.argv[3].split(",") if g]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1])
s.sendall(b"GET /ok HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
print(s.recv(12).decode())
"""


def ask_as(path, user, groups):
    done = subprocess.run(["/usr/bin/python3", "-c", ASK_AS, path, str(user), ",".join(map(str, groups))], capture_output=True,
                          text=True, timeout=seconds(30))
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_only_root_and_the_group_may_use_the_socket(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peers")
    os.chmod(folder, 0o755)
    for parent in folder.parents:  # pytest's directories are for the owner only
        if str(parent).startswith("/tmp/"):
            os.chmod(parent, 0o755)
    path, other, group = str(folder / "s"), pwd.getpwnam("nobody").pw_uid, 60  # Debian's "games"
    server = Server(path, "--group", "games")
    try:
        assert os.stat(path).st_mode & 0o777 == 0o660 and os.stat(path).st_gid == group
        assert ask_as(path, other, []).endswith("Permission denied")
        assert ask_as(path, other, [100, group]) == "HTTP/1.1 200"
        os.chmod(path, 0o666)  # the server checks every peer itself
        assert ask_as(path, other, [100]) == "HTTP/1.1 403"
        assert ask_as(path, group, []) == "HTTP/1.1 200"  # its primary group
    finally:
        server.stop()


# --- TLS ---


def trusting(cert):
    return ssl.create_default_context(cafile=cert)


def https(server, context):
    return http.client.HTTPSConnection("127.0.0.1", server.port, timeout=seconds(20), context=context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_connections_work_and_stay_open(serve, certificate, version):
    server = serve(*listening("--cert", certificate[0], "--key", certificate[1]))
    context = trusting(certificate[0])
    context.minimum_version = context.maximum_version = version
    connection = https(server, context)
    for _ in range(3):
        assert ask(connection)[0] == 200
    body = json.dumps({"a": "b" * 500000})
    assert ask(connection, "POST", "/body", body, {**BEARER, "Content-Type": "application/json"})[2] == body.encode()
    assert connection.sock.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]


def test_old_tls_versions_are_refused(serve, certificate):
    server = serve(*listening("--cert", certificate[0], "--key", certificate[1]))
    context = trusting(certificate[0])
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        ask(https(server, context))


def test_plain_http_gets_no_answer_from_a_tls_server(serve, certificate):
    server = serve(*listening("--cert", certificate[0], "--key", certificate[1]))
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        ask(tcp(server))
    assert ask(https(server, trusting(certificate[0])))[0] == 200


def expected_download():
    pattern = bytes(range(251))
    digest = hashlib.sha256()
    for _ in range(DOWNLOAD // 251):
        digest.update(pattern)
    digest.update(pattern[:DOWNLOAD % 251])
    return digest.hexdigest()


@pytest.mark.parametrize("tls", [False, True])
def test_downloads_and_streams_arrive_whole(serve, certificate, tls):
    server = serve(*listening(*(("--cert", certificate[0], "--key", certificate[1]) if tls else ())))
    connection = https(server, trusting(certificate[0])) if tls else tcp(server)
    status, headers, body = ask(connection, path="/download")
    assert status == 200 and headers["Content-Length"] == str(DOWNLOAD)
    assert headers["Content-Disposition"] == 'attachment; filename="download.pcapng"'
    assert hashlib.sha256(body).hexdigest() == expected_download()
    status, headers, body = ask(connection, path="/stream")
    assert headers["Transfer-Encoding"] == "chunked"
    assert body == b"".join(bytes([ord("a") + n % 26]) * 20000 for n in range(1000))
    assert ask(connection)[0] == 200


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("path", ["/later", "/stream", "/events"])
def test_vanished_client_is_noticed(serve, certificate, tls, path):
    server = serve(*listening(*(("--cert", certificate[0], "--key", certificate[1]) if tls else ())))
    client = socket.create_connection(("127.0.0.1", server.port), timeout=seconds(20))
    if tls:
        client = trusting(certificate[0]).wrap_socket(client, server_hostname="127.0.0.1")
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    if path != "/later":
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    client.close()
    local = UnixConnection(server.path)
    until(lambda: json.loads(ask(local)[2])["gone"] == 1, what="the handler to be notified")


def test_connection_reset_does_not_make_the_server_spin(serve):
    server = serve(*listening())
    client = socket.create_connection(("127.0.0.1", server.port), timeout=seconds(20))
    client.sendall(f"GET /later HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    local = UnixConnection(server.path)
    ask(local)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    until(lambda: json.loads(ask(local)[2])["gone"] == 1, what="the handler to be notified")

    def ticks():
        fields = open(f"/proc/{server.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    with pytest.raises(TimeoutError):  # an idle second
        idle = socket.create_connection(("127.0.0.1", server.port), timeout=1)
        idle.recv(1)
    assert ticks() - before < 20


def test_server_sent_events_are_sent_at_once(serve):
    server = serve(*listening())
    connection = tcp(server)
    connection.request("GET", "/events", headers=BEARER)
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "text/event-stream"
    lines = [response.readline() for _ in range(5)]
    assert lines == [b":\n", b"\n", b"event: hello\n", b'data: {"n":1}\n', b"\n"]


# --- limits ---


def test_tcp_clients_cannot_lock_out_local_clients(serve):
    server = serve(*listening("--connections", "8"))
    held = [socket.create_connection(("127.0.0.1", server.port), timeout=seconds(20)) for _ in range(8)]
    more = socket.create_connection(("127.0.0.1", server.port), timeout=seconds(20))
    assert more.recv(100).startswith(b"HTTP/1.1 503 ")
    locals_ = [UnixConnection(server.path) for _ in range(8)]
    for local in locals_:
        assert ask(local)[0] == 200
    held.pop().close()

    def is_served():
        try:
            return ask(tcp(server))[0] == 200
        except ConnectionError:  # refused with 503 and closed before the request
            return False

    until(is_served, what="the freed connection")


def test_concurrent_clients_are_all_served(serve):
    server = serve(*listening())

    def work(n):
        connection = UnixConnection(server.path) if n % 2 else tcp(server)
        for i in range(50):
            body = json.dumps({"n": n, "i": i}).encode()
            status, _, answer = ask(connection, "POST", "/body", body)
            assert status == 200 and answer == body
        return 50

    with concurrent.futures.ThreadPoolExecutor(48) as pool:
        assert sum(pool.map(work, range(48))) == 2400


def established(port):
    """Number of TCP connections that the server still holds open."""
    lines = [line.split() for line in open("/proc/net/tcp")][1:]
    return sum(line[1].endswith(f":{port:04X}") and line[3] == "01" for line in lines)


def test_slow_readers_disturb_no_other_client(serve):
    server = serve(*listening("--stall-s", "2"))
    slow = []
    for _ in range(20):
        client = socket.create_connection(("127.0.0.1", server.port), timeout=seconds(20))
        client.sendall(f"GET /download HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        slow.append(client)
    local = UnixConnection(server.path)
    for _ in range(100):
        assert ask(local)[0] == 200
    # The server disconnects them: their connections become free without a byte read.
    until(lambda: established(server.port) == 0, timeout=20, what="the slow readers to be disconnected")
    for client in slow:
        client.close()


def test_curl_accepts_the_answers(serve, certificate):
    server = serve(*listening("--cert", certificate[0], "--key", certificate[1]))
    url = f"https://127.0.0.1:{server.port}"
    common = ["curl", "-sS", "--cacert", certificate[0], "-H", f"Authorization: Bearer {TOKEN}"]
    for more in (["--http1.1", f"{url}/ok"], ["--http2", f"{url}/ok"], ["-I", f"{url}/ok"], ["-X", "POST", "-d", "{}", "-H",
                 "Content-Type: application/json", f"{url}/body"]):
        done = subprocess.run([*common, "-w", "%{http_code} %{http_version}", *more], capture_output=True, text=True, timeout=seconds(30))
        assert done.stdout.endswith("200 1.1"), (more, done)
