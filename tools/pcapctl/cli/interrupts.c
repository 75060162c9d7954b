/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handler counts in an eventfd, for loops that poll. A command that does not take the interrupt within GRACE_S is
 * blocked, as in a write to a reader that has stopped, and the process ends.
 */
#include "pcapctl/cli/interrupts.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pcapctl/cli/exit_status.h"

#define GRACE_S 3

static int interrupts_fd = -1;

static void on_interrupt(int number)
{
	const int saved_errno = errno;
	const uint64_t one = 1;

	(void)number;
	(void)!write(interrupts_fd, &one, sizeof(one));
	alarm(GRACE_S);
	errno = saved_errno;
}

static void on_alarm(int number)
{
	(void)number;
	_exit(STATUS_INTERRUPTED);
}

/* Calls that a signal interrupts go on, except for those that poll. */
static int handle(int number, void (*handler)(int number))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

	sigemptyset(&action.sa_mask);
	return sigaction(number, &action, NULL) < 0 ? -errno : 0;
}

int interrupts_begin(void)
{
	int r;

	if (interrupts_fd >= 0)
		return interrupts_fd;
	interrupts_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (interrupts_fd < 0)
		return -errno;
	r = handle(SIGALRM, on_alarm);
	if (r == 0)
		r = handle(SIGINT, on_interrupt);
	if (r == 0)
		r = handle(SIGTERM, on_interrupt);
	return r < 0 ? r : interrupts_fd;
}

bool interrupts_pending(void)
{
	struct pollfd fd = {.fd = interrupts_fd, .events = POLLIN}; /* poll ignores a negative fd */

	return poll(&fd, 1, 0) > 0;
}

unsigned interrupts_take(void)
{
	uint64_t count = 0;

	if (interrupts_fd < 0 || read(interrupts_fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		return 0;
	alarm(0);
	return (unsigned)count;
}
