# SPDX-License-Identifier: BSD-2-Clause
"""S3 with the whole daemon: configuration, overrides, secrets that change, aborts at the end. test_s3_sink.py has the protocol."""

import os

import pytest

from lib.s3_server import Fault, Key, S3Server
from lib.world import World

PORT = 9000
SECRETS = ["first/secret+1", "second/secret+2"]


@pytest.fixture
def world(tmp_path):
    secret = tmp_path / "s3.key"
    secret.write_text(SECRETS[0] + "\n")
    secret.chmod(0o600)
    config = {"s3": {"upload": True, "endpoint": f"http://127.0.0.1:{PORT}", "bucket": "captures", "pcaps": "nightly/größe", "accessid": "AKID",
                     "accesskey_file": str(secret), "encryption": True, "allow_override": ["folder", "bucket", "encryption"]},
              "limits": {"retry": "20s"}}
    with World(tmp_path, config, start=False) as world:
        world.secret = secret
        world.s3 = world.host.call(lambda: S3Server({"AKID": Key(SECRETS[0])}, {"captures": "us-east-1", "other": "eu-west-1"}, port=PORT))
        with world.s3:
            world.daemon.start()
            yield world
            assert world.s3.faults == [] and world.s3.uploads == {}
        events = "".join(str(event) for event in world.events.all())
        for secret in SECRETS:
            assert secret not in world.daemon.text() and secret not in events, "a secret leaked"


def destination(event):
    return next(one for one in event["destinations"] if one["name"] == "s3")


def test_captures_go_to_s3_as_configured_or_as_the_request_says(world):
    request = world.capture(packets=3, timeout=20, tags="a,ü", alertid=7)
    world.sender.send(3)
    done = request.done()
    local = world.path(request)
    key = f"nightly/größe/{os.path.basename(local)}"
    assert destination(done) == {"name": "s3", "ok": True, "url": f"s3://captures/{key}", "attempts": 1}
    with open(local, "rb") as file:
        assert world.s3.objects["captures"][key].content == file.read()
    assert world.s3.objects["captures"][key].headers["x-amz-server-side-encryption"] == "AES256"

    # The secret is replaced; another bucket, in another region, without encryption; only S3 gets it.
    world.s3.keys["AKID"] = Key(SECRETS[1])
    replacement = world.secret.with_suffix(".new")
    replacement.write_text(SECRETS[1])
    replacement.chmod(0o600)
    replacement.rename(world.secret)
    request = world.capture(packets=1, timeout=20, bucket="other", folder="inc/4711", encryption="none", to_destinations=["s3"])
    world.sender.send(1)
    url = destination(request.done())["url"]
    assert url.startswith("s3://other/inc/4711/test-node-eth0-")
    (found, ) = world.s3.objects["other"].values()
    assert "x-amz-server-side-encryption" not in found.headers
    world.daemon.wait_log("secret-changed")
    world.daemon.wait_log("s3-region", bucket="other", region="eu-west-1")

    for field, value in (("endpoint", "evil.example"), ("acl", "public-read"), ("region", "eu-west-1")):
        assert world.refused(packets=1, **{field: value})["reason"] == f"{field}: not allowed: not listed in [s3] allow_override"
    assert "must be 3 to 63" in world.refused(packets=1, bucket="a/b")["reason"]

    # An upload that the daemon gives up when it stops is aborted.
    world.s3.fail(Fault("part", "hang-after", times=99))
    request = world.capture(packets=6500, timeout=60, to_destinations=["s3"])
    world.sender.send(6500, size=1400)
    world.s3.wait(lambda: world.s3.counts.get("part", 0) >= 2)
    world.daemon.stop(grace=False)
    assert world.s3.counts["abort"] == 1
