/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What files a user may use, by asking the kernel as that user: owner, groups, ACLs and every directory on the way
 * count. Only in a process with one thread, since all threads would change their user.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"

/* A user; one that does not exist yet has neither files nor groups. */
struct user_access {
	uid_t uid;
	gid_t gid;
	bool exists;
	const char *name;
};

/* `name` must outlive `user`. 0, or -ENOENT: there is none, and `user` is then like one. */
int user_access_find(const char *name, struct user_access *user);

/* Becomes the user for good: root only. 0 or -errno with `err`. */
warn_unused int user_access_become(const struct user_access *user, struct error *err);

/* What access(2) says to the user: 0 or -errno. -EPERM: this process may not become the user. */
warn_unused int user_access_check(const struct user_access *user, const char *path, int mode);
