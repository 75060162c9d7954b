#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A server over TLS that takes uploads and throws them away, as fast as Python can: PUT of any path, and S3's multipart uploads. It checks
nothing (tests/system/lib/s3_server.py does).

    discard_server.py CERT KEY       prints its port"""

import contextlib
import socket
import ssl
import sys
import threading

CREATED = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
COMPLETED = b"<CompleteMultipartUploadResult><Key>k</Key></CompleteMultipartUploadResult>"
ROOM = 1 << 18


def read_head(connection, buffer):
    """The head's lines, and how much of the body came with it; None: the client has closed."""
    size = 0
    while b"\r\n\r\n" not in buffer[:size]:
        got = connection.recv_into(memoryview(buffer)[size:])
        if not got:
            return None
        size += got
    end = buffer.index(b"\r\n\r\n") + 4
    return buffer[:end].decode("latin-1").split("\r\n"), size - end


def serve(connection):
    buffer = bytearray(ROOM)
    view = memoryview(buffer)
    with contextlib.suppress(OSError), connection:
        while head := read_head(connection, buffer):
            lines, got = head
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
            left = int(fields.get("content-length", 0)) - got
            if fields.get("expect"):
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            while left > 0:
                got = connection.recv_into(view[:min(left, ROOM)])
                if not got:
                    return
                left -= got
            body = b"" if not lines[0].startswith("POST") else CREATED if "?uploads=" in lines[0] else COMPLETED
            connection.sendall(b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: %d\r\n\r\n' % len(body) + body)


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[1:3])
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)

    def accept(connection):
        with contextlib.suppress(OSError):
            serve(context.wrap_socket(connection, server_side=True))

    while True:
        threading.Thread(target=accept, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main()
