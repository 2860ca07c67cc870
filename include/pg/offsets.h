/*
 * The SQL of positions: claim takes a partition's row, advance moves it inside a flush
 * (design: "Exactly once"). Only text is made and read here; dispatch/claim.c and dispatch/flush.c
 * run it. Thread: loop.
 */
#ifndef PG_OFFSETS_H
#define PG_OFFSETS_H

#include "base/buffer.h"

#include <libpq-fe.h>
#include <stdint.h>

/* Appends a quoted SQL literal; any bytes but NUL are safe under client_encoding UTF8. */
void offsets_literal(struct buffer *sql, const char *text);

struct offsets_claim {
    const char *sink;
    const char *topic;
    int32_t partition;
    const char *owner;
    int64_t initial; /* where a partition without a row starts; -1: make no row */
};

/*
 * A claim waits for a flush of the former owner, at most 2 s (then 55P03), raises the epoch and
 * returns the row: next_offset, epoch. No row: the partition was never claimed, and initial is -1.
 */
void offsets_claim_sql(struct buffer *sql, const struct offsets_claim *claim);

struct offsets_position {
    int64_t next_offset;
    int64_t epoch;
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

struct offsets_move {
    const char *topic;
    int32_t partition;
    int64_t epoch;
    int64_t from; /* next_offset before */
    int64_t to;   /* and after */
};

/* "SELECT pgsluice.advance(...);" Raises SQLSTATE_FENCED unless every move applies. */
void offsets_advance_sql(struct buffer *sql, const char *sink, const struct offsets_move *moves,
                         size_t count);

#endif
