#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A strict S3: recomputes the signature from the raw request, the body's hash and checksum; keeps the state of multipart uploads; answers
with S3's codes. It can fail on purpose, at every kind of place: see `Fault`. It also plays the services that hand out access keys: STS, a
container's and an instance's metadata.

In a test:     with S3Server() as server: … server.objects["bucket"]["key"]
From a shell:  s3_server.py --port 0 --key ID:SECRET --bucket B --dir D
               prints {"port": …} first, then one line of JSON for every object; the files are kept in D.
Standard library only."""

import argparse
import base64
import contextlib
import dataclasses
import datetime
import email.utils
import hashlib
import hmac
import http.server
import json
import os
import secrets
import signal
import socket
import ssl
import sys
import threading
import time
import urllib.parse
import xml.etree.ElementTree
from xml.sax.saxutils import escape

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import sigv4  # noqa: E402

MIB = 1 << 20
PART_MIN = 5 * MIB
BODY_MAX = 1 << 30
ACLS = {"private", "public-read", "bucket-owner-full-control", "authenticated-read"}
OBJECT_HEADERS = {"x-amz-acl", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-meta-tags",
                  "x-amz-checksum-algorithm"}
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclasses.dataclass
class Fault:
    """What happens to the next `times` requests of kind `when` (put create part complete abort list any), after `skip` of them.
    error           answers `status` with S3's `code`, after the body was read
    early           answers so before the body is read, and closes
    hang-before     reads only the head, and never answers
    hang-after      reads the request, never answers
    close-before    resets the connection after half of the body
    close-after     reads the request, closes without an answer
    half-close      reads the request, ends its own side of the connection, and waits for the client
    lost            carries the request out, and closes without an answer
    cut             carries the request out, and closes in the middle of the answer
    late            carries out "complete" not at all: 200 with an error in the body
    corrupt         a bit of the body flips on its way
    slow            reads 16 KiB at a time"""
    when: str
    kind: str
    times: int = 1
    skip: int = 0
    status: int = 503
    code: str = "SlowDown"
    headers: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Object:
    content: bytes
    headers: dict  # OBJECT_HEADERS as sent
    content_type: str = ""
    writes: int = 1  # how often it was written
    parts: int = 0  # 0: one PUT


@dataclasses.dataclass
class Upload:
    bucket: str
    key: str
    headers: dict
    content_type: str
    checksummed: bool
    parts: dict = dataclasses.field(default_factory=dict)  # number → (etag, checksum, content)


@dataclasses.dataclass
class Key:
    secret: str
    token: str = ""
    expired: bool = False


class Refused(Exception):
    def __init__(self, status, code, message, headers=None, extra=""):
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message, self.headers, self.extra = status, code, message, headers or {}, extra


class Closed(Exception):
    """The connection ends here."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner = None

    def log_message(self, *_):
        pass

    def setup(self):
        if self.owner.tls:
            self.request = self.owner.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            super().handle()

    # --- answering ---

    def answer(self, status, body=b"", headers=None, cut=False):
        body = body.encode() if isinstance(body, str) else body
        head = {"x-amz-request-id": secrets.token_hex(8).upper(), "Date": self.owner.date(), "Server": "S3", **(headers or {})}
        if status != 204:
            head |= {"Content-Length": str(len(body))}
        if body:
            head |= {"Content-Type": "application/xml"}
        text = f"HTTP/1.1 {status} Answer\r\n" + "".join(f"{name}: {value}\r\n" for name, value in head.items()) + "\r\n"
        data = text.encode() + (b"" if self.command == "HEAD" else body)
        self.wfile.write(data[:len(text) // 2 if not body else len(text) + len(body) // 2] if cut else data)
        self.wfile.flush()
        if cut:
            raise Closed

    def refuse(self, status, code, message, headers=None, extra=""):
        self.owner.note_refusal(code)
        self.answer(status, f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{escape(message)}</Message>{extra}'
                            f"<StringToSign>secret things</StringToSign></Error>", headers)

    # --- a request ---

    def do_any(self):
        self.close_connection = False
        try:
            self.serve()
        except Closed:
            self.close_connection = True
        except (sigv4.Malformed, UnicodeDecodeError, ValueError) as error:
            self.owner.faults.append(f"{self.command} {self.path}: {error}")
            self.close_connection = True
            self.refuse(400, "InvalidRequest", str(error))

    do_PUT = do_POST = do_GET = do_DELETE = do_HEAD = do_any

    def serve(self):
        path, _, query = self.path.partition("?")
        if self.owner.is_service(path, self.headers.get("Content-Type", "")):
            body = self.read_body()
            self.answer(*self.owner.serve_key(self.command, path, body, self.headers))
            return
        self.find_bucket(urllib.parse.unquote(path))
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        operation = self.operation()
        fault = self.owner.take_fault(operation)
        kind = fault.kind if fault else None
        if kind == "hang-before":
            self.hang()
        if kind == "early":
            self.refuse(fault.status, fault.code, "not now", {"Connection": "close", **fault.headers})
            self.connection.shutdown(socket.SHUT_WR)
            while self.connection.recv(65536):
                pass
            raise Closed
        if kind == "close-before":
            self.rfile.read(self.length() // 2)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            raise Closed
        body = self.read_body(slow=kind == "slow")
        if kind == "corrupt":
            body = bytes([body[0] ^ 1]) + body[1:]
        if kind == "hang-after":
            self.hang()
        if kind == "close-after":
            raise Closed
        if kind == "half-close":
            self.connection.shutdown(socket.SHUT_WR)
            self.hang()
        try:
            self.authenticate(body)
            if kind == "error":
                raise Refused(fault.status, fault.code, "not now", fault.headers)
            if kind == "late":
                self.answer(200, "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>")
                return
            answer = getattr(self, f"do_{operation}")(body)
        except Refused as refused:
            self.refuse(refused.status, refused.code, refused.message, refused.headers, refused.extra)
            return
        if kind == "lost":
            raise Closed
        self.answer(*answer, cut=kind == "cut")

    def hang(self):
        while self.connection.recv(65536):
            pass
        raise Closed

    def length(self):
        if "Transfer-Encoding" in self.headers or not (self.headers.get("Content-Length") or "0").isdigit():
            raise ValueError("Content-Length is missing or wrong")
        if self.command in ("PUT", "POST") and "Content-Length" not in self.headers:
            raise ValueError("Content-Length is missing")
        return int(self.headers.get("Content-Length", 0))

    def read_body(self, slow=False):
        left, pieces = self.length(), []
        if left > BODY_MAX:
            raise ValueError("the body is too large")
        while left:
            piece = self.rfile.read(min(left, 16384 if slow else MIB))
            if not piece:
                raise Closed
            if slow:
                time.sleep(0.0005)  # the slowness under test, not a wait for something
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    # --- where it goes ---

    def find_bucket(self, path):
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        bucket, dot, _ = host.partition(".")
        if dot and host.endswith(".localhost"):
            self.by_host = True
            self.bucket, self.key = bucket, path[1:]
        else:
            self.by_host = False
            self.bucket, _, self.key = path[1:].partition("/")

    def operation(self):
        if self.command == "GET":
            return "list" if "uploads" in self.query else "get"
        if self.command == "DELETE":
            return "abort"
        if self.command == "POST":
            return "create" if "uploads" in self.query else "complete"
        return "part" if "uploadId" in self.query else "put"

    # --- signatures ---

    def authenticate(self, body):
        owner, headers = self.owner, self.headers
        key_id, date, region, service, signed, given = sigv4.parse_authorization(headers.get("Authorization", ""))
        key = owner.keys.get(key_id)
        now = owner.now()
        when = headers.get("x-amz-date", "")
        if not key:
            raise Refused(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
        bucket = owner.regions.get(self.bucket)
        if bucket is None:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
        if region != bucket:
            self.refuse_region(region, bucket)
        sent = datetime.datetime.strptime(when, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        if when[:8] != date or service != "s3":
            raise sigv4.Malformed("the scope is not the request's")
        if abs((sent - now).total_seconds()) > 900:
            raise Refused(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
        unsigned = [name.lower() for name in headers if name.lower() not in signed and
                    (name.lower().startswith("x-amz-") or name.lower() in ("host", "content-type"))]
        if unsigned:
            raise Refused(403, "AccessDenied", f"There were headers present in the request which were not signed: {unsigned}")
        payload = headers.get("x-amz-content-sha256", "")
        canonical = sigv4.canonical_request(self.command, self.path, headers.items(), signed, payload)
        if not hmac.compare_digest(sigv4.signature(key.secret, when, region, service, canonical), given):
            raise Refused(403, "SignatureDoesNotMatch", f"The request signature we calculated does not match the signature you provided. {given}")
        if headers.get("x-amz-security-token", "") != key.token:
            raise Refused(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
        if key.expired:
            raise Refused(400, "ExpiredToken", "The provided token has expired.")
        if payload != sigv4.sha256(body):
            raise Refused(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
        checksum = headers.get("x-amz-checksum-sha256")
        if checksum is not None and checksum != base64.b64encode(hashlib.sha256(body).digest()).decode():
            raise Refused(400, "BadDigest", "The SHA256 you specified did not match the calculated checksum.")

    def refuse_region(self, used, right):
        if self.owner.redirects:
            raise Refused(301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.",
                          {"x-amz-bucket-region": right}, f"<Endpoint>{self.bucket}.s3.{right}.amazonaws.com</Endpoint>")
        raise Refused(400, "AuthorizationHeaderMalformed", f"The authorization header is malformed; the region '{used}' is wrong; expecting "
                      f"'{right}'", extra=f"<Region>{right}</Region>")

    # --- operations: each returns the arguments of answer() ---

    def object_headers(self):
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() in OBJECT_HEADERS}
        encryption = headers.get("x-amz-server-side-encryption")
        if headers.get("x-amz-acl", "private") not in ACLS:
            raise Refused(400, "InvalidArgument", "the canned ACL is unknown")
        if encryption not in (None, "AES256", "aws:kms", "aws:kms:dsse"):
            raise Refused(400, "InvalidEncryptionAlgorithmError", "The encryption request you specified is not valid.")
        if "x-amz-server-side-encryption-aws-kms-key-id" in headers and not (encryption or "").startswith("aws:kms"):
            raise Refused(400, "InvalidArgument", "a KMS key without KMS encryption")
        size = sum(len(name) + len(value) for name, value in headers.items() if name.startswith("x-amz-meta-"))
        if size > 2048:
            raise Refused(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size.")
        return headers

    def check_key(self):
        if not self.key or len(self.key.encode()) > 1024:
            raise Refused(400, "KeyTooLongError", "Your key is too long")

    def do_put(self, body):
        self.check_key()
        self.owner.store(self.bucket, self.key, Object(body, self.object_headers(), self.headers.get("Content-Type", "")))
        return 200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}

    def do_get(self, body):
        found = self.owner.objects.get(self.bucket, {}).get(self.key)
        if not found:
            raise Refused(404, "NoSuchKey", "The specified key does not exist.")
        return 200, found.content

    def do_create(self, body):
        self.check_key()
        if body:
            raise ValueError("a body")
        headers = self.object_headers()
        algorithm = headers.pop("x-amz-checksum-algorithm", None)
        if algorithm not in (None, "SHA256"):
            raise Refused(400, "InvalidRequest", "Checksum algorithm provided is unsupported.")
        checksummed = algorithm is not None and self.owner.checksums
        upload_id = secrets.token_hex(4) + "+/=._~-&"
        with self.owner.changed:
            self.owner.uploads[upload_id] = Upload(self.bucket, self.key, headers, self.headers.get("Content-Type", ""), checksummed)
        return 200, (f'<?xml version="1.0" encoding="UTF-8"?>\n<InitiateMultipartUploadResult xmlns="{NAMESPACE}"><Bucket>{self.bucket}</Bucket>'
                     f"<Key>{escape(self.key)}</Key><UploadId>{escape(upload_id)}</UploadId></InitiateMultipartUploadResult>"), (
                         {"x-amz-checksum-algorithm": "SHA256"} if checksummed else {})

    def upload(self):
        upload = self.owner.uploads.get(self.query["uploadId"])
        if not upload or (upload.bucket, upload.key) != (self.bucket, self.key):
            raise Refused(404, "NoSuchUpload", "The specified multipart upload does not exist.")
        return upload

    def do_part(self, body):
        upload, number = self.upload(), int(self.query["partNumber"])
        checksum = self.headers.get("x-amz-checksum-sha256")
        if not 1 <= number <= 10000:
            raise Refused(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
        if self.object_headers():
            raise Refused(400, "InvalidArgument", "headers of the object on a part")
        if upload.checksummed and not checksum:
            raise Refused(400, "InvalidRequest", "The upload was created using a sha256 checksum.")
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        with self.owner.changed:
            upload.parts[number] = etag, checksum, body
            self.owner.part_writes += 1
            self.owner.changed.notify_all()
        return 200, b"", {"ETag": etag}

    def do_complete(self, body):
        upload = self.upload()
        root = xml.etree.ElementTree.fromstring(body)
        if root.tag != f"{{{NAMESPACE}}}CompleteMultipartUpload":
            raise Refused(400, "MalformedXML", "The XML you provided was not well-formed")
        numbers, content = [], []
        for item in root:
            part = {element.tag.partition("}")[2]: element.text for element in item}
            number = int(part["PartNumber"])
            etag, checksum, data = upload.parts.get(number, (None, None, b""))
            if etag != part["ETag"]:
                raise Refused(400, "InvalidPart", "One or more of the specified parts could not be found.")
            if upload.checksummed != ("ChecksumSHA256" in part) or (upload.checksummed and part["ChecksumSHA256"] != checksum):
                raise Refused(400, "InvalidPart", "the checksum of a part")
            numbers.append(number)
            content.append(data)
        if not numbers or numbers != sorted(set(numbers)):
            raise Refused(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        if any(len(data) < self.owner.part_min for data in content[:-1]):
            raise Refused(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed object size.")
        with self.owner.changed:
            del self.owner.uploads[self.query["uploadId"]]
        self.owner.store(self.bucket, self.key, Object(b"".join(content), upload.headers, upload.content_type, parts=len(numbers)))
        return 200, (f'<?xml version="1.0" encoding="UTF-8"?>\n<CompleteMultipartUploadResult xmlns="{NAMESPACE}"><Key>{escape(self.key)}</Key>'
                     f"<ETag>&quot;x-{len(numbers)}&quot;</ETag></CompleteMultipartUploadResult>")

    def do_abort(self, body):
        self.upload()
        with self.owner.changed:
            del self.owner.uploads[self.query["uploadId"]]
            self.owner.changed.notify_all()
        return 204, b""

    def do_list(self, body):
        found = "".join(f"<Upload><Key>{escape(upload.key)}</Key><UploadId>{escape(upload_id)}</UploadId></Upload>"
                        for upload_id, upload in list(self.owner.uploads.items())
                        if upload.bucket == self.bucket and upload.key.startswith(self.query.get("prefix", "")))
        return 200, f'<ListMultipartUploadsResult xmlns="{NAMESPACE}"><Bucket>{self.bucket}</Bucket>{found}</ListMultipartUploadsResult>'


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        self.owner.errors.append(repr(sys.exc_info()[1]))


class S3Server:
    """Runs in its own threads during the `with` block.

    regions: of the buckets. redirects: a wrong region is answered with a redirect, else with a malformed header. checksums: it takes part
    in checksums of parts. skew: its clock minus ours, in seconds. `services`: what serve_key() hands out, and `key_requests` who asked."""

    def __init__(self, keys=None, regions=None, tls=None, port=0, host="127.0.0.1", on_object=None):
        self.keys = keys or {"AKIDEXAMPLE": Key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")}
        self.regions = regions or {"captures": "us-east-1"}
        self.redirects, self.checksums, self.skew, self.part_min = True, True, 0, PART_MIN
        self.objects, self.uploads, self.scripted, self.refusals, self.faults, self.errors = {}, {}, [], [], [], []
        self.counts, self.part_writes = {}, 0
        self.services, self.key_requests = {}, []
        self.changed = threading.Condition()
        self.on_object = on_object
        self.tls = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        self.listener = Listener((host, port), type("Handler", (Handler,), {"owner": self}))
        self.listener.owner = self
        self.port = self.listener.server_address[1]
        self.thread = threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown()
        self.listener.server_close()
        self.thread.join()

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.skew)

    def date(self):
        return email.utils.format_datetime(self.now(), usegmt=True)

    # --- for tests ---

    def fail(self, *faults):
        self.scripted += faults

    def wait(self, condition, timeout=20):
        with self.changed:
            assert self.changed.wait_for(condition, timeout), (self.counts, self.refusals, self.faults, self.errors)

    # --- for the handlers ---

    def take_fault(self, operation):
        with self.changed:
            self.counts[operation] = self.counts.get(operation, 0) + 1
            self.changed.notify_all()
            for fault in self.scripted:
                if fault.when not in (operation, "any"):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if not fault.times:
                    self.scripted.remove(fault)
                return fault
        return None

    def note_refusal(self, code):
        with self.changed:
            self.refusals.append(code)
            self.changed.notify_all()

    def store(self, bucket, key, made):
        with self.changed:
            before = self.objects.setdefault(bucket, {}).get(key)
            made.writes += before.writes if before else 0
            self.objects[bucket][key] = made
            self.changed.notify_all()
        if self.on_object:
            self.on_object(bucket, key, made)

    # --- services with access keys; services[name] is a list of answers, the last of which stays ---

    def is_service(self, path, content_type):
        return path.startswith(("/latest/", "/container")) or (path == "/" and content_type == "application/x-www-form-urlencoded")

    def serve_key(self, method, path, body, headers):
        name = {"/latest/api/token": "token", "/": "sts"}.get(path, "container" if path.startswith("/container") else "instance")
        with self.changed:
            self.key_requests.append((name, method, path, body.decode(), dict(headers.items())))
            self.changed.notify_all()
            answers = self.services.get(name)
            answer = answers.pop(0) if answers and len(answers) > 1 else answers[0] if answers else (404, "")
        return answer


def lasting(seconds):
    """The time when a key expires that lives for so long."""
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def json_key(key_id, secret, token, expires, **more):
    return 200, json.dumps({"Code": "Success", "AccessKeyId": key_id, "SecretAccessKey": secret, "Token": token, "Expiration": expires, **more})


def sts_key(key_id, secret, token, expires):
    return 200, (f'<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>'
                 f"<Credentials><AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}"
                 f"</SessionToken><Expiration>{expires}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
                 f"</AssumeRoleWithWebIdentityResponse>")


# --- the program ---


def main():
    parser = argparse.ArgumentParser(description="a strict S3 for tests and demonstrations")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default="demo-id:demo-secret", metavar="ID:SECRET")
    parser.add_argument("--bucket", default="captures")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--dir", help="keep the objects here")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    options = parser.parse_args()
    key_id, _, secret = options.key.partition(":")

    def on_object(bucket, key, made):
        line = {"bucket": bucket, "key": key, "size": len(made.content), "parts": made.parts, "headers": made.headers,
                "sha256": hashlib.sha256(made.content).hexdigest()}
        if options.dir:
            line["path"] = os.path.join(options.dir, os.path.basename(key))
            with open(line["path"] + ".part", "wb") as file:
                file.write(made.content)
            os.rename(line["path"] + ".part", line["path"])
        print(json.dumps(line), flush=True)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with S3Server({key_id: Key(secret)}, {options.bucket: options.region}, options.tls, options.port, on_object=on_object) as server:
        print(json.dumps({"port": server.port}), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
