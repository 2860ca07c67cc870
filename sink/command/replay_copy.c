/*
 * Encoded dead letters become rows.
 *
 *   SAVEPOINT; COPY --- done: RELEASE
 *                   |-- refused, one letter: it says why
 *                   `-- refused, several: back, and each half by itself
 */
#include "command/replay.h"
#include "pg/conn_error.h"
#include "pg/sqlstate.h"

enum { COPY_PIECE_BYTES = 64 * 1024 };

/* A statement that is being answered: its first error. */
static bool take_results(PGconn *connection, struct conn_error *error)
{
    bool done = true;

    for (PGresult *result; (result = PQgetResult(connection));) {
        ExecStatusType status = PQresultStatus(result);
        if (done && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
            conn_error_read(error, result);
            done = false;
        }
        PQclear(result);
    }
    return done;
}

static bool put(PGconn *connection, const char *data, size_t len)
{
    for (size_t at = 0; at < len; at += COPY_PIECE_BYTES) {
        size_t rest = len - at;
        int piece = (int)(rest < COPY_PIECE_BYTES ? rest : COPY_PIECE_BYTES);
        if (PQputCopyData(connection, data + at, piece) != 1)
            return false;
    }
    return true;
}

static bool put_segment(PGconn *connection, const struct batch *batch,
                        const struct batch_segment *segment)
{
    /* Signature, no flags, no extension; at the end, -1 (documentation, "COPY"). */
    static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
    bool binary = batch->mapping->format == TYPE_FORMAT_BINARY;

    return (!binary || put(connection, header, sizeof(header))) &&
           put(connection, batch->rows.data + segment->begin, segment->end - segment->begin) &&
           (!binary || put(connection, "\377\377", 2));
}

static bool copy_segment(struct replay *replay, const struct batch_segment *segment,
                         struct conn_error *error)
{
    struct buffer sql = {0};

    mapping_copy_sql(replay->batch->mapping, segment->absent_mask, &sql);
    PGresult *result = PQexec(replay->connection, buffer_text(&sql));
    bool ready = PQresultStatus(result) == PGRES_COPY_IN;
    if (!ready)
        conn_error_read(error, result);
    else if (put_segment(replay->connection, replay->batch, segment))
        PQputCopyEnd(replay->connection, NULL);
    PQclear(result);
    buffer_finish(&sql);
    return ready && take_results(replay->connection, error);
}

static bool copy_segments(struct replay *replay, struct conn_error *error)
{
    for (size_t i = 0; i < replay->batch->segments_count; i++)
        if (!copy_segment(replay, &replay->batch->segments[i], error))
            return false;
    return true;
}

/* A verdict on the row, not on the statement: see dispatch/outcome.c. */
static bool is_about_a_row(const struct conn_error *error)
{
    const char *sqlstate = error->err.sqlstate;
    bool odd = strcmp(sqlstate, "42601") == 0 || strcmp(sqlstate, "XX000") == 0;

    return error->err.class == ERR_DATA || sqlstate_is_of_user_code(sqlstate) ||
           (odd && error->context[0]);
}

static void explain(struct conn_error *error)
{
    error->err.class = ERR_DATA;
    err_context(&error->err, "refused by PostgreSQL%s%s",
                error->constraint[0] ? ", constraint " : "", error->constraint);
}

bool replay_copy(struct replay *replay, struct letter *const *letters, size_t count,
                 struct err *err)
{
    struct conn_error error = {0};

    if (count == 0)
        return true;
    replay_encode(replay, letters, count);
    if (!letters_table_run(replay->connection, "SAVEPOINT letters", err))
        return false;
    if (copy_segments(replay, &error))
        return letters_table_run(replay->connection, "RELEASE letters", err);
    if (!is_about_a_row(&error)) {
        *err = error.err;
        return false;
    }
    if (!letters_table_run(replay->connection, "ROLLBACK TO letters; RELEASE letters", err))
        return false;
    if (count > 1)
        return replay_copy(replay, letters, count / 2, err) &&
               replay_copy(replay, letters + count / 2, count - count / 2, err);
    explain(&error);
    letters[0]->refused = true;
    letters[0]->reason = error.err;
    return true;
}
