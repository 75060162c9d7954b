# SPDX-License-Identifier: BSD-2-Clause
"""Passwords, tokens and certificates whose files are replaced while the daemon runs."""

import os
import ssl

import pytest

from lib.api import TcpApi
from lib.cloudshark_server import busy
from lib.waiting import until
from test_api_node import tls_files
from test_signed_requests import fields as signed_fields
from test_signed_requests import sign

API_PORT = 7227
OLD, NEW = "the-old-secret-of-20", "the-new-secret-of-20"


def write(path, text):
    """Replaces the file at once, as rotation tools do."""
    with open(os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"{text}\n")
    os.replace(f"{path}.new", path)


@pytest.fixture
def secret_file(tmp_path):
    path = str(tmp_path / "secret")
    write(path, OLD)
    return path


def change_password(world, password):
    with world.redis.client() as client:
        client.config_set("requirepass", password)
    world.redis.password = password


def reconnect(world):
    """Ends the daemon's connections; the test's own subscriber may stay."""
    since = world.daemon.mark()
    world.redis.kill_clients()
    return since


def test_changed_redis_password_is_read_at_the_next_login(make_world, secret_file):
    world = make_world({"redis": {"auth_file": secret_file}}, redis={"password": OLD})
    change_password(world, NEW)
    write(secret_file, NEW)
    since = reconnect(world)
    world.daemon.wait_log("subscribed", 20, since=since)
    world.assert_works()
    assert "WRONGPASS" not in world.daemon.text() and NEW not in world.daemon.text()


def test_redis_password_is_read_again_after_a_refusal(make_world, secret_file):
    world = make_world({"redis": {"auth_file": secret_file}}, redis={"password": OLD})
    change_password(world, NEW)
    since = reconnect(world)
    world.daemon.wait_lines(lambda line: line.id == "redis-down" and "WRONGPASS" in line.text, timeout=20, since=since)
    write(secret_file, NEW)
    world.daemon.wait_log("subscribed", 40, since=since)
    world.assert_works()


def test_redis_password_outlives_its_file(make_world, secret_file):
    world = make_world({"redis": {"auth_file": secret_file}}, redis={"password": OLD})
    os.unlink(secret_file)
    since = reconnect(world)
    world.daemon.wait_log("secret-unread", since=since)
    world.daemon.wait_log("subscribed", 20, since=since)
    world.assert_works()


def test_changed_authority_is_trusted_at_the_next_connection(make_world, tmp_path):
    pairs = []
    for name in ("a", "b"):
        os.mkdir(tmp_path / name)
        pairs.append(tls_files(str(tmp_path / name)))
    authority = str(tmp_path / "ca.pem")
    with open(pairs[0][0]) as file:
        write(authority, file.read())
    world = make_world({"redis": {"tls": True, "ca_file": authority}},
                       redis={"tls": {"cert": pairs[0][0], "key": pairs[0][1], "ca": pairs[0][0]}})
    with open(pairs[1][0]) as file:
        write(authority, file.read())
    since = world.daemon.mark()
    with world.redis.client() as client:
        client.config_set("tls-ca-cert-file", pairs[1][0])
        client.execute_command("CONFIG", "SET", "tls-cert-file", pairs[1][0], "tls-key-file", pairs[1][1])
    reconnect(world)
    world.daemon.wait_log("subscribed", 20, since=since)
    assert not [line for line in world.daemon.lines[since:] if "refused" in line.text]
    world.assert_works()


def test_changed_cloudshark_token_is_used_by_the_next_upload(make_world, secret_file):
    world = make_world(cloudshark={"token": OLD}, start=False)
    world.daemon.config["cloudshark"].pop("token")
    world.daemon.config["cloudshark"]["token_file"] = secret_file
    world.daemon.start()
    for token in (OLD, NEW):
        world.receiver.server.token = token
        write(secret_file, token)
        request = world.capture(packets=1, timeout=20)
        world.sender.send(1)
        destinations = {one["name"]: one for one in request.done()["destinations"]}
        assert destinations["cloudshark"]["ok"] and destinations["cloudshark"]["attempts"] == 1, destinations
        world.receiver.of(request.id)
    assert OLD not in world.daemon.text() and NEW not in world.daemon.text()


def test_tokens_of_customers_are_followed_and_links_are_public(make_world, tmp_path):
    path = str(tmp_path / "customers")
    write(path, f"ACME:{OLD}")
    changes = {"cloudshark": {"customer_tokens_file": path, "public_url": "https://cs.example.net"}}
    world = make_world(changes, cloudshark={"token": "general"})
    world.receiver.server.more_tokens = (OLD, NEW)
    for customer, line, token in (("ACME", "", OLD), ("ACME", f"ACME:{NEW}", NEW), ("acme", "", "general"), ("ACME", "no token", NEW)):
        if line:
            write(path, line)
        request = world.capture(packets=1, timeout=20, customer=customer)
        world.sender.send(1)
        where = {one["name"]: one for one in request.done()["destinations"]}["cloudshark"]
        upload = world.receiver.of(request.id)
        assert upload.token == token and where["url"] == f"https://cs.example.net/captures/{upload.id}", where
    world.daemon.wait_log("secret-unread")
    assert OLD not in world.daemon.text() and NEW not in world.daemon.text()


def test_refused_cloudshark_token_is_read_again(make_world, secret_file):
    """The token changes while an upload with the old one waits for its refusal."""
    world = make_world(cloudshark={"token": OLD, "behaviour": [busy(503)]}, start=False)
    world.daemon.config["cloudshark"].pop("token")
    world.daemon.config["cloudshark"]["token_file"] = secret_file
    world.daemon.start()
    request = world.capture(packets=1, timeout=20)
    world.sender.send(1)
    request.captured()
    world.receiver.server.token = NEW
    write(secret_file, NEW)
    destinations = {one["name"]: one for one in request.done(timeout=60)["destinations"]}
    assert destinations["cloudshark"]["ok"], destinations


def tcp_api(world, token, cert=None):
    context = ssl.create_default_context(cafile=cert) if cert else None
    return TcpApi(world.host, API_PORT, token, context)


def test_changed_api_token_replaces_the_old_one(make_world, secret_file):
    world = make_world({"api": {"listen": f"127.0.0.1:{API_PORT}", "token_file": secret_file}}, redis=False)
    tcp_api(world, OLD).get("/v1/status").expect(200)
    write(secret_file, NEW)
    tcp_api(world, OLD).get("/v1/status").expect(401)
    tcp_api(world, NEW).get("/v1/status").expect(200)


def test_changed_api_certificate_serves_new_connections(make_world, secret_file, tmp_path):
    pairs = []
    for name in ("a", "b", "live"):
        os.mkdir(tmp_path / name)
        pairs.append(tls_files(str(tmp_path / name)))
    (cert, key), (other_cert, other_key), (live_cert, live_key) = pairs

    def install(cert, key):
        for source, target in ((cert, live_cert), (key, live_key)):
            with open(source) as file:
                write(target, file.read())

    install(cert, key)
    world = make_world({"api": {"listen": f"127.0.0.1:{API_PORT}", "token_file": secret_file, "cert_file": live_cert,
                                "key_file": live_key}}, redis=False)
    with tcp_api(world, OLD, cert).events() as events:
        for wanted, other in ((other_cert, cert), (cert, other_cert), (other_cert, cert)):
            install(wanted, other_key if wanted == other_cert else key)
            tcp_api(world, OLD, wanted).get("/v1/status").expect(200)
            with pytest.raises(ssl.SSLCertVerificationError):
                tcp_api(world, OLD, other).get("/v1/status")
        fields = world.fields(packets=1, timeout=20)
        tcp_api(world, OLD, other_cert).post(fields).expect(202)
        events.wait_kinds("accepted")  # the connection from before goes on
        write(live_key, "no key")
        tcp_api(world, OLD, other_cert).get("/v1/status").expect(200)
        world.daemon.wait_log("api-certificate-unread")
    until(lambda: len(world.daemon.log("api-certificate-changed")) == 3, 5, "three changes")


def test_changed_keys_replace_the_old_ones(make_world, secret_file):
    """The keys of signed requests, one of them running while its key is replaced."""
    write(secret_file, f"old:{OLD}")
    world = make_world({"requests": {"keys_file": secret_file}})

    def answer(name, secret, **more):
        request = sign(signed_fields(**more), name, secret)
        since = world.events.mark()
        world.publish(request)
        return world.events.wait(lambda event: event.get("id") == request["id"], since=since)

    running = answer("old", OLD, packets=1, timeout=60)
    assert running["event"] == "accepted", running
    write(secret_file, f"new:{NEW}")
    assert answer("new", NEW)["event"] == "accepted"
    world.daemon.wait_log("secret-changed")
    assert 'there is no key "old"' in answer("old", OLD)["reason"]
    write(secret_file, "new:short")
    for _ in range(3):
        assert answer("new", NEW)["event"] == "accepted"
    assert len(world.daemon.log("secret-unread")) == 1
    assert "line 1: the secret must be" in world.daemon.log("secret-unread")[0].text
    world.sender.send(1)
    done = world.events.wait(lambda event: event.get("id") == running["id"] and event["event"] == "done")
    assert done["key"] == "old", done
    assert OLD not in world.daemon.text() and NEW not in world.daemon.text()


def test_changed_systemd_credentials_are_followed(make_world, tmp_path):
    """Both a token and keys, from files that systemd would put there."""
    directory = tmp_path / "credentials"
    directory.mkdir()
    write(directory / "api.token", OLD)
    write(directory / "requests.keys", f"old:{OLD}")
    world = make_world({"api": {"listen": f"127.0.0.1:{API_PORT}"}}, start=False)
    world.daemon.environment["CREDENTIALS_DIRECTORY"] = str(directory)
    world.daemon.start()
    tcp_api(world, OLD).get("/v1/status").expect(200)
    write(directory / "api.token", NEW)
    write(directory / "requests.keys", f"new:{NEW}")
    tcp_api(world, OLD).get("/v1/status").expect(401)
    tcp_api(world, NEW).get("/v1/status").expect(200)
    for name, secret, verdict in (("old", OLD, "rejected"), ("new", NEW, "accepted")):
        request = sign(signed_fields(), name, secret)
        since = world.events.mark()
        world.publish(request)
        assert world.events.wait(lambda event, id=request["id"]: event.get("id") == id, since=since)["event"] == verdict
