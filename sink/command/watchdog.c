/*
 *   quiet --a partition has not moved for the limit--> asking (thread) --both answer--> exit
 *     ^                                                   |
 *     +---- PostgreSQL is away, or one did not answer: the time begins anew ----------+
 *
 * The servers are asked over a connection of its own, so that what is stuck can not hold it up. The
 * process exits at once and leaves everything to the next one: what was not committed is read
 * again.
 */
#include "command/watchdog.h"

#include "base/clock.h"
#include "command/exit.h"
#include "dispatch/stuck.h"
#include "ops/log.h"
#include "pg/session.h"

#include <unistd.h>

enum { TICKS = 10, SLOWEST_TICK_MS = 10000, ANSWER_MS = 5000 };

static bool postgres_answers(const struct config *config)
{
    struct err err;
    PGconn *connection = session_connect(config, ANSWER_MS, &err);
    PGresult *result = connection ? PQexec(connection, "SELECT 1") : NULL;
    bool answers = PQresultStatus(result) == PGRES_TUPLES_OK;

    PQclear(result);
    PQfinish(connection);
    return answers;
}

static bool kafka_answers(rd_kafka_t *client)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, NULL, &metadata, ANSWER_MS);

    if (!error)
        rd_kafka_metadata_destroy(metadata);
    return !error;
}

static void ask_servers(void *opaque)
{
    struct watchdog *watchdog = opaque;

    watchdog->servers_answer =
        postgres_answers(watchdog->config) && kafka_answers(watchdog->client);
    uv_async_send(&watchdog->answered);
}

/* Since when something has not moved, if that is too long. */
static int64_t limit_ms(const struct watchdog *watchdog)
{
    return clock_now_ms() - watchdog->config->watchdog_ms;
}

static bool is_stuck(const struct watchdog *watchdog)
{
    int64_t since_ms = limit_ms(watchdog);

    return watchdog->well_since_ms <= since_ms && stuck_count(watchdog->dispatcher, since_ms) > 0;
}

static void on_answered(uv_async_t *answered)
{
    struct watchdog *watchdog = answered->data;

    if (!watchdog->asking)
        return;
    uv_thread_join(&watchdog->thread);
    watchdog->asking = false;
    if (!watchdog->servers_answer)
        watchdog->well_since_ms = clock_now_ms();
    if (watchdog->stopped || !is_stuck(watchdog))
        return;
    stuck_log(watchdog->dispatcher, limit_ms(watchdog));
    log_error("watchdog: exit", LOG_INT("watchdog_ms", watchdog->config->watchdog_ms));
    _exit(EXIT_TEMPORARY);
}

static void on_tick(uv_timer_t *timer)
{
    struct watchdog *watchdog = timer->data;

    if (watchdog->dispatcher->pool.away_since_ms)
        watchdog->well_since_ms = clock_now_ms();
    if (watchdog->asking || !is_stuck(watchdog))
        return;
    watchdog->asking = uv_thread_create(&watchdog->thread, ask_servers, watchdog) == 0;
}

void watchdog_open(struct watchdog *watchdog, uv_loop_t *loop, const struct config *config,
                   rd_kafka_t *client, const struct dispatcher *dispatcher)
{
    uint64_t tick_ms = (uint64_t)config->watchdog_ms / TICKS;

    *watchdog = (struct watchdog){.config = config,
                                  .client = client,
                                  .dispatcher = dispatcher,
                                  .well_since_ms = clock_now_ms()};
    uv_async_init(loop, &watchdog->answered, on_answered);
    watchdog->answered.data = watchdog;
    uv_timer_init(loop, &watchdog->timer);
    watchdog->timer.data = watchdog;
    if (tick_ms > SLOWEST_TICK_MS)
        tick_ms = SLOWEST_TICK_MS;
    if (config->watchdog_ms > 0)
        uv_timer_start(&watchdog->timer, on_tick, tick_ms + 1, tick_ms + 1);
}

void watchdog_stop(struct watchdog *watchdog)
{
    watchdog->stopped = true;
    uv_timer_stop(&watchdog->timer);
}

void watchdog_close(struct watchdog *watchdog)
{
    watchdog_stop(watchdog);
    if (watchdog->asking)
        uv_thread_join(&watchdog->thread);
    watchdog->asking = false;
    uv_close((uv_handle_t *)&watchdog->answered, NULL);
    uv_close((uv_handle_t *)&watchdog->timer, NULL);
}
