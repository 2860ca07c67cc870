/*
 * Records in, ready batches out, within SINK_MEMORY_LIMIT. Thread: loop.
 */
#ifndef DISPATCH_INTAKE_H
#define DISPATCH_INTAKE_H

#include "dispatch/dispatcher.h"

/*
 * Copies a record in. A record of a partition that is not open, or below what it waits for, is
 * dropped. False: no memory is left after this one; hooks.room tells when there is.
 */
bool intake_append(struct dispatcher *dispatcher, struct queue *queue, const struct record *record);

/* Once a turn: how far to read ahead; and when that is used up by partial batches alone, they go at
 * once. */
void intake_turn(struct dispatcher *dispatcher);

/* No more records will come: partial batches go at once. */
void intake_drain(struct dispatcher *dispatcher);

/* Whether everything that was taken in is committed, or dropped. */
bool intake_is_empty(const struct dispatcher *dispatcher);

/* A batch that is full, or whose table has changed: BATCH_ENCODING. */
void intake_encode(struct dispatcher *dispatcher, struct batch *batch);

/*
 * PostgreSQL has refused the row of record `index`: it becomes a dead letter, or the batch stops
 * before it. False: it will be read again first, with headers; the batch is dropped.
 */
bool intake_refuse(struct dispatcher *dispatcher, struct batch *batch, uint32_t index,
                   const struct err *reason);

/* The next flush takes that many of a ready batch's records. */
void intake_cut(struct dispatcher *dispatcher, struct batch *batch, uint32_t records_count);

/* Every ready batch of the queue that was encoded for a former description of its table. */
void intake_encode_anew(struct dispatcher *dispatcher, struct queue *queue);

/* Takes a batch out of its queue: it is committed, or nobody wants it any more. */
void intake_drop(struct dispatcher *dispatcher, struct queue *queue, struct batch *batch);

/* All but what a flush has sent: its outcome decides about those. Returns how many records that
 * were. */
size_t intake_drop_unsent(struct dispatcher *dispatcher, struct queue *queue);

/* After something was dropped: reading may go on. */
void intake_announce_room(struct dispatcher *dispatcher);

size_t intake_memory_bytes(const struct dispatcher *dispatcher);

#endif
