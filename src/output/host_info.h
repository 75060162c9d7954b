/* SPDX-License-Identifier: BSD-2-Clause */
/* What machine makes a file, for its section header. Loop thread. */
#pragma once

#include "pcapng/capture_file.h"

/* Fills hardware, os and application with texts that stay. */
void host_info_describe(struct capture_file_info *info);
