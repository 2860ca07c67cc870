/*
 * Queues that have something to do and do not move: neither done, nor refused, nor tried again. It
 * is nobody's doing but ours, if both servers are well. Thread: loop.
 */
#ifndef DISPATCH_STUCK_H
#define DISPATCH_STUCK_H

#include "dispatch/dispatcher.h"

/* How many have not moved since then, though they have work. Halted ones wait for an operator. */
size_t stuck_count(const struct dispatcher *dispatcher, int64_t since_ms);

/* All that may tell why: each of them, the connections, the flushes under way, the memory. */
void stuck_log(const struct dispatcher *dispatcher, int64_t since_ms);

#endif
