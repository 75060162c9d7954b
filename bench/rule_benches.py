# SPDX-License-Identifier: BSD-2-Clause
"""Benchmarks of alert rules: how many a second the daemon evaluates, and the time from an alert until its capture is armed."""

import json
import os
import socket
import time

from answer_benches import QUANTILES, RING_BPF, quantiles
from measure import Clock, percentile
from report import Column, Table, number
from testbed import start, testbed
from wire import Wire, command

RULES = 100
CHANNEL = "suricata"
EVE = {"timestamp": "2026-12-01T11:59:58.251547+0000", "flow_id": 586497171462735, "in_iface": "eth0", "event_type": "alert",
       "src_ip": "192.0.2.14", "src_port": 50096, "dest_ip": "198.51.100.5", "dest_port": 80, "proto": "TCP",
       "metadata": {"flowbits": ["http.dottedquadhost"]}, "tx_id": 4,
       "alert": {"action": "allowed", "gid": 1, "signature_id": 2018358, "rev": 10, "category": "Potentially Bad Traffic", "severity": 2,
                 "signature": "ET HUNTING GENERIC SUSPICIOUS POST to Dotted Quad with Fake Browser 1"},
       "app_proto": "http", "flow": {"pkts_toserver": 4, "pkts_toclient": 3, "start": "2026-12-01T11:59:57.100000+0000"}}

# No rule but the last one matches, so all are evaluated.
KINDS = {"equal to a number": 'event_type = "alert", "alert.signature_id" = {0}',
         "a comparison and an expression": '"alert.severity" = "<=2", "alert.signature" = "~ ^GPL .* number {0}$"'}
LAST = f"""
[[rule]]
name = "last"
match = {{ event_type = "alert", "alert.signature_id" = 1 }}
interface = ["eth0"]
bpf = "{RING_BPF}"
duration = 0.05
alertid = "n{{flow_id}}"
"""


def rules(condition):
    others = [f'[[rule]]\nname = "r{i}"\nmatch = {{ {condition.replace("{0}", str(i + 2))} }}\nbpf = "{{flow}}"\n' for i in range(RULES - 1)]
    return "".join(others) + LAST


def last(number_):
    return json.dumps({**EVE, "flow_id": number_, "alert": {**EVE["alert"], "signature_id": 1}})


def wait(listener, number_):
    """Until the capture of this alert is armed."""
    return listener.wait_for(f'"alertid":"n{number_}"'.encode(), b'"event":"rejected"', 60)


def configure(world, condition):
    path, stream = os.path.join(world.root, "rules.toml"), os.path.join(world.root, "eve.sock")
    with open(path, "w", encoding="utf-8") as file:
        file.write(rules(condition))
    pid = start(world, {"rules": {"files": path}, "limits": {"alerts_per_second": 1000000},
                        "input": [{"format": "eve", "from": "redis-channel", "name": CHANNEL},
                                  {"format": "eve", "from": "unix-stream", "name": stream}]})
    world.daemon.wait_log("subscribed", channel=CHANNEL)
    world.daemon.wait_log("input-ready")
    return pid, stream


def rate(settings, listener, pid, stream, number_):
    """Alerts that no rule matches, through a socket, and one that the last rule matches."""
    bulk = (json.dumps(EVE) + "\n").encode() * 1000
    clock, begin = Clock([pid]), time.monotonic()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(stream)
        for _ in range(settings.alerts // 1000):
            client.sendall(bulk)
        client.sendall(last(number_).encode() + b"\n")
        elapsed = wait(listener, number_) - begin
    return {"count": settings.alerts, "alerts": settings.alerts / elapsed, "rules": RULES * settings.alerts / elapsed,
            "cpu_us": clock.seconds() / settings.alerts * 1e6}


def armed(settings, publisher, listener):
    times = []
    for turn in range(settings.requests):
        message = command("PUBLISH", CHANNEL, last(turn))
        begin = time.monotonic()
        publisher.send(message)
        times.append(wait(listener, turn) - begin)
    return times[1:]  # the first one opens the ring


def evaluate(settings):
    rows, samples, times = [], [], []
    with testbed() as world, Wire(world.redis) as publisher, Wire(world.redis) as listener:
        listener.subscribe("capture:events")
        for label, condition in KINDS.items():
            pid, stream = configure(world, condition)
            settings.report_progress(f"alert rules, {label}")
            found = [rate(settings, listener, pid, stream, 1_000_000 + turn) for turn in range(settings.repetitions)]
            rows.append({"label": label, **{key: percentile([one[key] for one in found], 50) for key in found[0]}})
            samples += found
            if not times:
                settings.report_progress("alert to armed")
                times = armed(settings, publisher, listener)
            world.daemon.close()
    columns = [Column("label", "conditions"), Column("count", "alerts", number()), Column("alerts", "alerts a second", number()),
               Column("rules", "rules a second", number()), Column("cpu_us", "CPU µs an alert", number(1))]
    return [Table("rules", f"{RULES} alert rules, EVE alerts", columns, rows,
                  f"{len(json.dumps(EVE))} bytes each, through a unix socket, read and evaluated by one thread; every alert meets all rules.",
                  samples=samples),
            Table("alert", "From PUBLISH of an EVE alert to the `accepted` event: the capture is armed", QUANTILES,
                  [quantiles("ring open", times)], f"The last of {RULES} rules matches.", samples=[{"times_s": times}])]
