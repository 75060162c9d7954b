/* SPDX-License-Identifier: BSD-2-Clause */
/* The order of the tests is that of their cost; the first that fails is the reason. */
#include "alert/alert_rule.h"

#include <errno.h>
#include <string.h>

#include "alert/alert_value.h"
#include "base/clock.h"

#define ANY_INTERFACE "any"
#define DURATION_MAX_S (366.0 * 24 * 3600) /* general.maxduration is never more */
#define ANY_NODE "any"			   /* every node: only the configuration may say so, never an alert */

void alert_rule_free(struct alert_rule *rule)
{
	if (!rule)
		return;
	for (size_t i = 0; i < rule->match.count; i++)
		alert_condition_free(rule->match.items[i]);
	for (size_t i = 0; i < rule->stop_on.count; i++)
		alert_condition_free(rule->stop_on.items[i]);
	for (size_t i = 0; i < rule->interface_count; i++)
		alert_template_free(rule->interfaces[i]);
	for (size_t i = 0; i < rule->field_count; i++)
		alert_template_free(rule->fields[i].template);
	alert_template_free(rule->node);
	json_decref(rule->constants);
	free(rule->input);
	free(rule->name);
	free(rule);
}

/* --- whether it takes the alert --- */

static bool takes_input(const struct alert_rule *rule, const struct alert_context *context, struct error *why)
{
	if (!rule->input || strcmp(rule->input, context->format) == 0 ||
	    (context->input && strcmp(rule->input, context->input) == 0))
		return true;
	error_set(why, 0, "it is for the input %s, and this alert came as %s", rule->input, context->format);
	return false;
}

static bool all_hold(const struct alert_conditions *conditions, const struct alert_conditions *except,
		     const json_t *alert, struct error *why)
{
	for (size_t i = 0; i < conditions->count; i++) {
		const char *path = alert_condition_path(conditions->items[i]);
		bool excepted = false;

		for (size_t e = 0; except && e < except->count; e++)
			excepted |= strcmp(alert_condition_path(except->items[e]), path) == 0;
		if (!excepted && !alert_condition_holds(conditions->items[i], alert, why))
			return false;
	}
	return true;
}

/* --- the request --- */

/* A value is missing or does not fit: the alert does not match. */
static enum alert_verdict verdict_of(int r)
{
	return r == -ENOENT || r == -EINVAL ? ALERT_NO_MATCH : ALERT_FAILED;
}

/* 0, or what alert_template_fill() or jansson failed with. */
static int fill(const struct alert_template *template, const json_t *alert, struct buffer *text, struct error *why)
{
	buffer_clear(text);
	return alert_template_fill(template, alert, text, why);
}

static int set_string(json_t *object, const char *name, const char *text)
{
	return json_object_set_new(object, name, json_string(text)) < 0 ? -ENOMEM : 0;
}

/* `text`: as ALERT_INT prints it. */
static int set_integer(json_t *object, const char *name, const char *text)
{
	json_t *number = json_loads(text, JSON_DECODE_ANY, NULL);

	return json_object_set_new(object, name, number) < 0 ? -ENOMEM : 0;
}

/* By the configuration; else this one if it has that name, in full or without its domain; else a node that is called
 * like the host. */
static const char *node_of(const struct alert_context *context, const char *host)
{
	const size_t short_size = strcspn(context->node, ".");
	const char *mapped = context->find_node ? context->find_node(context->ctx, host) : NULL;

	if (mapped)
		return mapped;
	return strlen(host) == short_size && strncmp(host, context->node, short_size) == 0 ? context->node : host;
}

static bool is_for_this_node(const struct alert_context *context, const json_t *request)
{
	return strcmp(json_string_value(json_object_get(request, "node")), context->node) == 0;
}

static int add_node(const struct alert_rule *rule, const json_t *alert, const struct alert_context *context,
		    json_t *request, struct buffer *text, struct error *why)
{
	const char *node = context->node;

	if (rule->node) {
		const int r = fill(rule->node, alert, text, why);

		if (r < 0)
			return r;
		if (strcmp(buffer_text(text), ANY_NODE) == 0)
			return error_set(why, -EINVAL, "%s is no host", ANY_NODE);
		node = node_of(context, buffer_text(text));
		if (!rule->publish && strcmp(node, context->node) != 0)
			return error_set(why, -EINVAL, "the alert is about %.64s, and this node is %.64s",
					 buffer_text(text), context->node);
	}
	return set_string(request, "node", node);
}

static int add_interface(const struct alert_template *template, const json_t *alert,
			 const struct alert_context *context, const json_t *request, json_t *list, struct buffer *text,
			 struct error *why)
{
	const int r = fill(template, alert, text, why);

	if (r < 0)
		return r;
	if (is_for_this_node(context, request) && strcmp(buffer_text(text), ANY_INTERFACE) != 0 &&
	    !context->has_interface(context->ctx, buffer_text(text)))
		return error_set(why, -EINVAL, "this node has no interface %.64s", buffer_text(text));
	return json_array_append_new(list, json_string(buffer_text(text))) < 0 ? -ENOMEM : 0;
}

/* No interface and no alias: every one, in one file. */
static int add_any(const struct alert_rule *rule, json_t *request)
{
	if (json_object_get(rule->constants, "alias"))
		return 0;
	if (json_object_set_new(request, "interface", json_pack("[s]", ANY_INTERFACE)) < 0)
		return -ENOMEM;
	if (json_object_get(request, "merge"))
		return 0;
	return json_object_set_new(request, "merge", json_true()) < 0 ? -ENOMEM : 0;
}

static int add_interfaces(const struct alert_rule *rule, const json_t *alert, const struct alert_context *context,
			  json_t *request, struct buffer *text, struct error *why)
{
	json_t *list = json_array();
	int r = list ? 0 : -ENOMEM;

	if (!rule->interface_count)
		r = add_any(rule, request);
	for (size_t i = 0; r == 0 && i < rule->interface_count; i++)
		r = add_interface(rule->interfaces[i], alert, context, request, list, text, why);
	if (r == 0 && rule->interface_count && json_object_set(request, "interface", list) < 0)
		r = -ENOMEM;
	json_decref(list);
	return r;
}

static int add_fields(const struct alert_rule *rule, const json_t *alert, json_t *request, struct buffer *text,
		      struct error *why)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < rule->field_count; i++) {
		const struct alert_field *field = &rule->fields[i];

		r = fill(field->template, alert, text, why);
		if (r < 0)
			return r;
		r = field->place == ALERT_IN_NUMBER ? set_integer(request, field->name, buffer_text(text))
						    : set_string(request, field->name, buffer_text(text));
	}
	return r;
}

/* A window that begins in the past lasts until `duration` after the alert's arrival; one in the future begins when it
 * begins. */
static int set_end(json_t *request, const struct alert_context *context, struct error *why)
{
	const json_t *from = json_object_get(request, "from"), *duration = json_object_get(request, "duration");
	const double s = json_number_value(duration);
	uint64_t from_ns, begin_ns = context->arrived_ns;
	char text[CLOCK_TEXT_SIZE];

	if (!from || !duration || json_object_get(request, "to"))
		return 0;
	if (!(s >= 0 && s <= DURATION_MAX_S))
		return error_set(why, -EINVAL, "duration is %.12g s; it must be 0 to %.0f", s, DURATION_MAX_S);
	if (alert_value_time(from, &from_ns) == 0 && from_ns > begin_ns)
		begin_ns = from_ns;
	const uint64_t duration_ns = (uint64_t)(s * (double)NS_PER_S);
	if (begin_ns > UINT64_MAX - duration_ns)
		return error_set(why, -EINVAL, "from and duration end too late");
	clock_format(begin_ns + duration_ns, text);
	json_object_del(request, "duration");
	return set_string(request, "to", text);
}

static int add_dedupe(const struct alert_rule *rule, const json_t *alert, json_t *request, struct buffer *text,
		      struct error *why)
{
	for (size_t i = 0; i < rule->field_count; i++) {
		if (strcmp(rule->fields[i].name, "dedupe") != 0)
			continue;
		const int r = fill(rule->fields[i].template, alert, text, why);
		return r < 0 ? r : set_string(request, "dedupe", buffer_text(text));
	}
	return json_object_set(request, "dedupe", json_object_get(rule->constants, "dedupe")) < 0 ? -ENOMEM : 0;
}

static int make_stop(const struct alert_rule *rule, const json_t *alert, const struct alert_context *context,
		     json_t *request, struct buffer *text, struct error *why)
{
	int r = json_object_set_new(request, "stop", json_true()) < 0 ? -ENOMEM : 0;

	if (r == 0)
		r = add_node(rule, alert, context, request, text, why);
	return r < 0 ? r : add_dedupe(rule, alert, request, text, why);
}

static int make_start(const struct alert_rule *rule, const json_t *alert, const struct alert_context *context,
		      json_t *request, struct buffer *text, struct error *why)
{
	int r = add_node(rule, alert, context, request, text, why);

	if (r == 0 && json_object_update(request, rule->constants) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = add_interfaces(rule, alert, context, request, text, why);
	if (r == 0)
		r = add_fields(rule, alert, request, text, why);
	return r < 0 ? r : set_end(request, context, why);
}

enum alert_verdict alert_rule_apply(const struct alert_rule *rule, const json_t *alert,
				    const struct alert_context *context, json_t **result, struct error *why)
{
	if (!takes_input(rule, context, why))
		return ALERT_NO_MATCH;
	const bool stops = rule->stop_on.count && all_hold(&rule->stop_on, NULL, alert, NULL) &&
			   all_hold(&rule->match, &rule->stop_on, alert, NULL);
	if (!stops && !all_hold(&rule->match, NULL, alert, why))
		return ALERT_NO_MATCH;

	json_t *request = json_object();
	struct buffer text = BUFFER_INIT(ALERT_FILTER_MAX);
	int r = request ? 0 : -ENOMEM;
	if (r == 0)
		r = stops ? make_stop(rule, alert, context, request, &text, why)
			  : make_start(rule, alert, context, request, &text, why);
	buffer_deinit(&text);
	if (r < 0) {
		json_decref(request);
		return verdict_of(r);
	}
	*result = request;
	return stops ? ALERT_STOP : ALERT_START;
}
