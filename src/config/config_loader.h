/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of loading a configuration: what is set so far, from which layer and location, and all faults. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "config/config.h"
#include "config/config_table.h"
#include "config/toml_reader.h"

/* Later ones override earlier ones. */
enum config_layer { CONFIG_LAYER_DEFAULT, CONFIG_LAYER_FILE, CONFIG_LAYER_COMMAND_LINE };

/* Where a row's value comes from. */
struct config_origin {
	enum config_layer layer;
	struct toml_location location; /* for CONFIG_LAYER_FILE */
	bool on;		       /* neither false, zero nor empty */
};

struct config_fault {
	struct config_origin origin;
	char *line;
};

/* A [[destination]]: where it begins, and where its values come from. */
struct config_place {
	struct toml_location location;
	struct config_origin origins[CONFIG_ROWS_MAX];
};

struct unit_file;
struct user_access;

struct config_loader {
	config_filter_validator validate_filter; /* NULL: filters are not checked */
	struct config *config;
	const char *file; /* its name in faults; NULL: none */
	struct config_origin origins[CONFIG_ROWS_MAX];

	/* While the file is read. */
	const struct config_section *section; /* NULL: none yet, or an unknown one */
	bool skipping;
	void *item; /* of a repeated section: the one being read */
	struct toml_location interface_locations[CONFIG_INTERFACES_MAX], input_locations[CONFIG_INPUTS_MAX];
	struct toml_location webhook_locations[CONFIG_WEBHOOKS_MAX];

	/* The [[destination]] that rows are meant of: config_focus. */
	struct config_place places[CONFIG_DESTINATIONS_MAX];
	struct config_place *place; /* NULL: rows are those of sections */
	struct config_destination *destination;
	const struct config_destination_type *type; /* NULL: unknown */

	struct config_fault faults[CONFIG_FAULTS_MAX];
	size_t fault_count;
	size_t warning_count;  /* of these, warnings: they refuse nothing */
	size_t faults_dropped; /* faults beyond the cap */
	bool unreadable;       /* the file is; checks for missing values are skipped */
	bool out_of_memory;
	struct unit_file *unit; /* -check: the one that runs this configuration, and not for this process; NULL: none */
	bool for_client;	/* see config_load_text_for_client */
};

/* The steps. They add faults to the loader. */
void config_read_arguments(struct config_loader *loader, int argc, char **argv); /* config_arguments.c */
void config_read_file(struct config_loader *loader);				 /* config_file.c; loader->file */
void config_read_text(struct config_loader *loader, const char *text, size_t size);
void config_read_secrets(struct config_loader *loader); /* config_secret.c */
void config_check(struct config_loader *loader);	/* config_check.c */
void config_check_for_client(struct config_loader *loader);

/*
 * config_destination.c. After config_focus, rows mean those of this [[destination]], with its values and origins, up to
 * config_unfocus.
 */
void config_focus(struct config_loader *loader, size_t destination);
void config_unfocus(struct config_loader *loader);
/* A key of the [[destination]] that is being read. */
void config_read_destination_key(struct config_loader *loader, const char *key, struct toml_location location,
				 const struct toml_value *value);
void config_check_destinations(struct config_loader *loader);
/* Whether requests could name it with this configuration; if not, an "is no destination (…)" in `why`. */
bool config_destination_is_known(const struct config *config, const char *name, struct error *why);

/* The struct that row->offset counts from, in what rows are meant of. */
void *config_base_of(struct config_loader *loader, const struct config_row *row);

/* What comes before the key in the name of a secret's systemd credential: "redis", "destination.NAME". */
#define CONFIG_SECTION_SIZE (sizeof("destination.") + CONFIG_DESTINATION_NAME_MAX)
const char *config_credential_section(const struct config_loader *loader, const struct config_row *row,
				      char section[static CONFIG_SECTION_SIZE]);

/* A file that the row names cannot be used: a fault or, for a client, config->unread. */
void config_file_fault(struct config_loader *loader, const struct config_row *row, const char *reason);

/* -check only: with -user, goes on as that user; else looks for the unit that will run the file. */
void config_host_prepare(struct config_loader *loader); /* config_host.c */
/* -check only: warnings about what this host, and the daemon's user on it, will make of the configuration. */
void config_host_check(struct config_loader *loader);

/*
 * Checks a value and, unless a stronger layer has set the row already, stores it in `base` (the configuration, or one
 * of its interfaces). An invalid value becomes a fault of `subject`.
 */
void config_set(struct config_loader *loader, const struct config_row *row, const struct toml_value *value,
		struct config_origin origin, const char *subject, void *base); /* config_loader.c */

/* Sets the defaults of a repeated section; with `section` NULL, those of all others. */
void config_set_defaults(struct config_loader *loader, const char *section, void *base);
void config_set_default(struct config_loader *loader, const struct config_row *row, void *base);

/* config_fault.c. `subject` ("section.key", "-option") may be NULL. */
void config_fault(struct config_loader *loader, struct config_origin origin, const char *subject, const char *fmt, ...)
	printf_like(4, 5);
/* With the location and the name by which the row's value was given. */
void config_row_fault(struct config_loader *loader, const struct config_row *row, const char *fmt, ...)
	printf_like(3, 4);
void config_row_warning(struct config_loader *loader, const struct config_row *row, const char *fmt, ...)
	printf_like(3, 4);
/* Appends faults and warnings to `out`, sorted by location. */
void config_faults_print(struct config_loader *loader, struct buffer *out);
void config_faults_deinit(struct config_loader *loader);

static inline struct config_origin config_in_file(struct toml_location location)
{
	return (struct config_origin){.layer = CONFIG_LAYER_FILE, .location = location};
}

static inline struct config_origin *config_origin_of(struct config_loader *loader, const struct config_row *row)
{
	return &(loader->place ? loader->place->origins : loader->origins)[row - config_rows];
}
