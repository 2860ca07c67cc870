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
#include "dispatch/reasons.h"

#include <sys/queue.h>
#include <uv.h>

struct queue;
struct encode_settings;

enum batch_state {
    BATCH_FREE,      /* waits to be used again */
    BATCH_FILLING,   /* waits for more records, until size, bytes or timeout close it */
    BATCH_ENCODING,  /* waits for a worker to hand it back */
    BATCH_PRODUCING, /* waits until Kafka has acknowledged its dead letters */
    BATCH_READY,     /* waits for a connection */
    BATCH_FLUSHING,  /* waits for its transaction's outcome */
};

/* Rows that share the columns of one COPY; rows[begin, end) of the batch's buffer. */
struct batch_segment {
    uint64_t absent_mask; /* columns left out, so that their DEFAULT applies */
    size_t begin;
    size_t end;
    size_t rows_count;
};

/* A record that is a dead letter. */
struct batch_letter {
    uint32_t index; /* of records */
    size_t begin;   /* dead_letters[begin, end) */
    size_t end;
};

/* What the next flush takes: everything, unless a bad record is looked for (dispatch/part.h). */
struct batch_part {
    uint32_t end; /* records [first, end) */
    size_t segments_count;
    uint32_t dead_count;
};

struct batch {
    TAILQ_ENTRY(batch) entry;         /* of its queue, in offset order; or of the free list */
    TAILQ_ENTRY(batch) filling_entry; /* of the dispatcher's, in opening order */
    enum batch_state state;
    bool has_headers;    /* its records' headers were read, or they have none */
    struct queue *queue; /* borrowed; NULL: dropped while a worker holds it */
    const char *topic;   /* borrowed from the route */
    int32_t partition;
    int32_t leader_epoch;    /* of its records; -1: not known, or not the same for all */
    struct mapping *mapping; /* borrowed: the version it is encoded with; set when it is closed */
    int64_t opened_ms;
    uint64_t number; /* of its first record: dispatch/breaker.h */
    int64_t to;      /* the position after its part: last offset + 1 */

    struct record *records;
    size_t cap;
    uint32_t count;
    uint32_t first; /* the records in front of it are committed, their results are gone */
    size_t bytes;   /* of keys and values */
    struct arena arena;

    /* encode.c's results, of the records [first, end) */
    struct batch_part part;
    struct buffer rows;
    struct batch_segment *segments;
    size_t segments_count;
    size_t segments_cap;
    uint32_t end; /* count, or where it stopped */
    uint32_t dead_count;
    struct batch_letter *dead; /* in the order of their records */
    size_t dead_cap;
    struct buffer dead_letters;
    struct reasons reasons; /* each one's, when they go to a topic */
    struct err dead_reason; /* the first one's */
    int64_t dead_first;     /* its offset */
    uint32_t buried_count;  /* dead letters that are committed */
    bool stopped;           /* at the record `end`: its partition halts there, for `stop` */
    struct err stop;

    int64_t encode_us; /* that its encoding took */
    bool counted;      /* its dead letters of the first encoding */

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

/* Record `index` is a dead letter: what is appended next is its own. Good until the next one. */
struct batch_letter *batch_note_dead(struct batch *batch, uint32_t index);

/* How many dead letters are of records in front of this one. */
uint32_t batch_dead_before(const struct batch *batch, uint32_t index);

/* Bytes held beyond the arena: records and results. */
size_t batch_overhead_bytes(const struct batch *batch);

#endif
