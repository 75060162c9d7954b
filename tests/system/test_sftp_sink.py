# SPDX-License-Identifier: BSD-2-Clause
"""The SFTP sink without the daemon: tests/probes/upload_probe.c delivers a file to a real sshd, directly or through a faulty proxy."""

import os
import shutil
import subprocess

import pytest

from lib.faulty_proxy import FaultyProxy, corrupt, cut, lose_answers, none, refuse, stall
from lib.sftp_server import SSHD, SftpServer
from lib.upload_probe import CONTENT, NAME, Probe

pytestmark = pytest.mark.skipif(not os.path.exists(SSHD), reason="openssh-server is not installed")

PASSPHRASE = "sftp-passphrase-123"
MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with SftpServer(tmp_path_factory.mktemp("sftp"), PASSPHRASE) as server:
        yield server


@pytest.fixture
def probe(tmp_path, server):
    yield Probe(tmp_path, (PASSPHRASE,))
    shutil.rmtree(server.files)
    server.files.mkdir()


def options(server, path="{name}", port=None, known_hosts=None, key=None, passphrase=PASSPHRASE):
    return ("--sftp-host", "127.0.0.1", "--sftp-port", port or server.port, "--sftp-user", server.user, "--sftp-key", key or server.key,
            "--sftp-passphrase", passphrase, "--sftp-path", path, "--sftp-known-hosts", known_hosts or server.known_hosts)


def proxied(server, probe, proxy):
    """A file with the server's key for the proxy's port."""
    hosts = probe.path.parent / "hosts"
    hosts.write_text(server.known_hosts.read_text().replace(str(server.port), str(proxy.port)))
    return {"port": proxy.port, "known_hosts": hosts}


def test_file_arrives_in_directories_made_for_it(server, probe):
    outcome = probe.run(*options(server, "a b/{customer}/{date}/{name}"), "--customer", "../ACME/ö")
    path = f"a b/_._ACME___/2026-11-23/{NAME}"
    assert outcome.only == {"name": "sftp", "ok": True, "error": None, "attempts": 1, "url": f"sftp://127.0.0.1:{server.port}/~/{path}"}
    assert server.stored() == {path: CONTENT}
    assert (server.files / path).stat().st_mode & 0o777 == 0o640 and (server.files / "a b").stat().st_mode & 0o777 == 0o750


def test_fingerprint_and_absolute_path_do_as_well(server, probe):
    outcome = probe.run(*options(server, f"{server.files}/{{name}}", known_hosts=" ")[:-2], "--sftp-host-key", server.fingerprint)
    assert outcome.only["url"] == f"sftp://127.0.0.1:{server.port}{server.files}/{NAME}" and server.stored() == {NAME: CONTENT}


def refused(outcome, attempts=1):
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, attempts), outcome.only
    return outcome.only["error"]


def test_wrong_keys_are_refused_before_anything_is_sent(server, probe):
    assert "the server's key is not the one" in refused(probe.run(*options(server, known_hosts=server.wrong_hosts)))
    assert "the server's key is not the one" in refused(probe.run(*options(server, known_hosts="/dev/null")))
    wrong = "SHA256:" + "A" * 43
    assert "the server's key is not the one" in refused(probe.run(*options(server)[:-2], "--sftp-host-key", wrong))
    assert "refuses the user or its key" in refused(probe.run(*options(server, key=server.stranger, passphrase="")))
    assert "refuses the user or its key" in refused(probe.run(*options(server, passphrase="not " + PASSPHRASE)))
    assert server.stored() == {}


def test_name_that_another_file_has_is_refused_and_kept(server, probe):
    (server.files / "fixed").write_bytes(CONTENT[:-1] + b"!")
    assert "another file has this name: fixed" in refused(probe.run(*options(server, "fixed")))
    assert server.stored() == {"fixed": CONTENT[:-1] + b"!"}
    (server.files / "fixed").write_bytes(CONTENT)
    assert probe.run(*options(server, "fixed")).only["ok"], "an earlier attempt's file"
    (server.files / "fixed").write_bytes(CONTENT + b"more")
    assert "another file has this name" in refused(probe.run(*options(server, "fixed")))
    assert set(server.stored()) == {"fixed"}


def test_directory_that_cannot_be_written_is_reported(server, probe):
    assert refused(probe.run(*options(server, "/proc/none/{name}"), attempts=2), attempts=2) == "Remote file not found"


def test_full_disk_is_tried_again_and_leaves_nothing(server, probe):
    small = server.root / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=True)
    try:
        assert refused(probe.run("--size", str(8 * MIB), *options(server, f"{small}/{{name}}"), attempts=2), attempts=2)
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


# One for each connection: in the handshake, and within the file, after which another connection removes the part.
FAULTS = [refuse(), cut(up=100), cut(up=3000, reset=True), cut(down=1000), cut(up=MIB), none(), cut(up=4 * MIB, reset=True), none(),
          corrupt(up=2 * MIB), none()]


def test_cut_connections_leave_one_file_under_one_name(server, probe):
    with FaultyProxy(server.port, FAULTS) as proxy:
        outcome = probe.run("--size", str(5 * MIB), *options(server, **proxied(server, probe, proxy)), attempts=8)
        assert outcome.only["ok"] and outcome.only["attempts"] >= 7, outcome.only  # libcurl itself repeats a handshake
        assert [fault.kind for fault in proxy.met] == ["refuse"] + 5 * ["cut"] + ["corrupt"], proxy.met
    assert server.stored() == {"made.pcap": probe.made(5 * MIB)}


def test_answer_lost_after_the_rename_makes_no_second_file(server, probe):
    """The file is found when its name is asked for again."""
    with FaultyProxy(server.port, [lose_answers(lambda: (server.files / NAME).exists())]) as proxy:
        outcome = probe.run(*options(server, **proxied(server, probe, proxy)), "--timeout-ms", "20000")
        assert outcome.only["ok"] and proxy.met, outcome.only
    assert server.stored() == {NAME: CONTENT}


# libcurl 7.88 does not free the SSH session of an upload that ends while the server hangs.

def test_hanging_server_ends_at_the_time_limit(server, probe):
    with FaultyProxy(server.port, [stall(up=MIB)]) as proxy:
        outcome = probe.run("--size", str(8 * MIB), *options(server, **proxied(server, probe, proxy)), "--timeout-ms", "1000", attempts=1, leaks=True)
    assert "timed out" in refused(outcome)


def test_abandoned_upload_does_not_wait_for_a_hanging_server(server, probe):
    with FaultyProxy(server.port, [stall(up=MIB)]) as proxy:
        process = probe.start("--size", str(8 * MIB), *options(server, **proxied(server, probe, proxy)), leaks=True)
        proxy.wait_met(1)
        process.terminate()
        outcome = probe.finish(process, 15)
    assert (outcome.only["ok"], outcome.only["error"]) == (False, "shutting down")
