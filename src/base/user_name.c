/* SPDX-License-Identifier: BSD-2-Clause */
/* getpwuid(3) may ask a directory service over the network, and the daemon's loop must not wait for one. */
#include "base/user_name.h"

#include <pwd.h>
#include <stdio.h>

#include "base/cleanup.h"

#define LINE_SIZE 4096 /* of the file; longer lines end the search */

bool user_name_find(uid_t uid, char name[static USER_NAME_SIZE])
{
	cleanup(cleanup_fclose) FILE *file = fopen("/etc/passwd", "re");
	char line[LINE_SIZE];
	struct passwd entry, *found = NULL;

	while (file && fgetpwent_r(file, &entry, line, sizeof(line), &found) == 0) {
		if (found->pw_uid != uid)
			continue;
		snprintf(name, USER_NAME_SIZE, "%s", found->pw_name);
		return true;
	}
	return false;
}
