/*
 * Records in, ready batches out.
 *
 *   intake_append --> FILLING --size, bytes, timeout--> ENCODING --> READY
 *                                        (by a worker, or inline when small)
 *
 * Headers: asking librdkafka for them costs a seventh of all that a record costs, even when it has
 * none, and they only matter to a mapping with such a column and to dead letters. So they are not
 * read until the first dead letter of a queue turns up; then its batch and what follows are dropped
 * and read again, this time and from then on with headers.
 *
 * Everything that holds a record's bytes is counted here. Reading stops when the budget is used up,
 * and before that when it is far enough ahead: what lies in memory waiting for a connection is
 * written no sooner, but no longer lies in the processor's cache. Measured on W2, 12 partitions,
 * one connection: half of AHEAD_FLUSHES, and PostgreSQL waits for a quarter of the time and gets
 * flushes of half the size; the whole budget, and a tenth more CPU time is spent.
 */
#include "dispatch/intake.h"

#include "base/clock.h"
#include "base/memory.h"
#include "dispatch/letters.h"
#include "dispatch/part.h"
#include "ops/log.h"

enum {
    INLINE_ENCODE_BYTES = 16 * 1024, /* below it, handing over costs more than encoding */
    AHEAD_FLUSHES = 8, /* for each connection: being filled, encoded, waiting, under way; twice */
};

/* Memory. */

/* What will be encoded needs about as much again. */
static size_t expected_bytes(const struct dispatcher *dispatcher)
{
    size_t records = dispatcher->store.used_bytes;
    size_t encoded = dispatcher->overhead_bytes;

    return records + (encoded > records ? encoded : records);
}

size_t intake_memory_bytes(const struct dispatcher *dispatcher)
{
    return dispatcher->store.used_bytes + dispatcher->overhead_bytes;
}

static bool has_room(const struct dispatcher *dispatcher)
{
    return expected_bytes(dispatcher) < dispatcher->working_bytes;
}

/* Only when a good part is free again: reading in crumbs would be slow. */
void intake_announce_room(struct dispatcher *dispatcher)
{
    if (!dispatcher->full ||
        expected_bytes(dispatcher) > dispatcher->working_bytes - dispatcher->working_bytes / 8)
        return;
    dispatcher->full = false;
    dispatcher->hooks.room(dispatcher->hooks.opaque);
}

/* Batches: from the free list and back. */

static struct batch *take_batch(struct dispatcher *dispatcher)
{
    struct batch *batch = TAILQ_FIRST(&dispatcher->free_batches);

    if (batch) {
        TAILQ_REMOVE(&dispatcher->free_batches, batch, entry);
        dispatcher->free_batches_bytes -= batch_overhead_bytes(batch);
    } else {
        batch = batch_create(&dispatcher->store);
    }
    dispatcher->batches_count++;
    dispatcher->overhead_bytes += batch_overhead_bytes(batch);
    return batch;
}

/*
 * Kept memory is memory too: it makes way for what is in use, and is no more than three quarters of
 * the budget.
 */
static void trim_kept(struct dispatcher *dispatcher)
{
    size_t used = intake_memory_bytes(dispatcher);
    size_t limit = dispatcher->limit_bytes;
    size_t room = used < limit ? limit - used : 0;
    size_t batches = room / 2 < limit / 4 ? room / 2 : limit / 4;

    while (dispatcher->free_batches_bytes > batches) {
        struct batch *batch = TAILQ_LAST(&dispatcher->free_batches, batch_list);
        TAILQ_REMOVE(&dispatcher->free_batches, batch, entry);
        dispatcher->free_batches_bytes -= batch_overhead_bytes(batch);
        batch_destroy(batch);
    }
    size_t chunks = room - dispatcher->free_batches_bytes;
    arena_store_trim(&dispatcher->store, chunks < limit / 2 ? chunks : limit / 2);
}

static void give_back_batch(struct dispatcher *dispatcher, struct batch *batch)
{
    dispatcher->overhead_bytes -= batch_overhead_bytes(batch);
    dispatcher->batches_count--;
    batch_reset(batch);
    TAILQ_INSERT_HEAD(&dispatcher->free_batches, batch, entry);
    dispatcher->free_batches_bytes += batch_overhead_bytes(batch);
    trim_kept(dispatcher);
}

static void recount(struct dispatcher *dispatcher, struct batch *batch, size_t before)
{
    dispatcher->overhead_bytes += batch_overhead_bytes(batch) - before;
    trim_kept(dispatcher);
}

/* Encoding. */

static void on_encoded(uv_work_t *work, int status);

static void encode_job(uv_work_t *work)
{
    struct batch *batch = work->data;
    int64_t began_us = clock_now_us();

    encode_batch(batch, batch->settings);
    batch->encode_us = clock_now_us() - began_us;
}

void intake_encode(struct dispatcher *dispatcher, struct batch *batch)
{
    batch_set_state(batch, BATCH_ENCODING);
    batch->mapping = batch->queue->route->mapping;
    batch->settings = &dispatcher->encode_settings;
    batch->owner = dispatcher;
    batch->work.data = batch;
    batch->encode_overhead = batch_overhead_bytes(batch);
    if (batch->bytes >= INLINE_ENCODE_BYTES) {
        uv_queue_work(dispatcher->loop, &batch->work, encode_job, on_encoded);
        return;
    }
    encode_job(&batch->work);
    on_encoded(&batch->work, 0);
}

/* From this batch on, the queue's records are read again, with headers. */
static void read_again_with_headers(struct dispatcher *dispatcher, struct batch *batch)
{
    struct queue *queue = batch->queue;
    int64_t offset = batch->records[batch->first].offset;

    log_info("read again with headers", LOG_STR("topic", batch->topic),
             LOG_INT("partition", batch->partition), LOG_INT("offset", offset));
    while (batch) {
        struct batch *next = TAILQ_NEXT(batch, entry);
        intake_drop(dispatcher, queue, batch);
        batch = next;
    }
    queue->wants_headers = true;
    queue->read_next = offset;
    dispatcher->hooks.start(dispatcher->hooks.opaque, queue);
    intake_announce_room(dispatcher);
}

static bool lacks_headers(const struct batch *batch)
{
    return !batch->has_headers && (batch->dead_count > 0 || batch->mapping->wants_headers);
}

static void on_encoded(uv_work_t *work, int status)
{
    struct batch *batch = work->data;
    struct dispatcher *dispatcher = batch->owner;

    (void)status; /* the work is never cancelled */
    dispatcher->counters.encode_us += (uint64_t)batch->encode_us;
    recount(dispatcher, batch, batch->encode_overhead);
    if (!batch->queue) {
        give_back_batch(dispatcher, batch);
        intake_announce_room(dispatcher);
        return;
    }
    batch_set_state(batch, BATCH_READY);
    if (batch->mapping != batch->queue->route->mapping)
        intake_encode(dispatcher, batch); /* the table has changed meanwhile */
    else if (lacks_headers(batch))
        read_again_with_headers(dispatcher, batch);
    else
        letters_admit(dispatcher, batch);
}

/* Parts of a batch: see isolate.c. */

static bool keeps_letters(const struct encode_settings *settings)
{
    return settings->to_table || settings->to_topic;
}

bool intake_refuse(struct dispatcher *dispatcher, struct batch *batch, uint32_t index,
                   const struct err *reason)
{
    size_t before = batch_overhead_bytes(batch);

    if (!batch->has_headers && keeps_letters(&dispatcher->encode_settings)) {
        read_again_with_headers(dispatcher, batch);
        return false;
    }
    encode_refused(batch, index, &dispatcher->encode_settings, reason);
    batch->queue->route->counters.refused++;
    recount(dispatcher, batch, before);
    return true;
}

void intake_cut(struct dispatcher *dispatcher, struct batch *batch, uint32_t records_count)
{
    size_t before = batch_overhead_bytes(batch);

    part_cut(batch, records_count);
    recount(dispatcher, batch, before);
}

/* Filling. */

static void arm_batch_timer(struct dispatcher *dispatcher);

static void close_batch(struct dispatcher *dispatcher, struct batch *batch,
                        enum counters_trigger trigger)
{
    counters_close(dispatcher, batch, trigger);
    TAILQ_REMOVE(&dispatcher->filling, batch, filling_entry);
    batch->queue->filling = NULL;
    intake_encode(dispatcher, batch);
}

static void close_all(struct dispatcher *dispatcher, enum counters_trigger trigger)
{
    while (!TAILQ_EMPTY(&dispatcher->filling))
        close_batch(dispatcher, TAILQ_FIRST(&dispatcher->filling), trigger);
}

/*
 * When one is due, all go: they become one flush, where each alone would become one of its own a
 * few milliseconds later. Fewer transactions, and records wait for half the timeout on average.
 */
static void on_batch_timeout(uv_timer_t *timer)
{
    struct dispatcher *dispatcher = timer->data;
    const struct batch *oldest = TAILQ_FIRST(&dispatcher->filling);

    if (oldest && oldest->opened_ms + dispatcher->config->batch_timeout_ms <= clock_now_ms())
        close_all(dispatcher, COUNTERS_LINGER);
    arm_batch_timer(dispatcher);
}

static void arm_batch_timer(struct dispatcher *dispatcher)
{
    const struct batch *oldest = TAILQ_FIRST(&dispatcher->filling);

    if (!oldest)
        return;
    int64_t wait_ms = oldest->opened_ms + dispatcher->config->batch_timeout_ms - clock_now_ms();
    uv_timer_start(&dispatcher->batch_timer, on_batch_timeout, wait_ms > 0 ? (uint64_t)wait_ms : 0,
                   0);
}

static struct batch *open_batch(struct dispatcher *dispatcher, struct queue *queue)
{
    struct batch *batch = take_batch(dispatcher);

    batch_set_state(batch, BATCH_FILLING);
    batch->queue = queue;
    batch->topic = queue->route->topic;
    batch->partition = queue->partition;
    batch->opened_ms = clock_now_ms();
    batch->has_headers = queue->wants_headers;
    batch->leader_epoch = queue->reading_epoch;
    queue->consumed_ms = clock_wall_ms();
    if (TAILQ_EMPTY(&queue->batches))
        queue->moved_ms = batch->opened_ms;
    TAILQ_INSERT_TAIL(&queue->batches, batch, entry);
    letters_number(batch);
    TAILQ_INSERT_TAIL(&dispatcher->filling, batch, filling_entry);
    queue->filling = batch;
    if (!uv_is_active((uv_handle_t *)&dispatcher->batch_timer))
        arm_batch_timer(dispatcher);
    return batch;
}

bool intake_append(struct dispatcher *dispatcher, struct queue *queue, const struct record *record)
{
    if (UNLIKELY(queue->state == QUEUE_HALTED || queue->state == QUEUE_REVOKED ||
                 !queue->fetching || record->offset < queue->read_next))
        return true;
    if (UNLIKELY(record->offset >= queue->end)) {
        queue_read_up_to(queue, record->offset);
        return true;
    }
    struct batch *batch = queue->filling;
    if (UNLIKELY(!batch))
        batch = open_batch(dispatcher, queue);
    uint32_t cap = batch->cap;
    batch_append(batch, record);
    if (UNLIKELY(batch->leader_epoch != queue->reading_epoch))
        batch->leader_epoch = -1;
    if (UNLIKELY(batch->cap != cap))
        dispatcher->overhead_bytes += (batch->cap - cap) * sizeof(struct record);
    queue->read_next = record->offset + 1;
    if (UNLIKELY(batch->count >= dispatcher->config->batch_size))
        close_batch(dispatcher, batch, COUNTERS_RECORDS);
    else if (UNLIKELY((int64_t)batch->bytes >= dispatcher->config->batch_bytes))
        close_batch(dispatcher, batch, COUNTERS_BYTES);
    if (LIKELY(has_room(dispatcher)))
        return true;
    dispatcher->full = true;
    return false;
}

/* Dropping. */

void intake_drop(struct dispatcher *dispatcher, struct queue *queue, struct batch *batch)
{
    TAILQ_REMOVE(&queue->batches, batch, entry);
    if (batch->state == BATCH_PRODUCING)
        dispatcher->hooks.letters.abandon(dispatcher->hooks.letters.opaque, batch);
    if (batch->state == BATCH_FILLING) {
        counters_take(batch);
        TAILQ_REMOVE(&dispatcher->filling, batch, filling_entry);
        queue->filling = NULL;
    }
    if (batch->state == BATCH_ENCODING)
        batch->queue = NULL; /* the worker has it: on_encoded gives it back */
    else
        give_back_batch(dispatcher, batch);
}

/* All but what a flush has sent: its outcome decides about those. Returns how many records that
 * were. */
size_t intake_drop_unsent(struct dispatcher *dispatcher, struct queue *queue)
{
    struct batch *batch = TAILQ_FIRST(&queue->batches);
    size_t records = 0;

    while (batch) {
        struct batch *next = TAILQ_NEXT(batch, entry);
        if (batch->state != BATCH_FLUSHING) {
            records += batch->count;
            intake_drop(dispatcher, queue, batch);
        }
        batch = next;
    }
    dispatcher_update_ready(dispatcher, queue);
    intake_announce_room(dispatcher);
    return records;
}

static struct batch *find_outdated(const struct queue *queue)
{
    struct batch *batch;

    TAILQ_FOREACH (batch, &queue->batches, entry)
        if (batch->state == BATCH_READY && batch->mapping != queue->route->mapping)
            return batch;
    return NULL;
}

/* A table that has changed: what waits is encoded anew, so that it fits, or is even read again. */
void intake_encode_anew(struct dispatcher *dispatcher, struct queue *queue)
{
    for (struct batch *batch; (batch = find_outdated(queue));)
        intake_encode(dispatcher, batch);
    dispatcher_update_ready(dispatcher, queue);
}

void intake_drain(struct dispatcher *dispatcher)
{
    dispatcher->draining = true;
    close_all(dispatcher, COUNTERS_SHUTDOWN);
}

void intake_turn(struct dispatcher *dispatcher)
{
    size_t connections = pool_open_count(&dispatcher->pool);
    size_t ahead = (connections + 1) * AHEAD_FLUSHES * (size_t)dispatcher->config->batch_bytes;
    size_t chunks =
        (dispatcher->queues_count + 1) * 4 * ARENA_CHUNK_BYTES; /* one for each, and its rows */

    ahead = ahead > chunks ? ahead : chunks;
    dispatcher->working_bytes = ahead < dispatcher->limit_bytes ? ahead : dispatcher->limit_bytes;
    intake_announce_room(dispatcher);
    if (dispatcher->full && TAILQ_EMPTY(&dispatcher->flushes) && TAILQ_EMPTY(&dispatcher->ready))
        close_all(dispatcher, COUNTERS_MEMORY);
}

bool intake_is_empty(const struct dispatcher *dispatcher)
{
    return dispatcher->batches_count == 0;
}
