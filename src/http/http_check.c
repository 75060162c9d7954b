/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libmicrohttpd at its strictest (http_server.c) refuses what can be read in two ways as bytes: a line that ends in a
 * bare CR or LF, a NUL, a folded line, a name that is empty or followed by a blank, more than one blank in the request
 * line. Here follows what it would still take.
 */
#include "http/http_check.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "http/http_server.h"

enum single_values { HEADER_HOST, HEADER_CONTENT_LENGTH, HEADER_CONTENT_TYPE, HEADER_EXPECT, SINGLE_HEADER_COUNT };
static const char *const single_header_names[SINGLE_HEADER_COUNT] = {"Host", "Content-Length", "Content-Type",
								     "Expect"};

struct header_walk {
	struct http_head *head;
	size_t header_count;
	unsigned status;
	const char *text;
	const char *single_values[SINGLE_HEADER_COUNT];
};

static enum MHD_Result refuse(struct header_walk *header_walk, unsigned status, const char *text)
{
	header_walk->status = status;
	header_walk->text = text;
	return MHD_NO;
}

/* RFC 9110, 5.6.2 */
static bool is_token(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!text[i] || (!isalnum((unsigned char)text[i]) && !strchr("!#$%&'*+-.^_`|~", text[i])))
			return false;
	return size > 0;
}

/* RFC 9110, 5.5: no control characters but tab. */
static bool is_field_value(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
			return false;
	return true;
}

static bool is_host(const char *text)
{
	if (!*text)
		return false;
	for (const char *c = text; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("-._~!$&'()*+,;=%:[]", *c))
			return false;
	return true;
}

static bool parse_size(const char *text, uint64_t *size)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++)
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return false;
	*size = value;
	return true;
}

static enum MHD_Result check_header(void *ctx, enum MHD_ValueKind kind, const char *name, size_t name_size,
				    const char *value, size_t value_size)
{
	struct header_walk *header_walk = ctx;

	(void)kind;
	if (++header_walk->header_count > HTTP_HEADERS_MAX)
		return refuse(header_walk, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "too many headers");
	if (!value || !is_token(name, name_size) || !is_field_value(value, value_size))
		return refuse(header_walk, MHD_HTTP_BAD_REQUEST, "malformed header");
	if (strcasecmp(name, "Transfer-Encoding") == 0)
		return refuse(header_walk, MHD_HTTP_NOT_IMPLEMENTED,
			      "transfer encodings are not supported; send a Content-Length");
	if (strcasecmp(name, "Content-Encoding") == 0)
		return refuse(header_walk, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "encoded bodies are not supported");
	if (strcasecmp(name, "Authorization") == 0) {
		header_walk->head->authorization = value;
		header_walk->head->authorization_count++;
	}
	for (size_t i = 0; i < SINGLE_HEADER_COUNT; i++) {
		if (strcasecmp(name, single_header_names[i]) != 0)
			continue;
		if (header_walk->single_values[i])
			return refuse(header_walk, MHD_HTTP_BAD_REQUEST, "a header that may occur once occurs twice");
		header_walk->single_values[i] = value;
	}
	return MHD_YES;
}

static unsigned validate(struct header_walk *header_walk, const char **text)
{
	struct http_head *head = header_walk->head;
	bool is_http10 = strcmp(head->version, "HTTP/1.0") == 0;

	*text = "a valid Host header is required";
	if (header_walk->single_values[HEADER_HOST] ? !is_host(header_walk->single_values[HEADER_HOST]) : !is_http10)
		return MHD_HTTP_BAD_REQUEST;
	*text = "Content-Length must be digits";
	if (header_walk->single_values[HEADER_CONTENT_LENGTH] &&
	    !parse_size(header_walk->single_values[HEADER_CONTENT_LENGTH], &head->body_size))
		return MHD_HTTP_BAD_REQUEST;
	head->has_body_size = header_walk->single_values[HEADER_CONTENT_LENGTH];
	*text = "Expect: only 100-continue is supported";
	if (header_walk->single_values[HEADER_EXPECT] &&
	    (is_http10 || strcasecmp(header_walk->single_values[HEADER_EXPECT], "100-continue") != 0))
		return MHD_HTTP_EXPECTATION_FAILED;
	head->type = header_walk->single_values[HEADER_CONTENT_TYPE];
	return 0;
}

unsigned http_check_head(struct MHD_Connection *mhd, struct http_head *head, const char **text)
{
	const union MHD_ConnectionInfo *size = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	struct header_walk header_walk = {.head = head};

	*text = "malformed request line";
	if (!is_token(head->method, strlen(head->method)) || !size)
		return MHD_HTTP_BAD_REQUEST;
	if (strcmp(head->version, "HTTP/1.1") != 0 && strcmp(head->version, "HTTP/1.0") != 0) {
		*text = "only HTTP/1.1 and HTTP/1.0 are supported";
		return MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED;
	}
	if (size->header_size > HTTP_HEAD_BYTES_MAX) {
		*text = "the head is too large";
		return MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
	}
	(void)MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, check_header, &header_walk);
	if (header_walk.status) {
		*text = header_walk.text;
		return header_walk.status;
	}
	return validate(&header_walk, text);
}

bool http_is_json(const char *type)
{
	static const char wanted[] = "application/json";
	const char *rest = type + sizeof(wanted) - 1;

	if (strncasecmp(type, wanted, sizeof(wanted) - 1) != 0)
		return false;
	rest += strspn(rest, " \t");
	if (*rest == ';') {
		rest++;
		rest += strspn(rest, " \t");
		return strcasecmp(rest, "charset=utf-8") == 0 || strcasecmp(rest, "charset=\"utf-8\"") == 0;
	}
	return !*rest;
}

bool http_bearer_matches(const char *authorization, const char *token)
{
	static const char scheme[] = "Bearer ";
	size_t size = strlen(token), given_size;
	unsigned char differs;
	const char *given;

	if (strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return false;
	given = authorization + sizeof(scheme) - 1;
	given_size = strlen(given);
	differs = given_size != size;
	for (size_t i = 0; i < given_size; i++)
		differs |= (unsigned char)(given[i] ^ token[i % (size ? size : 1)]);
	return size > 0 && !differs;
}
