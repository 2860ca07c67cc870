/*
 * How long to wait before the next try: exponential with full jitter, so that replicas that lost
 * the same server do not come back in step. Pure. Thread: any.
 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t first_ms; /* upper bound of the first delay */
    int64_t limit_ms; /* upper bound of every delay */
};

/*
 * Delay before try number `attempt` (0: the first retry): evenly spread over the upper half of
 * first * 2^attempt, held at the limit. `random` is any 32 bits of chance.
 */
int64_t backoff_delay_ms(const struct backoff *backoff, unsigned attempt, uint32_t random);

/* 32 bits of chance for it. */
uint32_t backoff_random(void);

#endif
