/*
 * Taking a partition's row in pgsluice.offsets (or that of a range of it) over: one statement,
 * which waits for a flush of the former owner. When it waits too long, the former owner is frozen
 * inside its transaction, and its backend is ended. Thread: loop.
 */
#ifndef DISPATCH_CLAIM_H
#define DISPATCH_CLAIM_H

#include "pg/offsets.h"
#include "pg/pool.h"

enum claim_result {
    CLAIM_TAKEN,  /* position is set */
    CLAIM_NO_ROW, /* never claimed before, and no initial offset was given */
    CLAIM_FAILED, /* err is set; an outage or contention: try again */
};

struct claim;
typedef void (*claim_done_cb)(struct claim *claim, enum claim_result result, const struct err *err);

struct claim {
    struct offsets_claim what; /* borrowed texts */
    const struct pool *pool;   /* borrowed: the sessions that we drive are spared */
    void *opaque;
    struct offsets_position position;

    /* private: */
    struct conn_job job;
    claim_done_cb on_done;
    bool taken;
    struct conn *conn; /* borrowed */
};

/* The claim is the caller's and lives until on_done. */
void claim_start(struct claim *claim, struct conn *conn, claim_done_cb on_done);

#endif
