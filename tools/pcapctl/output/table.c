/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps all cells until the widths are known. The last column is not padded. */
#include "pcapctl/output/table.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/printable.h"

#define LAST_CELL_MAX 4096

struct cell {
	char *text;
	enum tone tone;
};

struct table {
	const struct table_column *columns;
	size_t column_count;
	struct cell *cells;
	size_t cell_count, cell_capacity;
	int error;
};

struct table *table_new(const struct table_column *columns, size_t count)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->columns = columns;
	table->column_count = count;
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
}

static int reserve_cell(struct table *table)
{
	size_t cell_capacity = table->cell_capacity ? table->cell_capacity * 2 : 64;
	struct cell *grown;

	if (table->cell_count >= TABLE_ROWS_MAX * table->column_count)
		return -E2BIG;
	if (table->cell_count < table->cell_capacity)
		return 0;
	grown = reallocarray(table->cells, cell_capacity, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	table->cells = grown;
	table->cell_capacity = cell_capacity;
	return 0;
}

void table_cell_tone(struct table *table, const char *text, enum tone tone)
{
	bool last = (table->cell_count + 1) % table->column_count == 0;
	char shown[LAST_CELL_MAX];
	char *copy;

	if (table->error == 0)
		table->error = reserve_cell(table);
	if (table->error < 0)
		return;
	copy = strdup(printable(shown, last ? LAST_CELL_MAX : TABLE_CELL_MAX, text && *text ? text : "-"));
	if (!copy) {
		table->error = -ENOMEM;
		return;
	}
	table->cells[table->cell_count++] = (struct cell){copy, tone};
}

void table_cell(struct table *table, const char *text)
{
	table_cell_tone(table, text, TONE_PLAIN);
}

static void print_cell(const struct table *table, const struct terminal *terminal, size_t column, size_t width,
		       const struct cell *cell)
{
	size_t pad = width - printable_width(cell->text);
	bool right = table->columns[column].right, last = column + 1 == table->column_count;

	fprintf(terminal->results, "%*s%s%s%s%*s%s", right ? (int)pad : 0, "", terminal_begin(terminal, cell->tone),
		cell->text, terminal_end(terminal, cell->tone), right || last ? 0 : (int)pad, "", last ? "\n" : "  ");
}

int table_print(const struct table *table, const struct terminal *terminal)
{
	size_t widths[TABLE_COLUMNS_MAX], rows = table->cell_count / table->column_count;

	for (size_t column = 0; column < table->column_count; column++) {
		widths[column] = printable_width(table->columns[column].title);
		for (size_t row = 0; row < rows; row++) {
			size_t width = printable_width(table->cells[row * table->column_count + column].text);

			widths[column] = width > widths[column] ? width : widths[column];
		}
	}
	for (size_t column = 0; column < table->column_count; column++) {
		char title[TABLE_CELL_MAX];
		const struct cell head = {title, TONE_HEAD};

		printable(title, sizeof(title), table->columns[column].title);
		print_cell(table, terminal, column, widths[column], &head);
	}
	for (size_t i = 0; i < rows * table->column_count; i++)
		print_cell(table, terminal, i % table->column_count, widths[i % table->column_count], &table->cells[i]);
	return table->error;
}
