/*
 * Where a backfill begins or ends, as --from and --to say it. Thread: main, pure.
 */
#ifndef BACKFILL_BOUND_H
#define BACKFILL_BOUND_H

#include "base/err.h"

#include <stdint.h>

enum bound_kind {
    BOUND_EARLIEST, /* the first record that is there */
    BOUND_LATEST,   /* behind the last one that is there */
    BOUND_OFFSET,   /* the same in every partition */
    BOUND_TIME,     /* the first record of that time or later */
};

struct bound {
    enum bound_kind kind;
    int64_t offset;
    int64_t time_ms; /* since 1970 */
};

/*
 * earliest, latest, 1000, 2026-11-20, 2026-11-20T08:00:00+01:00, -90d, -36h, -15m: from now_ms
 * back. False, ERR_CONFIG: what is wrong and what would be right, without the option's name.
 */
bool bound_parse(struct bound *bound, const char *text, int64_t now_ms, struct err *err) MUST_CHECK;

#endif
