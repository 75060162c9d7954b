# SPDX-License-Identifier: BSD-2-Clause
"""What the documents show is what the programs do: the sessions of the tour and of the manuals' common tasks, and README's configuration."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from lib.daemon import PROGRAM, ROOT
from lib.lab import DOCUMENTS, Lab
from lib.transcript import Document, differences, text_of


@pytest.mark.parametrize("name", DOCUMENTS)
def test_sessions_are_what_the_programs_print(tmp_path, name):
    """If not, scripts/tour stores what they print now."""
    sessions = Document(Path(ROOT, name)).sessions()
    assert sessions
    with Lab(tmp_path) as lab:
        lab.prepare(name)
        for session in sessions:
            found = lab.session(session)
            assert text_of(found) == text_of(session), f"scripts/tour {name} updates it:\n{differences(session, found)}"


NOBODY = 65534


def block(language):
    """The one block of README in this language that has a path in /etc."""
    found = [text for text in re.findall(rf"^```{language}\n(.*?)^```$", Path(ROOT, "README.md").read_text(), re.S | re.M) if "# /etc/" in text]
    assert len(found) == 1
    return found[0]


def unit(*texts):
    """The settings of section [Service], by name, of a unit and its drop-ins."""
    settings = {}
    for text in texts:
        for name, value in re.findall(r"^(\w+)=(.*)$", text.split("[Service]")[1].split("\n[")[0], re.M):
            settings.setdefault(name, []).append(value)
    return settings


@pytest.mark.parametrize("credentials", [True, False], ids=["credentials", "no credentials"])
def test_readmes_configuration_works_under_the_packaged_unit(credentials):
    """As the unit starts it: a user without rights, and secrets, whose files only root may read, as credentials."""
    settings = unit(Path(ROOT, "packaging/pcapdaemon.service.in").read_text(), block("ini"))
    assert "yes" in settings["DynamicUser"] and "-config /etc/pcapdaemon/pcapdaemon.toml" in settings["ExecStart"][0]
    folder = Path(tempfile.mkdtemp(prefix="pcapdaemon-readme-", dir="/tmp"))
    try:
        program = shutil.copy(PROGRAM, folder / "pcapdaemon")
        config, directory = folder / "pcapdaemon.toml", folder / "credentials"
        config.write_text(block("toml"))
        directory.mkdir(mode=0o500)
        for name, source in (value.split(":") for value in settings["LoadCredential"]):
            assert source.startswith("/etc/pcapdaemon/")
            path = directory / name
            path.touch(0o400)
            path.write_text("0123456789abcdef\n")
            os.chown(path, NOBODY, NOBODY)
        os.chown(directory, NOBODY, NOBODY)
        os.chmod(folder, 0o755)
        done = subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", program, "-check", "-config", config],
                              env={**os.environ, **({"CREDENTIALS_DIRECTORY": str(directory)} if credentials else {})}, capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == (0 if credentials else 2), done
    finally:
        shutil.rmtree(folder)
