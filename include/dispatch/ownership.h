/*
 * The life of a queue, from its assignment to its revocation. Thread: loop.
 */
#ifndef DISPATCH_OWNERSHIP_H
#define DISPATCH_OWNERSHIP_H

#include "dispatch/dispatcher.h"

/* The topic's route, made when it is new. Borrowed. */
struct route *ownership_route(struct dispatcher *dispatcher, const char *topic);

/* A partition was assigned: a queue that claims its position, then asks the hooks to start it. */
struct queue *ownership_assign(struct dispatcher *dispatcher, const char *topic, int32_t partition);

/* A range of a partition: the same, up to before `end`. */
struct queue *ownership_assign_range(struct dispatcher *dispatcher, const char *topic,
                                     int32_t partition, int32_t range, int64_t end);

/* The answer to hooks.place. */
void ownership_place(struct dispatcher *dispatcher, struct queue *queue, int64_t offset);

/* A partition was taken away or lost: what is not sent is dropped. The queue is no longer the
 * caller's. */
void ownership_revoke(struct dispatcher *dispatcher, struct queue *queue);

/* Stops a partition until a later try, and says why; Kafka's errors come here as well. */
void ownership_halt(struct dispatcher *dispatcher, struct queue *queue, const struct err *err);

/*
 * Goes on at a higher offset; nothing of it is under way, or waits to be sent. is_loss: what is
 * between was deleted before it was read; else there are no records.
 */
void ownership_skip(struct dispatcher *dispatcher, struct queue *queue, int64_t offset,
                    bool is_loss);

/*
 * PostgreSQL was away: open queues claim again. It may have lost its last commits, or be another
 * one that never had them, and a queue that has nothing to send would not notice.
 */
void ownership_check(struct dispatcher *dispatcher);

/* Destroys a revoked queue once nothing of it is under way. */
void ownership_bury(struct dispatcher *dispatcher, struct queue *queue);

/* For the turn, with an idle connection: reads the table of a route, claims a QUEUE_UNCLAIMED. */
void ownership_load(struct dispatcher *dispatcher, struct route *route, struct conn *conn);
void ownership_claim(struct dispatcher *dispatcher, struct queue *queue, struct conn *conn);

#endif
