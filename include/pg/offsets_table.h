/*
 * pgsluice.offsets as commands see it, on a blocking connection: read and set, outside of any
 * claim. Thread: main.
 */
#ifndef PG_OFFSETS_TABLE_H
#define PG_OFFSETS_TABLE_H

#include "base/err.h"

#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

enum offsets_column {
    OFFSETS_TOPIC,
    OFFSETS_PARTITION,
    OFFSETS_NEXT_OFFSET,
    OFFSETS_LOST_COUNT,
    OFFSETS_EPOCH,
    OFFSETS_LEADER_EPOCH,
    OFFSETS_TOPIC_ID, /* may be NULL */
    OFFSETS_OWNER,
    OFFSETS_CLAIMED_AT,
    OFFSETS_UPDATED_AT,
};

/* A sink's rows in the order of topics and partitions. topic: NULL, any; partition: -1, any. The
 * caller clears the result; NULL: err. */
PGresult *offsets_table_read(PGconn *connection, const char *sink, const char *topic,
                             int64_t partition, struct err *err);

/* application_names of the sink's sessions, one row each, but for this one's. */
PGresult *offsets_table_sessions(PGconn *connection, const char *sink, struct err *err);

/*
 * Other sinks that read the same topics: sink, its topics with spaces between them, and whether it
 * runs now ("t"). One that has ended counts while this sink has no position of the topic: it may be
 * this one's former name. topics: with commas; "": those that this sink has positions of.
 */
PGresult *offsets_table_others(PGconn *connection, const char *sink, const char *topics,
                               struct err *err);

struct offsets_target {
    int32_t partition;
    int64_t next_offset;
};

/* New positions of one topic. */
struct offsets_targets {
    const char *sink; /* borrowed, as are the others */
    const char *topic;
    const char *topic_id; /* "": not known */
    const struct offsets_target *items;
    size_t count;
};

/*
 * Sets or makes the rows, in one transaction that is on disk before the answer. Epochs rise, so
 * that whoever has claimed them before is fenced.
 */
bool offsets_table_set(PGconn *connection, const struct offsets_targets *targets,
                       struct err *err) MUST_CHECK;

#endif
