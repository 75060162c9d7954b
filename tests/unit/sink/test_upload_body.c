/* SPDX-License-Identifier: BSD-2-Clause */
/* A file as libcurl reads it: from its start, all of it, and again on another connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sink/sink.h"
#include "sink/upload_body.h"

static const char content[] = "0123456789";

struct reader {
	size_t at, length; /* length: bytes it really has */
	int opens, closes;
};

static size_t read_some(void *ctx, uint8_t *into, size_t room)
{
	struct reader *reader = ctx;
	const size_t left = reader->length - reader->at, count = left < room ? left : room;

	memcpy(into, content + reader->at, count);
	reader->at += count;
	return count;
}

static void go_back(void *ctx)
{
	((struct reader *)ctx)->at = 0;
}

static bool open_file(void *ctx, struct byte_stream *stream)
{
	struct reader *reader = ctx;

	reader->opens++;
	*stream = (struct byte_stream){.size_bytes = sizeof(content) - 1,
				       .read = read_some,
				       .rewind = go_back,
				       .ctx = reader};
	return true;
}

static void close_file(void *ctx, struct byte_stream *stream)
{
	(void)stream;
	((struct reader *)ctx)->closes++;
}

static void test_all_bytes_are_read_once(void **state)
{
	struct reader reader = {.length = 10};
	const struct sink_file file = {.ctx = &reader, .open = open_file, .close = close_file};
	struct upload_body body = {0};
	char got[16];

	(void)state;
	assert_true(upload_body_open(&body, &file));
	assert_int_equal(upload_body_read(got, 1, 4, &body), 4);
	assert_false(upload_body_sent_whole(&body));
	assert_int_equal(upload_body_read(got + 4, 1, 12, &body), 6);
	assert_memory_equal(got, content, 10);
	assert_true(upload_body_sent_whole(&body));
	assert_int_equal(upload_body_read(got, 1, 16, &body), 0);
	upload_body_close(&body);
	upload_body_close(&body);
	assert_int_equal(reader.opens, 1);
	assert_int_equal(reader.closes, 1);
}

static void test_another_connection_gets_it_from_the_start(void **state)
{
	struct reader reader = {.length = 10};
	const struct sink_file file = {.ctx = &reader, .open = open_file, .close = close_file};
	struct upload_body body = {0};
	char got[16];

	(void)state;
	assert_true(upload_body_open(&body, &file));
	assert_int_equal(upload_body_read(got, 1, 4, &body), 4);
	assert_int_equal(upload_body_seek(&body, 3, SEEK_SET), CURL_SEEKFUNC_CANTSEEK);
	assert_int_equal(upload_body_seek(&body, 0, SEEK_SET), CURL_SEEKFUNC_OK);
	assert_int_equal(body.copies, 0);
	assert_int_equal(upload_body_read(got, 1, 16, &body), 10);
	assert_memory_equal(got, content, 10);
	assert_int_equal(upload_body_seek(&body, 0, SEEK_SET), CURL_SEEKFUNC_OK);
	assert_int_equal(body.copies, 1);
	upload_body_close(&body);
}

static void test_stream_that_ends_early_aborts_the_upload(void **state)
{
	struct reader reader = {.length = 7};
	const struct sink_file file = {.ctx = &reader, .open = open_file, .close = close_file};
	struct upload_body body = {0};
	char got[16];

	(void)state;
	assert_true(upload_body_open(&body, &file));
	assert_int_equal(upload_body_read(got, 1, 16, &body), 7);
	assert_int_equal(upload_body_read(got, 1, 16, &body), CURL_READFUNC_ABORT);
	upload_body_close(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_bytes_are_read_once),
		cmocka_unit_test(test_another_connection_gets_it_from_the_start),
		cmocka_unit_test(test_stream_that_ends_early_aborts_the_upload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
