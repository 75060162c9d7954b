/* SPDX-License-Identifier: BSD-2-Clause */
/* A process whose effective user is not root has no capabilities meanwhile, so the kernel answers as it would to the
 * user. */
#include "base/user_access.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#define UNUSED_ID 65534 /* "nobody" and "nogroup": owns nothing */

int user_access_find(const char *name, struct user_access *user)
{
	const struct passwd *entry = getpwnam(name);

	*user = (struct user_access){
		.uid = entry ? entry->pw_uid : UNUSED_ID,
		.gid = entry ? entry->pw_gid : UNUSED_ID,
		.exists = entry,
		.name = name,
	};
	return entry ? 0 : -ENOENT;
}

static int set_groups(const struct user_access *user)
{
	return (user->exists ? initgroups(user->name, user->gid) : setgroups(0, NULL)) < 0 ? -errno : 0;
}

int user_access_become(const struct user_access *user, struct error *err)
{
	int r = set_groups(user);

	if (r == 0 &&
	    (setresgid(user->gid, user->gid, user->gid) < 0 || setresuid(user->uid, user->uid, user->uid) < 0))
		r = -errno;
	return r < 0 ? error_set(err, r, "cannot become user %s: %s", user->name, strerror(-r)) : 0;
}

int user_access_check(const struct user_access *user, const char *path, int mode)
{
	cleanup(cleanup_free) gid_t *groups = NULL;
	const int count = getgroups(0, NULL);
	int r = -EPERM;

	groups = calloc((size_t)(count > 0 ? count : 0) + 1, sizeof(*groups));
	if (geteuid() != 0 || count < 0 || !groups || getgroups(count, groups) != count)
		return r;
	const gid_t own_gid = getegid();
	if (set_groups(user) == 0 && setegid(user->gid) == 0 && seteuid(user->uid) == 0)
		r = faccessat(AT_FDCWD, path, mode, AT_EACCESS) < 0 ? -errno : 0;
	if (seteuid(0) < 0 || setegid(own_gid) < 0 || setgroups((size_t)count, groups) < 0)
		abort(); /* as another user the process must not go on */
	return r;
}
