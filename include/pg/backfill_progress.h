/*
 * How far a backfill is: the picture of ops/progress.h from pgsluice.backfills and
 * pgsluice.backfill_ranges, from anywhere, while it runs and after. Thread: main, on a blocking
 * connection.
 */
#ifndef PG_BACKFILL_PROGRESS_H
#define PG_BACKFILL_PROGRESS_H

#include "ops/progress.h"
#include "pg/backfill_table.h"

struct backfill_progress {
    struct backfill backfill;
    struct progress_range *ranges; /* as many as the backfill has */
    struct progress progress;      /* borrows both */
};

/* Names of all, in the order in which they were first started. The caller clears the result; NULL:
 * err. */
PGresult *backfill_progress_names(PGconn *connection, struct err *err);

/*
 * False: err, or with class ERR_NONE there is no such backfill. own_pid: a session that is no sign
 * of somebody's work, since it is the caller's; 0: none. Why a range is halted is only known to its
 * process: here it is one that is being loaded.
 */
bool backfill_progress_read(struct backfill_progress *picture, PGconn *connection, const char *name,
                            int own_pid, struct err *err) MUST_CHECK;

/* Of one that is not in the table. Takes what the backfill holds, and zeroes it. */
void backfill_progress_plan(struct backfill_progress *picture, struct backfill *backfill);

/* Marks what halted when this process loaded the same plan; borrows the reasons from there. */
void backfill_progress_halt(struct backfill_progress *picture, const struct backfill *loaded);

void backfill_progress_finish(struct backfill_progress *picture);

/* What is known of a range without asking who works on it: it is complete, or it waits. */
struct progress_range backfill_progress_range(const struct backfill_range *range);

#endif
