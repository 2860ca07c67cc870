/*
 * A cut is a boundary between two segments: where there is none, one segment becomes two. Flushes
 * join segments of the same columns, so PostgreSQL sees nothing of it. Where a row begins is found
 * by reading the encoded bytes up to it, which starts anew at each cut: all cuts of a batch
 * together read it about once, and a batch that is not cut pays nothing.
 */
#include "dispatch/part.h"

#include "base/memory.h"
#include "pg/copy_row.h"

#include <assert.h>

static void insert_segment(struct batch *batch, size_t at, const struct batch_segment *segment)
{
    if (batch->segments_count == batch->segments_cap) {
        batch->segments_cap = batch->segments_cap * 2;
        batch->segments =
            memory_resize(batch->segments, batch->segments_cap * sizeof(*batch->segments));
    }
    memmove(&batch->segments[at + 1], &batch->segments[at],
            (batch->segments_count - at) * sizeof(*batch->segments));
    batch->segments[at] = *segment;
    batch->segments_count++;
}

/* The segment's first rows stay in it, the others become the next one. */
static void split(struct batch *batch, size_t index, size_t rows_count)
{
    struct batch_segment *segment = &batch->segments[index];
    struct batch_segment rest = *segment;
    struct slice data = {batch->rows.data + segment->begin, segment->end - segment->begin};

    rest.begin += copy_row_bytes(batch->mapping->format, data, rows_count);
    rest.rows_count -= rows_count;
    segment->end = rest.begin;
    segment->rows_count = rows_count;
    insert_segment(batch, index + 1, &rest);
}

/* The segment that begins with this row, also behind the last one. */
static size_t segment_from(struct batch *batch, size_t row)
{
    size_t index = 0;

    while (index < batch->segments_count && row >= batch->segments[index].rows_count)
        row -= batch->segments[index++].rows_count;
    if (row == 0)
        return index;
    assert(index < batch->segments_count);
    split(batch, index, row);
    return index + 1;
}

/* Rows of the records in front of this one. */
static size_t rows_before(const struct batch *batch, uint32_t index)
{
    return index - batch->first - batch_dead_before(batch, index);
}

/* The position when the records in front of this one are committed. Gaps belong to what follows. */
static int64_t position_at(const struct batch *batch, uint32_t index)
{
    bool stops = batch->stopped && index == batch->end;

    return stops || index == batch->first ? batch->records[index].offset
                                          : batch->records[index - 1].offset + 1;
}

void part_cut(struct batch *batch, uint32_t records_count)
{
    uint32_t left = batch->end - batch->first;
    uint32_t end = batch->first + (records_count < left ? records_count : left);

    batch->part = (struct batch_part){
        .end = end,
        .segments_count = segment_from(batch, rows_before(batch, end)),
        .dead_count = batch_dead_before(batch, end),
    };
    batch->to = position_at(batch, end);
}

bool part_is_last(const struct batch *batch)
{
    return batch->part.end == batch->end;
}

uint32_t part_records_count(const struct batch *batch)
{
    return batch->part.end - batch->first;
}

size_t part_rows_count(const struct batch *batch)
{
    return part_records_count(batch) - batch->part.dead_count;
}

size_t part_bytes(const struct batch *batch)
{
    size_t bytes = 0;

    for (size_t i = 0; i < batch->part.segments_count; i++)
        bytes += batch->segments[i].end - batch->segments[i].begin;
    for (uint32_t i = 0; i < batch->part.dead_count; i++)
        bytes += batch->dead[i].end - batch->dead[i].begin;
    return bytes;
}

/* Of keys and values; a whole batch has counted them as they came. */
static size_t record_bytes(const struct batch *batch)
{
    size_t bytes = 0;

    if (batch->first == 0 && batch->part.end == batch->count)
        return batch->bytes;
    for (uint32_t i = batch->first; i < batch->part.end; i++)
        bytes += batch->records[i].key.len + batch->records[i].value.len;
    return bytes;
}

void part_count(const struct batch *batch, struct offsets_written *written)
{
    const struct record *first = &batch->records[batch->first];
    const struct record *last = &batch->records[batch->part.end - 1];

    if (part_records_count(batch) == 0)
        return; /* it stopped at its first record */
    if (written->rows_count + written->dead_letters_count == 0) {
        written->first_offset = first->offset;
        written->first_timestamp_ms = first->timestamp_ms;
    }
    written->rows_count += (int64_t)part_rows_count(batch);
    written->dead_letters_count += batch->part.dead_count;
    written->bytes += (int64_t)record_bytes(batch);
    written->last_offset = last->offset;
    written->last_timestamp_ms = last->timestamp_ms;
}

/* Rows are the records that are not dead, in order: skip the dead ones up to the row. */
uint32_t part_record_of_row(const struct batch *batch, size_t row)
{
    uint32_t index = batch->first + (uint32_t)row;

    for (uint32_t i = 0; i < batch->dead_count && batch->dead[i].index <= index; i++)
        index++;
    return index;
}

static void remove_segments(struct batch *batch, size_t first, size_t count)
{
    if (count == 0)
        return;
    memmove(&batch->segments[first], &batch->segments[first + count],
            (batch->segments_count - first - count) * sizeof(*batch->segments));
    batch->segments_count -= count;
}

void part_remove_row(struct batch *batch, uint32_t index)
{
    size_t row = rows_before(batch, index);
    size_t at = segment_from(batch, row);

    segment_from(batch, row + 1);
    remove_segments(batch, at, 1);
}

void part_remove_from(struct batch *batch, uint32_t index)
{
    batch->segments_count = segment_from(batch, rows_before(batch, index));
    batch->dead_count = batch_dead_before(batch, index);
    batch->end = index;
}

static void remove_letters(struct batch *batch, uint32_t count)
{
    if (count == 0)
        return;
    batch->dead_count -= count;
    memmove(batch->dead, batch->dead + count, batch->dead_count * sizeof(*batch->dead));
    if (batch->dead_count == 0)
        buffer_reset(&batch->dead_letters);
}

void part_drop(struct batch *batch)
{
    const struct batch_part part = batch->part;

    remove_segments(batch, 0, part.segments_count);
    remove_letters(batch, part.dead_count);
    reasons_forget(&batch->reasons, part.end);
    batch->buried_count += part.dead_count;
    batch->first = part.end;
    part_cut(batch, PART_WHOLE);
}
