/* SPDX-License-Identifier: BSD-2-Clause */
/* uname(2), read once. */
#include "output/host_info.h"

#include <stdio.h>
#include <sys/utsname.h>

void host_info_describe(struct capture_file_info *info)
{
	static char hardware[sizeof(((struct utsname *)NULL)->machine)];
	static char os[2 * sizeof(((struct utsname *)NULL)->release)];

	if (!*hardware) {
		struct utsname host;

		if (uname(&host) == 0) {
			snprintf(hardware, sizeof(hardware), "%s", host.machine);
			snprintf(os, sizeof(os), "%s %s", host.sysname, host.release);
		}
	}
	info->hardware = hardware;
	info->os = os;
	info->application = "pcapdaemon " PCAPDAEMON_VERSION;
}
