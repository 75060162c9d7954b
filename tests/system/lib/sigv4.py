# SPDX-License-Identifier: BSD-2-Clause
"""AWS's Signature Version 4, recomputed from a request as it arrived: written from AWS's description, not from the daemon's code, and
checked against AWS's published examples (test_s3_sink.py)."""

import hashlib
import hmac
import re
import urllib.parse

UNRESERVED = "-._~"


class Malformed(Exception):
    """The request is not written as the service wants it."""


def quote(text, safe=""):
    return urllib.parse.quote(text, safe=UNRESERVED + safe)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def canonical_query(raw):
    """Of the raw query; each part must already be encoded as the canonical form is."""
    pairs = []
    for part in raw.split("&") if raw else []:
        name, _, value = part.partition("=")
        if quote(urllib.parse.unquote_to_bytes(name)) != name or quote(urllib.parse.unquote_to_bytes(value)) != value:
            raise Malformed(f"query not encoded: {part}")
        pairs.append((name, value))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def canonical_request(method, target, headers, signed, payload_hash):
    """headers: list of (name, value) as they arrived; signed: lower-case names."""
    path, _, query = target.partition("?")
    if quote(urllib.parse.unquote_to_bytes(path), "/") != path:
        raise Malformed(f"path not encoded: {path}")
    values = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(" ".join(value.split()))
    missing = [name for name in signed if name not in values]
    if missing:
        raise Malformed(f"signed, but not sent: {missing}")
    lines = "".join(f"{name}:{','.join(values[name])}\n" for name in signed)
    return "\n".join((method, path, canonical_query(query), lines, ";".join(signed), payload_hash))


def signature(secret, time, region, service, canonical):
    key = ("AWS4" + secret).encode()
    for part in (time[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", time, scope, sha256(canonical.encode())))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def parse_authorization(text):
    """Returns (id, date, region, service, signed names, signature)."""
    match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
                         r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})", text)
    if not match:
        raise Malformed("Authorization")
    names = match.group(5).split(";")
    if names != sorted(names):
        raise Malformed("SignedHeaders are not sorted")
    return *match.groups()[:4], names, match.group(6)
