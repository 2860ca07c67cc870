/*
 * What has come of a run, or of what was done of it so far: a text for people, which says how the
 * sum is arrived at, and the same as JSON. Thread: any, pure.
 */
#ifndef OPS_PROGRESS_SUMMARY_H
#define OPS_PROGRESS_SUMMARY_H

#include "base/buffer.h"
#include "ops/progress.h"

#include <jansson.h>

/*
 *   Backfill orders-2026 is complete: 4,999,000 rows in 4 min 10 s, 19,996 a second
 *
 *     rows written                 4,999,000
 *     skipped                              0
 *     dead letters                     1,000
 *     = records read               5,000,000
 *     offsets without a record         1,204  (markers, aborted or compacted records)
 *     gone to retention unread             0
 *     = offsets in range           5,001,204
 *
 *   PARTITION  RECORDS  FIRST    LAST  FIRST TIME (UTC)     LAST TIME (UTC)
 *   orders[0]  416,667      0  416766  2026-08-20 11:00:00  2026-11-20 10:59:59
 *
 * Of a run that is not complete, also what is left and the states; of a halted partition the
 * reason.
 */
void progress_summary_append(struct buffer *out, const struct progress *progress);

/* One object; the caller's reference. */
json_t *progress_json(const struct progress *progress);

#endif
