/*
 * How far a partition is behind, in records and in time. Here is the logic alone;
 * kafka/watermarks.h brings the ends. Thread: loop.
 */
#ifndef DISPATCH_LAG_H
#define DISPATCH_LAG_H

#include "dispatch/queue.h"

/*
 * The partition's end is at `end`, what its log holds is behind us up to `read_to` (-1: not known),
 * and it is now_ms, Unix time.
 */
void lag_note(struct queue *queue, int64_t end, int64_t read_to, int64_t now_ms);

/* The highest end that is known; -1: none yet. */
int64_t lag_end(const struct queue *queue);

/* Offsets between the position and the end; -1: not known yet. */
int64_t lag_records(const struct queue *queue);

/* Since when the next record to be written has waited, in milliseconds; 0: there is none. */
int64_t lag_ms(const struct queue *queue, int64_t now_ms);

#endif
