/*
 *            first record        size, bytes, timeout          encoded             flush begins
 *   FREE ----------------> FILLING -----------------> ENCODING ---------> READY --------------->
 * FLUSHING ^                      |                           ^  |              |  ^ |  |  |
 *     +---- revoked ---------+                           |  |              |  +--- rolled back --+
 * |  |
 *     +---- revoked ----------------------------------------+--------------+ |  | | +------- a row
 * was refused ----------------+  |
 *     +------------------------------------------------------------------- committed
 * -------------------+
 *
 * READY also goes back to ENCODING when the table's description has changed.
 */
#include "dispatch/batch.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

void batch_set_state(struct batch *batch, enum batch_state to)
{
    static const bool allowed[5][5] = {
        [BATCH_FREE] = {[BATCH_FILLING] = true},
        [BATCH_FILLING] = {[BATCH_ENCODING] = true, [BATCH_FREE] = true},
        [BATCH_ENCODING] = {[BATCH_READY] = true, [BATCH_FREE] = true},
        [BATCH_READY] = {[BATCH_FLUSHING] = true, [BATCH_ENCODING] = true, [BATCH_FREE] = true},
        [BATCH_FLUSHING] = {[BATCH_READY] = true, [BATCH_ENCODING] = true, [BATCH_FREE] = true},
    };

    assert(allowed[batch->state][to]);
    batch->state = to;
}

struct batch *batch_create(struct arena_store *store)
{
    struct batch *batch = memory_new(sizeof(*batch));

    arena_init(&batch->arena, store);
    return batch;
}

void batch_destroy(struct batch *batch)
{
    if (!batch)
        return;
    arena_reset(&batch->arena);
    buffer_finish(&batch->rows);
    buffer_finish(&batch->dead_letters);
    free(batch->records);
    free(batch->segments);
    free(batch->dead);
    free(batch->refusals);
    free(batch);
}

void batch_reset(struct batch *batch)
{
    batch_set_state(batch, BATCH_FREE);
    arena_reset(&batch->arena);
    buffer_reset(&batch->rows);
    buffer_reset(&batch->dead_letters);
    batch->queue = NULL;
    batch->mapping = NULL;
    batch->count = 0;
    batch->bytes = 0;
    batch->segments_count = 0;
    batch->dead_count = 0;
    batch->refusals_count = 0;
    batch->stopped = false;
}

static void grow_records(struct batch *batch)
{
    batch->cap = batch->cap ? batch->cap * 2 : 16;
    batch->records = memory_resize(batch->records, batch->cap * sizeof(*batch->records));
}

/* Slices keep the difference between NULL and empty. */
static struct slice keep(struct batch *batch, struct slice bytes)
{
    if (!bytes.data)
        return bytes;
    if (bytes.len == 0)
        return slice_of("");
    char *copy = arena_alloc(&batch->arena, bytes.len);
    memcpy(copy, bytes.data, bytes.len);
    return (struct slice){copy, bytes.len};
}

void batch_append(struct batch *batch, const struct record *record)
{
    if (UNLIKELY(batch->count == batch->cap))
        grow_records(batch);
    struct record *kept = &batch->records[batch->count++];
    kept->offset = record->offset;
    kept->timestamp_ms = record->timestamp_ms;
    kept->key = keep(batch, record->key);
    kept->value = keep(batch, record->value);
    kept->headers = keep(batch, record->headers);
    batch->bytes += record->key.len + record->value.len + record->headers.len;
    batch->to = record->offset + 1;
}

void batch_note_dead(struct batch *batch, uint32_t index)
{
    if (batch->dead_count == batch->dead_cap) {
        batch->dead_cap = batch->dead_cap ? batch->dead_cap * 2 : 16;
        batch->dead = memory_resize(batch->dead, batch->dead_cap * sizeof(*batch->dead));
    }
    batch->dead[batch->dead_count++] = index;
}

/* Rows are the records that are not dead, in order: skip the dead ones up to the row. */
static uint32_t record_of_row(const struct batch *batch, size_t row)
{
    uint32_t index = (uint32_t)row;

    for (uint32_t i = 0; i < batch->dead_count && batch->dead[i] <= index; i++)
        index++;
    return index;
}

/* How many refusals are of records in front of this one: they are in the order of their records. */
static size_t refusals_before(const struct batch *batch, uint32_t index)
{
    size_t low = 0;
    size_t high = batch->refusals_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (batch->refusals[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void batch_refuse_row(struct batch *batch, size_t row, const struct err *err)
{
    uint32_t index = record_of_row(batch, row);
    size_t at = refusals_before(batch, index);
    size_t behind = batch->refusals_count - at;

    batch->refusals =
        memory_resize(batch->refusals, (batch->refusals_count + 1) * sizeof(*batch->refusals));
    memmove(&batch->refusals[at + 1], &batch->refusals[at], behind * sizeof(*batch->refusals));
    batch->refusals[at] = (struct batch_refusal){.index = index, .err = *err};
    batch->refusals_count++;
}

const struct err *batch_refusal(const struct batch *batch, uint32_t index)
{
    size_t at = refusals_before(batch, index);

    if (at < batch->refusals_count && batch->refusals[at].index == index)
        return &batch->refusals[at].err;
    return NULL;
}

size_t batch_rows_count(const struct batch *batch)
{
    size_t count = 0;

    for (size_t i = 0; i < batch->segments_count; i++)
        count += batch->segments[i].rows_count;
    return count;
}

size_t batch_overhead_bytes(const struct batch *batch)
{
    return batch->cap * sizeof(*batch->records) + batch->rows.cap + batch->dead_letters.cap;
}
