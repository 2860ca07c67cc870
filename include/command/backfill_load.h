/*
 * The loop of a backfill: loads the ranges of a plan that are this process's, until all are
 * complete or it is told to stop. Thread: main, which becomes the loop's.
 */
#ifndef COMMAND_BACKFILL_LOAD_H
#define COMMAND_BACKFILL_LOAD_H

#include "command/backfill_hold.h"
#include "command/backfill_ranges.h"
#include "command/exit.h"
#include "command/monitor.h"
#include "config.h"

/*
 * EXIT_DONE: all ranges of the share are complete, and the backfill's ranges (borrowed) say what
 * was written; EXIT_TEMPORARY: they are not; EXIT_CONFIG: a client can not be made. The monitor
 * (borrowed) listens, or does not.
 */
int backfill_load(struct monitor *monitor, struct backfill *backfill,
                  const struct backfill_share *share, struct backfill_hold *hold);

#endif
