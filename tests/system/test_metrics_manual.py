# SPDX-License-Identifier: BSD-2-Clause
"""The manual's METRICS section names every metric, and its examples work as they are written there."""

import http.client
import json
import os
import re
import signal
import subprocess
import urllib.parse

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lib.daemon import ROOT
from lib.manual import example
from lib.waiting import seconds, until
from lib.world import World

PORT, PROMETHEUS_PORT, TOKEN, NAME = 7227, 9090, "0123456789abcdef0123", "localhost"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A daemon with Redis, a stream, a recorder, and TCP with TLS."""
    directory = tmp_path_factory.mktemp("metrics")
    token, cert, key = directory / "token", directory / "cert.pem", directory / "key.pem"
    token.write_text(TOKEN)
    token.chmod(0o600)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
                    "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", key, "-out", cert], check=True, capture_output=True, timeout=seconds(60))
    (directory / "rules.toml").write_text('[[rule]]\nname = "none"\nmatch = { event_type = "none" }\n')
    config = {"rules": {"files": str(directory / "rules.toml")}, "input": [{"format": "eve", "from": "redis-channel", "name": "alerts"}],
              "webhook": [{"name": "chat", "url": "http://127.0.0.1:9/"}],
              "redis": {"stream": "{capture}:stream"},
              "history": {"interfaces": ["eth0", "eht0"], "memory": "32MiB"},
              "api": {"listen": f"127.0.0.1:{PORT}", "token_file": str(token), "cert_file": str(cert), "key_file": str(key)}}
    with World(directory, config) as world:
        world.token, world.cert = token, cert
        world.capture(packets=1, timeout=20)  # interfaces with a ring have more metrics
        yield world


def names(world):
    text = world.api.call("GET", "/metrics").expect(200).body.decode()
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def test_manual_lists_every_metric(world):
    with open(os.path.join(ROOT, "docs", "pcapdaemon.8.in"), encoding="utf-8") as file:
        section = re.search(r"^\.Sh METRICS\n(.*?)^\.El", file.read(), re.S | re.M)[1]
    assert {word for line in re.findall(r"^\.It (.*)", section, re.M) for word in re.findall(r"pcapdaemon_\w+", line)} == names(world)


def test_curl_reads_metrics_and_health(world):
    text = example("localhost/metrics\ncurl").replace("/run/pcapdaemon/control.sock", world.config["api"]["socket"])
    result = subprocess.run(["bash", "-euxc", text], capture_output=True, text=True, timeout=seconds(30))
    assert result.returncode == 0 and "pcapdaemon_recorder_up" in result.stdout and '"status"' in result.stdout.splitlines()[-1], result


def test_prometheus_scrapes_and_its_alerts_fire(world, tmp_path):
    job = example("job_name: pcapdaemon").replace("/etc/prometheus/pcapdaemon.token", str(world.token))
    job = job.replace("/etc/prometheus/pcapdaemon-ca.pem", str(world.cert)).replace("edge7.example.net", NAME)
    alerts = example("alert: PcapdaemonDown")
    (tmp_path / "alerts.yml").write_text(alerts.replace("for: 5m", "for: 0s"))
    (tmp_path / "prometheus.yml").write_text("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [alerts.yml]\n" + job)
    assert set(re.findall(r"pcapdaemon_\w+", alerts)) <= names(world), "alerts name metrics that exist"
    subprocess.run(["promtool", "check", "config", tmp_path / "prometheus.yml"], check=True, capture_output=True, timeout=seconds(60))
    prometheus = world.host.popen("prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
                                  f"--web.listen-address=127.0.0.1:{PROMETHEUS_PORT}",
                                  stdout=subprocess.DEVNULL, stderr=open(tmp_path / "log", "w"))  # noqa: SIM115

    def firing():
        connection = http.client.HTTPConnection("127.0.0.1", PROMETHEUS_PORT, timeout=seconds(10))
        try:
            world.host.call(connection.connect)
            connection.request("GET", "/api/v1/query?" + urllib.parse.urlencode({"query": 'ALERTS{alertstate="firing"}'}))
            series = json.loads(connection.getresponse().read())["data"]["result"]
            return {(one["metric"]["alertname"], one["metric"].get("interface")) for one in series}
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return set()
        finally:
            connection.close()

    try:
        until(lambda: firing() == {("PcapdaemonRecorderDown", "eht0")}, 60, "the alert for the recorder, and no other", interval=0.2)
    finally:
        prometheus.send_signal(signal.SIGTERM)
        prometheus.wait(seconds(20))
