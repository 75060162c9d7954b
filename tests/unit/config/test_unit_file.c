/* SPDX-License-Identifier: BSD-2-Clause */
/* The unit is read as systemd reads it: the first of its name, then drop-ins by name; an empty assignment clears. */
#include "config_fixture.h"

#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/unit_file.h"

static const char base[] = "[Unit]\nUser=wrong\n[Service]\n"
			   "ExecStart=/bin/sh -c 'x' \\\n  -config /etc/p.toml\n"
			   "# LoadCredential=cloudshark.token:/comment\n"
			   "LoadCredential=redis.auth:/etc/redis.auth\nUser = pcap \nProtectSystem=strict\n"
			   "StateDirectory=pcapdaemon other\nRuntimeDirectory=pcapdaemon\n[Install]\nUser=late\n";

static void use_directories(void)
{
	char path[8192];

	assert_int_equal(mkdir(fixture_path("etc"), 0700), 0);
	assert_int_equal(mkdir(fixture_path("lib"), 0700), 0);
	assert_int_equal(mkdir(fixture_path("etc/pcapdaemon.service.d"), 0700), 0);
	assert_int_equal(mkdir(fixture_path("lib/pcapdaemon.service.d"), 0700), 0);
	snprintf(path, sizeof(path), "%s/etc:%s/lib", fixture_directory, fixture_directory);
	setenv("SYSTEMD_UNIT_PATH", path, 1);
}

static void test_unit_says_user_credentials_and_directories(void **state)
{
	(void)state;
	use_directories();
	fixture_file("lib/pcapdaemon.service", base);
	cleanup(cleanup_free) struct unit_file *unit = unit_file_read("/etc/p.toml");
	assert_non_null(unit);
	assert_string_equal(unit->user, "pcap");
	assert_true(unit->runs_file);
	assert_int_equal(unit->credential_count, 1);
	assert_string_equal(unit_file_credential(unit, "redis", "auth")->path, "/etc/redis.auth");
	assert_null(unit_file_credential(unit, "cloudshark", "token"));
	assert_true(unit_file_makes(unit, "/var/lib/other"));
	assert_true(unit_file_makes(unit, "/run/pcapdaemon"));
	assert_false(unit_file_makes(unit, "/var/lib"));
	assert_true(unit_file_may_write(unit, "/var/lib/other/x"));
	assert_false(unit_file_may_write(unit, "/var/lib/others"));
	cleanup(cleanup_free) struct unit_file *other = unit_file_read("/etc/other.toml");
	assert_false(other->runs_file);
}

static void test_drop_ins_add_and_clear(void **state)
{
	(void)state;
	use_directories();
	fixture_file("lib/pcapdaemon.service", base);
	fixture_file("etc/pcapdaemon.service.d/20-more.conf",
		     "[Service]\nLoadCredential=\nSetCredential=api.token:x\nReadWritePaths=-/data /srv/p\n");
	fixture_file("lib/pcapdaemon.service.d/20-more.conf", "[Service]\nUser=hidden\n");
	fixture_file("lib/pcapdaemon.service.d/10-user.conf", "[Service]\nUser=someone\n");
	fixture_file("lib/pcapdaemon.service.d/30-not.txt", "[Service]\nUser=nothing\n");
	cleanup(cleanup_free) struct unit_file *unit = unit_file_read("");
	assert_string_equal(unit->user, "someone");
	assert_null(unit_file_credential(unit, "redis", "auth"));
	assert_string_equal(unit_file_credential(unit, "api", "token")->path, "");
	assert_true(unit_file_may_write(unit, "/data/a"));
	assert_true(unit_file_may_write(unit, "/srv/p"));
	assert_false(unit_file_may_write(unit, "/srv"));
}

static void test_first_unit_counts_and_none_is_none(void **state)
{
	(void)state;
	use_directories();
	assert_null(unit_file_read(""));
	fixture_file("lib/pcapdaemon.service", base);
	fixture_file("etc/pcapdaemon.service", "[Service]\nUser=own\n");
	cleanup(cleanup_free) struct unit_file *unit = unit_file_read("");
	assert_string_equal(unit->user, "own");
	assert_int_equal(unit->credential_count, 0);
	assert_true(unit_file_may_write(unit, "/anywhere"));
}

static int remove_inside(const char *path, const struct stat *st, int type, struct FTW *place)
{
	(void)st;
	return place->level == 0 ? 0 : type == FTW_DP ? rmdir(path) : unlink(path);
}

static int teardown(void **state)
{
	unsetenv("SYSTEMD_UNIT_PATH");
	return nftw(fixture_directory, remove_inside, 8, FTW_DEPTH | FTW_PHYS) ? -1 : fixture_teardown(state);
}

int main(void)
{
#define with_fixture(test) cmocka_unit_test_setup_teardown(test, fixture_setup, teardown)
	static const struct CMUnitTest tests[] = {
		with_fixture(test_unit_says_user_credentials_and_directories),
		with_fixture(test_drop_ins_add_and_clear),
		with_fixture(test_first_unit_counts_and_none_is_none),
	};

	return cmocka_run_group_tests_name("unit_file", tests, NULL, NULL);
}
