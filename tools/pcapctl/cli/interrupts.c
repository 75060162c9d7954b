/* SPDX-License-Identifier: BSD-2-Clause */
/* A signalfd, so that nothing runs in a signal handler. Signals are blocked before libraries start threads. */
#include "pcapctl/cli/interrupts.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

static int interrupts_fd = -1;

int interrupts_begin(void)
{
	sigset_t set;

	if (interrupts_fd >= 0)
		return interrupts_fd;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	interrupts_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return interrupts_fd < 0 ? -errno : interrupts_fd;
}

bool interrupts_pending(void)
{
	struct pollfd fd = {.fd = interrupts_fd, .events = POLLIN}; /* poll ignores a negative fd */

	return poll(&fd, 1, 0) > 0;
}

unsigned interrupts_take(void)
{
	struct signalfd_siginfo info;
	unsigned count = 0;

	while (interrupts_fd >= 0 && read(interrupts_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		count++;
	return count;
}
