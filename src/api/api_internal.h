/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by api.c and routes_*.c; no other file includes it. */
#pragma once

#include <jansson.h>
#include <sys/queue.h>

#include "api/api.h"
#include "http/http_server.h"

#define API_LIST_DEFAULT 256 /* captures or interfaces in one answer, by default */
#define API_LIST_MAX 4096
#define API_ORIGIN_SIZE 128			     /* of a request's origin, "api:" and the peer */
#define API_TYPE_PCAP "application/vnd.tcpdump.pcap" /* registered with IANA; pcapng is not */
#define API_TYPE_PCAPNG "application/x-pcapng"

struct alert_signatures;
struct config_requests;
struct destination_check;
struct event;
struct history_response;
struct live_response;
struct event_listener;
struct submission;

struct api {
	struct api_options options;
	struct alert_signatures *signatures; /* that were used; NULL: alerts have none */
	struct http_server *server;
	LIST_HEAD(, history_response) histories;
	LIST_HEAD(, live_response) lives;
	LIST_HEAD(, event_listener) listeners;
	LIST_HEAD(, submission) submissions;
	struct destination_check *check; /* the one that runs; NULL: none */
	struct http_request *check_request;
};

/* Handlers; ctx: the api. */
void route_submit(void *api, struct http_request *request);
void route_list(void *api, struct http_request *request);
void route_show(void *api, struct http_request *request);
void route_stop(void *api, struct http_request *request);
void route_file(void *api, struct http_request *request);
void route_history(void *api, struct http_request *request);
void route_live(void *api, struct http_request *request);
void route_events(void *api, struct http_request *request);
void route_alert(void *api, struct http_request *request);
void route_rules(void *api, struct http_request *request);
void route_interfaces(void *api, struct http_request *request);
void route_destinations(void *api, struct http_request *request);
void route_check_destinations(void *api, struct http_request *request);
void route_status(void *api, struct http_request *request);
void route_metrics(void *api, struct http_request *request);
void route_health(void *api, struct http_request *request);

/* Event bus subscriber; ctx: the api. */
void api_on_event(void *api, const struct event *event, const char *json);

/* Submits the body as a request and answers: once its captures are armed, or with `wait` once they are final. */
void api_submit(struct api *api, struct http_request *request, const struct config_requests *allowed, bool wait);
void submissions_cancel(struct api *api);
void histories_stop(struct api *api);
void lives_cancel(struct api *api);

/* Takes the reference; answers 500 if it is NULL. */
void api_answer_json(struct http_request *request, unsigned status, json_t *json);

/* True if every query parameter is one of `known`; otherwise answers the request. */
extern const char *const api_no_parameters[];
bool api_check_parameters(struct http_request *request, const char *const *known);

/* The query parameter `limit`: 1 to API_LIST_MAX, API_LIST_DEFAULT if absent. On failure answers the request and
 * returns false. */
bool api_read_limit(struct http_request *request, size_t *limit);

/* Reads a query parameter that may be given once; NULL if absent. On failure answers the request and returns false. */
bool api_parameter(struct http_request *request, const char *name, const char **value);
