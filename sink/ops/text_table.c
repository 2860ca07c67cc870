/* printf would count bytes, so spaces are put by the columns that a text takes. */
#include "ops/text_table.h"

#include "base/memory.h"
#include "base/printable.h"
#include "ops/text_line.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* --- Filling ---------------------------------------------------------------------------------- */

static void take(struct text_table *table, char *cell)
{
    if (table->cells_count == table->cells_cap)
        table->cells = memory_double(table->cells, &table->cells_cap, sizeof(*table->cells));
    printable_make(cell);
    table->cells[table->cells_count++] = cell;
}

void text_table_put(struct text_table *table, const char *text)
{
    take(table, memory_strdup(text ? text : ""));
}

void text_table_put_number(struct text_table *table, int64_t number)
{
    take(table, memory_printf("%" PRId64, number));
}

void text_table_finish(struct text_table *table)
{
    for (size_t i = 0; i < table->cells_count; i++)
        free(table->cells[i]);
    free(table->cells);
}

/* --- Showing ---------------------------------------------------------------------------------- */

static int width_of(const struct text_table *table, size_t column)
{
    int widest = text_line_width(table->columns[column].title);

    for (size_t i = column; i < table->cells_count; i += table->columns_count) {
        int width = text_line_width(table->cells[i]);
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void append_cell(struct buffer *out, const char *text, int width, bool right)
{
    int spaces = width - text_line_width(text);

    if (right)
        buffer_printf(out, "%*s%s", spaces, "", text);
    else
        buffer_printf(out, "%s%*s", text, spaces, "");
}

/* A row's texts, one for each column. No line ends with spaces. */
static void append_row(const struct text_table *table, const int *widths, char *const *cells,
                       struct buffer *out)
{
    for (size_t i = 0; i < table->columns_count; i++) {
        const struct text_column *column = &table->columns[i];

        append_cell(out, cells ? cells[i] : column->title, widths[i], column->right);
        buffer_append_text(out, "  ");
    }
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        out->len--;
    buffer_append_text(out, "\n");
}

void text_table_append(const struct text_table *table, struct buffer *out)
{
    int *widths = memory_new_array(table->columns_count, sizeof(*widths));

    assert(table->cells_count % table->columns_count == 0);
    for (size_t i = 0; i < table->columns_count; i++)
        widths[i] = width_of(table, i);
    append_row(table, widths, NULL, out);
    for (size_t at = 0; at < table->cells_count; at += table->columns_count)
        append_row(table, widths, &table->cells[at], out);
    free(widths);
}
