/*
 * pgsluice.backfills and pgsluice.backfill_ranges as commands see them, on a blocking connection:
 * what a backfill was asked for, and how far each of its ranges is. Ranges are claimed and moved by
 * pg/offsets.h. Thread: main.
 */
#ifndef PG_BACKFILL_TABLE_H
#define PG_BACKFILL_TABLE_H

#include "base/err.h"
#include "pg/offsets.h"

struct backfill_range {
    char *topic;
    int32_t partition;
    int32_t range;  /* of the partition, from 0 in the order of offsets */
    char *topic_id; /* "": not known */
    int64_t start_offset;
    int64_t end_offset; /* the first one behind it */
    int64_t next_offset;
    int64_t lost_count;             /* offsets that were deleted before they were read */
    struct offsets_written written; /* offsets and timestamps -1: no record so far */
    int64_t moved_ms;               /* Unix time of its last move */
    char *halted; /* why this process could not go on with it, not from the table; NULL: it could */
};

/* What it was asked for, in the words of the command line, and what became of that. */
struct backfill {
    char *name;
    char *plan; /* its id, from the table: another one after a --restart */
    char *sink;
    char *topics;
    char *from;
    char *to;
    char *partitions; /* "": all */
    int64_t parallel;
    int64_t processes;
    char *mapping; /* how records become rows */

    struct backfill_range *ranges; /* by topic, partition, range */
    size_t ranges_count;
    int64_t created_ms;  /* Unix time, PostgreSQL's, as are the others; 0: it is not in the table */
    int64_t finished_ms; /* 0: it is not */
    int64_t now_ms;      /* when it was read */
};

/* Frees what it holds; zeroed as well. */
void backfill_finish(struct backfill *backfill);

/* Into a zeroed one; created_ms stays 0: there is none of that name. */
bool backfill_table_read(PGconn *connection, const char *name, struct backfill *backfill,
                         struct err *err) MUST_CHECK;

/*
 * Writes a plan, on disk before the answer. Of several processes that do so at once, one writes:
 * who reads afterwards sees its plan. forgotten: the id of the plan that is there under that name,
 * which is forgotten first, NULL: there is none.
 */
bool backfill_table_write(PGconn *connection, const struct backfill *backfill,
                          const char *forgotten, struct err *err) MUST_CHECK;

/* Keeps the backfill's mapping, of the plan that it has. */
bool backfill_table_keep_mapping(PGconn *connection, const struct backfill *backfill,
                                 struct err *err) MUST_CHECK;

/*
 * Notes that the backfill is finished, if all of its ranges are. What was committed before, by this
 * process, is on PostgreSQL's disk afterwards.
 */
bool backfill_table_end(PGconn *connection, const char *name, struct err *err) MUST_CHECK;

/*
 * Where a sink began in each partition: topic, partition, first_offset, topic_id (both NULL: not
 * known). The caller clears the result; NULL: err.
 */
PGresult *backfill_table_sink_starts(PGconn *connection, const char *sink, struct err *err);

/*
 * Takes the backfill for this connection, as one of the processes that share it (from 0), until the
 * connection ends. former_pid: a session of ours that PostgreSQL may not know to have ended, 0:
 * none. False: ERR_CONTENTION, another one has it, and err says which; ERR_OUTAGE, the former
 * session still has it, or nobody any more, or PostgreSQL can't be asked. Thread: any.
 */
bool backfill_table_take(PGconn *connection, const char *name, int64_t index, int former_pid,
                         struct err *err) MUST_CHECK;

#endif
