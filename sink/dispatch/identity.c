/*
 *   unknown --id--> known --another id--> known, its partitions halt; a claim then finds out that
 * the ^              |                   stored position is of the former topic, and they stay so
 *      +-- forgotten, or the topic is gone
 *
 * With exactly once an operator decides what becomes of the position (pgsluice offsets reset). With
 * at_least_once there is none in PostgreSQL, and Kafka has dropped the group's with the topic: it
 * starts over at the earliest offset.
 *
 * Brokers learn of a topic one after the other. An answer with the former id comes from one that is
 * behind, as does "no such topic" for one that was never known here.
 */
#include "dispatch/identity.h"

#include "base/clock.h"
#include "dispatch/ownership.h"
#include "ops/log.h"

#include <stdio.h>
#include <string.h>

enum { FRESH_MS = 5000 };

typedef void (*queue_cb)(struct dispatcher *dispatcher, struct queue *queue);

/* Those that are not revoked; one that the callback moves on in the lists is seen again. */
static void each_queue(struct dispatcher *dispatcher, const struct route *route, queue_cb callback)
{
    for (int state = 0; state <= QUEUE_HALTED; state++) {
        struct queue *queue = TAILQ_FIRST(&dispatcher->queues[state]);
        while (queue) {
            struct queue *next = TAILQ_NEXT(queue, entry);
            if (queue->route == route)
                callback(dispatcher, queue);
            queue = next;
        }
    }
}

static void note_position(struct dispatcher *dispatcher, struct queue *queue)
{
    (void)dispatcher;
    queue->confirmed = queue->position;
}

static void halt_missing(struct dispatcher *dispatcher, struct queue *queue)
{
    struct err err;

    err_set(&err, ERR_CONFIG, "%s[%d]: the topic does not exist any more", queue->route->topic,
            queue->partition);
    ownership_halt(dispatcher, queue, &err);
}

/* What was written since the last look may be of either. */
static void halt_replaced(struct dispatcher *dispatcher, struct queue *queue)
{
    const struct route *route = queue->route;
    struct err err;

    err_set(&err, ERR_CONFIG,
            "%s[%d]: the topic was deleted and made anew: its id was %s and is %s", route->topic,
            queue->partition, route->former_id, route->topic_id);
    if (queue->position > queue->confirmed && queue->confirmed >= 0)
        err_context(&err,
                    "what was written from offset %lld to before %lld may be of the new topic",
                    (long long)queue->confirmed, (long long)queue->position);
    queue->vanished = !dispatcher->flush_settings.exactly_once;
    ownership_halt(dispatcher, queue, &err);
}

static void note_identified(struct route *route)
{
    route->identified = true;
    route->identified_ms = clock_now_ms();
}

static void take_missing(struct dispatcher *dispatcher, struct route *route)
{
    if (!route->topic_id[0])
        return;
    route->identified = false;
    each_queue(dispatcher, route, halt_missing);
}

static void take_other(struct dispatcher *dispatcher, struct route *route, const char *id)
{
    bool replaced = route->topic_id[0] != '\0';

    memcpy(route->former_id, route->topic_id, sizeof(route->former_id));
    snprintf(route->topic_id, sizeof(route->topic_id), "%s", id);
    note_identified(route);
    if (replaced)
        each_queue(dispatcher, route, halt_replaced);
}

void identity_take(struct dispatcher *dispatcher, const char *topic, const char *id)
{
    struct route *route = ownership_route(dispatcher, topic);

    if (!id) {
        take_missing(dispatcher, route);
    } else if (!id[0] || strcmp(id, route->topic_id) == 0) {
        note_identified(route);
        each_queue(dispatcher, route, note_position);
    } else if (strcmp(id, route->former_id) != 0) {
        take_other(dispatcher, route, id);
    }
}

void identity_forget(struct dispatcher *dispatcher, struct route *route)
{
    if (!dispatcher->hooks.identify)
        return;
    route->identified = false;
    dispatcher->hooks.identify(dispatcher->hooks.opaque);
}

void identity_refresh(struct dispatcher *dispatcher, struct route *route)
{
    if (!route->identified || clock_now_ms() - route->identified_ms > FRESH_MS)
        identity_forget(dispatcher, route);
}

bool identity_is_known(const struct dispatcher *dispatcher, const struct route *route)
{
    return route->identified || !dispatcher->hooks.identify;
}

static bool add_remedy(const struct queue *queue, struct err *err)
{
    struct err reason = *err;

    if (queue->end != INT64_MAX)
        return err_set(err, reason.class,
                       "%sto load the new one, give another --name, or --restart", reason.text);
    return err_set(err, reason.class,
                   "%sto go on with the new one, stop the sink and run: pgsluice offsets reset "
                   "--topic %s --to earliest --yes",
                   reason.text, queue->route->topic);
}

bool identity_matches(const struct queue *queue, const struct offsets_position *position,
                      struct err *err)
{
    const struct route *route = queue->route;

    if (!route->topic_id[0] || !position->topic_id[0] ||
        strcmp(route->topic_id, position->topic_id) == 0)
        return true;
    err_set(
        err, ERR_CONFIG,
        "%s[%d]: the topic was deleted and made anew: its id is %s, and the position %lld belongs "
        "to the one with id %s; ",
        route->topic, queue->partition, route->topic_id, (long long)position->next_offset,
        position->topic_id);
    return add_remedy(queue, err);
}
