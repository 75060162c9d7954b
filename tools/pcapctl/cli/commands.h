/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands' functions. Each runs its command to the end, prints results and errors, and returns the exit status. */
#pragma once

#include "pcapctl/cli/exit_status.h"

struct command_line;
struct command_row;
struct command_target;
struct terminal;

struct command_context {
	const struct command_line *line;
	const struct command_target *target; /* NULL: the command asks no daemon */
	const struct terminal *terminal;
};

typedef enum exit_status (*command_function)(const struct command_context *context);

/* One daemon, over its control API. */
enum exit_status local_capture(const struct command_context *context);
enum exit_status local_history(const struct command_context *context);
enum exit_status local_list(const struct command_context *context);
enum exit_status local_show(const struct command_context *context);
enum exit_status local_fetch(const struct command_context *context);
enum exit_status local_stop(const struct command_context *context);
enum exit_status local_status(const struct command_context *context);
enum exit_status local_check_destinations(const struct command_context *context);
enum exit_status local_destinations(const struct command_context *context);
enum exit_status local_names(const struct command_context *context);
enum exit_status local_watch(const struct command_context *context);

enum exit_status local_alert(const struct command_context *context);
enum exit_status local_rules(const struct command_context *context);

/* A fleet, over Redis. */
enum exit_status fleet_capture(const struct command_context *context);
enum exit_status fleet_history(const struct command_context *context);
enum exit_status fleet_fetch(const struct command_context *context);
enum exit_status fleet_status(const struct command_context *context);
enum exit_status fleet_names(const struct command_context *context);
enum exit_status fleet_nodes(const struct command_context *context);
enum exit_status fleet_watch(const struct command_context *context);

/* No daemon, or the command finds it by itself. */
enum exit_status doctor(const struct command_context *context);
enum exit_status rules_check(const struct command_context *context);
enum exit_status rules_test(const struct command_context *context);
enum exit_status check_file(const struct command_context *context);
enum exit_status print_completion(const struct command_context *context);
enum exit_status print_help(const struct command_context *context);

/* Help for one command; NULL: the overview. */
enum exit_status print_help_of(const struct command_row *command);
