/*
 * What to do about a failed flush: the only place where an error's class becomes an action. Pure.
 * Thread: any.
 */
#ifndef DISPATCH_RETRY_H
#define DISPATCH_RETRY_H

#include "base/err.h"

#include <stdint.h>

enum retry_action {
    RETRY_AGAIN, /* the same batches, after delay_ms */
    RETRY_CLAIM, /* whether it was committed, or who owns the position, is unknown: ask, then go on
                  */
    RETRY_ISOLATE, /* a record is to blame: find it, make it a dead letter, send the others */
    RETRY_RELOAD,  /* the table may have changed: read its description; again, or halt if it is the
                      same */
    RETRY_HALT,    /* the partition stops until somebody mends it */
};

struct retry_decision {
    enum retry_action action;
    int64_t delay_ms;
};

/* lost: the connection went away with the flush; attempt: how often this flush has failed before.
 */
struct retry_decision retry_decide(enum err_class class, bool lost, unsigned attempt,
                                   uint32_t random);

/* Until a halted partition is tried again: its fault may have been mended meanwhile. */
int64_t retry_halted_ms(unsigned attempt, uint32_t random);

#endif
