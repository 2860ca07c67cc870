/* Values travel as parameters; the target's partitions and offsets as arrays of our own digits. */
#include "pg/offsets_table.h"

#include "base/buffer.h"
#include "pg/conn_error.h"

#include <inttypes.h>
#include <stdio.h>

static PGresult *query(PGconn *connection, const char *sql, const char *const *values, int count,
                       struct err *err)
{
    return conn_error_check(PQexecParams(connection, sql, count, NULL, values, NULL, NULL, 0), err);
}

PGresult *offsets_table_read(PGconn *connection, const char *sink, const char *topic,
                             int64_t partition, struct err *err)
{
    char number[24];
    const char *values[] = {sink, topic, number};

    snprintf(number, sizeof(number), "%" PRId64, partition);
    return query(connection,
                 "SELECT topic, partition, next_offset, lost_count, epoch, leader_epoch, topic_id,"
                 " owner, date_trunc('second', claimed_at), date_trunc('second', updated_at)"
                 " FROM pgsluice.offsets WHERE sink = $1 AND ($2::text IS NULL OR topic = $2)"
                 " AND $3::bigint IN (-1, partition) ORDER BY topic, partition",
                 values, 3, err);
}

/* starts_with, since the name may hold what means something in a pattern. */
PGresult *offsets_table_sessions(PGconn *connection, const char *sink, struct err *err)
{
    const char *values[] = {sink};

    return query(connection,
                 "SELECT application_name FROM pg_stat_activity"
                 " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                 " AND starts_with(application_name, left('pgsluice/' || $1 || '/', 63))",
                 values, 1, err);
}

/* Not of those that it has a position of itself, unless the other one runs right now. */
PGresult *offsets_table_others(PGconn *connection, const char *sink, const char *topics,
                               struct err *err)
{
    const char *values[] = {sink, topics};

    return query(
        connection,
        "SELECT o.sink, string_agg(o.topic, ' ' ORDER BY o.topic), s.runs"
        " FROM (SELECT DISTINCT sink, topic FROM pgsluice.offsets WHERE sink <> $1) AS o,"
        " LATERAL (SELECT EXISTS (SELECT FROM pg_stat_activity AS a"
        "  WHERE a.datname = current_database()"
        "  AND starts_with(a.application_name, left('pgsluice/' || o.sink || '/', 63)))"
        "  AS runs) AS s,"
        " LATERAL (SELECT EXISTS (SELECT FROM pgsluice.offsets AS m"
        "  WHERE m.sink = $1 AND m.topic = o.topic) AS own) AS m"
        " WHERE CASE WHEN $2 = '' THEN m.own ELSE o.topic = ANY (string_to_array($2, ',')) END"
        " AND (s.runs OR NOT m.own) GROUP BY o.sink, s.runs ORDER BY o.sink",
        values, 2, err);
}

static void append_numbers(struct buffer *out, const struct offsets_targets *targets, bool offsets)
{
    buffer_append_text(out, "{");
    for (size_t i = 0; i < targets->count; i++)
        buffer_printf(out, "%s%" PRId64, i > 0 ? "," : "",
                      offsets ? targets->items[i].next_offset : targets->items[i].partition);
    buffer_append_text(out, "}");
}

bool offsets_table_set(PGconn *connection, const struct offsets_targets *targets, struct err *err)
{
    struct buffer partitions = {0};
    struct buffer offsets = {0};

    append_numbers(&partitions, targets, false);
    append_numbers(&offsets, targets, true);
    const char *values[] = {targets->sink, targets->topic, targets->topic_id,
                            buffer_text(&partitions), buffer_text(&offsets)};
    PQclear(PQexec(connection, "SET synchronous_commit = on"));
    PGresult *result =
        query(connection,
              "INSERT INTO pgsluice.offsets AS o (sink, topic, partition, next_offset,"
              " first_offset, topic_id, owner) SELECT $1, $2, t.partition, t.next_offset,"
              " t.next_offset, nullif($3, ''), 'offsets reset'"
              " FROM unnest($4::integer[], $5::bigint[]) AS t (partition, next_offset)"
              " ON CONFLICT (sink, topic, partition) DO UPDATE"
              " SET next_offset = EXCLUDED.next_offset, topic_id = EXCLUDED.topic_id,"
              " first_offset = CASE WHEN o.topic_id <> EXCLUDED.topic_id" /* made anew */
              " THEN EXCLUDED.first_offset WHEN o.first_offset IS NOT NULL"
              " THEN least(o.first_offset, EXCLUDED.first_offset) END,"
              " owner = EXCLUDED.owner, epoch = o.epoch + 1, leader_epoch = -1,"
              " claimed_at = now(), updated_at = now()",
              values, 5, err);
    PQclear(result);
    buffer_finish(&partitions);
    buffer_finish(&offsets);
    return result != NULL;
}
