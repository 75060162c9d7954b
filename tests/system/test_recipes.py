# SPDX-License-Identifier: BSD-2-Clause
"""docs/recipes: one daemon with the configuration and the rules of all pages; then each page's commands, with the programs that it names.

Where a page shows an alert, the same command is run a second time with the recorded one."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tomllib
from pathlib import Path

import pytest

from lib import pcapctl
from lib.daemon import ROOT
from lib.waiting import until
from lib.world import World

RECIPES = sorted(page for page in Path(ROOT, "docs", "recipes").glob("*.md") if page.stem != "README")
PAYLOADS = Path(ROOT, "tests", "unit", "alert", "payloads")
LINES_MAX = 30
PLACES = ("/etc/", "/run/", "/var/", "/opt/", "/usr/lib/")

# Of each page that shows an alert: the recorded one.
RECORDED = {
    "alertmanager": "alertmanager-firing", "elastic": "elastic-alerts", "falco": "falco-connection", "grafana": "grafana-two-alerts",
    "icinga": "icinga-service-problem", "nagios": "nagios-environment", "opsgenie": "opsgenie-create",
    "pagerduty": "pagerduty-triggered", "suricata": "suricata-alert", "suricata-file": "suricata-alert",
    "suricata-list": "suricata-alert", "suricata-socket": "suricata-alert", "suricata-stream": "suricata-stream", "wazuh": "wazuh-sshd",
    "wazuh-5": "wazuh-5-finding", "wazuh-scripts": "wazuh-5-response", "zabbix": "zabbix-problem", "zeek": "zeek-notice",
    "zeek-redis": "zeek-notice",
}

# And the recorded one that ends its capture.
RESOLVED = {"alertmanager": "alertmanager-one-of-two-resolved", "icinga": "icinga-service-recovery", "opsgenie": "opsgenie-close",
            "pagerduty": "pagerduty-resolved", "zabbix": "zabbix-recovery"}


class Recipe:
    def __init__(self, page, directory):
        """The page's blocks, with the paths of this test's own directory."""
        self.name, self.directory = page.stem, directory
        text = page.read_text()
        assert len(text.splitlines()) <= LINES_MAX
        self.files, self.commands, self.once = {}, [], []
        for language, body in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.S | re.M):
            body = self._moved(body)
            if language != "sh":
                self._write(language, body)
            else:
                (self.once if body.startswith("# once\n") else self.commands).append(body)

    def _moved(self, text):
        text = text.replace("/usr/bin/pcapctl", str(self.directory / "bin" / "pcapctl"))
        return re.sub("|".join(rf"(?<![\w/.]){place}" for place in PLACES), lambda place: f"{self.directory}{place[0]}", text)

    def _write(self, language, body):
        path = Path(next(line for line in body.splitlines() if line.startswith("# ")).removeprefix("# ").split(",")[0].split()[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
        path.chmod(0o755 if language == "script" else 0o600)
        if path.name == "pcapdaemon.toml":
            self.config = tomllib.loads(body)
        elif path.parent.name == "rules.d":
            self.rules = [rule["name"] for rule in tomllib.loads(body)["rule"]]
        self.files[path.name] = path

    def run(self, netns, script):
        environment = {**os.environ, "PATH": f"{self.directory}/bin:{os.environ['PATH']}"}
        command = ["sh", "-euc", script]
        return subprocess.run(netns.command(*command) if netns else command, env=environment, capture_output=True, text=True,
                              check=True, timeout=60).stdout

    def recorded(self, script, payload):
        """The page's command with the recorded alert; of Nagios and Icinga the command that the page configures, as they run it."""
        alert = re.search(r"^== alert \w+\n(.*?)\n== result", (PAYLOADS / f"{payload}.txt").read_text(), re.S | re.M)[1]
        values = {key: re.sub(r"\\(.)", r"\1", value) for key, value in re.findall(r'^(\w+)="(.*)"$', alert, re.M)}
        if self.name == "nagios":
            command = re.search("command_line (.*)", self.files["pcapdaemon.cfg"].read_text())[1]
            return re.sub(r"\$(\w+)\$", lambda macro: values[macro[1]].replace('"', ""), command)
        if self.name == "icinga":
            words = re.findall('"(.*?)"', self.files["pcapdaemon.conf"].read_text().split("command = ")[1])
            return shlex.join(re.sub(r"^(\w+)=\$.*", lambda word: f"{word[1]}={values[word[1]]}", word) for word in words)
        shown = re.findall(r"'(?:[{\[].*?[}\]]|from=.*?)'", script, re.S)
        assert len(shown) == 1, script
        return script.replace(shown[0], shlex.quote(alert if self.name == "zabbix" else json.dumps(json.loads(alert))))


def merged(recipes):
    """One configuration with what all pages say."""
    config = {"input": []}
    for recipe in recipes:
        config["input"] += recipe.config.pop("input", [])
        for section, content in recipe.config.items():
            for key, value in content.items():
                assert config.setdefault(section, {}).setdefault(key, value) == value, f"{recipe.name}: {section}.{key}"
    return config


def make_certificates(directory):
    """What syslog-tls.md takes for granted: an authority, and certificates of it for the daemon and a sender."""
    def make(path, name, *arguments):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", f"{path}.key", "-out", f"{path}.pem", *arguments],
                       check=True, capture_output=True, timeout=60)

    ours, theirs = directory / "etc" / "pcapdaemon", directory / "etc" / "ssl"
    theirs.mkdir()
    make(ours / "ca", "ca")
    for path, name in ((ours / "server", "collector"), (theirs / "client", "client")):
        make(path, name, "-CA", ours / "ca.pem", "-CAkey", ours / "ca.key", "-addext", "basicConstraints=critical,CA:FALSE")
    shutil.copy(ours / "ca.pem", theirs)


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """The recipes by their names, and the world with the daemon that they configure."""
    directory = tmp_path_factory.mktemp("r")
    recipes = [Recipe(page, directory) for page in RECIPES]
    for recipe in recipes:
        for script in recipe.once:
            recipe.run(None, script)
    make_certificates(directory)
    config = merged(recipes)
    for entry in config["input"]:
        if entry["name"].startswith("/"):
            Path(entry["name"]).parent.mkdir(parents=True, exist_ok=True)
    with World(tmp_path_factory.mktemp("world"), config) as world:
        program(directory, "pcapctl", pcapctl.PROGRAM, "--socket", world.api.path)
        program(directory, "logger", "/usr/bin/logger", "-u", directory / "log")
        for entry in config["input"]:
            wait_input(world.daemon, entry["from"], entry["name"])
        yield {recipe.name: recipe for recipe in recipes}, world


def wait_input(daemon, kind, name):
    """Until it takes alerts. A list's wait by themselves."""
    if kind == "redis-channel":
        daemon.wait_log("subscribed", channel=name)
    elif kind != "redis-list":
        daemon.wait_lines(lambda line: line.id == "input-ready" and line.fields["input"].endswith(f":{name}"), what=f"the input {name}")


def program(directory, name, *words):
    path = directory / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    path.chmod(0o755)


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


def snmptrapd(recipe, netns, path):
    return running(netns, "snmptrapd", "-f", "-Lo", "-C", "-c", path, "127.0.0.1:162", environment={"SNMP_PERSISTENT_DIR": str(recipe.directory)},
                   ready=lambda: ":162 " in netns.run("ss", "-lnu").stdout)


def rsyslogd(recipe, netns, path):
    socket, config = recipe.directory / "log", recipe.directory / "rsyslog.conf"
    socket.unlink(missing_ok=True)
    config.write_text(f'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{socket}")\ninclude(file="{path}")\n')
    return running(netns, "rsyslogd", "-n", "-f", config, "-i", recipe.directory / "rsyslogd.pid", ready=socket.exists)


def sender(recipe, netns):
    """The page's program, if this machine has it."""
    for name, path in recipe.files.items():
        if name.startswith("snmptrapd"):
            return snmptrapd(recipe, netns, path)
        if path.parent.name == "rsyslog.d":
            return rsyslogd(recipe, netns, path)
    return contextlib.nullcontext()


@pytest.mark.parametrize("name", [page.stem for page in RECIPES])
def test_a_recipe_makes_a_capture_of_an_alert(installation, name):
    recipes, world = installation
    recipe = recipes[name]

    def makes_a_capture(script):
        since = world.events.mark()
        shown = recipe.run(world.host, script)
        event = world.events.wait(lambda event: event["event"] in ("accepted", "rejected"), since=since)
        assert event["event"] == "accepted" and event.get("rule") in getattr(recipe, "rules", [None]), event
        return shown

    with sender(recipe, world.host):
        for script in recipe.commands:
            assert "RULE" in makes_a_capture(script) or name == "requests"
            if name in RECORDED:
                makes_a_capture(recipe.recorded(script, RECORDED[name]))
            if name in RESOLVED:
                since = world.events.mark()
                recipe.run(world.host, recipe.recorded(script, RESOLVED[name]))
                ended = world.events.wait(lambda event: event["event"] in ("done", "failed") and event.get("capture"), since=since)
                assert ended["rule"] == recipe.rules[0] and ended["reason"] in ("stopped", "empty"), ended
