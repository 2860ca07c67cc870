/*
 * The race of one that was frozen or cut off:
 * 1. A's session ends while A does not run; PostgreSQL gives the lock to B, which claims the
 * ranges.
 * 2. A wakes up. Its flush is refused, since B's claims have raised the epochs.
 * 3. A would claim them again, then B, then A: nothing is doubled, and little gets done.
 * So A, as it notices that somebody else has claimed, looks after its lock, finds it taken, and
 * ends.
 */
#include "command/backfill_hold.h"

#include "base/clock.h"
#include "pg/backfill_table.h"
#include "pg/session.h"

#include <poll.h>

enum { PAUSE_MS = 200, AGAIN_MS = 5000 };

/* A process that was killed a moment ago may not be gone yet in the eyes of PostgreSQL. */
static bool take_until(struct backfill_hold *hold, int64_t deadline_ms, struct err *err)
{
    bool taken;

    while (!(taken = backfill_table_take(hold->connection, hold->name, hold->index, err)) &&
           err->class == ERR_CONTENTION && clock_now_ms() < deadline_ms)
        poll(NULL, 0, PAUSE_MS);
    return taken;
}

bool backfill_hold_take(struct backfill_hold *hold, struct err *err)
{
    int64_t timeout_ms = hold->config->connect_timeout_ms;

    hold->connection = session_connect(hold->config, timeout_ms, err);
    return hold->connection && take_until(hold, clock_now_ms() + timeout_ms, err);
}

bool backfill_hold_check(struct backfill_hold *hold, struct err *err)
{
    if (hold->connection && PQconsumeInput(hold->connection) &&
        PQstatus(hold->connection) == CONNECTION_OK)
        return true;
    backfill_hold_end(hold);
    hold->connection = session_connect(hold->config, AGAIN_MS, err);
    return hold->connection && take_until(hold, 0, err);
}

void backfill_hold_end(struct backfill_hold *hold)
{
    PQfinish(hold->connection);
    hold->connection = NULL;
}
