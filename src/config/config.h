/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: command line beats file beats default. Every option and key stands once, in the table in
 * config_table.c, with type, unit, range, default and help; -help, the example file and the manual's key list are
 * printed from that table. Immutable once loaded; any thread may read it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

#define CONFIG_INTERFACES_MAX 256
#define CONFIG_ALIASES_MAX 64 /* per interface */
#define CONFIG_REDIS_NODES_MAX 16
#define CONFIG_FAULTS_MAX 64		   /* faults reported in one go */
#define CONFIG_FAULTS_BYTES_MAX (1u << 20) /* room for their text */

struct config_strings {
	char **items;
	size_t count;
};

struct config_interface {
	char *name;
	struct config_strings alias;
	bool promiscuous;
};

/* Texts are never NULL after loading, unless they say so; "" is not given. */
struct config {
	struct {
		char *node; /* never empty after loading */
		uint64_t maxpackets;
		uint64_t maxbytes;
		uint64_t maxtimeout_ns;
		uint64_t maxduration_ns;
		uint64_t defaulttimeout_ns;
		uint64_t snaplength_bytes;
		bool writelocal;
		char *localdir;
		char *format; /* "pcapng" or "pcap" */
		bool logrequests;
		bool packetdebug;
	} general;
	struct {
		uint64_t captures;
		uint64_t memory_bytes;
		uint64_t warm_memory_bytes;
		uint64_t requests_per_second;
		uint64_t retry_ns;
		uint64_t cooldown_ns;		       /* 0: off */
		uint64_t customer_captures;	       /* 0: no limit */
		uint64_t customer_requests_per_second; /* 0: no limit */
	} limits;
	struct {
		struct config_strings interfaces;
		uint64_t memory_bytes; /* per interface */
		uint64_t keep_ns;      /* 0: no limit */
		char *snaplength;      /* digits, or "headers" */
		char *filter;
		bool exclude_own;
	} history;
	struct {
		char *host, *scheme, *token, *token_file, *ca_file;
		uint64_t port;	     /* 0: the scheme's own */
		uint64_t timeout_ns; /* 0: none */
		bool upload, verify;
	} cloudshark;
	struct {
		bool listen, tls, presence;
		char *host, *channel, *username, *auth, *auth_file, *ca_file, *cert_file, *key_file;
		char *events;				/* channel; never empty after loading */
		struct config_strings nodes, sentinels; /* each "host:port" */
		char *master, *sentinel_username, *sentinel_auth, *sentinel_auth_file;
		char *stream;		    /* a key; "": none */
		char *group;		    /* never empty after loading */
		uint64_t stream_max_age_ns; /* 0: no limit */
		bool upload;
		uint64_t file_size_bytes;
		uint64_t file_ttl_ns;
		uint64_t port;
		bool configured; /* some option or key of it was given; false: the embedded form, nobody may be there */
	} redis;
	struct {
		uint64_t bytes; /* 0: off */
		uint64_t keep_ns;
	} memory;
	struct {
		char *socket, *group, *listen; /* "": none */
		char *token, *token_file, *cert_file, *key_file;
		bool configured; /* the socket was named: not to get it is a fault */
	} api;
	struct {
		uint64_t priority; /* facility | severity, as in syslog.h */
		char *tag;
	} syslog;
	struct {
		char *level; /* as log_level_parse() takes it */
	} log;
	struct config_interface *interfaces;
	size_t interface_count;

	char *path; /* of the file; NULL without one */
	bool check, version, help;
};

/* Who knows what a filter is: 0, or -EINVAL with what is wrong in `err`. NULL: filters are not judged. */
typedef int (*config_filter_validator)(const char *filter, struct error *err);

/*
 * Reads the command line, then the file it names, then the *_file secrets (token_file, auth_file; also systemd
 * credentials of those names), and validates the whole. Wipes secrets (-cstoken VALUE and -cstoken=VALUE) from argv in
 * place. 0, or -EINVAL with every fault as a line of its own in `faults`: "file:line:column: section.key: what is wrong
 * (did you mean …?)"; command line faults begin with "command line: -option: ". What the build lacks ([kafka] listen =
 * true, …) is such a fault. With -help or -version the command line alone is read. Otherwise -ENOMEM.
 */
warn_unused int config_load(int argc, char **argv, config_filter_validator validate_filter, struct buffer *faults,
			    struct config **config);

/* The same for the text of a file that is called `name` in faults, without a command line. `text` need not end in NUL.
 */
warn_unused int config_load_text(const char *text, size_t size, const char *name,
				 config_filter_validator validate_filter, struct buffer *faults,
				 struct config **config);
void config_free(struct config *config); /* secrets are overwritten first */

/* Whether an interface is to be captured on in promiscuous mode: its [[interface]] says so, or nothing is said. */
bool config_wants_promiscuous(const struct config *config, const char *interface);

/* From the table, appended to `out`. 0 or -errno. */
warn_unused int config_print_help(struct buffer *out);
warn_unused int
config_print_example(struct buffer *out); /* a complete TOML file, all keys at their defaults, commented */
warn_unused int config_print_manual(struct buffer *out); /* mdoc list of options and keys, included in pcapdaemon.8 */

CLEANUP_DEFINE(config, struct config, config_free)
