/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps all cells until the widths are known. The last column is not padded. On a terminal, the columns that do not fit
 * follow below their row, so that one long text does not break all rows.
 */
#include "pcapctl/output/table.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/printable.h"

#define LAST_CELL_MAX 4096
#define GAP 2
#define REST_INDENT 4

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

static void print_cell(const struct terminal *terminal, bool right, size_t pad, const struct cell *cell)
{
	fprintf(terminal->results, "%*s%s%s%s%*s", right ? (int)pad : 0, "", terminal_begin(terminal, cell->tone),
		cell->text, terminal_end(terminal, cell->tone), right ? 0 : (int)pad, "");
}

/* How many columns fit into one line; the others follow on lines of their own. */
static size_t fitting_columns(const struct table *table, const size_t *widths, size_t width)
{
	size_t used = 0, count = 0;

	for (; count < table->column_count; count++) {
		used += widths[count] + (count ? GAP : 0);
		if (width && count && used > width)
			break;
	}
	return count;
}

/* The cells that do not fit beside the others, broken between words. A word that is too long stays whole. */
static void print_rest(const struct table *table, const struct terminal *terminal, size_t first,
		       const struct cell *cells)
{
	size_t at = REST_INDENT;

	fprintf(terminal->results, "%*s", REST_INDENT, "");
	for (size_t column = first; column < table->column_count; column++) {
		size_t gap = column > first ? GAP : 0;

		for (const char *word = cells[column].text; *word; gap = 1) {
			const size_t size = strcspn(word, " ");
			char copy[LAST_CELL_MAX];
			const struct cell part = {copy, cells[column].tone};

			snprintf(copy, sizeof(copy), "%.*s", (int)size, word);
			const size_t width = printable_width(copy);
			if (at > REST_INDENT && at + gap + width > terminal->width) {
				fprintf(terminal->results, "\n%*s", REST_INDENT, "");
				at = REST_INDENT;
				gap = 0;
			}
			fprintf(terminal->results, "%*s", (int)gap, "");
			print_cell(terminal, false, 0, &part);
			at += gap + width;
			word += size + strspn(word + size, " ");
		}
	}
	fputc('\n', terminal->results);
}

static void print_row(const struct table *table, const struct terminal *terminal, const size_t *widths,
		      const struct cell *cells)
{
	const size_t fitting = fitting_columns(table, widths, terminal->width);

	for (size_t column = 0; column < fitting; column++) {
		const bool right = table->columns[column].right, last = column + 1 == fitting;
		const size_t pad = widths[column] - printable_width(cells[column].text);

		print_cell(terminal, right, !last || right ? pad : 0, &cells[column]);
		fputs(last ? "\n" : "  ", terminal->results);
	}
	if (fitting < table->column_count)
		print_rest(table, terminal, fitting, cells);
}

/* The width of each column's widest cell. */
static void measure(const struct table *table, size_t widths[TABLE_COLUMNS_MAX])
{
	const size_t rows = table->cell_count / table->column_count;

	for (size_t column = 0; column < table->column_count; column++) {
		widths[column] = printable_width(table->columns[column].title);
		for (size_t row = 0; row < rows; row++) {
			const size_t width = printable_width(table->cells[row * table->column_count + column].text);

			widths[column] = width > widths[column] ? width : widths[column];
		}
	}
}

int table_print(const struct table *table, const struct terminal *terminal)
{
	char titles[TABLE_COLUMNS_MAX][TABLE_CELL_MAX];
	struct cell heads[TABLE_COLUMNS_MAX];
	size_t widths[TABLE_COLUMNS_MAX];

	measure(table, widths);
	for (size_t column = 0; column < table->column_count; column++) {
		printable(titles[column], sizeof(titles[column]), table->columns[column].title);
		heads[column] = (struct cell){titles[column], TONE_HEAD};
	}
	print_row(table, terminal, widths, heads);
	for (size_t i = 0; i + table->column_count <= table->cell_count; i += table->column_count)
		print_row(table, terminal, widths, &table->cells[i]);
	return table->error;
}
