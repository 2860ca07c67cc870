/*
 * One PGconn driven by one uv_poll.
 *
 *            conn_open                       handshake done
 *   CLOSED ------------> CONNECTING --------------------------> IDLE <-----------+
 *     ^                      |                                   | conn_run      | last result
 *     |  refused, lost       |                                   v               |
 *     +----------------------+------------------------------- QUERYING ----------+
 *     |                                         copy data sent ^    | server wants COPY data
 *     |                                                        |    v
 *     +------------------------------------------------------ COPYING
 *
 * Rules that libpq imposes (each was probed):
 * - PQgetResult only while PQisBusy is false, else it blocks.
 * - PQputCopyData never says "would block": the sign to stop is PQflush() == 1. Putting more makes
 *   its buffer grow without bound.
 * - In COPY, a server's error is not shown until PQputCopyEnd. So the rest is sent, the server
 *   throws it away, and then the error comes: perhaps without another event, for its bytes are long
 *   in libpq's buffer.
 * - A commit is certain only when PQgetResult has returned NULL and no error was seen.
 * - The socket may change during the handshake, under the same number: the poll is stopped before
 *   each PQconnectPoll and looked up after it.
 */
#include "pg/conn.h"

#include "base/clock.h"
#include "base/memory.h"
#include "ops/log.h"
#include "pg/sqlstate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Per turn of the loop, so that one fast server does not keep the others waiting. */
enum { COPY_TURN_BYTES = 1024 * 1024 };

static void set_state(struct conn *conn, enum conn_state to, const struct err *err)
{
    static const bool allowed[5][5] = {
        [CONN_CLOSED] = {[CONN_CONNECTING] = true},
        [CONN_CONNECTING] = {[CONN_IDLE] = true, [CONN_CLOSED] = true},
        [CONN_IDLE] = {[CONN_QUERYING] = true, [CONN_CLOSED] = true},
        [CONN_QUERYING] = {[CONN_COPYING] = true, [CONN_IDLE] = true, [CONN_CLOSED] = true},
        [CONN_COPYING] = {[CONN_QUERYING] = true, [CONN_CLOSED] = true},
    };
    enum conn_state from = conn->state;

    assert(allowed[from][to]);
    conn->state = to;
    if (to == CONN_IDLE)
        conn->idle_since_ms = clock_now_ms();
    conn->on_state(conn, from, err);
}

/* Watching the socket. */

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

static void unwatch(struct conn *conn)
{
    if (!conn->poll)
        return;
    uv_poll_stop(conn->poll);
    conn->poll->data = NULL;
    uv_close((uv_handle_t *)conn->poll, on_poll_closed);
    conn->poll = NULL;
}

static void watch(struct conn *conn, int events)
{
    int fd = PQsocket(conn->pg);

    if (conn->poll && conn->poll_fd != fd)
        unwatch(conn);
    if (!conn->poll) {
        conn->poll = memory_new(sizeof(*conn->poll));
        uv_poll_init(conn->loop, conn->poll, fd);
        conn->poll->data = conn;
        conn->poll_fd = fd;
    }
    uv_poll_start(conn->poll, events, on_poll);
}

/* Errors. */

/* The first error is the cause; what follows it is its consequence. */
static void note_error(struct conn *conn, const PGresult *result)
{
    if (conn->failed)
        return;
    conn->failed = true;
    conn_error_read(&conn->error, result);
}

/* The job is taken off first: it may start the next one on this connection. */
static void end_job(struct conn *conn)
{
    struct conn_job *job = conn->job;
    struct conn_error error = conn->error;
    bool failed = conn->failed;

    conn->job = NULL;
    conn->failed = false; /* what happens to the idle connection is another matter */
    job->conn = NULL;
    job->on_done(job, failed ? &error : NULL);
}

static void disconnect(struct conn *conn, const struct err *err)
{
    conn->doomed = false;
    unwatch(conn);
    PQfinish(conn->pg);
    conn->pg = NULL;
    set_state(conn, CONN_CLOSED, err);
}

/* The job learns of it after the connection is closed, so that it can't run another one on it. */
static void lose(struct conn *conn)
{
    if (!conn->failed) {
        session_error(conn->pg, &conn->error.err);
        conn->failed = true;
    }
    conn->error.err.class = ERR_OUTAGE;
    conn->error.lost = true;
    struct err err = conn->error.err;
    disconnect(conn, &err);
    if (conn->job)
        end_job(conn);
}

/* The handshake. */

static void on_handshake(struct conn *conn)
{
    struct err err;

    if (conn->poll)
        uv_poll_stop(conn->poll);
    switch (PQconnectPoll(conn->pg)) {
    case PGRES_POLLING_READING:
        watch(conn, UV_READABLE);
        return;
    case PGRES_POLLING_WRITING:
        watch(conn, UV_WRITABLE);
        return;
    case PGRES_POLLING_OK:
        PQsetnonblocking(conn->pg, 1);
        watch(conn, UV_READABLE);
        set_state(conn, CONN_IDLE, NULL);
        return;
    case PGRES_POLLING_ACTIVE:
    case PGRES_POLLING_FAILED:
        break;
    }
    session_error(conn->pg, &err);
    disconnect(conn, &err);
}

void conn_open(struct conn *conn, const struct session *session)
{
    struct err err;

    conn->error = (struct conn_error){0};
    conn->failed = false;
    conn->pg = session_start(session);
    set_state(conn, CONN_CONNECTING, NULL);
    if (PQstatus(conn->pg) != CONNECTION_BAD) {
        watch(conn, UV_WRITABLE);
        return;
    }
    session_error(conn->pg, &err);
    disconnect(conn, &err);
}

/* Sending. */

/* False: the connection is lost. */
static bool send_pending(struct conn *conn)
{
    int rest = PQflush(conn->pg);

    if (rest < 0)
        return false;
    watch(conn, UV_READABLE | (rest ? UV_WRITABLE : 0));
    return true;
}

/* False: the connection is lost. */
static bool send_copy(struct conn *conn)
{
    struct slice piece;
    size_t sent = 0;
    int rest;

    while ((rest = PQflush(conn->pg)) == 0 && sent < COPY_TURN_BYTES) {
        if (!conn->job->on_copy(conn->job, &piece)) {
            set_state(conn, CONN_QUERYING, NULL);
            return PQputCopyEnd(conn->pg, NULL) == 1 && send_pending(conn);
        }
        if (PQputCopyData(conn->pg, piece.data, (int)piece.len) != 1)
            return false;
        sent += piece.len;
    }
    if (rest < 0)
        return false; /* libpq may have closed the socket: there is nothing left to watch */
    watch(conn, UV_READABLE | UV_WRITABLE);
    return true;
}

/* Receiving. */

static void take_result(struct conn *conn, PGresult *result)
{
    assert(conn->job); /* whoever is querying has one */
    switch (PQresultStatus(result)) {
    case PGRES_COPY_IN:
        set_state(conn, CONN_COPYING, NULL);
        return;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        if (!conn->failed && conn->job->on_result)
            conn->job->on_result(conn->job, result);
        return;
    default:
        note_error(conn, result);
        return;
    }
}

/* The server has become a standby, or read-only: the next connection may find another one. */
static bool is_read_only(const struct conn *conn)
{
    return conn->failed && strcmp(conn->error.err.sqlstate, SQLSTATE_READ_ONLY) == 0;
}

/* False: the connection is lost. */
static bool take_results(struct conn *conn)
{
    while (conn->state == CONN_QUERYING && !PQisBusy(conn->pg)) {
        PGresult *result = PQgetResult(conn->pg);
        if (!result) {
            if (PQstatus(conn->pg) == CONNECTION_BAD || is_read_only(conn))
                return false;
            set_state(conn, CONN_IDLE, NULL);
            end_job(conn);
            return true;
        }
        take_result(conn, result);
        PQclear(result);
    }
    return conn->state != CONN_COPYING || send_copy(conn);
}

static bool on_readable(struct conn *conn)
{
    if (!PQconsumeInput(conn->pg))
        return false;
    if (conn->state == CONN_QUERYING)
        return take_results(conn);
    if (conn->state == CONN_COPYING)
        return true;                            /* an error: it shows after the end of the data */
    return PQstatus(conn->pg) == CONNECTION_OK; /* idle: a notice, or the server is leaving */
}

static bool on_writable(struct conn *conn)
{
    return conn->state == CONN_COPYING ? send_copy(conn) : send_pending(conn);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct conn *conn = poll->data;

    if (!conn)
        return;
    if (conn->state == CONN_CONNECTING) {
        on_handshake(conn);
        return;
    }
    /* libuv has stopped the poll on a fault and gives no events: reading fetches the reason. */
    bool alive = status < 0 || (events & UV_READABLE) ? on_readable(conn) : true;
    if (alive && status >= 0 && (events & UV_WRITABLE) && conn->poll == poll)
        alive = on_writable(conn);
    /* An error in the middle of the data was read with it: no event tells of it any more. */
    if (alive && conn->state == CONN_QUERYING)
        alive = take_results(conn);
    if (!alive || (status < 0 && conn->state != CONN_CLOSED))
        lose(conn);
}

/* The rest of the public face. */

void conn_init(struct conn *conn, uv_loop_t *loop, conn_state_cb on_state, void *opaque)
{
    *conn = (struct conn){.loop = loop, .on_state = on_state, .opaque = opaque};
}

void conn_close(struct conn *conn)
{
    if (conn->state == CONN_CLOSED)
        return;
    if (conn->job) {
        err_set(&conn->error.err, ERR_OUTAGE, "the connection was closed by the sink");
        conn->failed = true;
        lose(conn);
        return;
    }
    disconnect(conn, NULL);
}

void conn_run(struct conn *conn, const char *sql, struct conn_job *job)
{
    assert(conn->state == CONN_IDLE);
    conn->job = job;
    job->conn = conn;
    conn->error = (struct conn_error){0};
    conn->failed = false;
    set_state(conn, CONN_QUERYING, NULL);
    /* A caller is not called back from inside its call: the pool's next tick finds a lost one. */
    conn->doomed = PQsendQuery(conn->pg, sql) != 1 || !send_pending(conn);
}

void conn_check(struct conn *conn)
{
    if (conn->doomed)
        lose(conn);
}

void conn_blame(const struct conn *conn, struct err *err)
{
    err_context(err, "PostgreSQL at %s port %s", PQhost(conn->pg), PQport(conn->pg));
}

int conn_backend_pid(const struct conn *conn)
{
    return PQbackendPID(conn->pg);
}
