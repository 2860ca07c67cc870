/*
 * Ready batches meet idle connections: the centre of the sink.
 *
 * It owns the queues, the routes, the free batches and the flushes under way; the pool is its own
 * too. Its work is told in five files: dispatch/intake.c (records become ready batches),
 * dispatch/ownership.c (the life of a queue), dispatch/dispatcher.c (the turn), dispatch/outcome.c
 * (what follows from a flush), dispatch/isolate.c (finding a record that PostgreSQL refuses).
 * kafka/ brings assignments and records, and carries out what is asked for through the hooks.
 * Thread: loop.
 */
#ifndef DISPATCH_DISPATCHER_H
#define DISPATCH_DISPATCHER_H

#include "config.h"
#include "dispatch/claim.h"
#include "dispatch/counters.h"
#include "dispatch/encode.h"
#include "dispatch/flush.h"
#include "dispatch/queue.h"
#include "dispatch/route.h"
#include "pg/pool.h"

/* What it asks of the topic of dead letters; with SINK_DEAD_LETTERS=topic and both. */
struct letters_hooks {
    void (*produce)(void *opaque, struct batch *batch); /* dispatch/letters.h: letters_produced */
    void (*abandon)(void *opaque, struct batch *batch); /* it is dropped: no answer any more */
    void *opaque;
};

/* What the dispatcher asks of Kafka's side. */
struct dispatcher_hooks {
    void (*place)(void *opaque, struct queue *queue); /* find where it starts: dispatcher_place */
    void (*start)(void *opaque, struct queue *queue); /* fetch from queue->read_next */
    void (*stop)(void *opaque, struct queue *queue);  /* fetch no more of it; it stays assigned */
    void (*room)(void *opaque);                       /* memory is free again: read on */
    void (*identify)(void *opaque); /* find the topics' ids: identity_take; NULL: without ids */
    void (*moved)(void *opaque,
                  const struct queue *queue); /* its position has; NULL: no interest */
    void *opaque;
    struct letters_hooks letters;
};

/* Since the start. */
struct dispatcher_totals {
    uint64_t rows_count;
    uint64_t records_count; /* rows and dead letters */
    uint64_t dead_letters_count;
    uint64_t flushes_count;
    uint64_t copied_bytes;
    uint64_t failed_flushes_count;
    uint64_t dropped_on_revoke_count; /* records that were in memory when their partition left */
    uint64_t rewinds_count;
    uint64_t lost_count; /* offsets passed unread: SINK_OUT_OF_RANGE=earliest */
};

struct dispatcher {
    const struct config *config; /* borrowed */
    struct dispatcher_hooks hooks;
    struct dispatcher_totals totals;
    struct counters counters;
    struct pool pool;

    /* private: */
    uv_loop_t *loop;
    struct queue_list queues[QUEUE_STATES];
    size_t queues_count;
    struct queue_list ready;
    struct route_list routes;
    struct batch_list filling; /* in opening order, so also in the order of their timeouts */
    struct batch_list free_batches;
    size_t free_batches_bytes;
    size_t batches_count;        /* not free */
    size_t retried_claims_count; /* under way: each may wait seconds for a row's lock */
    struct flush_list flushes;
    struct flush_list free_flushes;
    struct flush_settings flush_settings;
    struct encode_settings encode_settings;
    struct breaker_settings breaker_settings;

    struct arena_store store;
    size_t overhead_bytes; /* records and COPY bytes of the batches that are not free */
    size_t limit_bytes;    /* of SINK_MEMORY_LIMIT, for all of this */
    size_t working_bytes;  /* what reading goes up to: enough to keep every connection busy */
    bool full;

    uv_prepare_t turn;
    uv_timer_t batch_timer; /* closes the oldest filling batch */
    uv_timer_t retry_timer;
    bool draining;
};

/* Memory is the caller's. The pool begins to connect. */
void dispatcher_open(struct dispatcher *dispatcher, uv_loop_t *loop, const struct config *config,
                     const struct dispatcher_hooks *hooks);

/* Right after dispatcher_open: what it does is a backfill of this name and plan (both borrowed),
 * whose ranges have their positions in a ledger of their own. */
void dispatcher_serve_backfill(struct dispatcher *dispatcher, const char *name, const char *plan);

/* Everything is dropped; dispatcher_finish after the loop has run its close callbacks. */
void dispatcher_close(struct dispatcher *dispatcher);
void dispatcher_finish(struct dispatcher *dispatcher);

/* Writes the queue's state; the ready list follows. */
void dispatcher_set_queue_state(struct dispatcher *dispatcher, struct queue *queue,
                                enum queue_state to);

/* The one after `queue` (NULL: the first) of those that are not revoked; NULL: there is none. */
struct queue *dispatcher_next_assigned(const struct dispatcher *dispatcher,
                                       const struct queue *queue);

#define DISPATCHER_EACH_ASSIGNED(queue, dispatcher)                     \
    for ((queue) = dispatcher_next_assigned(dispatcher, NULL); (queue); \
         (queue) = dispatcher_next_assigned(dispatcher, queue))

/* After the queue's position has changed, or may have. */
void dispatcher_announce_move(struct dispatcher *dispatcher, const struct queue *queue);

/* After anything that decides whether a flush may begin with the queue's first batch. */
void dispatcher_update_ready(struct dispatcher *dispatcher, struct queue *queue);

#endif
