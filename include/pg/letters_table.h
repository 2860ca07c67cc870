/*
 * pgsluice.dead_letters as people work on it: what list shows, and what replay takes out again.
 * Blocking; answers are PQclear's. Thread: main.
 */
#ifndef PG_LETTERS_TABLE_H
#define PG_LETTERS_TABLE_H

#include "base/buffer.h"
#include "base/err.h"

#include <libpq-fe.h>
#include <stdint.h>

/* Every one that is set has to fit. */
struct letters_filter {
    const char *sink;
    const char *topic;    /* NULL: any */
    const char *sqlstate; /* NULL: any */
    int64_t partition;    /* -1: any */
};

/* Columns of letters_table_query's rows; the three last ones are NULL unless the payload is asked
 * for. */
enum letters_column {
    LETTERS_ID,
    LETTERS_TOPIC,
    LETTERS_PARTITION,
    LETTERS_OFFSET,
    LETTERS_TIME, /* the record's own, for people; NULL: none */
    LETTERS_REASON,
    LETTERS_SQLSTATE, /* or NULL */
    LETTERS_TABLE,
    LETTERS_COLUMN, /* or NULL */
    LETTERS_INSTANCE,
    LETTERS_CREATED,
    LETTERS_KEY, /* as PQunescapeBytea reads it */
    LETTERS_VALUE,
    LETTERS_HEADERS,
};

/*
 * Sends the query for at most `limit` of them, by topic, partition and offset. The rows come one by
 * one: letters_table_fetch.
 */
bool letters_table_query(PGconn *connection, const struct letters_filter *filter, int64_t limit,
                         bool payload, struct err *err) MUST_CHECK;

/* The next row. False: there is none, or (err's class is not ERR_NONE) the query has failed. */
bool letters_table_fetch(PGconn *connection, PGresult **row, struct err *err) MUST_CHECK;

/* Rows of topic, partition, how many. NULL: err says why. */
PGresult *letters_table_partitions(PGconn *connection, const struct letters_filter *filter,
                                   struct err *err);

/* Behind which letter to go on, within a partition. */
struct letters_place {
    int64_t offset;
    int64_t id;
};

/*
 * Of one partition (the filter's), those behind a place: rows of id, offset, bytes. NULL: err says
 * why.
 */
PGresult *letters_table_behind(PGconn *connection, const struct letters_filter *filter,
                               const struct letters_place *place, int64_t limit, struct err *err);

/* Columns of letters_table_take's rows. */
enum letters_taken {
    TAKEN_ID,
    TAKEN_OFFSET,
    TAKEN_TIME_MS, /* NULL: none */
    TAKEN_KEY,
    TAKEN_VALUE,
    TAKEN_HEADERS,
};

/*
 * Locks these until the transaction ends, in the order of their offsets; those that another replay
 * has taken out meanwhile are not among the rows. ids as in "1,2,3". NULL: err says why.
 */
PGresult *letters_table_take(PGconn *connection, const char *ids, struct err *err);

/* They are rows now: takes them out for good. */
bool letters_table_delete(PGconn *connection, const char *ids, struct err *err) MUST_CHECK;

struct letters_refusal {
    const char *id;
    const struct err *reason;
    const char *table;
    const char *instance;
};

/* It was refused again: it stays, and says why this time. */
bool letters_table_refuse(PGconn *connection, const struct letters_refusal *refusal,
                          struct err *err) MUST_CHECK;

/* A statement, or several, without an answer. */
bool letters_table_run(PGconn *connection, const char *sql, struct err *err) MUST_CHECK;

#endif
