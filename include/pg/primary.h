/*
 * Which server takes the writes: of which cluster it is, and after how many promotions. A standby
 * that is promoted begins a timeline of a higher number; the former primary keeps the lower one,
 * also when it comes back and takes writes again. Thread: any.
 */
#ifndef PG_PRIMARY_H
#define PG_PRIMARY_H

#include "base/err.h"

#include <libpq-fe.h>
#include <stdint.h>

struct primary {
    char cluster[24];  /* its system identifier; empty: not known */
    uint32_t timeline; /* 0: not known */
};

/* Any role may run it on a server that takes writes. */
extern const char primary_sql[];

/* False: the answer says nothing, and primary is zeroed. */
bool primary_parse(const PGresult *result, struct primary *primary) MUST_CHECK;

/*
 * Whether it may be written to after `seen`: the same cluster, not on an earlier timeline. What is
 * not known is no objection. False: err is ERR_OUTAGE and says what to do.
 */
bool primary_may_follow(const struct primary *primary, const struct primary *seen,
                        struct err *err) MUST_CHECK;

/*
 * The latest one that this process has written to, or asked. primary_note: whether this one may be
 * written to after it; if so, it is the latest. False: as primary_may_follow. Thread: any.
 */
bool primary_note(const struct primary *primary, struct err *err) MUST_CHECK;

/* Whether the latter has taken over from the former since. */
bool primary_is_former(const struct primary *primary, const struct primary *seen);

#endif
