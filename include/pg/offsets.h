/*
 * The SQL of positions: claim takes a partition's row, advance moves it inside a flush
 * (design: "Exactly once"). A sink's are in pgsluice.offsets, those of a backfill in
 * pgsluice.backfill_ranges, one for each range of a partition. Only text is made and read here;
 * dispatch/claim.c and dispatch/flush.c run it. Thread: loop.
 */
#ifndef PG_OFFSETS_H
#define PG_OFFSETS_H

#include "base/buffer.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* Appends a quoted SQL literal; any bytes but NUL are safe under client_encoding UTF8. */
void offsets_literal(struct buffer *sql, const char *text);

/* Where positions are kept. */
struct offsets_ledger {
    const char *table;
    const char *key; /* the column of the sink's, or the backfill's, name */
    bool has_ranges; /* several rows for a partition, and what was written is counted in them */
};

extern const struct offsets_ledger offsets_of_sink;
extern const struct offsets_ledger offsets_of_backfill;

struct offsets_claim {
    const struct offsets_ledger *ledger;
    const char *name; /* the sink's, or the backfill's */
    const char *plan; /* of the backfill: a row of another one is none; NULL: a sink's */
    const char *topic;
    int32_t partition;
    int32_t range; /* of the partition; 0 where there are none */
    const char *owner;
    int64_t initial;      /* where a partition without a row starts; -1: make no row */
    const char *topic_id; /* kept in a row that has none; NULL or "": not known */
    int64_t skip_from;    /* if the row is there, it moves to skip_to */
    int64_t skip_to;      /* 0: nowhere */
    bool skip_is_loss;    /* what is between was deleted before it was read, and counts as lost */
};

/*
 * A claim waits for a flush of the former owner, at most 2 s (then 55P03), raises the epoch and
 * returns the row: next_offset, epoch, topic_id, leader_epoch, of a range also what was written. No
 * row: the partition was never claimed, and initial is -1; or the backfill's plan was forgotten. A
 * row that it makes is on PostgreSQL's disk before the answer: lost in a crash, it would be made
 * anew at a later offset (SINK_START), and the records between would be skipped.
 */
void offsets_claim_sql(struct buffer *sql, const struct offsets_claim *claim);

/* Of the records between two positions; there is one at least. */
struct offsets_written {
    int64_t rows_count;
    int64_t skipped_count; /* neither row nor dead letter */
    int64_t dead_letters_count;
    int64_t bytes; /* of keys and values */
    int64_t first_offset;
    int64_t last_offset;
    int64_t first_timestamp_ms; /* -1: not known */
    int64_t last_timestamp_ms;
};

enum { OFFSETS_TOPIC_ID_BYTES = 32 };

struct offsets_position {
    int64_t next_offset;
    int64_t epoch;
    char topic_id[OFFSETS_TOPIC_ID_BYTES + 1]; /* of the topic that it belongs to; "": not known */
    int32_t leader_epoch;                      /* of the record before it; -1: not known */
    bool is_counted;                           /* what was written so far is kept beside it, */
    struct offsets_written written;            /* here; offsets and timestamps -1: no record */
    int64_t lost_count;                        /* and offsets that were deleted unread */
};

/* False: the answer has no row. */
bool offsets_claim_parse(const PGresult *result, struct offsets_position *position);

/*
 * Ends the backend that holds a partition's row while it waits for its own client: a frozen owner
 * would hold it for ever, since no server timeout fires inside COPY. Returns one row per ended
 * backend: pid, application_name. own_pids, as in "17,18", are the sessions that this process still
 * drives: they are spared. One that it has lost is not.
 */
void offsets_free_sql(struct buffer *sql, const struct offsets_claim *claim, const char *own_pids);

struct offsets_start {
    const char *topic;
    const char *topic_id; /* "": not known */
    int32_t partition;
    int64_t next_offset;
};

/* Topics of which the sink has a position: one row each. */
void offsets_topics_sql(struct buffer *sql, const char *sink);

/*
 * Makes rows, on disk before the answer, for partitions of topics of which the sink has no position
 * yet: of two replicas that start at once, one decides for all of a topic's partitions.
 */
void offsets_start_sql(struct buffer *sql, const char *sink, const char *owner,
                       const struct offsets_start *starts, size_t count);

struct offsets_move {
    const char *topic;
    int32_t partition;
    int64_t epoch;
    int64_t from;         /* next_offset before */
    int64_t to;           /* and after */
    int32_t leader_epoch; /* of the last record; -1: not known */
    int32_t range;
    struct offsets_written written; /* only ledgers with ranges keep it */
};

/* "SELECT pgsluice.advance...(...);" Raises SQLSTATE_FENCED unless every move applies. */
void offsets_advance_sql(struct buffer *sql, const struct offsets_ledger *ledger, const char *name,
                         const struct offsets_move *moves, size_t count);

#endif
