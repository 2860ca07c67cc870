/* Text of claim and advance. Values travel as literals: a simple Query takes no parameters. */
#include "pg/offsets.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

void offsets_literal(struct buffer *sql, const char *text)
{
    buffer_append_text(sql, "E'");
    for (const char *at = text; *at; at++) {
        if (*at == '\'' || *at == '\\')
            buffer_append(sql, at, 1);
        buffer_append(sql, at, 1);
    }
    buffer_append_text(sql, "'");
}

const struct offsets_ledger offsets_of_sink = {.table = "pgsluice.offsets", .key = "sink"};
const struct offsets_ledger offsets_of_backfill = {
    .table = "pgsluice.backfill_ranges", .key = "backfill", .has_ranges = true};

/*
 * The race of a backfill that is begun anew (--restart) while a process of it is frozen:
 * 1. A has claimed ranges of a plan, and is frozen. B forgets the plan, makes one, and is done.
 * 2. A wakes up. Its flush is refused, so it claims again, and finds a row: the new plan's.
 * 3. A would go on there, with the ends of the old one.
 * So a claim names its plan.
 */
static void append_plan(struct buffer *sql, const char *plan)
{
    buffer_append_text(sql,
                       " AND EXISTS (SELECT FROM pgsluice.backfills AS b WHERE b.name = o.backfill"
                       " AND b.plan = ");
    offsets_literal(sql, plan);
    buffer_append_text(sql, ")");
}

static void append_key(struct buffer *sql, const struct offsets_claim *claim)
{
    buffer_printf(sql, " WHERE o.%s = ", claim->ledger->key);
    offsets_literal(sql, claim->name);
    buffer_append_text(sql, " AND o.topic = ");
    offsets_literal(sql, claim->topic);
    buffer_printf(sql, " AND o.partition = %" PRId32, claim->partition);
    if (claim->ledger->has_ranges)
        buffer_printf(sql, " AND o.range = %" PRId32, claim->range);
    if (claim->plan)
        append_plan(sql, claim->plan);
}

/* The first one that is known stays: a claim that finds another one must be able to tell. */
static void append_topic_id(struct buffer *sql, const struct offsets_claim *claim)
{
    if (!claim->topic_id || !claim->topic_id[0])
        return;
    buffer_append_text(sql, ", topic_id = coalesce(o.topic_id, ");
    offsets_literal(sql, claim->topic_id);
    buffer_append_text(sql, ")");
}

static void append_skip(struct buffer *sql, const struct offsets_claim *claim)
{
    if (claim->skip_to <= claim->skip_from)
        return;
    if (claim->skip_is_loss)
        buffer_printf(sql,
                      ", lost_count = o.lost_count + CASE WHEN o.next_offset = %" PRId64
                      " THEN %" PRId64 " ELSE 0 END",
                      claim->skip_from, claim->skip_to - claim->skip_from);
    if (claim->ledger->has_ranges)
        buffer_printf(sql,
                      ", finished_at = CASE WHEN o.next_offset = %" PRId64
                      " AND o.end_offset = %" PRId64 " THEN now() ELSE o.finished_at END",
                      claim->skip_from, claim->skip_to);
    buffer_printf(sql,
                  ", leader_epoch = CASE WHEN o.next_offset = %" PRId64
                  " THEN -1 ELSE o.leader_epoch END",
                  claim->skip_from);
    buffer_printf(sql,
                  ", next_offset = CASE WHEN o.next_offset = %" PRId64 " THEN %" PRId64
                  " ELSE o.next_offset END",
                  claim->skip_from, claim->skip_to);
}

static void append_update(struct buffer *sql, const struct offsets_claim *claim)
{
    buffer_printf(sql, "UPDATE %s AS o SET epoch = o.epoch + 1, claimed_at = now(), owner = ",
                  claim->ledger->table);
    offsets_literal(sql, claim->owner);
    append_topic_id(sql, claim);
    append_skip(sql, claim);
    append_key(sql, claim);
}

static void append_insert(struct buffer *sql, const struct offsets_claim *claim)
{
    buffer_append_text(sql,
                       "INSERT INTO pgsluice.offsets AS o (sink, topic, partition, next_offset,"
                       " first_offset, owner, topic_id) VALUES (");
    offsets_literal(sql, claim->name);
    buffer_append_text(sql, ", ");
    offsets_literal(sql, claim->topic);
    buffer_printf(sql, ", %" PRId32 ", %" PRId64 ", %" PRId64 ", ", claim->partition,
                  claim->initial, claim->initial);
    offsets_literal(sql, claim->owner);
    buffer_append_text(sql, ", nullif(");
    offsets_literal(sql, claim->topic_id ? claim->topic_id : "");
    buffer_append_text(sql, ", '')) ON CONFLICT (sink, topic, partition) DO UPDATE"
                            " SET epoch = o.epoch + 1, claimed_at = now(), owner = EXCLUDED.owner");
    append_topic_id(sql, claim);
    append_skip(sql, claim);
}

void offsets_claim_sql(struct buffer *sql, const struct offsets_claim *claim)
{
    buffer_append_text(sql, "SET LOCAL lock_timeout = '2s'; ");
    if (claim->initial < 0) {
        append_update(sql, claim);
    } else {
        buffer_append_text(sql, "SET LOCAL synchronous_commit = on; ");
        append_insert(sql, claim);
    }
    buffer_append_text(sql, " RETURNING o.next_offset, o.epoch, o.topic_id, o.leader_epoch");
    if (claim->ledger->has_ranges)
        buffer_append_text(
            sql, ", o.lost_count, o.rows_count, o.skipped_count, o.dead_letters_count, o.bytes,"
                 " o.first_offset, o.last_offset, o.first_timestamp_ms,"
                 " o.last_timestamp_ms");
}

/* NULL is -1. */
static int64_t number_at(const PGresult *result, int column)
{
    return PQgetisnull(result, 0, column) ? -1 : strtoll(PQgetvalue(result, 0, column), NULL, 10);
}

static struct offsets_written parse_written(const PGresult *result, int column)
{
    return (struct offsets_written){
        .rows_count = number_at(result, column),
        .skipped_count = number_at(result, column + 1),
        .dead_letters_count = number_at(result, column + 2),
        .bytes = number_at(result, column + 3),
        .first_offset = number_at(result, column + 4),
        .last_offset = number_at(result, column + 5),
        .first_timestamp_ms = number_at(result, column + 6),
        .last_timestamp_ms = number_at(result, column + 7),
    };
}

enum { POSITION_COLUMNS = 4 };

bool offsets_claim_parse(const PGresult *result, struct offsets_position *position)
{
    if (PQntuples(result) != 1)
        return false;
    position->next_offset = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    position->epoch = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
    snprintf(position->topic_id, sizeof(position->topic_id), "%s", PQgetvalue(result, 0, 2));
    position->leader_epoch = (int32_t)strtol(PQgetvalue(result, 0, 3), NULL, 10);
    position->is_counted = PQnfields(result) > POSITION_COLUMNS;
    if (position->is_counted) {
        position->lost_count = number_at(result, POSITION_COLUMNS);
        position->written = parse_written(result, POSITION_COLUMNS + 1);
    }
    return true;
}

/*
 * The row's xmax is the transaction that has updated it and not ended; pg_locks knows whose it is.
 *
 * MATERIALIZED makes PostgreSQL find the sessions first. As one of several conditions,
 * pg_terminate_backend would be called while pg_stat_activity is scanned, before the join: for
 * every session of every sink.
 */
void offsets_free_sql(struct buffer *sql, const struct offsets_claim *claim, const char *own_pids)
{
    buffer_append_text(sql, "WITH frozen AS MATERIALIZED ("
                            "SELECT a.pid, a.application_name FROM ");
    buffer_append_text(sql, claim->ledger->table);
    buffer_append_text(sql, " AS o JOIN pg_locks AS l ON l.locktype = 'transactionid'"
                            " AND l.transactionid = o.xmax AND l.granted"
                            " JOIN pg_stat_activity AS a ON a.pid = l.pid");
    append_key(sql, claim);
    buffer_append_text(sql, " AND a.usename = current_user AND a.wait_event_type = 'Client'"
                            " AND a.application_name LIKE 'pgsluice/%' AND a.pid <> ALL ('{");
    buffer_append_text(sql, own_pids);
    buffer_append_text(sql, "}'::integer[])) SELECT pid, application_name FROM frozen"
                            " WHERE pg_terminate_backend(pid)");
}

void offsets_topics_sql(struct buffer *sql, const char *sink)
{
    buffer_append_text(sql, "SELECT DISTINCT topic FROM pgsluice.offsets WHERE sink = ");
    offsets_literal(sql, sink);
}

static void append_starts(struct buffer *sql, const struct offsets_start *starts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(sql, i > 0 ? ", (" : "(");
        offsets_literal(sql, starts[i].topic);
        buffer_printf(sql, ", %" PRId32 ", %" PRId64 "::bigint, ", starts[i].partition,
                      starts[i].next_offset);
        offsets_literal(sql, starts[i].topic_id);
        buffer_append_text(sql, ")");
    }
}

void offsets_start_sql(struct buffer *sql, const char *sink, const char *owner,
                       const struct offsets_start *starts, size_t count)
{
    buffer_append_text(
        sql, "SET LOCAL synchronous_commit = on; INSERT INTO pgsluice.offsets"
             " (sink, topic, partition, next_offset, first_offset, topic_id, owner) SELECT ");
    offsets_literal(sql, sink);
    buffer_append_text(sql, ", s.topic, s.partition, s.next_offset, s.next_offset,"
                            " nullif(s.topic_id, ''), ");
    offsets_literal(sql, owner);
    buffer_append_text(sql, " FROM (VALUES ");
    append_starts(sql, starts, count);
    buffer_append_text(sql, ") AS s (topic, partition, next_offset, topic_id) WHERE NOT EXISTS"
                            " (SELECT FROM pgsluice.offsets AS o WHERE o.topic = s.topic"
                            " AND o.sink = ");
    offsets_literal(sql, sink);
    buffer_append_text(sql, ") ON CONFLICT (sink, topic, partition) DO NOTHING");
}

/* The arrays of the call, each over a field of the moves. */

enum move_size { MOVE_INTEGER, MOVE_BIGINT };

struct move_field {
    size_t offset;
    enum move_size size;
};

#define INTEGER_OF(field)                                  \
    {                                                      \
        offsetof(struct offsets_move, field), MOVE_INTEGER \
    }
#define BIGINT_OF(field)                                  \
    {                                                     \
        offsetof(struct offsets_move, field), MOVE_BIGINT \
    }

static const struct move_field sink_fields[] = {
    INTEGER_OF(partition), BIGINT_OF(epoch),         BIGINT_OF(from),
    BIGINT_OF(to),         INTEGER_OF(leader_epoch),
};

static const struct move_field backfill_fields[] = {
    INTEGER_OF(partition),
    INTEGER_OF(range),
    BIGINT_OF(epoch),
    BIGINT_OF(from),
    BIGINT_OF(to),
    INTEGER_OF(leader_epoch),
    BIGINT_OF(written.rows_count),
    BIGINT_OF(written.skipped_count),
    BIGINT_OF(written.dead_letters_count),
    BIGINT_OF(written.bytes),
    BIGINT_OF(written.first_offset),
    BIGINT_OF(written.last_offset),
    BIGINT_OF(written.first_timestamp_ms),
    BIGINT_OF(written.last_timestamp_ms),
};

static int64_t field_of(const struct offsets_move *move, const struct move_field *field)
{
    const char *at = (const char *)move + field->offset;

    return field->size == MOVE_INTEGER ? *(const int32_t *)(const void *)at
                                       : *(const int64_t *)(const void *)at;
}

static void append_topics(struct buffer *sql, const struct offsets_move *moves, size_t count)
{
    buffer_append_text(sql, ", ARRAY[");
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(sql, i > 0 ? "," : "");
        offsets_literal(sql, moves[i].topic);
    }
    buffer_append_text(sql, "]::text[]");
}

static void append_field(struct buffer *sql, const struct offsets_move *moves, size_t count,
                         const struct move_field *field)
{
    buffer_append_text(sql, ", ARRAY[");
    for (size_t i = 0; i < count; i++)
        buffer_printf(sql, "%s%" PRId64, i > 0 ? "," : "", field_of(&moves[i], field));
    buffer_append_text(sql, field->size == MOVE_INTEGER ? "]::integer[]" : "]::bigint[]");
}

void offsets_advance_sql(struct buffer *sql, const struct offsets_ledger *ledger, const char *name,
                         const struct offsets_move *moves, size_t count)
{
    const struct move_field *fields = ledger->has_ranges ? backfill_fields : sink_fields;
    size_t fields_count = ledger->has_ranges ? COUNT_OF(backfill_fields) : COUNT_OF(sink_fields);

    buffer_printf(sql, "SELECT pgsluice.%s(", ledger->has_ranges ? "advance_backfill" : "advance");
    offsets_literal(sql, name);
    append_topics(sql, moves, count);
    for (size_t i = 0; i < fields_count; i++)
        append_field(sql, moves, count, &fields[i]);
    buffer_append_text(sql, ");");
}
