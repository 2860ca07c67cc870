/*
 * A batch's dead letters between its encoding and its flush: there may be too many of them, and a
 * topic may have to have them first. Thread: loop.
 */
#ifndef DISPATCH_LETTERS_H
#define DISPATCH_LETTERS_H

#include "dispatch/dispatcher.h"

/*
 * What the batch needs before it may be flushed. With too many dead letters its partition halts;
 * with dead letters that belong into their topic and are not there it becomes BATCH_PRODUCING and
 * the hooks are asked. Else it is ready, as it was.
 */
void letters_admit(struct dispatcher *dispatcher, struct batch *batch);

/*
 * The answer to letters_hooks.produce: Kafka has acknowledged each of the batch's dead letters, or
 * will not take one, for err; then the partition halts.
 */
void letters_produced(struct dispatcher *dispatcher, struct batch *batch, const struct err *err);

/* The batch's first record gets its number; before that, it is the last one of its queue. */
void letters_number(struct batch *batch);

/* The batch is committed. */
void letters_pass(struct dispatcher *dispatcher, struct queue *queue, uint64_t records_count);

#endif
