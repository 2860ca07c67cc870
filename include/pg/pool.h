/*
 * The bounded set of connections.
 *
 * It keeps `min` connections open, opens more up to `max` while somebody finds none idle, closes
 * surplus ones that were idle for a minute, and reconnects lost ones with backoff and jitter, for
 * ever. Only one attempt is under way at a time. All of them are with one server: another cluster,
 * or a former primary, is refused, and a new primary ends the sessions with the one before. Thread:
 * loop.
 */
#ifndef PG_POOL_H
#define PG_POOL_H

#include "base/buffer.h"
#include "pg/conn.h"
#include "pg/resolver.h"

TAILQ_HEAD(conn_list, conn);

struct pool_options {
    const struct config *config; /* borrowed: where and how to connect, pool_min, pool_max */
    void (*on_lost)(void *opaque, const struct err *err); /* the server was there, now it is away */
    /* It is there, perhaps another one than before: a connection was lost. away_ms 0: others stood.
     */
    void (*on_found)(void *opaque, int64_t away_ms);
    void *opaque;
};

struct pool {
    size_t max;
    size_t min;
    uint64_t connects_count; /* since the start */
    uint64_t failed_connects_count;

    /* private: a connection is on the list of its state, so a count is a list's length */
    uv_loop_t *loop;
    struct pool_options options;
    struct conn *conns;
    struct resolver resolver; /* of the attempt under way, before it connects */
    size_t first_server;      /* the one that an attempt begins with */
    struct conn_list closed;
    struct conn_list connecting;
    struct conn_list idle;
    struct conn_list busy; /* querying and copying */
    struct conn *greeting; /* the connection that is asked who it is; NULL: none */
    struct conn_job greeting_job;
    struct primary primary; /* the one that was seen last */
    uv_timer_t timer;       /* connect timeout, next attempt, surplus */
    int64_t next_attempt_ms;
    int64_t attempt_deadline_ms;
    int64_t away_since_ms; /* 0: it is there */
    unsigned attempts;     /* that failed in a row */
    bool lost_one; /* a standing connection was lost: the next one may reach another server */
    bool wanted;   /* somebody found none idle */
    bool closing;
};

/* Memory is the caller's. Connecting starts on the loop's next turns. */
void pool_open(struct pool *pool, uv_loop_t *loop, const struct pool_options *options);

/* An idle connection, to be used at once with conn_run; NULL: none, and one more is wanted. */
struct conn *pool_acquire(struct pool *pool);

/* Closes every connection; their jobs end with an error. pool_finish after the loop has run. */
void pool_close(struct pool *pool);
void pool_finish(struct pool *pool);

/* Appends the server's process ids of the connections that stand, as in "17,18". */
void pool_backend_pids(const struct pool *pool, struct buffer *out);

size_t pool_open_count(const struct pool *pool);
size_t pool_idle_count(const struct pool *pool);
size_t pool_busy_count(const struct pool *pool);

#endif
