# SPDX-License-Identifier: BSD-2-Clause
"""Files are compressed on the way to a destination that asks for it: tshark opens them as they are, pcapctl what is in Redis."""

import json
import os

import pytest

from lib import pcapctl
from lib.pcapfile import CaptureFile, capinfos, tshark
from lib.world import NODE, World

CONFIG = {"local": {"compress": "zstd"}, "cloudshark": {"compress": "gzip"}, "redis": {"upload": True, "compress": "zstd"}}
PACKETS = 400


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("compressing"), CONFIG, cloudshark={"token": "0123456789abcdef"}) as installation:
        yield installation


def count(path):
    return len(tshark(path, "-Tfields", "-e", "frame.number").splitlines())


def test_every_destination_gets_a_file_that_opens(world, tmp_path):
    request = world.capture(packets=PACKETS, timeout=20, comment="night")
    world.sender.send(PACKETS, rate=10000, size=1000)
    done = request.done()
    where = {destination["name"]: destination for destination in done["destinations"]}
    assert all(where[name]["ok"] and "warning" not in where[name] for name in ("local", "cloudshark", "redis")), done
    assert done["bytes"] == PACKETS * 1000 and done["file"].endswith(".pcapng")

    local = os.path.join(world.directory, done["file"] + ".zst")
    assert where["local"]["url"] == local and world.files_of(request) == [done["file"] + ".zst"]
    assert os.path.getsize(local) < done["bytes"] / 4
    uploaded = tmp_path / "uploaded.pcapng.gz"
    uploaded.write_bytes(world.receiver.of(request.id).content)
    assert world.receiver.of(request.id).filename == done["file"] + ".gz" and world.receiver.faults == []
    assert count(local) == count(uploaded) == PACKETS
    assert capinfos(local, "-cM")["Number of packets"] == str(PACKETS)

    with world.redis.client() as client:
        header = json.loads(client.lindex(where["redis"]["url"].removeprefix("redis:"), 0))
    assert header["name"] == done["file"] + ".zst" and header["size"] < done["bytes"] / 4
    fetched = pcapctl.run("get", done["capture"], "--node", NODE, "--redis", f"redis://127.0.0.1:{world.redis.port}/capture",
                          cwd=tmp_path, netns=world.host)
    assert (fetched.status, fetched.stdout) == (0, done["file"] + "\n"), fetched
    file = CaptureFile(os.fspath(tmp_path / done["file"]))
    file.assert_numbers(0, PACKETS)
    assert any("night" in comment for comment in file.comments)
