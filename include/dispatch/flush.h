/*
 * One PostgreSQL transaction: positions, rows and dead letters of one or more batches of one table.
 *
 * A flush is one attempt. It ends committed or not, and says which record is to blame when
 * PostgreSQL refused one; what happens next is decided in dispatch/retry.c and done by
 * dispatch/dispatcher.c. Thread: loop.
 */
#ifndef DISPATCH_FLUSH_H
#define DISPATCH_FLUSH_H

#include "dispatch/queue.h"
#include "pg/conn.h"
#include "pg/offsets.h"

struct flush;
/* error: NULL when it is committed. */
typedef void (*flush_done_cb)(struct flush *flush, const struct conn_error *error, void *opaque);

struct flush_settings {
    const struct offsets_ledger *ledger; /* where positions are kept, and */
    const char *name;                    /* under which name */
    const char *plan;                    /* of a backfill; NULL: a sink's */
    bool exactly_once;                   /* false: no position is moved */
    flush_done_cb on_done;
    void *opaque;
};

struct flush {
    TAILQ_ENTRY(flush) entry; /* the dispatcher's: under way, or free */
    struct batch **batches;   /* borrowed; those of one queue stand together, in offset order */
    size_t batches_count;
    size_t bytes; /* of COPY data */
    int64_t started_ms;
    int64_t started_us;
    int64_t copied_us; /* when the server had confirmed the last COPY so far */

    /* private: */
    size_t batches_cap;
    const struct flush_settings *settings;
    struct conn_job job;
    struct buffer sql;
    struct flush_part *parts; /* one COPY each */
    size_t parts_count;
    size_t parts_cap;
    struct flush_piece *pieces; /* COPY bytes of one batch */
    size_t pieces_count;
    size_t pieces_cap;
    size_t sending;   /* the part whose data is asked for */
    size_t piece;     /* of it */
    size_t piece_at;  /* bytes of the piece that were handed out */
    bool header_sent; /* of a binary part */
    size_t asked;     /* statements in front of the parts */
    size_t answered;  /* of them, and the last one */
    size_t copied;    /* parts that the server has confirmed */
};

TAILQ_HEAD(flush_list, flush);

struct flush *flush_create(const struct flush_settings *settings);
void flush_destroy(struct flush *flush);

/* Takes a READY batch of a queue with no flush under way, or the next one of the queue added last.
 */
void flush_add(struct flush *flush, struct batch *batch);

/* Sends it. The batches are FLUSHING until on_done, and each one's queue has this flush. */
void flush_start(struct flush *flush, struct conn *conn);

/* Empties it, for the next use. */
void flush_reset(struct flush *flush);

/* What it was that the server has refused. */
struct flush_blame {
    enum {
        FLUSH_BLAMES_NO_ROW,   /* the move of a position, the table's version, or a dead letter */
        FLUSH_BLAMES_SOME_ROW, /* which one it did not say: a foreign key, a deferred constraint, a
                                  trigger after the row */
        FLUSH_BLAMES_ROW,
    } kind;
    struct batch *batch;
    size_t row;                          /* of the batch's part, from 0 */
    const struct mapping_column *column; /* NULL: the row as a whole */
};

/* After a failure of ERR_DATA. */
struct flush_blame flush_blame(const struct flush *flush, const struct conn_error *error);

#endif
