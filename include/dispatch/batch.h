/*
 * Consecutive records of one partition on their way through encoding into one flush.
 *
 * A batch owns its records, their bytes, and the COPY bytes made of them, until its flush is
 * committed: then all of it goes back at once. Thread: loop, but while it is BATCH_ENCODING: then
 * it belongs to the worker, whole.
 */
#ifndef DISPATCH_BATCH_H
#define DISPATCH_BATCH_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/err.h"
#include "base/record.h"
#include "decode/mapping.h"

#include <sys/queue.h>
#include <uv.h>

struct queue;
struct encode_settings;

enum batch_state {
    BATCH_FREE,     /* waits to be used again */
    BATCH_FILLING,  /* waits for more records, until size, bytes or timeout close it */
    BATCH_ENCODING, /* waits for a worker to hand it back */
    BATCH_READY,    /* waits for a connection */
    BATCH_FLUSHING, /* waits for its transaction's outcome */
};

/* Rows that share the columns of one COPY; rows[begin, end) of the batch's buffer. */
struct batch_segment {
    uint64_t absent_mask; /* columns left out, so that their DEFAULT applies */
    size_t begin;
    size_t end;
    size_t rows_count;
};

/* A record that PostgreSQL has refused in an earlier flush: encoded as a dead letter from now on.
 */
struct batch_refusal {
    uint32_t index; /* of records */
    struct err err;
};

struct batch {
    TAILQ_ENTRY(batch) entry;         /* of its queue, in offset order; or of the free list */
    TAILQ_ENTRY(batch) filling_entry; /* of the dispatcher's, in opening order */
    enum batch_state state;
    struct queue *queue; /* borrowed; NULL: dropped while a worker holds it */
    const char *topic;   /* borrowed from the route */
    int32_t partition;
    struct mapping *mapping; /* borrowed: the version it is encoded with; set when it is closed */
    int64_t opened_ms;
    bool has_headers; /* its records' headers were read, or they have none */
    int64_t to;       /* the position after this batch: last offset + 1 */

    struct record *records;
    uint32_t count;
    uint32_t cap;
    size_t bytes; /* of keys and values */
    struct arena arena;

    /* encode.c's results */
    struct buffer rows;
    struct batch_segment *segments;
    size_t segments_count;
    size_t segments_cap;
    struct buffer dead_letters;
    uint32_t *dead; /* indexes of the records that are dead letters, rising */
    uint32_t dead_count;
    struct err dead_reason; /* the first one's */
    uint32_t dead_cap;
    bool stopped; /* at the record at offset `to`: its partition halts there, for `stop` */
    struct err stop;

    struct batch_refusal *refusals; /* in the order of their records */
    size_t refusals_count;

    uv_work_t work;
    void *owner;                            /* the dispatcher, for when the work comes back */
    const struct encode_settings *settings; /* the dispatcher's */
    size_t encode_overhead;                 /* batch_overhead_bytes before encoding */
};

TAILQ_HEAD(batch_list, batch);

struct batch *batch_create(struct arena_store *store);
void batch_destroy(struct batch *batch);

/* Checks and writes the state. */
void batch_set_state(struct batch *batch, enum batch_state to);

/* Drops records and results and keeps the memory: BATCH_FREE. */
void batch_reset(struct batch *batch);

/* Copies a record in. */
void batch_append(struct batch *batch, const struct record *record);

/* From the worker: remembers that record `index` is a dead letter. */
void batch_note_dead(struct batch *batch, uint32_t index);

/* On the loop: PostgreSQL has refused the batch's row number `row` (from 0). */
void batch_refuse_row(struct batch *batch, size_t row, const struct err *err);

/* NULL: not refused. */
const struct err *batch_refusal(const struct batch *batch, uint32_t index);

size_t batch_rows_count(const struct batch *batch);

/* Bytes held beyond the arena: records and results. */
size_t batch_overhead_bytes(const struct batch *batch);

#endif
