/* The doubling is capped before it can overflow. */
#include "base/backoff.h"

#include <stdlib.h>
#include <sys/random.h>

int64_t backoff_delay_ms(const struct backoff *backoff, unsigned attempt, uint32_t random)
{
    int64_t bound = backoff->first_ms;

    while (attempt-- > 0 && bound < backoff->limit_ms)
        bound *= 2;
    if (bound > backoff->limit_ms)
        bound = backoff->limit_ms;
    int64_t half = bound / 2;
    return half + (int64_t)((uint64_t)random * (uint64_t)(bound - half) >> 32);
}

uint32_t backoff_random(void)
{
    uint32_t random;

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        random =
            (uint32_t)rand(); /* only before the kernel's pool is seeded; jitter needs no more */
    return random;
}
