# SPDX-License-Identifier: BSD-2-Clause
"""Metrics as scrapers want them: promtool and a real Prometheus judge both formats."""

import http.client
import http.server
import json
import os
import signal
import subprocess
import threading
import urllib.parse

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as classic_families

from lib.waiting import seconds, until

OPENMETRICS, CLASSIC = "application/openmetrics-text; version=1.0.0; charset=utf-8", "text/plain; version=0.0.4; charset=utf-8"
ALONE = {"redis": {"listen": False}}
PORT, PROXY_PORT, PROMETHEUS_PORT = 7227, 7228, 9090
TOKEN = "0123456789abcdef0123"


def scrape(api, accept=None):
    return api.call("GET", "/metrics", headers={"Accept": accept} if accept else {}).expect(200)


@pytest.mark.parametrize("accept, wanted", [
    (None, OPENMETRICS), ("*/*", OPENMETRICS), ("application/openmetrics-text", OPENMETRICS),
    ("text/plain", CLASSIC), ("text/plain;version=0.0.4;q=1,*/*;q=0.1", CLASSIC), ("text/*", CLASSIC),
    ("application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPENMETRICS),
    ("application/openmetrics-text;q=0.1,text/plain;q=0.5", CLASSIC), ("application/openmetrics-text;q=0,*/*", CLASSIC)])
def test_format_is_the_one_that_the_scraper_prefers(world, accept, wanted):
    answer = scrape(world.api, accept)
    assert answer.headers["content-type"] == wanted
    text = answer.body.decode()
    assert text.endswith("# EOF\n") == (wanted == OPENMETRICS)
    parse = text_string_to_metric_families if wanted == OPENMETRICS else classic_families
    names = {sample.name for family in parse(text) for sample in family.samples}
    assert {"pcapdaemon_build_info", "pcapdaemon_events_total", "pcapdaemon_uptime_seconds"} <= names


def test_promtool_accepts_the_older_format(world):
    text = scrape(world.api, "text/plain").body
    judged = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=seconds(60))
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, b"", b"")


def test_interfaces_whose_names_are_not_utf8_have_a_series_each(make_world):
    world = make_world(ALONE, redis=False)
    names = [os.fsdecode(name) for name in (b"x\xff", b"x\xfe", b"x\\xFF")]
    for number, name in enumerate(names):
        world.host.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"far{number}")
    for accept in ("application/openmetrics-text", "text/plain"):
        lines = scrape(world.api, accept).body.decode().splitlines()
        series = [line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")]
        assert len(series) == len(set(series))
        for label in (r"x\\xFF", r"x\\xFE", r"x\\\\xFF"):
            assert f'pcapdaemon_interface_up{{interface="{label}"}}' in series


# --- a real Prometheus ---

class Proxy(http.server.BaseHTTPRequestHandler):
    """Passes absolute-form targets on as they are, with another Accept."""
    accept, targets = "text/plain;version=0.0.4", []

    def do_GET(self):  # noqa: N802
        self.targets.append(self.path)
        headers = {name: value for name, value in self.headers.items() if name not in ("Accept", "Accept-Encoding", "Proxy-Connection")}
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=seconds(10))
        connection.putrequest("GET", self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**headers, "Accept": self.accept}.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        self.send_response(response.status)
        self.send_header("Content-Type", response.getheader("Content-Type"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def scraped(make_world, tmp_path):
    """A daemon with TCP, and a Prometheus in its namespace that scrapes it directly and through the proxy."""
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    token_file.chmod(0o600)
    world = make_world({**ALONE, "api": {"listen": f"127.0.0.1:{PORT}", "token_file": str(token_file)}}, redis=False)
    job = {"scrape_interval": "1s", "authorization": {"credentials": TOKEN}, "static_configs": [{"targets": [f"127.0.0.1:{PORT}"]}]}
    config = tmp_path / "prometheus.yml"
    config.write_text(json.dumps({"scrape_configs": [  # JSON is YAML
        {"job_name": "direct", **job}, {"job_name": "proxied", "proxy_url": f"http://127.0.0.1:{PROXY_PORT}", **job}]}))
    Proxy.targets = []

    class Server(http.server.ThreadingHTTPServer):
        def process_request_thread(self, request, client_address):  # connections to the daemon are made in its namespace
            world.host.call(super().process_request_thread, request, client_address)

    server = world.host.call(Server, ("127.0.0.1", PROXY_PORT), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    prometheus = world.host.popen("prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/tsdb",
                                  f"--web.listen-address=127.0.0.1:{PROMETHEUS_PORT}",
                                  stdout=subprocess.DEVNULL, stderr=open(tmp_path / "log", "w"))  # noqa: SIM115

    def ask(path, **parameters):
        connection = http.client.HTTPConnection("127.0.0.1", PROMETHEUS_PORT, timeout=seconds(10))
        try:
            world.host.call(connection.connect)
            connection.request("GET", f"{path}?{urllib.parse.urlencode(parameters)}")
            answer = json.loads(connection.getresponse().read())
            return answer["data"] if answer["status"] == "success" else None
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    world.ask, world.log = ask, tmp_path / "log"
    yield world
    prometheus.send_signal(signal.SIGTERM)
    try:
        prometheus.wait(seconds(20))
    finally:
        prometheus.kill()
        server.shutdown()
        server.server_close()


def test_prometheus_scrapes_openmetrics_and_the_older_format_through_a_proxy(scraped):
    def query(expression):
        data = scraped.ask("/api/v1/query", query=expression)
        return {series["metric"]["job"]: float(series["value"][1]) for series in data["result"]} if data else {}

    until(lambda: query("up") == {"direct": 1, "proxied": 1}, 30, "both scrapes to succeed", interval=0.2)
    until(lambda: set(query('pcapdaemon_events_total{event="done"}')) == {"direct", "proxied"}, 15, "the samples", interval=0.2)
    assert set(query("pcapdaemon_build_info")) == {"direct", "proxied"}
    assert query('pcapdaemon_interface_up{interface="eth0"}') == {"direct": 1, "proxied": 1}
    targets = {target["labels"]["job"]: target for target in scraped.ask("/api/v1/targets")["activeTargets"]}
    assert {job: target["lastError"] for job, target in targets.items()} == {"direct": "", "proxied": ""}

    def metadata(job):
        found = scraped.ask("/api/v1/targets/metadata", match_target=f'{{job="{job}"}}') or []
        return {entry["metric"]: (entry["type"], entry["unit"]) for entry in found}

    assert metadata("direct")["pcapdaemon_uptime_seconds"] == ("gauge", "seconds"), "only OpenMetrics has units"
    assert metadata("direct")["pcapdaemon_build"] == ("info", "")
    assert metadata("proxied")["pcapdaemon_uptime_seconds"] == ("gauge", "")
    assert metadata("proxied")["pcapdaemon_events_total"] == ("counter", "")
    assert f"http://127.0.0.1:{PORT}/metrics" in Proxy.targets, "a proxy gets targets in absolute form"


def test_estimate_of_the_servers_clock_has_its_uncertainty(world):
    def samples():
        families = text_string_to_metric_families(scrape(world.api).body.decode())
        return {sample.name: sample.value for family in families for sample in family.samples}

    until(lambda: "pcapdaemon_redis_clock_offset_seconds" in samples(), what="the server's answer to TIME")
    found = samples()
    assert abs(found["pcapdaemon_redis_clock_offset_seconds"]) <= found["pcapdaemon_redis_clock_uncertainty_seconds"] + 0.001
    assert found["pcapdaemon_redis_clock_uncertainty_seconds"] > 0
