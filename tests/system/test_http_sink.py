# SPDX-License-Identifier: BSD-2-Clause
"""The HTTP sink without the daemon: tests/probes/upload_probe.c delivers a file to a strict server, to a faulty one, through a faulty proxy,
and to a real nginx. Every run checks that no secret appears in what the probe prints."""

import os
import subprocess

import pytest

from lib.cloudshark_server import Behaviour, answer, close, hang, redirect, refuse
from lib.faulty_proxy import FaultyProxy, corrupt, cut, refuse as refuse_connection, stall
from lib.pki import Pki
from lib.redis_probe import free_port
from lib.upload_probe import CONTENT, NAME, Probe
from lib.upload_server import UploadServer
from lib.waiting import seconds, until

SECRETS = ("s1g/nature+value==", "s1g%2Fnature%2Bvalue%3D%3D", "bearer-t0ken/xyz", "bearer-t0ken%2Fxyz", "pa55w0rd", "api-key-0123456789")
QUERY = "sv=2022-11-02&sig=s1g%2Fnature%2Bvalue%3D%3D"
MIB = 1 << 20


@pytest.fixture
def probe(tmp_path):
    return Probe(tmp_path, SECRETS)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


def url(port, path="{name}", query="", scheme="http", host="127.0.0.1"):
    return f"{scheme}://{host}:{port}/{path}{'?' + query if query else ''}"


# --- a delivery ---

def test_put_arrives_under_a_name_made_of_the_capture(probe):
    with UploadServer() as server:
        template = url(server.port, "{customer}/{node}/{interface}/{date}-{time}/{id}/{capture}/{name}", "c={customer}&format=probe&" + QUERY)
        outcome = probe.run("--http-url", template, "--customer", "../ACME & Söhne", "--tags", "a,b", "--comment", "x\r\ny",
                            "--http-header", "x-ms-blob-type: BlockBlob", "--http-header", "X-Tags: {tags}/{comment}",
                            "--http-token", "bearer-t0ken/xyz")
    path = f"/_._ACME%20%26%20S%C3%B6hne/n1/eth0/2026-11-23-084100/probe/probe.1/{NAME}"
    assert outcome.only == {"name": "http", "ok": True, "error": None, "attempts": 1, "url": f"http://127.0.0.1:{server.port}{path}"}
    stored = server.only
    assert (stored.method, stored.content) == ("PUT", CONTENT)
    assert stored.path == f"{path}?c=..%2FACME%20%26%20S%C3%B6hne&format=probe&{QUERY}"
    headers = stored.headers
    assert headers["x-ms-blob-type"] == "BlockBlob" and headers["x-tags"] == "a,b/x  y" and headers["authorization"] == "Bearer bearer-t0ken/xyz"
    assert headers["content-type"] == "application/octet-stream" and headers["content-length"] == str(len(CONTENT))
    assert not {"expect", "transfer-encoding", "cookie"} & set(headers) and server.faults == []


def test_post_sends_the_file_or_a_form(probe):
    with UploadServer() as server:
        raw = probe.run("--http-url", url(server.port, "in"), "--http-post", "--http-header", "content-type: application/x-pcap",
                        "--http-username", "user", "--http-password", "pa55w0rd")
        form = probe.run("--http-url", url(server.port, "in"), "--http-post", "--http-form-field", "capture", "--http-form", "note={tags}=x",
                         "--http-form", "empty=", "--tags", "t,ü")
        assert raw.only["ok"] and form.only["ok"] and form.only["url"] == f"http://127.0.0.1:{server.port}/in"
        first, second = server.uploads
    assert (first.method, first.content, first.headers["content-type"]) == ("POST", CONTENT, "application/x-pcap")
    assert first.headers["authorization"] == "Basic dXNlcjpwYTU1dzByZA=="
    fields = [(name, filename, content) for name, filename, _, content in second.parts]
    assert fields == [("note", None, "t,ü=x".encode()), ("empty", None, b""), ("capture", NAME, CONTENT)]
    assert server.faults == []


def test_large_file_is_never_whole_in_memory(probe):
    with UploadServer() as server:
        outcome = probe.run("--size", str(64 * MIB), "--http-url", url(server.port))
        assert outcome.only["ok"] and len(server.only.content) > 64 * MIB
    assert outcome.end["peak_rss_kib"] < 40 * 1024


def test_client_certificate_is_shown_and_server_names_are_verified(probe, pki):
    with UploadServer(tls=(pki.cert, pki.key)) as server:
        server.tls.load_verify_locations(pki.ca)
        server.tls.verify_mode = 2  # ssl.CERT_REQUIRED
        client = ("--cert-file", pki.client_cert, "--key-file", pki.client_key)
        target = ("--http-url", url(server.port, scheme="https", host="localhost"))
        assert probe.run(*target, *client, "--ca-file", pki.ca).only["ok"]
        assert not probe.run(*target, "--ca-file", pki.ca, attempts=1).only["ok"]
        unknown = probe.run(*target, *client).only
        assert (unknown["ok"], unknown["attempts"]) == (False, 1) and "certificate" in unknown["error"], unknown
        assert len(server.uploads) == 1


def test_url_that_is_replaced_on_disk_is_used_for_the_next_attempt(probe, tmp_path):
    """An expired SAS: the first attempt is refused, and the file has changed meanwhile."""
    path = tmp_path / "url"
    with UploadServer() as server:
        path.write_text(url(server.port, "old", QUERY))

        def replace(record):
            if record.path.startswith("/old"):
                (tmp_path / "new").write_text(url(server.port, "new", QUERY))
                os.replace(tmp_path / "new", path)

        server.on_request = replace
        server.behave([refuse(403, "expired")])
        outcome = probe.run("--http-url", "http://127.0.0.1:1/unused", "--http-url-file", path)
    assert (outcome.only["ok"], outcome.only["attempts"], server.only.path) == (True, 2, "/new?" + QUERY)


# --- refusals and faults of the server ---

ECHO = ("<Error><Code>AuthFailed</Code> {path} signature s1g/nature+value== did not match, token {authorization} "
        "key api-key-0123456789 json s1g\\/nature+value==</Error>")


def test_secrets_that_a_server_repeats_are_hidden(probe):
    with UploadServer(required={"x-never": "1"}, echo=ECHO) as server:
        outcome = probe.run("--http-url", url(server.port, "a", QUERY), "--http-token", "bearer-t0ken/xyz",
                            "--http-header", "X-Api-Key: api-key-0123456789")
    error = outcome.only["error"]
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, 1)
    assert error.startswith("HTTP 403: AuthFailed /a?sv=***&sig=*** signature *** did not match, token Bearer *** key ***"), error


def test_redirect_is_refused_and_shown_without_its_query(probe):
    with UploadServer(behaviour=redirect(f"https://elsewhere.example/x?{QUERY}")) as server:
        outcome = probe.run("--http-url", url(server.port, "a", QUERY))
        assert len(server.requests) == 1
    assert "redirected to https://elsewhere.example/x;" in outcome.only["error"] and not outcome.only["ok"]


SIZE = ("--size", str(8 * MIB))
REPEATS = {
    "429 with seconds": answer("", 429, **{"Retry-After": "1"}),
    "503": refuse(503, "SlowDown"),
    "500 before the body is read": refuse(500, "x", early=True),
    "2xx before the body is read": Behaviour("refuse-early", 200),
    "closed within the body": close("before"),
    "closed without an answer": close("after"),
    "closed within the answer": Behaviour("raw", body="HTTP/1.1 50"),
}


@pytest.mark.parametrize("fault", REPEATS)
def test_transient_fault_is_repeated_until_the_file_is_there(probe, fault):
    with UploadServer(behaviour=[REPEATS[fault]]) as server:
        outcome = probe.run(*SIZE, "--http-url", url(server.port, "x/{name}", QUERY))
        assert (outcome.only["ok"], outcome.only["attempts"]) == (True, 2), outcome.only
        assert server.only.content == probe.made(8 * MIB), "one copy, byte for byte"


REFUSALS = {
    "413 before the body is read": (refuse(413, "too large", early=True), "HTTP 413: "),
    "404": (refuse(404, "no bucket"), "HTTP 404: "),
    "412": (answer("exists", 412), "HTTP 412: exists"),
    "no HTTP": (Behaviour("raw", body="SSH-2.0-x\r\n"), "Received HTTP/0.9"),
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_final_refusal_is_reported_at_once(probe, fault):
    behaviour, reason = REFUSALS[fault]
    with UploadServer(behaviour=behaviour) as server:
        outcome = probe.run(*SIZE, "--http-url", url(server.port, "x", QUERY))
        assert (outcome.only["ok"], outcome.only["attempts"], len(server.uploads)) == (False, 1, 0), outcome.only
    assert outcome.only["error"].startswith(reason), outcome.only


def test_continue_is_waited_for_where_it_is_configured(probe):
    expect = ("--http-header", "Expect: 100-continue")
    with UploadServer() as server:
        assert probe.run(*SIZE, "--http-url", url(server.port), *expect).only["ok"]
        server.behave(refuse(413, "too large", early=True))
        outcome = probe.run(*SIZE, "--http-url", url(server.port), *expect)
    assert server.only.headers["expect"] == "100-continue"
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, 1) and "HTTP 413" in outcome.only["error"]


def test_unanswered_post_is_sent_again_a_few_times_only(probe):
    """The server may have taken it each time."""
    with UploadServer(behaviour=close("after")) as server:
        outcome = probe.run("--http-url", url(server.port, "in"), "--http-post", attempts=9)
        assert len(server.requests) == 3
    assert not outcome.only["ok"] and "it may be there" in outcome.only["error"], outcome.only


def test_silent_server_ends_at_the_time_limit(probe):
    with UploadServer(behaviour=hang()) as server:
        outcome = probe.run("--http-url", url(server.port), "--timeout-ms", "300", attempts=2)
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, 2) and "timed out" in outcome.only["error"].lower()


# --- faults on the way ---

CUTS = [cut(up=0, down=None), cut(up=100), cut(up=100_000, reset=True), cut(up=8 * MIB), cut(down=0), cut(down=9), cut(up=3 * MIB), refuse_connection()]


def test_cut_connections_never_leave_a_part_or_a_second_name(probe):
    with UploadServer() as server, FaultyProxy(server.port, CUTS) as proxy:
        outcome = probe.run(*SIZE, "--http-url", url(proxy.port, "x/{name}", QUERY), attempts=len(CUTS) + 1)
        assert outcome.only["ok"] and server.only.content == probe.made(8 * MIB), outcome.only
        assert len(proxy.met) == len(CUTS), proxy.met


def test_byte_changed_on_the_way_is_noticed_with_tls(probe, pki):
    with UploadServer(tls=(pki.cert, pki.key)) as server, FaultyProxy(server.port, [corrupt(up=2 * MIB), stall(up=2 * MIB)]) as proxy:
        outcome = probe.run(*SIZE, "--http-url", url(proxy.port, scheme="https", host="localhost"), "--ca-file", pki.ca, "--timeout-ms", "1000")
        assert (outcome.only["ok"], outcome.only["attempts"]) == (True, 3), outcome.only
        assert server.only.content == probe.made(8 * MIB)


def test_nothing_that_listens_is_reported(probe):
    outcome = probe.run("--http-url", url(1, "x", QUERY), attempts=2)
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, 2) and "connect" in outcome.only["error"].lower()


# --- a real server ---

NGINX = """
daemon off; master_process off; pid {root}/pid; error_log stderr; worker_rlimit_nofile 256;
events {{ worker_connections 64; }}
http {{ access_log off; client_body_temp_path {root}/temp; proxy_temp_path {root}/t1; fastcgi_temp_path {root}/t2; uwsgi_temp_path {root}/t3;
  scgi_temp_path {root}/t4; client_max_body_size 1m;
  server {{ listen 127.0.0.1:{port}; root {root}/files; location / {{ dav_methods PUT; create_full_put_path on; dav_access user:rw; }} }} }}
"""


def test_nginx_takes_a_file_and_its_repetition_and_refuses_what_is_too_large(probe, tmp_path):
    port, files = free_port(), tmp_path / "files"
    files.mkdir()
    (tmp_path / "nginx.conf").write_text(f"user root;\n" + NGINX.format(root=tmp_path, port=port))
    nginx = subprocess.Popen(["nginx", "-e", "stderr", "-c", tmp_path / "nginx.conf"], stderr=subprocess.PIPE)
    try:
        until(lambda: probe.run("--http-url", url(port, "{customer}/{name}"), "--customer", "a/../b c").only["ok"], 10)
        assert probe.run("--http-url", url(port, "{customer}/{name}"), "--customer", "a/../b c").only["ok"], "204, replaces the same file"
        stored = [path for path in files.rglob("*") if path.is_file()]
        assert [path.relative_to(files).as_posix() for path in stored] == [f"a_.._b c/{NAME}"] and stored[0].read_bytes() == CONTENT
        large = probe.run(*SIZE, "--http-url", url(port)).only
        assert (large["ok"], large["attempts"]) == (False, 1) and large["error"].startswith("HTTP 413: 413 Request Entity Too Large")
    finally:
        nginx.terminate()
        nginx.communicate(timeout=seconds(10))
