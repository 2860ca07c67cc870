/*
 * The life of a queue: routed, claimed, placed, open; halted and tried again; revoked.
 *
 * The states and their order are drawn at the top of dispatch/queue.c; here is what each step does
 * to the outside: what Kafka's side is asked for, what is dropped, what is said.
 */
#include "dispatch/ownership.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/memory.h"
#include "dispatch/claim.h"
#include "dispatch/identity.h"
#include "dispatch/intake.h"
#include "dispatch/letters.h"
#include "dispatch/part.h"
#include "dispatch/retry.h"
#include "ops/log.h"

#include <stdlib.h>

static void stop_fetching(struct dispatcher *dispatcher, struct queue *queue)
{
    queue->held_back = false; /* what follows drops its batches, or begins anew */
    if (!queue->fetching)
        return;
    queue->fetching = false;
    dispatcher->hooks.stop(dispatcher->hooks.opaque, queue);
}

static void start_fetching(struct dispatcher *dispatcher, struct queue *queue)
{
    queue->fetching = true;
    queue->held_back = false;
    dispatcher->hooks.start(dispatcher->hooks.opaque, queue);
}

void ownership_halt(struct dispatcher *dispatcher, struct queue *queue, const struct err *err)
{
    int64_t retry_ms = retry_halted_ms(queue->halts, backoff_random());

    if (queue->state == QUEUE_HALTED || queue->state == QUEUE_REVOKED)
        return;
    queue->halted = *err;
    counters_note_error(dispatcher, queue, err);
    queue->attempts++;
    queue->halts++;
    queue->retry_at_ms = clock_now_ms() + retry_ms;
    log_error("partition halted", LOG_STR("topic", queue->route->topic),
              LOG_INT("partition", queue->partition), LOG_INT("position", queue->position),
              LOG_STR("class", err_class_name(err->class)), LOG_ERR(err),
              LOG_STR("column", err->column), LOG_INT("retry_ms", retry_ms));
    dispatcher_set_queue_state(dispatcher, queue, QUEUE_HALTED);
    stop_fetching(dispatcher, queue);
    intake_drop_unsent(dispatcher, queue);
}

/* The life of a queue: routed, claimed, placed, open. */

static void open_queue(struct dispatcher *dispatcher, struct queue *queue)
{
    dispatcher_set_queue_state(dispatcher, queue, QUEUE_OPEN);
    queue->wants_headers |= queue->route->mapping->wants_headers;
    if (!queue->fetching)
        start_fetching(dispatcher, queue);
    intake_encode_anew(dispatcher, queue);
}

static void ask_for_place(struct dispatcher *dispatcher, struct queue *queue)
{
    dispatcher_set_queue_state(dispatcher, queue, QUEUE_UNPLACED);
    dispatcher->hooks.place(dispatcher->hooks.opaque, queue);
}

void ownership_place(struct dispatcher *dispatcher, struct queue *queue, int64_t offset)
{
    if (queue->state != QUEUE_UNPLACED)
        return;
    queue->initial = offset;
    queue->vanished = false;
    if (dispatcher->flush_settings.exactly_once) {
        dispatcher_set_queue_state(dispatcher, queue, QUEUE_UNCLAIMED);
        return;
    }
    queue->position = offset;
    queue->read_next = offset;
    open_queue(dispatcher, queue);
}

/* A regular expression that only the broker can read has matched our own dead letters. */
static bool is_for_dead_letters(const struct dispatcher *dispatcher, const struct route *route)
{
    const char *topic = dispatcher->config->dead_letter_topic;

    return topic && strcmp(topic, route->topic) == 0;
}

static void halt_for_dead_letters(struct dispatcher *dispatcher, struct queue *queue)
{
    struct err err;

    err_set(&err, ERR_CONFIG,
            "SINK_TOPICS matches SINK_DEAD_LETTER_TOPIC: each dead letter would become the next");
    ownership_halt(dispatcher, queue, &err);
}

/* Its table is known. One that was open before goes on under its claim; else the claim comes next.
 */
static void on_queue_routed(struct dispatcher *dispatcher, struct queue *queue)
{
    const struct route *route = queue->route;

    if (is_for_dead_letters(dispatcher, route)) {
        halt_for_dead_letters(dispatcher, queue);
    } else if (route->state == ROUTE_BROKEN) {
        ownership_halt(dispatcher, queue, &route->err);
    } else if (queue->attempts > 0 && !TAILQ_EMPTY(&queue->batches) &&
               queue->tried == route->changes) {
        ownership_halt(dispatcher, queue, &queue->halted); /* reading it anew mended nothing */
    } else if (queue->fetching || queue->held_back) {
        open_queue(dispatcher, queue);
    } else if (dispatcher->flush_settings.exactly_once) {
        dispatcher_set_queue_state(dispatcher, queue, QUEUE_UNCLAIMED);
    } else if (queue->position >= 0 && !queue->vanished) {
        queue->read_next = queue->position; /* Kafka may not have been told yet */
        open_queue(dispatcher, queue);
    } else {
        ask_for_place(dispatcher, queue);
    }
}

static void delay_load(struct route *route)
{
    struct retry_decision decision =
        retry_decide(route->err.class, false, route->attempts++, backoff_random());

    route->retry_at_ms = clock_now_ms() + decision.delay_ms;
    log_warn("table not described", LOG_STR("topic", route->topic),
             LOG_STR("table", route->table_name), LOG_ERR(&route->err),
             LOG_INT("retry_ms", decision.delay_ms));
}

static void on_route_loaded(struct route *route, void *opaque)
{
    struct dispatcher *dispatcher = opaque;
    struct queue *queue = TAILQ_FIRST(&dispatcher->queues[QUEUE_UNROUTED]);

    if (route->state == ROUTE_UNKNOWN) {
        delay_load(route);
        return;
    }
    route->attempts = 0;
    while (queue) {
        struct queue *next = TAILQ_NEXT(queue, entry);
        if (queue->route == route)
            on_queue_routed(dispatcher, queue);
        queue = next;
    }
    for (queue = TAILQ_FIRST(&dispatcher->queues[QUEUE_OPEN]); queue;) {
        struct queue *next = TAILQ_NEXT(queue, entry); /* encoding anew may halt it */
        if (queue->route == route)
            intake_encode_anew(dispatcher, queue);
        queue = next;
    }
}

void ownership_load(struct dispatcher *dispatcher, struct route *route, struct conn *conn)
{
    route_load(route, conn, on_route_loaded, dispatcher);
}

struct route *ownership_route(struct dispatcher *dispatcher, const char *topic)
{
    struct route *route;

    TAILQ_FOREACH (route, &dispatcher->routes, entry)
        if (strcmp(route->topic, topic) == 0)
            return route;
    route = route_create(dispatcher->config, topic);
    TAILQ_INSERT_TAIL(&dispatcher->routes, route, entry);
    return route;
}

static struct queue *assign(struct dispatcher *dispatcher, struct queue *queue)
{
    queue->moved_ms = clock_now_ms();
    queue->assigned_ms = clock_wall_ms();
    TAILQ_INSERT_TAIL(&dispatcher->queues[QUEUE_UNROUTED], queue, entry);
    dispatcher->queues_count++;
    identity_refresh(dispatcher, queue->route);
    if (queue->route->state == ROUTE_BROKEN)
        route_forget(queue->route);
    if (queue->route->state == ROUTE_KNOWN)
        on_queue_routed(dispatcher, queue);
    return queue;
}

struct queue *ownership_assign(struct dispatcher *dispatcher, const char *topic, int32_t partition)
{
    return assign(dispatcher, queue_create(ownership_route(dispatcher, topic), partition));
}

struct queue *ownership_assign_range(struct dispatcher *dispatcher, const char *topic,
                                     int32_t partition, int32_t range, int64_t end)
{
    struct queue *queue = queue_create(ownership_route(dispatcher, topic), partition);

    queue->range = range;
    queue->end = end;
    return assign(dispatcher, queue);
}

void ownership_skip(struct dispatcher *dispatcher, struct queue *queue, int64_t offset,
                    bool is_loss)
{
    stop_fetching(dispatcher, queue);
    if (dispatcher->flush_settings.exactly_once) {
        queue->skip_to = offset;
        queue->skip_is_loss = is_loss;
        dispatcher_set_queue_state(dispatcher, queue, QUEUE_UNCLAIMED);
        return;
    }
    queue->position = offset;
    queue->read_next = offset;
    start_fetching(dispatcher, queue);
}

void ownership_check(struct dispatcher *dispatcher)
{
    struct queue *queue = TAILQ_FIRST(&dispatcher->queues[QUEUE_OPEN]);

    while (queue && dispatcher->flush_settings.exactly_once) {
        struct queue *next = TAILQ_NEXT(queue, entry);
        if (!queue->flush) /* a flush finds out for itself */
            dispatcher_set_queue_state(dispatcher, queue, QUEUE_UNCLAIMED);
        queue = next;
    }
}

/* After a REVOKED queue's last thing came back. */
void ownership_bury(struct dispatcher *dispatcher, struct queue *queue)
{
    if (queue->state != QUEUE_REVOKED || !queue_is_quiet(queue))
        return;
    TAILQ_REMOVE(&dispatcher->queues[QUEUE_REVOKED], queue, entry);
    dispatcher->queues_count--;
    queue_destroy(queue);
}

void ownership_revoke(struct dispatcher *dispatcher, struct queue *queue)
{
    dispatcher_set_queue_state(dispatcher, queue, QUEUE_REVOKED);
    queue->fetching = false; /* the caller unassigns it */
    dispatcher->totals.dropped_on_revoke_count += intake_drop_unsent(dispatcher, queue);
    ownership_bury(dispatcher, queue);
}

/* Claims. */

struct running_claim {
    struct claim claim;
    struct dispatcher *dispatcher;
    struct queue *queue;
    bool retried;
};

/* Committed, though we were not told so: it is not sent again. */
static void find_written(struct queue *queue, const struct batch *batch)
{
    part_count(batch, &queue->written);
    queue->route->counters.found += part_rows_count(batch);
}

static void commit_batches(struct dispatcher *dispatcher, struct queue *queue, size_t count)
{
    struct batch *first;

    while (count-- > 0) {
        first = TAILQ_FIRST(&queue->batches);
        letters_pass(dispatcher, queue, first->count - first->first);
        if (first->state == BATCH_READY)
            find_written(queue, first);
        intake_drop(dispatcher, queue, first);
    }
    first = TAILQ_FIRST(&queue->batches);
    if (first && first->records[first->first].offset < queue->position) {
        letters_pass(dispatcher, queue, part_records_count(first));
        find_written(queue, first);
        part_drop(first);
    }
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

    log_line(odd ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, events[outcome],
             LOG_FIELDS(LOG_STR("topic", queue->route->topic),
                        LOG_INT("partition", queue->partition),
                        LOG_INT("position", queue->position), LOG_INT("held", held),
                        LOG_INT("epoch", queue->epoch)));
}

static void on_position(struct dispatcher *dispatcher, struct queue *queue,
                        const struct offsets_position *position)
{
    int64_t held = queue->position;
    size_t committed;
    struct err err;

    if (!identity_matches(queue, position, &err)) {
        ownership_halt(dispatcher, queue, &err);
        return;
    }
    enum queue_outcome outcome =
        queue_reconcile(queue, position->next_offset, position->epoch, &committed);
    queue->confirmed = queue->position;
    queue->leader_epoch = position->leader_epoch;
    queue->skip_to = 0;
    log_outcome(queue, outcome, held);
    dispatcher->totals.rewinds_count += outcome == QUEUE_REWOUND;
    if (outcome == QUEUE_GOES_ON) {
        commit_batches(dispatcher, queue, committed);
    } else {
        stop_fetching(dispatcher, queue);
        intake_drop_unsent(dispatcher, queue);
    }
    if (position->is_counted) { /* a database that went back has not written all that we counted */
        queue->written = position->written;
        queue->lost_count = position->lost_count;
    }
    open_queue(dispatcher, queue);
    dispatcher_announce_move(dispatcher, queue);
    intake_announce_room(dispatcher);
}

/*
 * A row that was there and is gone takes with it what it stood for: the database went back to
 * before the first claim. Only the earliest offset is then sure to skip nothing.
 */
static void on_no_row(struct dispatcher *dispatcher, struct queue *queue)
{
    stop_fetching(dispatcher, queue);
    intake_drop_unsent(dispatcher, queue);
    if (queue->position >= 0) {
        queue->vanished = true;
        dispatcher->totals.rewinds_count++;
        log_warn("position vanished", LOG_STR("topic", queue->route->topic),
                 LOG_INT("partition", queue->partition), LOG_INT("held", queue->position));
    }
    queue->position = -1;
    ask_for_place(dispatcher, queue);
}

static void on_claim_failed(struct dispatcher *dispatcher, struct queue *queue,
                            const struct err *err)
{
    struct retry_decision decision =
        retry_decide(err->class, false, queue->attempts, backoff_random());

    if (decision.action != RETRY_AGAIN && decision.action != RETRY_CLAIM) {
        ownership_halt(dispatcher, queue, err);
        return;
    }
    log_warn("claim failed", LOG_STR("topic", queue->route->topic),
             LOG_INT("partition", queue->partition), LOG_ERR(err));
    counters_note_error(dispatcher, queue, err);
    queue->attempts++;
    queue->retry_at_ms = clock_now_ms() + decision.delay_ms;
    dispatcher_set_queue_state(dispatcher, queue, QUEUE_UNCLAIMED);
}

static void on_claimed(struct claim *claim, enum claim_result result, const struct err *err)
{
    struct running_claim *running = claim->opaque;
    struct dispatcher *dispatcher = running->dispatcher;
    struct queue *queue = running->queue;

    queue->claiming = false;
    dispatcher->retried_claims_count -= running->retried;
    if (queue->state != QUEUE_CLAIMING) {
        ownership_bury(dispatcher, queue); /* revoked meanwhile, or halted: then it claims anew */
    } else if (result == CLAIM_TAKEN) {
        on_position(dispatcher, queue, &claim->position);
    } else if (result == CLAIM_NO_ROW) {
        on_no_row(dispatcher, queue);
    } else {
        on_claim_failed(dispatcher, queue, err);
    }
    free(running);
}

void ownership_claim(struct dispatcher *dispatcher, struct queue *queue, struct conn *conn)
{
    struct running_claim *running = memory_new(sizeof(*running));

    running->dispatcher = dispatcher;
    running->queue = queue;
    running->retried = queue->attempts > 0;
    dispatcher->retried_claims_count += running->retried;
    running->claim = (struct claim){
        .what = {.ledger = dispatcher->flush_settings.ledger,
                 .name = dispatcher->flush_settings.name,
                 .plan = dispatcher->flush_settings.plan,
                 .topic = queue->route->topic,
                 .partition = queue->partition,
                 .range = queue->range,
                 .owner = dispatcher->config->instance_id,
                 .initial = queue->initial,
                 .topic_id = queue->route->topic_id,
                 .skip_from = queue->position,
                 .skip_to = queue->skip_to,
                 .skip_is_loss = queue->skip_is_loss},
        .pool = &dispatcher->pool,
        .opaque = running,
    };
    queue->claiming = true;
    dispatcher_set_queue_state(dispatcher, queue, QUEUE_CLAIMING);
    claim_start(&running->claim, conn, on_claimed);
}
