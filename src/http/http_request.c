/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request's stages: its first line (the target is copied before libmicrohttpd cuts it up), its head (checked and
 * routed; all refusals happen here, before a body is read), its body, its handler. If the handler does not answer at
 * once, the connection is suspended until it does.
 *
 * A request has two holders: libmicrohttpd until it reports the request completed, and the handler until it answers.
 * The last one frees it.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/secret.h"
#include "http/http_accept.h"
#include "http/http_check.h"
#include "http/http_server_internal.h"

static struct http_connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

void http_request_release(struct http_request *request)
{
	if (--request->references > 0)
		return;
	if (request->answer)
		MHD_destroy_response(request->answer);
	http_target_deinit(&request->target);
	buffer_deinit(&request->body);
	free(request->raw_target);
	free(request->peer);
	free(request);
}

void *http_request_line(void *ctx, const char *target, struct MHD_Connection *mhd)
{
	struct http_endpoint *endpoint = ctx;
	struct http_connection *connection = connection_of(mhd);
	struct http_request *request = connection && target ? calloc(1, sizeof(*request)) : NULL;

	if (!request)
		return NULL; /* http_request_access() closes the connection */
	request->references = 1;
	request->server = endpoint->server;
	request->connection = connection;
	request->raw_target = strdup(target);
	request->peer = strdup(connection->peer.text);
	if (!request->raw_target || !request->peer) {
		http_request_release(request);
		return NULL;
	}
	connection->request = request;
	http_connection_request_started(connection);
	return request;
}

/* --- the head --- */

/* Rate-limited: clients can cause refusals. */
static void log_refusal(const struct http_request *request, const char *why)
{
	uint64_t suppressed;

	if (log_rate_allow(&request->server->refusals, &suppressed))
		log_notice("api-refused", log_str("peer", request->peer), log_str("reason", why),
			   log_uint("suppressed", suppressed));
}

/* The peer's text gets the guest's name. */
static bool name_guest(struct http_request *request, const char *name)
{
	char *peer;

	if (asprintf(&peer, "%s(%s)", request->peer, name) < 0)
		return false;
	free(request->peer);
	request->peer = peer;
	return true;
}

/* Whether a guest's token came. */
static bool admit_guest(struct http_request *request, const struct http_head *head)
{
	static const char scheme[] = "Bearer ";
	const struct http_guests *guests = &request->server->guests;
	const char *token = head->authorization + strlen(scheme);

	if (!guests->find || strncasecmp(head->authorization, scheme, strlen(scheme)) != 0)
		return false;
	const char *name = guests->find(guests->ctx, token, strlen(token));
	request->is_guest = name && name_guest(request, name);
	return request->is_guest;
}

/* Whether the body has a signature. Until that is verified, the connection is not authorized. */
static bool admit_signed(struct http_request *request)
{
	const char *const *names = request->server->guests.signatures;

	for (; names && *names && !request->is_unverified; names++)
		request->is_unverified = MHD_lookup_connection_value(request->connection->mhd, MHD_HEADER_KIND, *names);
	request->is_guest |= request->is_unverified;
	return request->is_unverified;
}

static bool authorize(struct http_request *request, const struct http_head *head)
{
	const struct http_connection *connection = request->connection;

	if (!connection->endpoint->tcp) {
		if (connection->peer.allowed)
			return true;
		log_refusal(request, "not permitted");
		http_refuse(request, MHD_HTTP_FORBIDDEN,
			    "only root, the daemon's user and its group may use this socket", NULL, NULL);
		return false;
	}
	if (head->authorization_count == 1 &&
	    (http_bearer_matches(head->authorization, secret_get(request->server->token)) ||
	     admit_guest(request, head))) {
		http_connection_authorized(request->connection);
		return true;
	}
	if (!head->authorization_count && admit_signed(request))
		return true;
	if (head->authorization_count)
		log_refusal(request, "wrong token");
	http_refuse(request, MHD_HTTP_UNAUTHORIZED, "a valid bearer token is required",
		    MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"pcapdaemon\"");
	return false;
}

static void refuse_unmatched(struct http_request *request)
{
	const struct http_server *server = request->server;
	struct buffer allowed = BUFFER_INIT(256);

	for (size_t i = 0; i < server->route_count; i++) {
		const char *method = server->routes[i].method;

		if (http_target_matches(&request->target, server->routes[i].pattern) &&
		    buffer_printf(&allowed, "%s%s%s", allowed.size ? ", " : "", method,
				  strcmp(method, "GET") == 0 ? ", HEAD" : "") < 0)
			break;
	}
	if (allowed.size)
		http_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "this path does not support the method",
			    MHD_HTTP_HEADER_ALLOW, buffer_text(&allowed));
	else
		http_refuse(request, MHD_HTTP_NOT_FOUND, "no such path", NULL, NULL);
	buffer_deinit(&allowed);
}

static bool check_guest(struct http_request *request)
{
	if (!request->is_guest || request->route->guests)
		return true;
	log_refusal(request, "not permitted");
	http_refuse(request, MHD_HTTP_FORBIDDEN,
		    request->is_unverified ? "a signature does not open this path"
					   : "this token does not open this path",
		    NULL, NULL);
	return false;
}

static bool find_route(struct http_request *request, const char *method)
{
	const struct http_server *server = request->server;
	const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

	switch (http_target_parse(&request->target, request->raw_target)) {
	case 0:
		break;
	case -E2BIG:
		http_refuse(request, MHD_HTTP_URI_TOO_LONG, "path or query is too long", NULL, NULL);
		return false;
	case -EINVAL:
		http_refuse(request, MHD_HTTP_BAD_REQUEST, "malformed path or query", NULL, NULL);
		return false;
	default:
		http_refuse(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory", NULL, NULL);
		return false;
	}
	for (size_t i = 0; i < server->route_count; i++) {
		if (strcmp(server->routes[i].method, wanted) == 0 &&
		    http_target_matches(&request->target, server->routes[i].pattern)) {
			request->route = &server->routes[i];
			return check_guest(request);
		}
	}
	refuse_unmatched(request);
	return false;
}

static bool accept_body(struct http_request *request, const struct http_head *head)
{
	size_t cap = request->route->body_bytes_max < HTTP_BODY_BYTES_MAX ? request->route->body_bytes_max
									  : HTTP_BODY_BYTES_MAX;

	if (request->is_unverified && cap > HTTP_SIGNED_BYTES_MAX)
		cap = HTTP_SIGNED_BYTES_MAX;
	if (head->body_size > cap) {
		http_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE,
			    cap ? "the body is too large" : "this path takes no body", NULL, NULL);
		return false;
	}
	if (cap && !head->has_body_size) {
		http_refuse(request, MHD_HTTP_LENGTH_REQUIRED, "a Content-Length is required", NULL, NULL);
		return false;
	}
	if (cap && head->type && !request->route->any_type && !http_is_json(head->type)) {
		http_refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "the body must be application/json", NULL, NULL);
		return false;
	}
	request->body = (struct buffer)BUFFER_INIT(cap);
	return true;
}

/* False: refused. */
static bool check_head(struct http_request *request, struct MHD_Connection *mhd, const char *method,
		       const char *version)
{
	struct http_head head = {
		.method = method,
		.version = version,
	};
	const char *text;
	unsigned status = http_check_head(mhd, &head, &text);

	if (status) {
		http_refuse(request, status, text, NULL, NULL);
		return false;
	}
	if (request->server->stopping) {
		http_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "the daemon is stopping", NULL, NULL);
		return false;
	}
	return authorize(request, &head) && find_route(request, method) && accept_body(request, &head);
}

/* --- libmicrohttpd's callbacks --- */

static enum MHD_Result queue_answer(struct http_request *request, struct MHD_Connection *mhd)
{
	struct MHD_Response *response = take(request->answer);
	const struct http_route *route = request->route; /* NULL: refused before routing */

	log_debug(api, "api-request", log_str("peer", request->peer), log_str("method", route ? route->method : NULL),
		  log_str("target", request->raw_target), log_uint("body_bytes", request->body.size),
		  log_uint("status", request->status));
	enum MHD_Result queued = MHD_queue_response(mhd, request->status, response);

	MHD_destroy_response(response); /* the library holds its own reference */
	return queued;
}

static enum MHD_Result answer_or_suspend(struct http_request *request, struct MHD_Connection *mhd)
{
	struct http_connection *connection = request->connection;

	if (connection->gone)
		return MHD_NO;
	if (request->answer)
		return queue_answer(request, mhd);
	http_connection_suspend(connection);
	return MHD_YES;
}

enum MHD_Result http_request_access(void *ctx, struct MHD_Connection *mhd, const char *url, const char *method,
				    const char *version, const char *upload, size_t *upload_size, void **request_ctx)
{
	struct http_request *request = *request_ctx;

	(void)ctx;
	(void)url;
	if (!request)
		return MHD_NO;
	if (!request->checked) { /* an answer here precedes the body, so the connection closes */
		request->checked = true;
		if (check_head(request, mhd, method, version))
			return MHD_YES;
		http_connection_request_received(request->connection);
		return request->answer ? queue_answer(request, mhd) : MHD_NO;
	}
	if (*upload_size > 0) {
		int r = buffer_append(&request->body, upload, *upload_size);

		*upload_size = 0;
		return r < 0 ? MHD_NO : MHD_YES;
	}
	if (!request->dispatched && request->server->stopping) { /* the body arrived too late */
		http_connection_request_received(request->connection);
		if (!request->answer)
			http_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "the daemon is stopping", NULL, NULL);
	} else if (!request->dispatched) {
		request->dispatched = true;
		request->references++;
		http_connection_request_received(request->connection);
		request->route->handler(request->server->ctx, request);
	}
	return answer_or_suspend(request, mhd);
}

void http_request_completed(void *ctx, struct MHD_Connection *mhd, void **request_ctx,
			    enum MHD_RequestTerminationCode why)
{
	struct http_request *request = *request_ctx;

	(void)ctx;
	(void)mhd;
	(void)why;
	if (!request)
		return;
	*request_ctx = NULL;
	http_connection_request_done(request->connection);
	request->connection = NULL;
	if (request->gone)
		request->gone(request->on_gone_ctx);
	request->gone = NULL;
	http_request_release(request);
}

/* --- for handlers --- */

const char *http_request_peer(const struct http_request *request)
{
	return request->peer;
}

bool http_request_must_verify(const struct http_request *request)
{
	return request->is_unverified;
}

void http_request_verified(struct http_request *request, const char *guest)
{
	request->is_unverified = false;
	(void)name_guest(request, guest);
	if (request->connection)
		request->connection->authorized = true;
}

void http_answer_unverified(struct http_request *request, const char *why)
{
	log_refusal(request, why);
	http_answer_error(request, MHD_HTTP_UNAUTHORIZED, "%s", why);
}

struct header_walk {
	const char *name, *value;
	unsigned count;
};

static enum MHD_Result read_header(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct header_walk *walk = ctx;

	(void)kind;
	if (strcasecmp(name, walk->name) == 0) {
		walk->value = value;
		walk->count++;
	}
	return MHD_YES;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
	struct header_walk walk = {.name = name};

	if (request->connection)
		(void)MHD_get_connection_values(request->connection->mhd, MHD_HEADER_KIND, read_header, &walk);
	return walk.count == 1 ? walk.value : NULL;
}

bool http_request_is_guest(const struct http_request *request)
{
	return request->is_guest;
}

const char *http_request_segment(const struct http_request *request, size_t n)
{
	return http_target_wildcard(&request->target, request->route->pattern, n);
}

const void *http_request_body(const struct http_request *request, size_t *size)
{
	*size = request->body.size;
	return buffer_text(&request->body);
}

int http_request_parameter(const struct http_request *request, const char *name, const char **value)
{
	int r = http_target_parameter(&request->target, name, value);

	if (r < 0)
		*value = NULL;
	return r == -EEXIST ? -EINVAL : r;
}

const char *http_request_unknown_parameter(const struct http_request *request, const char *const *known)
{
	return http_target_unknown_parameter(&request->target, known);
}

struct accept_walk {
	const char *type;
	struct http_preference preference;
	bool sent;
};

static enum MHD_Result read_accept(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct accept_walk *walk = ctx;

	(void)kind;
	if (strcasecmp(name, MHD_HTTP_HEADER_ACCEPT) == 0) {
		walk->sent = true;
		http_accept_read(&walk->preference, value ? value : "", walk->type);
	}
	return MHD_YES;
}

unsigned http_request_quality(const struct http_request *request, const char *type)
{
	struct accept_walk walk = {.type = type};

	if (request->connection)
		(void)MHD_get_connection_values(request->connection->mhd, MHD_HEADER_KIND, read_accept, &walk);
	return walk.sent ? walk.preference.quality : HTTP_QUALITY_MAX;
}

void http_request_set_gone_handler(struct http_request *request, void (*gone)(void *ctx), void *ctx)
{
	request->gone = gone;
	request->on_gone_ctx = ctx;
}
