# SPDX-License-Identifier: BSD-2-Clause
"""Network namespaces with veth pairs, named after the process that made them, so that a later run can remove those of a killed one."""

import contextlib
import ctypes
import fcntl
import itertools
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading

PREFIX = "pcd"
CLONE_NEWNET = 0x40000000
SIOCETHTOOL = 0x8946
TUNSETIFF, TUNSETLINK = 0x400454CA, 0x400454CD
IFF_TUN, IFF_TAP, IFF_NO_PI = 1, 2, 0x1000
ETHTOOL_SET = {"rx-checksum": 0x15, "tx-checksum": 0x17, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}
ETHTOOL_GET = {"rx-checksum": 0x14, "tx-checksum": 0x16, "tso": 0x1E, "gso": 0x23, "gro": 0x2B}

_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)


def _ip(*arguments, check=True):
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if check and result.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {result.stderr.strip()}")
    return result.stdout


def remove_stale():
    """Ends the processes in namespaces of dead runs and removes the namespaces."""
    for line in _ip("netns", "list").splitlines():
        name = line.split()[0] if line.split() else ""
        match = re.match(PREFIX + r"(\d+)-\d+-", name)
        if not match or os.path.exists(f"/proc/{match[1]}"):
            continue
        for pid in _ip("netns", "pids", name, check=False).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        _ip("netns", "del", name, check=False)


class Tun:
    """A tun or tap device; `write` makes a packet arrive on it. bare: the packet's protocol has to be given, its bytes may be any."""

    def __init__(self, netns, name, tap=False, bare=False):
        self.netns, self.name, self.bare = netns, name, bare
        self.fd = netns.call(self._open, name, (IFF_TAP if tap else IFF_TUN) | (0 if bare else IFF_NO_PI))
        netns.ip("link", "set", name, "up")

    @staticmethod
    def _open(name, flags):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        return fd

    def set_type(self, hardware):
        """Gives it this ARPHRD_… of linux/if_arp.h; the kernel allows that only while it is down."""
        self.netns.ip("link", "set", self.name, "down")
        fcntl.ioctl(self.fd, TUNSETLINK, hardware)
        self.netns.ip("link", "set", self.name, "up")

    def write(self, packet, protocol=0x0800):
        os.write(self.fd, (struct.pack("!HH", 0, protocol) if self.bare else b"") + packet)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Netns:
    """One namespace. IPv6 and ARP are off on its links, so that a link is silent until a test sends."""

    def __init__(self, label):
        self.name = f"{PREFIX}{os.getpid()}-{next(_numbers)}-{label}"
        self.path = f"/run/netns/{self.name}"
        self._tuns = []
        _ip("netns", "add", self.name)
        self.call(self._silence_ipv6)
        self.ip("link", "set", "lo", "up")

    @staticmethod
    def _silence_ipv6():
        for scope in ("all", "default", "lo"):
            with contextlib.suppress(FileNotFoundError):
                with open(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6", "w") as knob:
                    knob.write("1")

    def close(self):
        for tun in self._tuns:
            tun.close()
        _ip("netns", "del", self.name, check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- running programs inside ---

    def command(self, *command):
        """The command line that runs `command` inside; it execs, so its pid is that of the command."""
        return ["ip", "netns", "exec", self.name, *map(str, command)]

    def run(self, *command, **options):
        options = {"capture_output": True, "text": True, "check": True, "timeout": 60, **options}
        return subprocess.run(self.command(*command), **options)

    def popen(self, *command, **options):
        return subprocess.Popen(self.command(*command), **options)

    def call(self, function, *arguments):
        """Calls a function inside, on a new thread. Sockets and threads that it makes stay in the namespace."""
        outcome = {}

        def inside():
            try:
                fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if _libc.setns(fd, CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), f"setns {self.path}")
                finally:
                    os.close(fd)
                outcome["value"] = function(*arguments)
            except BaseException as error:  # re-raised in the caller
                outcome["error"] = error

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if "error" in outcome:
            raise outcome["error"]
        return outcome["value"]

    # --- links ---

    def ip(self, *arguments, check=True):
        return _ip("-n", self.name, *map(str, arguments), check=check)

    def add_veth(self, name, peer, peer_name, mtu=1500, address=None, peer_address=None):
        """Adds a pair: `name` here, `peer_name` in the namespace `peer`; both up. With addresses ("10.0.0.1/24") ARP is on."""
        self.ip("link", "add", name, "mtu", mtu, "type", "veth", "peer", "name", peer_name, "mtu", mtu, "netns", peer.name)
        for netns, end, end_address in ((self, name, address), (peer, peer_name, peer_address)):
            if end_address:
                netns.ip("addr", "add", end_address, "dev", end)
            else:
                netns.ip("link", "set", end, "arp", "off")
            netns.set_offloads(end, gso=False, tso=False, gro=False, **{"tx-checksum": False})
            netns.ip("link", "set", end, "up")

    def add_tun(self, name, **options):
        tun = Tun(self, name, **options)
        self._tuns.append(tun)
        return tun

    def delete_link(self, name):
        self.ip("link", "del", name)

    def rename_link(self, old, new):
        self.ip("link", "set", old, "down")
        self.ip("link", "set", old, "name", new)
        self.ip("link", "set", new, "up")

    def set_up(self, name, up=True):
        self.ip("link", "set", name, "up" if up else "down")

    def set_mtu(self, name, mtu):
        self.ip("link", "set", name, "mtu", mtu)

    def counters(self, name):
        """{'rx': {'packets': …, 'dropped': …}, 'tx': …}"""
        return json.loads(self.ip("-s", "-j", "link", "show", name))[0]["stats64"]

    def is_promiscuous(self, name):
        return json.loads(self.ip("-d", "-j", "link", "show", name))[0]["promiscuity"] > 0

    def index(self, name):
        return self.call(socket.if_nametoindex, name)

    def packet_sockets(self, interface=None):
        """Number of AF_PACKET sockets open inside, or bound to one interface."""
        def read():
            with open("/proc/thread-self/net/packet") as table:
                columns = next(table).split()
                rows = [dict(zip(columns, row.split())) for row in table]
            return len([row for row in rows if interface is None or int(row["Iface"]) == socket.if_nametoindex(interface)])

        return self.call(read)

    def _ethtool(self, name, command, value=0):
        def ask():
            block = bytearray(struct.pack("II", command, value))
            address = (ctypes.c_char * len(block)).from_buffer(block)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP16x", name.encode(), ctypes.addressof(address)))
            return struct.unpack("II", block)[1]

        return self.call(ask)

    def set_offloads(self, name, **wanted):
        """As `ethtool -K`: set_offloads("eth0", gro=False, **{"tx-checksum": False})."""
        for offload, on in wanted.items():
            self._ethtool(name, ETHTOOL_SET[offload], int(on))

    def offload(self, name, offload):
        return bool(self._ethtool(name, ETHTOOL_GET[offload]))
