/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "sink/s3/s3_target.h"

static void check(const struct s3_target *target, const char *key, const char *wanted)
{
	struct s3_address address;
	char url[1024];

	assert_int_equal(s3_address_init(&address, target, key), 0);
	snprintf(url, sizeof(url), "%s://%s%s", address.https ? "https" : "http", address.host,
		 buffer_text(&address.path));
	assert_string_equal(url, wanted);
	s3_address_deinit(&address);
}

static struct s3_target at(const char *endpoint, const char *bucket, enum s3_style style)
{
	return (struct s3_target){.endpoint = endpoint, .bucket = bucket, .region = "eu-west-1", .style = style};
}

static void test_addresses(void **state)
{
	(void)state;
	struct s3_target aws = at("", "b", S3_STYLE_AUTO), dotted = at("", "a.b", S3_STYLE_AUTO);
	struct s3_target own = at("https://minio.example:9000/", "b", S3_STYLE_AUTO);
	struct s3_target plain = at("http://[::1]:80", "b", S3_STYLE_HOST),
			 bare = at("s3.example:443", "b", S3_STYLE_HOST);
	struct s3_target china = at("", "b", S3_STYLE_PATH);

	check(&aws, "f/k", "https://b.s3.eu-west-1.amazonaws.com/f/k");
	check(&aws, NULL, "https://b.s3.eu-west-1.amazonaws.com/");
	check(&dotted, "k", "https://s3.eu-west-1.amazonaws.com/a.b/k");
	check(&own, "f ü/k+=:", "https://minio.example:9000/b/f%20%C3%BC/k%2B%3D%3A");
	check(&own, NULL, "https://minio.example:9000/b");
	check(&plain, "k", "http://b.[::1]/k");
	check(&bare, "k", "https://b.s3.example/k");
	snprintf(china.region, sizeof(china.region), "cn-north-1");
	check(&china, "k", "https://s3.cn-north-1.amazonaws.com.cn/b/k");
}

static void test_moving_to_another_region(void **state)
{
	struct s3_target named = at("https://s3.us-east-1.amazonaws.com", "b", S3_STYLE_AUTO);
	struct s3_target own = at("minio.example", "b", S3_STYLE_AUTO);

	(void)state;
	s3_target_move(&named, "us-west-2");
	check(&named, "k", "https://b.s3.us-west-2.amazonaws.com/k");
	s3_target_move(&own, "us-west-2");
	check(&own, "k", "https://minio.example/b/k");
	assert_string_equal(own.region, "us-west-2");
	assert_true(s3_is_region("us-gov-west-1"));
	assert_false(s3_is_region(""));
	assert_false(s3_is_region("evil.example/"));
}

static void test_keys(void **state)
{
	char key[S3_KEY_MAX + 1], folder[S3_KEY_MAX + 1];

	(void)state;
	assert_int_equal(s3_key(key, "", "n"), 0);
	assert_string_equal(key, "n");
	assert_int_equal(s3_key(key, "//a/b//", "n"), 0);
	assert_string_equal(key, "a/b/n");
	memset(folder, 'f', sizeof(folder));
	folder[S3_KEY_MAX - 2] = '\0';
	assert_int_equal(s3_key(key, folder, "n"), 0);
	folder[S3_KEY_MAX - 2] = 'f';
	folder[S3_KEY_MAX - 1] = '\0';
	assert_int_equal(s3_key(key, folder, "n"), -EMSGSIZE);
}

static void check_metadata(const char *text, size_t max, const char *wanted)
{
	struct buffer out = BUFFER_INIT(4096);

	assert_int_equal(s3_metadata(&out, text, max), 0);
	assert_string_equal(buffer_text(&out), wanted);
	assert_true(out.size <= max);
	buffer_deinit(&out);
}

static void test_metadata(void **state)
{
	(void)state;
	check_metadata("", 10, "");
	check_metadata("a:b,c", 10, "a:b,c");
	check_metadata("abc,def,ghi", 9, "abc,def");
	check_metadata("abcdef", 3, "abc");
	check_metadata("ü", 60, "=?UTF-8?B?w7w=?=");
	check_metadata(" a", 60, "=?UTF-8?B?IGE=?=");
	check_metadata("a=?b", 60, "=?UTF-8?B?YT0/Yg==?=");
	check_metadata("a\nb", 60, "=?UTF-8?B?YQpi?=");
	check_metadata("aü,bü,cü,dü", 28, "=?UTF-8?B?YcO8LGLDvA==?=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_moving_to_another_region),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
