/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors as libcurl, hiredis, the kernel and sinks word them have a hint that fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sink/failure_hint.h"

static void test_hint_fits_the_error(void **state)
{
	static const char *const cases[][2] = {
		{"Could not resolve host: nowhere.invalid", "name servers"},
		{"Failed to connect to 127.0.0.1 port 9 after 0 ms: Couldn't connect to server",
		 "whether the server runs"},
		{"Connection refused", "whether the server runs"},
		{"SSL certificate problem: unable to get local issuer certificate", "ca_file"},
		{"SSL: no alternative certificate subject name matches target host name 'x'", "ca_file"},
		{"OpenSSL/3.0.17: error:0A00010B:SSL routines::wrong version number", "scheme, port and tls"},
		{"HTTP 401: Invalid API token", "token"},
		{"HTTP 403", "token"},
		{"HTTP 404", "address"},
		{"HTTP 503: busy", "its log"},
		{"HTTP 302: redirected to https://x/; redirects are not followed, configure that address",
		 "redirects to"},
		{"cannot write /srv/x.pcapng: No space left on device", "free disk space"},
		{"cannot create /srv/x.pcapng: Permission denied", "ReadWritePaths"},
		{"cannot create /srv/x.pcapng: Read-only file system", "ReadWritePaths"},
		{"cannot create /srv/x.pcapng: No such file or directory", "create the directory"},
		{"cannot store it under k: WRONGTYPE Operation against a key holding the wrong kind of value",
		 "another program"},
		{"cannot store it under k: NOPERM this user has no permissions to run the 'rpush' command", "ACL"},
		{"cannot store it under k: OOM command not allowed when used memory > 'maxmemory'.", "maxmemory"},
		{"no answer within 20 s", "firewall"},
		{"Connection timed out after 10001 milliseconds", "firewall"},
		{"something new", "log"},
		{"", "log"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (!strstr(failure_hint(cases[i][0]), cases[i][1]))
			fail_msg("%s: %s", cases[i][0], failure_hint(cases[i][0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_hint_fits_the_error)};

	return cmocka_run_group_tests_name("failure_hint", tests, NULL, NULL);
}
