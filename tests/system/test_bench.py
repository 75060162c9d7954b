"""The benchmarks work: they run to their end, and leave a table and nothing else. Not how fast anything is."""

import json
import os
import subprocess

from lib.daemon import PROGRAM, ROOT
from lib.waiting import seconds

RUN = os.path.join(ROOT, "bench", "run")


def bench(*arguments, timeout=300):
    return subprocess.run([RUN, *arguments], capture_output=True, text=True, timeout=seconds(timeout),
                          env={**os.environ, "PCAPDAEMON": PROGRAM})


def own_namespaces():
    return set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()


def test_quick_run_of_one_benchmark_prints_its_table_and_writes_the_same_numbers(tmp_path):
    result = bench("--quick", "--only", "armed", "--to", str(tmp_path))
    assert result.returncode == 0, result.stderr
    for words in ("kernel: Linux", "cores: ", "bench/run --quick --only armed", "p50 ms", "ring closed", "ring open"):
        assert words in result.stdout, result.stdout
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    rows = {row["who"]: row for row in results["armed"]["rows"]}
    assert list(results) == ["armed"] and list(rows) == ["ring closed", "ring open"]
    for row in rows.values():
        assert 0 < row["p50"] <= row["p99"] <= row["most"]
    assert "| ring open |" in (tmp_path / "results.md").read_text()


def test_host_traffic_is_measured_beside_every_contender(tmp_path):
    result = bench("--quick", "--only", "host", "--to", str(tmp_path))
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "results.json").read_text())["results"]["host"]["rows"]
    assert [row["who"] for row in rows] == ["nothing", "1 capture by pcapdaemon", "200 captures by pcapdaemon", "recorder",
                                            "recorder + 1 capture", "recorder + 200 captures", "200 libpcap handles"]
    assert all(row["rate_pps"] > 0 for row in rows) and "<svg" in (tmp_path / "host-rate.svg").read_text()


def test_control_api_and_fleet_are_measured(tmp_path):
    result = bench("--quick", "--only", "api,fleet", "--to", str(tmp_path))
    assert result.returncode == 0, result.stderr
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert list(results) == ["api", "api-history", "fleet"]
    for name in "api", "fleet":
        assert all(0 < row["p50"] <= row["p99"] <= row["most"] for row in results[name]["rows"])
    assert all(row["bytes"] > 0 for row in results["api-history"]["rows"])


def test_namespaces_of_a_run_are_gone_when_it_was_ended_early(tmp_path):
    with subprocess.Popen([RUN, "--only", "host", "--to", str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, env={**os.environ, "PCAPDAEMON": PROGRAM}) as process:
        assert "bench:" in process.stderr.readline()  # it measures, so its namespaces are there
        mine = {name for name in own_namespaces() if name.startswith(f"pcd{process.pid}-")}
        assert mine
        process.terminate()
        process.communicate(timeout=seconds(30))
    assert process.returncode == 1
    assert not mine & own_namespaces()


def test_unknown_benchmark_is_refused_by_name():
    result = bench("--only", "nonsense")
    assert result.returncode == 2 and "nonsense" in result.stderr and "armed" in result.stderr
