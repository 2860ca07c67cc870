/*
 * Values travel as parameters, the ranges of a plan as arrays.
 *
 * Why the end of a backfill is written with synchronous_commit=on: everything before was not, and a
 * crash of PostgreSQL right after would take the last rows back, and their progress with them. A
 * sink would read them again; of a backfill nobody would start one more run.
 */
#include "pg/backfill_table.h"

#include "base/memory.h"
#include "pg/conn_error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static PGresult *query(PGconn *connection, const char *sql, const char *const *values, int count,
                       struct err *err)
{
    return conn_error_check(PQexecParams(connection, sql, count, NULL, values, NULL, NULL, 0), err);
}

static bool run(PGconn *connection, const char *sql, struct err *err)
{
    PGresult *result = conn_error_check(PQexec(connection, sql), err);

    PQclear(result);
    return result != NULL;
}

void backfill_finish(struct backfill *backfill)
{
    for (size_t i = 0; i < backfill->ranges_count; i++) {
        free(backfill->ranges[i].topic);
        free(backfill->ranges[i].topic_id);
        free(backfill->ranges[i].halted);
    }
    free(backfill->ranges);
    free(backfill->name);
    free(backfill->plan);
    free(backfill->sink);
    free(backfill->topics);
    free(backfill->from);
    free(backfill->to);
    free(backfill->partitions);
    free(backfill->mapping);
    *backfill = (struct backfill){0};
}

/* Reading. */

static char *text_at(const PGresult *result, int row, int column)
{
    return memory_strdup(PQgetvalue(result, row, column));
}

/* NULL is -1. */
static int64_t number_at(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? -1
                                            : strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static const char read_sql[] =
    "SELECT sink, topics, asked_from, asked_to, partitions, parallel, processes, mapping,"
    " (extract(epoch FROM created_at) * 1000)::bigint,"
    " (extract(epoch FROM coalesce(finished_at, to_timestamp(0))) * 1000)::bigint,"
    " (extract(epoch FROM clock_timestamp()) * 1000)::bigint, plan"
    " FROM pgsluice.backfills WHERE name = $1";

static void take_backfill(struct backfill *backfill, const PGresult *result)
{
    backfill->sink = text_at(result, 0, 0);
    backfill->topics = text_at(result, 0, 1);
    backfill->from = text_at(result, 0, 2);
    backfill->to = text_at(result, 0, 3);
    backfill->partitions = text_at(result, 0, 4);
    backfill->parallel = number_at(result, 0, 5);
    backfill->processes = number_at(result, 0, 6);
    backfill->mapping = text_at(result, 0, 7);
    backfill->created_ms = number_at(result, 0, 8);
    backfill->finished_ms = number_at(result, 0, 9);
    backfill->now_ms = number_at(result, 0, 10);
    backfill->plan = text_at(result, 0, 11);
}

static const char read_ranges_sql[] =
    "SELECT topic, partition, range, topic_id, start_offset, end_offset, next_offset, lost_count,"
    " rows_count, skipped_count, dead_letters_count, bytes, first_offset, last_offset,"
    " first_timestamp_ms, last_timestamp_ms, (extract(epoch FROM updated_at) * 1000)::bigint"
    " FROM pgsluice.backfill_ranges WHERE backfill = $1 ORDER BY topic COLLATE \"C\", partition, "
    "range";

static void take_range(struct backfill_range *range, const PGresult *result, int row)
{
    *range = (struct backfill_range){
        .topic = text_at(result, row, 0),
        .partition = (int32_t)number_at(result, row, 1),
        .range = (int32_t)number_at(result, row, 2),
        .topic_id = text_at(result, row, 3),
        .start_offset = number_at(result, row, 4),
        .end_offset = number_at(result, row, 5),
        .next_offset = number_at(result, row, 6),
        .lost_count = number_at(result, row, 7),
        .written = {.rows_count = number_at(result, row, 8),
                    .skipped_count = number_at(result, row, 9),
                    .dead_letters_count = number_at(result, row, 10),
                    .bytes = number_at(result, row, 11),
                    .first_offset = number_at(result, row, 12),
                    .last_offset = number_at(result, row, 13),
                    .first_timestamp_ms = number_at(result, row, 14),
                    .last_timestamp_ms = number_at(result, row, 15)},
        .moved_ms = number_at(result, row, 16),
    };
}

static bool read_ranges(PGconn *connection, struct backfill *backfill, struct err *err)
{
    const char *values[] = {backfill->name};
    PGresult *result = query(connection, read_ranges_sql, values, 1, err);

    if (!result)
        return false;
    backfill->ranges_count = (size_t)PQntuples(result);
    backfill->ranges = memory_new_array(backfill->ranges_count + 1, sizeof(*backfill->ranges));
    for (size_t i = 0; i < backfill->ranges_count; i++)
        take_range(&backfill->ranges[i], result, (int)i);
    PQclear(result);
    return true;
}

bool backfill_table_read(PGconn *connection, const char *name, struct backfill *backfill,
                         struct err *err)
{
    const char *values[] = {name};
    PGresult *result = query(connection, read_sql, values, 1, err);
    bool found = result && PQntuples(result) == 1;
    bool done = result != NULL;

    if (found) {
        backfill->name = memory_strdup(name);
        take_backfill(backfill, result);
        done = read_ranges(connection, backfill, err);
    }
    PQclear(result);
    return done;
}

/* Writing. */

static const char write_sql[] =
    "INSERT INTO pgsluice.backfills (name, sink, topics, asked_from, asked_to, partitions,"
    " parallel, processes, mapping) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    " ON CONFLICT (name) DO NOTHING";

static bool write_backfill(PGconn *connection, const struct backfill *backfill, bool *is_first,
                           struct err *err)
{
    char parallel[24], processes[24];
    const char *values[] = {backfill->name, backfill->sink, backfill->topics,
                            backfill->from, backfill->to,   backfill->partitions,
                            parallel,       processes,      backfill->mapping};

    snprintf(parallel, sizeof(parallel), "%" PRId64, backfill->parallel);
    snprintf(processes, sizeof(processes), "%" PRId64, backfill->processes);
    PGresult *result = query(connection, write_sql, values, 9, err);
    *is_first = result && strcmp(PQcmdTuples(result), "1") == 0;
    PQclear(result);
    return result != NULL;
}

/* A range that is empty is finished. */
static const char write_range_sql[] =
    "INSERT INTO pgsluice.backfill_ranges (backfill, topic, partition, range, topic_id,"
    " start_offset, end_offset, next_offset, lost_count, finished_at)"
    " SELECT $1, $2, $3::integer, $4::integer, nullif($5, ''), $6::bigint, $7::bigint, $8::bigint,"
    " $9::bigint, CASE WHEN $7::bigint = $8::bigint THEN now() END";

static bool write_range(PGconn *connection, const char *name, const struct backfill_range *range,
                        struct err *err)
{
    char numbers[6][24];
    const char *values[] = {name,       range->topic, numbers[0], numbers[1], range->topic_id,
                            numbers[2], numbers[3],   numbers[4], numbers[5]};
    const int64_t from[] = {range->partition,  range->range,       range->start_offset,
                            range->end_offset, range->next_offset, range->lost_count};

    for (size_t i = 0; i < COUNT_OF(from); i++)
        snprintf(numbers[i], sizeof(numbers[i]), "%" PRId64, from[i]);
    PGresult *result = query(connection, write_range_sql, values, 9, err);
    PQclear(result);
    return result != NULL;
}

/* Only what the caller has seen, and has the locks of. */
static bool forget(PGconn *connection, const char *name, const char *plan, struct err *err)
{
    const char *values[] = {name, plan};
    PGresult *result =
        query(connection, "DELETE FROM pgsluice.backfills WHERE name = $1 AND plan = $2::uuid",
              values, 2, err);

    PQclear(result);
    return result != NULL;
}

static bool write_plan(PGconn *connection, const struct backfill *backfill, const char *forgotten,
                       struct err *err)
{
    bool is_first = false;
    bool done = (!forgotten || forget(connection, backfill->name, forgotten, err)) &&
                write_backfill(connection, backfill, &is_first, err);

    for (size_t i = 0; done && is_first && i < backfill->ranges_count; i++)
        done = write_range(connection, backfill->name, &backfill->ranges[i], err);
    return done;
}

bool backfill_table_write(PGconn *connection, const struct backfill *backfill,
                          const char *forgotten, struct err *err)
{
    struct err unused;

    if (!run(connection, "BEGIN; SET LOCAL synchronous_commit = on", err))
        return false;
    if (write_plan(connection, backfill, forgotten, err))
        return run(connection, "COMMIT", err);
    (void)!run(connection, "ROLLBACK", &unused);
    return false;
}

bool backfill_table_keep_mapping(PGconn *connection, const struct backfill *backfill,
                                 struct err *err)
{
    const char *values[] = {backfill->name, backfill->plan, backfill->mapping};
    PGresult *result = query(connection,
                             "UPDATE pgsluice.backfills SET mapping = $3 WHERE name = $1"
                             " AND plan = $2::uuid",
                             values, 3, err);

    PQclear(result);
    return result != NULL;
}

bool backfill_table_end(PGconn *connection, const char *name, struct err *err)
{
    const char *values[] = {name};

    if (!run(connection, "SET synchronous_commit = on", err))
        return false;
    PGresult *result =
        query(connection,
              "UPDATE pgsluice.backfills AS b SET finished_at = coalesce(b.finished_at,"
              " CASE WHEN NOT EXISTS (SELECT FROM pgsluice.backfill_ranges AS r"
              " WHERE r.backfill = b.name AND r.finished_at IS NULL) THEN now() END)"
              " WHERE b.name = $1",
              values, 1, err);
    PQclear(result);
    return result != NULL;
}

PGresult *backfill_table_sink_starts(PGconn *connection, const char *sink, struct err *err)
{
    const char *values[] = {sink};

    return query(connection,
                 "SELECT topic, partition, first_offset, topic_id FROM pgsluice.offsets"
                 " WHERE sink = $1",
                 values, 1, err);
}

/* Taking it: an advisory lock of the session, so that it goes with its process. */

#define LOCK_KEY "hashtextextended('pgsluice backfill ' || $2 || ' ' || $1, 0)"

/* Who has it, and whether that is another process than this one. */
static bool refuse(PGconn *connection, const char *const *values, int former_pid, struct err *err)
{
    struct err unused;
    PGresult *result =
        query(connection,
              "SELECT format('%s, pid %s', a.application_name, a.pid), a.pid FROM pg_locks AS l"
              " JOIN pg_stat_activity AS a ON a.pid = l.pid"
              " JOIN pg_database AS d ON d.oid = l.database AND d.datname = current_database()"
              " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
              " AND l.classid::bigint = (" LOCK_KEY " >> 32) & 4294967295"
              " AND l.objid::bigint = " LOCK_KEY " & 4294967295",
              values, 2, &unused);
    bool seen = result && PQntuples(result) > 0;

    if (seen && strtol(PQgetvalue(result, 0, 1), NULL, 10) != former_pid)
        err_set(err, ERR_CONTENTION,
                "backfill %s, --index %s, is loaded by another process already (%s)", values[0],
                values[1], PQgetvalue(result, 0, 0));
    else
        err_set(err, ERR_OUTAGE,
                "backfill %s, --index %s, was loaded in a session that has just ended, or ends",
                values[0], values[1]);
    PQclear(result);
    return false;
}

bool backfill_table_take(PGconn *connection, const char *name, int64_t index, int former_pid,
                         struct err *err)
{
    char number[24];
    const char *values[] = {name, number};

    snprintf(number, sizeof(number), "%" PRId64, index);
    PGresult *result =
        query(connection, "SELECT pg_try_advisory_lock(" LOCK_KEY ")", values, 2, err);
    bool asked = result != NULL;
    bool taken = asked && PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    return taken || (asked && refuse(connection, values, former_pid, err));
}
