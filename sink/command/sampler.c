/*
 *   idle --the interval is over--> due --connected--> sampling --done--> pruning --over--> idle
 *                                   ^                  |    |                              ^
 *                                   +-connection lost--+    +--refused---------------------+
 *
 *   sampler_end, from idle, due, and when what is under way is over:
 *
 *   due --connected--> sampling --over--> ended
 *    ^|                    |                ^
 *    |+-- late, or away ---|----------------+
 *    +-- connection lost --+
 *
 * An instance that the views have seen runs there until it says that it ends, or for some intervals
 * more. There may be no connection just then, for the pool closes one that was idle for long: hence
 * it waits for one then, too.
 *
 * While the dispatcher's pool has no server, none is tried here: whoever reads the log hears of an
 * outage once. The sample is made when there is a connection, so that it says what is so then.
 *
 * What it writes may be late or missing, and nothing else is: it has its own connection, PostgreSQL
 * ends a statement that waits, and no flush needs what it locks.
 */
#include "command/sampler.h"

#include "base/clock.h"
#include "base/memory.h"
#include "command/monitor_json.h"
#include "dispatch/lag.h"
#include "kafka/client.h"
#include "ops/log.h"
#include "pg/lag_history.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

enum {
    FIRST_MS = 5000, /* partitions are assigned by then, as a rule */
    CONNECT_TICK_MS = 100,
    END_MS = 1000, /* enough to connect */
    LIFETIME_SAMPLES = 3,
    LIFETIME_MORE_MS = 5000,
};

static void set_state(struct sampler *sampler, enum sampler_state to)
{
    static const char *const names[] = {"off", "idle", "due", "sampling", "pruning", "ended"};

    assert(sampler->state != SAMPLER_OFF && sampler->state != SAMPLER_ENDED);
    log_debug("sampler", LOG_STR("from", names[sampler->state]), LOG_STR("to", names[to]));
    sampler->state = to;
}

static struct sampler *sampler_of(struct conn_job *job)
{
    return (struct sampler *)((char *)job - offsetof(struct sampler, job));
}

/* What is seen. */

static int64_t known_time(int64_t unix_ms)
{
    return unix_ms > 0 ? unix_ms : -1;
}

static struct lag_history_partition partition_of(const struct dispatcher *dispatcher,
                                                 const struct queue *queue)
{
    int64_t lag = lag_records(queue);

    return (struct lag_history_partition){
        .topic = queue->route->topic,
        .state = monitor_task_state(dispatcher, queue),
        .partition = queue->partition,
        .topic_partitions = queue->route->partitions_count ? queue->route->partitions_count : -1,
        .committed_offset = queue->position,
        .end_offset = lag_end(queue),
        .lag = lag,
        .lag_ms = lag < 0 ? -1 : lag_ms(queue, clock_wall_ms()),
        .latency_ms = queue->latency_ms,
        .records_read = (int64_t)queue->records_count,
        .rows_written = queue->written.rows_count,
        .dead_letters = queue->written.dead_letters_count,
        .assigned_ms = queue->assigned_ms,
        .consumed_ms = known_time(queue->consumed_ms),
        .written_ms = known_time(queue->committed_ms),
    };
}

/* free() ends it. */
static struct lag_history_partition *partitions_of(const struct dispatcher *dispatcher,
                                                   size_t *count)
{
    struct lag_history_partition *partitions =
        memory_new_array(dispatcher->queues_count + 1, sizeof(*partitions));
    const struct queue *queue;

    *count = 0;
    DISPATCHER_EACH_ASSIGNED (queue, dispatcher)
        partitions[(*count)++] = partition_of(dispatcher, queue);
    return partitions;
}

static struct lag_history_instance instance_of(const struct sampler *sampler)
{
    const struct config *config = sampler->config;
    const struct dispatcher_totals *totals = &sampler->dispatcher->totals;
    const struct consumer *consumer = sampler->consumer;

    return (struct lag_history_instance){
        .sink = config->name,
        .instance = config->instance_id,
        .group_id = config->group_id,
        .version = PGSLUICE_VERSION,
        .started_ms = sampler->started_ms,
        .lifetime_ms =
            sampler->ending ? 0 : LIFETIME_SAMPLES * config->history_interval_ms + LIFETIME_MORE_MS,
        .rebalances_count = (int64_t)consumer->counts.assigns_count,
        .session_losses_count =
            (int64_t)(client_session_timeouts() + consumer->counts.late_polls_count),
        .commits_count = (int64_t)totals->flushes_count,
        .failed_commits_count = (int64_t)totals->failed_flushes_count,
        .kafka_commits_count = (int64_t)consumer->committer.commits_count,
        .failed_kafka_commits_count = (int64_t)consumer->committer.failed_commits_count,
        .rows_count = (int64_t)totals->rows_count,
        .dead_letters_count = (int64_t)totals->dead_letters_count,
    };
}

static void append_sample(struct buffer *sql, const struct sampler *sampler)
{
    struct lag_history_instance instance = instance_of(sampler);
    char *client = client_id(sampler->config);
    struct lag_history_partition *partitions =
        partitions_of(sampler->dispatcher, &instance.partitions_count);

    instance.client_id = client;
    instance.partitions = partitions;
    lag_history_sample_sql(sql, &instance);
    free(partitions);
    free(client);
}

/* Writing it. */

static void on_timer(uv_timer_t *timer);

static void wait_in(struct sampler *sampler, enum sampler_state state, int64_t milliseconds)
{
    if (sampler->state != state)
        set_state(sampler, state);
    uv_timer_start(&sampler->timer, on_timer, (uint64_t)milliseconds, 0);
}

static void note_refusal(struct sampler *sampler, const struct err *err)
{
    if (!sampler->failing)
        log_warn("history can't be written", LOG_ERR(err),
                 LOG_STR("hint",
                         "docs/security.md says which rights it needs; SINK_HISTORY_INTERVAL_MS=0 "
                         "writes none, and the views stay empty"));
    sampler->failing = true;
}

static void note_success(struct sampler *sampler)
{
    sampler->seen = true;
    if (sampler->failing)
        log_info("history is written again");
    sampler->failing = false;
}

static void on_sampled(struct conn_job *job, const struct conn_error *error);

static void sample(struct sampler *sampler, struct conn *conn)
{
    struct buffer sql = {0};

    sampler->last = sampler->ending;
    append_sample(&sql, sampler);
    sampler->job = (struct conn_job){.on_done = on_sampled};
    set_state(sampler, SAMPLER_SAMPLING);
    conn_run(conn, buffer_text(&sql), &sampler->job);
    buffer_finish(&sql);
}

static bool server_is_away(const struct sampler *sampler)
{
    return sampler->dispatcher->pool.away_since_ms != 0;
}

static void go_on_ending(struct sampler *sampler, bool lost)
{
    bool over = (sampler->last && !lost) || clock_now_ms() >= sampler->end_by_ms;
    struct conn *conn = over ? NULL : pool_acquire(&sampler->pool);

    if (conn)
        sample(sampler, conn);
    else if (over || !sampler->seen || server_is_away(sampler))
        set_state(sampler, SAMPLER_ENDED);
    else
        wait_in(sampler, SAMPLER_DUE, CONNECT_TICK_MS);
}

/* After a job, whatever became of it. */
static void go_on(struct sampler *sampler, bool lost)
{
    if (sampler->ending)
        go_on_ending(sampler, lost);
    else if (lost)
        wait_in(sampler, SAMPLER_DUE, CONNECT_TICK_MS);
    else
        wait_in(sampler, SAMPLER_IDLE, sampler->config->history_interval_ms);
}

static void on_pruned(struct conn_job *job, const struct conn_error *error)
{
    struct sampler *sampler = sampler_of(job);

    if (error && !error->lost)
        note_refusal(sampler, &error->err);
    go_on(sampler, false);
}

static void prune(struct sampler *sampler, struct conn *conn)
{
    sampler->job = (struct conn_job){.on_done = on_pruned};
    set_state(sampler, SAMPLER_PRUNING);
    conn_run(conn, lag_history_prune_sql, &sampler->job);
}

static void on_sampled(struct conn_job *job, const struct conn_error *error)
{
    struct sampler *sampler = sampler_of(job);
    struct conn *conn = error || sampler->ending ? NULL : pool_acquire(&sampler->pool);

    if (error && !error->lost)
        note_refusal(sampler, &error->err);
    else if (!error)
        note_success(sampler);
    if (conn)
        prune(sampler, conn);
    else
        go_on(sampler, error && error->lost);
}

static void sample_when_connected(struct sampler *sampler)
{
    struct conn *conn = server_is_away(sampler) ? NULL : pool_acquire(&sampler->pool);

    if (sampler->state == SAMPLER_IDLE)
        set_state(sampler, SAMPLER_DUE);
    if (conn)
        sample(sampler, conn);
    else
        wait_in(sampler, SAMPLER_DUE, CONNECT_TICK_MS);
}

static void on_timer(uv_timer_t *timer)
{
    struct sampler *sampler = timer->data;

    if (sampler->ending)
        go_on_ending(sampler, false);
    else
        sample_when_connected(sampler);
}

/* Opening and closing. */

/* Each later attempt that fails is in the pool's own words. */
static void on_lost(void *opaque, const struct err *err)
{
    (void)opaque;
    log_debug("history has no connection", LOG_ERR(err));
}

static void on_found(void *opaque, int64_t away_ms)
{
    (void)opaque;
    log_debug("history has a connection", LOG_INT("away_ms", away_ms));
}

void sampler_open(struct sampler *sampler, uv_loop_t *loop)
{
    int64_t interval_ms = sampler->config->history_interval_ms;

    if (interval_ms == 0)
        return;
    sampler->state = SAMPLER_IDLE;
    sampler->started_ms = clock_wall_ms();
    sampler->session = *sampler->config;
    sampler->session.pool_min = 0; /* it connects when a sample is due */
    sampler->session.pool_max = 1;
    pool_open(&sampler->pool, loop,
              &(struct pool_options){
                  .config = &sampler->session, .on_lost = on_lost, .on_found = on_found});
    uv_timer_init(loop, &sampler->timer);
    sampler->timer.data = sampler;
    uv_timer_start(&sampler->timer, on_timer,
                   (uint64_t)(interval_ms < FIRST_MS ? interval_ms : FIRST_MS), 0);
}

/* One that the views have not seen has nothing to end. */
void sampler_end(struct sampler *sampler)
{
    if (sampler->state == SAMPLER_OFF || sampler->ending)
        return;
    sampler->ending = true;
    sampler->end_by_ms = clock_now_ms() + END_MS;
    uv_timer_stop(&sampler->timer);
    if (sampler->state == SAMPLER_IDLE || sampler->state == SAMPLER_DUE)
        go_on(sampler, false);
}

bool sampler_is_busy(const struct sampler *sampler)
{
    bool waits = sampler->state == SAMPLER_DUE || sampler->state == SAMPLER_SAMPLING ||
                 sampler->state == SAMPLER_PRUNING;

    return sampler->ending && waits && clock_now_ms() < sampler->end_by_ms;
}

void sampler_close(struct sampler *sampler)
{
    if (sampler->state == SAMPLER_OFF)
        return;
    sampler->ending = true;
    sampler->end_by_ms = 0;
    uv_close((uv_handle_t *)&sampler->timer, NULL);
    pool_close(&sampler->pool);
}

void sampler_finish(struct sampler *sampler)
{
    if (sampler->state != SAMPLER_OFF)
        pool_finish(&sampler->pool);
}
