/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints events as they are published, until Ctrl-C. */
#include <string.h>

#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/command_target.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/interrupts.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/fleet/fleet_bus.h"
#include "pcapctl/fleet/fleet_target.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/terminal.h"

#define RUN_MS 1000

struct watch {
	const struct terminal *terminal;
	const char *id; /* NULL: all */
	bool failed;	/* the results cannot be written */
};

static void on_event(void *ctx, const json_t *event)
{
	struct watch *watch = ctx;

	if (watch->id && strcmp(json_text(event, "id"), watch->id) != 0)
		return;
	if (!watch->terminal->json)
		event_print(watch->terminal, event);
	else if (json_print(watch->terminal, event, true) < 0)
		watch->failed = true;
	watch->failed |= ferror(watch->terminal->results) != 0;
}

/* Events may still come: presence may be off. */
static void note_empty_channel(const struct command_context *context, struct fleet_bus *bus)
{
	cleanup(cleanup_json) json_t *nodes = NULL;
	struct error ignored;

	if (fleet_bus_nodes(bus, &nodes, &ignored) == 0 && json_array_size(nodes) == 0)
		terminal_note(context->terminal,
			      "no node is present on the channel \"%s\"; is it the daemons' channel?",
			      context->target->fleet->channel);
}

enum exit_status fleet_watch(const struct command_context *context)
{
	struct watch watch = {.terminal = context->terminal, .id = command_line_value(context->line, OPTION_ID)};
	struct error err;
	int fd = interrupts_begin();
	struct fleet_bus *bus = fleet_bus_new(context->target->fleet, on_event, &watch, &err);
	unsigned lost_subscriptions = 0;

	if (!bus) {
		terminal_error("%s", err.text);
		return STATUS_FAILED;
	}
	note_empty_channel(context, bus);
	while (!watch.failed && interrupts_take() == 0) {
		fleet_bus_run(bus, RUN_MS, fd);
		if (fleet_bus_lost_subscriptions(bus) != lost_subscriptions)
			terminal_note(context->terminal, "the connection to %s was lost; events may be missing",
				      fleet_bus_name(bus));
		lost_subscriptions = fleet_bus_lost_subscriptions(bus);
	}
	fleet_bus_free(bus);
	return STATUS_OK;
}
