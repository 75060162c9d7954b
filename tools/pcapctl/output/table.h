/* SPDX-License-Identifier: BSD-2-Clause */
/* Aligned columns. Cells are untrusted: they are copied, made printable and cut. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "pcapctl/output/terminal.h"

#define TABLE_COLUMNS_MAX 12
#define TABLE_CELL_MAX 256 /* bytes; longer cells are cut, except in the last column */
#define TABLE_ROWS_MAX 16384

struct table_column {
	const char *title;
	bool right; /* numbers */
};

struct table;

/* `columns` must outlive the table. NULL on ENOMEM. */
struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table *table);

/*
 * Adds cells row by row; NULL is an empty cell, shown as "-". After a failure (out of memory, too many rows) cells are
 * dropped, and table_print reports it.
 */
void table_cell(struct table *table, const char *text);
void table_cell_tone(struct table *table, const char *text, enum tone tone);

/* 0, -ENOMEM or -E2BIG (rows are missing). */
warn_unused int table_print(const struct table *table, const struct terminal *terminal);

CLEANUP_DEFINE(table, struct table, table_free)
