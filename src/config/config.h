/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: the command line overrides the file, the file the defaults. The table in config_table.c defines
 * every option and key with type, unit, range, default and help; -help, the example file and the manual's lists are
 * printed from it. Immutable once loaded; any thread may read it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"

#define CONFIG_INTERFACES_MAX 256
#define CONFIG_ALIASES_MAX 64 /* per interface */
#define CONFIG_REDIS_NODES_MAX 16
#define CONFIG_FAULTS_MAX 64		   /* faults reported at once */
#define CONFIG_FAULTS_BYTES_MAX (1u << 20) /* of their text */

struct config_strings {
	char **items;
	size_t count;
};

struct config_interface {
	char *name;
	struct config_strings alias;
	bool promiscuous;
};

#define CONFIG_INPUTS_MAX 32
#define CONFIG_HOSTS_MAX 4096

/* Where alerts come from. */
struct config_input {
	char *format, *from, *name, *field;
	char *cert_file, *key_file, *ca_file; /* "": none */
};

#define CONFIG_SECRET_MIN 16 /* characters of an API token or a key's secret */
#define CONFIG_KEY_NAME_MAX 64
#define CONFIG_KEY_SECRET_MAX 256

/* A key that signs requests: config_keys.h. */
struct config_key {
	char *name, *secret;
	struct config_strings destinations, interfaces; /* all that it may ask for; none: no limit of its own */
};

struct config_keyring;

/* What requests of one origin may ask for: [requests] over Redis, [api.requests] over the control API. */
struct config_requests {
	const char *section;		    /* for refusals */
	struct config_strings destinations; /* all that may be named; none: the origin's default */
	bool redis_files;		    /* [requests]: redis is one of the default */
	struct config_strings interfaces;   /* none: all */
	char *filter;			    /* "": none */
	uint64_t maxbefore_ns;		    /* CONFIG_MAXBEFORE_NONE and more: no limit */
	bool resolve, allow_debug;
	const char *resolve_rule; /* its key, for refusals */

	/* [requests] only. */
	char *keys_file, *nonces_file;	/* "": none */
	struct config_keyring *keyring; /* a key of it must sign a request; NULL: it need not be signed */
	uint64_t signature_age_ns;
};

#define CONFIG_MAXBEFORE_NONE (366 * S_PER_DAY * NS_PER_S)

/* The settings of each type of destination. The section of the type's name has one of these. */

struct config_cloudshark {
	char *host, *scheme, *token, *token_file, *ca_file;
	uint64_t port;	     /* 0: the scheme's default */
	uint64_t timeout_ns; /* 0: none */
	bool upload, verify;
	char *customer_tokens_file;
	char *customer_tokens; /* its text (base/customer_tokens.h); NULL: none */
	char *public_url;
	bool filter_links;
	char *compress; /* as compression_by_name() takes it; likewise below */
};

struct config_local {
	char *directory;     /* [local]: general.localdir */
	uint64_t max_bytes;  /* 0: no limit */
	uint64_t min_free;   /* percent */
	uint64_t max_age_ns; /* 0: never removed */
	char *compress;
};

struct config_memory {
	uint64_t bytes; /* 0: off */
	uint64_t keep_ns;
};

struct config_redis {
	bool listen, tls, presence, allow_replica, cluster;
	char *host, *channel, *username, *auth, *auth_file, *ca_file, *cert_file, *key_file;
	char *events;				/* channel; never empty after loading */
	struct config_strings nodes, sentinels; /* each "host:port" */
	char *master, *sentinel_username, *sentinel_auth, *sentinel_auth_file;
	char *stream;		    /* a key; "": none */
	char *group;		    /* never empty after loading */
	uint64_t stream_max_age_ns; /* 0: no limit */
	bool upload;
	uint64_t file_size_bytes, files_size_bytes;
	uint64_t file_ttl_ns;
	char *compress;
	uint64_t port;
	bool configured; /* an option or key of it was given; false: there may be no Redis */
};

struct config_http {
	bool upload, verify;
	char *url, *url_file, *method;	    /* method: "PUT" or "POST" */
	struct config_strings header, form; /* "Name: value", "name=value" */
	char *form_field;
	char *token, *token_file, *username, *password, *password_file;
	char *cert_file, *key_file, *ca_file;
	uint64_t timeout_ns; /* 0: none */
	char *compress;
};

struct config_sftp {
	bool upload;
	char *host, *user, *path;
	char *key_file, *passphrase, *passphrase_file; /* the user's private key */
	char *known_hosts, *host_key_sha256;	       /* one of them at least */
	uint64_t port;
	uint64_t timeout_ns; /* 0: none */
	char *compress;
};

/* S3, and what speaks its protocol. */
struct config_s3 {
	char *accessid, *accesskey, *accesskey_file, *session_token, *session_token_file, *credentials_file, *profile;
	char *endpoint, *region, *bucket, *folder, *acl, *kms_key_id, *ca_file;
	char *encryption;		      /* "false", "true" (AES256), or as in the service's header */
	char *path_style;		      /* "true", "false", "": by the endpoint */
	struct config_strings allow_override; /* fields that a request may set */
	bool upload, verify;
	char *compress;
};

#define CONFIG_DESTINATIONS_MAX 16
#define CONFIG_DESTINATION_NAME_MAX 32

/* [[destination]]: one besides those that a section makes. */
struct config_destination {
	char *name, *type;
	bool upload; /* one of "all that are enabled"; false: only for files that name it */

	/* Only the type's own is filled in. */
	struct config_cloudshark cloudshark;
	struct config_local local;
	struct config_redis redis;
	struct config_s3 s3;
	struct config_http http;
	struct config_sftp sftp;
};

#define CONFIG_WEBHOOKS_MAX 16

/* Where events are POSTed to. */
struct config_webhook {
	char *name, *format;
	char *url, *url_file; /* one of them */
	char *token_file, *secret_file, *ca_file;
	struct config_strings events; /* kinds; none: done and failed */
	struct config_strings header; /* "Name: value" */
	bool verify;
	uint64_t retry_ns; /* 0: one attempt */
};

/* After loading, strings are never NULL unless noted; "" means not given. */
struct config {
	struct {
		char *node; /* never empty after loading */
		uint64_t maxpackets;
		uint64_t maxbytes;
		uint64_t maxtimeout_ns;
		uint64_t maxduration_ns;
		uint64_t defaulttimeout_ns;
		uint64_t snaplength_bytes;
		bool writelocal; /* to local.directory */
		char *format;	 /* "pcapng" or "pcap" */
		bool logrequests;
		bool packetdebug;
		struct config_strings first_of; /* destinations; a file goes to the first that takes it */
	} general;
	struct {
		uint64_t captures;
		uint64_t memory_bytes;
		uint64_t ring_memory_bytes;  /* 0: engine_ring_memory() */
		uint64_t ring_reserve_bytes; /* 0: host_memory_reserve() */
		uint64_t oom_score_adj;
		uint64_t warm_memory_bytes;
		uint64_t requests_per_second;
		uint64_t alerts_per_second;
		uint64_t retry_ns;
		uint64_t breaker_failures; /* 0: never opens */
		uint64_t breaker_wait_ns;
		uint64_t upload_speed; /* bytes a second */
		uint64_t upload_window_ns;
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
	struct config_cloudshark cloudshark;
	struct config_redis redis;
	struct config_local local;
	struct config_memory memory;
	struct config_http http;
	struct config_sftp sftp;
	struct config_s3 s3;
	struct {
		char *directory; /* "": off */
		uint64_t max_bytes;
		uint64_t max_age_ns; /* 0: no file is given up for its age */
	} spool;
	struct {
		char *socket, *group, *listen; /* "": none */
		char *token, *token_file, *cert_file, *key_file, *alert_tokens_file;
		struct config_keyring *alert_tokens; /* NULL: none */
		char *alert_keys_file;
		struct config_keyring *alert_keys; /* one of them signs an alert; NULL: none */
		uint64_t alert_signature_age_ns;
		bool alert_untimed; /* its signature need not have a time */
		bool configured;    /* the socket was given: failing to open it is an error */
		struct config_requests requests;
	} api;
	struct config_requests requests;
	struct {
		char *files;			/* a pattern; "": none */
		char *sign_key;			/* "": none */
		struct config_strings hosts;	/* "HOST=NODE" */
		struct config_keyring *keyring; /* of sign_key; the first key signs; NULL: none */
	} rules;
	struct config_input *inputs;
	size_t input_count;
	struct config_webhook *webhooks;
	size_t webhook_count;
	struct {
		uint64_t priority; /* facility | severity, as in syslog.h */
		char *tag;
	} syslog;
	struct {
		char *level; /* as log_level_parse() takes it */
	} log;
	struct config_interface *interfaces;
	size_t interface_count;
	struct config_destination *destinations;
	size_t destination_count;

	/* Nothing is configured: the control socket only. A Redis that happens to listen on the default port may be any
	 * local user's, so redis.listen is false. */
	bool embedded;
	char *path;   /* the file's; NULL: none */
	char *user;   /* -check: as whom; "": this process's user */
	char *unread; /* config_load_text_for_client: "redis.auth_file: PATH: why"; NULL: nothing was unreadable */
	bool check, version, help;
	bool check_destinations; /* with -check: try them */
};

/* 0 if the filter is valid, or -EINVAL with `err`. A NULL validator skips the check. */
typedef int (*config_filter_validator)(const char *filter, struct error *err);

/*
 * Reads the command line, then the file it names, then secrets from files or systemd credentials (config_secret.c), and
 * validates the whole; with -check, also whether this host suits it (config_host.c), in a process with one thread.
 * Wipes secrets (-cstoken VALUE and -cstoken=VALUE) from argv in place. Returns 0 with any warnings in `faults`,
 * -ENOMEM, or -EINVAL with one line per fault and warning in `faults`: "file:line:column: section.key: reason (did you
 * mean …?)" or "command line: -option: reason"; a warning has "warning: " after the location. Switching on what this
 * build lacks ([kafka] listen = true, …) is a fault. With -help or -version it reads only the command line.
 */
warn_unused int config_load(int argc, char **argv, config_filter_validator validate_filter, struct buffer *faults,
			    struct config **config);

/* The same for the text of a file, without a command line. Faults call it `name`; `text` need not end in NUL. */
warn_unused int config_load_text(const char *text, size_t size, const char *name,
				 config_filter_validator validate_filter, struct buffer *faults,
				 struct config **config);
/*
 * As config_load_text, for a client on the daemon's host, whose user may read less than the daemon: only files that
 * [redis] names are read, and checks across keys are the daemon's. The first of these files that the user cannot read
 * is no fault: its secret stays empty, and config->unread tells which and why.
 */
warn_unused int config_load_text_for_client(const char *text, size_t size, const char *name, struct buffer *faults,
					    struct config **config);
void config_free(struct config *config); /* overwrites secrets first */

/* Whether to capture on an interface in promiscuous mode, which is the default. Entries may have any of its names. */
bool config_wants_promiscuous(const struct config *config, const char *interface);

/* These append to `out`: -help; a TOML file with every key commented out at its default; the mdoc lists of options and
 * keys for pcapdaemon.8. 0 or -errno. */
warn_unused int config_print_help(struct buffer *out);
warn_unused int config_print_example(struct buffer *out);
warn_unused int config_print_manual(struct buffer *out);

CLEANUP_DEFINE(config, struct config, config_free)
