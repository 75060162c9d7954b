# SPDX-License-Identifier: BSD-2-Clause
"""The daemon with an HTTP destination, an SFTP destination and a webhook. No secret of theirs appears in logs, events, metrics or answers."""

import hashlib
import hmac
import json
import os
import re

import pytest

from lib.cloudshark_server import close, refuse
from lib.sftp_server import SSHD, SftpServer
from lib.upload_server import UploadServer
from lib.waiting import until
from lib.world import World

pytestmark = pytest.mark.skipif(not os.path.exists(SSHD), reason="openssh-server is not installed")

HTTP_PORT, HOOK_PORT = 8081, 8082
SECRETS = ("s1g/nature+value", "s1g%2Fnature%2Bvalue", "bearer-t0ken-xyz", "T0/B0/h00k-path", "h00k-key-0123456789", "sftp-passphrase-123")


def secret_file(directory, name, text):
    path = directory / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


@pytest.fixture(scope="module")
def uploading(tmp_path_factory):
    root, sftp_root = tmp_path_factory.mktemp("uploading"), tmp_path_factory.mktemp("sshd")
    config = {"general": {"writelocal": False, "localdir": None},
              "http": {"upload": True, "url_file": secret_file(root, "url", f"http://127.0.0.1:{HTTP_PORT}/{{customer}}/{{name}}?sig=s1g%2Fnature%2Bvalue"),
                       "token_file": secret_file(root, "token", "bearer-t0ken-xyz"), "header": ["x-ms-blob-type: BlockBlob"]},
              "webhook": [{"name": "tickets", "url_file": secret_file(root, "hook", f"http://127.0.0.1:{HOOK_PORT}/T0/B0/h00k-path"),
                           "secret_file": secret_file(root, "key", "h00k-key-0123456789"), "events": ["done", "failed", "rejected"]}]}
    with World(root, config, start=False) as world:
        world.http = world.host.call(lambda: UploadServer(port=HTTP_PORT).start())
        world.hook = world.host.call(lambda: UploadServer(port=HOOK_PORT).start())
        world.sftp = world.host.call(lambda: SftpServer(sftp_root, "sftp-passphrase-123").start())
        try:
            world.daemon.config["destination"] = [
                {"name": "vault", "type": "sftp", "upload": True, "host": "127.0.0.1", "port": world.sftp.port, "user": "root",
                 "key_file": str(world.sftp.key), "passphrase_file": secret_file(root, "passphrase", "sftp-passphrase-123"),
                 "known_hosts": str(world.sftp.known_hosts), "path": "{customer}/{name}"}]
            world.daemon.start()
            yield world
        finally:
            world.daemon.close()
            world.sftp.stop()
            world.hook.stop()
            world.http.stop()


@pytest.fixture
def world(uploading):
    uploading.http.behave([])
    uploading.hook.behave([])
    yield uploading
    shown = [uploading.daemon.text(), *map(json.dumps, uploading.events.items)]
    shown += [stored.content.decode() for stored in uploading.hook.uploads]
    if uploading.daemon.is_alive():
        until(lambda: "\npcapdaemon_capture_memory_bytes 0" in uploading.api.get("/metrics").body.decode(), 10, "memory to return to its start")
        shown += [uploading.api.get(path).body.decode() for path in ("/v1/status", "/metrics", "/v1/captures", "/v1/destinations")]
    for secret in SECRETS:
        assert not any(secret in text for text in shown), f"{secret} leaked"


def events_of(world, request):
    return [event for event in (json.loads(stored.content) for stored in world.hook.uploads) if event.get("id") == request.id]


def outcomes(done):
    return {destination["name"]: destination for destination in done["destinations"]}


def test_capture_reaches_both_and_the_webhook_tells(world):
    request = world.capture(packets=3, timeout=20, customer="../ACME Süd")
    world.sender.send(3, rate=1000)
    done = request.done()
    found = outcomes(done)
    assert found["http"]["ok"] and found["vault"]["ok"], done
    assert found["http"]["url"] == f"http://127.0.0.1:{HTTP_PORT}/_._ACME%20S%C3%BCd/{done['file']}"
    assert found["vault"]["url"] == f"sftp://127.0.0.1:{world.sftp.port}/~/_._ACME_S__d/{done['file']}"
    stored = world.http.uploads[-1]
    assert world.sftp.stored() == {f"_._ACME_S__d/{done['file']}": stored.content}
    assert stored.headers["authorization"] == "Bearer bearer-t0ken-xyz" and stored.path.endswith("?sig=s1g%2Fnature%2Bvalue")

    event, = until(lambda: events_of(world, request), 10, "the webhook")
    assert event == done
    sent = world.hook.uploads[-1]
    time, mac = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", sent.headers["x-pcapdaemon-signature"]).groups()
    assert hmac.new(b"h00k-key-0123456789", f"{time}.".encode() + sent.content, hashlib.sha256).hexdigest() == mac
    assert sent.path == "/T0/B0/h00k-path" and sent.headers["x-pcapdaemon-event"] == "done"
    assert 'pcapdaemon_webhook_events_total{webhook="tickets",outcome="sent"}' in world.api.get("/metrics").body.decode()


def test_faults_are_reported_without_secrets(world):
    """A server that repeats what it got, and a webhook that is busy and then gone."""
    echo = 'sig "s1g/nature+value" (s1g%2Fnature%2Bvalue) and bearer-t0ken-xyz are wrong'
    world.http.behave([refuse(403, echo)])
    world.hook.behave([refuse(503, "T0/B0/h00k-path is busy"), close("after")])
    request = world.capture(packets=1, timeout=20)
    world.sender.send(1)
    failed = request.final()
    assert failed["event"] == "failed", failed
    error = outcomes(failed)["http"]["error"]
    assert "HTTP 403: " in error and error.count("***") >= 3, error
    assert until(lambda: events_of(world, request), 20, "the webhook") == [failed]
    assert len({record.headers["x-pcapdaemon-delivery"] for record in world.hook.requests[-3:]}) == 1
    refused = world.refused(bpf="port port")
    assert until(lambda: [event for event in map(lambda stored: json.loads(stored.content), world.hook.uploads)
                          if event["event"] == "rejected"], 10) == [refused]


def test_daemon_waits_for_a_webhook_before_it_ends(world):
    """The capture's final event comes of the stop itself, and the first attempt to send it fails."""
    request = world.capture(timeout=60)
    world.sender.send(2, rate=1000)
    world.wait_packets(request, 2)
    world.hook.behave([refuse(503, "busy")])
    assert world.daemon.stop() == 0
    event, = events_of(world, request)
    assert (event["event"], event["reason"], event["packets"]) == ("done", "shutdown", 2)
