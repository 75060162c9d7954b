/* SPDX-License-Identifier: BSD-2-Clause */
/* The values are AWS's: the examples of the S3 manual, and the test suite of Signature Version 4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "sink/s3/aws_sign.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define S3_HOST "examplebucket.s3.amazonaws.com"

static const struct aws_request s3_example = {
	.method = "GET",
	.path = "/",
	.payload_hash = AWS_EMPTY_HASH,
	.region = "us-east-1",
	.service = "s3",
	.time = "20130524T000000Z",
	.id = "AKIA"
	      "IOSFODNN7EXAMPLE",
	.secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};

static const struct aws_request suite_example = {
	.method = "GET",
	.path = "/",
	.payload_hash = AWS_EMPTY_HASH,
	.region = "us-east-1",
	.service = "service",
	.time = "20150830T123600Z",
	.id = "AKIDEXAMPLE",
	.secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};

static void check(const struct aws_request *request, const char *signature)
{
	struct buffer text = BUFFER_INIT(AWS_TEXT_MAX);

	assert_int_equal(aws_sign(&text, request), 0);
	assert_string_equal(strstr(buffer_text(&text), "Signature=") + strlen("Signature="), signature);
	buffer_deinit(&text);
}

static void test_examples_of_the_s3_manual(void **state)
{
	static const struct aws_pair range[] = {{"range", "bytes=0-9"},
						{"host", S3_HOST},
						{"x-amz-date", "20130524T000000Z"},
						{"x-amz-content-sha256", AWS_EMPTY_HASH}};
	static const char hash[] = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
	static const struct aws_pair put[] = {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
					      {"date", "Fri, 24 May 2013 00:00:00 GMT"},
					      {"host", S3_HOST},
					      {"x-amz-content-sha256", hash},
					      {"x-amz-date", "20130524T000000Z"}};
	static const struct aws_pair lifecycle[] = {{"lifecycle", ""}};
	static const struct aws_pair list[] = {{"prefix", "J"}, {"max-keys", "2"}};
	struct aws_request request = s3_example;

	(void)state;
	request.path = "/test.txt";
	request.headers = range;
	request.header_count = COUNT(range);
	check(&request, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");

	request = s3_example;
	request.method = "PUT";
	request.path = "/test%24file.text";
	request.headers = put;
	request.header_count = COUNT(put);
	request.payload_hash = hash;
	check(&request, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");

	request = s3_example;
	request.query = lifecycle;
	request.query_count = 1;
	request.headers = range + 1;
	request.header_count = 3;
	check(&request, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");

	request.query = list;
	request.query_count = 2;
	check(&request, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void test_examples_of_the_suite(void **state)
{
	static const struct aws_pair headers[] = {{"x-amz-date", "20150830T123600Z"},
						  {"host", "example.amazonaws.com"}};
	static const struct aws_pair query[] = {{"Param2", "value2"}, {"Param1", "value1"}};
	struct aws_request request = suite_example;

	(void)state;
	request.headers = headers;
	request.header_count = 2;
	check(&request, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"); /* get-vanilla */
	request.query = query;
	request.query_count = 2;
	check(&request,
	      "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"); /* …-query-order-key-case */
	request.query_count = 0;
	request.path = "/%E1%88%B4";
	check(&request, "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"); /* get-utf8 */
}

static void test_headers_are_sorted_by_name_and_trimmed(void **state)
{
	static const struct aws_pair headers[] = {{"x-amz-server-side-encryption-aws-kms-key-id", "k"},
						  {"x-amz-server-side-encryption", " aws:kms  x "},
						  {"host", "h"}};
	struct aws_request request = s3_example;
	struct buffer text = BUFFER_INIT(AWS_TEXT_MAX);

	(void)state;
	request.headers = headers;
	request.header_count = COUNT(headers);
	assert_int_equal(aws_canonical(&text, &request), 0);
	assert_string_equal(
		buffer_text(&text),
		"GET\n/\n\nhost:h\nx-amz-server-side-encryption:aws:kms x\n"
		"x-amz-server-side-encryption-aws-kms-key-id:k\n\n"
		"host;x-amz-server-side-encryption;x-amz-server-side-encryption-aws-kms-key-id\n" AWS_EMPTY_HASH);
	buffer_deinit(&text);
}

static void test_query_is_encoded_and_sorted(void **state)
{
	static const struct aws_pair query[] = {{"uploadId", "a+b/=&~-._ ü"}, {"partNumber", "10"}, {"a", ""}};
	struct buffer text = BUFFER_INIT(AWS_TEXT_MAX);

	(void)state;
	assert_int_equal(aws_query(&text, query, COUNT(query)), 0);
	assert_string_equal(buffer_text(&text), "a=&partNumber=10&uploadId=a%2Bb%2F%3D%26~-._%20%C3%BC");
	buffer_deinit(&text);
}

static void test_too_many_headers_are_refused(void **state)
{
	static struct aws_pair headers[AWS_PAIRS_MAX + 1];
	struct aws_request request = s3_example;
	struct buffer text = BUFFER_INIT(AWS_TEXT_MAX);

	(void)state;
	request.headers = headers;
	request.header_count = COUNT(headers);
	assert_int_equal(aws_sign(&text, &request), -E2BIG);
	buffer_deinit(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples_of_the_s3_manual),
		cmocka_unit_test(test_examples_of_the_suite),
		cmocka_unit_test(test_headers_are_sorted_by_name_and_trimmed),
		cmocka_unit_test(test_query_is_encoded_and_sorted),
		cmocka_unit_test(test_too_many_headers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
