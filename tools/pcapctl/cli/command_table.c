/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that can be typed, once. A command is added by its row here and its function; help, completion and the
 * manual's lists follow.
 */
#include "pcapctl/cli/command_table.h"

#include <stdint.h>
#include <string.h>

static const char *const formats[] = {"pcapng", "pcap", NULL};
static const char *const shells[] = {"bash", "zsh", "fish", NULL};

#define ANY_NUMBER SIZE_MAX

const struct option_row option_rows[OPTION_COUNT] = {
	[OPTION_SOCKET] = {"socket", '\0', "PATH",
			   .help = "unix socket of the daemon on this host (also PCAPDAEMON_SOCKET; default "
				   "/run/pcapdaemon/control.sock)",
			   .completion = COMPLETION_FILE, .global = true},
	[OPTION_API] = {"api", '\0', "URL",
			.help = "http[s]://host[:port] of a daemon's control API, instead of the socket",
			.global = true},
	[OPTION_TOKEN_FILE] = {"token-file", '\0', "FILE", .help = "file that holds the token for --api",
			       .completion = COMPLETION_FILE, .global = true},
	[OPTION_CA_FILE] = {"ca-file", '\0', "FILE", .help = "certificates of the authorities to trust for --api (PEM)",
			    .completion = COMPLETION_FILE, .global = true},
	[OPTION_REDIS] = {"redis", '\0', "URL",
			  .help = "the fleet: redis[s]://[user:password@]host[:port]/channel (also PCAPDAEMON_REDIS)",
			  .global = true},
	[OPTION_CONFIG] = {"config", '\0', "FILE", .help = "take socket or Redis from a daemon's configuration file",
			   .completion = COMPLETION_FILE, .global = true},
	[OPTION_JSON] = {"json", '\0', NULL, .help = "print JSON instead of text", .global = true},
	[OPTION_QUIET] =
		{"quiet", 'q', NULL,
		 .help = "no progress line and no notes on standard error; results and errors are printed all the same",
		 .global = true},
	[OPTION_HELP] = {"help", 'h', NULL, .help = "print help and exit", .global = true},
	[OPTION_VERSION] = {"version", '\0', NULL, .help = "print the version and exit", .global = true},

	[OPTION_NODE] = {"node", '\0', "NAME", .help = "the node that is meant, or \"any\" (as without it)"},
	[OPTION_NODERE] = {"nodere", '\0', "REGEX", .help = "the nodes whose names match the expression somewhere"},
	[OPTION_INTERFACE] = {"interface", 'i', "NAMES",
			      .help = "interfaces, separated by commas; \"any\": every one that is up",
			      .completion = COMPLETION_INTERFACE, .repeatable = true},
	[OPTION_ALIAS] = {"alias", '\0', "NAMES", .help = "interfaces by the aliases the nodes give them",
			  .repeatable = true},
	[OPTION_INNER] = {"inner", '\0', "EXPR", .help = "a filter for the packets in tunnels (VXLAN, GENEVE, GRE)"},
	[OPTION_SNAP] = {"snap", 's', "BYTES", .help = "bytes kept of each packet"},
	[OPTION_PACKETS] = {"packets", 'c', "COUNT", .help = "stop after so many packets"},
	[OPTION_BYTES] = {"bytes", '\0', "SIZE", .help = "stop once so many bytes are held, as in 10MiB"},
	[OPTION_TIMEOUT] =
		{"timeout", '\0', "TIME",
		 .help = "stop after so long, as in 30s or 2m; with --duration, after so long without a packet"},
	[OPTION_DURATION] = {"duration", '\0', "TIME", .help = "stop after so long"},
	[OPTION_BEFORE] = {"before", '\0', "TIME", .help = "begin so long ago, with what the recorder holds"},
	[OPTION_LAST] = {"last", '\0', "TIME", .help = "the packets of the last so many seconds"},
	[OPTION_FROM] = {"from", '\0', "WHEN", .help = "begin of a window, RFC 3339 or Unix seconds"},
	[OPTION_TO] = {"to", '\0', "WHEN", .help = "end of a window, RFC 3339 or Unix seconds"},
	[OPTION_TAGS] = {"tags", '\0', "TAGS", .help = "tags for the file, separated by commas"},
	[OPTION_CUSTOMER] = {"customer", '\0', "TEXT", .help = "customer, for the tags"},
	[OPTION_ALERTID] = {"alertid", '\0', "ID", .help = "the event's own identifier, for the tags"},
	[OPTION_COMMENT] = {"comment", '\0', "TEXT", .help = "comment, for the file and for CloudShark"},
	[OPTION_ID] = {"id", '\0', "ID", .help = "identifier of the request; one of its own is made if none is given"},
	[OPTION_FORMAT] = {"format", '\0', "FORMAT", .help = "format of the file, pcapng or pcap", .choices = formats,
			   .completion = COMPLETION_CHOICE},
	[OPTION_DEDUPE] = {"dedupe", '\0', "KEY", .help = "requests with the same key are folded within the cooldown"},
	[OPTION_DESTINATION] = {"destination", 'd', "NAMES",
				.help = "also deliver to these destinations of the daemon's", .repeatable = true},
	[OPTION_LOGREQUEST] = {"logrequest", '\0', NULL, .help = "the daemon logs the request"},
	[OPTION_PACKETDEBUG] = {"packetdebug", '\0', NULL, .help = "the daemon logs a line for every packet"},

	[OPTION_WRITE] = {"write", 'w', "FILE", .help = "write the packets to this file; \"-\": standard output",
			  .completion = COMPLETION_FILE},
	[OPTION_MERGE] = {"merge", '\0', "FILE",
			  .help = "one file with the packets of all interfaces and nodes in the order of time",
			  .completion = COMPLETION_FILE},
	[OPTION_NO_FILE] = {"no-file", '\0', NULL, .help = "fetch no file, print where it was delivered"},
	[OPTION_WAIT] = {"wait", '\0', NULL, .help = "fleet: wait until every node has delivered"},
	[OPTION_ANSWER_TIMEOUT] = {"answer-timeout", '\0', "TIME",
				   .help = "fleet: how long nodes are waited for that do not answer (default 5s)"},
	[OPTION_STREAM] =
		{"stream", '\0', "KEY",
		 .help = "fleet: add the request to this stream, where absent nodes find it, instead of publishing"},
	[OPTION_REQUEST] = {"request", '\0', NULL, .help = "the file is a request (JSON), not a configuration"},
};

static const enum option_id no_options[] = {OPTION_NONE};

static const enum option_id capture_options[] = {
	OPTION_INTERFACE, OPTION_ALIAS,	  OPTION_NODE,	      OPTION_NODERE,	  OPTION_PACKETS,
	OPTION_BYTES,	  OPTION_INNER,	  OPTION_SNAP,	      OPTION_DURATION,	  OPTION_TIMEOUT,
	OPTION_BEFORE,	  OPTION_FROM,	  OPTION_TO,	      OPTION_WRITE,	  OPTION_MERGE,
	OPTION_FORMAT,	  OPTION_NO_FILE, OPTION_DESTINATION, OPTION_WAIT,	  OPTION_ANSWER_TIMEOUT,
	OPTION_STREAM,	  OPTION_ID,	  OPTION_DEDUPE,      OPTION_TAGS,	  OPTION_CUSTOMER,
	OPTION_ALERTID,	  OPTION_COMMENT, OPTION_LOGREQUEST,  OPTION_PACKETDEBUG, OPTION_NONE,
};

static const enum option_id history_options[] = {
	OPTION_INTERFACE, OPTION_LAST, OPTION_FROM,  OPTION_TO,	  OPTION_PACKETS,
	OPTION_BYTES,	  OPTION_SNAP, OPTION_WRITE, OPTION_NONE,
};

static const enum option_id get_options[] = {OPTION_WRITE, OPTION_NODE, OPTION_NONE};
static const enum option_id watch_options[] = {OPTION_ID, OPTION_NONE};
static const enum option_id check_options[] = {OPTION_REQUEST, OPTION_NONE};

static const struct option_override history_overrides[] = {
	{.option = OPTION_INTERFACE,
	 .help = "the interface, one; `pcapctl status` shows which are recorded",
	 .argument = "NAME"},
	{.option = OPTION_PACKETS, .help = "at most so many packets"},
	{.option = OPTION_BYTES, .help = "at most so many bytes of packets, as in 10MiB"},
	{.option = OPTION_FROM,
	 .help = "begin of the window, RFC 3339 or Unix seconds; as far back as there is something if not given"},
	{.option = OPTION_TO, .help = "end of the window, RFC 3339 or Unix seconds; now if not given"},
	{.option = OPTION_WRITE,
	 .help = "write the packets to this file; \"-\": standard output; capture.pcapng in the current "
		 "directory if not given, or capture-1.pcapng and so on if that is there"},
	{.option = OPTION_NONE},
};

static const struct option_override get_overrides[] = {
	{.option = OPTION_NODE,
	 .help = "fleet: the node that captured; needed only if several have a file of that capture"},
	{.option = OPTION_WRITE,
	 .help = "write the packets to this file; \"-\": standard output; under its own name in the current "
		 "directory if not given"},
	{.option = OPTION_NONE},
};

static const struct option_override watch_overrides[] = {
	{.option = OPTION_ID, .help = "events of this request alone"},
	{.option = OPTION_NONE},
};

const struct command_row command_rows[COMMAND_COUNT] = {
	{"capture", "capture packets, here or on every node that is meant", "[FILTER...]",
	 "Asks the daemon on this host for a capture, waits for its end, and fetches the file.\n"
	 "The words that are no options are the filter, as with tcpdump.\n"
	 "Ctrl-C ends the capture early; what it has is fetched.\n"
	 "With --redis, --config, --node or --nodere, or PCAPDAEMON_REDIS in the environment, the "
	 "request goes to the fleet instead: who accepted it, refused it or never answered is "
	 "shown, and with --merge the nodes' files become one.\n"
	 "Without --node and --nodere every node of the fleet is meant.\n",
	 .local = local_capture, .fleet = fleet_capture, .arguments_max = ANY_NUMBER, .filter = true,
	 .options = capture_options},
	{"history", "packets of the past, out of the recorder", "[FILTER...]",
	 "Writes what the recorder holds of one interface to a file, or with \"-\" to standard "
	 "output.\n"
	 "No capture is made.\n",
	 .local = local_history, .arguments_max = ANY_NUMBER, .filter = true, .options = history_options,
	 .option_overrides = history_overrides},
	{"list", "the captures of this host, running and done", "", "", .local = local_list, .options = no_options},
	{"show", "one capture, or all captures of a request", "ID", "", .local = local_show, .arguments_min = 1,
	 .arguments_max = 1, .options = no_options},
	{"get", "fetch the file of a capture that is over", "ID",
	 "On this host files are kept in memory for a while.\n"
	 "In a fleet those are found that nodes delivered to the destination \"redis\".\n",
	 .local = local_fetch, .fleet = fleet_fetch, .arguments_min = 1, .arguments_max = 1, .options = get_options,
	 .option_overrides = get_overrides},
	{"stop", "end a capture early; what it has is delivered", "ID", "", .local = local_stop, .arguments_min = 1,
	 .arguments_max = 1, .options = no_options},
	{"status", "the daemon and its interfaces; of a fleet, a line for each node", "", "", .local = local_status,
	 .fleet = fleet_status, .options = no_options},
	{"nodes", "the nodes of the fleet and how far back each can reach", "", "", .fleet = fleet_nodes,
	 .options = no_options},
	{"watch", "events as they happen", "", "Ends with Ctrl-C.\n", .local = local_watch, .fleet = fleet_watch,
	 .options = watch_options, .option_overrides = watch_overrides},
	{"check", "validate a configuration file or a request", "FILE",
	 "Says what is wrong with a file, as the daemon would, without a daemon.\n"
	 "\"-\" is standard input.\n",
	 .standalone = check_file, .arguments_min = 1, .arguments_max = 1, .completion = COMPLETION_FILE,
	 .options = check_options},
	{"completion", "print a completion script for a shell", "bash|zsh|fish", "", .standalone = print_completion,
	 .arguments_min = 1, .arguments_max = 1, .completion = COMPLETION_CHOICE, .choices = shells,
	 .options = no_options},
	{"help", "print help, of a command if one is named", "[COMMAND]", "", .standalone = print_help,
	 .arguments_max = 1, .completion = COMPLETION_COMMAND, .options = no_options},
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
	for (const enum option_id *taken = command ? command->options : no_options; *taken; taken++)
		if (*taken == option)
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
