# SPDX-License-Identifier: BSD-2-Clause
"""The control API over TLS while one address misbehaves: the others are served, and /metrics counts what was refused."""

import contextlib
import re
import socket
import ssl
import threading

import pytest

from lib.api import TcpApi
from lib.waiting import seconds, until
from test_api_node import ALONE, PORT, SECRET, tls_files

PEER_CONNECTIONS_MAX, HANDSHAKES_BURST = 32, 40
ATTACKERS = 300


@pytest.fixture
def world(make_world, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text(SECRET + "\n")
    token_file.chmod(0o600)
    cert, key = tls_files(tmp_path)
    made = make_world({**ALONE, "api": {"listen": f"127.0.0.1:{PORT}", "token_file": str(token_file), "cert_file": cert, "key_file": key}},
                      redis=False)
    made.context = ssl.create_default_context(cafile=cert)
    made.tcp = TcpApi(made.host, PORT, SECRET, made.context)
    return made


def metric(world, name):
    return int(re.search(rf"^{re.escape(name)} (\d+)$", world.api.get("/metrics").expect(200).body.decode(), re.MULTILINE)[1])


def refusals(world, cause):
    return metric(world, f'pcapdaemon_api_refusals_total{{cause="{cause}"}}')


def connect(world, address):
    return world.host.call(lambda: socket.create_connection(("127.0.0.1", PORT), seconds(20), (address, 0)))


def shake_hands(world, connection):
    return world.context.wrap_socket(connection, server_hostname="127.0.0.1")


def client_hello(world):
    out = ssl.MemoryBIO()
    session = world.context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="127.0.0.1")
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return out.read()


def is_open(connection):
    connection.settimeout(0)
    try:
        return bool(connection.recv(1))
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


class Attack:
    """Keeps up to ATTACKERS connections from one address: half a ClientHello, no token, a head that trickles."""

    def __init__(self, world, address):
        self.world, self.address, self.hello = world, address, client_hello(world)
        self.held, self.opened, self.stopping = [], 0, False
        self.thread = threading.Thread(target=lambda: world.host.call(self.run))

    def begin(self, kind):
        connection = socket.create_connection(("127.0.0.1", PORT), seconds(20), (self.address, 0))
        if kind == 0:
            connection.sendall(self.hello[:len(self.hello) // 2])
            return connection
        connection = shake_hands(self.world, connection)
        if kind == 1:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-")
        return connection

    def run(self):
        while not self.stopping:
            self.opened += 1
            with contextlib.suppress(OSError):
                self.held.append((self.opened % 3, self.begin(self.opened % 3)))
            for kind, connection in self.held:
                if kind == 1:
                    with contextlib.suppress(OSError):
                        connection.send(b"x")
            self.held = [pair for pair in self.held if is_open(pair[1])][-ATTACKERS:]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        for _, connection in self.held:
            connection.close()


def test_one_address_cannot_lock_out_others(world):
    with Attack(world, "127.0.0.2") as attack:
        until(lambda: attack.opened >= ATTACKERS and refusals(world, "peer-connections"), 60, "the attack")
        assert world.tcp.get("/healthz").expect(200).json["status"] == "ok"
        with world.tcp.events() as events:
            body = world.fields(packets=1, timeout=20)
            capture = world.tcp.post({**body, "to_destinations": ["memory"]}).expect(202).json["id"]
            world.sender.send(1)
            assert events.wait_kinds("accepted", "captured", "done")[-1]["capture"] == f"{capture}.1"
        until(lambda: refusals(world, "login-timeout") > PEER_CONNECTIONS_MAX, 60, "connections that are cut")
        world.tcp.get("/healthz").expect(200)
        assert metric(world, "pcapdaemon_api_connections") <= PEER_CONNECTIONS_MAX + 3
    assert world.daemon.wait_log("api-refused").fields["reason"] == "too many connections of this address"
    until(lambda: metric(world, "pcapdaemon_api_connections") == 1, 20, "the slots to be free again")
    with contextlib.ExitStack() as stack:
        for _ in range(PEER_CONNECTIONS_MAX):  # all of them, as before
            stack.enter_context(shake_hands(world, connect(world, "127.0.0.2")))


def test_handshakes_beyond_the_rate_wait(world):
    def burst():
        """Each connection costs its address a handshake, finished or not."""
        for _ in range(HANDSHAKES_BURST):
            socket.create_connection(("127.0.0.1", PORT), seconds(20), ("127.0.0.2", 0)).close()
        return metric(world, "pcapdaemon_api_delayed_handshakes_total")

    until(lambda: world.host.call(burst), 20, "handshakes that wait")
    with shake_hands(world, connect(world, "127.0.0.2")) as connection:  # late, but not refused
        connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_failed_handshakes_are_counted(world):
    with connect(world, "127.0.0.2") as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while connection.recv(1000):
                pass
    assert refusals(world, "handshake") == 1


def test_answer_that_no_peer_takes_gives_its_connection_back(world):
    with shake_hands(world, connect(world, "127.0.0.2")) as connection:
        connection.sendall(f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nConnection: close\r\n\r\n".encode())
        until(lambda: metric(world, "pcapdaemon_api_connections") == 1, 20, "the answer to be sent")
        text = b""
        while piece := connection.recv(65536):
            text += piece
        assert text.endswith(b"# EOF\n"), "the rest of the answer comes although the server has closed"
