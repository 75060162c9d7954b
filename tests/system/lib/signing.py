# SPDX-License-Identifier: BSD-2-Clause
"""Signs requests as a publisher in another language would."""

import hashlib
import hmac
import json
import os
import time

MONITORING = "a-secret-of-the-monitoring"


def secret_file(path, text):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return str(path)


def canonical(fields):
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sign(fields, name="monitoring", secret=MONITORING, at=None, nonce=None):
    head = f"{name}:{int(time.time() if at is None else at)}:{nonce or os.urandom(8).hex()}:"
    mac = hmac.new(secret.encode(), (head + canonical(fields)).encode(), hashlib.sha256).hexdigest()
    return {**fields, "sig": head + mac}
