# SPDX-License-Identifier: BSD-2-Clause
"""The S3 sink without the daemon: tests/probes/upload_probe.c delivers files to a strict or faulty S3 of the tests' own. Every run checks that
no secret, token or signature appears anywhere, that nothing is written twice under two names, and that no multipart upload is left."""

import json
import os
import re
import signal
import subprocess

import pytest

from lib import sigv4
from lib.daemon import PROGRAM, is_sanitized
from lib.s3_server import Fault, Key, S3Server, json_key, lasting, sts_key
from lib.swift_server import SwiftServer
from lib.waiting import seconds

PROBE = os.environ.get("UPLOAD_PROBE", os.path.join(os.path.dirname(PROGRAM), "tests", "probes", "upload_probe"))
ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CONTENT = b"\xd4\xc3\xb2\xa1\x02\0\x04\0" + bytes(range(256)) * 7
LARGE = 11 << 20  # 3 parts
NAME = "made.pcap"


@pytest.fixture
def capture(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def server():
    with S3Server() as running:
        yield running
        assert running.faults == [] and running.errors == []


class Probe:
    def __init__(self, what, *options, server, id=ID, secret=SECRET, environment=None, endpoint=None, attempts=3, bucket="captures"):
        command = [PROBE, "--attempts", str(attempts), "--first-backoff-ms", "1", "--max-backoff-ms", "4", "--s3-endpoint", endpoint or server.url,
                   "--s3-bucket", bucket, *options]
        if id:
            command += ["--s3-id", id, "--s3-secret", secret]
        command += ["--size", str(what)] if isinstance(what, int) else [str(what)]
        inherited = {name: value for name, value in os.environ.items() if not re.match(r"AWS_|HOME$|.*_proxy$", name, re.IGNORECASE)}
        self.server = server
        self.secrets = {SECRET, secret} | {key.secret for key in server.keys.values()} | {key.token for key in server.keys.values()} - {""}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=inherited | {"AWS_EC2_METADATA_DISABLED": "true"} | (environment or {}))

    def wait(self, timeout=60):
        try:
            out, self.err = self.process.communicate(timeout=seconds(timeout))
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the probe did not end: {self.process.communicate()}") from None
        assert self.process.returncode == 0, (out, self.err)
        for secret in self.secrets:
            assert secret not in out and secret not in self.err, "a secret leaked"
        assert not re.search(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", out + self.err), "a signature leaked"
        self.lines = [json.loads(line) for line in out.splitlines()]
        self.end = self.lines.pop()
        for delivery in self.lines:
            assert delivery["opens"] == delivery["closes"], delivery
        self.results = [delivery["results"][0] for delivery in self.lines]
        self.only = self.results[0]
        return self


def run(*args, **options):
    return Probe(*args, **options).wait()


def check_made(content, size):
    """Whether it is the probe's generated file (tests/probes/upload_probe.c), byte for byte."""
    records, bytes_in_order = size // 65536 + 1, bytes(range(256)) * 258
    assert len(content) == 24 + records * 65536
    for record in range(records):
        start = 24 + record * 65536
        first, second = (record + start) & 255, (record + 1 + start + 65512) & 255
        wanted = bytes_in_order[first + 16:first + 65512] + bytes_in_order[second:second + 24]
        assert content[start + 16:start + 65536] == wanted, f"record {record}"


def only_object(server, content=CONTENT, bucket="captures"):
    """The bucket's only object."""
    (key, found), = server.objects[bucket].items()
    assert server.uploads == {}
    if content is not None:
        assert found.content == content
    return key, found


# --- the test server itself: AWS's published examples ---


@pytest.mark.parametrize("method,target,headers,payload,expected", [
    ("GET", "/test.txt", [("Range", "bytes=0-9")], b"", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    ("PUT", "/test%24file.text", [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
     b"Welcome to Amazon S3.", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
    ("GET", "/?lifecycle", [], b"", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    ("GET", "/?prefix=J&max-keys=2", [], b"", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
])
def test_published_examples_of_signatures(method, target, headers, payload, expected):
    time, hashed = "20130524T000000Z", sigv4.sha256(payload)
    headers = [("Host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", time), ("x-amz-content-sha256", hashed), *headers]
    signed = sorted(name.lower() for name, _ in headers)
    canonical = sigv4.canonical_request(method, target, headers, signed, hashed)
    assert sigv4.signature("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", time, "us-east-1", "s3", canonical) == expected


# --- what arrives ---


def test_small_file_is_one_request(capture, server):
    outcome = run(capture, "--tags", "customer:ACME,node:n1", "--s3-folder", "/pcaps/edge//", server=server)
    key, found = only_object(server)
    assert key == f"pcaps/edge/{NAME}" and found.writes == 1 and found.parts == 0
    assert found.headers == {"x-amz-meta-tags": "customer:ACME,node:n1"} and found.content_type == "application/octet-stream"
    assert outcome.only == {"name": "s3", "ok": True, "url": f"s3://captures/pcaps/edge/{NAME}", "error": None, "attempts": 1}
    assert server.counts == {"put": 1}


@pytest.mark.parametrize("checksums", [True, False])
def test_large_file_is_parts_that_are_checked(server, checksums):
    server.checksums = checksums
    outcome = run(LARGE, "--tags", "a", "--s3-acl", "bucket-owner-full-control", "--s3-encryption", "AES256", server=server)
    key, found = only_object(server, None)
    check_made(found.content, LARGE)
    assert outcome.only["ok"] and key == NAME and found.parts == 3 and found.writes == 1
    assert found.headers == {"x-amz-meta-tags": "a", "x-amz-acl": "bucket-owner-full-control", "x-amz-server-side-encryption": "AES256"}
    assert server.counts == {"create": 1, "part": 3, "complete": 1} and outcome.lines[0]["opens"] == 1


def test_memory_stays_small_and_many_files_share_it(server):
    outcome = run(20 << 20, "--files", "4", "--parallel", "4", server=server)
    assert all(result["ok"] for result in outcome.results) and len(server.objects["captures"]) == 4
    assert is_sanitized() or outcome.end["peak_rss_kib"] < 48 * 1024, "four uploads with three parts each would have 60 MiB"


NAMES = ["plain-1.pcap", "a b+c=d:e@f&g,h;i$j!k'l(m)*n~o.pcap", "größe/☃ 100%.pcap", "?query#fragment%2F.pcap"]


@pytest.mark.parametrize("by_host", [False, True])
def test_names_of_any_characters(tmp_path, server, by_host):
    options = ["--s3-host-style"] if by_host else []
    path = tmp_path / NAME
    path.write_bytes(CONTENT)
    for folder in NAMES:
        outcome = run(path, *options, "--s3-folder", folder, server=server,
                      endpoint=f"http://localhost:{server.port}" if by_host else None)
        assert outcome.only["ok"], outcome.only
        assert outcome.only["url"] == f"s3://captures/{folder}/{NAME}"
    assert set(server.objects["captures"]) == {f"{folder}/{NAME}" for folder in NAMES}


@pytest.mark.parametrize("tags,expected", [
    ("größe:1", "=?UTF-8?B?Z3LDtsOfZTox?="),
    ("two  spaces", "=?UTF-8?B?dHdvICBzcGFjZXM=?="),
    (",".join(f"tag{i:04}" for i in range(600)), ",".join(f"tag{i:04}" for i in range(237))),
])
def test_tags_are_metadata(capture, server, tags, expected):
    assert run(capture, "--tags", tags, server=server).only["ok"]
    assert only_object(server)[1].headers == {"x-amz-meta-tags": expected}


def test_kms_key_and_session_token(capture, server):
    server.keys[ID].token = "FwoGZXIvYXdzEBYaD/+token=="
    assert run(capture, "--s3-encryption", "aws:kms", "--s3-kms-key", "arn:aws:kms:us-east-1:1:key/ab", "--s3-token", "FwoGZXIvYXdzEBYaD/+token==",
               server=server).only["ok"]
    assert only_object(server)[1].headers == {"x-amz-server-side-encryption": "aws:kms",
                                              "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:us-east-1:1:key/ab"}


# --- refusals: one attempt, with S3's code and words ---


@pytest.mark.parametrize("options,id,secret,text", [
    ([], ID, "wrong", "HTTP 403: SignatureDoesNotMatch: The request signature we calculated"),
    ([], "AKNOBODY", SECRET, "HTTP 403: InvalidAccessKeyId"),
    (["--s3-token", "odd"], ID, SECRET, "HTTP 400: InvalidToken"),
    (["--s3-acl", "odd"], ID, SECRET, "HTTP 400: InvalidArgument: the canned ACL is unknown"),
    (["--s3-bucket", "none-such"], ID, SECRET, "HTTP 404: NoSuchBucket: The specified bucket does not exist"),
    (["--s3-set-folder", "other"], ID, SECRET, "folder: not allowed: not listed in allow_override of s3"),
    (["--s3-folder", "f" * 1020], ID, SECRET, "folder and file name are longer than S3 allows (1024 bytes)"),
])
def test_refusal_is_final_and_says_why(capture, server, options, id, secret, text):
    outcome = run(capture, *options, server=server, id=id, secret=secret)
    assert (outcome.only["ok"], outcome.only["attempts"], outcome.only["url"]) == (False, 1, None)
    assert outcome.only["error"].startswith(text), outcome.only
    assert server.objects == {}


def test_expired_token_is_a_refusal(capture, server):
    server.keys[ID].expired = True
    assert "ExpiredToken: The provided token has expired." in run(capture, server=server).only["error"]


def test_refused_part_ends_the_upload(server):
    server.fail(Fault("part", "error", times=99, status=403, code="AccessDenied", skip=1))
    outcome = run(LARGE, server=server)
    assert outcome.only["error"].startswith("HTTP 403: AccessDenied: not now") and outcome.only["attempts"] == 1
    assert server.uploads == {} and server.objects == {}


def test_override_goes_where_the_request_says(capture, server):
    assert run(capture, "--s3-set-folder", "other", "--s3-allow", "folder", server=server).only["ok"]
    assert only_object(server)[0] == f"other/{NAME}"


# --- corrections within an attempt ---


@pytest.mark.parametrize("redirects", [True, False])
def test_wrong_region_is_corrected(server, redirects):
    server.regions["captures"], server.redirects = "eu-west-1", redirects
    outcome = run(LARGE, "--s3-region", "us-west-2", server=server)
    assert outcome.only["ok"] and outcome.only["attempts"] == 1
    check_made(only_object(server, None)[1].content, LARGE)
    assert len(server.refusals) == 1 and "s3-region" in outcome.err


@pytest.mark.parametrize("skew", [3600, -86400])
def test_wrong_clock_is_corrected(server, skew):
    server.skew = skew
    outcome = run(LARGE, server=server)
    assert outcome.only["ok"] and outcome.only["attempts"] == 1 and "s3-clock-skew" in outcome.err
    assert server.refusals == ["RequestTimeTooSkewed"]


def test_redirect_without_a_region_is_reported(capture, server):
    server.fail(Fault("put", "error", status=307, code="TemporaryRedirect", headers={"Location": "http://elsewhere.example/"}))
    assert run(capture, server=server).only["error"].startswith(
        "HTTP 307: redirected to http://elsewhere.example/; redirects are not followed, configure region and endpoint")


# --- passing faults, at every place: the file arrives once, whole ---

CUTS = ["early", "close-before", "close-after", "half-close", "lost", "cut", "error", "corrupt"]


@pytest.mark.parametrize("kind", CUTS)
def test_small_file_survives(capture, server, kind):
    server.fail(Fault("put", kind, status=500, code="InternalError"))
    outcome = run(capture, server=server)
    key, found = only_object(server)
    assert outcome.only["ok"] and key == NAME and found.writes <= 2
    assert outcome.only["attempts"] == (1 if kind == "cut" else 2), "the status alone says that the object is there"


@pytest.mark.parametrize("kind", CUTS + ["late"])
def test_large_file_survives(server, kind):
    """Cut at the first request of each kind: a part is sent again by itself, the others cost an attempt."""
    server.fail(*(Fault(when, kind) for when in ("create", "part", "complete") if (when, kind) != ("create", "corrupt") and
                  (when == "complete" or kind != "late")))
    outcome = run(LARGE, server=server, attempts=4)
    key, found = only_object(server, None)
    check_made(found.content, LARGE)
    assert outcome.only["ok"] and key == NAME and found.writes <= 2 and server.scripted == [], outcome.only
    assert outcome.only["attempts"] <= 3 and server.counts["part"] <= 7


def test_faults_that_last_are_reported(server):
    server.fail(Fault("any", "error", times=999))
    outcome = run(LARGE, server=server)
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, 3) and "HTTP 503: SlowDown: not now" in outcome.only["error"]
    assert server.objects == {} and server.uploads == {}


@pytest.mark.parametrize("when", ["part", "complete"])
def test_lasting_fault_leaves_no_upload(server, when):
    server.fail(Fault(when, "close-after", times=999))
    outcome = run(LARGE, server=server, attempts=2)
    assert (outcome.only["ok"], outcome.only["attempts"]) == (False, 2)
    assert server.objects == {} and server.uploads == {}
    assert ("so it may be there" in outcome.only["error"]) == (when == "complete")


def test_hanging_server_is_given_up(capture, server):
    server.fail(Fault("put", "hang-before"), Fault("put", "hang-after"))
    outcome = run(capture, "--stall-s", "1", server=server, attempts=6)
    assert outcome.only["ok"] and outcome.only["attempts"] >= 3, "on a busy machine an answer may take longer, too"
    only_object(server)


def test_slow_server_gets_everything(server):
    server.fail(Fault("part", "slow", times=4))
    assert run(LARGE, "--stall-s", "10", server=server).only["attempts"] == 1
    check_made(only_object(server, None)[1].content, LARGE)


def test_abandoned_upload_has_a_bounded_number_of_parts_under_way(server):
    """The probe ends at once, so there is no time for the abort: test_s3.py has that of the daemon."""
    server.fail(Fault("part", "hang-after", times=99))
    probe = Probe(60 << 20, server=server)
    server.wait(lambda: server.counts.get("part", 0) >= 3)
    probe.process.send_signal(signal.SIGTERM)
    outcome = probe.wait()
    assert not outcome.only["ok"] and outcome.only["error"] == "shutting down"
    assert server.counts["part"] == 3


def test_upload_that_cannot_be_aborted_is_in_the_log(server):
    server.fail(Fault("part", "error", status=403, code="AccessDenied"), Fault("abort", "error", times=9, status=403, code="AccessDenied"))
    outcome = run(LARGE, server=server)
    upload_id, = server.uploads
    assert outcome.only["attempts"] == 1 and "HTTP 403: AccessDenied" in outcome.only["error"]
    assert re.search(rf"s3-upload-left bucket=captures key={NAME} upload=\"?{re.escape(upload_id)}", outcome.err), outcome.err


def test_certificate_is_verified(capture, tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=here",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with S3Server(tls=(certificate, key)) as server:
        assert run(capture, "--ca-file", str(certificate), server=server).only["ok"]
        outcome = run(capture, server=server)
        assert not outcome.only["ok"] and outcome.only["attempts"] == 1 and "certificate" in outcome.only["error"]
        only_object(server)


# --- a service by others ---


def signed(port, method, target, body=b""):
    """A request of our own to Swift; returns (status, headers, body)."""
    import datetime
    import http.client
    time, hashed = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ"), sigv4.sha256(body)
    headers = {"host": f"127.0.0.1:{port}", "x-amz-content-sha256": hashed, "x-amz-date": time}
    canonical = sigv4.canonical_request(method, target, list(headers.items()), sorted(headers), hashed)
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential=test:tester/{time[:8]}/us-east-1/s3/aws4_request, SignedHeaders={';'.join(sorted(headers))}, "
                                f"Signature={sigv4.signature('testing', time, 'us-east-1', 's3', canonical)}")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds(20))
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def test_swift_takes_files_and_refuses_wrong_keys(capture, server, tmp_path):
    with SwiftServer(tmp_path / "swift") as swift:
        assert signed(swift.port, "PUT", "/captures")[0] == 200
        options = {"server": server, "id": "test:tester", "secret": "testing", "endpoint": f"http://127.0.0.1:{swift.port}"}
        folder = "a b+c=d/größe ☃"
        assert run(capture, "--s3-folder", folder, "--tags", "customer:ACME,größe:1", **options).only["ok"]
        status, headers, body = signed(swift.port, "GET", "/captures/" + sigv4.quote(f"{folder}/{NAME}", "/"))
        assert (status, body) == (200, CONTENT) and headers["x-amz-meta-tags"] == "=?UTF-8?B?Y3VzdG9tZXI6QUNNRSxncsO2w59lOjE=?="
        outcome = run(LARGE, "--s3-region", "eu-west-1", "--tags", "a", **options)
        assert outcome.only["ok"] and outcome.only["attempts"] == 1 and "s3-region" in outcome.err, outcome.only
        status, headers, body = signed(swift.port, "GET", f"/captures/{NAME}")
        check_made(body, LARGE)
        assert headers["x-amz-meta-tags"] == "a"
        assert b"<Upload>" not in signed(swift.port, "GET", "/captures?uploads=")[2]
        outcome = run(capture, **{**options, "secret": "wrong"})
        assert outcome.only["error"].startswith("HTTP 403: SignatureDoesNotMatch: ") and outcome.only["attempts"] == 1
        outcome = run(capture, bucket="none-such", **options)
        assert outcome.only["error"].startswith("HTTP 404: NoSuchBucket: ")


# --- where the key comes from ---

TEMPORARY, TOKEN = "ASIATEMPORARY", "session/token+of=length"


@pytest.fixture
def services(server):
    server.keys[TEMPORARY] = Key("temporary/secret", TOKEN)
    return server


def key_run(what, server, *options, **environment):
    return run(what, *options, server=server, id=None, environment=environment)


def test_key_of_the_environment(capture, services):
    assert key_run(capture, services, AWS_ACCESS_KEY_ID=TEMPORARY, AWS_SECRET_ACCESS_KEY="temporary/secret", AWS_SESSION_TOKEN=TOKEN).only["ok"]


def test_key_of_a_shared_file(capture, services, tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        f"# comment\n[default]\naws_access_key_id = other\naws_secret_access_key=other\n\n[ night ]\r\naws_access_key_id={TEMPORARY}\r\n"
        f"aws_secret_access_key = temporary/secret\r\naws_session_token={TOKEN}\r\n")
    assert key_run(capture, services, HOME=str(tmp_path), AWS_PROFILE="night").only["ok"]
    outcome = key_run(capture, services, HOME=str(tmp_path), AWS_PROFILE="none")
    assert 'has no profile "none"' in outcome.only["error"] and outcome.only["attempts"] == 3


def test_key_of_a_web_identity(capture, services, tmp_path):
    (tmp_path / "token").write_text("header.payload.signature\n")
    services.services["sts"] = [sts_key(TEMPORARY, "temporary/secret", TOKEN, lasting(3600))]
    variables = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"), "AWS_ROLE_ARN": "arn:aws:iam::1:role/capture",
                 "AWS_ENDPOINT_URL_STS": services.url}
    assert key_run(capture, services, **variables).only["ok"]
    (_, method, _, body, _), = services.key_requests
    assert method == "POST" and body == ("Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fcapture&RoleSessionName=pcapdaemon&"
                                         "Version=2011-06-15&WebIdentityToken=header.payload.signature")
    services.services["sts"] = [(403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized</Message></Error></ErrorResponse>")]
    assert "web identity: STS: HTTP 403: AccessDenied: Not authorized" in key_run(capture, services, **variables).only["error"]


def test_key_of_a_container(capture, services, tmp_path):
    (tmp_path / "token").write_text("pod token\n")
    services.services["container"] = [json_key(TEMPORARY, "temporary/secret", TOKEN, lasting(3600))]
    assert key_run(capture, services, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{services.url}/container/v1/credentials",
                   AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(tmp_path / "token")).only["ok"]
    (_, method, path, _, headers), = services.key_requests
    assert (method, path, headers["Authorization"]) == ("GET", "/container/v1/credentials", "pod token")
    outcome = key_run(capture, services, AWS_CONTAINER_CREDENTIALS_FULL_URI="http://192.0.2.1/container")
    assert "container: http://192.0.2.1/container: plain HTTP is for loopback" in outcome.only["error"]


def instance(server, *keys):
    server.services |= {"token": [(200, "metadata-token")], "instance": [entry for key in keys for entry in ((200, "capture-role\n"), key)]}
    return {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url}


def test_key_of_an_instance_is_fetched_once_for_all(capture, services):
    variables = instance(services, json_key(TEMPORARY, "temporary/secret", TOKEN, lasting(3600)))
    outcome = run(capture, "--files", "12", "--parallel", "8", server=services, id=None, environment=variables)
    assert all(result["ok"] for result in outcome.results)
    assert [(method, path) for _, method, path, _, _ in services.key_requests] == [
        ("PUT", "/latest/api/token"), ("GET", "/latest/meta-data/iam/security-credentials/"),
        ("GET", "/latest/meta-data/iam/security-credentials/capture-role")]
    assert services.key_requests[0][4]["X-aws-ec2-metadata-token-ttl-seconds"] and services.key_requests[1][4]["X-aws-ec2-metadata-token"] == "metadata-token"


def test_expired_key_is_renewed(capture, services):
    """The service says that it has expired, although it should live on; the same attempt goes on with a new one."""
    services.keys["ASIAOLD"] = Key("old/secret", "old/token", expired=True)
    variables = instance(services, json_key("ASIAOLD", "old/secret", "old/token", lasting(3600)),
                         json_key(TEMPORARY, "temporary/secret", TOKEN, lasting(3600)))
    outcome = run(capture, server=services, id=None, environment=variables)
    assert outcome.only["ok"] and outcome.only["attempts"] == 1 and services.refusals == ["ExpiredToken"]


def test_key_that_is_about_to_expire_is_not_used(services):
    """Another one is fetched first; tests/unit/sink/test_aws_credentials.c has the renewal of one that still signs."""
    services.keys["ASIASHORT"] = Key("short/secret", "short/token")
    variables = instance(services, json_key("ASIASHORT", "short/secret", "short/token", lasting(4)),
                         json_key(TEMPORARY, "temporary/secret", TOKEN, lasting(3600)))
    outcome = run(LARGE, server=services, id=None, environment=variables)
    assert outcome.only["ok"] and outcome.err.count("s3-credentials ") == 2


def test_every_source_that_was_tried_is_named(capture, server):
    outcome = key_run(capture, server)
    assert outcome.only["error"] == (
        "no access key: configuration: accessid is not set; environment: AWS_ACCESS_KEY_ID is not set; shared file: neither "
        "AWS_SHARED_CREDENTIALS_FILE nor HOME is set; web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set; container: "
        "AWS_CONTAINER_CREDENTIALS_… is not set; instance metadata: AWS_EC2_METADATA_DISABLED is set")
    assert server.counts == {}
