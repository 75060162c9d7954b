/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors 0 to 2, for programs that may be started with them closed. */
#pragma once

/*
 * Opens /dev/null for those that are closed, the wrong way round, so that reading or writing fails as before. Otherwise
 * a file, socket or pipe opened later gets such a number and takes what is written to it. Call first in main().
 */
void standard_fds_reserve(void);
