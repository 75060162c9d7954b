# SPDX-License-Identifier: BSD-2-Clause
"""The Redis code alone (link, subscriber, publisher), through tests/probes/redis_probe: every fault of a server, and every kind of server
that must be refused. Tests wait for the probe's log and messages."""

import json
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from lib.redis_probe import IS_MASTER, OFTEN_PING, QUICK_PING, probe, server  # noqa: F401
from lib.waiting import seconds, until


def publish(redis_server, payload, channel="capture"):
    with redis_server.client() as client:
        return client.publish(channel, payload)


def names_of_clients(redis_server):
    """Names of the TCP connections (unix socket connections have the flag U)."""
    with redis_server.client() as client:
        return {entry["name"] for entry in client.client_list() if "U" not in entry["flags"]}


def lines_of(one, message_id, role="subscriber"):
    return [line for line in one.seen if re.search(rf"\b{message_id}\b.*role=\"?{role}", line)]


def events_of(subscription, count):
    """Ids of the next `count` events that the server delivers. A link that could not connect may wait 30 s for its next try."""
    ids, deadline = [], time.monotonic() + seconds(60)
    while len(ids) < count:
        assert time.monotonic() < deadline, f"received only {ids}"
        message = subscription.get_message(timeout=1)
        if message and message["type"] == "message":
            ids.append(json.loads(message["data"])["id"])
    return ids


# --- outages ---


def test_link_comes_up_once_redis_appears(server, probe):
    redis_server = server()
    one = probe(redis_server.port)
    one.expect(r"redis-down .*role=\"?subscriber.*refused.*retry_ms=")
    redis_server.start()
    one.both_up()
    assert publish(redis_server, "hello") == 1
    assert one.message() == {"message": "hello", "origin": "redis:capture", "size": 5, "fnv1a": "a430d84680aabd0b"}
    assert len(lines_of(one, "redis-down")) == 1, "a repeated failure is logged once"


@pytest.mark.parametrize("options,mentions,severity", [(["--quiet"], 1, "info"), ([], 2, "warning")])
def test_missing_default_server_is_logged_once_and_mildly(probe, options, mentions, severity):
    """The server fails in one way first and in another later: the change is logged only if Redis was configured."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = probe(listener.getsockname()[1], *options)
        for attempt in range(12):  # by both roles
            listener.settimeout(seconds(20))
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"" if attempt < 2 else b"-ERR not for you\r\n")
    one.pending()
    for role in ("subscriber", "publisher"):
        downs = lines_of(one, "redis-down", role)
        assert 1 <= len(downs) <= mentions
        assert all(f" {severity} redis-down" in line for line in downs)
    if not options:
        assert any("not for you" in line for line in one.seen)


def test_link_survives_a_restart(server, probe):
    redis_server = server().start()
    one = probe(redis_server.port)
    one.both_up()
    redis_server.stop(signal.SIGKILL)
    one.expect(r"redis-down .*role=\"?subscriber")
    redis_server.start()
    one.expect(r"subscribed channel=")
    assert publish(redis_server, "again") == 1
    assert one.message()["message"] == "again"


def test_hanging_server_is_noticed_and_recovered_from(server, probe):
    redis_server = server().start()
    one = probe(redis_server.port, *QUICK_PING)
    one.both_up()
    redis_server.pause()
    one.expect(r"redis-down .*role=\"?subscriber.*no answer to PING")
    redis_server.resume()
    one.expect(r"subscribed channel=")
    assert publish(redis_server, "awake") >= 1
    assert one.message()["message"] == "awake"


def test_pings_keep_an_idle_subscription_up(server, probe):
    redis_server = server().start()
    one = probe(redis_server.port, *OFTEN_PING)
    one.both_up()

    def pings():
        with redis_server.client() as client:
            return client.info("commandstats").get("cmdstat_ping", {}).get("calls", 0) >= 30

    until(pings, 15, "many PINGs")
    assert publish(redis_server, "still here") == 1
    assert one.message()["message"] == "still here"
    assert not lines_of(one, "redis-down")


def test_killed_subscriber_reconnects_at_once(server, probe):
    redis_server = server().start()
    one = probe(redis_server.port)
    one.both_up()
    redis_server.kill_clients()
    line = one.expect(r"redis-down .*role=\"?subscriber.*reason=\"?Server closed the connection")
    assert int(re.search(r"retry_ms=(\d+)", line)[1]) < 1000, line
    one.expect(r"subscribed channel=")
    assert publish(redis_server, "back") == 1
    assert one.message()["message"] == "back"


def test_connections_carry_names(server, probe):
    redis_server = server().start()
    probe(redis_server.port).both_up()
    until(lambda: names_of_clients(redis_server) == {"pcapdaemon-subscriber", "pcapdaemon-publisher"}, 10, "both names")


def test_host_name_is_resolved(server, probe):
    redis_server = server().start()
    probe(redis_server.port, host="localhost").both_up()


def test_unknown_host_name_is_logged(probe):
    probe(1, host="no-such-host.invalid").expect(r"redis-down .*no-such-host\.invalid: ", timeout=60)


# --- messages ---


def test_message_of_10_mb_is_passed_on_and_the_connection_stays(server, probe):
    redis_server = server().start()
    one = probe(redis_server.port)
    one.both_up()
    assert publish(redis_server, b"x" * 10_000_000) == 1
    assert one.message()["size"] == 10_000_000
    assert publish(redis_server, b"after") == 1
    assert one.message()["message"] == "after"
    assert not lines_of(one, "redis-down")


def test_message_may_contain_any_bytes(server, probe):
    redis_server = server().start()
    one = probe(redis_server.port)
    one.both_up()
    publish(redis_server, b"a\x00\r\nb" * 1000)
    publish(redis_server, b"")
    assert one.message()["size"] == 5000
    assert one.message()["size"] == 0


def test_handler_may_free_the_subscriber_that_calls_it(server, probe):
    redis_server = server().start()
    one = probe(redis_server.port)
    one.both_up()
    with redis_server.client() as client:  # more messages are in the same read
        pipeline = client.pipeline(transaction=True)
        for payload in ("unsubscribe-in-handler", "never seen", "never seen"):
            pipeline.publish("capture", payload)
        pipeline.execute()
    assert one.message()["message"] == "unsubscribe-in-handler"
    until(lambda: names_of_clients(redis_server) == {"pcapdaemon-publisher"}, 5, "the subscriber to go")
    assert one.pending() == 0
    assert not [line for line in one.seen if "never seen" in line]


# --- authentication ---


def test_password_is_accepted(server, probe):
    redis_server = server(password="s3cr3t").start()
    probe(redis_server.port, "--auth", "s3cr3t").both_up()


@pytest.mark.parametrize("options,text", [(["--auth", "wr0ng-s3cr3t"], "WRONGPASS"), ([], "NOAUTH"),
                                          (["--user", "nobody", "--auth", "wr0ng-s3cr3t"], "WRONGPASS")])
def test_refused_login_is_logged_once_in_the_servers_words_without_the_secret(server, probe, options, text):
    redis_server = server(password="s3cr3t").start()
    one = probe(redis_server.port, *options)
    one.expect(rf"redis-down .*role=\"?subscriber.*reason=\"{text}")

    def tried_again():
        with redis_server.client() as client:
            return client.info("stats")["total_connections_received"] > 8

    until(tried_again, 20, "further attempts")
    assert one.pending() == 0
    assert len(lines_of(one, "redis-down")) <= 1
    assert "wr0ng" not in "\n".join(one.seen)


def test_acl_user_without_ping_or_client_works(server, probe):
    redis_server = server(users=["capturer on >s3cr3t resetchannels &capture &capture:events +subscribe +publish"]).start()
    one = probe(redis_server.port, "--user", "capturer", "--auth", "s3cr3t", *OFTEN_PING)
    one.both_up()  # although this user may use neither PING nor CLIENT
    assert publish(redis_server, "hello") == 1
    assert one.message()["message"] == "hello"
    with redis_server.client() as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("capture:events")
        subscription.get_message(timeout=5)
        one.send_line("event one")
        assert events_of(subscription, 1) == ["one"]
    assert not lines_of(one, "redis-down")


def test_acl_without_the_channel_is_logged(server, probe):
    redis_server = server(users=["capturer on >s3cr3t resetchannels &other +@all"]).start()
    one = probe(redis_server.port, "--user", "capturer", "--auth", "s3cr3t")
    one.expect(r"redis-down .*role=\"?subscriber.*reason=\"NOPERM")
    with redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", "capturer", "&capture")
    one.expect(r"subscribed channel=", timeout=40)


def test_forbidden_events_are_logged_and_dropped(server, probe):
    redis_server = server(users=["capturer on >s3cr3t resetchannels &capture +@all"]).start()
    one = probe(redis_server.port, "--user", "capturer", "--auth", "s3cr3t")
    one.both_up()
    for number in range(50):
        one.send_line(f"event {number}")
    one.expect(r"event-refused .*NOPERM")
    until(lambda: one.pending() == 0, 5, "the events to be dropped")
    assert len([line for line in one.seen if "event-refused" in line]) < 5


# --- events ---


def test_events_of_an_outage_are_sent_later_in_order(server, probe):
    redis_server = server().start()
    one = probe(redis_server.port)
    one.both_up()
    redis_server.stop(signal.SIGKILL)
    one.expect(r"redis-down .*role=\"?publisher")
    for number in range(200):
        one.send_line(f"event {number}")
    assert one.pending() == 200
    redis_server.start(tcp=False)
    with redis_server.client() as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("capture:events")
        subscription.get_message(timeout=5)
        redis_server.open_tcp()
        assert events_of(subscription, 200) == [str(number) for number in range(200)]
    until(lambda: one.pending() == 0, 5, "nothing pending")


def test_unanswered_events_are_sent_again(server, probe):
    redis_server = server().start()
    one = probe(redis_server.port)
    one.both_up()
    redis_server.pause()
    for number in range(20):
        one.send_line(f"event {number}")
    assert one.pending() == 20, "sent, but not answered"
    redis_server.stop(signal.SIGKILL)
    one.expect(r"redis-down .*role=\"?publisher")
    assert one.pending() == 20
    redis_server.start(tcp=False)
    with redis_server.client() as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("capture:events")
        subscription.get_message(timeout=5)
        redis_server.open_tcp()
        assert events_of(subscription, 20) == [str(number) for number in range(20)]


def test_backlog_is_bounded_and_logs_what_it_drops(server, probe):
    redis_server = server()
    one = probe(redis_server.port)
    one.expect(r"redis-down .*role=\"?publisher")
    one.send_line("fill 100")  # 6.4 MB into 4 MiB
    one.expect(r"event-dropped .*dropped=")
    kept = one.pending()
    assert 60 <= kept < 64
    redis_server.start(tcp=False)
    with redis_server.client() as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("capture:events")
        subscription.get_message(timeout=5)
        redis_server.open_tcp()
        assert events_of(subscription, kept) == [f"fill-{number}" for number in range(100 - kept, 100)]


# --- TLS ---


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """An authority with certificates for localhost (not 127.0.0.1), for 127.0.0.1 and for a client, and an unrelated authority."""
    directory = tmp_path_factory.mktemp("pki")
    for authority in ("ca", "stranger"):
        openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", f"/CN=test {authority}", "-keyout", f"{authority}.key", "-out", f"{authority}.crt")
    for name, alternative in (("named", "DNS:localhost"), ("addressed", "IP:127.0.0.1"), ("client", "DNS:client")):
        (directory / f"{name}.ext").write_text(f"subjectAltName={alternative}\n")
        openssl(directory, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.crt")
    return directory


def tls_server(server, pki, name="named", **options):
    return server(tls={"cert": pki / f"{name}.crt", "key": pki / f"{name}.key", "ca": pki / "ca.crt"}, **options)


def test_tls_accepts_the_right_name(server, probe, pki):
    redis_server = tls_server(server, pki, password="s3cr3t").start()
    one = probe(redis_server.port, "--tls", "--ca", str(pki / "ca.crt"), "--auth", "s3cr3t", *OFTEN_PING, host="localhost")
    one.both_up()
    publish(redis_server, b"y" * 10_000_000)
    assert one.message()["size"] == 10_000_000
    redis_server.kill_clients()
    one.expect(r"redis-down .*role=\"?subscriber")
    one.expect(r"subscribed channel=")


def test_tls_accepts_the_right_address(server, probe, pki):
    redis_server = tls_server(server, pki, "addressed").start()
    probe(redis_server.port, "--tls", "--ca", str(pki / "ca.crt")).both_up()


@pytest.mark.parametrize("certificate,host,authority,text", [
    ("named", "127.0.0.1", "ca", "IP address mismatch"),
    ("addressed", "localhost", "ca", "hostname mismatch"),
    ("named", "localhost", "stranger", "unable to get local issuer certificate|self.signed|unable to verify"),
    ("named", "localhost", None, "unable to get local issuer certificate|self.signed|unable to verify"),
])
def test_tls_refuses_untrusted_servers(server, probe, pki, certificate, host, authority, text):
    redis_server = tls_server(server, pki, certificate, password="s3cr3t").start()
    options = ["--ca", str(pki / f"{authority}.crt")] if authority else []
    one = probe(redis_server.port, "--tls", *options, "--auth", "s3cr3t", host=host)
    one.expect(rf"redis-down .*role=\"?subscriber.*certificate is refused: ({text})")
    with redis_server.client() as client:
        assert "cmdstat_auth" not in client.info("commandstats") or \
            client.info("commandstats")["cmdstat_auth"]["calls"] <= 10, "only the test's own commands"
    assert not lines_of(one, "redis-up")


def test_tls_client_certificate_is_sent(server, probe, pki):
    redis_server = tls_server(server, pki).start(tcp=False)
    with redis_server.client() as client:
        client.config_set("tls-auth-clients", "yes")
    redis_server.open_tcp()
    without = probe(redis_server.port, "--tls", "--ca", str(pki / "ca.crt"), host="localhost")
    without.expect(r"redis-down .*role=\"?subscriber.*certificate required")
    probe(redis_server.port, "--tls", "--ca", str(pki / "ca.crt"), "--cert", str(pki / "client.crt"), "--key",
          str(pki / "client.key"), host="localhost").both_up()


def test_tls_to_a_plain_server_is_logged(server, probe, pki):
    redis_server = server().start()
    probe(redis_server.port, "--tls", "--ca", str(pki / "ca.crt")).expect(r"redis-down .*role=\"?subscriber.*no TLS handshake")


def test_missing_authority_file_is_named(probe):
    probe(1, "--tls", "--ca", "/nonexistent/ca.pem").expect(r"redis-down .*/nonexistent/ca\.pem")


# --- servers other than Redis ---


class Impostor:
    """Accepts clients as Redis does, then sends the given bytes."""

    def __init__(self, after_subscribe):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.after_subscribe = after_subscribe
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        try:
            with connection:
                heard = b""
                while b"PING" not in heard:
                    heard += connection.recv(4096)
                connection.sendall(b"+PONG\r\n+OK\r\n" + IS_MASTER)
                while b"SUBSCRIBE" not in heard:
                    heard += connection.recv(4096) or b"SUBSCRIBE"
                for chunk in self.after_subscribe():
                    connection.sendall(chunk)
                while connection.recv(4096):
                    pass
        except OSError:
            pass


CONFIRMED = b"*3\r\n$9\r\nsubscribe\r\n$7\r\ncapture\r\n:1\r\n"


def endless(beginning, piece):
    yield beginning
    while True:
        yield piece


@pytest.mark.parametrize("sent,reason", [
    (lambda: [b"*3\r\n:1\r\n:2\r\n:3\r\n"], "malformed pub/sub"),
    (lambda: [b"*3\r\n$9\r\nsubscribe\r\n$5\r\nother\r\n:1\r\n"], "malformed pub/sub"),
    (lambda: [b"*3\r\n$11\r\nunsubscribe\r\n$7\r\ncapture\r\n$1\r\n0\r\n"], "malformed pub/sub"),
    (lambda: [b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$7\r\ncapture\r\n$1\r\nx\r\n"], "malformed pub/sub"),
    (lambda: [CONFIRMED, b"*3\r\n$7\r\nmessage\r\n$7\r\ncapture\r\n*1\r\n:1\r\n"], "malformed pub/sub"),
    (lambda: [CONFIRMED, b"*3\r\n$11\r\nunsubscribe\r\n$7\r\ncapture\r\n:0\r\n"], "ended the subscription"),
    (lambda: [b">3\r\n$9\r\nsubscribe\r\n$7\r\ncapture\r\n:1\r\n"], "RESP3"),
    (lambda: [b">0\r\n"], "RESP3"),
    (lambda: [b"%1\r\n+a\r\n+b\r\n"], "RESP3"),
    (lambda: [b"*1\r\n" * 100], "nested too deeply"),
    (lambda: [b"*1000000000\r\n"], "too many elements"),
    (lambda: endless(b"+", b"x" * 65536), "line longer than"),
    (lambda: endless(CONFIRMED + b"*3\r\n$7\r\nmessage\r\n$7\r\ncapture\r\n$1000000000\r\n", b"x" * (1 << 20)), "larger than 64 MiB"),
    (lambda: [b"garbage\r\n"], "Protocol error"),
    (lambda: [b"-ERR max number of clients reached\r\n"], "max number of clients"),
])
def test_server_that_is_not_redis_is_dropped(probe, sent, reason):
    impostor = Impostor(sent)
    one = probe(impostor.port)
    one.expect(rf"redis-down .*role=\"?subscriber.*reason=.*{re.escape(reason)}", timeout=30)
    impostor.listener.close()
    one.pending()  # the probe still runs


def test_server_that_never_answers_is_abandoned(probe):
    listener = socket.create_server(("127.0.0.1", 0))
    one = probe(listener.getsockname()[1])
    one.expect(r"redis-down .*role=\"?subscriber.*no answer within", timeout=15)
    listener.close()
