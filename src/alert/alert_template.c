/* SPDX-License-Identifier: BSD-2-Clause */
/* A template is a list of pieces: literal text, and values; optional pieces are numbered by their part. */
#include "alert/alert_template.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "alert/alert_flow.h"
#include "alert/alert_value.h"
#include "alert/alert_why.h"
#include "base/clock.h"
#include "base/quantity.h"
#include "request/request_text.h"

#define BLANKS " \t\r\n"

enum piece_kind { PIECE_LITERAL, PIECE_VALUE, PIECE_FLOW };

struct piece {
	enum piece_kind kind;
	unsigned part; /* of the optional parts, from 1; 0: none */
	char *text;    /* the literal, or the value's path */
	enum alert_type type;
	char *fallback;	  /* as printed; NULL: none */
	int64_t shift_ns; /* of a time */
};

struct alert_template {
	enum alert_place place;
	unsigned parts;
	size_t count;
	struct piece pieces[ALERT_PIECES_MAX];
};

/* --- reading --- */

/* What a place takes. */
static const struct {
	const char *name;
	int type;	/* of an untyped placeholder; ALERT_TYPE_NONE: it needs one */
	unsigned types; /* bits of the types that it takes */
	bool alone;	/* one placeholder, or only literal text */
} places[] = {
	[ALERT_IN_TEXT] = {"a text", ALERT_TEXT, ~0u, false},
	[ALERT_IN_FILTER] = {"a filter", ALERT_TYPE_NONE,
			     1u << ALERT_IP | 1u << ALERT_CIDR | 1u << ALERT_PORT | 1u << ALERT_PROTO |
				     1u << ALERT_MAC | 1u << ALERT_INT,
			     false},
	[ALERT_IN_NODE] = {"a node", ALERT_HOST, 1u << ALERT_HOST | 1u << ALERT_IP, true},
	[ALERT_IN_INTERFACE] = {"an interface", ALERT_INTERFACE, 1u << ALERT_INTERFACE, true},
	[ALERT_IN_TIME] = {"a time", ALERT_TIME, 1u << ALERT_TIME, true},
	[ALERT_IN_NUMBER] = {"a number", ALERT_INT, 1u << ALERT_INT, true},
};

static char *trim(char *text)
{
	text += strspn(text, BLANKS);
	size_t size = strlen(text);
	while (size && strchr(BLANKS, text[size - 1]))
		text[--size] = '\0';
	return text;
}

static int read_type(const struct alert_template *template, const char *name, struct piece *piece, struct error *err)
{
	const int type = name ? alert_type_find(name) : places[template->place].type;

	if (type == ALERT_TYPE_NONE && name)
		return error_set(
			err, -EINVAL,
			"{%.64s:%.16s}: the types are text, ip, cidr, port, proto, mac, int, host, time and interface",
			piece->text, name);
	if (type == ALERT_TYPE_NONE)
		return error_set(err, -EINVAL, "{%.64s} needs a type in %s, such as {%.64s:ip}", piece->text,
				 places[template->place].name, piece->text);
	if (!(places[template->place].types & 1u << type))
		return error_set(err, -EINVAL, "{%.64s}: %s does not take the type %s", piece->text,
				 places[template->place].name, alert_type_name((enum alert_type)type));
	piece->type = (enum alert_type)type;
	return 0;
}

static int read_fallback(const char *fallback, struct piece *piece, struct error *err)
{
	char printed[ALERT_TEXT_SIZE];

	if (!fallback)
		return 0;
	if (alert_value_print_text(piece->type, fallback, printed) < 0)
		return error_set(err, -EINVAL, "{%.64s}: the default \"%.64s\" is no %s", piece->text, fallback,
				 alert_type_name(piece->type));
	piece->fallback = strdup(printed);
	return piece->fallback ? 0 : -ENOMEM;
}

/* "path - 2s": cuts the shift off. */
static int read_shift(char *path, struct piece *piece, struct error *err)
{
	char *sign = strstr(path, " - ");
	uint64_t ns;

	if (!sign)
		sign = strstr(path, " + ");
	if (!sign)
		return 0;
	const bool back = sign[1] == '-';
	if (quantity_parse_duration(trim(sign + 3), &ns) < 0 || ns > INT64_MAX)
		return error_set(err, -EINVAL, "{%.64s}: \"%.32s\" is not a duration like 30s", path, trim(sign + 3));
	*sign = '\0';
	piece->shift_ns = back ? -(int64_t)ns : (int64_t)ns;
	return 0;
}

static int read_path(char *path, struct piece *piece, struct error *err)
{
	int r = read_shift(path, piece, err);

	path = trim(path);
	if (r == 0 && (!*path || strlen(path) > ALERT_PATH_MAX))
		r = error_set(err, -EINVAL, "a placeholder needs a path of 1 to %d bytes", ALERT_PATH_MAX);
	if (r == 0 && alert_path_has_each(path))
		r = error_set(err, -EINVAL, "{%.64s}: only conditions may say each", path);
	if (r < 0)
		return r;
	piece->text = strdup(path);
	return piece->text ? 0 : -ENOMEM;
}

/* Cuts `text` at the last `mark`, and returns what follows it, trimmed; NULL: there is none. */
static char *cut(char *text, char mark)
{
	char *at = strrchr(text, mark);

	if (!at)
		return NULL;
	*at = '\0';
	return trim(at + 1);
}

/* The text between the braces. */
static int read_value(const struct alert_template *template, char *inside, struct piece *piece, struct error *err)
{
	char *fallback = cut(inside, '|'), *type = cut(inside, ':');

	piece->kind = PIECE_VALUE;
	int r = read_path(inside, piece, err);
	if (r < 0)
		return r;
	if (template->place == ALERT_IN_FILTER && !type && strcmp(piece->text, "flow") == 0) {
		piece->kind = PIECE_FLOW;
		return fallback ? error_set(err, -EINVAL, "{flow} has no default") : 0;
	}
	r = read_type(template, type, piece, err);
	if (r == 0 && piece->shift_ns && piece->type != ALERT_TIME)
		r = error_set(err, -EINVAL, "{%.64s}: only a time can be shifted", piece->text);
	return r < 0 ? r : read_fallback(fallback, piece, err);
}

/* NULL, with a fault: there are too many. */
static struct piece *add_piece(struct alert_template *template, unsigned part, struct error *err)
{
	if (template->count == ALERT_PIECES_MAX) {
		error_set(err, -EINVAL, "more than %d pieces", ALERT_PIECES_MAX);
		return NULL;
	}
	struct piece *piece = &template->pieces[template->count++];
	piece->part = part;
	return piece;
}

static int add_literal(struct alert_template *template, const char *text, size_t size, unsigned part, struct error *err)
{
	struct piece *piece = add_piece(template, part, err);

	if (!piece)
		return -EINVAL;
	piece->text = strndup(text, size);
	return piece->text ? 0 : -ENOMEM;
}

/* `*text`: after the brace; is moved past the closing one. */
static int add_value(struct alert_template *template, const char **text, unsigned part, struct error *err)
{
	const char *end = strchr(*text, '}');

	if (!end)
		return error_set(err, -EINVAL, "a { has no }");
	cleanup(cleanup_free) char *inside = strndup(*text, (size_t)(end - *text));
	struct piece *piece = add_piece(template, part, err);
	*text = end + 1;
	if (!inside)
		return -ENOMEM;
	return piece ? read_value(template, inside, piece, err) : -EINVAL;
}

/* A bracket begins an optional part if a placeholder comes before it closes; otherwise it is the filter's: tcp[13]. */
static bool begins_part(const struct alert_template *template, const char *text)
{
	const size_t size = strcspn(text, "{]");

	return template->place == ALERT_IN_FILTER && *text == '[' && text[size] == '{';
}

static int read_pieces(struct alert_template *template, const char *text, struct error *err)
{
	unsigned part = 0;
	int r = 0;

	while (r == 0 && *text) {
		if (*text == '{') {
			text++;
			r = add_value(template, &text, part, err);
		} else if (!part && begins_part(template, text)) {
			part = ++template->parts;
			text++;
		} else if (part && *text == ']') {
			part = 0;
			text++;
		} else {
			const size_t size = 1 + strcspn(text + 1, part ? "{]" : "{[");

			r = add_literal(template, text, size, part, err);
			text += size;
		}
	}
	return r == 0 && part ? error_set(err, -EINVAL, "an optional part has no ]") : r;
}

/* After {flow} only parentheses may close: its "vlan" moves where all that follows it looks. */
static bool is_flow_last(const struct alert_template *template)
{
	bool flow = false;

	for (size_t i = 0; i < template->count; i++) {
		const struct piece *piece = &template->pieces[i];

		if (flow && (piece->kind != PIECE_LITERAL || strspn(piece->text, BLANKS ")") != strlen(piece->text)))
			return false;
		flow |= piece->kind == PIECE_FLOW;
	}
	return true;
}

static int check_pieces(const struct alert_template *template, struct error *err)
{
	bool has_value = false;

	for (size_t i = 0; i < template->count; i++)
		has_value |= template->pieces[i].kind != PIECE_LITERAL;
	if (places[template->place].alone && has_value && template->count > 1)
		return error_set(err, -EINVAL, "%s is one placeholder, with no text around it",
				 places[template->place].name);
	if (!is_flow_last(template))
		return error_set(err, -EINVAL, "{flow} must come last in a filter");
	return 0;
}

int alert_template_new(const char *text, enum alert_place place, struct error *err, struct alert_template **result)
{
	cleanup(cleanup_alert_template) struct alert_template *template = NULL;

	if (strlen(text) > ALERT_TEMPLATE_MAX)
		return error_set(err, -EINVAL, "is longer than %d bytes", ALERT_TEMPLATE_MAX);
	template = calloc(1, sizeof(*template));
	if (!template)
		return error_set(err, -ENOMEM, "out of memory");
	template->place = place;
	int r = read_pieces(template, text, err);
	if (r == 0)
		r = check_pieces(template, err);
	if (r == -ENOMEM)
		return error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		*result = take(template);
	return r;
}

void alert_template_free(struct alert_template *template)
{
	if (!template)
		return;
	for (size_t i = 0; i < template->count; i++) {
		free(template->pieces[i].text);
		free(template->pieces[i].fallback);
	}
	free(template);
}

/* --- filling in --- */

static int print_shifted(const struct piece *piece, const json_t *value, char text[static ALERT_TEXT_SIZE])
{
	uint64_t realtime_ns;

	if (alert_value_time(value, &realtime_ns) < 0)
		return -EINVAL;
	if (piece->shift_ns < 0 ? realtime_ns < (uint64_t)-piece->shift_ns
				: realtime_ns > INT64_MAX - (uint64_t)piece->shift_ns)
		return -EINVAL;
	clock_format(realtime_ns + (uint64_t)piece->shift_ns, text);
	return 0;
}

static int fill_value(const struct piece *piece, const json_t *alert, struct buffer *out, struct error *why)
{
	const json_t *value = alert_path_find(alert, piece->text);
	char text[ALERT_TEXT_SIZE];

	if (!value || json_is_null(value)) {
		if (piece->fallback)
			return buffer_append_string(out, piece->fallback);
		return alert_why_missing(alert, piece->text, why);
	}
	if ((piece->shift_ns ? print_shifted(piece, value, text) : alert_value_print(piece->type, value, text)) < 0)
		return alert_why_type(value, piece->text, piece->type, why);
	return buffer_append_string(out, text);
}

static int fill_piece(const struct piece *piece, const json_t *alert, struct buffer *out, struct error *why)
{
	switch (piece->kind) {
	case PIECE_LITERAL:
		return buffer_append_string(out, piece->text);
	case PIECE_FLOW:
		return alert_flow_append(alert, out, why);
	case PIECE_VALUE:
		break;
	}
	return fill_value(piece, alert, out, why);
}

/* The pieces from `first` on that are of its part; returns the index after them. */
static size_t end_of_part(const struct alert_template *template, size_t first)
{
	size_t i = first;

	while (i < template->count && template->pieces[i].part == template->pieces[first].part)
		i++;
	return i;
}

/* A whole optional part, or nothing of it if a value is missing. */
static int fill_part(const struct alert_template *template, size_t first, size_t end, const json_t *alert,
		     struct buffer *out, struct error *why)
{
	struct buffer filled = BUFFER_INIT(ALERT_FILTER_MAX);
	int r = 0;

	for (size_t i = first; r == 0 && i < end; i++)
		r = fill_piece(&template->pieces[i], alert, &filled, why);
	if (r == 0)
		r = buffer_append_string(out, buffer_text(&filled));
	buffer_deinit(&filled);
	return r == -ENOENT ? 0 : r;
}

int alert_template_fill(const struct alert_template *template, const json_t *alert, struct buffer *out,
			struct error *why)
{
	int r = 0;

	for (size_t i = 0, end; r == 0 && i < template->count; i = end) {
		end = i + 1;
		if (template->pieces[i].part) {
			end = end_of_part(template, i);
			r = fill_part(template, i, end, alert, out, why);
		} else {
			r = fill_piece(&template->pieces[i], alert, out, why);
		}
	}
	if (r == -EMSGSIZE)
		error_set(why, r, "with the alert's values it is longer than %zu bytes", out->cap_bytes);
	return r;
}

static const char *sample_of(const struct piece *piece)
{
	static const char *const samples[] = {
		[ALERT_TEXT] = "text",	    [ALERT_IP] = "192.0.2.1",	[ALERT_CIDR] = "192.0.2.0/24",
		[ALERT_PORT] = "1024",	    [ALERT_PROTO] = "tcp",	[ALERT_MAC] = "02:00:00:00:00:01",
		[ALERT_INT] = "1",	    [ALERT_HOST] = "a.example", [ALERT_TIME] = "2026-01-01T00:00:00Z",
		[ALERT_INTERFACE] = "eth0",
	};

	switch (piece->kind) {
	case PIECE_LITERAL:
		return piece->text;
	case PIECE_FLOW:
		return "((tcp and host 192.0.2.1 and host 192.0.2.2 and port 1 and port 2) or (vlan and tcp))";
	case PIECE_VALUE:
		break;
	}
	return samples[piece->type];
}

int alert_template_sample(const struct alert_template *template, bool with_optional, struct buffer *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < template->count; i++)
		if (with_optional || !template->pieces[i].part)
			r = buffer_append_string(out, sample_of(&template->pieces[i]));
	return r;
}
