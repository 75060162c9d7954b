/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fields of a request. The table lists them all. For all fields, 0 and "" mean "not given" (requests are often made
 * from structs that send every member), null is a type error, and an array must not be empty.
 */
#include "request/request_field.h"

#include <string.h>

#include "config/config.h"
#include "config/config_rules.h"
#include "request/request_list.h"
#include "request/request_s3.h"
#include "request/request_value.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define OFFSET(member) .offset = offsetof(struct request, member)
#define LIMIT(key, member) .limit_offset = offsetof(struct config, general.member), .limit_name = "general." key
#define TEXT(member, max, what) .set = request_value_set_text, OFFSET(member), .bytes_max = (max), .kind = (what)
#define S3(member, check) .set = request_s3_set, OFFSET(s3.member), .rule = (check)

static const struct request_field fields[] = {
	{"node", TYPE_STRING, .set = NULL},
	{"nodere", TYPE_STRING, .set = NULL},
	{"interface", TYPE_ARRAY, .set = request_list_set_interfaces},
	{"alias", TYPE_ARRAY, .set = request_list_set_aliases},
	{"bpf", TYPE_STRING, TEXT(bpf, REQUEST_BPF_MAX, TEXT_FILTER)},
	{"inner", TYPE_STRING, TEXT(inner, REQUEST_BPF_MAX, TEXT_FILTER)},
	{"snap", TYPE_INTEGER, .set = request_value_set_snap},
	{"packets", TYPE_INTEGER, .set = request_value_set_count, OFFSET(packets), LIMIT("maxpackets", maxpackets)},
	{"bytes", TYPE_INTEGER, .set = request_value_set_count, OFFSET(bytes), LIMIT("maxbytes", maxbytes)},
	{"timeout", TYPE_NUMBER, .set = request_value_set_seconds, OFFSET(idle_ns), LIMIT("maxtimeout", maxtimeout_ns)},
	{"duration", TYPE_NUMBER, .set = request_value_set_seconds, OFFSET(duration_ns),
	 LIMIT("maxduration", maxduration_ns)},
	{"before", TYPE_NUMBER, .set = request_value_set_seconds, OFFSET(before_ns),
	 LIMIT("maxduration", maxduration_ns)},
	{"from", TYPE_NUMBER | TYPE_STRING, .set = request_value_set_time, OFFSET(from_ns)},
	{"to", TYPE_NUMBER | TYPE_STRING, .set = request_value_set_time, OFFSET(to_ns)},
	{"tags", TYPE_STRING, TEXT(tags, REQUEST_STRING_MAX, TEXT_LINE)},
	{"customer", TYPE_STRING, TEXT(customer, REQUEST_STRING_MAX, TEXT_LINE)},
	{"alertid", TYPE_INTEGER | TYPE_STRING, .set = NULL},
	{"alertstr", TYPE_STRING, .set = NULL},
	{"dedupe", TYPE_STRING, TEXT(dedupe, REQUEST_STRING_MAX, TEXT_LINE)},
	{"comment", TYPE_STRING, TEXT(comment, REQUEST_STRING_MAX, TEXT_NOTE)},
	{"id", TYPE_STRING, .set = request_value_set_id},
	{"rule", TYPE_STRING, .set = request_value_set_rule},
	{"format", TYPE_STRING, .set = request_value_set_format},
	{"merge", TYPE_BOOL, .set = request_value_set_flag, OFFSET(merge)},
	{"files", TYPE_INTEGER, .set = request_value_set_files},
	{"every", TYPE_NUMBER | TYPE_STRING, .set = request_value_set_every,
	 .expected = "a number of seconds, or a size such as \"100MB\""},
	{"stream", TYPE_BOOL, .set = request_value_set_flag, OFFSET(stream)},
	{"drop_duplicates", TYPE_BOOL, .set = request_value_set_flag, OFFSET(drop_duplicates)},
	{"follow", TYPE_BOOL, .set = request_value_set_flag, OFFSET(follow)},
	{"to_destinations", TYPE_ARRAY, .set = request_list_set_destinations},
	{"first_of", TYPE_ARRAY, .set = request_list_set_first_of},
	{"logrequest", TYPE_BOOL, .set = request_value_set_flag, OFFSET(logrequest)},
	{"packetdebug", TYPE_BOOL, .set = request_value_set_flag, OFFSET(packetdebug)},
	{"stop", TYPE_BOOL, .set = request_value_set_flag, OFFSET(stop)},
	{"sig", TYPE_STRING, .set = NULL},
	{"aliasmatched", TYPE_ANY, .set = NULL}, /* the original program wrote it into messages; it asks for nothing */
	{"bucket", TYPE_STRING, S3(bucket, config_rule_s3_bucket)},
	{"folder", TYPE_STRING, S3(folder, config_rule_s3_folder)},
	{"region", TYPE_STRING, S3(region, config_rule_s3_region)},
	{"endpoint", TYPE_STRING, S3(endpoint, config_rule_s3_endpoint)},
	{"acl", TYPE_STRING, S3(acl, config_rule_s3_acl)},
	{"encryption", TYPE_BOOL | TYPE_STRING, S3(encryption, NULL)},
};

static const struct request_field *find_field(const char *name)
{
	for (size_t i = 0; i < COUNT(fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static int refuse_unknown(struct request_draft *draft, const char *name)
{
	const char *known[COUNT(fields)];
	char hint[REQUEST_HINT_SIZE];

	for (size_t i = 0; i < COUNT(fields); i++)
		known[i] = fields[i].name;
	return request_refuse(draft->refusal, name, "unknown field%s",
			      request_text_suggestion(name, known, COUNT(known), hint));
}

static const char *describe_types(unsigned types)
{
	static const struct {
		unsigned types;
		const char *text;
	} texts[] = {
		{TYPE_STRING, "a string"},
		{TYPE_INTEGER, "an integer"},
		{TYPE_NUMBER, "a number of seconds"},
		{TYPE_BOOL, "true or false"},
		{TYPE_ARRAY, "an array of strings"},
		{TYPE_INTEGER | TYPE_STRING, "an integer or a string"},
		{TYPE_BOOL | TYPE_STRING, "true, false or a string"},
		{TYPE_NUMBER | TYPE_STRING, "an RFC 3339 time or Unix seconds"},
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		if (texts[i].types == types)
			return texts[i].text;
	return "of another type";
}

static const char *describe_value(const json_t *value)
{
	static const char *const texts[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",  [JSON_INTEGER] = "an integer",
		[JSON_TRUE] = "true",	     [JSON_REAL] = "a number with a fraction or exponent",
		[JSON_FALSE] = "false",	     [JSON_NULL] = "null",
	};

	return texts[json_typeof(value)];
}

/* Of a request that stops captures. */
static int check_stop(struct request_draft *draft, json_t *message)
{
	static const char *const allowed[] = {"stop", "node", "nodere", "dedupe", "id", "sig"};
	const char *name;
	json_t *value;

	json_object_foreach(message, name, value)
	{
		size_t i = 0;

		while (i < COUNT(allowed) && strcmp(allowed[i], name) != 0)
			i++;
		if (i == COUNT(allowed))
			return request_refuse(draft->refusal, name, "cannot be combined with stop");
	}
	if (!json_string_length(json_object_get(message, "dedupe")))
		return request_refuse(draft->refusal, "dedupe", "is missing: it says which captures end");
	return 0;
}

static int check_fields(struct request_draft *draft, json_t *message)
{
	const char *name;
	json_t *value;

	json_object_foreach(message, name, value)
	{
		const struct request_field *field = find_field(name);

		if (!field)
			return refuse_unknown(draft, name);
		if (!(field->types & 1U << json_typeof(value)))
			return request_refuse(draft->refusal, name, "must be %s, not %s",
					      field->expected ? field->expected : describe_types(field->types),
					      describe_value(value));
	}
	if (json_is_true(json_object_get(message, "stop")))
		return check_stop(draft, message);
	if (!json_object_get(message, "interface") == !json_object_get(message, "alias"))
		return request_refuse(draft->refusal, "interface", "exactly one of interface and alias must be given");
	return 0;
}

int request_field_read_all(struct request_draft *draft, json_t *message)
{
	const char *name;
	json_t *value;
	int r = check_fields(draft, message);

	if (r < 0)
		return r;
	json_object_foreach(message, name, value)
	{
		const struct request_field *field = find_field(name); /* check_fields() found it */

		r = field->set ? field->set(draft, field, value) : 0;
		if (r < 0)
			return r;
	}
	return request_value_set_alertid(draft, message);
}
