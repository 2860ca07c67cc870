/*
 *   FREE
 *    | first record
 *    v
 *   FILLING
 *    | size, bytes, timeout
 *    v
 *   ENCODING <--------------+
 *    | encoded              | the table's description has changed
 *    v                      |
 *   READY ------------------+
 *    | ^  ^ | dead letters for the topic
 *    | |  | v
 *    | |  PRODUCING: READY again when they are acknowledged
 *    | |
 *    v | rolled back, or a part committed
 *   FLUSHING
 *    | committed
 *    v
 *   FREE
 *
 * When its partition is revoked, a batch is FREE at once, or when its worker or flush is over.
 */
#include "dispatch/batch.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

void batch_set_state(struct batch *batch, enum batch_state to)
{
    static const bool allowed[6][6] = {
        [BATCH_FREE] = {[BATCH_FILLING] = true},
        [BATCH_FILLING] = {[BATCH_ENCODING] = true, [BATCH_FREE] = true},
        [BATCH_ENCODING] = {[BATCH_READY] = true, [BATCH_FREE] = true},
        [BATCH_PRODUCING] = {[BATCH_READY] = true, [BATCH_FREE] = true},
        [BATCH_READY] = {[BATCH_FLUSHING] = true,
                         [BATCH_ENCODING] = true,
                         [BATCH_PRODUCING] = true,
                         [BATCH_FREE] = true},
        [BATCH_FLUSHING] = {[BATCH_READY] = true, [BATCH_FREE] = true},
    };

    assert(allowed[batch->state][to]);
    batch->state = to;
}

struct batch *batch_create(struct arena_store *store)
{
    struct batch *batch = memory_new(sizeof(*batch));

    arena_init(&batch->arena, store);
    batch->leader_epoch = -1;
    return batch;
}

void batch_destroy(struct batch *batch)
{
    if (!batch)
        return;
    arena_reset(&batch->arena);
    buffer_finish(&batch->rows);
    buffer_finish(&batch->dead_letters);
    reasons_finish(&batch->reasons);
    free(batch->records);
    free(batch->segments);
    free(batch->dead);
    free(batch);
}

void batch_reset(struct batch *batch)
{
    batch_set_state(batch, BATCH_FREE);
    arena_reset(&batch->arena);
    buffer_reset(&batch->rows);
    buffer_reset(&batch->dead_letters);
    reasons_reset(&batch->reasons);
    batch->queue = NULL;
    batch->mapping = NULL;
    batch->count = 0;
    batch->bytes = 0;
    batch->first = 0;
    batch->end = 0;
    batch->part = (struct batch_part){0};
    batch->segments_count = 0;
    batch->dead_count = 0;
    batch->buried_count = 0;
    batch->counted = false;
    batch->stopped = false;
    batch->leader_epoch = -1;
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
        batch->records = memory_double(batch->records, &batch->cap, sizeof(*batch->records));
    struct record *kept = &batch->records[batch->count++];
    kept->offset = record->offset;
    kept->timestamp_ms = record->timestamp_ms;
    kept->key = keep(batch, record->key);
    kept->value = keep(batch, record->value);
    kept->headers = keep(batch, record->headers);
    batch->bytes += record->key.len + record->value.len + record->headers.len;
    batch->to = record->offset + 1;
}

uint32_t batch_dead_before(const struct batch *batch, uint32_t index)
{
    uint32_t low = 0;
    uint32_t high = batch->dead_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (batch->dead[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct batch_letter *batch_note_dead(struct batch *batch, uint32_t index)
{
    uint32_t at = batch_dead_before(batch, index);

    if (batch->dead_count == batch->dead_cap)
        batch->dead = memory_double(batch->dead, &batch->dead_cap, sizeof(*batch->dead));
    memmove(&batch->dead[at + 1], &batch->dead[at],
            (batch->dead_count - at) * sizeof(*batch->dead));
    batch->dead[at] = (struct batch_letter){
        .index = index, .begin = batch->dead_letters.len, .end = batch->dead_letters.len};
    batch->dead_count++;
    return &batch->dead[at];
}

size_t batch_overhead_bytes(const struct batch *batch)
{
    return batch->cap * sizeof(*batch->records) + batch->rows.cap + batch->dead_letters.cap +
           batch->segments_cap * sizeof(*batch->segments) + batch->dead_cap * sizeof(*batch->dead) +
           reasons_bytes(&batch->reasons);
}
