/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of all options and keys. The command line and the file are read by it; -help, the example file and the
 * manual's lists are printed from it. To enable a feature that the build lacked so far, drop `.unsupported` from its
 * row; to store the value, give the row a field.
 */
#include "config/config_table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/packet.h"
#include "base/quantity.h"
#include "config/config.h"
#include "config/config_rules.h"

#define FIELD(member) .offset = offsetof(struct config, member)
/* Of a type of destination: counted from the type's struct, of which the section has one. */
#define SETTING(type, member) .base = offsetof(struct config, type), .offset = offsetof(struct config_##type, member)
/* The same in [[destination]]. */
#define DESTINATION_SETTING(type, member)                                                                    \
	.base = offsetof(struct config_destination, type), .offset = offsetof(struct config_##type, member), \
	.of_type = #type
#define DESTINATION_FIELD(member) .offset = offsetof(struct config_destination, member)
#define INTERFACE_FIELD(member) .offset = offsetof(struct config_interface, member)
#define WEBHOOK_FIELD(member) .offset = offsetof(struct config_webhook, member)
#define INPUT_FIELD(member) .offset = offsetof(struct config_input, member)
#define REPEATED(items, count, type, max)                                 \
	.repeated = true, .items_offset = offsetof(struct config, items), \
	.count_offset = offsetof(struct config, count), .item_bytes = sizeof(type), .items_max = (max)
#define S3_FIELD(member) SETTING(s3, member)
#define NOT_STORED .offset = CONFIG_NO_FIELD

#define YEAR (366 * S_PER_DAY * NS_PER_S)
#define TIB (UINT64_C(1) << 40)

#define COUNT_MAX UINT64_C(1000000000000)

static const char *const formats[] = {"pcapng", "pcap", NULL};
static const char *const schemes[] = {"https", "http", NULL};
static const char *const compressions[] = {"none", "zstd", "gzip", NULL};
static const char *const methods[] = {"PUT", "POST", NULL};
static const char *const alert_formats[] = {"eve",    "zeek",	   "alertmanager", "grafana", "falco",
					    "wazuh",  "pagerduty", "opsgenie",	   "elastic", "trap",
					    "syslog", "kv",	   "json",	   "request", NULL};
static const char *const input_kinds[] = {"redis-channel", "redis-list", "redis-stream", "unix-dgram", "udp",
					  "unix-stream",   "tcp",	 "tls",		 "file",       NULL};
static const char *const webhook_formats[] = {"event", "slack", "teams", NULL};
static const char *const headers_only[] = {"headers", NULL};
static const char *const encryptions[] = {"AES256", "aws:kms", "aws:kms:dsse", NULL};
static const char *const no_choices[] = {NULL};

/* The types of [[destination]], each with a struct config_TYPE. */
#define DESTINATION_TYPES(TYPE) TYPE(cloudshark) TYPE(local) TYPE(redis) TYPE(http) TYPE(sftp) TYPE(s3)

#define TYPE_NAME(type) #type,
#define TYPE_ROW(type) {#type, offsetof(struct config_destination, type)},

static const char *const destination_types[] = {DESTINATION_TYPES(TYPE_NAME) NULL};

const struct config_destination_type config_destination_types[] = {DESTINATION_TYPES(TYPE_ROW)};

const size_t config_destination_type_count = sizeof(config_destination_types) / sizeof(*config_destination_types);

#define COMPRESS_KEY(section, type)                                                                      \
	{                                                                                                \
		section, "compress", NULL, "KIND", CONFIG_CHOICE,                                        \
			.choices = compressions, .fallback = "none", SETTING(type, compress),            \
			.help = "compress files on the way there: none, zstd (fast; .zst) or gzip (.gz)" \
	}

/* Keys of every section that says what a request may ask for; `wide`: the default of what costs or shows more. */
#define REQUESTS_KEYS(section, member, wide)                                                                           \
	{section,                                                                                                      \
	 "interfaces",                                                                                                 \
	 NULL,                                                                                                         \
	 "NAMES",                                                                                                      \
	 CONFIG_STRINGS,                                                                                               \
	 0,                                                                                                            \
	 CONFIG_INTERFACES_MAX,                                                                                        \
	 .fallback = "",                                                                                               \
	 .fallback_text = "all",                                                                                       \
	 FIELD(member.interfaces),                                                                                     \
	 .validate = config_rule_interface,                                                                            \
	 .help = "interfaces that a request may capture on, by any of their names; \"any\" then means those of them "  \
		 "that are up"},                                                                                       \
		{section,                                                                                              \
		 "filter",                                                                                             \
		 NULL,                                                                                                 \
		 "FILTER",                                                                                             \
		 CONFIG_STRING,                                                                                        \
		 .fallback = "",                                                                                       \
		 FIELD(member.filter),                                                                                 \
		 .help = "pcap filter that the packets of every request must match as well"},                          \
		{section,                                                                                              \
		 "maxbefore",                                                                                          \
		 NULL,                                                                                                 \
		 "TIME",                                                                                               \
		 CONFIG_DURATION,                                                                                      \
		 0,                                                                                                    \
		 YEAR,                                                                                                 \
		 .fallback = "31622400",                                                                               \
		 .fallback_text = "no limit",                                                                          \
		 FIELD(member.maxbefore_ns),                                                                           \
		 .help = "how far back a request may reach, in seconds; 0: not at all"},                               \
		{section,                                                                                              \
		 "resolve",                                                                                            \
		 NULL,                                                                                                 \
		 NULL,                                                                                                 \
		 CONFIG_BOOL,                                                                                          \
		 .fallback = wide,                                                                                     \
		 FIELD(member.resolve),                                                                                \
		 .help = "let filters have host names, which this node then looks up"},                                \
	{                                                                                                              \
		section, "allow_debug", NULL, NULL, CONFIG_BOOL, .fallback = wide, FIELD(member.allow_debug),          \
								 .help = "let requests set packetdebug and logrequest" \
	}

const struct config_section config_sections[] = {
	{.name = "general", .help = "This node, and limits for each request"},
	{.name = "limits", .help = "Limits for the whole daemon"},
	{.name = "history", .help = "The flight recorder, which keeps recent packets so that requests can reach back"},
	{.name = "local", .help = "Limits of the local directory (general.localdir)"},
	{.name = "cloudshark", .help = "Upload to CloudShark"},
	{.name = "redis", .help = "Requests and events over Redis"},
	{.name = "syslog", .help = "Syslog; messages also go to standard error"},
	{.name = "log", .help = "Which messages are logged"},
	{.name = "interface",
	 .help = "Aliases and settings of an interface; one section for each interface",
	 REPEATED(interfaces, interface_count, struct config_interface, CONFIG_INTERFACES_MAX)},
	{.name = "destination",
	 REPEATED(destinations, destination_count, struct config_destination, CONFIG_DESTINATIONS_MAX),
	 .help = "More destinations, each with the keys of its type"},
	{.name = "memory", .help = "Finished files kept in memory, for pcapctl get and the control API"},
	{.name = "spool", .help = "Where captures wait on disk that could not be delivered"},
	{.name = "s3", .help = "Upload to S3"},
	{.name = "http", .help = "Upload to any HTTP server"},
	{.name = "sftp", .help = "Upload to an SFTP server"},
	{.name = "api", .help = "The control API"},
	{.name = "rules", .help = "Alerts of other programs that become requests"},
	{.name = "input",
	 REPEATED(inputs, input_count, struct config_input, CONFIG_INPUTS_MAX),
	 .help = "Where alerts come from; the control API takes them without one"},
	{.name = "webhook",
	 REPEATED(webhooks, webhook_count, struct config_webhook, CONFIG_WEBHOOKS_MAX),
	 .help = "Where events are sent to by HTTP: a chat, a ticket system"},
	{.name = "requests", .help = "What a request over Redis may ask for"},
	{.name = "api.requests", .help = "What a request over the control API may ask for, history included"},
	{.name = "kafka", .help = "Requests from Kafka"},
	{.name = "sqs", .help = "Requests from Amazon SQS"},
};

const size_t config_section_count = sizeof(config_sections) / sizeof(*config_sections);

const struct config_row config_rows[] = {
	/* Command line only. */
	{.option = "config",
	 .argument = "FILE",
	 .type = CONFIG_STRING,
	 .fallback = "",
	 FIELD(path),
	 .help = "configuration file (TOML)"},
	{.option = "check",
	 .type = CONFIG_BOOL,
	 .fallback = "false",
	 FIELD(check),
	 .help = "validate the configuration, warn of what does not suit this host, and exit"},
	{.option = "destinations",
	 .type = CONFIG_BOOL,
	 .fallback = "false",
	 FIELD(check_destinations),
	 .help = "with -check: also deliver a tiny file to each destination"},
	{.option = "user",
	 .argument = "NAME",
	 .type = CONFIG_STRING,
	 .fallback = "",
	 FIELD(user),
	 .help = "with -check: judge files as this user, not as the unit's"},
	{.option = "version",
	 .type = CONFIG_BOOL,
	 .fallback = "false",
	 FIELD(version),
	 .help = "print the version and exit"},
	{.option = "help", .type = CONFIG_BOOL, .fallback = "false", FIELD(help), .help = "print this help and exit"},
	{.option = "panic",
	 .type = CONFIG_BOOL,
	 .fallback = "false",
	 NOT_STORED,
	 .help = "accepted for compatibility with the original program; no effect"},

	{"general", "node", "node", "NAME", CONFIG_STRING, .fallback = "", .fallback_text = "the host name",
	 FIELD(general.node), .help = "this node's name"},
	{"general", "maxpackets", "maxpackets", "COUNT", CONFIG_COUNT, 1, COUNT_MAX, .fallback = "50000",
	 FIELD(general.maxpackets), .help = "largest number of packets that a request may ask for"},
	{"general", "maxbytes", NULL, "SIZE", CONFIG_BYTES, 1, TIB, .fallback = "100000000", FIELD(general.maxbytes),
	 .help = "largest number of bytes of packet data that a request may ask for"},
	{"general", "maxtimeout", NULL, "TIME", CONFIG_DURATION, NS_PER_MS, YEAR, .fallback = "3600",
	 FIELD(general.maxtimeout_ns), .help = "longest timeout that a request may ask for, in seconds"},
	{"general", "maxduration", NULL, "TIME", CONFIG_DURATION, NS_PER_MS, YEAR, .fallback = "3600",
	 FIELD(general.maxduration_ns), .help = "longest duration that a request may ask for, in seconds"},
	{"general", "defaulttimeout", NULL, "TIME", CONFIG_DURATION, NS_PER_MS, YEAR, .fallback = "60",
	 FIELD(general.defaulttimeout_ns), .help = "timeout of requests that set none, in seconds"},
	{"general", "snaplength", NULL, "SIZE", CONFIG_BYTES, 1, PACKET_SNAPLEN_MAX, .fallback = "262144",
	 FIELD(general.snaplength_bytes), .help = "bytes kept of each packet, unless the request sets snap"},
	{"general", "writelocal", "writelocal", NULL, CONFIG_BOOL, .fallback = "false", FIELD(general.writelocal),
	 .help = "write files to a local directory"},
	{"general", "localdir", "destdir", "DIRECTORY", CONFIG_STRING, .fallback = "/var/lib/pcapdaemon",
	 SETTING(local, directory), .required = true, .help = "local directory for files; must exist"},
	{"general", "format", NULL, "FORMAT", CONFIG_CHOICE, .choices = formats, .fallback = "pcapng",
	 FIELD(general.format), .help = "file format, unless the request sets one"},
	{"general", "logrequests", NULL, NULL, CONFIG_BOOL, .fallback = "false", FIELD(general.logrequests),
	 .help = "log every request as received"},
	{"general", "packetdebug", NULL, NULL, CONFIG_BOOL, .fallback = "false", FIELD(general.packetdebug),
	 .help = "log a line for every captured packet"},
	{"general", "first_of", NULL, "NAMES", CONFIG_STRINGS, 0, CONFIG_DESTINATIONS_MAX, .fallback = "",
	 FIELD(general.first_of), .validate = config_rule_destination,
	 .help = "destinations of which only the first that takes a file gets it, in this order, in addition to the "
		 "others that are enabled; for requests that name none"},

	{"limits", "captures", NULL, "COUNT", CONFIG_COUNT, 1, 65536, .fallback = "256", FIELD(limits.captures),
	 .help = "largest number of captures running at once, a merged one being one; more are refused, not queued"},
	{"limits", "memory", NULL, "SIZE", CONFIG_BYTES, MIB, TIB, .fallback = "256MiB", FIELD(limits.memory_bytes),
	 .help = "memory for captured packets until they are delivered"},
	{"limits", "ring_memory", NULL, "SIZE", CONFIG_BYTES, 0, TIB, .fallback = "0", FIELD(limits.ring_memory_bytes),
	 .help = "memory for the packet rings of interfaces that are not recorded; the more interfaces, the smaller "
		 "their rings; 0: a quarter of what is available at start, at most 1GiB"},
	{"limits", "ring_reserve", NULL, "SIZE", CONFIG_BYTES, 0, TIB, .fallback = "0",
	 FIELD(limits.ring_reserve_bytes),
	 .help = "memory of this host that rings leave alone; a ring that would take it is smaller or refused; 0: a "
		 "tenth of the host's, at least 256MiB"},
	{"limits", "oom_score_adj", NULL, "COUNT", CONFIG_COUNT, 0, 1000, .fallback = "1000",
	 FIELD(limits.oom_score_adj),
	 .help = "how readily the kernel ends the daemon when the host runs out of memory; 1000: before anything else; "
		 "0: as it was started"},
	{"limits", "warm_memory", NULL, "SIZE", CONFIG_BYTES, 0, TIB, .fallback = "64MiB",
	 FIELD(limits.warm_memory_bytes),
	 .help = "unused memory kept ready for packets: up to 64MiB, what captures leave behind, freed 30 seconds "
		 "after "
		 "the last use; a larger amount is allocated at start and kept, so that captures up to this size need "
		 "no "
		 "fresh memory"},
	{"limits", "requests_per_second", NULL, "COUNT", CONFIG_COUNT, 1, 1000000, .fallback = "1000",
	 FIELD(limits.requests_per_second), .help = "largest number of requests per second; more are refused"},
	{"limits", "alerts_per_second", NULL, "COUNT", CONFIG_COUNT, 1, 1000000, .fallback = "5000",
	 FIELD(limits.alerts_per_second),
	 .help = "largest number of alerts per second that each input may bring; more are not looked at"},
	{"limits", "retry", NULL, "TIME", CONFIG_DURATION, 0, YEAR, .fallback = "900", FIELD(limits.retry_ns),
	 .help = "how long to try a failing or slow destination before giving up, in seconds, attempts under way "
		 "included; 0: "
		 "one attempt"},
	{"limits", "breaker_failures", NULL, "COUNT", CONFIG_COUNT, 0, 1000000, .fallback = "5",
	 FIELD(limits.breaker_failures),
	 .help = "failed attempts in a row after which a destination gets none for breaker_wait; 0: it always gets "
		 "them"},
	{"limits", "breaker_wait", NULL, "TIME", CONFIG_DURATION, NS_PER_MS, 60 * NS_PER_S, .fallback = "5",
	 FIELD(limits.breaker_wait_ns),
	 .help = "how long a failing destination gets no attempt, in seconds; doubles, up to 60, each time the one "
		 "attempt after it fails, too"},
	{"limits", "upload_speed", NULL, "SIZE", CONFIG_BYTES, 1, TIB, .fallback = "1KiB", FIELD(limits.upload_speed),
	 .help = "bytes per second that an upload must reach over every upload_window; a slower attempt ends"},
	{"limits", "upload_window", NULL, "TIME", CONFIG_DURATION, NS_PER_S, YEAR, .fallback = "60",
	 FIELD(limits.upload_window_ns), .help = "time over which the speed of an upload is measured, in seconds"},
	{"limits", "cooldown", NULL, "TIME", CONFIG_DURATION, 0, YEAR, .fallback = "0", FIELD(limits.cooldown_ns),
	 .help = "fold a request into one with the same dedupe key or alertid that came at most this long before; 0: "
		 "never"},
	{"limits", "customer_captures", NULL, "COUNT", CONFIG_COUNT, 0, 65536, .fallback = "0",
	 FIELD(limits.customer_captures),
	 .help = "largest number of captures running at once for one customer; 0: no limit"},
	{"limits", "customer_requests_per_second", NULL, "COUNT", CONFIG_COUNT, 0, 1000000, .fallback = "0",
	 FIELD(limits.customer_requests_per_second),
	 .help = "largest number of requests per second for one customer; 0: no limit"},

	{"history", "interfaces", NULL, "NAMES", CONFIG_STRINGS, 0, CONFIG_INTERFACES_MAX, .fallback = "",
	 FIELD(history.interfaces), .validate = config_rule_interface,
	 .help = "interfaces to record, by any of their names; none: the recorder is off"},
	{"history", "memory", NULL, "SIZE", CONFIG_BYTES, 32 * MIB, TIB, .fallback = "256MiB",
	 FIELD(history.memory_bytes), .help = "memory for history, per interface"},
	{"history", "seconds", NULL, "TIME", CONFIG_DURATION, 0, YEAR, .fallback = "60", FIELD(history.keep_ns),
	 .help = "how long to keep a packet at most; 0: as long as memory lasts"},
	{"history", "snaplength", NULL, "SIZE", CONFIG_SNAP, 1, PACKET_SNAPLEN_MAX, .choices = headers_only,
	 .fallback = "262144", FIELD(history.snaplength),
	 .help = "bytes kept of each packet, or \"headers\": only the link to transport headers"},
	{"history", "filter", NULL, "FILTER", CONFIG_STRING, .fallback = "", FIELD(history.filter),
	 .help = "pcap filter for the packets that the recorder may keep"},
	{"history", "exclude_own", NULL, NULL, CONFIG_BOOL, .fallback = "false", FIELD(history.exclude_own),
	 .help = "leave out the daemon's own traffic: TCP between this host and the servers it uses"},

	{"local", "max_bytes", NULL, "SIZE", CONFIG_BYTES, 0, COUNT_MAX, .fallback = "0", SETTING(local, max_bytes),
	 .help = "largest size of this node's files in the directory; more are refused; 0: no limit"},
	{"local", "min_free", NULL, "PERCENT", CONFIG_COUNT, 0, 99, .fallback = "5", SETTING(local, min_free),
	 .help = "part of the filesystem that has to stay free, in percent; a file that would take it is refused"},
	{"local", "max_age", NULL, "TIME", CONFIG_DURATION, 0, YEAR, .fallback = "0", SETTING(local, max_age_ns),
	 .help = "remove this node's files from the directory when they are older; 0: never"},
	COMPRESS_KEY("local", local),

	{"cloudshark", "host", "cshost", "HOST", CONFIG_STRING, .fallback = "localhost", SETTING(cloudshark, host),
	 .required = true, .validate = config_rule_host, .help = "CloudShark host"},
	{"cloudshark", "scheme", "csscheme", "SCHEME", CONFIG_CHOICE, .choices = schemes, .fallback = "https",
	 SETTING(cloudshark, scheme), .help = "CloudShark scheme, http or https"},
	{"cloudshark", "port", "csport", "PORT", CONFIG_COUNT, 0, 65535, .fallback = "0",
	 .fallback_text = "the scheme's own", SETTING(cloudshark, port), .help = "CloudShark port"},
	{"cloudshark", "token", "cstoken", "TOKEN", CONFIG_SECRET, .fallback = "", SETTING(cloudshark, token),
	 .validate = config_rule_token, .help = "CloudShark API token; token_file is safer"},
	{"cloudshark", "token_file", NULL, "FILE", CONFIG_FILE, .fallback = "", SETTING(cloudshark, token_file),
	 .help = "file with the API token"},
	{"cloudshark", "customer_tokens_file", NULL, "FILE", CONFIG_FILE, .fallback = "",
	 SETTING(cloudshark, customer_tokens_file), .section_only = true,
	 .help = "file with tokens for requests of certain customers, one CUSTOMER:TOKEN a line; others have the API "
		 "token; followed when it changes"},
	{"cloudshark", "public_url", NULL, "URL", CONFIG_STRING, .fallback = "",
	 .fallback_text = "scheme, host and port", SETTING(cloudshark, public_url), .validate = config_rule_web_url,
	 .help = "what users reach CloudShark by: the links in events begin with it"},
	{"cloudshark", "filter_links", NULL, NULL, CONFIG_BOOL, .fallback = "false", SETTING(cloudshark, filter_links),
	 .help = "let links open the file with the request's filter, where it has an equal in Wireshark"},
	{"cloudshark", "timeout", "cstimeout", "TIME", CONFIG_DURATION, 0, YEAR, .fallback = "0",
	 SETTING(cloudshark, timeout_ns), .help = "time limit for one upload, in seconds; 0: no limit"},
	{"cloudshark", "upload", "upload", NULL, CONFIG_BOOL, .fallback = "false", SETTING(cloudshark, upload),
	 .section_only = true, .help = "upload to CloudShark"},
	{"cloudshark", "verify", NULL, NULL, CONFIG_BOOL, .fallback = "true", SETTING(cloudshark, verify),
	 .help = "verify the server's certificate and name"},
	{"cloudshark", "ca_file", NULL, "FILE", CONFIG_FILE, .fallback = "", .fallback_text = "the system's",
	 SETTING(cloudshark, ca_file), .help = "CA certificates to trust (PEM)"},
	COMPRESS_KEY("cloudshark", cloudshark),

	{"redis", "listen", NULL, NULL, CONFIG_BOOL, .fallback = "true", SETTING(redis, listen), .section_only = true,
	 .help = "take requests from a Redis channel"},
	{"redis", "host", "redisnode", "HOST", CONFIG_STRING, .fallback = "127.0.0.1", SETTING(redis, host),
	 .required = true, .validate = config_rule_host, .help = "Redis host"},
	{"redis", "port", "redisport", "PORT", CONFIG_COUNT, 1, 65535, .fallback = "6379", SETTING(redis, port),
	 .help = "Redis port"},
	{"redis", "channel", "redischannel", "CHANNEL", CONFIG_STRING, .fallback = "capture", SETTING(redis, channel),
	 .required = true, .help = "channel that requests are published to"},
	{"redis", "username", NULL, "USER", CONFIG_STRING, .fallback = "", .fallback_text = "the default user",
	 SETTING(redis, username), .help = "Redis user name (ACL)"},
	{"redis", "auth", NULL, "PASSWORD", CONFIG_SECRET, .fallback = "", SETTING(redis, auth),
	 .help = "Redis password; auth_file is safer"},
	{"redis", "auth_file", NULL, "FILE", CONFIG_FILE, .fallback = "", SETTING(redis, auth_file),
	 .help = "file with the password"},
	{"redis", "tls", NULL, NULL, CONFIG_BOOL, .fallback = "false", SETTING(redis, tls),
	 .help = "use TLS; the server's certificate and name are verified"},
	{"redis", "ca_file", NULL, "FILE", CONFIG_FILE, .fallback = "", .fallback_text = "the system's",
	 SETTING(redis, ca_file), .help = "CA certificates to trust (PEM)"},
	{"redis", "cert_file", NULL, "FILE", CONFIG_FILE, .fallback = "", SETTING(redis, cert_file),
	 .help = "client certificate (PEM)"},
	{"redis", "key_file", NULL, "FILE", CONFIG_FILE, .fallback = "", SETTING(redis, key_file),
	 .help = "client private key (PEM)"},
	{"redis", "nodes", NULL, "ADDRESSES", CONFIG_STRINGS, 0, CONFIG_REDIS_NODES_MAX, .fallback = "",
	 SETTING(redis, nodes), .validate = config_rule_endpoint,
	 .help = "more Cluster nodes to try when host does not answer, each \"host:port\""},
	{"redis", "cluster", NULL, NULL, CONFIG_BOOL, .fallback = "false", SETTING(redis, cluster),
	 .help = "the server is part of a Cluster: go, with the password, where it sends us; implied by nodes"},
	{"redis", "sentinels", NULL, "ADDRESSES", CONFIG_STRINGS, 0, CONFIG_REDIS_NODES_MAX, .fallback = "",
	 SETTING(redis, sentinels), .validate = config_rule_endpoint,
	 .help = "Sentinels that know the master, each \"host:port\"; host and port are then ignored"},
	{"redis", "master", NULL, "NAME", CONFIG_STRING, .fallback = "mymaster", SETTING(redis, master),
	 .required = true, .help = "the master's name at the Sentinels"},
	{"redis", "sentinel_username", NULL, "USER", CONFIG_STRING, .fallback = "", .fallback_text = "the default user",
	 SETTING(redis, sentinel_username), .help = "user name at the Sentinels"},
	{"redis", "sentinel_auth", NULL, "PASSWORD", CONFIG_SECRET, .fallback = "", SETTING(redis, sentinel_auth),
	 .help = "password at the Sentinels; sentinel_auth_file is safer"},
	{"redis", "sentinel_auth_file", NULL, "FILE", CONFIG_FILE, .fallback = "", SETTING(redis, sentinel_auth_file),
	 .help = "file with the password at the Sentinels"},
	{"redis", "allow_replica", NULL, NULL, CONFIG_BOOL, .fallback = "false", SETTING(redis, allow_replica),
	 .help = "stay at a server that is a replica; events then reach only subscribers at that replica"},
	{"redis", "stream", NULL, "KEY", CONFIG_STRING, .fallback = "", SETTING(redis, stream), .section_only = true,
	 .help = "stream to take requests from as well (field request); none of them gets lost"},
	{"redis", "group", NULL, "NAME", CONFIG_STRING, .fallback = "", .fallback_text = "the node's name",
	 SETTING(redis, group), .section_only = true,
	 .help = "this node's consumer group on the stream; nodes must not share one"},
	{"redis", "stream_max_age", NULL, "TIME", CONFIG_DURATION, 0, YEAR, .fallback = "3600",
	 SETTING(redis, stream_max_age_ns), .section_only = true,
	 .help = "requests from the stream older than this are refused; 0: none are"},
	{"redis", "events", NULL, "CHANNEL", CONFIG_STRING, .fallback = "", .fallback_text = "CHANNEL:events",
	 SETTING(redis, events), .section_only = true, .help = "channel that events are published to"},
	{"redis", "presence", NULL, NULL, CONFIG_BOOL, .fallback = "true", SETTING(redis, presence),
	 .section_only = true, .help = "publish this node's name and state, for pcapctl"},
	{"redis", "upload", NULL, NULL, CONFIG_BOOL, .fallback = "false", SETTING(redis, upload), .section_only = true,
	 .help = "store every capture in Redis; otherwise only those of requests that name the destination redis"},
	{"redis", "file_size", NULL, "SIZE", CONFIG_BYTES, 1024, 512 * MIB, .fallback = "64MiB",
	 SETTING(redis, file_size_bytes), .help = "largest file stored in Redis"},
	{"redis", "files_size", NULL, "SIZE", CONFIG_BYTES, 1024, TIB, .fallback = "1GiB",
	 SETTING(redis, files_size_bytes), .help = "largest size of this node's files in Redis at a time"},
	{"redis", "file_ttl", NULL, "TIME", CONFIG_DURATION, NS_PER_S, YEAR, .fallback = "3600",
	 SETTING(redis, file_ttl_ns), .help = "how long a file stays in Redis"},
	COMPRESS_KEY("redis", redis),

	{"memory", "bytes", NULL, "SIZE", CONFIG_BYTES, 0, TIB, .fallback = "128MiB", SETTING(memory, bytes),
	 .help = "memory for finished files; the oldest are dropped first; 0: no file is kept"},
	{"memory", "seconds", NULL, "TIME", CONFIG_DURATION, NS_PER_S, YEAR, .fallback = "3600",
	 SETTING(memory, keep_ns), .help = "how long a file is kept in memory"},

	{"spool", "dir", NULL, "DIRECTORY", CONFIG_STRING, .fallback = "", FIELD(spool.directory),
	 .help = "directory for captures that could not be delivered within limits.retry, or before the daemon "
		 "stopped; "
		 "they are delivered from there later; must exist"},
	{"spool", "max_bytes", NULL, "SIZE", CONFIG_BYTES, 0, COUNT_MAX, .fallback = "1GiB", FIELD(spool.max_bytes),
	 .help = "largest size of the files in it; more are not kept; 0: no limit"},
	{"spool", "max_age", NULL, "TIME", CONFIG_DURATION, 0, YEAR, .fallback = "604800", FIELD(spool.max_age_ns),
	 .help = "give a file up when it is older, in seconds; 0: never"},

	{"syslog", "priority", NULL, "NUMBER", CONFIG_COUNT, 0, 191, .fallback = "85", FIELD(syslog.priority),
	 .help = "facility | severity, as in sys/syslog.h; only the facility counts, each message has its own "
		 "severity"},
	{"syslog", "tag", NULL, "TAG", CONFIG_STRING, .fallback = "pcapdaemon", FIELD(syslog.tag), .required = true,
	 .help = "name in front of each message"},

	{"log", "level", "loglevel", "LEVEL", CONFIG_STRING, .fallback = "info", FIELD(log.level), .required = true,
	 .help = "log up to error, warning, notice, info or debug[:AREA,...]"},

	{"interface", "name", NULL, "NAME", CONFIG_STRING, .fallback = "", INTERFACE_FIELD(name), .required = true,
	 .validate = config_rule_interface, .example = "\"eth0\"", .help = "the interface, by any of its names"},
	{"interface", "alias", NULL, "NAMES", CONFIG_STRINGS, 0, CONFIG_ALIASES_MAX, .fallback = "",
	 INTERFACE_FIELD(alias), .example = "[\"main\", \"public\"]",
	 .help = "names that requests may use for it; several interfaces may share one"},
	{"interface", "promiscuous", NULL, NULL, CONFIG_BOOL, .fallback = "true", INTERFACE_FIELD(promiscuous),
	 .help = "also capture packets addressed to other hosts"},

	{"destination", "name", NULL, "NAME", CONFIG_STRING, .fallback = "", DESTINATION_FIELD(name), .required = true,
	 .validate = config_rule_destination_name, .example = "\"lab\"",
	 .help = "how requests and events call it; not the name of a section's destination"},
	{"destination", "type", NULL, "TYPE", CONFIG_CHOICE, .choices = destination_types, .fallback = "",
	 DESTINATION_FIELD(type), .required = true, .example = "\"redis\"",
	 .help = "what it is, which decides about its other keys"},
	{"destination", "upload", NULL, NULL, CONFIG_BOOL, .fallback = "false", DESTINATION_FIELD(upload),
	 .help = "deliver every capture to it; otherwise only those of requests that name it"},
	{"destination", "directory", NULL, "DIRECTORY", CONFIG_STRING, .fallback = "",
	 DESTINATION_SETTING(local, directory), .required = true, .help = "directory for files; must exist"},

	{"s3", "upload", NULL, NULL, CONFIG_BOOL, .fallback = "false", S3_FIELD(upload), .section_only = true,
	 .help = "upload to S3"},
	{"s3", "accessid", NULL, "ID", CONFIG_STRING, .fallback = "",
	 .fallback_text = "from the environment, a shared credentials file, or a metadata service", S3_FIELD(accessid),
	 .validate = config_rule_access_id, .help = "access key id"},
	{"s3", "accesskey", NULL, "KEY", CONFIG_SECRET, .fallback = "", S3_FIELD(accesskey),
	 .help = "secret access key; accesskey_file is safer"},
	{"s3", "accesskey_file", NULL, "FILE", CONFIG_FILE, .fallback = "", S3_FIELD(accesskey_file),
	 .help = "file with the secret access key"},
	{"s3", "session_token", NULL, "TOKEN", CONFIG_SECRET, .fallback = "", S3_FIELD(session_token),
	 .help = "session token of a temporary key; session_token_file is safer"},
	{"s3", "session_token_file", NULL, "FILE", CONFIG_FILE, .fallback = "", S3_FIELD(session_token_file),
	 .help = "file with the session token; with accesskey_file, followed when it changes"},
	{"s3", "credentials_file", NULL, "FILE", CONFIG_STRING, .fallback = "",
	 .fallback_text = "AWS_SHARED_CREDENTIALS_FILE, or ~/.aws/credentials", S3_FIELD(credentials_file),
	 .help = "shared credentials file, if accessid is not set"},
	{"s3", "profile", NULL, "NAME", CONFIG_STRING, .fallback = "", .fallback_text = "AWS_PROFILE, or default",
	 S3_FIELD(profile), .help = "profile in the shared credentials file"},
	{"s3", "endpoint", NULL, "URL", CONFIG_STRING, .fallback = "", .fallback_text = "AWS's in the region",
	 S3_FIELD(endpoint), .validate = config_rule_s3_endpoint,
	 .help = "the service, [https://]HOST[:PORT] or http://HOST[:PORT]"},
	{"s3", "region", NULL, "REGION", CONFIG_STRING, .fallback = "", .fallback_text = "AWS_REGION, or us-east-1",
	 S3_FIELD(region), .validate = config_rule_s3_region, .help = "the bucket's region"},
	{"s3", "bucket", NULL, "BUCKET", CONFIG_STRING, .fallback = "", S3_FIELD(bucket),
	 .validate = config_rule_s3_bucket, .help = "bucket"},
	{"s3", "folder", NULL, "FOLDER", CONFIG_STRING, .fallback = "", S3_FIELD(folder),
	 .validate = config_rule_s3_folder, .help = "folder in the bucket"},
	{"s3", "pcaps", NULL, "FOLDER", CONFIG_STRING, .fallback = "", S3_FIELD(folder),
	 .validate = config_rule_s3_folder, .section_only = true, .help = "the same by the original's name"},
	{"s3", "path_style", NULL, "SWITCH", CONFIG_SWITCH, .choices = no_choices, .fallback = "",
	 .fallback_text = "false for AWS, true for other endpoints", S3_FIELD(path_style),
	 .help = "name the bucket in the path, not in the host name"},
	{"s3", "acl", NULL, "ACL", CONFIG_STRING, .fallback = "", .fallback_text = "the bucket's", S3_FIELD(acl),
	 .validate = config_rule_s3_acl, .help = "canned access control list, like private"},
	{"s3", "encryption", NULL, "KIND", CONFIG_SWITCH, .choices = encryptions, .fallback = "false",
	 S3_FIELD(encryption),
	 .help = "server-side encryption: true is AES256; aws:kms and aws:kms:dsse use kms_key_id"},
	{"s3", "kms_key_id", NULL, "ID", CONFIG_STRING, .fallback = "", .fallback_text = "the account's own",
	 S3_FIELD(kms_key_id), .validate = config_rule_header_word, .help = "KMS key for encryption = \"aws:kms\""},
	{"s3", "verify", NULL, NULL, CONFIG_BOOL, .fallback = "true", S3_FIELD(verify),
	 .help = "verify the server's certificate and name"},
	{"s3", "ca_file", NULL, "FILE", CONFIG_FILE, .fallback = "", .fallback_text = "the system's", S3_FIELD(ca_file),
	 .help = "CA certificates to trust (PEM)"},
	{"s3", "allow_override", NULL, "FIELDS", CONFIG_STRINGS, 0, 6, .fallback = "", S3_FIELD(allow_override),
	 .validate = config_rule_s3_override,
	 .help = "fields of a request that may replace these: bucket folder region endpoint acl encryption"},
	COMPRESS_KEY("s3", s3),

	{"http", "upload", NULL, NULL, CONFIG_BOOL, .fallback = "false", SETTING(http, upload), .section_only = true,
	 .help = "upload to an HTTP server"},
	{"http", "url", NULL, "URL", CONFIG_SECRET, .fallback = "", SETTING(http, url),
	 .validate = config_rule_http_url,
	 .help = "URL to upload to, with placeholders in its path and query; url_file is safer if it holds a "
		 "signature"},
	{"http", "url_file", NULL, "FILE", CONFIG_FILE, .fallback = "", SETTING(http, url_file),
	 .help = "file with the URL"},
	{"http", "method", NULL, "METHOD", CONFIG_CHOICE, .choices = methods, .fallback = "PUT", SETTING(http, method),
	 .help = "PUT or POST"},
	{"http", "header", NULL, "HEADERS", CONFIG_STRINGS, 0, 64, .fallback = "", SETTING(http, header),
	 .validate = config_rule_header, .confidential = true,
	 .help = "additional headers, each \"Name: value\", with placeholders; \"Name:\" takes one away"},
	{"http", "form_field", NULL, "NAME", CONFIG_STRING, .fallback = "", SETTING(http, form_field),
	 .help = "POST: send the file as this field of a form (multipart/form-data), not as the body"},
	{"http", "form", NULL, "FIELDS", CONFIG_STRINGS, 0, 64, .fallback = "", SETTING(http, form),
	 .validate = config_rule_form, .confidential = true,
	 .help = "more fields of the form, each \"name=value\", with placeholders"},
	{"http", "token", NULL, "TOKEN", CONFIG_SECRET, .fallback = "", SETTING(http, token),
	 .validate = config_rule_bearer, .help = "bearer token; token_file is safer"},
	{"http", "token_file", NULL, "FILE", CONFIG_FILE, .fallback = "", SETTING(http, token_file),
	 .help = "file with the bearer token"},
	{"http", "username", NULL, "USER", CONFIG_STRING, .fallback = "", SETTING(http, username),
	 .help = "user name (HTTP Basic)"},
	{"http", "password", NULL, "PASSWORD", CONFIG_SECRET, .fallback = "", SETTING(http, password),
	 .help = "the user's password; password_file is safer"},
	{"http", "password_file", NULL, "FILE", CONFIG_FILE, .fallback = "", SETTING(http, password_file),
	 .help = "file with the user's password"},
	{"http", "cert_file", NULL, "FILE", CONFIG_FILE, .fallback = "", SETTING(http, cert_file),
	 .help = "client certificate (PEM)"},
	{"http", "key_file", NULL, "FILE", CONFIG_FILE, .fallback = "", SETTING(http, key_file),
	 .help = "client private key (PEM)"},
	{"http", "ca_file", NULL, "FILE", CONFIG_FILE, .fallback = "", .fallback_text = "the system's",
	 SETTING(http, ca_file), .help = "CA certificates to trust (PEM)"},
	{"http", "verify", NULL, NULL, CONFIG_BOOL, .fallback = "true", SETTING(http, verify),
	 .help = "verify the server's certificate and name"},
	{"http", "timeout", NULL, "TIME", CONFIG_DURATION, 0, YEAR, .fallback = "0", SETTING(http, timeout_ns),
	 .help = "time limit for one upload, in seconds; 0: no limit"},
	COMPRESS_KEY("http", http),

	{"sftp", "upload", NULL, NULL, CONFIG_BOOL, .fallback = "false", SETTING(sftp, upload), .section_only = true,
	 .help = "upload to an SFTP server"},
	{"sftp", "host", NULL, "HOST", CONFIG_STRING, .fallback = "", SETTING(sftp, host), .validate = config_rule_host,
	 .help = "SFTP host"},
	{"sftp", "port", NULL, "PORT", CONFIG_COUNT, 1, 65535, .fallback = "22", SETTING(sftp, port),
	 .help = "SFTP port"},
	{"sftp", "user", NULL, "USER", CONFIG_STRING, .fallback = "", SETTING(sftp, user), .help = "user name"},
	{"sftp", "key_file", NULL, "FILE", CONFIG_FILE, .fallback = "", SETTING(sftp, key_file),
	 .help = "the user's private key, best of type ed25519"},
	{"sftp", "passphrase", NULL, "PASSPHRASE", CONFIG_SECRET, .fallback = "", SETTING(sftp, passphrase),
	 .help = "passphrase of the private key; passphrase_file is safer"},
	{"sftp", "passphrase_file", NULL, "FILE", CONFIG_FILE, .fallback = "", SETTING(sftp, passphrase_file),
	 .help = "file with the passphrase"},
	{"sftp", "known_hosts", NULL, "FILE", CONFIG_FILE, .fallback = "", SETTING(sftp, known_hosts),
	 .help = "file with the server's key, as ssh-keyscan prints it"},
	{"sftp", "host_key_sha256", NULL, "FINGERPRINT", CONFIG_STRING, .fallback = "", SETTING(sftp, host_key_sha256),
	 .validate = config_rule_fingerprint, .help = "the server key's fingerprint, as ssh-keygen -l prints it"},
	{"sftp", "path", NULL, "PATH", CONFIG_STRING, .fallback = "{name}", SETTING(sftp, path), .required = true,
	 .validate = config_rule_sftp_path,
	 .help = "where a file goes, with placeholders; relative to the user's home directory unless it begins with /"},
	{"sftp", "timeout", NULL, "TIME", CONFIG_DURATION, 0, YEAR, .fallback = "0", SETTING(sftp, timeout_ns),
	 .help = "time limit for one upload, in seconds; 0: no limit"},
	COMPRESS_KEY("sftp", sftp),

	{"api", "socket", NULL, "PATH", CONFIG_STRING, .fallback = "/run/pcapdaemon/control.sock", FIELD(api.socket),
	 .validate = config_rule_socket, .help = "unix socket of the control API; \"\": none"},
	{"api", "group", NULL, "GROUP", CONFIG_STRING, .fallback = "pcapdaemon", FIELD(api.group),
	 .help = "group whose members may use the socket, besides root"},
	{"api", "listen", NULL, "ADDRESS:PORT", CONFIG_STRING, .fallback = "", FIELD(api.listen),
	 .validate = config_rule_endpoint,
	 .help = "TCP address of the control API, like 127.0.0.1:7227; needs a token, and TLS except on loopback"},
	{"api", "token", NULL, "TOKEN", CONFIG_SECRET, .fallback = "", FIELD(api.token),
	 .validate = config_rule_api_token,
	 .help = "bearer token that TCP clients must send, at least 16 characters; token_file is safer"},
	{"api", "token_file", NULL, "FILE", CONFIG_FILE, .fallback = "", FIELD(api.token_file),
	 .help = "file with the bearer token"},
	{"api", "alert_tokens_file", NULL, "FILE", CONFIG_FILE, .fallback = "", FIELD(api.alert_tokens_file),
	 .help = "file with tokens that may only hand over alerts, one NAME:TOKEN a line; followed when it changes"},
	{"api", "alert_keys_file", NULL, "FILE", CONFIG_FILE, .fallback = "", FIELD(api.alert_keys_file),
	 .help = "file with keys that sign alerts instead, one NAME:SECRET a line; followed when it changes"},
	{"api", "alert_signature_age", NULL, "TIME", CONFIG_DURATION, NS_PER_S, S_PER_DAY *NS_PER_S, .fallback = "300",
	 FIELD(api.alert_signature_age_ns),
	 .help = "how old the signature of an alert may be, in seconds; a copy that comes sooner is not taken again"},
	{"api", "alert_untimed", NULL, NULL, CONFIG_BOOL, .fallback = "false", FIELD(api.alert_untimed),
	 .help = "take signatures without a time, as PagerDuty's; a copy is good again after alert_signature_age"},
	{"api", "cert_file", NULL, "FILE", CONFIG_FILE, .fallback = "", FIELD(api.cert_file),
	 .help = "server certificate (PEM); enables TLS on the TCP address"},
	{"api", "key_file", NULL, "FILE", CONFIG_FILE, .fallback = "", FIELD(api.key_file),
	 .help = "server private key (PEM)"},

	{"rules", "files", NULL, "PATTERN", CONFIG_STRING, .fallback = "", FIELD(rules.files),
	 .help = "files with alert rules, as in /etc/pcapdaemon/rules.d/*.toml, in the order of their names; read "
		 "again when they change"},
	{"rules", "hosts", NULL, "PAIRS", CONFIG_STRINGS, 0, CONFIG_HOSTS_MAX, .fallback = "", FIELD(rules.hosts),
	 .validate = config_rule_host_pair, .example = "[\"10.0.0.7=edge7\"]",
	 .help = "HOST=NODE: the node that a host is whose name in alerts is another one"},
	{"rules", "sign_key", NULL, "FILE", CONFIG_FILE, .fallback = "", FIELD(rules.sign_key),
	 .help = "file with the key (NAME:SECRET) that signs what rules publish for other nodes; the first one counts"},

	{"input", "format", NULL, "FORMAT", CONFIG_CHOICE, .choices = alert_formats, .fallback = "json",
	 INPUT_FIELD(format), .help = "how its alerts are written; request: they are requests, and need no rule"},
	{"input", "from", NULL, "KIND", CONFIG_CHOICE, .choices = input_kinds, .fallback = "redis-channel",
	 INPUT_FIELD(from), .help = "what they come through"},
	{"input", "name", NULL, "NAME", CONFIG_STRING, .fallback = "", INPUT_FIELD(name), .required = true,
	 .example = "\"suricata\"",
	 .help = "the channel or key; the path of a file or socket, or the socket's address (host:port)"},
	{"input", "field", NULL, "NAME", CONFIG_STRING, .fallback = "alert", INPUT_FIELD(field),
	 .help = "redis-stream: the field of an entry that holds the alert"},
	{"input", "cert_file", NULL, "FILE", CONFIG_STRING, .fallback = "", INPUT_FIELD(cert_file),
	 .help = "tls: server certificate (PEM)"},
	{"input", "key_file", NULL, "FILE", CONFIG_STRING, .fallback = "", INPUT_FIELD(key_file),
	 .help = "tls: server private key (PEM)"},
	{"input", "ca_file", NULL, "FILE", CONFIG_STRING, .fallback = "",
	 .fallback_text = "clients need no certificate", INPUT_FIELD(ca_file),
	 .help = "tls: clients must have a certificate of these CAs (PEM)"},

	{"webhook", "name", NULL, "NAME", CONFIG_STRING, .fallback = "", WEBHOOK_FIELD(name), .required = true,
	 .validate = config_rule_destination, .example = "\"chat\"", .help = "how the log and metrics call it"},
	{"webhook", "url", NULL, "URL", CONFIG_STRING, .fallback = "", WEBHOOK_FIELD(url), .confidential = true,
	 .validate = config_rule_http_url, .example = "\"https://host/events\"",
	 .help = "URL to POST events to; url_file is safer if it is a secret, as those of chats are"},
	{"webhook", "url_file", NULL, "FILE", CONFIG_STRING, .fallback = "", WEBHOOK_FIELD(url_file),
	 .help = "file with the URL"},
	{"webhook", "events", NULL, "KINDS", CONFIG_STRINGS, 0, 8, .fallback = "", .fallback_text = "done and failed",
	 WEBHOOK_FIELD(events), .validate = config_rule_event,
	 .help = "which events to send: accepted, rejected, captured, done, failed, spooled, warning or suppressed"},
	{"webhook", "format", NULL, "FORMAT", CONFIG_CHOICE, .choices = webhook_formats, .fallback = "event",
	 WEBHOOK_FIELD(format), .help = "event: the event itself; slack, teams: a sentence for a chat"},
	{"webhook", "header", NULL, "HEADERS", CONFIG_STRINGS, 0, 64, .fallback = "", WEBHOOK_FIELD(header),
	 .validate = config_rule_plain_header, .confidential = true,
	 .help = "additional headers, each \"Name: value\""},
	{"webhook", "token_file", NULL, "FILE", CONFIG_STRING, .fallback = "", WEBHOOK_FIELD(token_file),
	 .help = "file with a bearer token"},
	{"webhook", "secret_file", NULL, "FILE", CONFIG_STRING, .fallback = "", WEBHOOK_FIELD(secret_file),
	 .help = "file with the key that signs what is sent (X-Pcapdaemon-Signature)"},
	{"webhook", "ca_file", NULL, "FILE", CONFIG_STRING, .fallback = "", .fallback_text = "the system's",
	 WEBHOOK_FIELD(ca_file), .help = "CA certificates to trust (PEM)"},
	{"webhook", "verify", NULL, NULL, CONFIG_BOOL, .fallback = "true", WEBHOOK_FIELD(verify),
	 .help = "verify the server's certificate and name"},
	{"webhook", "retry", NULL, "TIME", CONFIG_DURATION, 0, YEAR, .fallback = "900", WEBHOOK_FIELD(retry_ns),
	 .help = "how long to try to send an event, in seconds; 0: one attempt"},

	{"requests", "destinations", NULL, "NAMES", CONFIG_STRINGS, 0, 16, .fallback = "",
	 .fallback_text = "those that are enabled, and redis with redis_files", FIELD(requests.destinations),
	 .validate = config_rule_destination, .help = "destinations that a request may name; [\"none\"] for none"},
	{"requests", "redis_files", NULL, NULL, CONFIG_BOOL, .fallback = "true", FIELD(requests.redis_files),
	 .help = "without destinations: let requests name redis as well, as pcapctl --merge does"},
	REQUESTS_KEYS("requests", requests, "false"),
	{"requests", "keys_file", NULL, "FILE", CONFIG_FILE, .fallback = "", FIELD(requests.keys_file),
	 .help = "file with the keys that must sign requests, one NAME:SECRET a line; without it they need not be "
		 "signed"},
	{"requests", "signature_age", NULL, "TIME", CONFIG_DURATION, NS_PER_S, S_PER_DAY *NS_PER_S, .fallback = "60",
	 FIELD(requests.signature_age_ns), .help = "how old a signature may be, in seconds"},
	{"requests", "nonces_file", NULL, "FILE", CONFIG_STRING, .fallback = "",
	 .fallback_text = "the control socket's path and .nonces", FIELD(requests.nonces_file),
	 .help = "file of 2 MiB, in memory like /run, with the signatures that were used"},

	{"api.requests", "destinations", NULL, "NAMES", CONFIG_STRINGS, 0, 16, .fallback = "", .fallback_text = "all",
	 FIELD(api.requests.destinations), .validate = config_rule_destination,
	 .help = "destinations that a request may name; [\"none\"] for none"},
	REQUESTS_KEYS("api.requests", api.requests, "true"),

	{"kafka", "listen", NULL, NULL, CONFIG_BOOL, .fallback = "false", NOT_STORED, .unsupported = true,
	 .help = "take requests from Kafka"},
	{"kafka", "server", NULL, "BROKERS", CONFIG_STRINGS, 0, 64, .fallback = "", NOT_STORED,
	 .help = "brokers, each \"host:port\""},
	{"kafka", "topic", NULL, "TOPIC", CONFIG_STRING, .fallback = "", NOT_STORED, .help = "topic"},

	{"sqs", "listen", NULL, NULL, CONFIG_BOOL, .fallback = "false", NOT_STORED, .unsupported = true,
	 .help = "take requests from SQS"},
	{"sqs", "region", NULL, "REGION", CONFIG_STRING, .fallback = "", NOT_STORED, .help = "region"},
	{"sqs", "accessid", NULL, "ID", CONFIG_STRING, .fallback = "", NOT_STORED, .help = "access key id"},
	{"sqs", "accesskey", NULL, "KEY", CONFIG_SECRET, .fallback = "", NOT_STORED,
	 .help = "secret access key; better in a file of its own"},
	{"sqs", "accesskey_file", NULL, "FILE", CONFIG_FILE, .fallback = "", NOT_STORED,
	 .help = "file that holds the secret access key"},
	{"sqs", "url", NULL, "URL", CONFIG_STRING, .fallback = "", NOT_STORED, .help = "URL of the queue"},
	{"sqs", "waitseconds", NULL, "TIME", CONFIG_DURATION, 0, YEAR, .fallback = "20", NOT_STORED,
	 .help = "how long one poll waits"},
	{"sqs", "chunksize", NULL, "COUNT", CONFIG_COUNT, 1, COUNT_MAX, .fallback = "10", NOT_STORED,
	 .help = "messages taken in one poll"},
};

const size_t config_row_count = sizeof(config_rows) / sizeof(*config_rows);
static_assert(sizeof(config_rows) / sizeof(*config_rows) <= CONFIG_ROWS_MAX, "raise CONFIG_ROWS_MAX");

const struct config_row *config_row_find(const char *section, const char *key)
{
	for (size_t i = 0; i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];

		if (row->section && !strcmp(row->section, section) && !strcmp(row->key, key))
			return row;
	}
	return NULL;
}

const struct config_row *config_row_find_option(const char *option)
{
	for (size_t i = 0; i < config_row_count; i++)
		if (config_rows[i].option && !strcmp(config_rows[i].option, option))
			return &config_rows[i];
	return NULL;
}

const struct config_section *config_section_find(const char *name)
{
	for (size_t i = 0; i < config_section_count; i++)
		if (!strcmp(config_sections[i].name, name))
			return &config_sections[i];
	return NULL;
}

const struct config_destination_type *config_destination_type_find(const char *name)
{
	for (size_t i = 0; i < config_destination_type_count; i++)
		if (!strcmp(config_destination_types[i].name, name))
			return &config_destination_types[i];
	return NULL;
}

bool config_row_is_of_type(const struct config_row *row, const struct config_destination_type *type)
{
	if (!row->section)
		return false;
	if (!strcmp(row->section, "destination"))
		return !row->of_type || (type && !strcmp(row->of_type, type->name));
	return type && !row->section_only && !strcmp(row->section, type->name);
}

const struct config_row *config_row_find_of_type(const struct config_destination_type *type, const char *key)
{
	for (size_t i = 0; i < config_row_count; i++)
		if (config_row_is_of_type(&config_rows[i], type) && !strcmp(config_rows[i].key, key))
			return &config_rows[i];
	return NULL;
}

void *config_row_base(const struct config_row *row, void *outer)
{
	return (char *)outer + row->base;
}

const struct config_row *config_row_secret_file(const struct config_row *secret)
{
	char key[64];
	int size;

	if (secret->type != CONFIG_SECRET)
		return NULL;
	size = snprintf(key, sizeof(key), "%s_file", secret->key);
	return size < (int)sizeof(key) ? config_row_find(secret->section, key) : NULL;
}

bool config_type_is_text(enum config_type type)
{
	return type >= CONFIG_STRING && type <= CONFIG_FILE;
}
