/*
 * The hot loop of the program: decode a record, encode its columns, next.
 *
 * Consecutive rows that leave out the same columns form a segment, since one COPY has one list of
 * columns and a column's DEFAULT only applies when the column is not in it. Records of one producer
 * mostly have the same fields, so a batch mostly is one segment.
 */
#include "dispatch/encode.h"

#include "base/memory.h"
#include "dispatch/part.h"
#include "pg/dead_letters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { VALUES_ON_STACK = 64 };

/* COPY has no form for a row without columns: one that may be NULL is written, as NULL. */
static uint64_t fallback_bit(const struct mapping *mapping)
{
    for (size_t i = 0; i < mapping->columns_count; i++)
        if (!mapping->columns[i].column->not_null)
            return mapping->columns[i].default_bit;
    return mapping->columns[0].default_bit;
}

static uint64_t absent_mask(const struct mapping *mapping, const struct value *values)
{
    uint64_t mask = 0;
    size_t left = mapping->columns_count;

    for (size_t i = 0; i < mapping->columns_count; i++) {
        if (values[i].kind == VALUE_ABSENT && mapping->columns[i].default_bit) {
            mask |= mapping->columns[i].default_bit;
            left--;
        }
    }
    return left > 0 ? mask : mask & ~fallback_bit(mapping);
}

static bool blame_column(const struct mapping_column *column, struct err *err)
{
    snprintf(err->column, sizeof(err->column), "%s", column->column->name);
    return err_context(err, "column %s", column->column->quoted);
}

static bool encode_column(struct buffer *rows, const struct mapping_column *column,
                          const struct value *value, struct err *err)
{
    bool null = value->kind == VALUE_NULL || value->kind == VALUE_ABSENT;

    if (UNLIKELY(null && column->column->not_null)) {
        err_set(err, ERR_DATA,
                value->kind == VALUE_NULL ? "null in a NOT NULL column"
                                          : "the record has no such field, and a "
                                            "NOT NULL column needs it");
        return blame_column(column, err);
    }
    return LIKELY(column->encode(rows, column->column, value, err)) || blame_column(column, err);
}

static bool encode_binary_row(const struct mapping *mapping, const struct value *values,
                              uint64_t mask, struct buffer *rows, struct err *err)
{
    int columns = (int)mapping->columns_count;

    if (UNLIKELY(mask))
        columns -= __builtin_popcountll(mask);
    buffer_reserve(rows, sizeof(int16_t));
    buffer_put_int16(rows, (int16_t)columns);
    for (size_t i = 0; i < mapping->columns_count; i++)
        if (!(mapping->columns[i].default_bit & mask) &&
            !encode_column(rows, &mapping->columns[i], &values[i], err))
            return false;
    return true;
}

static bool encode_text_row(const struct mapping *mapping, const struct value *values,
                            uint64_t mask, struct buffer *rows, struct err *err)
{
    for (size_t i = 0; i < mapping->columns_count; i++) {
        if (mapping->columns[i].default_bit & mask)
            continue;
        if (!encode_column(rows, &mapping->columns[i], &values[i], err))
            return false;
        buffer_append(rows, "\t", 1);
    }
    rows->data[rows->len - 1] = '\n';
    return true;
}

static void add_segment(struct batch *batch, uint64_t mask, size_t begin)
{
    if (batch->segments_count == batch->segments_cap)
        batch->segments =
            memory_double(batch->segments, &batch->segments_cap, sizeof(*batch->segments));
    batch->segments[batch->segments_count++] =
        (struct batch_segment){.absent_mask = mask, .begin = begin, .end = begin};
}

static void count_row(struct batch *batch, uint64_t mask, size_t begin)
{
    if (batch->segments_count == 0 ||
        batch->segments[batch->segments_count - 1].absent_mask != mask)
        add_segment(batch, mask, begin);
    struct batch_segment *segment = &batch->segments[batch->segments_count - 1];
    segment->end = batch->rows.len;
    segment->rows_count++;
}

static bool encode_row(struct batch *batch, const struct record *record, int32_t partition,
                       struct value *values, struct err *err)
{
    const struct mapping *mapping = batch->mapping;
    size_t begin = batch->rows.len;

    if (!mapping_decode(mapping, record, partition, values, err))
        return false;
    uint64_t mask = absent_mask(mapping, values);
    bool done = mapping->format == TYPE_FORMAT_BINARY
                    ? encode_binary_row(mapping, values, mask, &batch->rows, err)
                    : encode_text_row(mapping, values, mask, &batch->rows, err);
    if (!done) {
        batch->rows.len = begin;
        return false;
    }
    count_row(batch, mask, begin);
    return true;
}

static void bury(struct batch *batch, uint32_t index, const struct encode_settings *settings,
                 const struct err *reason)
{
    struct batch_letter *noted = batch_note_dead(batch, index);
    const struct dead_letter letter = {
        .sink = settings->sink,
        .topic = batch->topic,
        .partition = batch->partition,
        .record = &batch->records[index],
        .reason = reason,
        .table = batch->mapping->table.quoted,
        .instance = settings->instance,
        .backfill = settings->backfill,
    };

    if (settings->to_table)
        dead_letters_encode(&batch->dead_letters, &letter);
    if (settings->to_topic)
        reasons_note(&batch->reasons, index, reason);
    noted->end = batch->dead_letters.len;
    if (batch->dead_count == 1 && batch->buried_count == 0) {
        batch->dead_reason = *reason;
        batch->dead_first = batch->records[index].offset;
    }
}

/* The position ends at this record; the message names it, since nothing else will. */
static void stop_before(struct batch *batch, uint32_t index, const struct err *reason)
{
    batch->end = index;
    batch->stopped = true;
    batch->stop = *reason;
    err_context(&batch->stop, "%s[%" PRId32 "]@%" PRId64 " table %s", batch->topic,
                batch->partition, batch->records[index].offset, batch->mapping->table.quoted);
}

static void reset_results(struct batch *batch)
{
    buffer_reset(&batch->rows);
    buffer_reset(&batch->dead_letters);
    reasons_begin(&batch->reasons);
    batch->segments_count = 0;
    batch->dead_count = 0;
    batch->stopped = false;
    batch->end = batch->count;
}

void encode_batch(struct batch *batch, const struct encode_settings *settings)
{
    struct value on_stack[VALUES_ON_STACK];
    size_t values_count = batch->mapping->columns_count;
    struct value *values = values_count <= VALUES_ON_STACK
                               ? on_stack
                               : memory_new_array(values_count, sizeof(*values));

    reset_results(batch);
    for (uint32_t i = batch->first; i < batch->count && !batch->stopped; i++) {
        struct err err;

        if (LIKELY(encode_row(batch, &batch->records[i], batch->partition, values, &err)))
            continue;
        if ((settings->to_table || settings->to_topic) && err.class == ERR_DATA)
            bury(batch, i, settings, &err);
        else
            stop_before(batch, i, &err);
    }
    part_cut(batch, PART_WHOLE);
    if (values != on_stack)
        free(values);
}

void encode_refused(struct batch *batch, uint32_t index, const struct encode_settings *settings,
                    const struct err *reason)
{
    if (settings->to_table || settings->to_topic) {
        part_remove_row(batch, index);
        bury(batch, index, settings, reason);
    } else {
        part_remove_from(batch, index);
        stop_before(batch, index, reason);
    }
    part_cut(batch, PART_WHOLE);
}
