/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of interfaces: messages of the kernel, and the kernel itself in a network namespace (needs root). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/link_table.h"

#define LONG_NAME "interface-with-a-name-of-more-than-fifteen-bytes"

struct message {
	struct nlmsghdr header;
	struct ifinfomsg link;
	uint8_t attributes[512];
};

static void begin(struct message *message, uint16_t type)
{
	*message = (struct message){.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = type},
				    .link = {.ifi_index = 7, .ifi_flags = IFF_UP}};
}

/* Returns where the attribute is. */
static struct nlattr *put(struct message *message, uint16_t type, const void *data, size_t size)
{
	struct nlattr *attribute = (void *)((uint8_t *)message + NLMSG_ALIGN(message->header.nlmsg_len));

	attribute->nla_type = type;
	attribute->nla_len = (uint16_t)(NLA_HDRLEN + size);
	memcpy((uint8_t *)attribute + NLA_HDRLEN, data, size);
	message->header.nlmsg_len = NLMSG_ALIGN(message->header.nlmsg_len) + NLA_ALIGN(attribute->nla_len);
	return attribute;
}

static void put_text(struct message *message, uint16_t type, const char *text)
{
	put(message, type, text, strlen(text) + 1);
}

static bool parse(const struct message *message, struct link_message *parsed)
{
	return link_message_parse(message, message->header.nlmsg_len, parsed);
}

static void test_message_of_a_link_is_read(void **state)
{
	struct message message;
	struct link_message parsed;

	(void)state;
	begin(&message, RTM_NEWLINK);
	put_text(&message, IFLA_IFNAME, "eth7");
	assert_true(parse(&message, &parsed));
	assert_int_equal(parsed.index, 7);
	assert_true(parsed.up && !parsed.removed && !parsed.alternatives_size);
	assert_string_equal(parsed.name, "eth7");
	begin(&message, RTM_DELLINK);
	assert_true(parse(&message, &parsed));
	assert_true(parsed.removed);
}

static void test_messages_that_are_not_about_a_whole_link_are_ignored(void **state)
{
	struct message message;
	struct link_message parsed;

	(void)state;
	begin(&message, RTM_DELLINK);
	message.link.ifi_family = AF_BRIDGE; /* it leaves a bridge, but exists */
	put_text(&message, IFLA_IFNAME, "eth7");
	assert_false(parse(&message, &parsed));
	begin(&message, RTM_NEWLINK); /* a wireless event, without the list of names */
	put_text(&message, IFLA_IFNAME, "eth7");
	put_text(&message, IFLA_WIRELESS, "event");
	assert_false(parse(&message, &parsed));
	begin(&message, RTM_NEWADDR);
	assert_false(parse(&message, &parsed));
	begin(&message, RTM_NEWLINK); /* no name */
	assert_false(parse(&message, &parsed));
}

static void test_malformed_messages_are_harmless(void **state)
{
	struct message message;
	struct link_message parsed;
	uint32_t random = 1;

	(void)state;
	begin(&message, RTM_NEWLINK);
	put_text(&message, IFLA_IFNAME, "a name that is too long for the kernel");
	struct nlattr *last = put(&message, IFLA_PROP_LIST, "names", 6);
	assert_true(parse(&message, &parsed));
	assert_string_equal(parsed.name, "a name that is ");
	last->nla_len = 60000;
	assert_true(parse(&message, &parsed));
	assert_int_equal(parsed.alternatives_size, 0);
	for (size_t size = 0; size < message.header.nlmsg_len; size++)
		assert_false(link_message_parse(&message, size, &parsed));
	for (unsigned i = 0; i < 100000; i++) {
		begin(&message, RTM_NEWLINK);
		message.header.nlmsg_len = sizeof(message);
		for (size_t k = 0; k < sizeof(message.attributes); k++)
			message.attributes[k] = (uint8_t)((random = random * 1664525 + 1013904223) >> 24) % 64;
		(void)parse(&message, &parsed);
	}
}

/* --- with the kernel --- */

static int control(unsigned long what, struct ifreq *request)
{
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	const int r = ioctl(fd, what, request);

	close(fd);
	return r;
}

static void set_up(bool up)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = (short)(up ? IFF_UP : 0)};

	assert_int_equal(control(SIOCSIFFLAGS, &request), 0);
}

/* `ip link property add/del dev lo altname NAME` */
static void change_name(uint16_t type, const char *name)
{
	struct message message;
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} answer;
	struct message list;
	const int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	begin(&list, RTM_NEWLINK);
	put_text(&list, IFLA_ALT_IFNAME, name);
	begin(&message, type);
	message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	message.link = (struct ifinfomsg){.ifi_index = 1};
	put(&message, IFLA_PROP_LIST | NLA_F_NESTED, list.attributes,
	    list.header.nlmsg_len - NLMSG_LENGTH(sizeof(struct ifinfomsg)));
	assert_int_equal(send(fd, &message, message.header.nlmsg_len, 0), message.header.nlmsg_len);
	assert_true(recv(fd, &answer, sizeof(answer), 0) >= (ssize_t)sizeof(answer.header));
	assert_int_equal(answer.error.error, 0);
	close(fd);
}

static int enter_namespace(void **state)
{
	(void)state;
	return unshare(CLONE_NEWNET) == 0 ? link_table_start() : 0;
}

static int leave_table(void **state)
{
	(void)state;
	link_table_stop();
	return 0;
}

static bool is_privileged(void)
{
	int index;

	return link_table_find("", &index) != -ENOTCONN;
}

static void test_names_of_interfaces_that_are_up_are_known_at_once(void **state)
{
	int index = 0;

	(void)state;
	if (!is_privileged())
		skip();
	set_up(true);
	for (unsigned i = 0; i < 500; i++) {
		char name[64];

		snprintf(name, sizeof(name), LONG_NAME "-%u", i);
		assert_int_equal(link_table_find(name, &index), -ENODEV);
		change_name(RTM_NEWLINKPROP, name);
		assert_int_equal(link_table_find(name, &index), 0);
		assert_int_equal(index, 1);
		change_name(RTM_DELLINKPROP, name);
		assert_int_equal(link_table_find(name, &index), -ENODEV);
	}
}

static void test_names_of_interfaces_that_are_down_are_known_once_asked_for(void **state)
{
	int index = 0;

	(void)state;
	if (!is_privileged())
		skip();
	set_up(false);
	change_name(RTM_NEWLINKPROP, LONG_NAME);
	assert_int_equal(link_table_find(LONG_NAME, &index), -ENODEV); /* the kernel sends no notice */
	assert_int_equal(link_table_ask(LONG_NAME, &index), 0);
	assert_int_equal(index, 1);
	index = 0;
	assert_int_equal(link_table_find(LONG_NAME, &index), 0);
	assert_int_equal(index, 1);
	assert_int_equal(link_table_ask("no-such-interface-with-a-long-name", &index), -ENODEV);
	change_name(RTM_NEWLINKPROP, LONG_NAME "-2");
	set_up(true);
	assert_int_equal(link_table_find(LONG_NAME "-2", &index), 0);
}

static void test_list_has_the_state_of_now(void **state)
{
	struct link_entry *list = NULL;
	size_t count = 0;

	(void)state;
	if (!is_privileged())
		skip();
	for (unsigned i = 0; i < 20; i++) {
		set_up(i % 2);
		assert_int_equal(link_table_list(&list, &count), 0);
		assert_true(count >= 1);
		assert_int_equal(list[0].index, 1);
		assert_string_equal(list[0].name, "lo");
		assert_int_equal(list[0].up, i % 2);
		free(list);
	}
}

/* What a thread that waits for changes has found after the last one. */
struct waiter {
	int fd, stop_fd;
	_Atomic bool up;
	sem_t looked;
};

static void *look_after_each_change(void *ctx)
{
	struct waiter *waiter = ctx;
	struct pollfd fds[] = {{.fd = waiter->fd, .events = POLLIN}, {.fd = waiter->stop_fd, .events = POLLIN}};

	while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
		struct link_entry *list = NULL;
		size_t count = 0;

		if (!link_table_has_changed(waiter->fd) || link_table_list(&list, &count) < 0)
			break;
		waiter->up = count && list[0].up;
		free(list);
		sem_post(&waiter->looked);
	}
	return NULL;
}

static void test_who_waits_for_a_change_finds_it(void **state)
{
	struct waiter waiter = {0};
	pthread_t thread;
	int ends[2];

	(void)state;
	if (!is_privileged())
		skip();
	set_up(false);
	waiter.fd = link_table_watch();
	assert_true(waiter.fd >= 0);
	assert_int_equal(pipe(ends), 0);
	waiter.stop_fd = ends[0];
	sem_init(&waiter.looked, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, look_after_each_change, &waiter), 0);
	for (unsigned i = 1; i <= 2000; i++) {
		struct timespec deadline;

		clock_gettime(CLOCK_REALTIME, &deadline);
		deadline.tv_sec += 20;
		set_up(i % 2);
		while (waiter.up != i % 2)
			assert_int_equal(sem_timedwait(&waiter.looked, &deadline), 0);
	}
	close(ends[1]);
	pthread_join(thread, NULL);
	close(ends[0]);
	sem_destroy(&waiter.looked);
	link_table_unwatch(&waiter.fd);
	assert_int_equal(waiter.fd, -1);
}

static void test_without_a_table_nothing_is_known(void **state)
{
	struct link_entry *list = NULL;
	size_t count = 1;
	int index;

	(void)state;
	link_table_stop();
	assert_int_equal(link_table_watch(), -ENOTCONN);
	assert_int_equal(link_table_find(LONG_NAME, &index), -ENOTCONN);
	assert_int_equal(link_table_list(&list, &count), -ENOTCONN);
	assert_null(list);
	link_table_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_of_a_link_is_read),
		cmocka_unit_test(test_messages_that_are_not_about_a_whole_link_are_ignored),
		cmocka_unit_test(test_malformed_messages_are_harmless),
		cmocka_unit_test(test_names_of_interfaces_that_are_up_are_known_at_once),
		cmocka_unit_test(test_names_of_interfaces_that_are_down_are_known_once_asked_for),
		cmocka_unit_test(test_list_has_the_state_of_now),
		cmocka_unit_test(test_who_waits_for_a_change_finds_it),
		cmocka_unit_test(test_without_a_table_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, enter_namespace, leave_table);
}
