/*
 * What is counted for the metrics: by the dispatcher as a whole, and by each route. Counters since
 * the start. Thread: loop.
 */
#ifndef DISPATCH_COUNTERS_H
#define DISPATCH_COUNTERS_H

#include "dispatch/retry.h"
#include "ops/histogram.h"
#include "ops/tally.h"

struct batch;
struct conn_error;
struct dispatcher;
struct flush;
struct queue;

/* What closes a batch. */
enum counters_trigger {
    COUNTERS_RECORDS, /* SINK_BATCH_SIZE */
    COUNTERS_BYTES,   /* SINK_BATCH_BYTES */
    COUNTERS_LINGER,  /* SINK_BATCH_TIMEOUT_MS */
    COUNTERS_MEMORY,  /* SINK_MEMORY_LIMIT */
    COUNTERS_SHUTDOWN,
    COUNTERS_TRIGGERS,
};

/* Why a flush goes again. */
enum counters_cause {
    COUNTERS_CONNECTION,
    COUNTERS_SERIALIZATION,
    COUNTERS_DEADLOCK,
    COUNTERS_TIMEOUT, /* a lock's or a statement's */
    COUNTERS_RESOURCES,
    COUNTERS_OTHER,
    COUNTERS_CAUSES,
};

/* What becomes of a batch that was sent. */
enum counters_result {
    COUNTERS_COMMITTED,
    COUNTERS_RETRIED,
    COUNTERS_SPLIT,  /* a bad record in it is looked for */
    COUNTERS_FAILED, /* its partition halts */
    COUNTERS_RESULTS,
};

/* What went wrong; no payload, no secret. */
struct counters_error {
    int64_t at_ms;     /* Unix time; 0: none */
    const char *topic; /* borrowed from the route, which stays; NULL: of no partition */
    int32_t partition;
    struct err err;
};

enum { COUNTERS_ERRORS = 8 }; /* that are remembered */

struct counters {
    struct counters_error errors[COUNTERS_ERRORS];
    size_t
        errors_count; /* since the start: the last one is at (errors_count - 1) % COUNTERS_ERRORS */
    uint64_t closed[COUNTERS_TRIGGERS];
    uint64_t retries[COUNTERS_CAUSES];
    struct histogram batch_records;
    struct histogram batch_bytes;
    struct histogram wait_seconds;   /* for a connection */
    struct histogram queued_seconds; /* the same, as a stage of the flush */
    struct histogram copy_seconds;   /* until the server has all rows */
    struct histogram commit_seconds;
    struct histogram flush_seconds; /* both */
    struct tally sqlstate_classes;  /* of failed flushes; "none": the connection was lost */
    uint64_t letter_failures;       /* batches whose dead letters their topic has refused */
    uint64_t encode_us;             /* that workers, or the loop, have spent */
    int64_t committed_ms;           /* Unix time of the last commit; 0: none yet */
};

/* Of one topic. */
struct counters_route {
    uint64_t records;
    uint64_t bytes; /* of keys and values */
    uint64_t rows;
    uint64_t dead_letters;
    uint64_t undecoded; /* records that are no row of the table */
    uint64_t refused;   /* by PostgreSQL */
    uint64_t found;     /* rows that were committed, of which the answer was lost */
    uint64_t lost;      /* offsets passed unread: SINK_OUT_OF_RANGE=earliest */
    uint64_t results[COUNTERS_RESULTS];
    struct histogram latency_seconds; /* from a record's timestamp to its commit */
};

/* For those who want to know what went wrong last. */
void counters_note_error(struct dispatcher *dispatcher, const struct queue *queue,
                         const struct err *err);

/* A batch is full, its time is over, and so on. */
void counters_close(struct dispatcher *dispatcher, const struct batch *batch,
                    enum counters_trigger trigger);

/* Its records are taken in: with the above, or when it is dropped before. */
void counters_take(const struct batch *batch);

/* A flush begins with this queue's batch, which has waited since ready_us. */
void counters_start(struct dispatcher *dispatcher, int64_t ready_us);

/* Before the flush's batches are given back. */
void counters_commit(struct dispatcher *dispatcher, const struct flush *flush);
void counters_fail(struct dispatcher *dispatcher, const struct flush *flush,
                   const struct conn_error *error, enum retry_action action);

#endif
