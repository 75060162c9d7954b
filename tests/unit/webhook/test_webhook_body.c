/* SPDX-License-Identifier: BSD-2-Clause */
/* What a webhook sends: the event, or a sentence that no name in it can turn into markup; and the signature. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "event/event.h"
#include "webhook/webhook_body.h"

static const struct event_destination destinations[] = {
	{.name = "http", .ok = true, .url = "https://h/x"},
	{.name = "local", .error = "no space"},
};

static const struct event done = {
	.kind = EVENT_DONE,
	.id = "id",
	.capture = "id.1",
	.node = "edge7",
	.interface = "eth0",
	.reason = "packets",
	.counted = true,
	.packets = 50,
	.bytes = 6000,
	.customer = "<!channel> & Co",
	.destinations = destinations,
	.destination_count = 2,
};

static char *text_of(const char *body, const char *path)
{
	json_t *json = json_loads(body, 0, NULL);
	const json_t *text = json_object_get(json, "text");
	char *copy;

	if (!strcmp(path, "teams"))
		text = json_object_get(
			json_array_get(
				json_object_get(json_object_get(json_array_get(json_object_get(json, "attachments"), 0),
								"content"),
						"body"),
				0),
			"text");
	copy = strdup(json_string_value(text));
	json_decref(json);
	return copy;
}

static void test_event_is_sent_as_it_is(void **state)
{
	char *body = webhook_body(WEBHOOK_EVENT, &done, "{\"v\":1}");

	(void)state;
	assert_string_equal(body, "{\"v\":1}");
	free(body);
}

static void test_chat_gets_a_sentence_without_markup(void **state)
{
	char *body = webhook_body(WEBHOOK_SLACK, &done, "{}"), *text = text_of(body, "slack");

	(void)state;
	assert_string_equal(text, "edge7: capture id.1 on eth0 done (packets): 50 packets, 6000 bytes, incomplete, "
				  "customer &lt;!channel&gt; &amp; Co\nhttp: delivered to https://h/x\nlocal: failed: "
				  "no space");
	free(text);
	free(body);
	body = webhook_body(WEBHOOK_TEAMS, &done, "{}");
	text = text_of(body, "teams");
	assert_non_null(strstr(text, "edge7: capture id.1 on eth0 done"));
	free(text);
	free(body);
}

static void test_bytes_that_are_not_utf8_do_not_prevent_a_sentence(void **state)
{
	const struct event rejected = {.kind = EVENT_REJECTED, .id = "id", .node = "n", .reason = "bad \xff name"};
	char *body = webhook_body(WEBHOOK_SLACK, &rejected, "{}"), *text = text_of(body, "slack");

	(void)state;
	assert_string_equal(text, "n: request id rejected (bad ? name)");
	free(text);
	free(body);
}

static void test_long_sentence_is_cut(void **state)
{
	char reason[2 * WEBHOOK_TEXT_MAX], *body, *text;
	const struct event rejected = {.kind = EVENT_REJECTED, .node = "n", .reason = reason};

	(void)state;
	memset(reason, 'x', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	body = webhook_body(WEBHOOK_SLACK, &rejected, "{}");
	text = text_of(body, "slack");
	assert_int_equal(strlen(text), WEBHOOK_TEXT_MAX);
	free(text);
	free(body);
}

/* printf '1700000000.{"v":1}' | openssl dgst -sha256 -hmac key-of-16-bytes! */
static void test_signature_is_hmac_of_time_and_body(void **state)
{
	char signature[WEBHOOK_SIGNATURE_SIZE];

	(void)state;
	assert_true(webhook_sign("key-of-16-bytes!", 1700000000, "{\"v\":1}", signature));
	assert_string_equal(signature,
			    "t=1700000000,v1=3581debe0313429454d74a010044237d45d52790feefe62f06fc1fbebd1592c5");
}

static void test_formats_have_names(void **state)
{
	enum webhook_format format = WEBHOOK_TEAMS;

	(void)state;
	assert_true(webhook_format_parse("event", &format));
	assert_int_equal(format, WEBHOOK_EVENT);
	assert_false(webhook_format_parse("xml", &format));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event_is_sent_as_it_is),
		cmocka_unit_test(test_chat_gets_a_sentence_without_markup),
		cmocka_unit_test(test_bytes_that_are_not_utf8_do_not_prevent_a_sentence),
		cmocka_unit_test(test_long_sentence_is_cut),
		cmocka_unit_test(test_signature_is_hmac_of_time_and_body),
		cmocka_unit_test(test_formats_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
