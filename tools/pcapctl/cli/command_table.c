/* SPDX-License-Identifier: BSD-2-Clause */
/* All commands and options. A new command needs a row here and its function; help, completion and manual follow. */
#include "pcapctl/cli/command_table.h"

#include <stdint.h>
#include <string.h>

static const char *const formats[] = {"pcapng", "pcap", NULL};
static const char *const alert_formats[] = {"eve",    "zeek",	   "alertmanager", "grafana", "falco",
					    "wazuh",  "pagerduty", "opsgenie",	   "elastic", "trap",
					    "syslog", "kv",	   "json",	   "request", NULL};
static const char *const directions[] = {"in", "out", "inout", NULL};
static const char *const shells[] = {"bash", "zsh", "fish", NULL};

static const char *const name_kinds[] = {"captures", "nodes", "interfaces", "aliases", "destinations", NULL};

const char *const completion_names[COMPLETION_COUNT] = {
	[COMPLETION_INTERFACE] = "interfaces",	   [COMPLETION_ALIAS] = "aliases",
	[COMPLETION_DESTINATION] = "destinations", [COMPLETION_NODE] = "nodes",
	[COMPLETION_CAPTURE] = "captures",
};

#define ANY_NUMBER SIZE_MAX

const struct option_row option_rows[OPTION_COUNT] = {
	[OPTION_SOCKET] = {"socket", '\0', "PATH",
			   .help = "control socket of the daemon on this host (also PCAPDAEMON_SOCKET; default "
				   "/run/pcapdaemon/control.sock)",
			   .completion = COMPLETION_FILE, .global = true},
	[OPTION_API] = {"api", '\0', "URL",
			.help = "http[s]://host[:port] of a daemon's control API, instead of the socket",
			.global = true},
	[OPTION_TOKEN_FILE] = {"token-file", '\0', "FILE", .help = "file with the token for --api",
			       .completion = COMPLETION_FILE, .global = true},
	[OPTION_TOKEN_IN_CLEAR] = {"token-in-clear", '\0', NULL,
				   .help = "send the token to an http:// URL that is not on loopback", .global = true},
	[OPTION_CA_FILE] = {"ca-file", '\0', "FILE", .help = "CA certificates to trust for --api (PEM)",
			    .completion = COMPLETION_FILE, .global = true},
	[OPTION_REDIS] =
		{"redis", '\0', "URL",
		 .help = "the fleet's Redis, redis[s]://[user:password@]host[:port]/channel (also PCAPDAEMON_REDIS)",
		 .global = true},
	[OPTION_REDIS_CLUSTER] = {"redis-cluster", '\0', NULL,
				  .help = "the Redis of the URL is part of a Cluster: go where it sends us",
				  .global = true},
	[OPTION_REDIS_AUTH_FILE] = {"redis-auth-file", '\0', "FILE",
				    .help = "file with the password for Redis, instead of one in the URL",
				    .completion = COMPLETION_FILE, .global = true},
	[OPTION_CONFIG] = {"config", '\0', "FILE",
			   .help = "take the socket or Redis from a daemon's configuration file",
			   .completion = COMPLETION_FILE, .global = true},
	[OPTION_JSON] = {"json", '\0', NULL, .help = "print JSON instead of text", .global = true},
	[OPTION_QUIET] = {"quiet", 'q', NULL,
			  .help = "print no progress and no notes; results and errors are still printed",
			  .global = true},
	[OPTION_HELP] = {"help", 'h', NULL, .help = "print help and exit", .global = true},
	[OPTION_VERSION] = {"version", '\0', NULL, .help = "print the version and exit", .global = true},

	[OPTION_NODE] = {"node", '\0', "NAME",
			 .help = "the node to capture on, or \"any\" for every node (the default)",
			 .completion = COMPLETION_NODE},
	[OPTION_NODERE] = {"nodere", '\0', "REGEX",
			   .help = "the nodes whose names contain a match of the regular expression"},
	[OPTION_INTERFACE] = {"interface", 'i', "NAMES",
			      .help = "interfaces, separated by commas; \"any\": all that are up",
			      .completion = COMPLETION_INTERFACE, .repeatable = true},
	[OPTION_ALIAS] = {"alias", '\0', "NAMES",
			  .help = "interfaces by their aliases in the nodes' configuration, separated by commas",
			  .completion = COMPLETION_ALIAS, .repeatable = true},
	[OPTION_FOLLOW] = {"follow", '\0', NULL, .help = "with -i any: interfaces that appear meanwhile join"},
	[OPTION_INNER] = {"inner", '\0', "EXPR", .help = "filter the packets inside tunnels (VXLAN, GENEVE, GRE)"},
	[OPTION_SNAP] = {"snap", 's', "BYTES", .help = "bytes to keep of each packet"},
	[OPTION_DIRECTION] = {"direction", 'Q', "WAY",
			      .help = "only packets that came in, or went out: in, out or inout", .choices = directions,
			      .completion = COMPLETION_CHOICE},
	[OPTION_NUMERIC] = {"numeric", 'n', NULL, .help = "accepted as tcpdump's; has no effect"},
	[OPTION_VERBOSE] = {"verbose", 'v', NULL, .help = "accepted as tcpdump's; has no effect"},
	[OPTION_PACKETS] = {"packets", 'c', "COUNT", .help = "stop after COUNT packets"},
	[OPTION_BYTES] = {"bytes", '\0', "SIZE", .help = "stop once SIZE bytes are held, as in 10MiB"},
	[OPTION_TIMEOUT] =
		{"timeout", '\0', "TIME",
		 .help = "stop after TIME, as in 30s or 2m; with --duration it is the idle time, without a packet"},
	[OPTION_DURATION] = {"duration", '\0', "TIME", .help = "stop after TIME"},
	[OPTION_BEFORE] = {"before", '\0', "TIME", .help = "start TIME before now, from the recorder"},
	[OPTION_LAST] = {"last", '\0', "TIME", .help = "packets of the last TIME, as in 30s"},
	[OPTION_FROM] = {"from", '\0', "WHEN", .help = "start of a window, as in 19:10, -5m or 2026-11-23T08:41Z"},
	[OPTION_TO] = {"to", '\0', "WHEN", .help = "end of a window, likewise"},
	[OPTION_AROUND] = {"around", '\0', "WHEN,TIME", .help = "a window of TIME before and after, as in 19:10,30s"},
	[OPTION_TAGS] = {"tags", '\0', "TAGS", .help = "tags for the file, separated by commas"},
	[OPTION_CUSTOMER] = {"customer", '\0', "TEXT", .help = "customer, for the tags"},
	[OPTION_ALERTID] = {"alertid", '\0', "ID", .help = "the alert's own identifier, for the tags"},
	[OPTION_COMMENT] = {"comment", '\0', "TEXT", .help = "comment for the file and for CloudShark"},
	[OPTION_ID] = {"id", '\0', "ID", .help = "identifier of the request (default: a random one)"},
	[OPTION_FORMAT] = {"format", '\0', "FORMAT", .help = "file format, pcapng or pcap", .choices = formats,
			   .completion = COMPLETION_CHOICE},
	[OPTION_DEDUPE] = {"dedupe", '\0', "KEY", .help = "fold requests with the same key within the cooldown"},
	[OPTION_FILES] = {"files", '\0', "COUNT", .help = "with --every: a series of at most COUNT files"},
	[OPTION_EVERY] = {"every", '\0', "TIME|SIZE", .help = "what each file of a series holds, as in 60s or 100MB"},
	[OPTION_STREAMED] = {"streamed", '\0', NULL,
			     .help = "with --no-file: deliver while the capture runs, so that it may exceed memory"},
	[OPTION_DESTINATION] = {"destination", 'd', "NAMES",
				.help = "also deliver to these destinations of the daemon, separated by commas",
				.completion = COMPLETION_DESTINATION, .repeatable = true},
	[OPTION_FIRST_OF] = {"first-of", '\0', "NAMES",
			     .help = "also deliver to the first of these destinations that takes the file",
			     .completion = COMPLETION_DESTINATION, .repeatable = true},
	[OPTION_LOGREQUEST] = {"logrequest", '\0', NULL, .help = "make the daemon log the request"},
	[OPTION_PACKETDEBUG] = {"packetdebug", '\0', NULL, .help = "make the daemon log a line for every packet"},

	[OPTION_WRITE] = {"write", 'w', "FILE", .help = "write the packets to this file; \"-\": standard output",
			  .completion = COMPLETION_FILE},
	[OPTION_MERGE] = {"merge", '\0', "FILE",
			  .help = "merge the packets of all interfaces and nodes into one file, in time order",
			  .completion = COMPLETION_FILE},
	[OPTION_DROP_DUPLICATES] =
		{"drop-duplicates", '\0', NULL,
		 .help = "of frames that several interfaces of a node see within 10 ms, keep the first"},
	[OPTION_NO_FILE] = {"no-file", '\0', NULL, .help = "do not fetch the file; print where it was delivered"},
	[OPTION_WAIT] = {"wait", '\0', NULL, .help = "fleet: wait until every node has delivered"},
	[OPTION_ANSWER_TIMEOUT] = {"answer-timeout", '\0', "TIME",
				   .help = "fleet: how long to wait for nodes to answer (default 5s)"},
	[OPTION_STREAM] =
		{"stream", '\0', "KEY",
		 .help = "fleet: instead of publishing the request, add it to this stream, where absent nodes find it"},
	[OPTION_KEY_FILE] = {"key-file", '\0', "FILE",
			     .help = "fleet: sign the request with the first key of this file (a line NAME:SECRET)",
			     .completion = COMPLETION_FILE},
	[OPTION_ENVIRONMENT] =
		{"environment", '\0', "PREFIX",
		 .help = "with --format kv: also take the environment's variables that begin with PREFIX, "
			 "without it, as in NAGIOS_"},
	[OPTION_EXPECT] =
		{"expect", '\0', "FILE",
		 .help = "fleet: the nodes that should answer, a name a line (default: those that presence knows)",
		 .completion = COMPLETION_FILE},
	[OPTION_FORGET] = {"forget", '\0', "NODE",
			   .help = "remove a node that is stopped or away, so that it is no longer expected to answer"},
	[OPTION_DESTINATIONS] =
		{"destinations", '\0', NULL,
		 .help = "have the daemon deliver a tiny file to each of its destinations, and say what "
			 "failed"},
	[OPTION_REQUEST] = {"request", '\0', NULL, .help = "the file is a request (JSON), not a configuration"},
};

static const enum option_id no_options[] = {OPTION_NONE};

static const enum option_id capture_options[] = {
	OPTION_INTERFACE,
	OPTION_ALIAS,
	OPTION_NODE,
	OPTION_NODERE,
	OPTION_PACKETS,
	OPTION_BYTES,
	OPTION_INNER,
	OPTION_SNAP,
	OPTION_DURATION,
	OPTION_TIMEOUT,
	OPTION_BEFORE,
	OPTION_FROM,
	OPTION_TO,
	OPTION_AROUND,
	OPTION_WRITE,
	OPTION_MERGE,
	OPTION_DROP_DUPLICATES,
	OPTION_FOLLOW,
	OPTION_FORMAT,
	OPTION_FILES,
	OPTION_EVERY,
	OPTION_STREAMED,
	OPTION_NO_FILE,
	OPTION_DESTINATION,
	OPTION_FIRST_OF,
	OPTION_WAIT,
	OPTION_ANSWER_TIMEOUT,
	OPTION_STREAM,
	OPTION_KEY_FILE,
	OPTION_EXPECT,
	OPTION_ID,
	OPTION_DEDUPE,
	OPTION_TAGS,
	OPTION_CUSTOMER,
	OPTION_ALERTID,
	OPTION_COMMENT,
	OPTION_LOGREQUEST,
	OPTION_PACKETDEBUG,
	OPTION_DIRECTION,
	OPTION_NUMERIC,
	OPTION_VERBOSE,
	OPTION_NONE,
};

static const enum option_id history_options[] = {
	OPTION_INTERFACE, OPTION_LAST,		 OPTION_AROUND,	  OPTION_FROM,	OPTION_TO,
	OPTION_PACKETS,	  OPTION_BYTES,		 OPTION_INNER,	  OPTION_SNAP,	OPTION_WRITE,
	OPTION_DIRECTION, OPTION_NUMERIC,	 OPTION_VERBOSE,  OPTION_ALIAS, OPTION_NODE,
	OPTION_NODERE,	  OPTION_ANSWER_TIMEOUT, OPTION_KEY_FILE, OPTION_NONE,
};

static const enum option_id get_options[] = {OPTION_WRITE, OPTION_NODE, OPTION_NONE};
static const enum option_id nodes_options[] = {OPTION_FORGET, OPTION_NONE};
static const enum option_id names_options[] = {OPTION_NODE, OPTION_NONE};
static const enum option_id watch_options[] = {OPTION_ID, OPTION_NONE};
static const enum option_id alert_options[] = {OPTION_FORMAT, OPTION_ENVIRONMENT, OPTION_NONE};
static const enum option_id rules_options[] = {OPTION_FORMAT, OPTION_NODE, OPTION_NONE};
static const enum option_id check_options[] = {OPTION_REQUEST, OPTION_DESTINATIONS, OPTION_NONE};

static const struct option_override history_overrides[] = {
	{.option = OPTION_INTERFACE,
	 .help = "the interface (one; of a fleet, several); `pcapctl status` shows which are recorded",
	 .argument = "NAME"},
	{.option = OPTION_PACKETS, .help = "at most COUNT packets"},
	{.option = OPTION_BYTES, .help = "at most SIZE bytes of packets, as in 10MiB"},
	{.option = OPTION_FROM,
	 .help = "start of the window, as in 19:10, -5m or 2026-11-23T08:41Z (default: as far back as history goes)"},
	{.option = OPTION_TO, .help = "end of the window, likewise (default: now)"},
	{.option = OPTION_WRITE,
	 .help = "write the packets to this file; \"-\": standard output (default: the current directory, under the "
		 "file's own name)"},
	{.option = OPTION_NONE},
};

static const struct option_override get_overrides[] = {
	{.option = OPTION_NODE,
	 .help = "fleet: the node that captured; needed only if several have a file of the capture"},
	{.option = OPTION_WRITE,
	 .help = "write the packets to this file; \"-\": standard output (default: the current directory, under the "
		 "file's own name)"},
	{.option = OPTION_NONE},
};

static const struct option_override alert_overrides[] = {
	{.option = OPTION_FORMAT, .help = "the alert's format (default json)", .choices = alert_formats},
	{.option = OPTION_NONE},
};

static const struct option_override rules_overrides[] = {
	{.option = OPTION_FORMAT,
	 .help = "test: the alert's format (default: that of each rule's input, or json)",
	 .choices = alert_formats},
	{.option = OPTION_NODE, .help = "test: as this node would apply them (default: this host)"},
	{.option = OPTION_NONE},
};

static const struct option_override names_overrides[] = {
	{.option = OPTION_NODE, .help = "any value: ask the fleet"},
	{.option = OPTION_NONE},
};

static const struct option_override watch_overrides[] = {
	{.option = OPTION_ID, .help = "only events of this request"},
	{.option = OPTION_NONE},
};

const struct command_row command_rows[COMMAND_COUNT] = {
	{"capture", "capture packets on this host or on a fleet", "[FILTER...]",
	 "Asks the daemon on this host for a capture, waits until it ends, and fetches the file.\n"
	 "With -w -, or on a terminal without a limit such as -c or --timeout, it writes packets as they come, until "
	 "Ctrl-C.\n"
	 "The words that are not options are the filter, as with tcpdump.\n"
	 "Ctrl-C ends the capture early and fetches what it has.\n"
	 "With --redis, --config, --node or --nodere, or PCAPDAEMON_REDIS in the environment, the "
	 "request goes to the fleet instead: pcapctl shows which nodes accepted it, refused it or "
	 "never answered, and --merge merges the nodes' files into one.\n"
	 "Without --node and --nodere the request goes to every node of the fleet.\n",
	 .local = local_capture, .fleet = fleet_capture, .arguments_max = ANY_NUMBER, .filter = true,
	 .options = capture_options},
	{"history", "write packets from the recorder to a file", "[FILTER...]",
	 "Writes what the recorder holds of one interface to a file, or with \"-\" to standard "
	 "output, without a capture.\n"
	 "With --redis, --config, --node or --nodere, or PCAPDAEMON_REDIS in the environment, the nodes of the fleet "
	 "send what their recorders hold, and one file has it all in time order.\n",
	 .local = local_history, .fleet = fleet_history, .arguments_max = ANY_NUMBER, .filter = true,
	 .options = history_options, .option_overrides = history_overrides},
	{"list", "list the captures of this host, running and finished", "", "", .local = local_list,
	 .options = no_options},
	{"show", "show one capture, or all captures of a request", "ID", "", .local = local_show, .arguments_min = 1,
	 .arguments_max = 1, .completion = COMPLETION_CAPTURE, .options = no_options},
	{"get", "fetch the file of a finished capture", "ID",
	 "The daemon on this host keeps files in memory for a while.\n"
	 "In a fleet, nodes leave files in Redis if they deliver to the destination \"redis\".\n",
	 .local = local_fetch, .fleet = fleet_fetch, .arguments_min = 1, .arguments_max = 1,
	 .completion = COMPLETION_CAPTURE, .options = get_options, .option_overrides = get_overrides},
	{"stop", "end a capture early and deliver what it has", "ID", "", .local = local_stop, .arguments_min = 1,
	 .arguments_max = 1, .completion = COMPLETION_CAPTURE, .options = no_options},
	{"status", "show the daemon and its interfaces, or a line for each node of a fleet", "", "",
	 .local = local_status, .fleet = fleet_status, .options = no_options},
	{"destinations", "show the daemon's destinations, and whether they fail", "",
	 "A destination is idle, busy (files are being sent) or failing (so that files wait for the next try).\n",
	 .local = local_destinations, .options = no_options},
	{"nodes", "list the nodes of the fleet and how far back each can reach", "",
	 "A node is up, deaf (up, but it receives no requests from Redis), stopped (cleanly) or away (it vanished).\n"
	 "Nodes not seen for a day are forgotten.\n",
	 .fleet = fleet_nodes, .options = nodes_options},
	{"watch", "show events as they happen", "", "Ends with Ctrl-C.\n", .local = local_watch, .fleet = fleet_watch,
	 .options = watch_options, .option_overrides = watch_overrides},
	{"names", "print names that other commands take, one a line", "captures|nodes|interfaces|aliases|destinations",
	 "What the completion of shells offers.\n"
	 "With --node the names come from the fleet.\n",
	 .local = local_names, .fleet = fleet_names, .arguments_min = 1, .arguments_max = 1,
	 .completion = COMPLETION_CHOICE, .choices = name_kinds, .options = names_options,
	 .option_overrides = names_overrides},
	{"alert", "hand an alert to the daemon, whose rules decide", "[FILE | KEY=VALUE...]",
	 "Reads the alert from the file or from standard input.\n"
	 "With --format kv it may be the arguments, or the environment's variables.\n"
	 "For programs that run a command for an alert, such as snmptrapd, Nagios, Zabbix and Wazuh.\n",
	 .local = local_alert, .arguments_max = ANY_NUMBER, .completion = COMPLETION_FILE, .options = alert_options,
	 .option_overrides = alert_overrides},
	{"rules", "list, validate or try out alert rules", "list | check FILE... | test FILE...",
	 "list: the daemon's rules and what they did.\n"
	 "check: reports the same errors as the daemon, but needs none.\n"
	 "test: reads an alert from standard input and reports for each rule whether it matches, why not, and the "
	 "request; it takes every interface and every named input to exist.\n"
	 "The exit status of test is 4 if no rule matches.\n",
	 .local = local_rules, .arguments_min = 1, .arguments_max = ANY_NUMBER, .completion = COMPLETION_FILE,
	 .options = rules_options, .option_overrides = rules_overrides},
	{"check", "validate a configuration file or a request, or try the destinations", "[FILE]",
	 "Reports the same errors as the daemon, but needs none.\n"
	 "\"-\" is standard input.\n"
	 "With --destinations it takes no file, and asks the daemon: each destination gets a tiny file whose name has "
	 "\"destination-check\" in it, which is removed again where possible; what fails is printed, with what to do.\n"
	 "The exit status is then 1 if all destinations fail, and 3 if some do.\n",
	 .standalone = check_file, .local = local_check_destinations, .arguments_max = 1, .completion = COMPLETION_FILE,
	 .options = check_options},
	{"doctor", "find out what is wrong on this host, and what to do", "",
	 "Examines the configuration as the daemon's unit sees it, the daemon, the kernel's settings, memory, the "
	 "interfaces' offloads, the destinations, and Redis: its user's rights, the clock, and the other nodes.\n"
	 "Changes nothing.\n"
	 "With --redis an operator's rights are judged, not the daemon's.\n",
	 .standalone = doctor, .options = no_options},
	{"completion", "print a completion script for a shell", "bash|zsh|fish", "", .standalone = print_completion,
	 .arguments_min = 1, .arguments_max = 1, .completion = COMPLETION_CHOICE, .choices = shells,
	 .options = no_options},
	{"help", "print help, or the help of a command", "[COMMAND]", "", .standalone = print_help, .arguments_max = 1,
	 .completion = COMPLETION_COMMAND, .options = no_options},
};

const struct command_row *command_find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(command_rows[i].name, name) == 0)
			return &command_rows[i];
	return NULL;
}

bool command_accepts(const struct command_row *command, enum option_id option)
{
	if (option_rows[option].global)
		return true;
	for (const enum option_id *candidate = command ? command->options : no_options; *candidate; candidate++)
		if (*candidate == option)
			return true;
	return false;
}

struct option_row option_row_of(const struct command_row *command, enum option_id option)
{
	struct option_row row = option_rows[option];

	for (const struct option_override *override = command ? command->option_overrides : NULL;
	     override && override->option; override++)
		if (override->option == option) {
			row.help = override->help;
			row.argument = override->argument ? override->argument : row.argument;
			row.choices = override->choices ? override->choices : row.choices;
		}
	return row;
}

enum option_id option_find(const char *name)
{
	for (size_t i = OPTION_NONE + 1; i < OPTION_COUNT; i++)
		if (strcmp(option_rows[i].name, name) == 0)
			return (enum option_id)i;
	return OPTION_NONE;
}

enum option_id option_find_letter(char letter)
{
	for (size_t i = OPTION_NONE + 1; letter && i < OPTION_COUNT; i++)
		if (option_rows[i].letter == letter)
			return (enum option_id)i;
	return OPTION_NONE;
}
