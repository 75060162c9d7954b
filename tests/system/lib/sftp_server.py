# SPDX-License-Identifier: BSD-2-Clause
"""A real sshd on loopback that serves SFTP only: its own keys, configuration and port, in a directory of the test."""

import os
import shutil
import socket
import subprocess

from .redis_probe import free_port
from .waiting import seconds, until

SSHD = "/usr/sbin/sshd"
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host
PidFile none
AuthorizedKeysFile {root}/authorized
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp -d {files}
ForceCommand internal-sftp -d {files}
"""


def keygen(path, passphrase="", kind="ed25519"):
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-a", "1", "-N", passphrase, "-f", str(path)], check=True)
    return path


class SftpServer:
    """root: an empty directory. `files` is where sessions begin. `key` is the user's, `stranger` another one that the server does not know."""

    user = "root"

    def __init__(self, root, passphrase=""):
        self.root, self.files, self.port = root, root / "files", free_port()
        self.files.mkdir()
        self.key, self.stranger = keygen(root / "user", passphrase), keygen(root / "stranger")
        keygen(root / "host")
        shutil.copy(f"{self.key}.pub", root / "authorized")
        kind, key, *_ = (root / "host.pub").read_text().split()
        self.known_hosts, self.wrong_hosts = root / "known_hosts", root / "wrong_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")
        self.wrong_hosts.write_text(f"[127.0.0.1]:{self.port} {' '.join((root / 'stranger.pub').read_text().split()[:2])}\n")
        listing = subprocess.run(["ssh-keygen", "-l", "-f", str(root / "host.pub")], check=True, capture_output=True, text=True).stdout
        self.fingerprint = listing.split()[1]
        (root / "sshd_config").write_text(CONFIG.format(port=self.port, root=root, files=self.files))
        self.process = None

    def start(self):
        os.makedirs("/run/sshd", exist_ok=True)
        self.log = open(self.root / "log", "ab")
        self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(self.root / "sshd_config")], stdin=subprocess.DEVNULL, stderr=self.log)
        until(self._answers, 10, "sshd")
        return self

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(seconds(10))
            self.log.close()
        self.process = None

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    def stored(self):
        """All files, temporary ones included, by their path below `files`."""
        return {path.relative_to(self.files).as_posix(): path.read_bytes() for path in self.files.rglob("*") if path.is_file()}
