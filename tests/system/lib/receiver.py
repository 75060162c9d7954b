# SPDX-License-Identifier: BSD-2-Clause
"""The CloudShark stand-in of an installation: in the host's namespace, on a free port; finds uploads by request."""

from .cloudshark_server import CloudSharkServer

PORT = 8080


class Receiver:
    def __init__(self, netns, token, tls=None, behaviour=(), start=True):
        self.netns, self.token, self.tls, self.behaviour = netns, token, tls, behaviour
        self.port, self.server = PORT, None
        if start:
            self.start()

    @property
    def configuration(self):
        return {"host": "127.0.0.1", "port": self.port, "scheme": "https" if self.tls else "http", "token": self.token,
                "upload": True}

    def start(self):
        """Starts listening; until then connections to the port are refused."""
        self.server = self.netns.call(lambda: CloudSharkServer(self.token, self.tls, self.behaviour, port=self.port).start())

    def close(self):
        if self.server:
            self.server.stop()
            self.server = None

    def all_of(self, request_id):
        return [upload for upload in self.server.uploads if f"-{request_id}." in upload.filename]

    def of(self, request_id):
        """The only upload of a request."""
        upload, = self.all_of(request_id)
        return upload

    @property
    def faults(self):
        """The client's violations of CloudShark's API."""
        return self.server.faults
