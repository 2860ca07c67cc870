/*
 *   held --its session is lost--> asking (thread) --taken again-------------------> held
 *     ^                              |    ^
 *     |                              |    +--PostgreSQL is away, or takes the former session for
 *     |                              |       alive: again at the next tick
 *     |                              +--another process has it: on_taken
 *
 * The race of one that was frozen or cut off:
 * 1. A's session ends while A does not run; PostgreSQL gives the lock to B, which claims the
 *    ranges.
 * 2. A wakes up. Its flush is refused, since B's claims have raised the epochs.
 * 3. A would claim them again, then B, then A: nothing is doubled, and little gets done.
 * So A looks after its session, wants the lock again, finds it taken, and ends.
 */
#include "command/backfill_hold.h"

#include "base/clock.h"
#include "ops/log.h"
#include "pg/backfill_table.h"
#include "pg/session.h"

#include <poll.h>

enum { PAUSE_MS = 200, TICK_MS = 500, AGAIN_MS = 2000 };

/* --- Before the loop runs --------------------------------------------------------------------- */

/* A process that was killed a moment ago may not be gone yet in the eyes of PostgreSQL. */
static bool take_until(const struct backfill_hold *hold, int64_t index, int64_t deadline_ms,
                       struct err *err)
{
    while (!backfill_table_take(hold->connection, hold->name, index, 0, err)) {
        bool may_end = err->class == ERR_CONTENTION ||
                       (err->class == ERR_OUTAGE && PQstatus(hold->connection) == CONNECTION_OK);
        if (!may_end || clock_now_ms() >= deadline_ms)
            return false;
        poll(NULL, 0, PAUSE_MS);
    }
    return true;
}

bool backfill_hold_take(struct backfill_hold *hold, struct err *err)
{
    int64_t timeout_ms = hold->config->connect_timeout_ms;

    hold->connection = session_connect(hold->config, timeout_ms, err);
    hold->pid = hold->connection ? PQbackendPID(hold->connection) : 0;
    return hold->connection && take_until(hold, hold->index, clock_now_ms() + timeout_ms, err);
}

bool backfill_hold_take_all(struct backfill_hold *hold, int64_t of, struct err *err)
{
    int64_t deadline_ms = clock_now_ms() + hold->config->connect_timeout_ms;

    for (int64_t index = 0; index < of; index++)
        if (index != hold->index && !take_until(hold, index, deadline_ms, err))
            return false;
    return true;
}

/* --- On the loop ------------------------------------------------------------------------------ */

static void ask(void *opaque)
{
    struct backfill_hold *hold = opaque;

    hold->fresh = session_connect(hold->config, AGAIN_MS, &hold->fresh_err);
    if (hold->fresh &&
        !backfill_table_take(hold->fresh, hold->name, hold->index, hold->pid, &hold->fresh_err)) {
        PQfinish(hold->fresh);
        hold->fresh = NULL;
    }
    uv_async_send(&hold->answered);
}

static void join(struct backfill_hold *hold)
{
    uv_thread_join(&hold->thread);
    hold->asking = false;
    hold->connection = hold->fresh;
    hold->fresh = NULL;
    if (hold->connection)
        hold->pid = PQbackendPID(hold->connection);
}

static void on_answered(uv_async_t *answered)
{
    struct backfill_hold *hold = answered->data;

    if (!hold->asking)
        return;
    join(hold);
    if (hold->connection) {
        log_info("the backfill's lock is ours again", LOG_STR("backfill", hold->name));
    } else if (hold->fresh_err.class == ERR_CONTENTION) {
        hold->lost = true;
        hold->on_taken(hold->opaque, &hold->fresh_err);
    } else {
        log_debug("the backfill's lock is not ours yet", LOG_ERR(&hold->fresh_err));
    }
}

void backfill_hold_check(struct backfill_hold *hold)
{
    if (hold->asking || hold->lost)
        return;
    if (hold->connection && PQconsumeInput(hold->connection) &&
        PQstatus(hold->connection) == CONNECTION_OK)
        return;
    PQfinish(hold->connection);
    hold->connection = NULL;
    hold->asking = uv_thread_create(&hold->thread, ask, hold) == 0;
}

static void on_tick(uv_timer_t *timer)
{
    backfill_hold_check(timer->data);
}

void backfill_hold_open(struct backfill_hold *hold, uv_loop_t *loop,
                        void (*on_taken)(void *opaque, const struct err *err), void *opaque)
{
    hold->on_taken = on_taken;
    hold->opaque = opaque;
    uv_async_init(loop, &hold->answered, on_answered);
    hold->answered.data = hold;
    uv_timer_init(loop, &hold->timer);
    hold->timer.data = hold;
    uv_timer_start(&hold->timer, on_tick, TICK_MS, TICK_MS);
}

void backfill_hold_close(struct backfill_hold *hold)
{
    if (hold->asking)
        join(hold);
    uv_close((uv_handle_t *)&hold->timer, NULL);
    uv_close((uv_handle_t *)&hold->answered, NULL);
}

void backfill_hold_end(struct backfill_hold *hold)
{
    PQfinish(hold->connection);
    hold->connection = NULL;
}
