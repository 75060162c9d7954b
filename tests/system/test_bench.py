# SPDX-License-Identifier: BSD-2-Clause
"""The benchmarks run to their end and leave only a table. These tests do not judge speed."""

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
    rows = {row["label"]: row for row in results["armed"]["rows"]}
    assert list(results) == ["armed"] and list(rows) == ["ring closed", "ring open"]
    for row in rows.values():
        assert 0 < row["p50"] <= row["p99"] <= row["most"]
    assert "| ring open |" in (tmp_path / "results.md").read_text()


def test_host_traffic_is_measured_beside_every_contender(tmp_path):
    result = bench("--quick", "--only", "host", "--to", str(tmp_path))
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "results.json").read_text())["results"]["host"]["rows"]
    assert [row["label"] for row in rows] == ["nothing", "1 capture by pcapdaemon", "200 captures by pcapdaemon", "recorder",
                                            "recorder + 1 capture", "recorder + 200 captures", "200 libpcap handles"]
    assert all(row["rate_pps"] > 0 for row in rows) and "<svg" in (tmp_path / "host-rate.svg").read_text()


def test_alert_rules_and_uploads_are_measured(tmp_path):
    result = bench("--quick", "--only", "rules,upload", "--to", str(tmp_path))
    assert result.returncode == 0, result.stderr
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert [(row["label"], row["ratio"] > 0) for row in results["upload"]["rows"]] == [("curl -T", True), ("sink s3", True)]
    assert [row["rules"] > row["alerts"] > 0 for row in results["rules"]["rows"]] == [True, True]
    assert 0 < results["alert"]["rows"][0]["p50"] <= results["alert"]["rows"][0]["p99"]


def test_control_api_and_fleet_are_measured(tmp_path):
    result = bench("--quick", "--only", "api,fleet", "--to", str(tmp_path))
    assert result.returncode == 0, result.stderr
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert list(results) == ["api", "fleet"]
    for table in results.values():
        assert all(0 < row["p50"] <= row["p99"] <= row["most"] for row in table["rows"])


def test_many_nodes_on_one_redis(tmp_path):
    result = bench("--quick", "--only", "many", "--to", str(tmp_path))
    assert result.returncode == 0, result.stderr
    for words in ("200 nodes with subscriber and publisher", "200 nodes with presence and stream", "connections after a restart",
                  "until all are registered", "PUBLISH to the last answer", "XADD to the last answer", "XADD to the last XACK"):
        assert words in result.stdout, result.stdout


def test_copying_is_measured_cold_and_warm(tmp_path):
    result = bench("--quick", "--only", "everything,copy,stream", "--to", str(tmp_path), timeout=120)
    assert result.returncode == 0, result.stderr
    rows = {name: table["rows"] for name, table in json.loads((tmp_path / "results.json").read_text())["results"].items()}
    assert list(rows) == ["everything", "copy", "stream"]
    assert [row["label"] for row in rows["everything"] if "warm_memory" not in row["label"]] == [
        "pcapdaemon, first capture", "pcapdaemon, second capture", "tcpdump -B 65536 to tmpfs"]
    assert all(row["sent"] > 0 and row["captured"] > 0 for row in rows["everything"])
    assert [row["label"] for row in rows["copy"] if "warm_memory" not in row["label"]] == ["recorder, first copy", "recorder, second copy"]
    assert all(row["bytes"] > 0 and row["delivery"] >= 0 for row in rows["copy"])
    assert [row["label"] for row in rows["stream"]] == [f"{turn} read, {size} B packets" for size in (64, 1500)
                                                      for turn in ("first", "second")]
    assert all(row["bytes"] > 0 and row["cpu"] > 0 for row in rows["stream"])
    assert "<svg" in (tmp_path / "everything.svg").read_text()


def test_streamed_capture_shows_its_peak_memory(tmp_path):
    result = bench("--quick", "--only", "streamed", "--to", str(tmp_path))
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "results.json").read_text())["results"]["streamed"]["rows"]
    assert [row["label"] for row in rows] == ["1 MB", "0.06 GB"]
    assert all(row["peak"] > 0 and row["packets"] + row["lost"] == row["sent"] for row in rows), rows


def test_idle_memory_is_measured_before_and_after_a_capture(tmp_path):
    result = bench("--quick", "--only", "idle", "--to", str(tmp_path))
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "results.json").read_text())["results"]["idle"]["rows"]
    assert [row["label"] for row in rows] == ["pcapdaemon", "after a capture of 64 MiB", "1 s later"]
    assert all(row["resident"] >= row["private"] > 0 for row in rows)


def test_interrupted_run_removes_its_namespaces(tmp_path):
    with subprocess.Popen([RUN, "--only", "host", "--to", str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, env={**os.environ, "PCAPDAEMON": PROGRAM}) as process:
        assert "bench:" in process.stderr.readline()  # measuring has begun, so the namespaces exist
        mine = {name for name in own_namespaces() if name.startswith(f"pcd{process.pid}-")}
        assert mine
        process.terminate()
        process.communicate(timeout=seconds(30))
    assert process.returncode == 1
    assert not mine & own_namespaces()


def test_unknown_benchmark_is_refused_by_name():
    result = bench("--only", "nonsense")
    assert result.returncode == 2 and "nonsense" in result.stderr and "armed" in result.stderr
