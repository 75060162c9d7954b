/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a request: accepted, for another node, or refused with a printable reason. A request for another node
 * must be valid JSON, and an accepted request must mean the same when it is parsed again.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "config/config.h"
#include "request/request.h"
#include "require.h"

#define OWN(text) ((char[]){text})

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *aliases[] = {OWN("main"), OWN("public")};
static struct config_interface interfaces[] = {{.name = OWN("eth0"), .alias = {aliases, 2}},
					       {.name = OWN("eth1"), .alias = {aliases + 1, 1}}};
static const struct config config = {
	.general = {.node = OWN("alpha-aaaaaaaaaaaaaaaaaaaaaaaaaa"),
		    .maxpackets = 50000,
		    .maxbytes = 100000000,
		    .maxtimeout_ns = 3600 * NS_PER_S,
		    .maxduration_ns = 3600 * NS_PER_S,
		    .defaulttimeout_ns = 60 * NS_PER_S,
		    .snaplength_bytes = 262144,
		    .format = OWN("pcapng")},
	.interfaces = interfaces,
	.interface_count = 2,
};
static const char *const destinations[] = {"cloudshark", "directory"};

static const struct request_arrival arrival = {.received_ns = 1};

static enum request_verdict parse(const void *bytes, size_t size, struct request_refusal *refusal,
				  struct request **request)
{
	return request_parse(bytes, size, &arrival, &config, destinations, 2, refusal, request);
}

static void check_readable(const char *text)
{
	size_t size = strlen(text);
	uint32_t code;

	for (size_t i = 0, length; i < size; i += length) {
		length = utf8_decode(text + i, size - i, &code);
		REQUIRE(length && code >= 0x20 && code != 0x7f);
	}
}

/* Duplicate fields are allowed: requests for other nodes are not checked for them. */
static void check_elsewhere(const uint8_t *data, size_t size)
{
	json_t *message = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);

	REQUIRE(json_is_object(message));
	REQUIRE(!json_object_get(message, "node") != !json_object_get(message, "nodere"));
	json_decref(message);
}

static void check_ours(const struct request *request)
{
	struct request_refusal refusal;
	struct request *again = NULL;
	char *tags = request_tags(request, request->interfaces, config.general.node);

	REQUIRE(tags && request->interface_count && request->duration_ns && request->packets && request->bytes);
	REQUIRE(request->packets <= config.general.maxpackets && request->snap && request->snap <= REQUEST_SNAP_MAX);
	REQUIRE(parse(request->json, strlen(request->json), &refusal, &again) == REQUEST_OURS);
	REQUIRE(again->packets == request->packets && again->interface_count == request->interface_count);
	REQUIRE(strcmp(again->json, request->json) == 0);
	request_unref(again);
	free(tags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request_refusal refusal;
	struct request *request = NULL;

	switch (parse(data, size, &refusal, &request)) {
	case REQUEST_OURS:
		check_ours(request);
		request_unref(request);
		break;
	case REQUEST_ELSEWHERE:
		check_elsewhere(data, size);
		break;
	case REQUEST_INVALID:
		REQUIRE(!request && refusal.error.text[0]);
		check_readable(refusal.error.text);
		check_readable(refusal.field);
		break;
	}
	return 0;
}
