/* SPDX-License-Identifier: BSD-2-Clause */
/* Which interfaces a request means, on a host with any number of them: fakes of base/network_interface.h and
 * link_table.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/link_table.h"
#include "base/network_interface.h"
#include "config/config.h"
#include "job/targets.h"

#define LONG_NAME "a-name-of-more-than-fifteen-bytes"

static int link_count;		/* eth1, eth2, … by index; all are up */
static int gone;		/* this one vanishes after it was listed */
static const char *alternative; /* of the device with the index below */
static int alternative_index;

int link_table_list(struct link_entry **list, size_t *count)
{
	*count = (size_t)link_count;
	*list = calloc(*count + 1, sizeof(**list));
	for (int i = 0; i < link_count; i++) {
		struct link_entry *entry = &(*list)[i];

		*entry = (struct link_entry){.index = i + 1, .up = true};
		snprintf(entry->name, sizeof(entry->name), "eth%d", i + 1);
	}
	return 0;
}

int link_table_watch(void)
{
	return -ENOTCONN;
}

bool link_table_has_changed(int fd)
{
	(void)fd;
	return false;
}

void link_table_unwatch(int *fd)
{
	*fd = -1;
}

int network_interface_read(int index, struct network_interface *interface)
{
	if (index < 1 || index > link_count || index == gone)
		return -ENODEV;
	*interface = (struct network_interface){.index = index, .hardware = 1, .up = true};
	snprintf(interface->name, sizeof(interface->name), "eth%d", index);
	return 0;
}

int network_interface_find(const char *name, struct network_interface *interface)
{
	int index = 0;

	if (alternative && strcmp(name, alternative) == 0)
		index = alternative_index;
	else if (sscanf(name, "eth%d", &index) != 1)
		return -ENODEV;
	return network_interface_read(index, interface);
}

bool network_interface_is_same(const char *one, const char *other)
{
	return strcmp(one, other) == 0;
}

bool network_interface_is_alternative(const char *name)
{
	return strlen(name) >= NETWORK_INTERFACE_NAME_SIZE;
}

/* Without an engine: no recorder has anything. */
static int find(const char *name, struct config_strings allowed, struct targets *targets)
{
	char text[NETWORK_INTERFACE_ANY_NAME_MAX + 1];
	struct request_interface wanted = {.name = text};
	const struct request request = {.interfaces = &wanted, .interface_count = 1};
	const struct config_requests rules = {.interfaces = allowed, .section = "requests"};
	struct error error;

	snprintf(text, sizeof(text), "%s", name);
	return targets_find(&request, &rules, NULL, targets, &error);
}

static int set_up(void **state)
{
	*state = calloc(1, sizeof(struct targets));
	link_count = 10;
	gone = 0;
	alternative = NULL;
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	targets_deinit(*state);
	free(*state);
	return 0;
}

static void test_interfaces_beyond_the_limit_are_skipped(void **state)
{
	struct targets *targets = *state;

	link_count = REQUEST_INTERFACES_MAX + 2000;
	gone = 5;
	assert_int_equal(find("any", (struct config_strings){0}, targets), 0);
	assert_int_equal(targets->count, REQUEST_INTERFACES_MAX);
	assert_int_equal(targets->skipped.total, 2000);
	assert_int_equal(targets->skipped.listed, SKIPPED_LISTED_MAX);
	assert_string_equal(targets->skipped.items[0].interface, "eth5");
	assert_string_equal(targets->skipped.items[0].reason, "gone");
	assert_string_equal(targets->skipped.items[1].reason, "limit");
	assert_string_equal(targets->skipped.items[1].interface, "eth4098"); /* one place was eth5's */
}

static void test_any_is_what_the_names_in_the_list_mean(void **state)
{
	struct targets *targets = *state;
	char long_name[] = LONG_NAME, short_name[] = "eth7", unknown[] = "no-such";
	char *names[] = {long_name, short_name, unknown};

	alternative = names[0];
	alternative_index = 3;
	assert_int_equal(find("any", (struct config_strings){names, 3}, targets), 0);
	assert_int_equal(targets->count, 2);
	assert_string_equal(targets->items[0].on.name, "eth3");
	assert_false(targets->items[0].on.former); /* nothing of a former eth3 */
	assert_string_equal(targets->items[1].on.name, "eth7");
	assert_true(targets->items[1].on.former);
	assert_int_equal(targets->skipped.total, 0);
}

static void test_interface_that_vanishes_is_named_only_if_it_was_allowed(void **state)
{
	struct targets *targets = *state;
	char second[] = "eth2", fourth[] = "eth4";
	char *names[] = {second, fourth};

	gone = 2;
	assert_int_equal(find("any", (struct config_strings){names, 2}, targets), 0);
	assert_int_equal(targets->count, 1);
	assert_int_equal(targets->skipped.total, 1);
	assert_string_equal(targets->skipped.items[0].interface, "eth2");
}

static void test_device_of_a_listed_name_may_be_named_otherwise(void **state)
{
	struct targets *targets = *state;
	char long_name[] = LONG_NAME;
	char *names[] = {long_name};

	alternative = names[0];
	alternative_index = 3;
	assert_int_equal(find("eth3", (struct config_strings){names, 1}, targets), 0);
	assert_int_equal(targets->items[0].on.ifindex, 3);
	assert_int_equal(find("eth4", (struct config_strings){names, 1}, targets), -EACCES);
	alternative_index = 4; /* moved */
	assert_int_equal(find("eth3", (struct config_strings){names, 1}, targets), -EACCES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_interfaces_beyond_the_limit_are_skipped),
		TEST(test_any_is_what_the_names_in_the_list_mean),
		TEST(test_interface_that_vanishes_is_named_only_if_it_was_allowed),
		TEST(test_device_of_a_listed_name_may_be_named_otherwise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
