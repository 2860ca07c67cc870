/*
 * Connections without a server: a test reads the SQL that was sent and plays PostgreSQL's part.
 *
 * The order of what a job is told is conn.c's: results, then the connection's new state, then
 * on_done, during which the job may run another one. Included once, by the test program; stands in
 * for pg/conn.c, so each function of its header needs its like here.
 */
#ifndef SCRIPTED_CONN_H
#define SCRIPTED_CONN_H

#include "base/buffer.h"
#include "base/clock.h"
#include "pg/conn.h"
#include "pg/sqlstate.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNS_MAX = 32 };

struct scripted {
    struct conn *conn;
    struct buffer sql; /* of the job, NUL behind it */
};

static struct scripted scripted[CONNS_MAX];
static int scripted_count;
static bool server_is_up = true;
static bool server_is_mute;      /* the handshake is over, and no more comes */
static char scripted_hosts[256]; /* of the last attempt; empty: libpq's own */

/* What it says of itself: pg/primary.h. */
static const char *scripted_cluster = "7000000000000000001";
static const char *scripted_wal_file = "000000010000000000000001"; /* NULL: it may not say */

/* Of the next result: libpq has no public way to set it. */
static char scripted_copied[24];

char *PQcmdTuples(PGresult *result)
{
    (void)result;
    return scripted_copied;
}

/* --- pg/conn.h -------------------------------------------------------------------------------- */

static inline struct scripted *scripted_of(const struct conn *conn)
{
    for (int i = 0; i < scripted_count; i++)
        if (scripted[i].conn == conn)
            return &scripted[i];
    return NULL;
}

static inline void conn_enter(struct conn *conn, enum conn_state to, const struct err *err)
{
    enum conn_state from = conn->state;

    conn->state = to;
    if (to == CONN_IDLE)
        conn->idle_since_ms = clock_now_ms();
    conn->on_state(conn, from, err);
}

void conn_init(struct conn *conn, uv_loop_t *loop, conn_state_cb on_state, void *opaque)
{
    assert(scripted_count < CONNS_MAX);
    *conn = (struct conn){.loop = loop, .on_state = on_state, .opaque = opaque};
    scripted[scripted_count++] = (struct scripted){.conn = conn};
}

void conn_open(struct conn *conn, const struct session *session)
{
    assert(conn->state == CONN_CLOSED && session->application_name);
    snprintf(scripted_hosts, sizeof(scripted_hosts), "%s", session->hosts ? session->hosts : "");
    conn_enter(conn, CONN_CONNECTING, NULL);
}

void conn_run(struct conn *conn, const char *sql, struct conn_job *job)
{
    struct scripted *own = scripted_of(conn);

    assert(conn->state == CONN_IDLE && !conn->job);
    conn->job = job;
    job->conn = conn;
    buffer_reset(&own->sql);
    buffer_append_text(&own->sql, sql);
    conn_enter(conn, CONN_QUERYING, NULL);
}

void conn_blame(const struct conn *conn, struct err *err)
{
    (void)conn;
    err_context(err, "PostgreSQL at %s", scripted_hosts);
}

int conn_backend_pid(const struct conn *conn)
{
    return 1000 + (int)(scripted_of(conn) - scripted);
}

void conn_check(struct conn *conn)
{
    (void)conn; /* here every query can be sent */
}

static inline void scripted_end_job(struct conn *conn, const struct conn_error *error)
{
    struct conn_job *job = conn->job;

    conn->job = NULL;
    job->conn = NULL;
    job->on_done(job, error);
}

/* The connection goes away: a job learns of it after that. */
static inline void conn_lose(struct conn *conn)
{
    struct conn_error error = {.lost = true};

    err_set(&error.err, ERR_OUTAGE, "server closed the connection unexpectedly");
    conn_enter(conn, CONN_CLOSED, &error.err);
    if (conn->job)
        scripted_end_job(conn, &error);
}

void conn_close(struct conn *conn)
{
    if (conn->job)
        conn_lose(conn);
    else if (conn->state != CONN_CLOSED)
        conn_enter(conn, CONN_CLOSED, NULL);
}

/* --- PostgreSQL's part ------------------------------------------------------------------------ */

/* What the connection was sent; NULL: it runs nothing. */
static inline const char *conn_sql(const struct conn *conn)
{
    return conn->job ? buffer_text(&scripted_of(conn)->sql) : NULL;
}

static inline void conn_give_rows(struct conn *conn, const char *const *values, int rows,
                                  int fields);
static inline void conn_succeed(struct conn *conn);
static inline void conn_fail(struct conn *conn, const char *sqlstate, const char *message,
                             const char *context);

/* What the pool asks of a new connection. */
static inline void conn_greet(struct conn *conn)
{
    if (!scripted_wal_file) {
        conn_fail(conn, "42501", "permission denied for function pg_control_system", NULL);
        return;
    }
    conn_give_rows(conn, (const char *[]){scripted_cluster, scripted_wal_file}, 1, 2);
    conn_succeed(conn);
}

/* The handshakes that are under way end. */
static inline void conns_connect(void)
{
    struct err err;

    for (int i = 0; i < scripted_count; i++) {
        struct conn *conn = scripted[i].conn;
        if (conn->state != CONN_CONNECTING)
            continue;
        if (server_is_up) {
            conn_enter(conn, CONN_IDLE, NULL);
            if (!server_is_mute)
                conn_greet(conn);
        } else {
            err_set(&err, ERR_OUTAGE, "connection refused");
            conn_enter(conn, CONN_CLOSED, &err);
        }
    }
}

/* Whose running SQL has this in it; NULL: none. */
static inline struct conn *conn_running(const char *part)
{
    for (int i = 0; i < scripted_count; i++)
        if (conn_sql(scripted[i].conn) && strstr(conn_sql(scripted[i].conn), part))
            return scripted[i].conn;
    return NULL;
}

static inline int conns_busy(void)
{
    int count = 0;

    for (int i = 0; i < scripted_count; i++)
        count += scripted[i].conn->job != NULL;
    return count;
}

/* Rows as an array of rows * fields texts; NULL is NULL. */
static inline PGresult *result_of(const char *const *values, int rows, int fields)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc attributes[32] = {0};
    static char name[] = "field";

    assert(fields <= 32);
    for (int i = 0; i < fields; i++)
        attributes[i].name = name;
    PQsetResultAttrs(result, fields, attributes);
    for (int i = 0; i < rows * fields; i++) {
        char *value = values[i] ? strdup(values[i]) : NULL;
        PQsetvalue(result, i / fields, i % fields, value, value ? (int)strlen(value) : -1);
        free(value);
    }
    return result;
}

static inline void conn_give(struct conn *conn, PGresult *result)
{
    if (conn->job->on_result)
        conn->job->on_result(conn->job, result);
    PQclear(result);
}

static inline void conn_give_rows(struct conn *conn, const char *const *values, int rows,
                                  int fields)
{
    conn_give(conn, result_of(values, rows, fields));
}

/* Everything that one COPY is sent. */
static inline void conn_take_copy(struct conn *conn, struct buffer *data)
{
    struct slice piece;

    conn_enter(conn, CONN_COPYING, NULL);
    while (conn->job->on_copy(conn->job, &piece)) {
        assert(piece.len > 0 && piece.len <= CONN_COPY_PIECE_BYTES);
        buffer_append(data, piece.data, piece.len);
    }
    conn_enter(conn, CONN_QUERYING, NULL);
}

/* "COPY n" */
static inline void conn_give_copied(struct conn *conn, size_t rows)
{
    snprintf(scripted_copied, sizeof(scripted_copied), "%zu", rows);
    conn_give(conn, PQmakeEmptyPGresult(NULL, PGRES_COMMAND_OK));
}

/* Committed. */
static inline void conn_succeed(struct conn *conn)
{
    conn_enter(conn, CONN_IDLE, NULL);
    scripted_end_job(conn, NULL);
}

/* Rolled back, with all that the server has to say. */
static inline void conn_fail_with(struct conn *conn, const struct conn_error *error)
{
    conn_enter(conn, CONN_IDLE, NULL);
    scripted_end_job(conn, error);
}

/* Rolled back: a message, its code, and for COPY where it stood. */
static inline void conn_fail(struct conn *conn, const char *sqlstate, const char *message,
                             const char *context)
{
    struct conn_error error = {0};

    err_set(&error.err, sqlstate_class(sqlstate), "%s", message);
    snprintf(error.err.sqlstate, sizeof(error.err.sqlstate), "%s", sqlstate);
    snprintf(error.context, sizeof(error.context), "%s", context ? context : "");
    conn_fail_with(conn, &error);
}

/* After what owns them has been finished. */
static inline void conns_forget(const struct conn *first, size_t count)
{
    int kept = 0;

    for (int i = 0; i < scripted_count; i++) {
        if (scripted[i].conn >= first && scripted[i].conn < first + count)
            buffer_finish(&scripted[i].sql);
        else
            scripted[kept++] = scripted[i];
    }
    scripted_count = kept;
}

#endif
