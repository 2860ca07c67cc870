/*
 * The loop's turn.
 *
 *   records --> queue --> batch --> encode (worker) --> ready list --+
 *                                                                    | turn: idle connections get
 *   unrouted queues (their table's description is wanted) -----------+ 1. descriptions to load
 *   unclaimed queues ------------------------------------------------+ 2. positions to claim
 *                                                                      3. flushes
 *
 * turn runs once in each iteration of the loop, before it sleeps: whatever changed during the
 * iteration (a batch got ready, a connection idle, a retry due) is acted on there and nowhere else.
 *
 * Group commit tunes itself: a flush takes the oldest ready batch and with it all other ready
 * batches for the same table, up to SINK_BATCH_BYTES. While connections are busy more batches get
 * ready, so the next flush is larger.
 *
 * Invariants: a queue has at most one flush; a batch is in exactly one queue's list unless it was
 * dropped while a worker held it; state is list membership for queues and batches.
 */
#include "dispatch/dispatcher.h"

#include "base/clock.h"
#include "base/memory.h"
#include "dispatch/fairness.h"
#include "dispatch/identity.h"
#include "dispatch/intake.h"
#include "dispatch/outcome.h"
#include "dispatch/ownership.h"
#include "dispatch/part.h"
#include "ops/log.h"

#include <assert.h>
#include <stdlib.h>

enum {
    RETRY_TICK_MS = 50,
    CLAIM_TURN_MS = 5000,
    FLUSH_PARTITIONS_MAX = 256,
};

/* The ready list. */

void dispatcher_update_ready(struct dispatcher *dispatcher, struct queue *queue)
{
    bool ready = queue_is_flushable(queue, clock_now_ms());

    if (ready == queue->ready)
        return;
    queue->ready = ready;
    queue->ready_us = clock_now_us();
    if (ready)
        TAILQ_INSERT_TAIL(&dispatcher->ready, queue, ready_entry);
    else
        TAILQ_REMOVE(&dispatcher->ready, queue, ready_entry);
}

void dispatcher_set_queue_state(struct dispatcher *dispatcher, struct queue *queue,
                                enum queue_state to)
{
    log_debug("queue", LOG_STR("topic", queue->route->topic),
              LOG_INT("partition", queue->partition),
              LOG_STR("from", queue_state_name(queue->state)), LOG_STR("to", queue_state_name(to)));
    queue_set_state(queue, to, dispatcher->queues);
    queue->moved_ms = clock_now_ms();
    dispatcher_update_ready(dispatcher, queue);
}

void dispatcher_announce_move(struct dispatcher *dispatcher, const struct queue *queue)
{
    if (dispatcher->hooks.moved)
        dispatcher->hooks.moved(dispatcher->hooks.opaque, queue);
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
static bool add_queue(struct dispatcher *dispatcher, struct flush *flush, struct queue *queue,
                      const struct mapping *mapping, size_t limit_bytes)
{
    struct batch *batch;
    size_t before = flush->batches_count;

    TAILQ_FOREACH (batch, &queue->batches, entry) {
        /* cppcheck-suppress uninitvar ; TAILQ_FOREACH sets it */
        if (batch->state != BATCH_READY || batch->mapping != mapping || flush->bytes >= limit_bytes)
            break;
        if (queue->alone)
            intake_cut(dispatcher, batch, queue->window ? queue->window : PART_WHOLE);
        flush_add(flush, batch);
        if (queue->alone || batch->stopped)
            break;
    }
    return flush->batches_count > before;
}

/* The oldest ready one whose table may have a connection; NULL: there is none. */
static struct queue *wanted_flush(const struct dispatcher *dispatcher)
{
    struct queue *queue;

    TAILQ_FOREACH (queue, &dispatcher->ready, ready_entry)
        if (fairness_may_flush(dispatcher, queue))
            return queue;
    return NULL;
}

static void start_flush(struct dispatcher *dispatcher, struct queue *queue, struct conn *conn)
{
    struct flush *flush = take_flush(dispatcher);
    const struct mapping *mapping = TAILQ_FIRST(&queue->batches)->mapping;
    size_t limit_bytes = (size_t)dispatcher->config->batch_bytes;
    bool alone = queue->alone;
    int partitions = 0;

    counters_start(dispatcher, queue->ready_us);
    while (queue && flush->bytes < limit_bytes && partitions < FLUSH_PARTITIONS_MAX) {
        struct queue *next = TAILQ_NEXT(queue, ready_entry);
        partitions += add_queue(dispatcher, flush, queue, mapping, limit_bytes);
        queue = alone ? NULL : next;
        while (queue && queue->alone)
            queue = TAILQ_NEXT(queue, ready_entry);
    }
    flush_start(flush, conn);
    for (size_t i = 0; i < flush->batches_count; i++)
        dispatcher_update_ready(dispatcher, flush->batches[i]->queue);
}

/* The turn. */

static struct route *wanted_route(struct dispatcher *dispatcher)
{
    struct queue *queue;

    TAILQ_FOREACH (queue, &dispatcher->queues[QUEUE_UNROUTED], entry)
        if (queue->route->state == ROUTE_UNKNOWN && clock_now_ms() >= queue->route->retry_at_ms)
            return queue->route;
    return NULL;
}

/*
 * A claim that was tried before may hold its connection until the lock times out, again and again:
 * half of the pool is left to the others' flushes, and a pool of one goes to them first for a
 * while.
 */
static bool may_retry_claim(const struct dispatcher *dispatcher, int64_t waited_ms)
{
    size_t half = dispatcher->pool.max / 2;

    if (half == 0)
        return TAILQ_EMPTY(&dispatcher->ready) || waited_ms >= CLAIM_TURN_MS;
    return dispatcher->retried_claims_count < half;
}

static struct queue *wanted_claim(struct dispatcher *dispatcher)
{
    int64_t now_ms = clock_now_ms();
    struct queue *queue;

    TAILQ_FOREACH (queue, &dispatcher->queues[QUEUE_UNCLAIMED], entry)
        if (!queue->flush && !queue->claiming && now_ms >= queue->retry_at_ms &&
            identity_is_known(dispatcher, queue->route) &&
            (queue->attempts == 0 || may_retry_claim(dispatcher, now_ms - queue->retry_at_ms)))
            return queue;
    return NULL;
}

/* False: nothing to do, or nobody to do it. */
static bool give_work(struct dispatcher *dispatcher)
{
    struct route *route = wanted_route(dispatcher);
    struct queue *unclaimed = wanted_claim(dispatcher);
    struct queue *ready = wanted_flush(dispatcher);

    if (!route && !unclaimed && !ready)
        return false;
    struct conn *conn = pool_acquire(&dispatcher->pool);
    if (!conn)
        return false;
    if (route)
        ownership_load(dispatcher, route, conn);
    else if (unclaimed)
        ownership_claim(dispatcher, unclaimed, conn);
    else
        start_flush(dispatcher, ready, conn);
    return true;
}

static void on_turn(uv_prepare_t *turn)
{
    struct dispatcher *dispatcher = turn->data;

    intake_turn(dispatcher);
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
            identity_forget(dispatcher, queue->route);
            dispatcher_set_queue_state(dispatcher, queue, QUEUE_UNROUTED);
        }
        queue = next;
    }
    TAILQ_FOREACH (queue, &dispatcher->queues[QUEUE_OPEN], entry)
        if (queue->attempts > 0)
            dispatcher_update_ready(dispatcher, queue);
    fairness_check(dispatcher);
}

/* Opening and closing. */

static void on_postgres_lost(void *opaque, const struct err *err)
{
    counters_note_error(opaque, NULL, err);
    log_warn("PostgreSQL is away", LOG_ERR(err));
}

static void on_postgres_found(void *opaque, int64_t away_ms)
{
    if (away_ms > 0)
        log_info("PostgreSQL is back", LOG_INT("away_ms", away_ms));
    ownership_check(opaque);
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
    dispatcher->flush_settings = (struct flush_settings){
        .ledger = &offsets_of_sink,
        .name = config->name,
        .exactly_once = config->delivery == CONFIG_EXACTLY_ONCE,
        .on_done = outcome_of_flush,
        .opaque = dispatcher,
    };
    dispatcher->encode_settings = (struct encode_settings){
        .sink = config->name,
        .instance = config->instance_id,
        .to_table = config_keeps_letters_in_table(config),
        .to_topic = config_sends_letters_to_topic(config),
    };
    dispatcher->breaker_settings = (struct breaker_settings){
        .window = (uint64_t)config->dead_letter_window,
        .limit = (uint64_t)(config->dead_letter_window * config->dead_letter_max_share / 100),
    };
    init_handles(dispatcher, loop);
    pool_open(&dispatcher->pool, loop,
              &(struct pool_options){.config = config,
                                     .on_lost = on_postgres_lost,
                                     .on_found = on_postgres_found,
                                     .opaque = dispatcher});
}

void dispatcher_serve_backfill(struct dispatcher *dispatcher, const char *name, const char *plan)
{
    dispatcher->flush_settings.ledger = &offsets_of_backfill;
    dispatcher->flush_settings.name = name;
    dispatcher->flush_settings.plan = plan;
    dispatcher->flush_settings.exactly_once = true;
    dispatcher->encode_settings.backfill = name;
}

struct queue *dispatcher_next_assigned(const struct dispatcher *dispatcher,
                                       const struct queue *queue)
{
    struct queue *next = queue ? TAILQ_NEXT(queue, entry) : NULL;

    for (int state = queue ? (int)queue->state + 1 : 0; !next && state < QUEUE_REVOKED; state++)
        next = TAILQ_FIRST(&dispatcher->queues[state]);
    return next;
}

static void revoke_all(struct dispatcher *dispatcher)
{
    for (int state = 0; state < QUEUE_REVOKED; state++)
        while (!TAILQ_EMPTY(&dispatcher->queues[state]))
            ownership_revoke(dispatcher, TAILQ_FIRST(&dispatcher->queues[state]));
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

static void free_lists(struct dispatcher *dispatcher)
{
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
}

void dispatcher_finish(struct dispatcher *dispatcher)
{
    assert(dispatcher->batches_count == 0 && TAILQ_EMPTY(&dispatcher->flushes));
    free_lists(dispatcher);
    pool_finish(&dispatcher->pool);
    arena_store_finish(&dispatcher->store);
}
