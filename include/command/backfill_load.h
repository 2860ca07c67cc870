/*
 * The loop of a backfill: loads the ranges of a plan that are this process's, until all are
 * complete or it is told to stop. Thread: main, which becomes the loop's.
 */
#ifndef COMMAND_BACKFILL_LOAD_H
#define COMMAND_BACKFILL_LOAD_H

#include "command/backfill_hold.h"
#include "command/exit.h"
#include "command/monitor.h"
#include "config.h"
#include "pg/backfill_table.h"

/* Which of the processes that share a backfill this is: it has the partitions p % of == index. */
struct backfill_share {
    int64_t index;
    int64_t of;
};

static inline bool backfill_share_has(const struct backfill_share *share, int32_t partition)
{
    return partition % share->of == share->index;
}

/*
 * EXIT_DONE: all ranges of the share are complete, and the backfill's ranges (borrowed) say what
 * was written; EXIT_TEMPORARY: they are not; EXIT_CONFIG: a client can not be made. The monitor
 * (borrowed) listens, or does not.
 */
int backfill_load(struct monitor *monitor, struct backfill *backfill,
                  const struct backfill_share *share, struct backfill_hold *hold);

#endif
