/* SPDX-License-Identifier: BSD-2-Clause */
/* The host and program that write a file, for its section header. Loop thread. */
#pragma once

#include "pcapng/capture_file.h"

/* Sets hardware, os and application to static texts. */
void host_info_describe(struct capture_file_info *info);
