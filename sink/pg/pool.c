/*
 * State is list membership: conn.c's one setter tells on_conn_state, which moves the connection.
 *
 *   closed --names resolved-> connecting --> idle <--conn_run / job ends--> busy
 *      ^                          |            |                             |
 *      +---------- refused -------+-- surplus -+------------ lost -----------+
 *
 * A new connection is asked who it is before it counts as idle: it still is `greeting` then, and on
 * the list of those that connect. The race that this prevents, with two hosts in PGHOST:
 * 1. Host a fails; its standby b is promoted, and is written to.
 * 2. a comes back. It knows nothing of b, and takes writes.
 * 3. The next connection is to a, for it is named first. There, positions are those of step 1: it
 *    would look like a database that went back in time, and records would go to both from then on.
 *
 * One timer, `tick`, does what time brings: an attempt that takes too long is given up, the next
 * one starts when its delay is over, a surplus connection is closed.
 */
#include "pg/pool.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/memory.h"
#include "ops/log.h"

#include <stddef.h>
#include <stdlib.h>

enum { TICK_MS = 50, SURPLUS_IDLE_MS = 60000 };

static const struct backoff reconnect_backoff = {.first_ms = 100, .limit_ms = 2000};

static size_t count(const struct conn_list *list)
{
    const struct conn *conn;
    size_t n = 0;

    TAILQ_FOREACH (conn, list, entry)
        n++;
    return n;
}

static struct conn_list *list_of(struct pool *pool, const struct conn *conn, enum conn_state state)
{
    if (conn == pool->greeting && state != CONN_CLOSED)
        return &pool->connecting;
    switch (state) {
    case CONN_CLOSED:
        return &pool->closed;
    case CONN_CONNECTING:
        return &pool->connecting;
    case CONN_IDLE:
        return &pool->idle;
    case CONN_QUERYING:
    case CONN_COPYING:
        return &pool->busy;
    }
    abort();
}

/* What the server's comings and goings mean for the pool as a whole. */

/* A restart of the server ends all connections at once: only failed attempts make attempts rarer.
 */
static void note_failure(struct pool *pool, const struct err *err, bool attempted)
{
    unsigned attempts = attempted ? pool->attempts++ : 0;
    int64_t delay_ms = backoff_delay_ms(&reconnect_backoff, attempts, backoff_random());
    int64_t next_attempt_ms = clock_now_ms() + delay_ms;

    pool->failed_connects_count += attempted;
    if (pool->next_attempt_ms < next_attempt_ms)
        pool->next_attempt_ms = next_attempt_ms;
    if (pool->closing)
        return;
    if (!pool->away_since_ms && TAILQ_EMPTY(&pool->idle) && TAILQ_EMPTY(&pool->busy)) {
        pool->away_since_ms = clock_now_ms();
        pool->options.on_lost(pool->options.opaque, err);
    } else {
        log_warn(attempted ? "connect failed" : "connection lost", LOG_ERR(err),
                 LOG_INT("retry_ms", delay_ms));
    }
}

static void note_success(struct pool *pool)
{
    pool->connects_count++;
    pool->attempts = 0;
    pool->next_attempt_ms = 0;
    if (!pool->away_since_ms && !pool->lost_one)
        return;
    int64_t away_ms = pool->away_since_ms ? clock_now_ms() - pool->away_since_ms : 0;
    pool->away_since_ms = 0;
    pool->lost_one = false;
    pool->options.on_found(pool->options.opaque, away_ms);
}

/* Whom a new connection has reached. */

/* Sessions with a former primary: what they have under way there must not go on. */
static void close_former(struct pool *pool)
{
    for (size_t i = 0; i < pool->max; i++) {
        struct conn *conn = &pool->conns[i];
        if (conn->state == CONN_CLOSED || !primary_is_former(&conn->primary, &pool->primary))
            continue;
        pool->lost_one = true; /* the positions are another server's from now on */
        conn_close(conn);
    }
}

static void note_primary(struct pool *pool, const struct primary *primary)
{
    bool later = primary_is_former(&pool->primary, primary);

    if (later)
        log_warn("another primary has taken over", LOG_INT("timeline", primary->timeline),
                 LOG_INT("former_timeline", pool->primary.timeline));
    if (later || !pool->primary.cluster[0])
        pool->primary = *primary;
}

static void accept_conn(struct pool *pool, struct conn *conn)
{
    note_primary(pool, &conn->primary);
    pool->greeting = NULL;
    TAILQ_REMOVE(&pool->connecting, conn, entry);
    TAILQ_INSERT_TAIL(&pool->idle, conn, entry);
    close_former(pool);
    note_success(pool);
}

/* The next attempt begins with the next host. */
static void refuse_conn(struct pool *pool, struct conn *conn, const struct err *reason)
{
    struct err err = *reason;

    conn_blame(conn, &err);
    conn_close(conn);
    pool->first_server++;
    note_failure(pool, &err, true);
}

static void on_greeting(struct conn_job *job, const PGresult *result)
{
    struct pool *pool = (struct pool *)((char *)job - offsetof(struct pool, greeting_job));

    if (!primary_parse(result, &pool->greeting->primary))
        log_debug("the server does not say which one it is");
}

static void note_silence(struct pool *pool)
{
    struct err err;

    err_set(&err, ERR_OUTAGE, "PostgreSQL did not answer in %d s", SESSION_ATTEMPT_MS / 1000);
    note_failure(pool, &err, true);
}

static void note_failed_greeting(struct pool *pool, const struct err *err)
{
    if (clock_now_ms() >= pool->attempt_deadline_ms)
        note_silence(pool); /* we have closed it */
    else
        note_failure(pool, err, true);
}

/* Some services' roles may not ask, or there is nothing to ask. */
static bool can_not_say(const struct conn_error *error)
{
    static const char *const states[] = {"42501", "42883", "0A000"};

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
        if (strcmp(error->err.sqlstate, states[i]) == 0)
            return true;
    return false;
}

/* One that can not say which it is, is taken as it is. */
static void on_greeted(struct conn_job *job, const struct conn_error *error)
{
    struct pool *pool = (struct pool *)((char *)job - offsetof(struct pool, greeting_job));
    struct conn *conn = pool->greeting;
    struct err err;

    if (error && can_not_say(error))
        log_debug("the server does not say which one it is", LOG_ERR(&error->err));
    if (error && error->lost)
        note_failed_greeting(pool, &error->err);
    else if (error && !can_not_say(error))
        refuse_conn(pool, conn, &error->err);
    else if (primary_note(&conn->primary, &err))
        accept_conn(pool, conn);
    else
        refuse_conn(pool, conn, &err);
}

static void greet(struct pool *pool, struct conn *conn)
{
    conn->primary = (struct primary){0};
    pool->greeting_job = (struct conn_job){.on_result = on_greeting, .on_done = on_greeted};
    conn_run(conn, primary_sql, &pool->greeting_job);
}

static void on_conn_state(struct conn *conn, enum conn_state from, const struct err *err)
{
    struct pool *pool = conn->opaque;
    bool greeting = conn == pool->greeting;
    bool connected = from == CONN_CONNECTING && conn->state == CONN_IDLE;

    TAILQ_REMOVE(list_of(pool, conn, from), conn, entry);
    if (connected)
        pool->greeting = conn;
    else if (conn->state == CONN_CLOSED && greeting)
        pool->greeting = NULL;
    TAILQ_INSERT_TAIL(list_of(pool, conn, conn->state), conn, entry);
    if (conn->state == CONN_CLOSED && err && !greeting) {
        pool->lost_one |= from != CONN_CONNECTING;
        note_failure(pool, err, from == CONN_CONNECTING);
    }
    if (connected)
        greet(pool, conn);
}

/* What time brings. */

/* Some were lost, and others stand: those may have been lost to a failover, and these tell. */
static void announce_loss(struct pool *pool)
{
    if (!pool->lost_one || pool->away_since_ms)
        return;
    pool->lost_one = false;
    pool->options.on_found(pool->options.opaque, 0);
}

static void check_sent(const struct conn_list *list)
{
    struct conn *conn = TAILQ_FIRST(list);

    while (conn) {
        struct conn *next = TAILQ_NEXT(conn, entry);
        conn_check(conn);
        conn = next;
    }
}

/* A server that swallows what it is sent would take all the time of the next attempt, too. */
static void give_up_slow_attempt(struct pool *pool)
{
    bool greeting = pool->greeting != NULL;

    if (TAILQ_EMPTY(&pool->connecting) || clock_now_ms() < pool->attempt_deadline_ms)
        return;
    conn_close(TAILQ_FIRST(&pool->connecting));
    pool->first_server++;
    if (!greeting) /* else the greeting has learned of its end */
        note_silence(pool);
}

static void on_resolved(void *opaque, const struct config_servers *servers, const struct err *err)
{
    struct pool *pool = opaque;
    struct session session;
    struct err refusal;

    if (err) {
        note_failure(pool, err, true);
        return;
    }
    if (!session_init(&session, pool->options.config, &refusal)) {
        note_failure(pool, &refusal, true);
        return;
    }
    session_place(&session, servers, pool->first_server);
    pool->attempt_deadline_ms = clock_now_ms() + SESSION_ATTEMPT_MS;
    conn_open(TAILQ_FIRST(&pool->closed), &session);
    session_finish(&session);
}

/* One attempt at a time: enough to grow, and no stampede on a server that has just come back. */
static void maybe_start_attempt(struct pool *pool)
{
    size_t open = pool_open_count(pool);
    bool more = open < pool->min || (pool->wanted && open < pool->max);

    if (more && TAILQ_EMPTY(&pool->connecting) && !resolver_is_busy(&pool->resolver) &&
        clock_now_ms() >= pool->next_attempt_ms) {
        pool->wanted = false;
        resolver_start(&pool->resolver, pool->loop, on_resolved, pool);
    }
}

static void close_surplus(struct pool *pool)
{
    struct conn *conn = TAILQ_FIRST(&pool->idle);

    if (conn && pool_open_count(pool) > pool->min &&
        clock_now_ms() - conn->idle_since_ms > SURPLUS_IDLE_MS)
        conn_close(conn);
}

static void tick(uv_timer_t *timer)
{
    struct pool *pool = timer->data;

    check_sent(&pool->connecting);
    check_sent(&pool->busy);
    announce_loss(pool);
    give_up_slow_attempt(pool);
    maybe_start_attempt(pool);
    close_surplus(pool);
}

/* The public face. */

void pool_open(struct pool *pool, uv_loop_t *loop, const struct pool_options *options)
{
    *pool = (struct pool){.loop = loop, .options = *options};
    pool->max = (size_t)options->config->pool_max;
    pool->min = (size_t)options->config->pool_min;
    TAILQ_INIT(&pool->closed);
    TAILQ_INIT(&pool->connecting);
    TAILQ_INIT(&pool->idle);
    TAILQ_INIT(&pool->busy);
    pool->conns = memory_new_array(pool->max, sizeof(*pool->conns));
    for (size_t i = 0; i < pool->max; i++) {
        conn_init(&pool->conns[i], loop, on_conn_state, pool);
        TAILQ_INSERT_TAIL(&pool->closed, &pool->conns[i], entry);
    }
    uv_timer_init(loop, &pool->timer);
    pool->timer.data = pool;
    uv_timer_start(&pool->timer, tick, 0, TICK_MS);
}

/* The most recently used one: its caches are warm, and the others may become surplus. */
struct conn *pool_acquire(struct pool *pool)
{
    struct conn *conn = TAILQ_LAST(&pool->idle, conn_list);

    if (!conn && !pool->closing) {
        pool->wanted = true;
        maybe_start_attempt(pool);
    }
    return conn;
}

void pool_close(struct pool *pool)
{
    pool->closing = true;
    pool->min = 0;
    pool->max = 0;
    uv_timer_stop(&pool->timer);
    uv_close((uv_handle_t *)&pool->timer, NULL);
    resolver_cancel(&pool->resolver);
    while (!TAILQ_EMPTY(&pool->connecting))
        conn_close(TAILQ_FIRST(&pool->connecting));
    while (!TAILQ_EMPTY(&pool->busy))
        conn_close(TAILQ_FIRST(&pool->busy));
    while (!TAILQ_EMPTY(&pool->idle))
        conn_close(TAILQ_FIRST(&pool->idle));
}

void pool_finish(struct pool *pool)
{
    free(pool->conns);
    pool->conns = NULL;
}

size_t pool_open_count(const struct pool *pool)
{
    return count(&pool->connecting) + count(&pool->idle) + count(&pool->busy);
}

size_t pool_idle_count(const struct pool *pool)
{
    return count(&pool->idle);
}

size_t pool_busy_count(const struct pool *pool)
{
    return count(&pool->busy);
}

void pool_backend_pids(const struct pool *pool, struct buffer *out)
{
    for (size_t i = 0; i < pool->max; i++)
        if (pool->conns[i].state >= CONN_IDLE)
            buffer_printf(out, "%s%d", out->len ? "," : "", conn_backend_pid(&pool->conns[i]));
}
