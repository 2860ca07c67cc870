/*
 * That a process has its share of a backfill to itself: a lock of a session of its own, which ends
 * with the process. Thread: main; between backfill_hold_open and _close the loop, and a thread of
 * its own for the time in which a lost session is replaced.
 */
#ifndef COMMAND_BACKFILL_HOLD_H
#define COMMAND_BACKFILL_HOLD_H

#include "config.h"

#include <libpq-fe.h>
#include <uv.h>

struct backfill_hold {
    const struct config *config; /* borrowed */
    const char *name;            /* the backfill's, borrowed */
    int64_t index;               /* of the share */
    int pid;                     /* of the session that has the lock, or had it; 0: none has */

    /* private: */
    PGconn *connection; /* has the lock; NULL: lost, and being replaced */
    void (*on_taken)(void *opaque, const struct err *err);
    void *opaque;
    uv_timer_t timer;
    uv_async_t answered;
    uv_thread_t thread;
    bool asking;
    bool lost;     /* another process has it: nothing is tried any more */
    PGconn *fresh; /* the thread's, as is its err: read after it was joined */
    struct err fresh_err;
};

/*
 * Waits for whoever has it, at most SINK_CONNECT_TIMEOUT_MS. False: ERR_CONTENTION, another process
 * still has it, and err says which; else PostgreSQL can't be asked.
 */
bool backfill_hold_take(struct backfill_hold *hold, struct err *err) MUST_CHECK;

/* As above, with the shares of all `of` processes: nobody else is to work on it. */
bool backfill_hold_take_all(struct backfill_hold *hold, int64_t of, struct err *err) MUST_CHECK;

/*
 * On the loop, after backfill_hold_take: from now on a session that is lost is replaced. on_taken,
 * once at most: another process has the lock, as err says.
 */
void backfill_hold_open(struct backfill_hold *hold, uv_loop_t *loop,
                        void (*on_taken)(void *opaque, const struct err *err), void *opaque);

/* There is reason to think that it is lost: looks at once. */
void backfill_hold_check(struct backfill_hold *hold);

/* Waits for a thread that is under way, at most some seconds. */
void backfill_hold_close(struct backfill_hold *hold);

/* Gives the lock up; zeroed as well. */
void backfill_hold_end(struct backfill_hold *hold);

#endif
