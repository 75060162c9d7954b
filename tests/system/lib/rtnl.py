# SPDX-License-Identifier: BSD-2-Clause
"""Holds the kernel's RTNL lock, as a program does that configures hundreds of interfaces, for as long as a test needs. The whole machine's
interfaces cannot be configured meanwhile, not even by the test: keep it short."""

import contextlib
import ctypes
import fcntl
import mmap
import os
import select
import socket
import struct
import threading

from .netns import SIOCETHTOOL
from .waiting import seconds

SYS_USERFAULTFD = 323  # x86-64
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_ZEROPAGE = 0xC018AA3F, 0xC020AA00, 0xC020AA04
ETHTOOL_GSTRINGS = 0x1B
PAGE = mmap.PAGESIZE

_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def held(netns, interface):
    """An ethtool call reads its argument with the lock held; half of that lies in a page that is not there until the block ends."""
    fault_fd = _libc.syscall(SYS_USERFAULTFD, os.O_CLOEXEC | os.O_NONBLOCK)
    assert fault_fd >= 0, os.strerror(ctypes.get_errno())
    memory = mmap.mmap(-1, 2 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    missing = start + PAGE
    memory[PAGE - 4:PAGE] = struct.pack("I", ETHTOOL_GSTRINGS)
    fcntl.ioctl(fault_fd, UFFDIO_API, bytearray(struct.pack("QQQ", 0xAA, 0, 0)))
    fcntl.ioctl(fault_fd, UFFDIO_REGISTER, bytearray(struct.pack("QQQQ", missing, PAGE, 1, 0)))

    def ask():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
            fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), missing - 4))

    holder = threading.Thread(target=netns.call, args=(ask,))
    holder.start()
    try:
        assert select.select([fault_fd], [], [], seconds(15))[0], "the lock was never taken"
        yield
    finally:
        fcntl.ioctl(fault_fd, UFFDIO_ZEROPAGE, bytearray(struct.pack("QQQQ", missing, PAGE, 0, 0)))
        holder.join()
        os.close(fault_fd)
