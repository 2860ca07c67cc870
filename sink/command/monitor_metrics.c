/*
 * /metrics: the figures that the parts of the sink keep, in Prometheus' format.
 *
 * Series of single partitions are given for PARTITIONS_MAX of them at most, those that are assigned
 * to this instance; how many were left out is a metric, too. No label comes from a record.
 */
#include "command/monitor_fill.h"

#include "base/clock.h"
#include "dispatch/intake.h"
#include "ops/log.h"
#include "ops/metrics.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <unistd.h>

enum { PARTITIONS_MAX = 1000 };

#define LABELS(...) METRICS_LABELS(__VA_ARGS__)

/* This instance. */

static void put_build(struct metrics *out)
{
    char libpq[24];

    snprintf(libpq, sizeof(libpq), "%d.%d", PQlibVersion() / 10000, PQlibVersion() % 10000);
    metrics_family(out, METRICS_GAUGE, "pgsluice_build_info",
                   "Constant 1, labelled with the version of the program and of its libraries.");
    metrics_integer(out,
                    LABELS({"version", PGSLUICE_VERSION}, {"librdkafka", rd_kafka_version_str()},
                           {"libpq", libpq}, {"libuv", uv_version_string()}),
                    1);
}

static void put_instance(struct metrics *out, const struct monitor *monitor)
{
    bool exactly_once = monitor->config->delivery == CONFIG_EXACTLY_ONCE;

    metrics_family(out, METRICS_GAUGE, "pgsluice_instance_info",
                   "Constant 1, labelled with the run mode, consumer group and delivery mode of "
                   "this instance.");
    metrics_integer(out,
                    LABELS({"mode", "stream"}, {"group", monitor->config->group_id},
                           {"delivery", exactly_once ? "exactly_once" : "at_least_once"}),
                    1);
}

static void put_health(struct metrics *out, const struct monitor *monitor)
{
    const struct health health = monitor_health(monitor);

    metrics_gauge(out, "pgsluice_ready",
                  "Whether this instance reports itself ready (1) or not (0).", health.ready);
    metrics_family(out, METRICS_GAUGE, "pgsluice_check_ok",
                   "Result of each health check (1 ok, 0 failing).");
    for (size_t i = 0; i < HEALTH_CHECKS; i++)
        metrics_integer(out, LABELS({"check", health.checks[i].name}), health.checks[i].ok);
}

/* Partitions. */

typedef void (*each_queue_cb)(void *opaque, const struct queue *queue);

static void each_queue(const struct monitor *monitor, each_queue_cb callback, void *opaque)
{
    const struct queue *queue;

    for (int state = 0; state < QUEUE_REVOKED; state++)
        TAILQ_FOREACH (queue, &monitor->dispatcher->queues[state], entry)
            callback(opaque, queue);
}

struct series {
    struct metrics *out;
    size_t room; /* for so many more */
    size_t dropped;
};

static void put_position(void *opaque, const struct queue *queue)
{
    struct series *series = opaque;
    char partition[12];

    if (queue->position < 0)
        return;
    if (series->room == 0) {
        series->dropped++;
        return;
    }
    series->room--;
    snprintf(partition, sizeof(partition), "%d", queue->partition);
    metrics_integer(series->out, LABELS({"topic", queue->route->topic}, {"partition", partition}),
                    queue->position);
}

static void put_partitions(struct metrics *out, const struct monitor *monitor)
{
    struct series series = {.out = out, .room = PARTITIONS_MAX};

    metrics_family(out, METRICS_GAUGE, "pgsluice_consumer_committed_offset",
                   "Next offset to be written, as committed in PostgreSQL.");
    each_queue(monitor, put_position, &series);
    metrics_gauge(out, "pgsluice_metrics_series_dropped",
                  "Series left out of this exposition by the cardinality guard.",
                  (double)series.dropped);
}

struct topic_count {
    const struct route *route;
    int64_t count;
};

static void count_assigned(void *opaque, const struct queue *queue)
{
    struct topic_count *topic = opaque;

    topic->count += queue->route == topic->route;
}

static void put_assigned(struct metrics *out, const struct monitor *monitor)
{
    const struct route *route;

    metrics_family(out, METRICS_GAUGE, "pgsluice_consumer_assigned_partitions",
                   "Partitions assigned to this instance.");
    TAILQ_FOREACH (route, &monitor->dispatcher->routes, entry) {
        struct topic_count topic = {.route = route};
        each_queue(monitor, count_assigned, &topic);
        metrics_integer(out, LABELS({"topic", route->topic}), topic.count);
    }
}

/* The group. */

static void put_rebalances(struct metrics *out, const struct consumer_counts *counts)
{
    metrics_family(out, METRICS_COUNTER, "pgsluice_consumer_rebalances_total",
                   "Rebalance callbacks, by kind.");
    metrics_integer(out, LABELS({"kind", "assign"}), (int64_t)counts->assigns_count);
    metrics_integer(out, LABELS({"kind", "revoke"}),
                    (int64_t)(counts->revokes_count - counts->losses_count));
    metrics_integer(out, LABELS({"kind", "lost"}), (int64_t)counts->losses_count);
}

/* PostgreSQL. */

static void put_pool(struct metrics *out, const struct pool *pool)
{
    size_t idle = pool_idle_count(pool);
    size_t busy = pool_busy_count(pool);

    metrics_family(out, METRICS_GAUGE, "pgsluice_pg_connections",
                   "Connections to PostgreSQL, by state.");
    metrics_integer(out, LABELS({"state", "idle"}), (int64_t)idle);
    metrics_integer(out, LABELS({"state", "busy"}), (int64_t)busy);
    metrics_integer(out, LABELS({"state", "connecting"}),
                    (int64_t)(pool_open_count(pool) - idle - busy));
    metrics_gauge(out, "pgsluice_pg_connections_limit", "Configured size of the connection pool.",
                  (double)pool->max);
}

static void put_memory(struct metrics *out, const struct dispatcher *dispatcher)
{
    metrics_gauge(out, "pgsluice_inflight_bytes",
                  "Bytes held between receipt and commit in PostgreSQL.",
                  (double)intake_memory_bytes(dispatcher));
    metrics_gauge(out, "pgsluice_inflight_limit_bytes", "Configured bound on in-flight bytes.",
                  (double)dispatcher->config->memory_limit_bytes);
}

/* Logs and the process. */

static void put_logs(struct metrics *out)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    struct log_counts counts = log_count();

    metrics_family(out, METRICS_COUNTER, "pgsluice_log_messages_total",
                   "Log lines, by level, suppressed ones included.");
    for (size_t i = LOG_LEVEL_INFO; i <= LOG_LEVEL_ERROR; i++)
        metrics_integer(out, LABELS({"level", names[i]}), counts.lines[i]);
    metrics_counter(out, "pgsluice_log_suppressed_total",
                    "Log lines not printed because of the log rate limit.",
                    (uint64_t)(counts.held_back + counts.dropped));
}

void monitor_fill_metrics(void *opaque, bool verbose, struct http_answer *answer)
{
    const struct monitor *monitor = opaque;
    struct metrics out = {.out = &answer->body};

    (void)verbose;
    answer->content_type = METRICS_CONTENT_TYPE;
    put_build(&out);
    put_instance(&out, monitor);
    put_health(&out, monitor);
    put_partitions(&out, monitor);
    put_assigned(&out, monitor);
    put_rebalances(&out, &monitor->consumer->counts);
    put_pool(&out, &monitor->dispatcher->pool);
    put_memory(&out, monitor->dispatcher);
    put_logs(&out);
}
