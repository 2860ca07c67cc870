/*
 * What follows from a flush's end.
 *
 *   committed --> positions move; batches, or the parts of them that were sent, are gone
 *   failed -----> dispatch/retry.c decides: again, claim, isolate (see isolate.c), reload, halt
 */
#include "dispatch/outcome.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/memory.h"
#include "dispatch/fairness.h"
#include "dispatch/intake.h"
#include "dispatch/isolate.h"
#include "dispatch/letters.h"
#include "dispatch/ownership.h"
#include "dispatch/part.h"
#include "dispatch/retry.h"
#include "ops/log.h"
#include "pg/sqlstate.h"

#include <stdlib.h>

/* Flushes. */

static void count_commit(struct dispatcher *dispatcher, const struct batch *batch)
{
    size_t rows = part_rows_count(batch);

    dispatcher->totals.rows_count += rows;
    dispatcher->totals.records_count += rows + batch->part.dead_count;
    dispatcher->totals.dead_letters_count += batch->part.dead_count;
    dispatcher->totals.copied_bytes += part_bytes(batch);
    part_count(batch, &batch->queue->written);
    letters_pass(dispatcher, batch->queue, part_records_count(batch));
}

static void log_dead_letters(const struct batch *batch)
{
    int64_t count = (int64_t)batch->buried_count + batch->part.dead_count;

    if (count > 0)
        log_warn("dead letters", LOG_STR("topic", batch->topic),
                 LOG_INT("partition", batch->partition), LOG_INT("count", count),
                 LOG_INT("first_offset", batch->dead_first),
                 LOG_STR("table", batch->mapping->table.quoted), LOG_ERR(&batch->dead_reason));
}

/* Whether its batches wait for another flush; else they go when this one is over. */
static bool goes_on(const struct queue *queue)
{
    return queue->state != QUEUE_REVOKED && queue->state != QUEUE_HALTED;
}

static void commit_batch(struct dispatcher *dispatcher, struct batch *batch)
{
    struct queue *queue = batch->queue;
    bool stopped = batch->stopped;
    struct err stop = batch->stop;

    count_commit(dispatcher, batch);
    isolate_committed(batch);
    if (batch->to > queue->position)
        queue->halts = 0;
    queue->position = batch->to;
    queue->leader_epoch = batch->leader_epoch;
    dispatcher_announce_move(dispatcher, queue);
    if (!part_is_last(batch) && goes_on(queue)) {
        part_drop(batch);
        batch_set_state(batch, BATCH_READY);
        return;
    }
    log_dead_letters(batch);
    intake_drop(dispatcher, queue, batch);
    if (stopped)
        ownership_halt(dispatcher, queue, &stop);
}

static void on_committed(struct dispatcher *dispatcher, struct flush *flush)
{
    dispatcher->totals.flushes_count++;
    counters_commit(dispatcher, flush);
    for (size_t i = 0; i < flush->batches_count; i++) {
        struct queue *queue = flush->batches[i]->queue;
        queue->flush = NULL;
        queue->moved_ms = clock_now_ms();
        queue->attempts = 0;
        fairness_end(queue->route);
        commit_batch(dispatcher, flush->batches[i]);
    }
}

/*
 * The flush is over and was not committed: its batches wait again, or go with their queue. The
 * flush is left with those that wait.
 */
static void release_batches(struct dispatcher *dispatcher, struct flush *flush)
{
    size_t waiting = 0;

    for (size_t i = 0; i < flush->batches_count; i++) {
        struct batch *batch = flush->batches[i];
        batch->queue->flush = NULL;
        batch->queue->moved_ms = clock_now_ms();
        batch_set_state(batch, BATCH_READY);
        if (goes_on(batch->queue))
            flush->batches[waiting++] = batch;
        else
            intake_drop(dispatcher, batch->queue, batch);
    }
    flush->batches_count = waiting;
}

static void act_on_queue(struct dispatcher *dispatcher, struct queue *queue,
                         const struct retry_decision *decision, const struct err *err)
{
    queue->retry_at_ms = clock_now_ms() + decision->delay_ms;
    queue->attempts += decision->action != RETRY_ISOLATE;
    switch (decision->action) {
    case RETRY_AGAIN:
        break;
    case RETRY_CLAIM:
        if (dispatcher->flush_settings.exactly_once)
            dispatcher_set_queue_state(dispatcher, queue, QUEUE_UNCLAIMED);
        break;
    case RETRY_ISOLATE:
        break; /* isolate.c has a say, when the batches are back */
    case RETRY_RELOAD:
        queue->halted = *err;
        route_forget(queue->route);
        dispatcher_set_queue_state(dispatcher, queue, QUEUE_UNROUTED);
        break;
    case RETRY_HALT:
        ownership_halt(dispatcher, queue, err);
        break;
    }
    dispatcher_update_ready(dispatcher, queue);
}

/*
 * COPY inserts up to a thousand rows together. A row that is too big for its page is found then,
 * and the line that is named is the last one read. Everything else about a row is found with its
 * line.
 */
static bool is_inexact(const struct conn_error *error)
{
    return strcmp(error->function, "RelationGetBufferForTuple") == 0;
}

/*
 * What tsvector and ltree can't read is a syntax error to them, to hstore an internal error; COPY's
 * column tells it from one in a trigger or in the server.
 */
static bool is_odd(const struct conn_error *error, const struct flush_blame *blame)
{
    bool odd =
        strcmp(error->err.sqlstate, "42601") == 0 || strcmp(error->err.sqlstate, "XX000") == 0;

    return odd && blame->kind == FLUSH_BLAMES_ROW && blame->column;
}

/* A trigger may raise any code; if it is one that nobody else raises, it did not want a row. */
static struct flush_blame blame_record(const struct flush *flush, struct conn_error *error)
{
    struct flush_blame nobody = {.kind = FLUSH_BLAMES_NO_ROW};
    struct flush_blame blame = flush_blame(flush, error);

    if (error->lost || blame.kind == FLUSH_BLAMES_NO_ROW)
        return nobody;
    if (error->err.class != ERR_DATA && !is_odd(error, &blame) &&
        !sqlstate_is_of_user_code(error->err.sqlstate))
        return nobody;
    error->err.class = ERR_DATA;
    if (is_inexact(error))
        blame.kind = FLUSH_BLAMES_SOME_ROW;
    return blame;
}

static struct retry_decision decide(const struct flush *flush, const struct conn_error *error,
                                    const struct flush_blame *blame)
{
    struct retry_decision decision = retry_decide(
        error->err.class, error->lost, flush->batches[0]->queue->attempts, backoff_random());

    /* A lock that does not come free may be an orphan's of our own epoch: only a claim ends it. */
    if (strcmp(error->err.sqlstate, "55P03") == 0)
        decision.action = RETRY_CLAIM;
    if (decision.action == RETRY_ISOLATE && blame->kind == FLUSH_BLAMES_NO_ROW &&
        flush->batches_count == 1)
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

static void act(struct dispatcher *dispatcher, struct flush *flush,
                const struct retry_decision *decision, const struct err *err)
{
    for (size_t i = 0; i < flush->batches_count; i++) {
        struct queue *queue = flush->batches[i]->queue;
        if (queue->flush != flush || queue->state != QUEUE_OPEN)
            continue;
        queue->flush = NULL; /* once for each queue */
        act_on_queue(dispatcher, queue, decision, err);
    }
}

static void isolate(struct dispatcher *dispatcher, const struct flush *flush, bool together,
                    const struct flush_blame *blame, const struct conn_error *error)
{
    if (blame->kind == FLUSH_BLAMES_ROW) {
        if (blame->batch)
            isolate_row(dispatcher, blame->batch, blame, error);
    } else if (together) {
        isolate_batches(flush);
    } else if (flush->batches_count > 0) {
        isolate_row(dispatcher, flush->batches[0], blame, error);
    }
}

static void on_failed(struct dispatcher *dispatcher, struct flush *flush, struct conn_error *error)
{
    struct flush_blame blame = blame_record(flush, error);
    struct retry_decision decision = decide(flush, error, &blame);
    bool together = flush->batches_count > 1;

    dispatcher->totals.failed_flushes_count++;
    counters_fail(dispatcher, flush, error, decision.action);
    if (blame.kind == FLUSH_BLAMES_NO_ROW)
        log_failure(flush, error);
    act(dispatcher, flush, &decision, &error->err);
    if (blame.batch && !goes_on(blame.batch->queue))
        blame.batch = NULL;
    release_batches(dispatcher, flush);
    if (decision.action == RETRY_ISOLATE)
        isolate(dispatcher, flush, together, &blame, error);
    else if (strcmp(error->err.sqlstate, SQLSTATE_CANCELED) == 0)
        isolate_slow(flush);
}

void outcome_of_flush(struct flush *flush, const struct conn_error *error, void *opaque)
{
    struct dispatcher *dispatcher = opaque;
    struct queue **queues = memory_new_array(flush->batches_count, sizeof(struct queue *));
    size_t count = 0;

    for (size_t i = 0; i < flush->batches_count; i++)
        if (count == 0 || queues[count - 1] != flush->batches[i]->queue)
            queues[count++] = flush->batches[i]->queue;
    if (error) {
        struct conn_error failure = *error;
        on_failed(dispatcher, flush, &failure);
    } else {
        on_committed(dispatcher, flush);
    }
    for (size_t i = 0; i < count; i++) {
        if (queues[i]->state == QUEUE_OPEN)
            intake_encode_anew(dispatcher, queues[i]);
        dispatcher_update_ready(dispatcher, queues[i]);
        ownership_bury(dispatcher, queues[i]);
    }
    free(queues);
    TAILQ_REMOVE(&dispatcher->flushes, flush, entry);
    flush_reset(flush);
    TAILQ_INSERT_HEAD(&dispatcher->free_flushes, flush, entry);
    intake_announce_room(dispatcher);
}
