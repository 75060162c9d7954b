/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From bytes to a request. Checks run in order of cost: size, depth, node, and all fields only if the node is this one.
 *
 * A message that is certainly for another node is dropped early (request_peek.h); that node refuses a duplicate field
 * or a wrong value in it. A message that names no node, or is not JSON, is refused by every node, since no single one
 * is responsible.
 */
#include "request/request.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/random.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "config/config.h"
#include "config/config_keyring.h"
#include "request/request_field.h"
#include "request/request_node.h"
#include "request/request_peek.h"
#include "request/request_s3.h"
#include "request/request_text.h"
#include "request/request_value.h"
#include "request/signature.h"

#define JSON_REAL_DIGITS 16 /* 0.1 stays 0.1; Unix seconds keep their microseconds */
#define TAGS_MAX (8 * REQUEST_STRING_MAX)

CLEANUP_DEFINE(json, json_t, json_decref)

/* --- is it for this node? --- */

static bool is_usable(const char *text, size_t size)
{
	return size > 0 && !request_text_has_control(text, size, TEXT_LINE);
}

/* True only if that is certain; false leaves the decision to the full parser. */
static bool is_certainly_elsewhere(const char *bytes, size_t size, const char *node)
{
	cleanup(cleanup_json) json_t *decoded = NULL;
	const char *expression;
	struct request_peek peek;

	if (!request_peek_message(bytes, size, &peek))
		return false;
	if (peek.node.text)
		return !peek.node.escaped && is_usable(peek.node.text, peek.node.size) &&
		       !request_node_is_named(peek.node.text, peek.node.size, node);

	expression = peek.nodere.text;
	size = peek.nodere.size;
	if (peek.nodere.escaped) { /* together with its quotes it is a valid JSON text */
		decoded = json_loadb(expression - 1, size + 2, JSON_DECODE_ANY, NULL);
		expression = json_string_value(decoded);
		size = json_string_length(decoded);
	}
	return expression && is_usable(expression, size) && request_node_matches(expression, size, node, NULL) == 0;
}

/* The value of `node` or `nodere`, exactly one of which must be there; or NULL with the refusal filled. */
static const json_t *read_node_field(const json_t *message, struct request_refusal *refusal, const char **field)
{
	const json_t *node = json_object_get(message, "node"), *nodere = json_object_get(message, "nodere");
	const json_t *value = node ? node : nodere;

	*field = node ? "node" : "nodere";
	if (!node == !nodere)
		request_refuse(refusal, "node", "exactly one of node and nodere must be given");
	else if (!json_is_string(value))
		request_refuse(refusal, *field, "must be a string");
	else if (!json_string_length(value))
		request_refuse(refusal, *field, "is empty");
	else if (request_text_has_control(json_string_value(value), json_string_length(value), TEXT_LINE))
		request_refuse(refusal, *field, "contains a control character");
	else
		return value;
	return NULL;
}

static enum request_verdict check_node(const json_t *message, const char *node, struct request_refusal *refusal)
{
	const char *field;
	const json_t *value = read_node_field(message, refusal, &field);
	struct error error = {0};
	int r;

	if (!value)
		return REQUEST_INVALID;
	if (strcmp(field, "node") == 0)
		r = request_node_is_named(json_string_value(value), json_string_length(value), node);
	else
		r = request_node_matches(json_string_value(value), json_string_length(value), node, &error);
	if (r < 0)
		request_refuse(refusal, field, "%s", error.text);
	return r < 0 ? REQUEST_INVALID : r ? REQUEST_OURS : REQUEST_ELSEWHERE;
}

/* Whether no other node can be meant. */
static bool names_node(const json_t *message, const char *node)
{
	const char *name = json_string_value(json_object_get(message, "node"));

	return name && strcmp(name, node) == 0;
}

/* --- JSON --- */

/* Reports why parsing failed and, unless the grammar is broken, in which field. */
static void refuse_json(const char *bytes, size_t size, const json_error_t *error, struct request_refusal *refusal)
{
	char field[REQUEST_QUOTE_SIZE] = "", why[REQUEST_QUOTE_SIZE];
	size_t position = error->position > 0 ? (size_t)error->position : 0;

	if (position > size)
		position = size;
	switch (json_error_code(error)) {
	case json_error_out_of_memory:
		request_refuse(refusal, "", "out of memory");
		return;
	case json_error_duplicate_key:
		request_peek_field_at(bytes, position, field);
		request_refuse(refusal, field, "is given twice");
		return;
	case json_error_numeric_overflow:
		request_peek_field_at(bytes, position, field);
		request_refuse(refusal, field, "number out of range (line %d, column %d)", error->line, error->column);
		return;
	default:
		request_refuse(refusal, "", "invalid JSON: %s (line %d, column %d)",
			       request_text_quote(error->text, strlen(error->text), why), error->line, error->column);
	}
}

static bool is_blank(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!bytes[i] || !strchr(" \t\r\n", bytes[i]))
			return false;
	return true;
}

static json_t *load_json(const char *bytes, size_t size, struct request_refusal *refusal)
{
	cleanup(cleanup_json) json_t *message = NULL;

	json_error_t error;

	if (is_blank(bytes, size)) {
		request_refuse(refusal, "", "the message is empty");
		return NULL;
	}
	/* Accepts any JSON value, and NUL in strings, so that refusals can name the field instead of a parser error. */
	message = json_loadb(bytes, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (!message) {
		refuse_json(bytes, size, &error, refusal);
		return NULL;
	}
	if (!json_is_object(message)) {
		request_refuse(refusal, "", "a request must be a JSON object");
		return NULL;
	}
	return take(message);
}

/* --- the request --- */

int request_make_id(char id[static REQUEST_ID_SIZE])
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -errno;
	snprintf(id, REQUEST_ID_SIZE, "%016" PRIx64, random);
	return 0;
}

/* A request that need not be signed may be: publishers can begin to sign before nodes demand it. */
static int check_signature(json_t *message, const struct request_arrival *arrival, struct signature *signature,
			   struct request_refusal *refusal)
{
	const uint64_t arrival_ns = arrival->published_ns ? arrival->published_ns : arrival->received_ns;
	struct error err;

	if (!arrival->rules || !arrival->rules->keyring)
		return 0;
	if (signature_verify(message, arrival->rules, arrival_ns, signature, &err) == 0)
		return 0;
	return request_refuse(refusal, SIGNATURE_FIELD, "%s", err.text);
}

/* False: out of memory. */
static bool set_rule(struct request *request, const char *rule)
{
	request->rule = rule ? strdup(rule) : NULL;
	return !rule || request->rule;
}

static struct request *request_new(const struct config *config, const struct request_arrival *arrival,
				   const struct signature *signature)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->references = 1;
	request->received_ns = arrival->received_ns;
	request->published_ns = arrival->published_ns;
	request->key = signature->key;
	if (request->key)
		request->keys = config_keyring_hold(arrival->rules->keyring);
	request->signed_s = signature->time_s;
	memcpy(request->mac, signature->mac, sizeof(request->mac));
	request->live = request->merge = arrival->live;
	request->packets = arrival->live ? UINT64_MAX : config->general.maxpackets;
	request->bytes = arrival->live ? UINT64_MAX : config->general.maxbytes;
	request->snap = config->general.snaplength_bytes < REQUEST_SNAP_MAX ? (uint32_t)config->general.snaplength_bytes
									    : REQUEST_SNAP_MAX;
	request->format = strcmp(config->general.format, "pcap") == 0 ? REQUEST_FORMAT_PCAP : REQUEST_FORMAT_PCAPNG;
	request->logrequest = config->general.logrequests;
	request->packetdebug = config->general.packetdebug && !arrival->live;
	return request;
}

static int check_window(const struct request *request, const struct config *config, struct request_refusal *refusal)
{
	const uint64_t horizon_ns = request->received_ns + config->general.maxduration_ns;
	const bool given = request->from_ns || request->to_ns;

	if (given && request->before_ns)
		return request_refuse(refusal, "before", "cannot be combined with from or to");
	if (request->to_ns && request->idle_ns)
		return request_refuse(refusal, "timeout", "cannot be combined with to");
	if (request->to_ns && request->duration_ns)
		return request_refuse(refusal, "duration", "cannot be combined with to");
	if (request->to_ns && request->to_ns <= request->from_ns)
		return request_refuse(refusal, "to", "must be later than from");
	if (request->to_ns && !request->from_ns && request->to_ns <= request->received_ns)
		return request_refuse(refusal, "to", "is in the past, which requires from");
	if (request->from_ns > horizon_ns || request->to_ns > horizon_ns)
		return request_refuse(refusal, request->from_ns > horizon_ns ? "from" : "to",
				      "is more than %" PRIu64 " s in the future (general.maxduration)",
				      config->general.maxduration_ns / NS_PER_S);
	return 0;
}

static int check_follow(const struct request *request, struct request_refusal *refusal)
{
	bool any = false;

	for (size_t i = 0; i < request->interface_count; i++)
		any |= strcmp(request->interfaces[i].name, "any") == 0;
	if (!request->follow || any)
		return 0;
	return request_refuse(refusal, "follow", "needs the interface \"any\"");
}

/* A series of files. */
static int check_series(const struct request *request, struct request_refusal *refusal)
{
	const bool given = request->every_ns || request->every_bytes;
	const char *field = request->live ? "files" : request->merge ? "merge" : request->follow ? "follow" : NULL;

	if (given != (request->files > 0))
		return request_refuse(refusal, given ? "files" : "every", "is missing: files and every go together");
	if (given && field)
		return request_refuse(refusal, field, "is not possible with a series of files");
	return 0;
}

/* A series by time lasts as long as its files. */
static int set_series(struct request *request, const struct config *config, struct request_refusal *refusal)
{
	if (request->every_bytes && request->every_bytes < request->bytes)
		request->bytes = request->every_bytes;
	if (!request->every_ns || request->duration_ns || request->idle_ns || request->to_ns)
		return 0;
	if (request->every_ns > config->general.maxduration_ns / request->files)
		return request_refuse(refusal, "files",
				      "%" PRIu64 " of %.12g s each are more than %" PRIu64 " s (general.maxduration)",
				      request->files, (double)request->every_ns / NS_PER_S,
				      config->general.maxduration_ns / NS_PER_S);
	request->duration_ns = request->every_ns * request->files;
	return 0;
}

/* Without `duration`, `timeout` (in idle_ns so far) limits the whole capture. */
static void resolve_times(struct request *request, const struct config *config)
{
	if (request->duration_ns)
		return;
	request->duration_ns = request->idle_ns ? request->idle_ns
			       : request->live	? REQUEST_ENDLESS_NS
						: config->general.defaulttimeout_ns;
	request->idle_ns = 0;
}

/* What a file of packets that are gone once they are sent cannot have. */
static int check_live(const struct request *request, struct request_refusal *refusal)
{
	const char *field = request->destination_count ? "to_destinations"
			    : request->first_of_count  ? "first_of"
			    : request->follow	       ? "follow"
			    : request->drop_duplicates ? "drop_duplicates"
			    : request->dedupe	       ? "dedupe"
			    : request->packetdebug     ? "packetdebug"
						       : NULL;

	return request->live && field ? request_refuse(refusal, field, "is not possible with a live capture") : 0;
}

static int check_first_of(const struct request *request, struct request_refusal *refusal)
{
	for (size_t i = 0; i < request->first_of_count; i++)
		for (size_t k = 0; k < request->destination_count; k++)
			if (strcmp(request->first_of[i], request->destinations[k]) == 0)
				return request_refuse(refusal, "first_of", "\"%s\" is in to_destinations as well",
						      request->first_of[i]);
	return 0;
}

/* What a file that is delivered while it grows cannot be. A client's file grows anyway. */
static int check_stream(struct request *request, const json_t *message, struct request_refusal *refusal)
{
	if (!request->stream || request->live)
		return 0;
	if (request->format == REQUEST_FORMAT_PCAP)
		return request_refuse(refusal, json_object_get(message, "format") ? "format" : "stream",
				      "a file that is sent while it grows must be pcapng");
	if (request->drop_duplicates)
		return request_refuse(refusal, "drop_duplicates", "is not possible with stream");
	if (json_is_true(json_object_get(message, "packetdebug")))
		return request_refuse(refusal, "packetdebug", "is not possible with stream");
	request->packetdebug = false;
	return 0;
}

static int complete(struct request *request, json_t *message, const struct config *config,
		    struct request_refusal *refusal)
{
	if (check_window(request, config, refusal) < 0 || check_follow(request, refusal) < 0 ||
	    check_live(request, refusal) < 0 || check_first_of(request, refusal) < 0 ||
	    check_series(request, refusal) < 0 || check_stream(request, message, refusal) < 0)
		return -EINVAL;
	if (request->drop_duplicates && !request->merge)
		return request_refuse(refusal, "drop_duplicates",
				      "needs merge: it is about the interfaces of one file");
	request->time_given = request->duration_ns || request->idle_ns || request->to_ns;
	request->packets_given = json_integer_value(json_object_get(message, "packets")) > 0;
	request->bytes_given = json_integer_value(json_object_get(message, "bytes")) > 0;
	if (set_series(request, config, refusal) < 0)
		return -EINVAL;
	resolve_times(request, config);
	if (!request->id_given && request_make_id(request->id) < 0)
		return request_refuse(refusal, "id",
				      "is missing, and the kernel returned no random number to generate one");
	json_object_del(message, SIGNATURE_FIELD);
	request->json = json_dumps(message, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(JSON_REAL_DIGITS));
	return request->json ? 0 : request_refuse(refusal, "", "out of memory");
}

enum request_verdict request_parse(const void *bytes, size_t size, const struct request_arrival *arrival,
				   const struct config *config, const char *const *destinations,
				   size_t destination_count, struct request_refusal *refusal, struct request **request)
{
	cleanup(cleanup_request) struct request *ours = NULL;
	cleanup(cleanup_json) json_t *message = NULL;
	enum request_verdict verdict = REQUEST_INVALID;
	struct signature signature = {0};

	refusal->id[0] = refusal->field[0] = refusal->error.text[0] = '\0';
	refusal->named = false;
	if (size > REQUEST_SIZE_MAX) {
		request_refuse(refusal, "", "request is %zu bytes; the limit is %d", size, REQUEST_SIZE_MAX);
		return REQUEST_INVALID;
	}
	if (request_peek_is_deeper(bytes, size, REQUEST_DEPTH_MAX)) {
		request_refuse(refusal, "", "request nests deeper than %d levels", REQUEST_DEPTH_MAX);
		return REQUEST_INVALID;
	}
	if (is_certainly_elsewhere(bytes, size, config->general.node))
		return REQUEST_ELSEWHERE;

	message = load_json(bytes, size, refusal);
	if (!message)
		return REQUEST_INVALID;
	request_value_read_id(message, refusal->id);
	verdict = check_node(message, config->general.node, refusal);
	if (verdict != REQUEST_OURS)
		return verdict;
	refusal->named = names_node(message, config->general.node);

	if (check_signature(message, arrival, &signature, refusal) < 0)
		return REQUEST_INVALID;
	ours = request_new(config, arrival, &signature);
	if (!ours || !set_rule(ours, arrival->rule)) {
		request_refuse(refusal, "", "out of memory");
		return REQUEST_INVALID;
	}
	ours->broad = !refusal->named;
	if (request_field_read_all(&(struct request_draft){ours, refusal, config, destinations, destination_count},
				   message) < 0)
		return REQUEST_INVALID;
	if (complete(ours, message, config, refusal) < 0)
		return REQUEST_INVALID;
	*request = take(ours);
	return REQUEST_OURS;
}

void request_set_id(struct request *request, const char *id)
{
	if (request->id_given)
		return;
	snprintf(request->id, sizeof(request->id), "%s", id);
	request->id_given = true;
}

const char *request_key_name(const struct request *request)
{
	return request->key ? request->key->name : NULL;
}

static size_t text_bytes(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

size_t request_bytes(const struct request *request)
{
	size_t bytes = sizeof(*request) + text_bytes(request->bpf) + text_bytes(request->inner) +
		       text_bytes(request->filter_shown) + text_bytes(request->inner_shown) +
		       text_bytes(request->origin) + text_bytes(request->tags) + text_bytes(request->customer) +
		       text_bytes(request->comment) + text_bytes(request->alertid) + text_bytes(request->dedupe) +
		       text_bytes(request->rule) + text_bytes(request->json) + request_s3_bytes(&request->s3);

	for (size_t i = 0; i < request->interface_count; i++)
		bytes += sizeof(*request->interfaces) + text_bytes(request->interfaces[i].name) +
			 text_bytes(request->interfaces[i].alias);
	for (size_t i = 0; i < request->destination_count; i++)
		bytes += sizeof(*request->destinations) + text_bytes(request->destinations[i]);
	for (size_t i = 0; i < request->first_of_count; i++)
		bytes += sizeof(*request->first_of) + text_bytes(request->first_of[i]);
	return bytes;
}

struct request *request_ref(struct request *request)
{
	request->references++;
	return request;
}

void request_unref(struct request *request)
{
	if (!request || --request->references)
		return;
	for (size_t i = 0; i < request->interface_count; i++) {
		free(request->interfaces[i].name);
		free(request->interfaces[i].alias);
	}
	for (size_t i = 0; i < request->destination_count; i++)
		free(request->destinations[i]);
	for (size_t i = 0; i < request->first_of_count; i++)
		free(request->first_of[i]);
	free(request->first_of);
	free(request->interfaces);
	free(request->destinations);
	free(request->bpf);
	free(request->inner);
	free(request->filter_shown);
	free(request->inner_shown);
	free(request->origin);
	free(request->tags);
	free(request->customer);
	free(request->comment);
	free(request->alertid);
	free(request->dedupe);
	request_s3_deinit(&request->s3);
	free(request->rule);
	free(request->json);
	config_key_set_release(request->keys);
	free(request);
}

/* Appends "<comma><label><value>"; nothing if `value` is NULL. */
static int append_tag(struct buffer *tags, const char *label, const char *value)
{
	return value ? buffer_printf(tags, "%s%s%s", tags->size ? "," : "", label, value) : 0;
}

char *request_tags(const struct request *request, const struct request_interface *interface, const char *node)
{
	cleanup(buffer_deinit) struct buffer tags = BUFFER_INIT(TAGS_MAX);
	char snap[16];

	snprintf(snap, sizeof(snap), "%" PRIu32, request->snap);
	if (append_tag(&tags, "customer:", request->customer) < 0 ||
	    append_tag(&tags, "alertid:", request->alertid) < 0 || append_tag(&tags, "", request->tags) < 0 ||
	    append_tag(&tags, "alias:", interface->alias) < 0 || append_tag(&tags, "node:", node) < 0 ||
	    append_tag(&tags, "interface:", interface->name) < 0 || append_tag(&tags, "snaplength:", snap) < 0)
		return NULL;
	return take(tags.data);
}
