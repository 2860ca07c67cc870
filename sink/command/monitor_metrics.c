/*
 * /metrics: the figures that the parts of the sink keep, in Prometheus' format.
 *
 * Each series that is known beforehand is there from the start, at 0.
 */
#include "command/monitor_fill.h"

#include "dispatch/intake.h"
#include "kafka/client.h"
#include "ops/log.h"
#include "ops/process_figures.h"

#include <libpq-fe.h>
#include <stdio.h>

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
                           {"libpq", libpq}, {"libuv", uv_version_string()},
                           {"revision", PGSLUICE_REVISION}),
                    1);
}

static void put_instance(struct metrics *out, const struct monitor *monitor)
{
    const struct config *config = monitor->config;
    bool exactly_once = monitor->look || config->delivery == CONFIG_EXACTLY_ONCE;

    metrics_family(out, METRICS_GAUGE, "pgsluice_instance_info",
                   "Constant 1, labelled with the run mode, consumer group and delivery mode of "
                   "this instance.");
    metrics_integer(out,
                    LABELS({"mode", monitor->look ? "backfill" : "stream"},
                           {"group", monitor->consumer ? config->group_id : ""},
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

/* The group. */

static void put_rebalances(struct metrics *out, const struct consumer_counts *counts)
{
    metrics_family(out, METRICS_COUNTER, "pgsluice_consumer_rebalances_total",
                   "Rebalance callbacks, by kind.");
    metrics_integer(out, LABELS({"kind", "assign"}), (int64_t)counts->assigns_count);
    metrics_integer(out, LABELS({"kind", "revoke"}),
                    (int64_t)(counts->revokes_count - counts->losses_count));
    metrics_integer(out, LABELS({"kind", "lost"}), (int64_t)counts->losses_count);
    metrics_family(out, METRICS_HISTOGRAM, "pgsluice_consumer_rebalance_duration_seconds",
                   "Time from the start of a revocation to the next assignment.");
    metrics_histogram(out, METRICS_NO_LABELS, &counts->rebalance_seconds,
                      &histogram_rebalance_seconds);
}

static void put_tally(struct metrics *out, const char *label, const struct tally *tally)
{
    for (size_t i = 0; i < tally->count; i++)
        metrics_integer(out, LABELS({label, tally->entries[i].name}),
                        (int64_t)tally->entries[i].count);
}

/* Who stands by asks for no ends. Who has lost all partitions to a broker that is away would. */
static bool wants_ends(const struct consumer *consumer)
{
    return consumer->assignment.partitions_count > 0 || !consumer->member;
}

static void put_session(struct metrics *out, const struct consumer *consumer)
{
    metrics_counter(out, "pgsluice_consumer_session_timeouts_total",
                    "Group sessions lost because no heartbeat was answered in session.timeout.ms.",
                    client_session_timeouts());
    metrics_counter(out, "pgsluice_consumer_max_poll_exceeded_total",
                    "Times max.poll.interval.ms was exceeded and the group was left.",
                    consumer->counts.late_polls_count);
    metrics_family(out, METRICS_COUNTER, "pgsluice_consumer_errors_total",
                   "Errors reported by librdkafka, by error name.");
    put_tally(out, "code", &consumer->counts.errors);
    metrics_gauge(out, "pgsluice_consumer_last_poll_timestamp_seconds",
                  "Unix time of the last call into the consumer poll.",
                  (double)consumer->polled_ms / 1e3);
    metrics_family(out, METRICS_GAUGE, "pgsluice_consumer_lag_refresh_timestamp_seconds",
                   "Unix time of the last successful refresh of the end offsets.");
    if (consumer->watermarks.refreshed_ms > 0 && wants_ends(consumer))
        metrics_real(out, METRICS_NO_LABELS, (double)consumer->watermarks.refreshed_ms / 1e3);
}

/* librdkafka tells their number, not their bytes, but in statistics that cost a megabyte of JSON.
 */
static void put_fetched_ahead(struct metrics *out, const struct monitor *monitor)
{
    const struct route *route;
    uint64_t records = 0;
    uint64_t bytes = 0;

    TAILQ_FOREACH (route, &monitor->dispatcher->routes, entry) {
        /* cppcheck-suppress uninitvar ; TAILQ_FOREACH sets it */
        records += route->counters.records;
        bytes += route->counters.bytes;
    }
    size_t waiting = reader_waiting_count(&monitor->consumer->reader);
    metrics_gauge(
        out, "pgsluice_consumer_queue_bytes",
        "Bytes prefetched by librdkafka and not yet taken: their number times the mean of "
        "those taken so far.",
        records > 0 ? (double)waiting * (double)bytes / (double)records : 0);
}

static void put_paused(struct metrics *out, const struct dispatcher *dispatcher)
{
    const struct queue *queue;
    int64_t assigned = 0;
    int64_t held_back = 0;
    int64_t halted = 0;

    DISPATCHER_EACH_ASSIGNED (queue, dispatcher) {
        assigned++;
        held_back += queue->held_back;
        halted += queue->state == QUEUE_HALTED;
    }
    metrics_family(out, METRICS_GAUGE, "pgsluice_consumer_paused_partitions",
                   "Assigned partitions on which fetching is paused, by reason.");
    metrics_integer(out, LABELS({"reason", "backpressure"}),
                    dispatcher->full ? assigned - halted : held_back);
    metrics_integer(out, LABELS({"reason", "retry"}), halted);
}

static void put_offset_commits(struct metrics *out, const struct monitor *monitor)
{
    const struct dispatcher_totals *totals = &monitor->dispatcher->totals;

    metrics_family(out, METRICS_COUNTER, "pgsluice_offset_commits_total",
                   "Offset commits, by where and result.");
    metrics_integer(out, LABELS({"store", "postgres"}, {"result", "success"}),
                    (int64_t)totals->flushes_count);
    metrics_integer(out, LABELS({"store", "postgres"}, {"result", "failure"}),
                    (int64_t)totals->failed_flushes_count);
    if (!monitor->consumer)
        return;
    const struct committer *committer = &monitor->consumer->committer;
    metrics_integer(out, LABELS({"store", "kafka"}, {"result", "success"}),
                    (int64_t)committer->commits_count);
    metrics_integer(out, LABELS({"store", "kafka"}, {"result", "failure"}),
                    (int64_t)committer->failed_commits_count);
}

/* Batches and flushes. */

static void put_batches(struct metrics *out, const struct counters *counters)
{
    static const char *const triggers[] = {"records", "bytes", "linger", "memory", "shutdown"};

    metrics_family(out, METRICS_COUNTER, "pgsluice_flushes_total",
                   "Batches closed, by what closed them.");
    for (int i = 0; i < COUNTERS_TRIGGERS; i++)
        metrics_integer(out, LABELS({"trigger", triggers[i]}), (int64_t)counters->closed[i]);
    metrics_family(out, METRICS_HISTOGRAM, "pgsluice_batch_records", "Records in a batch.");
    metrics_histogram(out, METRICS_NO_LABELS, &counters->batch_records, &histogram_batch_records);
    metrics_family(out, METRICS_HISTOGRAM, "pgsluice_batch_size_bytes",
                   "Payload bytes in a batch.");
    metrics_histogram(out, METRICS_NO_LABELS, &counters->batch_bytes, &histogram_batch_bytes);
}

static void put_flushes(struct metrics *out, const struct counters *counters)
{
    metrics_family(out, METRICS_HISTOGRAM, "pgsluice_flush_duration_seconds",
                   "Time to write and commit one flush, by stage (copy, commit, total), and before "
                   "it for a connection (wait).");
    metrics_histogram(out, LABELS({"stage", "wait"}), &counters->queued_seconds,
                      &histogram_flush_seconds);
    metrics_histogram(out, LABELS({"stage", "copy"}), &counters->copy_seconds,
                      &histogram_flush_seconds);
    metrics_histogram(out, LABELS({"stage", "commit"}), &counters->commit_seconds,
                      &histogram_flush_seconds);
    metrics_histogram(out, LABELS({"stage", "total"}), &counters->flush_seconds,
                      &histogram_flush_seconds);
    metrics_gauge(out, "pgsluice_last_commit_timestamp_seconds",
                  "Unix time of the last batch committed in PostgreSQL.",
                  (double)counters->committed_ms / 1e3);
}

static void put_retries(struct metrics *out, const struct counters *counters)
{
    static const char *const causes[] = {"connection", "serialization", "deadlock",
                                         "timeout",    "resources",     "other"};

    metrics_counter(out, "pgsluice_dead_letter_failures_total",
                    "Failed attempts to put a record into the dead-letter store.",
                    counters->letter_failures);
    metrics_family(out, METRICS_COUNTER, "pgsluice_retries_total", "Batch retries, by cause.");
    for (int i = 0; i < COUNTERS_CAUSES; i++)
        metrics_integer(out, LABELS({"cause", causes[i]}), (int64_t)counters->retries[i]);
}

static void put_memory(struct metrics *out, const struct dispatcher *dispatcher)
{
    const struct queue *queue;
    const struct batch *batch;
    int64_t records = 0;

    for (int state = 0; state < QUEUE_STATES; state++) {
        TAILQ_FOREACH (queue, &dispatcher->queues[state], entry) {
            TAILQ_FOREACH (batch, &queue->batches, entry)
                records += batch->count - batch->first;
        }
    }
    metrics_gauge(out, "pgsluice_inflight_records",
                  "Records held between receipt and commit in PostgreSQL.", (double)records);
    metrics_gauge(out, "pgsluice_inflight_bytes",
                  "Bytes held between receipt and commit in PostgreSQL.",
                  (double)intake_memory_bytes(dispatcher));
    metrics_gauge(out, "pgsluice_inflight_limit_bytes", "Configured bound on in-flight bytes.",
                  (double)dispatcher->config->memory_limit_bytes);
}

/* PostgreSQL. */

static void put_pool(struct metrics *out, const struct pool *pool)
{
    size_t idle = pool_idle_count(pool);
    size_t busy = pool_busy_count(pool);
    size_t open = pool_open_count(pool);

    metrics_family(out, METRICS_GAUGE, "pgsluice_pg_connections",
                   "Connections to PostgreSQL, by state.");
    metrics_integer(out, LABELS({"state", "idle"}), (int64_t)idle);
    metrics_integer(out, LABELS({"state", "busy"}), (int64_t)busy);
    metrics_integer(out, LABELS({"state", "connecting"}), (int64_t)(open - idle - busy));
    metrics_integer(out, LABELS({"state", "backoff"}),
                    open < pool->min && pool->attempts > 0 ? (int64_t)(pool->min - open) : 0);
    metrics_gauge(out, "pgsluice_pg_connections_limit", "Configured size of the connection pool.",
                  (double)pool->max);
    metrics_family(out, METRICS_COUNTER, "pgsluice_pg_connects_total",
                   "Connection attempts to PostgreSQL, by result.");
    metrics_integer(out, LABELS({"result", "success"}), (int64_t)pool->connects_count);
    metrics_integer(out, LABELS({"result", "failure"}), (int64_t)pool->failed_connects_count);
}

static void put_errors(struct metrics *out, const struct counters *counters)
{
    metrics_family(out, METRICS_HISTOGRAM, "pgsluice_pg_connection_wait_seconds",
                   "Time a batch waited for a free connection.");
    metrics_histogram(out, METRICS_NO_LABELS, &counters->wait_seconds, &histogram_wait_seconds);
    metrics_family(out, METRICS_COUNTER, "pgsluice_pg_errors_total",
                   "Errors returned by PostgreSQL, by SQLSTATE class (two characters; none when "
                   "the connection failed).");
    put_tally(out, "sqlstate_class", &counters->sqlstate_classes);
}

/* A connection is what writes; while it does, the thread that it costs is the server's. */
static void put_workers(struct metrics *out, const struct monitor *monitor)
{
    const struct counters *counters = &monitor->dispatcher->counters;

    metrics_family(out, METRICS_GAUGE, "pgsluice_workers", "Worker threads, by stage.");
    metrics_integer(out, LABELS({"stage", "decode"}), monitor->workers);
    metrics_integer(out, LABELS({"stage", "write"}), monitor->config->pool_max);
    metrics_family(out, METRICS_COUNTER, "pgsluice_worker_busy_seconds_total",
                   "Time worker threads spent working, by stage.");
    metrics_real(out, LABELS({"stage", "decode"}), (double)counters->encode_us / 1e6);
    metrics_real(out, LABELS({"stage", "write"}), counters->flush_seconds.sum);
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

static void put_process(struct metrics *out)
{
    struct process_figures figures = process_figures_read();

    metrics_gauge(out, "process_start_time_seconds",
                  "Start time of the process since unix epoch in seconds.", figures.started_s);
    metrics_family(out, METRICS_COUNTER, "process_cpu_seconds_total",
                   "Total user and system CPU time spent in seconds.");
    metrics_real(out, METRICS_NO_LABELS, figures.cpu_s);
    metrics_gauge(out, "process_resident_memory_bytes", "Resident memory size in bytes.",
                  (double)figures.resident_bytes);
    metrics_gauge(out, "process_open_fds", "Number of open file descriptors.",
                  (double)figures.open_files);
    metrics_gauge(out, "process_max_fds", "Maximum number of open file descriptors.",
                  (double)figures.open_files_limit);
}

static void put_group(struct metrics *out, const struct monitor *monitor)
{
    put_rebalances(out, &monitor->consumer->counts);
    put_session(out, monitor->consumer);
    put_fetched_ahead(out, monitor);
}

void monitor_fill_metrics(void *opaque, bool verbose, struct http_answer *answer)
{
    const struct monitor *monitor = opaque;
    const struct counters *counters = &monitor->dispatcher->counters;
    struct metrics out = {.out = &answer->body};

    (void)verbose;
    answer->content_type = METRICS_CONTENT_TYPE;
    put_build(&out);
    put_instance(&out, monitor);
    put_health(&out, monitor);
    monitor_put_topics(&out, monitor);
    if (monitor->look)
        monitor_put_backfill(&out, monitor->look(monitor->opaque));
    if (monitor->consumer)
        put_group(&out, monitor);
    put_paused(&out, monitor->dispatcher);
    put_offset_commits(&out, monitor);
    put_batches(&out, counters);
    put_flushes(&out, counters);
    put_retries(&out, counters);
    put_memory(&out, monitor->dispatcher);
    put_pool(&out, &monitor->dispatcher->pool);
    put_errors(&out, counters);
    put_workers(&out, monitor);
    put_logs(&out);
    put_process(&out);
}
