/*
 * A table for people: a line of titles, then a line each, as wide as the widest cell of a column.
 *
 *   TOPIC   PARTITION  LAG
 *   orders          0   12
 *
 * Cells come one by one, row by row, and are copied. Thread: any, one owner.
 */
#ifndef OPS_TEXT_TABLE_H
#define OPS_TEXT_TABLE_H

#include "base/buffer.h"

#include <stdbool.h>

struct text_column {
    const char *title;
    bool right; /* numbers */
};

struct text_table {
    const struct text_column *columns; /* borrowed */
    size_t columns_count;
    char **cells; /* rows * columns_count */
    size_t cells_count, cells_cap;
};

/* The next cell; NULL: empty. Control characters become "?". */
void text_table_put(struct text_table *table, const char *text);

void text_table_put_number(struct text_table *table, int64_t number);

/* The last row must be whole. */
void text_table_append(const struct text_table *table, struct buffer *out);

void text_table_finish(struct text_table *table);

#endif
