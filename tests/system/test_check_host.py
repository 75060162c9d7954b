# SPDX-License-Identifier: BSD-2-Clause
"""-check warns of what this host, and the daemon's user on it, will make of a valid configuration."""

import os
import pathlib
import subprocess
import tempfile

import pytest

from lib import toml
from lib.daemon import PROGRAM
from lib.netns import Netns
from lib.waiting import seconds

VALID = "configuration is valid\n"


@pytest.fixture(scope="module")
def host():
    with Netns("check") as host:
        host.ip("link", "add", "eth0", "type", "veth", "peer", "name", "peer0")
        yield host


@pytest.fixture
def folder():
    """One that other users can reach."""
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def check(host, folder):
    """Checks a configuration. Returns the status and the warnings, without the place in the file."""
    units = folder / "units"
    units.mkdir()

    def run(config, *more, unit=None, mode=0o644):
        path = folder / "p.toml"
        path.write_text(toml.dumps(config))
        path.chmod(mode)
        if unit is not None:
            (units / "pcapdaemon.service").write_text(f"[Service]\nExecStart={PROGRAM} -config {path}\nUser=nobody\nProtectSystem=strict\n{unit}")
        environment = {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
        result = subprocess.run(host.command(PROGRAM, "-check", "-config", str(path), *more), capture_output=True, text=True,
                                env={**environment, "SYSTEMD_UNIT_PATH": str(units)}, timeout=seconds(30))
        assert (result.stdout == VALID) == (result.returncode == 0), result
        return result.returncode, [line.partition(": ")[2] for line in result.stderr.splitlines()]

    return run


@pytest.fixture
def secret(folder):
    path = folder / "secret"
    path.write_text("0123456789abcdef0123\n")
    path.chmod(0o600)
    return str(path)


def test_recorder_on_a_missing_interface_is_warned_of(check):
    assert check({"history": {"interfaces": ["eth0", "eht0", "nothing-like-it"]}}) == (0, [
        'warning: history.interfaces: this host has no interface "eht0" now (did you mean "eth0"?); the recorder waits for it',
        'warning: history.interfaces: this host has no interface "nothing-like-it" now; the recorder waits for it'])
    assert check({"history": {"interfaces": ["eth0"]}}) == (0, [])


def test_local_directory_that_is_too_full_is_warned_of(check, folder):
    config = {"general": {"writelocal": True, "localdir": str(folder)}}
    assert check(config) == (0, [])
    status, (warning,) = check({**config, "local": {"min_free": 99}})
    assert status == 0 and warning.startswith(f"warning: general.localdir: {folder}: only ") and "(local.min_free)" in warning


def test_files_are_judged_as_the_user_that_is_named(check, secret, folder):
    config = {"general": {"writelocal": True, "localdir": str(folder)}, "redis": {"auth_file": secret}, "api": {"socket": str(folder / "sock")}}
    assert check(config) == (0, [])
    status, lines = check(config, "-user", "nobody")
    assert status == 2 and f"redis.auth_file: {secret}: Permission denied" in lines
    assert f"warning: general.localdir: this user cannot write to {folder}: Permission denied" in lines
    assert f"warning: api.socket: this user cannot make a file in {folder}: Permission denied" in lines
    assert check(config, "-user", "nobody", mode=0o600) == (2, ["cannot be read: Permission denied"])
    assert check(config, "-user", "root") == (0, [])
    assert check(config, "-user", "no-such-user") == (2, ['-user: this host has no user "no-such-user"'])


def test_user_is_for_check_only(folder):
    result = subprocess.run([PROGRAM, "-user", "nobody"], capture_output=True, text=True, timeout=seconds(30))
    assert result.returncode == 2 and "-user: is for -check only" in result.stderr


def test_secrets_are_judged_as_the_unit_will_see_them(check, secret):
    config = {"cloudshark": {"upload": True, "token_file": secret}}
    status, lines = check(config, unit="")
    assert status == 0 and lines == [f"warning: cloudshark.token_file: user nobody of pcapdaemon.service cannot read {secret} (Permission denied): "
                                     f"put LoadCredential=cloudshark.token:{secret} into the unit and remove this key"]
    assert check({"cloudshark": {"upload": True}}, unit="")[0] == 2, "no token"
    assert check({"cloudshark": {"upload": True}}, unit=f"LoadCredential=cloudshark.token:{secret}\n") == (0, [])
    assert check({"cloudshark": {"upload": True}}, unit="SetCredentialEncrypted=cloudshark.token:Zm9v\n") == (0, [])
    status, lines = check({"cloudshark": {"upload": True}}, unit=f"LoadCredential=cloudshark.token:{secret}x\n")
    assert status == 2 and f"cloudshark.token: {secret}x: No such file or directory" in lines[0], lines
    os.chmod(secret, 0o644)
    assert "others may read it" in check(config, unit="")[1][0]


def test_directories_are_judged_as_the_unit_will_see_them(check, folder):
    data = folder / "data"
    data.mkdir()
    config = {"general": {"writelocal": True, "localdir": str(data)}}
    assert check(config, unit="") == (0, [f"warning: general.localdir: user nobody of pcapdaemon.service cannot write to {data}: Permission denied"])
    data.chmod(0o777)
    assert check(config, unit="") == (0, [f"warning: general.localdir: pcapdaemon.service makes {data} read-only (ProtectSystem=strict): "
                                          f"put ReadWritePaths={data} into it"])
    assert check(config, unit=f"ReadWritePaths={data}\n") == (0, [])
    absent = {"general": {"writelocal": True, "localdir": "/var/lib/pcapdaemon-test-absent"}}
    assert check(absent, unit="")[0] == 2
    assert check(absent, unit="StateDirectory=pcapdaemon-test-absent\n") == (0, []), "systemd makes it"
    assert check({}, unit="", mode=0o600)[1] == [f"warning: -config: user nobody of pcapdaemon.service cannot read {folder}/p.toml: Permission denied"]
