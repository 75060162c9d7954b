/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request: bytes from any trigger → one immutable, validated struct, or a refusal that names the field. Fields and
 * rules: pcapdaemon(8), REQUESTS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/packet.h"

struct config;
struct config_key;
struct config_key_set;
struct config_requests;

#define REQUEST_SIZE_MAX (64 * 1024) /* bytes of JSON */
#define REQUEST_DEPTH_MAX 4	     /* nesting levels of arrays and objects */
#define REQUEST_INTERFACES_MAX 4096
#define REQUEST_STRING_MAX 4096 /* bytes of any string but `bpf` */
#define REQUEST_BPF_MAX 4096	/* bytes; the compiler of filters limits the terms */
#define REQUEST_SNAP_MAX PACKET_SNAPLEN_MAX
#define REQUEST_ID_SIZE 65
#define REQUEST_MAC_BYTES 32
#define REQUEST_FILES_MAX 1000		       /* of a series */
#define REQUEST_EVERY_NS_MIN (100 * NS_PER_MS) /* of each of them */
#define REQUEST_EVERY_BYTES_MIN (64 * 1024)
#define REQUEST_ENDLESS_NS ((uint64_t)INT64_MAX / 2) /* the duration of a live capture without a limit; 146 years */

enum request_format { REQUEST_FORMAT_PCAPNG, REQUEST_FORMAT_PCAP };

enum request_verdict {
	REQUEST_OURS,	   /* valid and for this node */
	REQUEST_ELSEWHERE, /* for another node; other fields were not checked */
	REQUEST_INVALID,   /* refused; the refusal has the reason and the field */
};

/* What replaces the configuration of S3; NULL: not given. encryption: "none", or as in S3's header. */
struct request_s3 {
	char *bucket, *folder, *region, *endpoint, *acl, *encryption;
};

/* One interface to capture on. */
struct request_interface {
	char *name;
	char *alias; /* the alias it was found by, NULL if named directly */
};

struct request {
	unsigned references;
	char id[REQUEST_ID_SIZE]; /* given (id_given), or generated */
	bool id_given;
	bool broad; /* may be for other nodes as well: an expression, or "any" */
	/* Aliases are resolved; each name occurs once, in the request's order; "any" stays as it is. */
	struct request_interface *interfaces;
	size_t interface_count;
	char *bpf;	      /* NULL: none */
	char *inner;	      /* a filter for the packet in a tunnel; NULL: none */
	const char *required; /* a filter that its packets must match as well, the configuration's; NULL: none */
	char *filter_shown;   /* `required` and `bpf` as one text for events, cut; NULL: none */
	char *inner_shown;    /* `inner` likewise */
	char *origin;	      /* where it came from; NULL: not known */
	const char *no_names; /* the rule that forbids its filters host names; NULL: none */
	uint32_t snap;	      /* bytes */
	uint64_t packets;     /* per capture */
	uint64_t bytes;	      /* per capture */
	bool packets_given, bytes_given, time_given; /* it names that limit itself; time: duration, timeout or to */
	uint64_t before_ns;			     /* 0: start now */
	uint64_t from_ns, to_ns;		     /* absolute window, real time; 0: not given */
	uint64_t idle_ns;			     /* 0: no idle limit */
	uint64_t duration_ns;			     /* never 0: duration, else timeout, else the default */
	char *tags, *customer, *comment;	     /* NULL: not given */
	char *alertid;				     /* as text; NULL: not given */
	bool alertid_is_integer;
	char *dedupe; /* key that marks repetitions, instead of alertid; NULL: not given */
	bool stop;    /* ends the captures with its dedupe key; says nothing else */
	enum request_format format;
	bool live;			/* its packets go to a client while it runs, not to destinations */
	uint64_t files;			/* a series of at most this many for each interface; 0: one */
	uint64_t every_ns, every_bytes; /* what each of them holds; one of the two, with `files` */
	bool stream;			/* its files are delivered while they grow */
	bool merge;			/* one file with all interfaces */
	bool drop_duplicates;		/* of frames that several of them saw; with `merge` only */
	bool follow;			/* interfaces that appear join "any" */
	bool logrequest, packetdebug;	/* set by the request or the configuration */
	char **destinations;		/* NULL: all that are enabled */
	size_t destination_count;
	char **first_of; /* destinations; the first that takes the file gets it. NULL: none */
	size_t first_of_count;
	struct request_s3 s3;
	uint64_t received_ns;		       /* real time */
	uint64_t published_error_ns;	       /* how far off published_ns may be */
	uint64_t published_ns;		       /* real time, if it may be long before received_ns; else 0 */
	const struct config_requests *allowed; /* what it may ask for, the configuration's */
	/* The key that signed it, of the set, and what of the signature tells replays; NULL: unsigned. */
	const struct config_key *key;
	char *rule; /* the alert rule that made it, as far as its sender says; NULL: none */
	struct config_key_set *keys;
	uint64_t signed_s; /* Unix seconds by the sender's clock */
	uint8_t mac[REQUEST_MAC_BYTES];
	char *json; /* the request as received but for its signature, as compact JSON, for the file's comment */
};

/* What a `rejected` event needs to know of a refused request; "" where that is unknown. */
struct request_refusal {
	char id[REQUEST_ID_SIZE];
	char field[64]; /* the field at fault */
	bool named;	/* it names this node; else other nodes may refuse it, too */
	struct error error;
};

struct request_arrival {
	uint64_t received_ns;		     /* real time */
	uint64_t published_ns;		     /* as in struct request */
	const struct config_requests *rules; /* whose keys must have signed it; NULL: it need not be signed */
	const char *rule;		     /* the alert rule that made it; NULL: none */
	bool live;			     /* as in struct request */
};

/*
 * Parses and validates. `destinations`: the names that to_destinations and first_of may use. On REQUEST_OURS the caller
 * owns
 * `*request` (request_unref); on REQUEST_INVALID `refusal` is filled. Does not block.
 */
warn_unused enum request_verdict request_parse(const void *bytes, size_t size, const struct request_arrival *arrival,
					       const struct config *config, const char *const *destinations,
					       size_t destination_count, struct request_refusal *refusal,
					       struct request **request);

/* A random id. 0 or -errno. */
warn_unused int request_make_id(char id[static REQUEST_ID_SIZE]);

/* Replaces a generated id by one that the trigger knows; has no effect if the request came with an id. */
void request_set_id(struct request *request, const char *id);

/* The name of the key that signed it; NULL: unsigned. */
const char *request_key_name(const struct request *request);
size_t request_bytes(const struct request *request); /* of memory that it takes, about */

struct request *request_ref(struct request *request);
void request_unref(struct request *request); /* loop thread only */

/*
 * The tags, separated by commas: customer, alertid, the request's own, alias, node, interface, snaplength. Caller
 * frees; NULL on ENOMEM.
 */
char *request_tags(const struct request *request, const struct request_interface *interface, const char *node);

CLEANUP_DEFINE(request, struct request, request_unref)
