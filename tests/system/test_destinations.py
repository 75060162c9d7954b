# SPDX-License-Identifier: BSD-2-Clause
"""Named destinations: first_of, breakers, and how a person sees and tries them. The CloudShark `lab` is down at first."""

import os
import subprocess

import pytest

from lib import pcapctl
from lib.daemon import PROGRAM
from lib.pcapfile import capinfos, judge
from lib.world import World

TOKEN = "secret-lab-token"


@pytest.fixture
def world(tmp_path):
    archive = tmp_path / "archive"
    archive.mkdir()
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    config = {
        "general": {"first_of": ["lab", "archive"]},
        "limits": {"breaker_failures": 1, "breaker_wait": 0.05, "retry": 60},
        "cloudshark": None,
        "destination": [
            {"name": "lab", "type": "cloudshark", "host": "127.0.0.1", "scheme": "http", "port": 8080,
             "token_file": str(tmp_path / "token")},
            {"name": "archive", "type": "local", "directory": str(archive)}]}
    with World(tmp_path, config, cloudshark={"token": TOKEN, "start": False}) as world:
        world.archive = archive
        yield world


def ctl(world, *arguments):
    return pcapctl.run("--socket", os.path.join(world.root, "control.sock"), *arguments)


def capture(world, **fields):
    """Captures one packet; returns the results by destination."""
    request = world.capture(packets=1, timeout=30, **fields)
    world.sender.send(1)
    return {result["name"]: result for result in request.done()["destinations"]}


def test_files_fall_back_while_a_destination_fails_and_return_to_it(world):
    results = capture(world)
    assert set(results) == {"local", "archive"} and all(result["ok"] for result in results.values())
    failed, = results["archive"]["instead_of"]
    assert failed["name"] == "lab" and not failed["ok"] and "onnect" in failed["error"] and failed["attempts"] == 1
    judge(results["archive"]["url"])
    world.daemon.wait_log("breaker-open", destination="lab")

    # While the breaker is open; it may be half-open for a moment.
    failed, = capture(world)["archive"]["instead_of"]
    assert failed["attempts"] <= 1
    status = world.api.get("/v1/status").expect(200).json
    assert {"lab", "archive"} <= set(status["destinations"]) and [each["name"] for each in status["failing"]] == ["lab"]
    lab, = [each for each in world.api.get("/v1/destinations").expect(200).json["destinations"] if each["name"] == "lab"]
    assert lab["type"] == "cloudshark" and lab["state"] == "failing" and lab["breaker"] != "closed" and lab["enabled"]
    assert lab["address"] == "http://127.0.0.1:8080" and "onnect" in lab["last_error"]["error"] and "last_success" not in lab
    metrics = world.api.get("/metrics").body.decode()
    assert 'pcapdaemon_destination_breaker_open{destination="lab"} 1' in metrics
    assert 'pcapdaemon_destination_breaker_open{destination="archive"} 0' in metrics
    assert 'pcapdaemon_deliveries_total{destination="lab",result="failed"} 2' in metrics
    assert "failing: lab: " in ctl(world, "status").stdout
    row, = [row for row in ctl(world, "destinations").rows() if row[0] == "lab"]
    assert row[1] == "cloudshark" and "failing" in " ".join(row)
    assert {"lab", "archive"} <= set(ctl(world, "names", "destinations").stdout.split())

    # A check says what to do, closes the breaker once the server is there, and leaves no file where it can.
    checked = ctl(world, "check", "--destinations")
    assert checked.status == 3 and "failed lab (cloudshark) http://127.0.0.1:8080\n" in checked.stdout, checked
    assert "whether the server runs" in checked.stdout and "removed again" in checked.stdout
    kept = set(os.listdir(world.archive))
    world.receiver.start()
    checked = ctl(world, "check", "--destinations", "--json")
    assert checked.status == 0, checked
    results = {result["name"]: result for result in checked.json["destinations"]}
    assert not results["lab"]["removed"] and results["archive"]["removed"] and "destination-check" in results["archive"]["url"]
    upload, = world.receiver.server.uploads
    assert "destination-check" in upload.filename and not world.receiver.faults
    tiny = os.path.join(world.root, "tiny.pcapng")
    with open(tiny, "wb") as file:
        file.write(upload.content)
    assert capinfos(tiny, "-M")["Number of packets"] == "0"
    assert kept == set(os.listdir(world.archive))
    world.daemon.wait_log("breaker-closed", destination="lab")

    results = capture(world)
    assert set(results) == {"local", "lab"} and results["lab"]["url"].startswith("http://127.0.0.1:8080/captures/")
    results = capture(world, first_of=["lab", "archive"])
    assert set(results) == {"lab"} and "instead_of" not in results["lab"]
    assert set(capture(world, to_destinations=["archive"], first_of=["lab"])) == {"archive", "lab"}
    refused = world.api.post(world.fields(packets=1, to_destinations=["archive"], first_of=["lab", "archive"])).expect(400)
    assert refused.json["field"] == "first_of" and '"archive" is in to_destinations as well' in refused.error
    assert "onfigured" in world.api.post(world.fields(packets=1, first_of=["attic"])).expect(400).error
    assert not world.receiver.faults
    assert TOKEN not in world.daemon.text()


def test_daemon_tries_destinations_without_starting(world):
    def check(*more):
        command = world.host.command(PROGRAM, "-config", os.path.join(world.daemon.directory, "pcapdaemon.toml"), *more)
        return subprocess.run(command, capture_output=True, text=True)

    checked = check("-check", "-destinations")
    assert checked.returncode == 1 and checked.stdout.startswith("configuration is valid\n"), checked
    assert "failed: lab (cloudshark) http://127.0.0.1:8080\n" in checked.stdout and "whether the server runs" in checked.stdout
    assert "ok: archive (local)" in checked.stdout and not os.listdir(world.archive)
    world.receiver.start()
    checked = check("-check", "-destinations")
    assert checked.returncode == 0 and "failed" not in checked.stdout, checked
    assert TOKEN not in checked.stdout + checked.stderr
    checked = check("-destinations")
    assert checked.returncode == 2 and "-destinations: is for -check only" in checked.stderr
