/* The table of design, "Errors", as code. */
#include "dispatch/retry.h"

#include "base/backoff.h"

static const struct backoff outage = {.first_ms = 250, .limit_ms = 10000};
static const struct backoff contention = {.first_ms = 20, .limit_ms = 2000};
static const struct backoff fenced = {.first_ms = 200, .limit_ms = 2000};
static const struct backoff halted = {.first_ms = 5000, .limit_ms = 60000};

static struct retry_decision decide(enum retry_action action, int64_t delay_ms)
{
    return (struct retry_decision){.action = action, .delay_ms = delay_ms};
}

struct retry_decision retry_decide(enum err_class class, bool lost, unsigned attempt,
                                   uint32_t random)
{
    if (lost)
        return decide(RETRY_CLAIM, 0);
    switch (class) {
    case ERR_NONE:
    case ERR_OUTAGE:
        return decide(RETRY_AGAIN, backoff_delay_ms(&outage, attempt, random));
    case ERR_CONTENTION:
        return decide(RETRY_AGAIN, backoff_delay_ms(&contention, attempt, random));
    case ERR_DATA:
        return decide(RETRY_ISOLATE, 0);
    case ERR_CONFIG:
        return decide(RETRY_RELOAD, 0);
    case ERR_FENCED:
        return decide(RETRY_CLAIM, backoff_delay_ms(&fenced, attempt, random));
    case ERR_INTERNAL:
        break;
    }
    return decide(RETRY_HALT, 0);
}

int64_t retry_halted_ms(unsigned attempt, uint32_t random)
{
    return backoff_delay_ms(&halted, attempt, random);
}
