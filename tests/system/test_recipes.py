# SPDX-License-Identifier: BSD-2-Clause
"""docs/recipes: each page's configuration, rules and commands, with the programs that it names."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import tomllib
from pathlib import Path

import pytest

from lib import pcapctl
from lib.daemon import ROOT
from lib.waiting import until

RECIPES = sorted(Path(ROOT, "docs", "recipes").glob("*.md"))
LINES_MAX = 30


class Recipe:
    def __init__(self, page, directory):
        """The page's blocks, with the paths of this test's own directory."""
        self.directory = directory
        text = page.read_text()
        assert len(text.splitlines()) <= LINES_MAX
        self.files, self.commands, self.once = {}, [], []
        for language, body in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.S | re.M):
            body = self._moved(body)
            head = body.splitlines()[0].removeprefix("# ")
            if language != "sh":
                self.files[head] = Path(head)
                self.files[head].parent.mkdir(parents=True, exist_ok=True)
                self.files[head].write_text(body)
            else:
                (self.once if head == "once" else self.commands).append(body)

    def _moved(self, text):
        return text.replace("/etc/", f"{self.directory}/etc/").replace("/usr/bin/pcapctl", str(self.directory / "bin" / "pcapctl"))

    def file(self, name):
        return next((path for path in self.files.values() if path.name == name), None)

    def script(self, name, *words):
        path = self.directory / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
        path.chmod(0o755)

    def run(self, netns, script):
        environment = {**os.environ, "PATH": f"{self.directory}/bin:{os.environ['PATH']}"}
        command = ["sh", "-euc", script]
        return subprocess.run(netns.command(*command) if netns else command, env=environment, capture_output=True, text=True,
                              check=True, timeout=60).stdout


@contextlib.contextmanager
def running(netns, *command, ready, environment=None):
    """A program in the foreground; ready() is true once it can be used."""
    process = netns.popen(*command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        until(lambda: process.poll() is not None or ready(), 20, f"{command[0]} to be ready")
        assert process.poll() is None, process.stdout.read()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def listens(netns, port):
    return f":{port} " in netns.run("ss", "-lnu").stdout


def snmptrapd(recipe, world):
    return running(world.host, "snmptrapd", "-f", "-Lo", "-On", "-C", "-c", recipe.file("snmptrapd.conf"), "127.0.0.1:162",
                   environment={"SNMP_PERSISTENT_DIR": str(recipe.directory)}, ready=lambda: listens(world.host, 162))


def rsyslogd(recipe, world):
    socket, config = recipe.directory / "log", recipe.directory / "rsyslog.conf"
    recipe.script("logger", "/usr/bin/logger", "-u", socket)
    config.write_text(f'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{socket}")\n'
                      f'include(file="{recipe.file("pcapdaemon.conf")}")\n')
    return running(world.host, "rsyslogd", "-n", "-f", config, "-i", recipe.directory / "rsyslogd.pid", ready=socket.exists)


PROGRAMS = {"snmptrapd": snmptrapd, "rsyslog": rsyslogd}


@pytest.mark.parametrize("page", RECIPES, ids=[page.stem for page in RECIPES])
def test_a_recipe_makes_a_capture_of_an_alert(make_world, tmp_path, page):
    recipe = Recipe(page, tmp_path)
    for script in recipe.once:
        recipe.run(None, script)
    world = make_world(tomllib.loads(recipe.file("pcapdaemon.toml").read_text()))
    recipe.script("pcapctl", pcapctl.PROGRAM, "--socket", world.api.path)
    since = world.events.mark()
    with PROGRAMS.get(page.stem, lambda *_: contextlib.nullcontext())(recipe, world):
        for script in recipe.commands:
            assert "RULE" in recipe.run(world.host, script)
        accepted = world.events.wait(lambda event: event["event"] in ("accepted", "rejected"), since=since)
    assert accepted["event"] == "accepted" and accepted["rule"], accepted
