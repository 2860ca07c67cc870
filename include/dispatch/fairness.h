/*
 * A table that takes no rows for a while, since somebody holds its lock, must not use up what the
 * other tables need. Thread: loop.
 */
#ifndef DISPATCH_FAIRNESS_H
#define DISPATCH_FAIRNESS_H

#include "dispatch/dispatcher.h"

/* Whether the queue's table may have one more connection. */
bool fairness_may_flush(const struct dispatcher *dispatcher, const struct queue *queue);

/* What time brings; for the dispatcher's tick. */
void fairness_check(struct dispatcher *dispatcher);

/* A flush was committed. */
void fairness_end(struct route *route);

#endif
