/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request: bytes from whatever trigger → one immutable, validated struct, or a refusal that names the field. Knows no
 * capture. Fields and rules: the contract ("The request (JSON)").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/packet.h"

struct config;

#define REQUEST_SIZE_MAX (64 * 1024) /* bytes of JSON */
#define REQUEST_DEPTH_MAX 4	     /* nesting levels of arrays and objects */
#define REQUEST_INTERFACES_MAX 256
#define REQUEST_STRING_MAX 4096 /* bytes of any string but `bpf` */
#define REQUEST_BPF_MAX 4096	/* bytes; the number of terms is limited where it is compiled */
#define REQUEST_SNAP_MAX PACKET_SNAPLEN_MAX
#define REQUEST_ID_SIZE 65

enum request_format { REQUEST_FORMAT_PCAPNG, REQUEST_FORMAT_PCAP };

enum request_verdict {
	REQUEST_OURS,	   /* valid and for this node */
	REQUEST_ELSEWHERE, /* for another node: the rest was not looked at */
	REQUEST_INVALID,   /* refused; `err` says why and names the field */
};

/* One interface to capture on. */
struct request_interface {
	char *name;
	char *alias; /* the alias it was found by, NULL if named directly */
};

struct request {
	unsigned references;
	char id[REQUEST_ID_SIZE]; /* given, or made here (id_given tells) */
	bool id_given;
	struct request_interface
		*interfaces; /* aliases resolved, each name once, order of the request; "any" stands as such */
	size_t interface_count;
	char *bpf;			 /* NULL: none */
	char *inner;			 /* a filter for the packet in a tunnel; NULL: none */
	uint32_t snap;			 /* bytes */
	uint64_t packets;		 /* per capture */
	uint64_t bytes;			 /* per capture */
	uint64_t before_ns;		 /* 0: begin now */
	uint64_t from_ns, to_ns;	 /* real time: an absolute window; 0: not given */
	uint64_t idle_ns;		 /* 0: no idle limit */
	uint64_t duration_ns;		 /* always set: duration, or timeout if that came alone, or the default */
	char *tags, *customer, *comment; /* NULL: not given */
	char *alertid;			 /* as text; NULL: not given */
	bool alertid_is_integer;
	char *dedupe; /* what makes it a repetition of another, before alertid; NULL: not given */
	enum request_format format;
	bool merge;		      /* one file with all interfaces */
	bool logrequest, packetdebug; /* the request's or the configuration's */
	char **destinations;	      /* NULL: all that are enabled */
	size_t destination_count;
	uint64_t received_ns;  /* real time */
	uint64_t published_ns; /* real time: when it was asked for, if that is known and longer ago; 0: as it was
				  received */
	char *json;	       /* the request as received, compact JSON; for the file's comment */
};

/*
 * What can be salvaged from a request that is refused, for the `rejected` event: empty strings where nothing could be.
 */
struct request_refusal {
	char id[REQUEST_ID_SIZE];
	char field[64]; /* the offending field */
	struct error error;
};

/*
 * Parses and checks. `destinations`/`destination_count`: names that to_destinations may use.
 * On REQUEST_OURS `*request` is the caller's (request_unref). On REQUEST_INVALID `refusal` is filled. Does not block.
 */
warn_unused enum request_verdict request_parse(const void *bytes, size_t size, uint64_t received_ns,
					       const struct config *config, const char *const *destinations,
					       size_t destination_count, struct request_refusal *refusal,
					       struct request **request);

/* Gives a request that came without one an id by which its source knows it, as if it had come with it. */
void request_set_id(struct request *request, const char *id);

struct request *request_ref(struct request *request);
void request_unref(struct request *request); /* loop thread only */

/*
 * The tags of the contract, in its order: customer, alertid, the request's own, alias, node, interface, snaplength.
 * Caller frees; NULL on ENOMEM.
 */
char *request_tags(const struct request *request, const struct request_interface *interface, const char *node);

CLEANUP_DEFINE(request, struct request, request_unref)
