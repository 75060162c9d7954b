/* SPDX-License-Identifier: BSD-2-Clause */
/* Each reader moves along the text; nothing is looked at twice. */
#include "alert/alert_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "alert/alert_format.h"
#include "alert/alert_path.h"
#include "base/buffer.h"
#include "request/request_peek.h"

#define BLANKS " \t\r\n"
#define KEY_MAX 128 /* bytes */

static int set_text(json_t *object, const char *key, const char *text, size_t size)
{
	return json_object_set_new(object, key, json_stringn(text, size)) < 0 ? -ENOMEM : 0;
}

static bool is_full(const json_t *object)
{
	return json_object_size(object) >= ALERT_PAIRS_MAX;
}

static int too_many(struct error *err)
{
	return error_set(err, -EINVAL, "has more than %d pairs", ALERT_PAIRS_MAX);
}

/* Adds the place of a fault, counted from 0. `err`: NULL: nothing wants to know. */
static int with_place(int r, const char *text, const char *at, struct error *err)
{
	if (r == -EINVAL && err)
		error_prefix(err, "at byte %td", at - text);
	return r;
}

/* --- pairs --- */

/* A value in quotes: in double ones a backslash stands before any character that is to be itself, in single ones all
 * are, as in a shell. `*text`: after the first quote; is moved past the last. False: it has no end. */
static bool read_quoted(const char **text, char quote, struct buffer *value, int *r)
{
	const char *at = *text;

	while (*r == 0 && *at && *at != quote) {
		at += *at == '\\' && quote == '"' && at[1];
		*r = buffer_append(value, at++, 1);
	}
	*text = at + (*at == quote);
	return *at == quote;
}

/* One pair at `*text`, which is moved past it. */
static int read_pair(const char **text, json_t *pairs, struct error *err)
{
	const char *at = *text;
	const size_t key_size = strcspn(at, "=" BLANKS);
	struct buffer value = BUFFER_INIT(ALERT_MESSAGE_MAX);
	char key[KEY_MAX + 1];
	int r = 0;

	if (!key_size || key_size > KEY_MAX || at[key_size] != '=')
		return error_set(err, -EINVAL, "\"%.32s\" is no key=value", at);
	memcpy(key, at, key_size);
	key[key_size] = '\0';
	at += key_size + 1;
	if (*at == '"' || *at == '\'') {
		const char quote = *at++;

		if (!read_quoted(&at, quote, &value, &r) && r == 0)
			r = error_set(err, -EINVAL, "the value of %s has no closing quote", key);
	} else {
		const size_t size = strcspn(at, BLANKS);

		r = buffer_append(&value, at, size);
		at += size;
	}
	if (r == 0)
		r = set_text(pairs, key, buffer_text(&value), value.size);
	buffer_deinit(&value);
	*text = at;
	return r;
}

int alert_text_read_pairs(const char *text, json_t *alert, struct error *err)
{
	const char *at = text + strspn(text, BLANKS);
	int r = 0;

	for (; r == 0 && *at; at += strspn(at, BLANKS)) {
		const char *pair = at;

		r = is_full(alert) ? too_many(err) : read_pair(&at, alert, err);
		r = with_place(r, text, pair, err);
	}
	if (r == 0 && !json_object_size(alert))
		r = error_set(err, -EINVAL, "has no key=value");
	return r;
}

/* --- syslog --- */

static const char *const severities[] = {"emergency", "alert",	"critical", "error",
					 "warning",   "notice", "info",	    "debug"};

#define PRIORITY_MAX 191 /* RFC 5424: 23 * 8 + 7 */

/* "<34>" */
static int read_priority(const char **text, json_t *alert, struct error *err)
{
	const char *at = *text;
	unsigned priority = 0, digits = 0;

	if (*at == '<')
		for (at++; *at >= '0' && *at <= '9' && digits < 3; at++, digits++)
			priority = priority * 10 + (unsigned)(*at - '0');
	if (!digits || *at != '>' || priority > PRIORITY_MAX)
		return error_set(err, -EINVAL, "does not begin with a priority such as <34>");
	*text = at + 1;
	if (json_object_set_new(alert, "facility", json_integer(priority / 8)) < 0)
		return -ENOMEM;
	return json_object_set_new(alert, "severity", json_string(severities[priority % 8])) < 0 ? -ENOMEM : 0;
}

/* A word of RFC 5424's header; "-": none. Moves past the blank after it. */
static int read_word(const char **text, json_t *alert, const char *key)
{
	const size_t size = strcspn(*text, " ");
	const int r = size == 1 && **text == '-' ? 0 : set_text(alert, key, *text, size);

	*text += size;
	*text += **text == ' ';
	return r;
}

/* name="value" pairs up to the closing bracket. */
static int read_parameters(const char **text, json_t *element, struct error *err)
{
	int r = 0;

	while (r == 0 && **text == ' ') {
		(*text)++;
		r = is_full(element) ? too_many(err) : read_pair(text, element, err);
	}
	if (r == 0 && **text != ']')
		r = error_set(err, -EINVAL, "structured data has no ]");
	*text += r == 0;
	return r;
}

/* "[id name="value"][id2]", or "-" */
static int read_structured(const char **text, json_t *alert, struct error *err)
{
	json_t *data = json_object();
	int r = data && json_object_set_new(alert, "data", data) == 0 ? 0 : -ENOMEM;

	if (r == 0 && **text == '-')
		(*text)++;
	while (r == 0 && **text == '[') {
		const char *id = *text + 1;
		const size_t size = strcspn(id, " ]");
		json_t *element = json_object();

		if (!element)
			return -ENOMEM;
		r = !size || size > KEY_MAX ? error_set(err, -EINVAL, "structured data has a bad id")
		    : is_full(data)	    ? too_many(err)
					    : 0;
		*text = id + size;
		if (r == 0)
			r = read_parameters(text, element, err);
		if (r == 0 && json_object_setn(data, id, size, element) < 0)
			r = -ENOMEM;
		json_decref(element);
	}
	*text += r == 0 && **text == ' ';
	return r;
}

/* After "<34>1 ". */
static int read_new_header(const char **text, json_t *alert, struct error *err)
{
	static const char *const keys[] = {"timestamp", "host", "app", "procid", "msgid"};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(keys) / sizeof(*keys); i++)
		r = read_word(text, alert, keys[i]);
	return r < 0 ? r : read_structured(text, alert, err);
}

#define OLD_TIME_SIZE 15 /* "Dec  1 10:00:00" */

static bool has_old_time(const char *text)
{
	return strnlen(text, OLD_TIME_SIZE + 1) > OLD_TIME_SIZE && text[3] == ' ' && text[6] == ' ' && text[9] == ':' &&
	       text[12] == ':' && text[OLD_TIME_SIZE] == ' ';
}

#define NEW_TIME_SIZE 20 /* "2026-12-01T10:00:00Z", or longer */

static bool has_new_time(const char *text)
{
	return strcspn(text, " ") >= NEW_TIME_SIZE && text[4] == '-' && text[7] == '-' && text[10] == 'T' &&
	       text[13] == ':' && text[16] == ':';
}

/* After "<34>": "Dec  1 10:00:00 host app[pid]: ", of which programs leave out the time, the host, or both. That time
 * has neither year nor zone, so it is not used; rsyslog and syslog-ng can write RFC 3339 there. */
static int read_old_header(const char **text, json_t *alert)
{
	int r = 0;

	if (has_old_time(*text)) {
		*text += OLD_TIME_SIZE + 1;
		r = read_word(text, alert, "host");
	} else if (has_new_time(*text)) {
		r = read_word(text, alert, "timestamp");
		if (r == 0)
			r = read_word(text, alert, "host");
	}
	const size_t app = strcspn(*text, "[: ");
	const char *at = *text + app;
	if (r < 0 || !app || !*at || *at == ' ')
		return r;
	r = set_text(alert, "app", *text, app);
	if (r == 0 && *at == '[') {
		const size_t pid = strcspn(at + 1, "]");

		r = set_text(alert, "procid", at + 1, pid);
		at += 1 + pid;
		at += *at == ']';
	}
	at += *at == ':';
	*text = at + (*at == ' ');
	return r;
}

/* The key=value words of a text, whatever stands between them: "authentication failure; uid=0 rhost=192.0.2.7". */
static int find_pairs(const char *text, json_t *pairs)
{
	int r = 0;

	for (text += strspn(text, BLANKS); r == 0 && *text && !is_full(pairs); text += strspn(text, BLANKS)) {
		const char *word = text;

		r = read_pair(&text, pairs, NULL);
		if (r == -EINVAL) {
			text = word + strcspn(word, BLANKS);
			r = 0;
		}
	}
	return r;
}

#define COOKIE "@cee:" /* before JSON in syslog, by the Common Event Expression */

/* Adds what the message holds: `json`, or `kv`. It is fine if it holds neither. */
static int read_message(const char *text, json_t *alert)
{
	text += strspn(text, BLANKS); /* rsyslog has a blank there */
	size_t size = strlen(text);

	while (size && strchr(BLANKS, text[size - 1])) /* and a newline at the end */
		size--;
	int r = set_text(alert, "message", text, size);

	if (r < 0)
		return r;
	const char *json_text = text + (strncmp(text, COOKIE, strlen(COOKIE)) == 0 ? strlen(COOKIE) : 0);
	json_text += strspn(json_text, BLANKS);
	if (*json_text == '{' && !request_peek_is_deeper(json_text, strlen(json_text), ALERT_DEPTH_MAX)) {
		json_t *json = json_loadb(json_text, strlen(json_text), JSON_ALLOW_NUL, NULL);

		return json && json_object_set_new(alert, "json", json) < 0 ? -ENOMEM : 0;
	}
	json_t *pairs = json_object();
	r = pairs ? find_pairs(text, pairs) : -ENOMEM;
	if (r == 0 && json_object_size(pairs) && json_object_set(alert, "kv", pairs) < 0)
		r = -ENOMEM;
	json_decref(pairs);
	return r;
}

int alert_text_read_syslog(const char *text, json_t *alert, struct error *err)
{
	static const char bom[] = "\xef\xbb\xbf";
	const char *at = text;
	int r = read_priority(&at, alert, err);

	if (r == 0 && strncmp(at, "1 ", 2) == 0) {
		at += 2;
		r = read_new_header(&at, alert, err);
	} else if (r == 0) {
		r = read_old_header(&at, alert);
	}
	if (r < 0)
		return with_place(r, text, at, err);
	if (strncmp(at, bom, strlen(bom)) == 0)
		at += strlen(bom);
	return read_message(at, alert);
}

/* --- traps --- */

#define OID_TRAP "1.3.6.1.6.3.1.1.4.1.0" /* snmpTrapOID */
#define NAME_TRAP "snmpTrapOID.0"
#define NO_HOST "<UNKNOWN>" /* of an address that has no name */

/* The line at `*text`, which is moved past it. */
static const char *read_line(const char **text, size_t *size)
{
	const char *line = *text;

	*size = strcspn(line, "\n");
	*text = line + *size + (line[*size] == '\n');
	if (*size && line[*size - 1] == '\r')
		(*size)--;
	return line;
}

/* "UDP: [10.0.0.1]:161->[10.0.0.2]:162" → 10.0.0.1 */
static int set_address(json_t *alert, const char *line, size_t size)
{
	const char *begin = memchr(line, '[', size);

	if (!begin)
		return 0;
	begin++;
	return set_text(alert, "address", begin, strcspn(begin, "]\n"));
}

/* snmptrapd writes ".1.3.6" with -On, without it and without MIBs "iso.3.6", and otherwise names. Cuts `oid` in place
 * to "1.3.6", or to the name. */
static void shorten_oid(char *oid)
{
	static const char iso[] = "iso.";
	const size_t size = strlen(iso);

	if (*oid == '.')
		memmove(oid, oid + 1, strlen(oid));
	if (strncmp(oid, iso, size) == 0 && oid[size] >= '0' && oid[size] <= '9') {
		memmove(oid + 1, oid + size - 1, strlen(oid + size - 1) + 1);
		*oid = '1';
	}
}

static bool is_trap_oid(const char *oid)
{
	const size_t size = strlen(oid), name_size = strlen(NAME_TRAP);

	return strcmp(oid, OID_TRAP) == 0 || (size >= name_size && strcmp(oid + size - name_size, NAME_TRAP) == 0);
}

/* The OID of the variable at `*text`, which is moved to its value. */
static int read_oid(const char **text, char oid[static KEY_MAX + 1], struct error *err)
{
	const size_t size = strcspn(*text, BLANKS);

	if (!size || size > KEY_MAX || (*text)[size] != ' ')
		return error_set(err, -EINVAL, "\"%.32s\" is no variable of a trap", *text);
	memcpy(oid, *text, size);
	oid[size] = '\0';
	shorten_oid(oid);
	*text += size + 1;
	if (strncmp(*text, "= ", 2) == 0) /* snmptrapd -OQ */
		*text += 2;
	return 0;
}

/* A variable's value, which may have lines in quotes. Moves `*text` to the next line. */
static int read_value(const char **text, const char *oid, struct buffer *value, struct error *err)
{
	size_t size;
	int r = 0;

	if (**text != '"') {
		const char *line = read_line(text, &size);

		return buffer_append(value, line, size);
	}
	(*text)++;
	if (!read_quoted(text, '"', value, &r))
		return r < 0 ? r : error_set(err, -EINVAL, "the value of %s has no closing quote", oid);
	(void)read_line(text, &size);
	return r;
}

static int set_trap_oid(json_t *alert, const struct buffer *value, struct error *err)
{
	char oid[KEY_MAX + 1];

	if (value->size > KEY_MAX)
		return error_set(err, -EINVAL, "the trap's OID is longer than %d bytes", KEY_MAX);
	memcpy(oid, buffer_text(value), value->size + 1);
	shorten_oid(oid);
	return set_text(alert, "oid", oid, strlen(oid));
}

/* "OID value" at `*text`, which is moved past it. */
static int read_variable(const char **text, json_t *alert, json_t *variables, struct error *err)
{
	cleanup(buffer_deinit) struct buffer value = BUFFER_INIT(ALERT_MESSAGE_MAX);
	char oid[KEY_MAX + 1];
	int r = read_oid(text, oid, err);

	if (r == 0)
		r = read_value(text, oid, &value, err);
	if (r < 0)
		return r;
	if (is_trap_oid(oid))
		return set_trap_oid(alert, &value, err);
	return is_full(variables) ? too_many(err) : set_text(variables, oid, buffer_text(&value), value.size);
}

int alert_text_read_trap(const char *text, json_t *alert, struct error *err)
{
	json_t *variables = json_object();
	size_t size;
	const char *at = text, *line = read_line(&at, &size);
	int r = variables && json_object_set_new(alert, "variables", variables) == 0 ? 0 : -ENOMEM;

	if (r == 0 && !(size == strlen(NO_HOST) && memcmp(line, NO_HOST, size) == 0))
		r = set_text(alert, "host", line, size);
	line = read_line(&at, &size);
	if (r == 0)
		r = set_address(alert, line, size);
	for (at += strspn(at, "\r\n"); r == 0 && *at; at += strspn(at, "\r\n")) {
		const char *begin = at;

		r = with_place(read_variable(&at, alert, variables, err), text, begin, err);
	}
	if (r == 0 && !json_object_get(alert, "oid"))
		r = error_set(err, -EINVAL, "has no variable " OID_TRAP " (snmpTrapOID)");
	return r;
}
