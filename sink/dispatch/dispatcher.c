/*
 * The loop's turn.
 *
 *   records --> queue --> batch --> encode (worker) --> ready list --+
 *                                                                    | turn: idle connections are given
 *   unrouted queues (their table's description is wanted) -----------+ 1. descriptions to load
 *   unclaimed queues ------------------------------------------------+ 2. positions to claim
 *                                                                      3. flushes
 *
 * turn runs once in each iteration of the loop, before it sleeps: whatever changed during the iteration
 * (a batch got ready, a connection idle, a retry due) is acted on there and nowhere else.
 *
 * Group commit tunes itself: a flush takes the oldest ready batch and with it all other ready batches
 * for the same table, up to a limit. While connections are busy more batches get ready, so the next flush
 * is larger.
 *
 * Invariants: a queue has at most one flush; a batch is in exactly one queue's list unless it was dropped
 * while a worker held it; state is list membership for queues and batches.
 */
#include "dispatch/dispatcher.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/memory.h"
#include "dispatch/retry.h"
#include "ops/log.h"

#include <assert.h>
#include <stdlib.h>

enum {
    INLINE_ENCODE_BYTES = 16 * 1024, /* below it, handing over costs more than encoding */
    RETRY_TICK_MS = 50,
    FLUSH_PARTITIONS_MAX = 256,
};

/* Memory. */

/* What will be encoded needs about as much again. */
static size_t expected_bytes(const struct dispatcher *dispatcher)
{
    size_t records = dispatcher->store.used_bytes;
    size_t encoded = dispatcher->overhead_bytes;

    return records + (encoded > records ? encoded : records);
}

size_t dispatcher_memory_bytes(const struct dispatcher *dispatcher)
{
    return dispatcher->store.used_bytes + dispatcher->overhead_bytes;
}

static bool has_room(const struct dispatcher *dispatcher)
{
    return expected_bytes(dispatcher) < dispatcher->limit_bytes;
}

/* Only when a good part is free again: reading in crumbs would be slow. */
static void maybe_announce_room(struct dispatcher *dispatcher)
{
    if (!dispatcher->full ||
        expected_bytes(dispatcher) > dispatcher->limit_bytes - dispatcher->limit_bytes / 8)
        return;
    dispatcher->full = false;
    dispatcher->hooks.room(dispatcher->hooks.opaque);
}

static void recount(struct dispatcher *dispatcher, struct batch *batch, size_t before)
{
    dispatcher->overhead_bytes += batch_overhead_bytes(batch) - before;
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

/* Kept memory is memory too: no more than a quarter of the budget. */
static void give_back_batch(struct dispatcher *dispatcher, struct batch *batch)
{
    dispatcher->overhead_bytes -= batch_overhead_bytes(batch);
    dispatcher->batches_count--;
    batch_reset(batch);
    if (dispatcher->free_batches_bytes + batch_overhead_bytes(batch) < dispatcher->limit_bytes / 4) {
        TAILQ_INSERT_HEAD(&dispatcher->free_batches, batch, entry);
        dispatcher->free_batches_bytes += batch_overhead_bytes(batch);
    } else {
        batch_destroy(batch);
    }
    arena_store_trim(&dispatcher->store, dispatcher->limit_bytes / 2);
}

/* The ready list. */

static void update_ready(struct dispatcher *dispatcher, struct queue *queue)
{
    bool ready = queue_is_flushable(queue, clock_now_ms());

    if (ready == queue->ready)
        return;
    queue->ready = ready;
    if (ready)
        TAILQ_INSERT_TAIL(&dispatcher->ready, queue, ready_entry);
    else
        TAILQ_REMOVE(&dispatcher->ready, queue, ready_entry);
}

static void set_queue_state(struct dispatcher *dispatcher, struct queue *queue, enum queue_state to)
{
    log_debug("queue", LOG_STR("topic", queue->route->topic), LOG_INT("partition", queue->partition),
              LOG_STR("from", queue_state_name(queue->state)), LOG_STR("to", queue_state_name(to)));
    queue_set_state(queue, to, dispatcher->queues);
    update_ready(dispatcher, queue);
}

/* Encoding. */

static void on_encoded(uv_work_t *work, int status);

static void encode_job(uv_work_t *work)
{
    struct batch *batch = work->data;

    encode_batch(batch, batch->settings);
}

static void start_encoding(struct dispatcher *dispatcher, struct batch *batch)
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

static void on_encoded(uv_work_t *work, int status)
{
    struct batch *batch = work->data;
    struct dispatcher *dispatcher = batch->owner;

    (void)status; /* the work is never cancelled */
    recount(dispatcher, batch, batch->encode_overhead);
    if (!batch->queue) {
        give_back_batch(dispatcher, batch);
        return;
    }
    batch_set_state(batch, BATCH_READY);
    if (batch->mapping != batch->queue->route->mapping)
        start_encoding(dispatcher, batch); /* the table has changed meanwhile */
    else
        update_ready(dispatcher, batch->queue);
}

/* Filling. */

static void arm_batch_timer(struct dispatcher *dispatcher);

static void close_batch(struct dispatcher *dispatcher, struct batch *batch)
{
    TAILQ_REMOVE(&dispatcher->filling, batch, filling_entry);
    batch->queue->filling = NULL;
    start_encoding(dispatcher, batch);
}

static void on_batch_timeout(uv_timer_t *timer)
{
    struct dispatcher *dispatcher = timer->data;
    int64_t due_ms = clock_now_ms() - dispatcher->config->batch_timeout_ms;
    struct batch *batch;

    while ((batch = TAILQ_FIRST(&dispatcher->filling)) && batch->opened_ms <= due_ms)
        close_batch(dispatcher, batch);
    arm_batch_timer(dispatcher);
}

static void arm_batch_timer(struct dispatcher *dispatcher)
{
    const struct batch *oldest = TAILQ_FIRST(&dispatcher->filling);

    if (!oldest)
        return;
    int64_t wait_ms = oldest->opened_ms + dispatcher->config->batch_timeout_ms - clock_now_ms();
    uv_timer_start(&dispatcher->batch_timer, on_batch_timeout, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static struct batch *open_batch(struct dispatcher *dispatcher, struct queue *queue)
{
    struct batch *batch = take_batch(dispatcher);

    batch_set_state(batch, BATCH_FILLING);
    batch->queue = queue;
    batch->topic = queue->route->topic;
    batch->partition = queue->partition;
    batch->opened_ms = clock_now_ms();
    TAILQ_INSERT_TAIL(&queue->batches, batch, entry);
    TAILQ_INSERT_TAIL(&dispatcher->filling, batch, filling_entry);
    queue->filling = batch;
    if (!uv_is_active((uv_handle_t *)&dispatcher->batch_timer))
        arm_batch_timer(dispatcher);
    return batch;
}

bool dispatcher_append(struct dispatcher *dispatcher, struct queue *queue, const struct record *record)
{
    if (UNLIKELY(queue->state == QUEUE_HALTED || queue->state == QUEUE_REVOKED || !queue->fetching ||
                 record->offset < queue->read_next))
        return true;
    struct batch *batch = queue->filling;
    if (UNLIKELY(!batch))
        batch = open_batch(dispatcher, queue);
    uint32_t cap = batch->cap;
    batch_append(batch, record);
    if (UNLIKELY(batch->cap != cap))
        dispatcher->overhead_bytes += (batch->cap - cap) * sizeof(struct record);
    queue->read_next = record->offset + 1;
    if (UNLIKELY(batch->count >= dispatcher->config->batch_size ||
                 (int64_t)batch->bytes >= dispatcher->config->batch_bytes))
        close_batch(dispatcher, batch);
    if (LIKELY(has_room(dispatcher)))
        return true;
    dispatcher->full = true;
    return false;
}

/* Dropping. */

static void drop_batch(struct dispatcher *dispatcher, struct queue *queue, struct batch *batch)
{
    TAILQ_REMOVE(&queue->batches, batch, entry);
    if (batch->state == BATCH_FILLING) {
        TAILQ_REMOVE(&dispatcher->filling, batch, filling_entry);
        queue->filling = NULL;
    }
    if (batch->state == BATCH_ENCODING)
        batch->queue = NULL; /* the worker has it: on_encoded gives it back */
    else
        give_back_batch(dispatcher, batch);
}

/* All but what a flush has sent: its outcome decides about those. Returns how many records that were. */
static size_t drop_unsent(struct dispatcher *dispatcher, struct queue *queue)
{
    struct batch *batch = TAILQ_FIRST(&queue->batches);
    size_t records = 0;

    while (batch) {
        struct batch *next = TAILQ_NEXT(batch, entry);
        if (batch->state != BATCH_FLUSHING) {
            records += batch->count;
            drop_batch(dispatcher, queue, batch);
        }
        batch = next;
    }
    update_ready(dispatcher, queue);
    maybe_announce_room(dispatcher);
    return records;
}

static void stop_fetching(struct dispatcher *dispatcher, struct queue *queue)
{
    if (!queue->fetching)
        return;
    queue->fetching = false;
    dispatcher->hooks.stop(dispatcher->hooks.opaque, queue);
}

static void start_fetching(struct dispatcher *dispatcher, struct queue *queue)
{
    queue->fetching = true;
    dispatcher->hooks.start(dispatcher->hooks.opaque, queue);
}

void dispatcher_halt(struct dispatcher *dispatcher, struct queue *queue, const struct err *err)
{
    int64_t retry_ms = retry_halted_ms(queue->attempts, backoff_random());

    if (queue->state == QUEUE_HALTED || queue->state == QUEUE_REVOKED)
        return;
    queue->halted = *err;
    queue->attempts++;
    queue->retry_at_ms = clock_now_ms() + retry_ms;
    log_error("partition halted", LOG_STR("topic", queue->route->topic),
              LOG_INT("partition", queue->partition), LOG_INT("position", queue->position),
              LOG_STR("class", err_class_name(err->class)), LOG_ERR(err), LOG_INT("retry_ms", retry_ms));
    set_queue_state(dispatcher, queue, QUEUE_HALTED);
    stop_fetching(dispatcher, queue);
    drop_unsent(dispatcher, queue);
}

/* The life of a queue: routed, claimed, placed, open. */

static void open_queue(struct dispatcher *dispatcher, struct queue *queue)
{
    set_queue_state(dispatcher, queue, QUEUE_OPEN);
    if (!queue->fetching)
        start_fetching(dispatcher, queue);
}

static void place_queue(struct dispatcher *dispatcher, struct queue *queue)
{
    set_queue_state(dispatcher, queue, QUEUE_UNPLACED);
    dispatcher->hooks.place(dispatcher->hooks.opaque, queue);
}

void dispatcher_place(struct dispatcher *dispatcher, struct queue *queue, int64_t offset)
{
    if (queue->state != QUEUE_UNPLACED)
        return;
    queue->initial = offset;
    if (dispatcher->flush_settings.exactly_once) {
        set_queue_state(dispatcher, queue, QUEUE_UNCLAIMED);
        return;
    }
    queue->position = offset;
    queue->read_next = offset;
    open_queue(dispatcher, queue);
}

/* A table that has changed: what waits is encoded anew, so that it fits. */
static void encode_anew(struct dispatcher *dispatcher, struct queue *queue)
{
    struct batch *batch;

    TAILQ_FOREACH(batch, &queue->batches, entry)
        if (batch->state == BATCH_READY && batch->mapping != queue->route->mapping)
            start_encoding(dispatcher, batch);
}

/* Its table is known. One that was open before goes on under its claim; else the claim comes next. */
static void on_queue_routed(struct dispatcher *dispatcher, struct queue *queue)
{
    const struct route *route = queue->route;

    if (route->state == ROUTE_BROKEN) {
        dispatcher_halt(dispatcher, queue, &route->err);
    } else if (queue->attempts > 0 && !TAILQ_EMPTY(&queue->batches) && !route->changed) {
        dispatcher_halt(dispatcher, queue, &queue->halted); /* reading it anew mended nothing */
    } else if (queue->fetching) {
        set_queue_state(dispatcher, queue, QUEUE_OPEN);
        encode_anew(dispatcher, queue);
    } else if (dispatcher->flush_settings.exactly_once) {
        set_queue_state(dispatcher, queue, QUEUE_UNCLAIMED);
    } else {
        place_queue(dispatcher, queue);
    }
}

static void on_route_loaded(struct route *route, void *opaque)
{
    struct dispatcher *dispatcher = opaque;
    struct queue *queue = TAILQ_FIRST(&dispatcher->queues[QUEUE_UNROUTED]);

    if (route->state == ROUTE_UNKNOWN)
        return; /* the connection was lost: the next turn tries again */
    while (queue) {
        struct queue *next = TAILQ_NEXT(queue, entry);
        if (queue->route == route)
            on_queue_routed(dispatcher, queue);
        queue = next;
    }
}

struct route *dispatcher_route(struct dispatcher *dispatcher, const char *topic)
{
    struct route *route;

    TAILQ_FOREACH(route, &dispatcher->routes, entry)
        if (strcmp(route->topic, topic) == 0)
            return route;
    route = route_create(dispatcher->config, topic);
    TAILQ_INSERT_TAIL(&dispatcher->routes, route, entry);
    return route;
}

struct queue *dispatcher_assign(struct dispatcher *dispatcher, const char *topic, int32_t partition)
{
    struct queue *queue = queue_create(dispatcher_route(dispatcher, topic), partition);

    TAILQ_INSERT_TAIL(&dispatcher->queues[QUEUE_UNROUTED], queue, entry);
    if (queue->route->state == ROUTE_BROKEN)
        route_forget(queue->route);
    if (queue->route->state == ROUTE_KNOWN)
        on_queue_routed(dispatcher, queue);
    return queue;
}

/* After a REVOKED queue's last thing came back. */
static void maybe_bury_queue(struct dispatcher *dispatcher, struct queue *queue)
{
    if (queue->state != QUEUE_REVOKED || !queue_is_quiet(queue))
        return;
    TAILQ_REMOVE(&dispatcher->queues[QUEUE_REVOKED], queue, entry);
    queue_destroy(queue);
}

void dispatcher_revoke(struct dispatcher *dispatcher, struct queue *queue)
{
    set_queue_state(dispatcher, queue, QUEUE_REVOKED);
    queue->fetching = false; /* the caller unassigns it */
    dispatcher->totals.dropped_on_revoke_count += drop_unsent(dispatcher, queue);
    maybe_bury_queue(dispatcher, queue);
}

/* Claims. */

struct running_claim {
    struct claim claim;
    struct dispatcher *dispatcher;
    struct queue *queue;
};

static void commit_batches(struct dispatcher *dispatcher, struct queue *queue, size_t count)
{
    while (count-- > 0)
        drop_batch(dispatcher, queue, TAILQ_FIRST(&queue->batches));
}

static void log_outcome(const struct queue *queue, enum queue_outcome outcome, int64_t held)
{
    static const char *const events[] = {
        [QUEUE_GOES_ON] = "claimed again",
        [QUEUE_STARTS] = "claimed",
        [QUEUE_OVERTAKEN] = "overtaken by another owner",
        [QUEUE_REWOUND] = "database went back in time",
    };
    bool odd = outcome == QUEUE_OVERTAKEN || outcome == QUEUE_REWOUND;

    log_line(odd ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, events[outcome],
             LOG_FIELDS(LOG_STR("topic", queue->route->topic), LOG_INT("partition", queue->partition),
                        LOG_INT("position", queue->position), LOG_INT("held", held),
                        LOG_INT("epoch", queue->epoch)));
}

static void on_position(struct dispatcher *dispatcher, struct queue *queue,
                        const struct offsets_position *position)
{
    int64_t held = queue->position;
    size_t committed;
    enum queue_outcome outcome =
        queue_reconcile(queue, position->next_offset, position->epoch, &committed);

    log_outcome(queue, outcome, held);
    dispatcher->totals.rewinds_count += outcome == QUEUE_REWOUND;
    if (outcome == QUEUE_GOES_ON) {
        commit_batches(dispatcher, queue, committed);
    } else {
        stop_fetching(dispatcher, queue);
        drop_unsent(dispatcher, queue);
    }
    open_queue(dispatcher, queue);
    maybe_announce_room(dispatcher);
}

static void on_claimed(struct claim *claim, enum claim_result result, const struct err *err)
{
    struct running_claim *running = claim->opaque;
    struct dispatcher *dispatcher = running->dispatcher;
    struct queue *queue = running->queue;

    queue->claiming = false;
    if (queue->state == QUEUE_REVOKED) {
        maybe_bury_queue(dispatcher, queue);
    } else if (result == CLAIM_TAKEN) {
        on_position(dispatcher, queue, &claim->position);
    } else if (result == CLAIM_NO_ROW) {
        stop_fetching(dispatcher, queue);
        drop_unsent(dispatcher, queue);
        queue->position = -1;
        place_queue(dispatcher, queue);
    } else if (err->class == ERR_CONFIG || err->class == ERR_DATA) {
        dispatcher_halt(dispatcher, queue, err);
    } else {
        log_warn("claim failed", LOG_STR("topic", queue->route->topic),
                 LOG_INT("partition", queue->partition), LOG_ERR(err));
        set_queue_state(dispatcher, queue, QUEUE_UNCLAIMED);
    }
    free(running);
}

static void start_claim(struct dispatcher *dispatcher, struct queue *queue, struct conn *conn)
{
    struct running_claim *running = memory_new(sizeof(*running));

    running->dispatcher = dispatcher;
    running->queue = queue;
    running->claim = (struct claim){
        .what = {.sink = dispatcher->config->name,
                 .topic = queue->route->topic,
                 .partition = queue->partition,
                 .owner = dispatcher->config->instance_id,
                 .initial = queue->initial},
        .application_name = dispatcher->application_name,
        .opaque = running,
    };
    queue->claiming = true;
    set_queue_state(dispatcher, queue, QUEUE_CLAIMING);
    claim_start(&running->claim, conn, on_claimed);
}

/* Flushes. */

static void count_commit(struct dispatcher *dispatcher, const struct batch *batch)
{
    size_t rows = batch_rows_count(batch);

    dispatcher->totals.rows_count += rows;
    dispatcher->totals.records_count += rows + batch->dead_count;
    dispatcher->totals.dead_letters_count += batch->dead_count;
    dispatcher->totals.copied_bytes += batch->rows.len + batch->dead_letters.len;
    batch->queue->rows_count += rows;
    if (batch->dead_count > 0)
        log_warn("dead letters", LOG_STR("topic", batch->topic), LOG_INT("partition", batch->partition),
                 LOG_INT("count", batch->dead_count),
                 LOG_INT("first_offset", batch->records[batch->dead[0]].offset));
}

static void commit_batch(struct dispatcher *dispatcher, struct batch *batch)
{
    struct queue *queue = batch->queue;
    bool stopped = batch->stopped;
    struct err stop = batch->stop;

    count_commit(dispatcher, batch);
    queue->position = batch->to;
    drop_batch(dispatcher, queue, batch);
    if (stopped)
        dispatcher_halt(dispatcher, queue, &stop);
}

static void on_committed(struct dispatcher *dispatcher, struct flush *flush)
{
    dispatcher->totals.flushes_count++;
    for (size_t i = 0; i < flush->batches_count; i++) {
        struct queue *queue = flush->batches[i]->queue;
        queue->flush = NULL;
        queue->alone = false;
        queue->attempts = 0;
        commit_batch(dispatcher, flush->batches[i]);
    }
}

/* The flush is over and was not committed: its batches wait again, or go with their queue. */
static void release_batches(struct dispatcher *dispatcher, struct flush *flush)
{
    for (size_t i = 0; i < flush->batches_count; i++) {
        struct batch *batch = flush->batches[i];
        batch->queue->flush = NULL;
        batch_set_state(batch, BATCH_READY);
        if (batch->queue->state == QUEUE_REVOKED || batch->queue->state == QUEUE_HALTED)
            drop_batch(dispatcher, batch->queue, batch);
    }
}

static void act_on_queue(struct dispatcher *dispatcher, struct queue *queue,
                         const struct retry_decision *decision, const struct err *err)
{
    queue->retry_at_ms = clock_now_ms() + decision->delay_ms;
    queue->attempts++;
    switch (decision->action) {
    case RETRY_AGAIN:
        break;
    case RETRY_CLAIM:
        if (dispatcher->flush_settings.exactly_once)
            set_queue_state(dispatcher, queue, QUEUE_UNCLAIMED);
        break;
    case RETRY_ISOLATE:
        queue->alone = true;
        break;
    case RETRY_RELOAD:
        queue->halted = *err;
        route_forget(queue->route);
        set_queue_state(dispatcher, queue, QUEUE_UNROUTED);
        break;
    case RETRY_HALT:
        dispatcher_halt(dispatcher, queue, err);
        break;
    }
    update_ready(dispatcher, queue);
}

/* Names the record in the error, as it goes into the dead letter. */
static void refuse_record(struct dispatcher *dispatcher, struct batch *batch, size_t row,
                          const struct conn_error *error)
{
    struct err err = error->err;

    err_context(&err, "refused by PostgreSQL%s%s", error->constraint[0] ? ", constraint " : "",
                error->constraint);
    batch_refuse_row(batch, row, &err);
    start_encoding(dispatcher, batch);
}

static struct retry_decision decide(const struct flush *flush, const struct conn_error *error,
                                    bool blamed)
{
    struct retry_decision decision = retry_decide(error->err.class, error->lost,
                                                  flush->batches[0]->queue->attempts, backoff_random());

    if (decision.action == RETRY_ISOLATE && blamed)
        decision.action = RETRY_AGAIN;
    if (decision.action == RETRY_ISOLATE && flush->batches_count == 1)
        decision.action = RETRY_HALT;
    return decision;
}

static void log_failure(const struct flush *flush, const struct conn_error *error)
{
    const struct batch *first = flush->batches[0];

    log_warn("flush failed", LOG_STR("table", first->mapping->table.quoted),
             LOG_INT("batches", (int64_t)flush->batches_count), LOG_STR("topic", first->topic),
             LOG_INT("partition", first->partition), LOG_INT("position", first->queue->position),
             LOG_STR("class", err_class_name(error->err.class)), LOG_ERR(&error->err));
}

static void on_failed(struct dispatcher *dispatcher, struct flush *flush, const struct conn_error *error)
{
    struct batch *blamed = NULL;
    size_t row;

    dispatcher->totals.failed_flushes_count++;
    if (error->err.class == ERR_DATA && !error->lost && flush_blame(flush, error, &blamed, &row))
        log_debug("record refused", LOG_STR("sqlstate", error->err.sqlstate));
    else
        log_failure(flush, error);
    struct retry_decision decision = decide(flush, error, blamed != NULL);
    for (size_t i = 0; i < flush->batches_count; i++) {
        struct queue *queue = flush->batches[i]->queue;
        if (queue->flush != flush || queue->state != QUEUE_OPEN)
            continue;
        queue->flush = NULL; /* once for each queue */
        act_on_queue(dispatcher, queue, &decision, &error->err);
    }
    release_batches(dispatcher, flush);
    if (blamed && blamed->state == BATCH_READY)
        refuse_record(dispatcher, blamed, row, error);
}

static void on_flush_done(struct flush *flush, const struct conn_error *error, void *opaque)
{
    struct dispatcher *dispatcher = opaque;
    struct queue **queues = memory_new_array(flush->batches_count, sizeof(struct queue *));
    size_t count = 0;

    for (size_t i = 0; i < flush->batches_count; i++)
        if (count == 0 || queues[count - 1] != flush->batches[i]->queue)
            queues[count++] = flush->batches[i]->queue;
    if (error)
        on_failed(dispatcher, flush, error);
    else
        on_committed(dispatcher, flush);
    for (size_t i = 0; i < count; i++) {
        update_ready(dispatcher, queues[i]);
        maybe_bury_queue(dispatcher, queues[i]);
    }
    free(queues);
    TAILQ_REMOVE(&dispatcher->flushes, flush, entry);
    flush_reset(flush);
    TAILQ_INSERT_HEAD(&dispatcher->free_flushes, flush, entry);
    maybe_announce_room(dispatcher);
}

static struct flush *take_flush(struct dispatcher *dispatcher)
{
    struct flush *flush = TAILQ_FIRST(&dispatcher->free_flushes);

    if (flush)
        TAILQ_REMOVE(&dispatcher->free_flushes, flush, entry);
    else
        flush = flush_create(&dispatcher->flush_settings);
    TAILQ_INSERT_TAIL(&dispatcher->flushes, flush, entry);
    return flush;
}

/* The queue's leading ready batches of this mapping, while the flush is below its limit. */
static bool add_queue(struct flush *flush, struct queue *queue, const struct mapping *mapping,
                      size_t limit_bytes)
{
    struct batch *batch;
    size_t before = flush->batches_count;

    TAILQ_FOREACH(batch, &queue->batches, entry) {
        if (batch->state != BATCH_READY || batch->mapping != mapping || flush->bytes >= limit_bytes)
            break;
        flush_add(flush, batch);
        if (queue->alone || batch->stopped)
            break;
    }
    return flush->batches_count > before;
}

static void start_flush(struct dispatcher *dispatcher, struct conn *conn)
{
    struct queue *queue = TAILQ_FIRST(&dispatcher->ready);
    struct flush *flush = take_flush(dispatcher);
    const struct mapping *mapping = TAILQ_FIRST(&queue->batches)->mapping;
    size_t limit_bytes = dispatcher->limit_bytes / 16;
    bool alone = queue->alone;
    int partitions = 0;

    while (queue && flush->bytes < limit_bytes && partitions < FLUSH_PARTITIONS_MAX) {
        struct queue *next = TAILQ_NEXT(queue, ready_entry);
        partitions += add_queue(flush, queue, mapping, limit_bytes);
        queue = alone ? NULL : next;
        while (queue && queue->alone)
            queue = TAILQ_NEXT(queue, ready_entry);
    }
    flush_start(flush, conn);
    for (size_t i = 0; i < flush->batches_count; i++)
        update_ready(dispatcher, flush->batches[i]->queue);
}

/* The turn. */

static struct route *wanted_route(struct dispatcher *dispatcher)
{
    struct queue *queue;

    TAILQ_FOREACH(queue, &dispatcher->queues[QUEUE_UNROUTED], entry)
        if (queue->route->state == ROUTE_UNKNOWN)
            return queue->route;
    return NULL;
}

static struct queue *wanted_claim(struct dispatcher *dispatcher)
{
    int64_t now_ms = clock_now_ms();
    struct queue *queue;

    TAILQ_FOREACH(queue, &dispatcher->queues[QUEUE_UNCLAIMED], entry)
        if (!queue->flush && now_ms >= queue->retry_at_ms)
            return queue;
    return NULL;
}

/* False: nothing to do, or nobody to do it. */
static bool give_work(struct dispatcher *dispatcher)
{
    struct route *route = wanted_route(dispatcher);
    struct queue *unclaimed = wanted_claim(dispatcher);

    if (!route && !unclaimed && TAILQ_EMPTY(&dispatcher->ready))
        return false;
    struct conn *conn = pool_acquire(&dispatcher->pool);
    if (!conn)
        return false;
    if (route)
        route_load(route, conn, on_route_loaded, dispatcher);
    else if (unclaimed)
        start_claim(dispatcher, unclaimed, conn);
    else
        start_flush(dispatcher, conn);
    return true;
}

static void on_turn(uv_prepare_t *turn)
{
    struct dispatcher *dispatcher = turn->data;

    while (give_work(dispatcher))
        continue;
}

/* Delayed retries become due. */
static void on_retry_tick(uv_timer_t *timer)
{
    struct dispatcher *dispatcher = timer->data;
    int64_t now_ms = clock_now_ms();
    struct queue *queue = TAILQ_FIRST(&dispatcher->queues[QUEUE_HALTED]);

    while (queue) {
        struct queue *next = TAILQ_NEXT(queue, entry);
        if (now_ms >= queue->retry_at_ms && !queue->flush && !dispatcher->draining) {
            route_forget(queue->route);
            set_queue_state(dispatcher, queue, QUEUE_UNROUTED);
        }
        queue = next;
    }
    TAILQ_FOREACH(queue, &dispatcher->queues[QUEUE_OPEN], entry)
        if (queue->attempts > 0)
            update_ready(dispatcher, queue);
}

/* Opening and closing. */

static void on_postgres_lost(void *opaque, const struct err *err)
{
    (void)opaque;
    log_warn("PostgreSQL is away", LOG_ERR(err));
}

static void on_postgres_found(void *opaque, int64_t away_ms)
{
    (void)opaque;
    log_info("PostgreSQL is back", LOG_INT("away_ms", away_ms));
}

static void init_lists(struct dispatcher *dispatcher)
{
    for (int i = 0; i < QUEUE_STATES; i++)
        TAILQ_INIT(&dispatcher->queues[i]);
    TAILQ_INIT(&dispatcher->ready);
    TAILQ_INIT(&dispatcher->routes);
    TAILQ_INIT(&dispatcher->filling);
    TAILQ_INIT(&dispatcher->free_batches);
    TAILQ_INIT(&dispatcher->flushes);
    TAILQ_INIT(&dispatcher->free_flushes);
}

static void init_handles(struct dispatcher *dispatcher, uv_loop_t *loop)
{
    uv_prepare_init(loop, &dispatcher->turn);
    uv_timer_init(loop, &dispatcher->batch_timer);
    uv_timer_init(loop, &dispatcher->retry_timer);
    dispatcher->turn.data = dispatcher;
    dispatcher->batch_timer.data = dispatcher;
    dispatcher->retry_timer.data = dispatcher;
    uv_prepare_start(&dispatcher->turn, on_turn);
    uv_timer_start(&dispatcher->retry_timer, on_retry_tick, RETRY_TICK_MS, RETRY_TICK_MS);
}

void dispatcher_open(struct dispatcher *dispatcher, uv_loop_t *loop, const struct config *config,
                     const struct dispatcher_hooks *hooks)
{
    *dispatcher = (struct dispatcher){.config = config, .hooks = *hooks, .loop = loop};
    init_lists(dispatcher);
    /* An eighth is for what librdkafka has fetched ahead: kafka/client.c. */
    dispatcher->limit_bytes = (size_t)(config->memory_limit_bytes - config->memory_limit_bytes / 8);
    dispatcher->application_name = memory_printf("pgsluice/%s/%s", config->name, config->instance_id);
    dispatcher->flush_settings = (struct flush_settings){
        .sink = config->name,
        .exactly_once = config->delivery == CONFIG_EXACTLY_ONCE,
        .on_done = on_flush_done,
        .opaque = dispatcher,
    };
    dispatcher->encode_settings = (struct encode_settings){
        .sink = config->name,
        .instance = config->instance_id,
        .keep_dead_letters = config->dead_letters == CONFIG_DEAD_LETTERS_TABLE,
    };
    init_handles(dispatcher, loop);
    pool_open(&dispatcher->pool, loop,
              &(struct pool_options){.config = config,
                                     .on_lost = on_postgres_lost,
                                     .on_found = on_postgres_found,
                                     .opaque = dispatcher});
}

static void revoke_all(struct dispatcher *dispatcher)
{
    for (int state = 0; state < QUEUE_REVOKED; state++)
        while (!TAILQ_EMPTY(&dispatcher->queues[state]))
            dispatcher_revoke(dispatcher, TAILQ_FIRST(&dispatcher->queues[state]));
}

void dispatcher_close(struct dispatcher *dispatcher)
{
    revoke_all(dispatcher);
    uv_prepare_stop(&dispatcher->turn);
    uv_close((uv_handle_t *)&dispatcher->turn, NULL);
    uv_timer_stop(&dispatcher->batch_timer);
    uv_close((uv_handle_t *)&dispatcher->batch_timer, NULL);
    uv_timer_stop(&dispatcher->retry_timer);
    uv_close((uv_handle_t *)&dispatcher->retry_timer, NULL);
    pool_close(&dispatcher->pool);
}

void dispatcher_finish(struct dispatcher *dispatcher)
{
    assert(dispatcher->batches_count == 0 && TAILQ_EMPTY(&dispatcher->flushes));
    for (struct batch *batch; (batch = TAILQ_FIRST(&dispatcher->free_batches));) {
        TAILQ_REMOVE(&dispatcher->free_batches, batch, entry);
        batch_destroy(batch);
    }
    for (struct flush *flush; (flush = TAILQ_FIRST(&dispatcher->free_flushes));) {
        TAILQ_REMOVE(&dispatcher->free_flushes, flush, entry);
        flush_destroy(flush);
    }
    for (struct route *route; (route = TAILQ_FIRST(&dispatcher->routes));) {
        TAILQ_REMOVE(&dispatcher->routes, route, entry);
        route_destroy(route);
    }
    pool_finish(&dispatcher->pool);
    arena_store_finish(&dispatcher->store);
    free(dispatcher->application_name);
}

void dispatcher_drain(struct dispatcher *dispatcher)
{
    dispatcher->draining = true;
    while (!TAILQ_EMPTY(&dispatcher->filling))
        close_batch(dispatcher, TAILQ_FIRST(&dispatcher->filling));
}

bool dispatcher_is_drained(const struct dispatcher *dispatcher)
{
    return dispatcher->batches_count == 0;
}
