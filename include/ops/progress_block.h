/*
 * How far a run is, as a block of lines for a terminal:
 *
 *   orders-2026  [#############>-----------------]  42.1 %  about 1 min 40 s left
 *   4,213,000 rows   1.21 M rows/s   207 MB   31.0 MB/s   running for 1 min 9 s
 *   3 dead letters
 *   orders: 12 partitions, 1 halted, 7 loading, 3 waiting, 1 complete
 *   orders[3] halted: table "orders" has no column "amount"
 *   [0]  42.0 % loading   [1]  41.2 % loading   [2]   0.0 % waiting   [4] 100.0 % complete
 *
 * Partitions that find no place are folded into "and 48 more". Thread: any, pure.
 */
#ifndef OPS_PROGRESS_BLOCK_H
#define OPS_PROGRESS_BLOCK_H

#include "base/buffer.h"
#include "ops/progress.h"
#include "ops/progress_rate.h"

/* What it has to fit. */
struct progress_screen {
    int columns; /* lines are narrower by one: a full line would wrap on some terminals */
    int rows;    /* the block takes half of them at most, but for its first lines */
    bool colour;
};

/* Appends whole lines, each with its \n, and returns how many. */
int progress_block_append(struct buffer *out, const struct progress *progress,
                          const struct progress_rate *rate, const struct progress_screen *screen);

#endif
