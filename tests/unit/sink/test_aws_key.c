/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sink/s3/aws_key.h"

#define FILE_TEXT                                                                                            \
	"; comment\n[default]\n aws_access_key_id = AK1 \naws_secret_access_key=S/1=\n"                      \
	"[profile night]\r\naws_access_key_id=AK2\r\n#aws_access_key_id=AK9\r\naws_secret_access_key=S2\r\n" \
	"aws_session_token = T2\r\nregion = eu-west-1\r\n[half]\naws_access_key_id=AK3\n[role]\nrole_arn=a\n"

static int read_profile(const char *profile, struct aws_key *key, struct error *err)
{
	char *text = strdup(FILE_TEXT);
	const int r = aws_key_from_profile(key, text, profile, err);

	free(text);
	return r;
}

static void test_profiles(void **state)
{
	struct aws_key key;
	struct error err;

	(void)state;
	assert_int_equal(read_profile("default", &key, &err), 0);
	assert_string_equal(key.id, "AK1");
	assert_string_equal(key.secret, "S/1=");
	assert_null(key.token);
	assert_int_equal(key.expires_ns, 0);
	aws_key_deinit(&key);
	assert_int_equal(read_profile("night", &key, &err), 0);
	assert_string_equal(key.id, "AK2");
	assert_string_equal(key.token, "T2");
	aws_key_deinit(&key);
	assert_int_equal(read_profile("none", &key, &err), -ENOENT);
	assert_string_equal(err.text, "has no profile \"none\"");
	assert_int_equal(read_profile("half", &key, &err), -EINVAL);
	assert_non_null(strstr(err.text, "lacks"));
	assert_int_equal(read_profile("role", &key, &err), -EINVAL);
}

static void check_json(const char *text, int wanted, const char *reason)
{
	struct aws_key key = {0};
	struct error err;

	assert_int_equal(aws_key_from_json(&key, text, strlen(text), &err), wanted);
	if (reason)
		assert_non_null(strstr(err.text, reason));
	aws_key_deinit(&key);
}

static void test_answers_of_metadata_services(void **state)
{
	static const char good[] =
		"{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\","
		"\"Expiration\":\"2030-01-02T03:04:05Z\"}";
	struct aws_key key;
	struct error err;
	uint64_t expires_ns;

	(void)state;
	assert_int_equal(aws_key_from_json(&key, good, strlen(good), &err), 0);
	assert_string_equal(key.token, "T");
	assert_int_equal(clock_parse("2030-01-02T03:04:05Z", &expires_ns), 0);
	assert_int_equal(key.expires_ns, expires_ns);
	aws_key_deinit(&key);
	check_json("[]", -EINVAL, "no JSON object");
	check_json("", -EINVAL, "no JSON object");
	check_json("{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot assume\"}", -EINVAL,
		   "AssumeRoleUnauthorizedAccess: EC2 cannot assume");
	check_json("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}", -EINVAL, "when the key expires");
	check_json("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\\nX: y\",\"Expiration\":\"2030-01-02T03:04:05Z\"}",
		   -EINVAL, "character");
	check_json("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"\"}", -EINVAL, "empty");
}

static void test_answers_of_sts(void **state)
{
	static const char good[] =
		"<R><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>S&#47;&amp;</SecretAccessKey>"
		"<SessionToken>T</SessionToken><Expiration>2030-01-02T03:04:05Z</Expiration></Credentials>";
	struct aws_key key;
	struct error err;

	(void)state;
	assert_int_equal(aws_key_from_xml(&key, good, &err), 0);
	assert_string_equal(key.secret, "S/&");
	aws_key_deinit(&key);
	assert_int_equal(aws_key_from_xml(&key, "<Error/>", &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_answers_of_metadata_services),
		cmocka_unit_test(test_answers_of_sts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
