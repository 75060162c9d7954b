/* SPDX-License-Identifier: BSD-2-Clause */
/* Which results of a transfer are retried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http_client.h"
#include "sink/http_verdict.h"

static enum sink_verdict verdict(CURLcode result, long status)
{
	struct http_reply reply = {.result = result, .status = status, .error = "", .body = ""};

	return http_verdict(&reply, false);
}

static void test_2xx_settles_it_once_the_whole_file_was_sent(void **state)
{
	static const CURLcode results[] = {CURLE_OK, CURLE_PARTIAL_FILE, CURLE_RECV_ERROR, CURLE_OPERATION_TIMEDOUT,
					   CURLE_WRITE_ERROR};

	(void)state;
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		struct http_reply reply = {.result = results[i], .status = 201, .error = "", .body = ""};

		assert_int_equal(http_verdict(&reply, true), SINK_OK);
		reply.status = 503;
		assert_int_equal(http_verdict(&reply, true), SINK_RETRY);
		reply.status = 422;
		assert_int_equal(http_verdict(&reply, true), SINK_REFUSED);
	}
}

static void test_2xx_before_the_whole_file_was_sent_is_no_success(void **state)
{
	(void)state;
	assert_int_equal(verdict(CURLE_OK, 200), SINK_RETRY);
	assert_int_equal(verdict(CURLE_OK, 201), SINK_RETRY);
	assert_int_equal(verdict(CURLE_SEND_ERROR, 200), SINK_RETRY);
}

static void test_transient_failures_are_retried(void **state)
{
	static const CURLcode results[] = {CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_OPERATION_TIMEDOUT,
					   CURLE_SEND_ERROR,	       CURLE_RECV_ERROR,      CURLE_GOT_NOTHING,
					   CURLE_SSL_CONNECT_ERROR,    CURLE_OUT_OF_MEMORY};
	static const long statuses[] = {408, 429, 500, 502, 503, 504, 599};

	(void)state;
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		assert_int_equal(verdict(results[i], 0), SINK_RETRY);
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		assert_int_equal(verdict(CURLE_OK, statuses[i]), SINK_RETRY);
}

static void test_want_of_descriptors_is_retried_whatever_libcurl_makes_of_it(void **state)
{
	struct http_reply reply = {.result = CURLE_SSL_CACERT_BADFILE, .no_descriptors = true, .error = "", .body = ""};

	(void)state;
	assert_int_equal(http_verdict(&reply, false), SINK_RETRY);
}

static void test_refusals_are_final(void **state)
{
	static const CURLcode results[] = {CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE,
					   CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL, CURLE_ABORTED_BY_CALLBACK};
	static const long statuses[] = {300, 301, 302, 304, 307, 400, 401, 403, 404, 413, 415, 422};

	(void)state;
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		assert_int_equal(verdict(results[i], 0), SINK_REFUSED);
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		assert_int_equal(verdict(CURLE_OK, statuses[i]), SINK_REFUSED);
}

static void test_refusal_counts_even_if_the_connection_broke_after_it(void **state)
{
	(void)state;
	assert_int_equal(verdict(CURLE_SEND_ERROR, 413), SINK_REFUSED);
	assert_int_equal(verdict(CURLE_SEND_ERROR, 503), SINK_RETRY);
}

static void test_oversized_answer_is_judged_by_its_status(void **state)
{
	struct http_reply reply = {
		.result = CURLE_WRITE_ERROR, .status = 200, .error = "", .body = "", .body_size = HTTP_REPLY_BYTES_MAX};

	(void)state;
	assert_int_equal(http_verdict(&reply, true), SINK_OK);
	reply.status = 400;
	assert_int_equal(http_verdict(&reply, true), SINK_REFUSED);
	reply.status = 0; /* out of memory, then */
	assert_int_equal(http_verdict(&reply, true), SINK_RETRY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_2xx_settles_it_once_the_whole_file_was_sent),
		cmocka_unit_test(test_2xx_before_the_whole_file_was_sent_is_no_success),
		cmocka_unit_test(test_transient_failures_are_retried),
		cmocka_unit_test(test_want_of_descriptors_is_retried_whatever_libcurl_makes_of_it),
		cmocka_unit_test(test_refusals_are_final),
		cmocka_unit_test(test_refusal_counts_even_if_the_connection_broke_after_it),
		cmocka_unit_test(test_oversized_answer_is_judged_by_its_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
