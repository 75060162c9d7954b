/* SPDX-License-Identifier: BSD-2-Clause */
/* Each link type's filter is compiled once, and outlives the cache as long as someone has a reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/packet.h"
#include "bpf/filter_cache.h"

static int get(struct filter_cache *cache, const char *bpf, uint16_t linktype, uint32_t netmask, struct filter **filter)
{
	const struct filter_options options = {.bpf = bpf, .linktype = linktype, .netmask = netmask};
	struct error error = {0};
	const char *field = NULL;
	const int r = filter_cache_get(cache, &options, &error, &field, filter);

	assert_string_equal(field, "bpf");
	assert_int_equal(strncmp(error.text, "bpf: ", 5) == 0, r < 0);
	return r;
}

static void test_one_filter_for_a_link_type(void **state)
{
	cleanup(cleanup_filter_cache) struct filter_cache *cache = filter_cache_new();
	struct filter *first = NULL, *again = NULL, *raw = NULL;

	(void)state;
	assert_int_equal(get(cache, "udp", LINKTYPE_ETHERNET, 0xffffff00, &first), 0);
	assert_int_equal(get(cache, "udp", LINKTYPE_ETHERNET, 0xffff0000, &again), 0);
	assert_int_equal(get(cache, "udp", LINKTYPE_RAW, 0, &raw), 0);
	assert_ptr_equal(first, again);
	assert_ptr_not_equal(first, raw);
	filter_free(first);
	filter_free(raw);
	cleanup_filter_cache(&cache);
	cache = NULL;
	assert_non_null(filter_program(again));
	filter_free(again);
}

static void test_netmask_matters_for_broadcasts(void **state)
{
	cleanup(cleanup_filter_cache) struct filter_cache *cache = filter_cache_new();
	struct filter *one = NULL, *other = NULL;

	(void)state;
	assert_int_equal(get(cache, "ip broadcast", LINKTYPE_ETHERNET, 0xffffff00, &one), 0);
	assert_int_equal(get(cache, "ip broadcast", LINKTYPE_ETHERNET, 0xffff0000, &other), 0);
	assert_false(filter_equal(one, other));
	filter_free(one);
	filter_free(other);
}

static void test_netmask_matters_for_broadcasts_in_what_is_required(void **state)
{
	cleanup(cleanup_filter_cache) struct filter_cache *cache = filter_cache_new();
	struct filter *filters[2] = {NULL};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const struct filter_options options = {.bpf = "udp",
						       .required = "not ip broadcast",
						       .linktype = LINKTYPE_ETHERNET,
						       .netmask = i ? 0xffffff00 : 0xffff0000};
		const char *field;
		struct error err;

		assert_int_equal(filter_cache_get(cache, &options, &err, &field, &filters[i]), 0);
	}
	assert_false(filter_equal(filters[0], filters[1]));
	filter_free(filters[0]);
	filter_free(filters[1]);
}

static void test_failures_and_no_filter_are_remembered_too(void **state)
{
	cleanup(cleanup_filter_cache) struct filter_cache *bad = filter_cache_new();
	cleanup(cleanup_filter_cache) struct filter_cache *none = filter_cache_new();
	struct filter *filter = NULL;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(get(bad, "udp and and", LINKTYPE_ETHERNET, 0, &filter), -EINVAL);
		assert_null(filter);
		assert_int_equal(get(none, NULL, LINKTYPE_ETHERNET, 0, &filter), 0);
		assert_null(filter);
	}
}

static void test_more_kinds_than_it_remembers(void **state)
{
	cleanup(cleanup_filter_cache) struct filter_cache *cache = filter_cache_new();

	(void)state;
	for (uint32_t netmask = 1; netmask <= 200; netmask++) {
		struct filter *filter = NULL;

		assert_int_equal(get(cache, "ip broadcast", LINKTYPE_ETHERNET, netmask, &filter), 0);
		filter_free(filter);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_filter_for_a_link_type),
		cmocka_unit_test(test_netmask_matters_for_broadcasts),
		cmocka_unit_test(test_netmask_matters_for_broadcasts_in_what_is_required),
		cmocka_unit_test(test_failures_and_no_filter_are_remembered_too),
		cmocka_unit_test(test_more_kinds_than_it_remembers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
