/*
 * One assigned partition, or a range of it: its position in PostgreSQL and its batches on their way
 * there.
 *
 * Here is the logic alone, without I/O or clock: dispatch/dispatcher.c brings the events and
 * carries out what follows from them. Thread: loop.
 */
#ifndef DISPATCH_QUEUE_H
#define DISPATCH_QUEUE_H

#include "dispatch/batch.h"
#include "dispatch/breaker.h"
#include "pg/offsets.h"

struct flush;
struct route;

enum queue_state {
    QUEUE_UNROUTED,  /* waits for the description of its table */
    QUEUE_UNCLAIMED, /* waits for a connection, to claim its position */
    QUEUE_CLAIMING,  /* waits for the claim's answer */
    QUEUE_UNPLACED,  /* has no position: waits for Kafka to say where to start */
    QUEUE_OPEN,      /* waits for records, and for the outcome of its flushes */
    QUEUE_HALTED,    /* waits until retry_at_ms: something has to be mended */
    QUEUE_REVOKED,   /* waits for what is still under way, then it is destroyed */
    QUEUE_STATES,
};

/* The log's end, as it was last seen: dispatch/lag.h. */
struct queue_end {
    int64_t offset;          /* -1: not known yet */
    int64_t read_to;         /* what librdkafka has behind it; -1: not known */
    int64_t read_next;       /* ours, then */
    int64_t position;        /* then */
    int64_t behind_since_ms; /* Unix time; 0: it was caught up */
};

struct queue {
    TAILQ_ENTRY(queue) entry;       /* of the dispatcher's list for its state */
    TAILQ_ENTRY(queue) ready_entry; /* of the dispatcher's ready list */
    bool ready;
    enum queue_state state;
    struct route *route; /* borrowed */
    void *opaque;        /* of who has assigned it */
    int32_t partition;
    int32_t range; /* of a backfill, from 0; else 0 */
    int64_t end;   /* nothing from there on is wanted; INT64_MAX: it has no end */

    int64_t position;  /* every record below it is in PostgreSQL; -1: unknown */
    int64_t epoch;     /* of the last claim */
    int64_t initial;   /* where to start when there is no row; -1: not known yet */
    int64_t read_next; /* the lowest offset that is still wanted */
    int64_t told;      /* the position that Kafka was told */
    int64_t skip_to;   /* its next claim moves it there; 0: it does not */
    bool skip_is_loss; /* then: over what is lost, else over offsets without a record */
    int64_t confirmed; /* the position when the topic was last seen to be the one it is of */

    int32_t leader_epoch;  /* of the record before the position; -1: not known */
    int32_t reading_epoch; /* of the last record that was read; -1: not known */

    struct batch_list batches; /* in offset order */
    struct batch *filling;     /* the last of them, or NULL */
    struct flush *flush;       /* at most one at a time, so order is kept; borrowed */

    bool claiming;       /* a claim is under way, also when it is revoked meanwhile */
    bool fetching;       /* Kafka's records of this partition come to us */
    bool held_back;      /* not fetched, to leave memory to other tables: dispatch/fairness.c */
    bool vanished;       /* its row was there and is gone: placed at the earliest offset */
    bool wants_headers;  /* its records' headers are read: see intake.c */
    bool alone;          /* a bad record is looked for: see isolate.c */
    uint32_t window;     /* then: records of one flush; 0: whole batches */
    uint32_t suspects;   /* then: one of the next ones was refused, it is not known which */
    unsigned tried;      /* its route's changes when the last flush began */
    unsigned attempts;   /* failed flushes in a row */
    unsigned halts;      /* in a row: none of them has moved the position */
    int64_t retry_at_ms; /* nothing is sent before */
    int64_t
        moved_ms; /* when something came to it after idleness, its state changed, a flush ended */
    struct err halted;              /* why */
    struct offsets_written written; /* of a backfill's range, else since it was assigned */
    int64_t lost_count;   /* of a backfill's range: offsets deleted before they were read */
    int64_t assigned_ms;  /* Unix time, as are the next two */
    int64_t consumed_ms;  /* a batch was opened or closed; 0: none yet */
    int64_t committed_ms; /* Unix time of its last commit; 0: none since it was assigned */
    int64_t latency_ms;   /* of the record committed last, since its timestamp; -1: not known */
    struct queue_end log_end;
    uint64_t records_count; /* read since it was assigned */
    int64_t ready_us;       /* when a flush could first begin with its first batch */

    uint64_t passed_count; /* records that are in PostgreSQL since it was assigned */
    struct breaker breaker;
};

TAILQ_HEAD(queue_list, queue);

struct queue *queue_create(struct route *route, int32_t partition);

/* No batch is left. */
void queue_destroy(struct queue *queue);

/* Checks and writes the state, and moves the queue between lists[QUEUE_STATES]. */
void queue_set_state(struct queue *queue, enum queue_state to, struct queue_list *lists);
const char *queue_state_name(enum queue_state state);

/* Kafka has no record below this offset that was not handed over; at or behind its end, that was
 * all. */
void queue_read_up_to(struct queue *queue, int64_t offset);

/* Whether all that is wanted was read. */
static inline bool queue_has_ended(const struct queue *queue)
{
    return queue->read_next >= queue->end;
}

/* Whether all that is wanted is in PostgreSQL. */
static inline bool queue_is_complete(const struct queue *queue)
{
    return queue->position >= queue->end;
}

/* Whether a flush may begin with its first batch. */
bool queue_is_flushable(const struct queue *queue, int64_t now_ms);

/* Whether nothing of it is under way: a revoked one can be destroyed. */
bool queue_is_quiet(const struct queue *queue);

enum queue_outcome {
    QUEUE_GOES_ON,   /* what it holds is still right */
    QUEUE_STARTS,    /* nothing was held: fetch from the position */
    QUEUE_OVERTAKEN, /* the position is ahead of what it holds: drop it, fetch anew */
    QUEUE_REWOUND,   /* the database went back: drop it, fetch anew */
};

/*
 * The answer of a claim meets what the queue holds. Afterwards position, epoch and read_next are
 * PostgreSQL's; on QUEUE_GOES_ON, *committed is how many of the first batches are already in there;
 * the position may also be behind the part of the first one.
 */
enum queue_outcome queue_reconcile(struct queue *queue, int64_t next_offset, int64_t epoch,
                                   size_t *committed);

#endif
