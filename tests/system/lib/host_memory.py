# SPDX-License-Identifier: BSD-2-Clause
"""What /proc says of the host's memory and of the process's cgroup, as a test wants it: files mounted over the kernel's, in a mount namespace
of the daemon's own."""

import os

MIB = 1 << 20


class HostMemory:
    """`wrapper` starts a program that sees these files; the numbers can change while it runs. None for the cgroup: no limit."""

    def __init__(self, directory, available, cgroup_limit=None, cgroup_used=0, total=4096 * MIB):
        self.directory, self.total = str(directory), total
        group = os.path.join(self.directory, "cgroup/pcapdaemon.service")
        os.makedirs(group)
        self.meminfo = os.path.join(self.directory, "meminfo")
        self.set_available(available)
        self._write("cgroup/pcapdaemon.service/memory.max", "max" if cgroup_limit is None else cgroup_limit)
        self._write("cgroup/pcapdaemon.service/memory.current", cgroup_used)
        self._write("groups", "0::/pcapdaemon.service")
        self._write("mountinfo", f"30 22 0:26 / {self.directory}/cgroup rw,nosuid - cgroup2 cgroup2 rw")

    def _write(self, name, text):
        with open(os.path.join(self.directory, name), "w") as file:
            file.write(f"{text}\n")

    def set_available(self, available):
        """In one write of the same size, so that a reader sees the old number or the new one."""
        text = f"MemTotal: {self.total >> 10:15d} kB\nMemAvailable: {available >> 10:15d} kB\n"
        fd = os.open(self.meminfo, os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, text.encode())
        os.close(fd)

    @property
    def wrapper(self):
        return ["unshare", "-m", "--propagation", "private", "sh", "-c",
                'cd "$0" && mount --bind meminfo /proc/meminfo && mount --bind groups /proc/$$/cgroup && '
                'mount --bind mountinfo /proc/$$/mountinfo && exec "$@"', self.directory]
