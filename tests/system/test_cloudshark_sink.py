# SPDX-License-Identifier: BSD-2-Clause
"""The sinks without the daemon: tests/probes/upload_probe.c delivers files to a strict or faulty CloudShark, and to full or read-only
directories. Every run checks that the token appears nowhere."""

import contextlib
import email.utils
import hashlib
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, GRE, Dot1Q, Ether
from scapy.utils import wrpcap

from lib.cloudshark_server import Behaviour, CloudSharkServer, answer, busy, check_capture, close, hang, lose, ok, redirect, refuse, slow
from lib.daemon import PROGRAM
from lib.pcapfile import CaptureFile, tshark
from lib.waiting import seconds

PROBE = os.environ.get("UPLOAD_PROBE", os.path.join(os.path.dirname(PROGRAM), "tests", "probes", "upload_probe"))
TOKEN = "0123456789abcdef" * 2
MIB = 1 << 20


def pcap(*packets):
    records = b"".join(struct.pack("<IIII", 1, 2, len(packet), len(packet)) + packet for packet in packets)
    return struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) + records


CONTENT = pcap(b"x" * 60, bytes(range(256)) * 5, b"\r\n--boundary\r\n")


@pytest.fixture
def capture(tmp_path):
    path = tmp_path / "node-eth0-20261123T084100.123Z-id.pcap"
    path.write_bytes(CONTENT)
    return path


class Outcome:
    def __init__(self, out, err, returncode):
        assert returncode == 0, (out, err)
        self.err = err
        lines = [json.loads(line) for line in out.splitlines()]
        self.end = lines.pop()
        self.deliveries = lines
        for delivery in lines:
            assert delivery["opens"] == delivery["closes"], delivery

    @property
    def only(self):
        """The result of the only delivery."""
        assert len(self.deliveries) == 1 and len(self.deliveries[0]["results"]) == 1, self.deliveries
        return self.deliveries[0]["results"][0]

    def by_name(self):
        return {result["name"]: result for result in self.deliveries[0]["results"]}


class Running:
    def __init__(self, command, token, proxies=()):
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")} | dict(proxies)
        self.token = token
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self

    def wait(self, timeout=60):
        try:
            out, err = self.process.communicate(timeout=seconds(timeout))
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the probe did not end: {self.process.communicate()}") from None
        for shape in {self.token, urllib.parse.quote(self.token, safe=""), json.dumps(self.token)[1:-1]} - {""}:
            assert shape not in out and shape not in err, "the token leaked"
        assert "[warn]" not in err, f"libevent complains: {err}"
        return Outcome(out, err, self.process.returncode)


def start(what=None, *options, server=None, port=None, host="127.0.0.1", token=TOKEN, scheme="http", prefix=(), attempts=3,
          proxies=()):
    """what: the file, or a size; server or port: the destination; without both there is no CloudShark."""
    command = [*prefix, PROBE, "--attempts", str(attempts), "--first-backoff-ms", "1", "--max-backoff-ms", "4", "--copy-wait-ms", "1", *options]
    if server or port:
        command += ["--scheme", scheme, "--host", host, "--port", str(server.port if server else port), "--token", token]
    return Running(command + (["--size", str(what)] if isinstance(what, int) else [str(what)]), token, proxies)


def run(*args, **options):
    return start(*args, **options).wait()


# --- an upload ---


def test_upload_arrives_with_name_tags_and_comment(capture):
    with CloudSharkServer(TOKEN) as server:
        outcome = run(capture, "--tags", "customer:ACME,node:n,größe", "--comment", 'said "why"\nnot', server=server)
        upload, = server.wait_for_uploads(1)
    assert (upload.filename, upload.content) == (capture.name, CONTENT)
    assert upload.fields == {"additional_tags": "customer:ACME,node:n,größe", "comments": 'said "why"\nnot'}
    assert outcome.only == {"name": "cloudshark", "ok": True, "error": None, "attempts": 1,
                            "url": f"http://127.0.0.1:{server.port}/captures/{upload.id}"}
    assert outcome.deliveries[0]["opens"] == 1
    assert "expect" not in upload.headers and "cookie" not in upload.headers and "transfer-encoding" not in upload.headers
    assert upload.headers["user-agent"].startswith("pcapdaemon/")
    assert server.faults == []


def test_empty_tags_and_comment_are_left_out(capture):
    with CloudSharkServer(TOKEN) as server:
        assert run(capture, "--tags", "", "--comment", "", server=server).only["ok"]
        assert server.wait_for_uploads(1)[0].fields == {}


def test_token_may_contain_any_character(capture):
    token = 'a/b c?d#e%41"ü'
    with CloudSharkServer(token) as server:
        assert run(capture, server=server, token=token).only["ok"]
        assert server.faults == []


def test_ipv6_address_is_bracketed(capture):
    with CloudSharkServer(TOKEN, host="::1") as server:
        outcome = run(capture, server=server, host="::1")
        assert outcome.only["url"] == f"http://[::1]:{server.port}/captures/{server.wait_for_uploads(1)[0].id}"


def test_large_file_is_never_whole_in_memory():
    with CloudSharkServer(TOKEN) as server:
        outcome = run(128 * MIB, server=server)
        upload, = server.wait_for_uploads(1)
    assert outcome.only["ok"] and len(upload.content) > 128 * MIB and check_capture(upload.content) is None
    assert outcome.end["peak_rss_kib"] < 64 * 1024


def test_many_files_share_few_connections(capture):
    with CloudSharkServer(TOKEN) as server:
        outcome = run(capture, "--files", "60", "--parallel", "4", server=server)
        uploads = server.wait_for_uploads(60)
    assert all(delivery["results"][0]["ok"] for delivery in outcome.deliveries) and len(outcome.deliveries) == 60
    assert len({upload.filename for upload in uploads}) == 60
    assert server.connections <= 8


def test_concurrent_uploads_stay_within_the_limit(capture):
    with CloudSharkServer(TOKEN, behaviour=hang()) as server:
        probe = start(capture, "--files", "5", "--parallel", "2", server=server)
        server.wait_for_requests(2, stage="body")
        outcome = probe.terminate().wait()
        assert len(server.requests) == 2
    assert sorted(delivery["results"][0]["attempts"] for delivery in outcome.deliveries) == [0, 0, 0, 1, 1]


def test_slow_receiver_gets_the_whole_upload():
    with CloudSharkServer(TOKEN, behaviour=slow(chunk=16384)) as server:
        assert run(8 * MIB, "--stall-s", "1", server=server).only == {
            "name": "cloudshark", "ok": True, "error": None, "attempts": 1,
            "url": f"http://127.0.0.1:{server.port}/captures/{server.wait_for_uploads(1)[0].id}"}


# --- refusals: one attempt, and the full reason ---


def refused(outcome):
    assert (outcome.only["ok"], outcome.only["attempts"], outcome.only["url"]) == (False, 1, None)
    return outcome.only["error"]


def taken_without_link(outcome):
    assert (outcome.only["ok"], outcome.only["attempts"], outcome.only["url"], outcome.only["error"]) == (True, 1, None, None), outcome.only
    return outcome.only["warning"]


def test_refusal_is_reported_with_every_exception(capture):
    with CloudSharkServer(TOKEN, behaviour=[refuse(422, "no quota left", "file too dull", {"code": 7})]) as server:
        assert refused(run(capture, server=server)) == 'HTTP 422: no quota left; file too dull; {"code": 7}'
        assert len(server.requests) == 1


def test_wrong_token_is_a_refusal(capture):
    with CloudSharkServer("another token") as server:
        assert refused(run(capture, server=server)) == "HTTP 401: invalid API token"


def test_file_that_is_not_a_capture_is_refused(tmp_path):
    path = tmp_path / "a.pcapng"
    path.write_bytes(b"\x0a\x0d\x0d\x0aand then nothing of it")
    with CloudSharkServer(TOKEN) as server:
        assert refused(run(path, server=server)).startswith("HTTP 422: pcapng")


@pytest.mark.parametrize("body", ["", "<html>Forbidden</html>", "[1]", '{"exceptions": []}', "\0\xff", "[" * 5000],
                         ids=range(6))
def test_refusal_in_another_format_is_reported_by_its_status(capture, body):
    with CloudSharkServer(TOKEN, behaviour=[answer(body, 403)]) as server:
        assert refused(run(capture, server=server)) == "HTTP 403"


def test_endless_refusal_is_truncated(capture):
    with CloudSharkServer(TOKEN, behaviour=[refuse(400, "ä" * MIB)]) as server:
        assert refused(run(capture, server=server)) == "HTTP 400: the answer is too long"
    with CloudSharkServer(TOKEN, behaviour=[refuse(400, *["ü" * 1500] * 5)]) as server:
        error = refused(run(capture, server=server))
        assert error.startswith("HTTP 400: üüü") and len(error.encode()) in (1022, 1023)


def test_refusal_before_the_body_is_read_is_reported():
    with CloudSharkServer(TOKEN, behaviour=[refuse(413, "too large", early=True)]) as server:
        assert refused(run(32 * MIB, server=server)) == "HTTP 413: too large"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_a_refusal_that_names_its_target(capture, status):
    with CloudSharkServer(TOKEN, behaviour=[redirect(f"https://elsewhere.example/api/v1/{TOKEN}/upload", status)]) as server:
        error = refused(run(capture, server=server))
        assert error == f"HTTP {status}: redirected to https://elsewhere.example/api/v1/***/upload; redirects are not followed, " \
                        "configure that address"
        assert len(server.requests) == 1


@pytest.mark.parametrize("body", ["", "OK", "{}", "[]", "null", '{"filename": "x"}', '{"id": null}', '{"id": ""}', '{"id": "a/b"}',
                                  '{"id": "../x"}', '{"id": "a b"}', '{"id": "%s"}' % ("x" * 500), "{" * 3000, "x" * (3 * MIB)],
                         ids=range(14))
def test_acceptance_without_a_readable_id_is_a_success_without_link(capture, body):
    with CloudSharkServer(TOKEN, behaviour=[answer(body)]) as server:
        assert taken_without_link(run(capture, server=server)).startswith("the upload was accepted, but the answer holds no capture id")
        assert len(server.requests) == 1


def raw(field, body):
    return Behaviour("raw", body=f"HTTP/1.1 200 OK\r\n{field}\r\n\r\n{body}")


@pytest.mark.parametrize("field, body", [("Content-Length: 60", '{"filename": "x", "id": "ab12'), ("Transfer-Encoding: chunked", "1f4\r\n{"),
                                         ("Transfer-Encoding: chunked", "zz\r\n")], ids=["length", "chunk", "broken chunk"])
def test_answer_that_breaks_off_after_a_2xx_settles_it(capture, field, body):
    """It was six copies in twenty seconds."""
    with CloudSharkServer(TOKEN, behaviour=[raw(field, body)]) as server:
        outcome = run(capture, server=server)
        assert taken_without_link(outcome) == "the upload was accepted, but the answer broke off, so the file's address is unknown"
        assert "upload-without-link" in outcome.err and len(server.requests) == 1


def test_whole_id_in_an_answer_that_breaks_off_gives_the_link(capture):
    with CloudSharkServer(TOKEN, behaviour=[raw("Content-Length: 600", '{"id": "ab12"}')]) as server:
        assert run(capture, server=server).only["url"].endswith("/captures/ab12")
        assert len(server.requests) == 1


def test_no_answer_at_all_leads_to_three_copies_at_most(capture):
    with CloudSharkServer(TOKEN, behaviour=close("after")) as server:
        outcome = run(capture, server=server, attempts=50)
        assert len(server.requests) == 3
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, 3)
    assert outcome.only["error"].startswith("the whole file was sent 3 times and no answer came; it may be there (last error: ")


def test_slow_upload_ends_however_often_a_few_bytes_pass():
    """libcurl's own limit began anew with each burst: 16 KiB every half second are above 1 KiB/s, 8 bytes are not."""
    with CloudSharkServer(TOKEN, behaviour=[slow(chunk=1, pause=0.2), ok()]) as server:
        outcome = run(24 * MIB, "--stall-s", "1", server=server)
    assert (outcome.only["ok"], outcome.only["attempts"]) == (True, 2)
    assert "too slow (limits.upload_speed)" in outcome.err


def test_time_to_retry_ends_an_attempt_under_way(capture):
    with CloudSharkServer(TOKEN, behaviour=hang("before")) as server:
        began = time.monotonic()
        outcome = run(capture, "--give-up-s", "2", server=server, attempts=0)
        assert time.monotonic() - began < seconds(20)
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, 1)
    assert outcome.only["error"] == "the time to retry (limits.retry) is over"


def test_copies_are_far_apart(capture):
    with CloudSharkServer(TOKEN, behaviour=[close("after")] * 2) as server:
        began = time.monotonic()
        outcome = run(capture, "--copy-wait-ms", "300", server=server)
        assert outcome.only["ok"] and time.monotonic() - began > 1.7  # 0.3 and 1.5 s
        assert len(server.requests) == 3


# --- a lost answer to a whole upload: the next attempt asks first ---


@pytest.mark.parametrize("lost", [lose(), lose(502), lose(504)], ids=["hang up", "502", "504"])
def test_lost_answer_makes_no_second_file_where_the_server_can_be_asked(capture, lost):
    with CloudSharkServer(TOKEN, behaviour=[lost], search=[busy(503), busy(504)]) as server:
        outcome = run(capture, server=server, attempts=9)
        upload, = server.uploads
        assert len(server.requests) == 1 and len(server.searches) == 3 and server.faults == []
    assert outcome.only == {"name": "cloudshark", "ok": True, "error": None, "attempts": 4,
                            "url": f"http://127.0.0.1:{server.port}/captures/{upload.id}"}
    assert outcome.deliveries[0]["opens"] == 1


def test_file_that_the_search_does_not_find_is_uploaded_again(capture):
    with CloudSharkServer(TOKEN, behaviour=[close("after")]) as server:
        outcome = run(capture, server=server)
        assert len(server.uploads) == len(server.searches) == 1 and server.faults == []
    assert (outcome.only["ok"], outcome.only["attempts"], outcome.only.get("warning")) == (True, 2, None)


@pytest.mark.parametrize("search, reason", [(refuse(403, "no search for you"), "HTTP 403: no search for you"), (answer("OK"), "HTTP 200"),
                                            (answer("[" * 70000), "HTTP 200: the answer is too long")], ids=range(3))
def test_second_file_is_reported_where_the_server_cannot_be_asked(capture, search, reason):
    with CloudSharkServer(TOKEN, behaviour=[lose()], search=search) as server:
        outcome = run(capture, server=server)
        assert len(server.uploads) == 2 and len(server.searches) == 1
    assert (outcome.only["ok"], outcome.only["attempts"]) == (True, 2)
    assert outcome.only["warning"] == f"an earlier upload got no answer, so it may be there twice; asked for it: {reason}"


def test_libcurl_does_not_send_a_whole_file_again_by_itself(capture):
    """It does so on its own when a kept connection is closed."""
    with CloudSharkServer(TOKEN, behaviour=[ok(), lose()]) as server:
        outcome = run(capture, "--files", "2", "--parallel", "1", server=server)
        assert len(server.uploads) == 2 and len(server.searches) == 1
    assert [delivery["results"][0]["attempts"] for delivery in outcome.deliveries] == [1, 2]


# --- tokens of customers ---


def test_customer_has_a_token_of_its_own(capture):
    tokens = f"# by hand\nACME:{TOKEN[::-1]}\nOther: one:5678\n"
    with CloudSharkServer(TOKEN, more_tokens=[TOKEN[::-1], "5678"]) as server:
        for customer, token in (("ACME", TOKEN[::-1]), ("Other: one", "5678"), ("acme", TOKEN), ("ACME ", TOKEN), (None, TOKEN)):
            outcome = run(capture, "--customer-tokens", tokens, *(["--customer", customer] if customer else []), server=server)
            assert outcome.only["ok"] and server.uploads[-1].token == token, customer
        server.behave([lose()])
        assert run(capture, "--customer-tokens", tokens, "--customer", "ACME", server=server).only["attempts"] == 2
        assert len(server.uploads) == 6 and server.faults == []
        server.behave(refuse(403, f"{TOKEN[::-1].upper()} is bad, and so is {TOKEN[::-1]}"))
        assert refused(run(capture, "--customer-tokens", tokens, "--customer", "ACME", server=server)) == "HTTP 403: *** is bad, and so is ***"


def test_links_begin_with_the_public_url(capture):
    with CloudSharkServer(TOKEN) as server:
        outcome = run(capture, "--public-url", "https://cs.example.net/shark/", server=server)
        assert outcome.only["url"] == f"https://cs.example.net/shark/captures/{server.uploads[0].id}"


def some_packets():
    """All kinds that a filter might take and a display filter hide."""
    one, two = "10.0.0.1", "10.9.0.2"
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    fragments = fragment(IP(src=one, dst=two) / UDP(sport=53, dport=5000) / (b"x" * 3000), fragsize=1400)
    quoted = IP(src=two, dst=one) / ICMP(type=3, code=3) / IP(src=one, dst=two) / UDP(sport=5000, dport=53)
    return [ether / IP(src=one, dst=two) / TCP(dport=443), ether / IP(src=two, dst="192.0.2.1") / ICMP(), ether / quoted,
            ether / ARP(psrc=one, pdst=two), ether / ARP(psrc="192.0.2.1", pdst=one), ether / IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(),
            ether / Dot1Q(vlan=5) / IP(src=one, dst=two) / TCP(), *(ether / one_of for one_of in fragments[:2]),
            ether / IP(src="192.0.2.1", dst="192.0.2.2") / GRE() / IP(src=one, dst=two) / ICMP()]


def test_link_opens_the_file_with_a_filter_that_hides_nothing(capture, tmp_path):
    wrpcap(str(tmp_path / "all.pcap"), some_packets())
    with CloudSharkServer(TOKEN) as server:
        for given, shown in (("host 10.0.0.1 and not tcp port 1", 6), ("icmp or arp", 4), ("dst host 10.9.0.2 or net 2001:db8::/32", 5)):
            url = run(capture, "--filter", given, server=server).only["url"]
            display = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query, strict_parsing=True)["filter"][0]
            taken = tmp_path / "taken.pcap"
            subprocess.run(["tcpdump", "-r", tmp_path / "all.pcap", "-w", taken, given], check=True, capture_output=True)
            assert len(CaptureFile(str(taken)).packets) == shown == len(tshark(taken, "-Y", display).splitlines()), (given, display)
        assert run(capture, "--filter", "port 53", server=server).only["url"].endswith(f"/captures/{server.uploads[-1].id}")


def test_numeric_id_is_accepted(capture):
    with CloudSharkServer(TOKEN, behaviour=[answer('{"id": 4711}')]) as server:
        assert run(capture, server=server).only["url"] == f"http://127.0.0.1:{server.port}/captures/4711"


@pytest.mark.parametrize("token", [TOKEN, 'to/ken "ü"'])
@pytest.mark.parametrize("status", [403, 503])
def test_token_echoed_by_the_server_is_masked(capture, token, status):
    quoted = urllib.parse.quote(token, safe="")
    with CloudSharkServer(token, behaviour=refuse(status, f"token {token} is bad", f"/api/v1/{quoted}/upload")) as server:
        outcome = run(capture, server=server, token=token)
    assert outcome.only["error"] == f"HTTP {status}: token *** is bad; /api/v1/***/upload"


def test_token_echoed_as_the_id_is_masked(capture):
    with CloudSharkServer(TOKEN, behaviour=[answer(json.dumps({"id": TOKEN}))]) as server:
        assert run(capture, server=server).only["url"].endswith("/captures/***")


# --- transient faults: retried ---


def assert_delivered(outcome, server, attempts):
    assert (outcome.only["ok"], outcome.only["attempts"]) == (True, attempts), outcome.only
    assert server.wait_for_uploads(1)[0].content == CONTENT and len(server.uploads) == 1
    assert outcome.err.count("delivery-retry") == attempts - 1
    assert server.faults == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_busy_server_is_retried(capture, status):
    with CloudSharkServer(TOKEN, behaviour=[busy(status), busy(status)]) as server:
        assert_delivered(run(capture, server=server), server, 3)


def test_retry_after_in_seconds_is_honoured(capture):
    with CloudSharkServer(TOKEN, behaviour=[busy(429, retry_after=1)]) as server:
        before = time.monotonic()
        assert_delivered(run(capture, server=server), server, 2)
        assert time.monotonic() - before >= 0.99


def test_retry_after_as_a_date_is_honoured(capture):
    when = int(time.time()) + 3
    with CloudSharkServer(TOKEN, behaviour=[busy(503, retry_after=email.utils.formatdate(when, usegmt=True))]) as server:
        assert_delivered(run(capture, server=server), server, 2)
        assert time.time() >= when


@pytest.mark.parametrize("value", ["-5", "soon", "", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_invalid_retry_after_is_ignored(capture, value):
    with CloudSharkServer(TOKEN, behaviour=[busy(503, retry_after=value)]) as server:
        assert_delivered(run(capture, server=server), server, 2)


def test_last_reason_is_reported_after_the_last_attempt(capture):
    with CloudSharkServer(TOKEN, behaviour=[busy(503), busy(500), refuse(502, "one", "two")]) as server:
        outcome = run(capture, server=server)
        assert len(server.requests) == 3
    assert (outcome.only["ok"], outcome.only["attempts"], outcome.only["error"]) == (False, 3, "HTTP 502: one; two")


@pytest.mark.parametrize("where", ["before", "after"])
def test_hanging_server_is_abandoned_after_the_timeout(capture, where):
    with CloudSharkServer(TOKEN, behaviour=[hang(where)]) as server:
        assert_delivered(run(capture, "--timeout-ms", "3000", server=server), server, 2)


@pytest.mark.parametrize("behaviour", [hang("in-answer"), close("in-answer")])
def test_server_that_stops_in_its_answer_has_the_file(capture, behaviour):
    with CloudSharkServer(TOKEN, behaviour=[behaviour]) as server:
        assert "broke off" in taken_without_link(run(capture, "--timeout-ms", "3000", server=server))
        assert len(server.requests) == 1


def test_hanging_server_is_abandoned_without_a_timeout(capture):
    """All probes run at the same time, because libcurl averages the speed over five seconds."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(CloudSharkServer(TOKEN, behaviour=[hang(where)]))
                   for where in ("before", "after", "before")]
        probes = [start(capture, "--stall-s", "1", server=server) for server in servers[:2]]
        probes.append(start(32 * MIB, "--stall-s", "1", server=servers[2]))  # more than the socket buffers hold
        outcomes = [probe.wait() for probe in probes]
        for outcome, server in zip(outcomes[:2], servers):
            assert_delivered(outcome, server, 2)
        assert (outcomes[2].only["ok"], outcomes[2].only["attempts"]) == (True, 2)
        upload, = servers[2].wait_for_uploads(1)
        assert check_capture(upload.content) is None and len(upload.content) > 32 * MIB


@pytest.mark.parametrize("where", ["before", "after"])
def test_server_that_hangs_up_is_retried(capture, where):
    with CloudSharkServer(TOKEN, behaviour=[close(where)]) as server:
        assert_delivered(run(capture, server=server), server, 2)


def test_server_that_closes_halfway_is_retried_from_the_first_byte():
    with CloudSharkServer(TOKEN, behaviour=[close("before")]) as server:
        outcome = run(8 * MIB, server=server)
        upload, = server.wait_for_uploads(1)
    assert (outcome.only["ok"], outcome.only["attempts"]) == (True, 2)
    assert check_capture(upload.content) is None and len(upload.content) > 8 * MIB


def test_kept_connection_closed_by_the_server_is_no_failure(capture):
    """The second file uses the first one's connection, which the server closes: libcurl rewinds and reconnects."""
    with CloudSharkServer(TOKEN, behaviour=[ok(), close("after")]) as server:
        outcome = run(capture, "--files", "2", "--parallel", "1", server=server)
        uploads = server.wait_for_uploads(2)
    assert [delivery["results"][0]["ok"] for delivery in outcome.deliveries] == [True, True]
    assert [upload.content for upload in uploads] == [CONTENT, CONTENT]
    assert server.faults == []


def test_refused_connection_is_reported_after_the_last_attempt(capture):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outcome = run(capture, port=unused.getsockname()[1])
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, 3)
    assert "connect" in outcome.only["error"].lower()


def test_unresolvable_name_is_reported_after_the_last_attempt(capture):
    outcome = run(capture, port=80, host="cloudshark.invalid", prefix=["unshare", "-n"])
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, 3)
    assert "resolve host: cloudshark.invalid" in outcome.only["error"]


@pytest.mark.parametrize("host", ["two words", "[::", "host:99999999", ""])
def test_host_that_makes_an_invalid_url_is_a_refusal(capture, host):
    assert "URL" in refused(run(capture, port=1, host=host)) or host == ""


# --- cancelling ---


def test_cancelled_upload_ends_at_once_and_hangs_up(capture):
    with CloudSharkServer(TOKEN, behaviour=hang()) as server:
        probe = start(capture, server=server)
        server.wait_for_requests(1, stage="body")
        outcome = probe.terminate().wait()
        server.wait(lambda: server.requests[0].client_left)
    assert (outcome.only["ok"], outcome.only["attempts"], outcome.only["error"]) == (False, 1, "shutting down")


def test_upload_cancelled_during_back_off_reports_the_last_reason(capture):
    with CloudSharkServer(TOKEN, behaviour=busy(503, retry_after=100)) as server:
        probe = start(capture, server=server)
        assert b"delivery-retry" in probe.process.stderr.buffer.readline()
        outcome = probe.terminate().wait()
    assert outcome.only["error"] == "shutting down (last error: HTTP 503: busy)"


# --- TLS ---


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """Two authorities; the first has issued `right` for localhost and 127.0.0.1 and `wrong` for another name."""
    root = tmp_path_factory.mktemp("pki")
    for authority in ("ca", "stranger"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2, "-subj",
                f"/CN={authority}", "-keyout", root / f"{authority}.key", "-out", root / f"{authority}.pem")
    for name, alternatives in (("right", "DNS:localhost,IP:127.0.0.1"), ("wrong", "DNS:elsewhere.example")):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout",
                root / f"{name}.key", "-out", root / f"{name}.csr")
        (root / f"{name}.ext").write_text(f"subjectAltName={alternatives}\n")
        openssl("x509", "-req", "-in", root / f"{name}.csr", "-CA", root / "ca.pem", "-CAkey", root / "ca.key", "-CAcreateserial",
                "-days", 2, "-extfile", root / f"{name}.ext", "-out", root / f"{name}.pem")
    return root


def tls_server(pki, name="right", **options):
    return CloudSharkServer(TOKEN, tls=(pki / f"{name}.pem", pki / f"{name}.key"), **options)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tls_upload_arrives(capture, pki, host):
    with tls_server(pki, behaviour=[busy(503)]) as server:
        outcome = run(capture, "--ca-file", str(pki / "ca.pem"), server=server, scheme="https", host=host)
        assert_delivered(outcome, server, 2)
        assert outcome.only["url"].startswith(f"https://{host}:{server.port}/captures/")


# --- proxies of the environment ---

class Proxy:
    """Keeps what clients say first, and goes on with them to the server if there is one."""

    def __init__(self, server=None):
        self.listener, self.server, self.heads = socket.create_server(("127.0.0.1", 0)), server, []
        url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.environment = {"http_proxy": url, "https_proxy": url, "HTTPS_PROXY": url, "all_proxy": url}
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                threading.Thread(target=self._serve, args=(self.listener.accept()[0],), daemon=True).start()

    def _serve(self, client):
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (data := client.recv(65536)):
                head += data
            self.heads.append(head)
            if not self.server:
                return
            with socket.create_connection(("127.0.0.1", self.server.port)) as upstream:
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                back = threading.Thread(target=self._pass, args=(upstream, client), daemon=True)
                back.start()
                self._pass(client, upstream)
                back.join(seconds(10))

    @staticmethod
    def _pass(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def test_plain_http_goes_past_the_proxies_of_the_environment(capture):
    """A proxy would read the token, which is in the URL."""
    with Proxy() as proxy, CloudSharkServer(TOKEN) as server:
        assert run(capture, server=server, proxies=proxy.environment).only["ok"]
        assert not proxy.heads and server.faults == []


def test_proxy_for_https_sees_host_and_port_only(capture, pki):
    with tls_server(pki) as server, Proxy(server) as proxy:
        assert run(capture, "--ca-file", str(pki / "ca.pem"), server=server, scheme="https", proxies=proxy.environment).only["ok"]
        assert len(proxy.heads) == 1 and proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n".encode())
        assert TOKEN.encode() not in proxy.heads[0] and server.faults == []


def test_large_tls_upload_survives_a_server_that_closes_halfway(pki):
    with tls_server(pki, behaviour=[close("before")]) as server:
        outcome = run(8 * MIB, "--ca-file", str(pki / "ca.pem"), server=server, scheme="https")
        assert (outcome.only["ok"], outcome.only["attempts"]) == (True, 2)
        assert check_capture(server.wait_for_uploads(1)[0].content) is None


def test_tls_certificate_for_another_name_is_a_refusal(capture, pki):
    with tls_server(pki, "wrong") as server:
        assert "127.0.0.1" in refused(run(capture, "--ca-file", str(pki / "ca.pem"), server=server, scheme="https"))
        assert server.requests == []


def test_tls_unknown_authority_is_a_refusal(capture, pki):
    for options in (["--ca-file", str(pki / "stranger.pem")], []):
        with tls_server(pki) as server:
            assert "certificate" in refused(run(capture, *options, server=server, scheme="https"))
            assert server.requests == []


def test_tls_missing_authority_file_is_a_refusal(capture, pki):
    with tls_server(pki) as server:
        assert "absent.pem" in refused(run(capture, "--ca-file", str(pki / "absent.pem"), server=server, scheme="https"))


def test_tls_without_verification_accepts_any_certificate(capture, pki):
    with tls_server(pki, "wrong") as server:
        assert_delivered(run(capture, "--no-verify", server=server, scheme="https"), server, 1)


def test_tls_to_a_plain_server_is_reported(capture):
    with CloudSharkServer(TOKEN) as server:
        outcome = run(capture, server=server, scheme="https", attempts=2)
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, 2) and outcome.only["error"]
    assert server.uploads == []


# --- the local directory ---


def in_tmpfs(capture, tmp_path, mount_options, *options):
    """Runs the probe on its own tmpfs; returns the outcome and the files left there."""
    directory, listing = tmp_path / "disk", tmp_path / "listing"
    directory.mkdir()
    script = 'mount -t tmpfs -o "$1" tmpfs "$2" && { dir=$2 list=$3; shift 3; "$@"; r=$?; ls -A "$dir" >"$list"; exit $r; }'
    outcome = run(capture, "--directory", str(directory), *options,
                  prefix=["unshare", "-m", "sh", "-c", script, "sh", mount_options, str(directory), str(listing)])
    return outcome, listing.read_text().split()


def test_full_disk_is_retried_reported_and_left_clean(tmp_path):
    outcome, left = in_tmpfs(MIB, tmp_path, "size=256k")
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, 3)
    assert "No space left on device" in outcome.only["error"] and "disk/made.pcap" in outcome.only["error"]
    assert left == []


def test_read_only_disk_is_reported(capture, tmp_path):
    outcome, left = in_tmpfs(capture, tmp_path, "ro")
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, 3)
    assert "Read-only file system" in outcome.only["error"] and left == []


def test_full_directory_queue_delays_but_loses_no_file(capture, tmp_path):
    outcome = run(capture, "--directory", str(tmp_path), "--files", "200", "--parallel", "200", attempts=10000)
    assert all(delivery["results"][0]["ok"] for delivery in outcome.deliveries) and len(outcome.deliveries) == 200
    assert not list(tmp_path.glob(".*.part"))
    for delivery in outcome.deliveries:
        with open(delivery["results"][0]["url"], "rb") as file:
            assert file.read() == CONTENT


def test_destinations_do_not_block_each_other(capture, tmp_path):
    with CloudSharkServer(TOKEN, behaviour=refuse(403, "go away")) as server:
        results = run(capture, "--directory", str(tmp_path / "out"), server=server).by_name()
        assert (results["cloudshark"]["error"], results["local"]["attempts"]) == ("HTTP 403: go away", 3)
        assert "No such file or directory" in results["local"]["error"]
        (tmp_path / "out").mkdir()
        results = run(capture, "--directory", str(tmp_path / "out"), server=server).by_name()
    assert results["local"] == {"name": "local", "ok": True, "error": None, "attempts": 1,
                                "url": str(tmp_path / "out" / capture.name)}
    assert (tmp_path / "out" / capture.name).read_bytes() == CONTENT


# --- the receiver is strict ---


def form(*parts, end="--=_b--\r\n"):
    return b"".join(f"--=_b\r\n{head}\r\n\r\n".encode() + body + b"\r\n" for head, body in parts) + end.encode()


FILE = ('Content-Disposition: form-data; name="file"; filename="a.pcap"', CONTENT)
TYPE = "multipart/form-data; boundary==_b"
UPLOAD, SEARCH = "/api/v1/T/upload", "/api/v1/T/search"


@pytest.mark.parametrize("status, body, method, path, headers", [pytest.param(*case[1:], id=case[0]) for case in [
    ("good", 200, form(FILE), "POST", UPLOAD, {}),
    ("method", 405, form(FILE), "PUT", UPLOAD, {}),
    ("path", 404, form(FILE), "POST", UPLOAD + "s", {}),
    ("token", 401, form(FILE), "POST", "/api/v1/X/upload", {}),
    ("type", 415, CONTENT, "POST", UPLOAD, {"Content-Type": "application/octet-stream"}),
    ("other boundary", 400, form(FILE), "POST", UPLOAD, {"Content-Type": "multipart/form-data; boundary=c"}),
    ("no part", 400, form(), "POST", UPLOAD, {}),
    ("two files", 400, form(FILE, FILE), "POST", UPLOAD, {}),
    ("no end", 400, form(FILE, end=""), "POST", UPLOAD, {}),
    ("text after", 400, form(FILE) + b"more", "POST", UPLOAD, {}),
    ("text before", 400, b"before" + form(FILE), "POST", UPLOAD, {}),
    ("no file name", 400, form(('Content-Disposition: form-data; name="file"', CONTENT)), "POST", UPLOAD, {}),
    ("unknown field", 400, form(FILE, ('Content-Disposition: form-data; name="tags"', b"x")), "POST", UPLOAD, {}),
    ("cut capture", 422, form((FILE[0], CONTENT[:-1])), "POST", UPLOAD, {}),
    ("empty capture", 422, form((FILE[0], b"")), "POST", UPLOAD, {}),
    ("two lengths", 400, b"", "POST", UPLOAD, {"Transfer-Encoding": "chunked"}),
    ("search with a body", 400, b"x", "GET", SEARCH + "?search[filename]=a", {}),
    ("search for nothing", 400, None, "GET", SEARCH + "?search[filename]=", {}),
    ("search by another field", 400, None, "GET", SEARCH + "?search[tags][]=a", {}),
    ("search with a wrong token", 401, None, "GET", "/api/v1/X/search?search[filename]=a", {}),
]])
def test_receiver_is_strict(status, body, method, path, headers):
    with CloudSharkServer("T") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request(method, path, body, {} if body is None else {"Content-Type": TYPE, **headers, "Content-Length": str(len(body))})
        response = connection.getresponse()
        reply = json.loads(response.read())
        connection.close()
    assert response.status == status
    assert status == 200 or (reply["status"] == status and reply["exceptions"] == server.faults)


def test_receiver_program_prints_its_port_and_each_upload(capture, tmp_path):
    program = os.path.join(os.path.dirname(__file__), "lib", "cloudshark_server.py")
    behaviour = json.dumps([{"kind": "refuse", "status": 503, "exceptions": ["warming up"]}])
    command = ["/usr/bin/python3", program, "--port", "0", "--token", TOKEN, "--dir", str(tmp_path), "--behaviour", behaviour]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with contextlib.closing(process.stdout):
        port = json.loads(process.stdout.readline())["port"]
        assert run(capture, "--tags", "a,b", port=port).only["attempts"] == 2
        line = json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(timeout=20) == 0
    assert line["filename"] == capture.name and line["fields"] == {"additional_tags": "a,b"}
    assert line["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    with open(line["path"], "rb") as file:
        assert file.read() == CONTENT


def test_behaviour_names_exist():
    assert Behaviour(**{"kind": "hang-after"}) == hang("after")
