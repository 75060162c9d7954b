/* The commands: each is carried out from beginning to end and says what is to be said. Returns the exit status. */
#pragma once

#include "pcapctl/cli/exit_status.h"

struct command_line;
struct place;
struct terminal;

/* What a command is given. */
struct errand {
	const struct command_line *line;
	const struct place *place;
	const struct terminal *terminal;
};

/* One daemon, by its control API. */
enum exit_status local_capture(const struct errand *errand);
enum exit_status local_history(const struct errand *errand);
enum exit_status local_list(const struct errand *errand);
enum exit_status local_show(const struct errand *errand);
enum exit_status local_fetch(const struct errand *errand);
enum exit_status local_stop(const struct errand *errand);
enum exit_status local_status(const struct errand *errand);
enum exit_status local_watch(const struct errand *errand);

/* A fleet, over Redis. */
enum exit_status fleet_capture(const struct errand *errand);
enum exit_status fleet_fetch(const struct errand *errand);
enum exit_status fleet_status(const struct errand *errand);
enum exit_status fleet_nodes(const struct errand *errand);
enum exit_status fleet_watch(const struct errand *errand);

/* Nobody. */
enum exit_status check_file(const struct errand *errand);
