/*
 * One non-blocking PostgreSQL connection on the loop.
 *
 * A connection runs one job at a time: a simple Query, whose results the job is shown in order, and
 * whose COPY ... FROM STDIN statements it feeds. Nothing here blocks, as long as the session's
 * hosts have addresses (pg/resolver.h). One that turns out to be read-only counts as lost. Thread:
 * loop.
 */
#ifndef PG_CONN_H
#define PG_CONN_H

#include "base/slice.h"
#include "pg/conn_error.h"
#include "pg/primary.h"
#include "pg/session.h"

#include <libpq-fe.h>
#include <sys/queue.h>
#include <uv.h>

enum conn_state {
    CONN_CLOSED,     /* waits for pool to connect it (again) */
    CONN_CONNECTING, /* waits for libpq's handshake */
    CONN_IDLE,       /* waits for a job */
    CONN_QUERYING,   /* waits for results of the job's query */
    CONN_COPYING,    /* waits until the socket takes more of the job's COPY data */
};

struct conn;
struct conn_job;

/* A result that is not an error: rows, or a command that has ended. Borrowed. */
typedef void (*conn_result_cb)(struct conn_job *job, const PGresult *result);

/*
 * The server waits for COPY data: the next piece, at most CONN_COPY_PIECE_BYTES, borrowed until the
 * next call; false: that was all of this COPY.
 */
typedef bool (*conn_copy_cb)(struct conn_job *job, struct slice *piece);

/*
 * The job is over: NULL means that every statement succeeded and is committed. Called exactly once;
 * the connection is idle again, or closed, so the job may start another one on it.
 */
typedef void (*conn_done_cb)(struct conn_job *job, const struct conn_error *error);

struct conn_job {
    conn_result_cb on_result;
    conn_copy_cb on_copy; /* NULL: the query has no COPY */
    conn_done_cb on_done;
    struct conn *conn; /* set while it runs */
};

/* One PQputCopyData; larger pieces make libpq's buffer grow and the server slower. */
enum { CONN_COPY_PIECE_BYTES = 64 * 1024 };

typedef void (*conn_state_cb)(struct conn *conn, enum conn_state from, const struct err *err);

struct conn {
    TAILQ_ENTRY(conn) entry; /* of the pool's list for its state */
    enum conn_state state;
    conn_state_cb
        on_state; /* the pool's; err is set on CONN_CONNECTING -> CONN_CLOSED and on a loss */
    void *opaque; /* the pool's */
    struct primary primary; /* the pool's: whom it has reached */
    int64_t idle_since_ms;

    /* private: */
    uv_loop_t *loop;
    uv_poll_t *poll; /* heap: libuv needs it until its close callback */
    int poll_fd;
    PGconn *pg;
    struct conn_job *job;
    struct conn_error error; /* the first one of the job */
    bool failed;
    bool doomed; /* the query could not be sent */
};

void conn_init(struct conn *conn, uv_loop_t *loop, conn_state_cb on_state, void *opaque);

/* CONN_CLOSED -> CONN_CONNECTING; on_state tells the outcome, perhaps before this returns. */
void conn_open(struct conn *conn, const struct session *session);

/* From any state; a running job ends with an error first. */
void conn_close(struct conn *conn);

/* CONN_IDLE -> CONN_QUERYING. The job stays the caller's and must live until on_done. */
void conn_run(struct conn *conn, const char *sql, struct conn_job *job);

/* Ends a connection whose query could not be sent; the job learns of it. For the pool's tick. */
void conn_check(struct conn *conn);

/* Puts the server's name in front of the text. */
void conn_blame(const struct conn *conn, struct err *err);

/* The server's process of a connection that stands. */
int conn_backend_pid(const struct conn *conn);

#endif
