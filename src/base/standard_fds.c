/* SPDX-License-Identifier: BSD-2-Clause */
/* open() returns the lowest free number, so the loop fills the gaps in order. */
#include "base/standard_fds.h"

#include <fcntl.h>
#include <unistd.h>

void standard_fds_reserve(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}
