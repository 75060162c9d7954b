# SPDX-License-Identifier: BSD-2-Clause
"""Certificates for a test: an authority, a server (localhost and 127.0.0.1) and a client."""

import subprocess

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Pki:
    def __init__(self, root):
        self.ca, self.cert, self.key = root / "ca.pem", root / "server.pem", root / "server.key"
        self.client_cert, self.client_key = root / "client.pem", root / "client.key"
        openssl("req", "-x509", *NEW_KEY, "-days", 2, "-subj", "/CN=ca", "-keyout", root / "ca.key", "-out", self.ca)
        (root / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        for name in ("server", "client"):
            openssl("req", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", root / f"{name}.key", "-out", root / f"{name}.csr")
            openssl("x509", "-req", "-in", root / f"{name}.csr", "-CA", self.ca, "-CAkey", root / "ca.key", "-CAcreateserial", "-days", 2,
                    "-extfile", root / "names", "-out", root / f"{name}.pem")
