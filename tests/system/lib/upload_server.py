# SPDX-License-Identifier: BSD-2-Clause
"""A strict receiver for uploads by PUT or POST, with the faults of the CloudShark receiver
(cloudshark_server.Behaviour). A PUT stores the file under its path, a second one replaces it; a POST adds one."""

import dataclasses

from .cloudshark_server import CloudSharkServer, Fault, Handler, parse_part


@dataclasses.dataclass
class Stored:
    method: str
    path: str  # with its query
    headers: dict
    content: bytes
    parts: list  # of a form: (name, filename or None, headers, content)


class UploadHandler(Handler):
    def take_upload(self, headers, body):
        if self.record.method not in ("PUT", "POST"):
            raise Fault(405, f"method {self.record.method}")
        refusal = self.owner.refusal_of(headers, self.record.path)
        if refusal:
            return self.answer(*refusal)
        parts = []
        if headers.get("content-type", "").startswith("multipart/form-data"):
            boundary = headers["content-type"].partition("boundary=")[2].encode()
            pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
            if pieces[0] or pieces[-1] != b"--\r\n":
                raise Fault(400, "multipart: text before the first or after the last boundary")
            parts = [parse_part(piece[2:]) for piece in pieces[1:-1]]
            body = parts[-1][3]
        self.owner.add_upload(Stored(self.record.method, self.record.path, headers, body, parts))
        return self.answer(201 if self.record.method == "PUT" else 200, "")


class UploadServer(CloudSharkServer):
    """required: headers (lower case) that a request must have, with these values; others are answered 403 with `echo`, in which
    {path} and {authorization} are what the client sent."""

    handler = UploadHandler

    def __init__(self, required=(), echo="no", **options):
        super().__init__("", **options)
        self.required, self.echo, self.on_request = dict(required), echo, None

    def next_behaviour(self, record):
        if self.on_request:
            self.on_request(record)
        return super().next_behaviour(record)

    def refusal_of(self, headers, path):
        wrong = [name for name, value in self.required.items() if headers.get(name) != value]
        return (403, self.echo.format(path=path, authorization=headers.get("authorization"))) if wrong else None

    def add_upload(self, upload):
        if upload.method == "PUT":
            with self.changed:
                self.uploads = [other for other in self.uploads if other.path != upload.path]
        super().add_upload(upload)

    @property
    def only(self):
        upload, = self.uploads
        return upload
