/*
 * That a process has its share of a backfill to itself: a lock of a session of its own, which ends
 * with the process. Thread: main; backfill_hold_check also on the loop.
 */
#ifndef COMMAND_BACKFILL_HOLD_H
#define COMMAND_BACKFILL_HOLD_H

#include "config.h"

#include <libpq-fe.h>

struct backfill_hold {
    const struct config *config; /* borrowed */
    const char *name;            /* the backfill's, borrowed */
    int64_t index;               /* of the share */
    PGconn *connection;          /* has the lock; NULL: nobody does */
};

/*
 * Waits for whoever has it, at most SINK_CONNECT_TIMEOUT_MS. False: ERR_CONTENTION, another process
 * still has it, and err says which; else PostgreSQL can't be asked.
 */
bool backfill_hold_take(struct backfill_hold *hold, struct err *err) MUST_CHECK;

/*
 * Whether it is still ours, or ours again: a session that was lost took the lock with it. Blocks
 * for a moment, and only when that has happened.
 */
bool backfill_hold_check(struct backfill_hold *hold, struct err *err) MUST_CHECK;

void backfill_hold_end(struct backfill_hold *hold);

#endif
