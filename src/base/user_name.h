/* SPDX-License-Identifier: BSD-2-Clause */
/* The name of a local user. Any thread. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define USER_NAME_SIZE 40

/* The name in /etc/passwd; false: that file has none for this user. Does not wait for a directory service. */
bool user_name_find(uid_t uid, char name[static USER_NAME_SIZE]);
