/*
 * What follows from a flush's end.
 *
 *   committed --> positions move, batches are gone
 *   failed ----> dispatch/retry.c decides: again, claim, isolate, reload, halt
 *
 * Isolating: COPY names the line it refused, so that record becomes a dead letter and its batch is
 * encoded again. Where no line is named (foreign keys, triggers after the row, deferred
 * constraints), the flush's batches go one at a time, so that the others are not held up.
 */
#include "dispatch/outcome.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/memory.h"
#include "dispatch/intake.h"
#include "dispatch/ownership.h"
#include "dispatch/retry.h"
#include "ops/log.h"
#include "pg/sqlstate.h"

#include <stdio.h>
#include <stdlib.h>

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
        log_warn("dead letters", LOG_STR("topic", batch->topic),
                 LOG_INT("partition", batch->partition), LOG_INT("count", batch->dead_count),
                 LOG_INT("first_offset", batch->records[batch->dead[0]].offset),
                 LOG_STR("table", batch->mapping->table.quoted), LOG_ERR(&batch->dead_reason));
}

static void commit_batch(struct dispatcher *dispatcher, struct batch *batch)
{
    struct queue *queue = batch->queue;
    bool stopped = batch->stopped;
    struct err stop = batch->stop;

    count_commit(dispatcher, batch);
    if (batch->to > queue->position)
        queue->halts = 0;
    queue->position = batch->to;
    intake_drop(dispatcher, queue, batch);
    if (stopped)
        ownership_halt(dispatcher, queue, &stop);
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

/* Whether its batches wait for another flush; else they go when this one is over. */
static bool goes_on(const struct queue *queue)
{
    return queue->state != QUEUE_REVOKED && queue->state != QUEUE_HALTED;
}

/* The flush is over and was not committed: its batches wait again, or go with their queue. */
static void release_batches(struct dispatcher *dispatcher, struct flush *flush)
{
    for (size_t i = 0; i < flush->batches_count; i++) {
        struct batch *batch = flush->batches[i];
        batch->queue->flush = NULL;
        batch_set_state(batch, BATCH_READY);
        if (!goes_on(batch->queue))
            intake_drop(dispatcher, batch->queue, batch);
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
            dispatcher_set_queue_state(dispatcher, queue, QUEUE_UNCLAIMED);
        break;
    case RETRY_ISOLATE:
        queue->alone = true;
        break;
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

/* Names the record in the error, as it goes into the dead letter. */
static void refuse_record(struct dispatcher *dispatcher, const struct flush_blame *blame,
                          const struct conn_error *error)
{
    struct err err = error->err;

    if (blame->column && !err.column[0])
        snprintf(err.column, sizeof(err.column), "%s", blame->column->column->name);
    err_context(&err, "refused by PostgreSQL%s%s", error->constraint[0] ? ", constraint " : "",
                error->constraint);
    batch_refuse_row(blame->batch, blame->row, &err);
    blame->batch->queue->alone = true; /* the others need not be sent again for its next one */
    intake_encode(dispatcher, blame->batch);
}

static struct retry_decision decide(const struct flush *flush, const struct conn_error *error,
                                    bool blamed)
{
    struct retry_decision decision = retry_decide(
        error->err.class, error->lost, flush->batches[0]->queue->attempts, backoff_random());

    /* A lock that does not come free may be an orphan's of our own epoch: only a claim ends it. */
    if (strcmp(error->err.sqlstate, "55P03") == 0)
        decision.action = RETRY_CLAIM;
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
 * False: no record is to blame. What tsvector and ltree can't read is a syntax error to them, to
 * hstore an internal error; COPY's column tells it from one in a trigger or in the server. A
 * trigger may raise any code; COPY's line tells which row it did not want.
 */
static bool blame_record(const struct flush *flush, struct conn_error *error,
                         struct flush_blame *blame)
{
    bool odd =
        strcmp(error->err.sqlstate, "42601") == 0 || strcmp(error->err.sqlstate, "XX000") == 0;

    if (error->lost ||
        (error->err.class != ERR_DATA && !odd && !sqlstate_is_of_user_code(error->err.sqlstate)))
        return false;
    if (!flush_blame(flush, error, blame) || (odd && !blame->column))
        return false;
    if (is_inexact(error))
        return false;
    error->err.class = ERR_DATA;
    return true;
}

static void on_failed(struct dispatcher *dispatcher, struct flush *flush, struct conn_error *error)
{
    struct flush_blame blame = {0};
    bool blamed = blame_record(flush, error, &blame);

    dispatcher->totals.failed_flushes_count++;
    if (blamed)
        log_debug("record refused", LOG_STR("sqlstate", error->err.sqlstate));
    else
        log_failure(flush, error);
    struct retry_decision decision = decide(flush, error, blamed);
    for (size_t i = 0; i < flush->batches_count; i++) {
        struct queue *queue = flush->batches[i]->queue;
        if (queue->flush != flush || queue->state != QUEUE_OPEN)
            continue;
        queue->flush = NULL; /* once for each queue */
        act_on_queue(dispatcher, queue, &decision, &error->err);
    }
    bool refuses = blamed && goes_on(blame.batch->queue);
    release_batches(dispatcher, flush);
    if (refuses)
        refuse_record(dispatcher, &blame, error);
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
