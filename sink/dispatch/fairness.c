/*
 * A table is stuck from when its oldest flush has been under way for a second until one is
 * committed. While there are other tables:
 *
 * - Nobody but a table that has no flush gets the last connection: in a table's first second its
 *   partitions could take all of them, one after the other, and each would wait for the same lock.
 * - A stuck table has no second flush: the first one is tried again and again.
 * - Its partitions hold no more than their share of half of the memory. What is above it is dropped
 *   and read again when the table is no longer stuck: else reading would stop for all tables.
 */
#include "dispatch/fairness.h"

#include "base/clock.h"
#include "dispatch/intake.h"
#include "ops/log.h"

enum { STUCK_MS = 1000 };

static bool is_only_table(const struct dispatcher *dispatcher)
{
    const struct route *first = TAILQ_FIRST(&dispatcher->routes);

    return !first || !TAILQ_NEXT(first, entry);
}

static struct route *route_of(const struct flush *flush)
{
    return flush->batches[0]->queue->route;
}

static bool has_flush(const struct dispatcher *dispatcher, const struct route *route)
{
    const struct flush *flush;

    TAILQ_FOREACH (flush, &dispatcher->flushes, entry)
        if (route_of(flush) == route)
            return true;
    return false;
}

bool fairness_may_flush(const struct dispatcher *dispatcher, const struct queue *queue)
{
    if (is_only_table(dispatcher) || !has_flush(dispatcher, queue->route))
        return true;
    return !queue->route->stuck && pool_busy_count(&dispatcher->pool) + 1 < dispatcher->pool.max;
}

/* Memory. */

static size_t held_bytes(const struct queue *queue)
{
    const struct batch *batch;
    size_t bytes = 0;

    TAILQ_FOREACH (batch, &queue->batches, entry)
        bytes += batch->bytes;
    return bytes;
}

/* What a flush has sent stays; so does what the next one begins with, unless another partition's
 * flush tries the table meanwhile. */
static struct batch *first_surplus(const struct dispatcher *dispatcher, const struct queue *queue)
{
    struct batch *batch = TAILQ_FIRST(&queue->batches);

    if (batch && batch->state != BATCH_FLUSHING && !has_flush(dispatcher, queue->route))
        batch = TAILQ_NEXT(batch, entry);
    while (batch && batch->state == BATCH_FLUSHING)
        batch = TAILQ_NEXT(batch, entry);
    return batch;
}

static void drop_surplus(struct dispatcher *dispatcher, struct queue *queue)
{
    struct batch *batch = first_surplus(dispatcher, queue);

    if (batch)
        queue->read_next = batch->records[batch->first].offset;
    while (batch) {
        struct batch *next = TAILQ_NEXT(batch, entry);
        intake_drop(dispatcher, queue, batch);
        batch = next;
    }
}

static void hold_back(struct dispatcher *dispatcher, struct queue *queue)
{
    log_debug("partition waits for its table", LOG_STR("topic", queue->route->topic),
              LOG_INT("partition", queue->partition));
    queue->held_back = true;
    queue->fetching = false;
    dispatcher->hooks.stop(dispatcher->hooks.opaque, queue);
    drop_surplus(dispatcher, queue);
    dispatcher_update_ready(dispatcher, queue);
    intake_announce_room(dispatcher);
}

static void let_go_on(struct dispatcher *dispatcher, struct queue *queue)
{
    queue->held_back = false;
    queue->fetching = true;
    dispatcher->hooks.start(dispatcher->hooks.opaque, queue);
}

/* Or somebody has to try: what was stuck may have left with its partition. */
static bool may_go_on(const struct dispatcher *dispatcher, const struct queue *queue)
{
    return !queue->route->stuck ||
           (TAILQ_EMPTY(&queue->batches) && !has_flush(dispatcher, queue->route));
}

static void check_queue(struct dispatcher *dispatcher, struct queue *queue)
{
    size_t share = dispatcher->working_bytes / 2 / dispatcher->queues_count;

    if (queue->held_back && may_go_on(dispatcher, queue))
        let_go_on(dispatcher, queue);
    else if (queue->fetching && held_bytes(queue) > share)
        hold_back(dispatcher, queue);
}

/* Time. */

static void begin(struct route *route, int64_t waited_ms)
{
    route->stuck = true;
    log_warn("table takes no rows", LOG_STR("topic", route->topic),
             LOG_STR("table", route->mapping->table.quoted), LOG_INT("waited_ms", waited_ms));
}

void fairness_check(struct dispatcher *dispatcher)
{
    int64_t now_ms = clock_now_ms();
    const struct flush *flush;
    struct queue *queue;

    if (is_only_table(dispatcher))
        return;
    TAILQ_FOREACH (flush, &dispatcher->flushes, entry)
        if (!route_of(flush)->stuck && now_ms - flush->started_ms >= STUCK_MS)
            begin(route_of(flush), now_ms - flush->started_ms);
    TAILQ_FOREACH (queue, &dispatcher->queues[QUEUE_OPEN], entry)
        if (queue->held_back || queue->route->stuck)
            check_queue(dispatcher, queue);
}

void fairness_end(struct route *route)
{
    route->stuck = false;
}
