/*
 * The families of /metrics that have a sample for each partition, topic or table.
 *
 * Bounded, whatever comes: PARTITIONS_MAX of the partitions that are assigned to this instance,
 * TOPICS_MAX topics, so tables, too; how many series were left out is a metric of its own. No label
 * comes from a record.
 */
#include "command/monitor_fill.h"

#include "base/clock.h"
#include "dispatch/lag.h"

#include <stdio.h>
#include <string.h>

enum { PARTITIONS_MAX = 1000, TOPICS_MAX = 200 };

#define LABELS(...) METRICS_LABELS(__VA_ARGS__)

/* Partitions: a family after the other, each of the same partitions. */

struct partition_family {
    const char *name;
    const char *help;
    bool (*value)(const struct queue *queue, int64_t now_ms, double *value); /* false: none yet */
};

static bool value_position(const struct queue *queue, int64_t now_ms, double *value)
{
    (void)now_ms;
    *value = (double)queue->position;
    return queue->position >= 0;
}

static bool value_end(const struct queue *queue, int64_t now_ms, double *value)
{
    (void)now_ms;
    *value = (double)lag_end(queue);
    return lag_end(queue) >= 0;
}

static bool value_lag(const struct queue *queue, int64_t now_ms, double *value)
{
    (void)now_ms;
    *value = (double)lag_records(queue);
    return lag_records(queue) >= 0;
}

static bool value_lag_seconds(const struct queue *queue, int64_t now_ms, double *value)
{
    *value = (double)lag_ms(queue, now_ms) / 1e3;
    return lag_records(queue) >= 0;
}

static const struct partition_family partition_families[] = {
    {"pgsluice_consumer_committed_offset", "Next offset to be written, as committed in PostgreSQL.",
     value_position},
    {"pgsluice_consumer_end_offset",
     "End of the partition (last stable offset under read_committed).", value_end},
    {"pgsluice_consumer_lag_records",
     "Records between the offset committed in PostgreSQL and the end of the partition (last stable "
     "offset), refreshed every SINK_LAG_INTERVAL_MS, also while reading waits.",
     value_lag},
    {"pgsluice_consumer_lag_seconds",
     "Age of the oldest record not yet committed in PostgreSQL, 0 when the partition is caught up.",
     value_lag_seconds},
};

/* What dashboards made for kafka_exporter look for. */
static const struct partition_family kafka_exporter_lag = {
    "kafka_consumergroup_lag", "As pgsluice_consumer_lag_records, by kafka_exporter's name.",
    value_lag};

/* group: a label more; NULL: none. Returns how many were left out. */
static size_t put_partition_family(struct metrics *out, const struct dispatcher *dispatcher,
                                   const struct partition_family *family, const char *group)
{
    int64_t now_ms = clock_wall_ms();
    const struct queue *queue;
    char partition[12];
    size_t count = 0;
    double value;

    metrics_family(out, METRICS_GAUGE, family->name, family->help);
    DISPATCHER_EACH_ASSIGNED (queue, dispatcher) {
        if (!family->value(queue, now_ms, &value) || count++ >= PARTITIONS_MAX)
            continue;
        snprintf(partition, sizeof(partition), "%d", queue->partition);
        metrics_real(out,
                     LABELS({"topic", queue->route->topic}, {"partition", partition},
                            {group ? "consumergroup" : NULL, group}),
                     value);
    }
    return count > PARTITIONS_MAX ? count - PARTITIONS_MAX : 0;
}

static size_t put_partitions(struct metrics *out, const struct dispatcher *dispatcher,
                             const struct config *config)
{
    size_t dropped = 0;

    for (size_t i = 0; i < COUNT_OF(partition_families); i++)
        dropped += put_partition_family(out, dispatcher, &partition_families[i], NULL);
    if (config->kafka_exporter_names)
        dropped += put_partition_family(out, dispatcher, &kafka_exporter_lag, config->group_id);
    return dropped;
}

/* Topics. */

typedef void (*put_topic_cb)(struct metrics *out, const struct dispatcher *dispatcher,
                             const struct route *route);

static void put_records(struct metrics *out, const struct dispatcher *dispatcher,
                        const struct route *route)
{
    (void)dispatcher;
    metrics_integer(out, LABELS({"topic", route->topic}), (int64_t)route->counters.records);
}

static void put_bytes(struct metrics *out, const struct dispatcher *dispatcher,
                      const struct route *route)
{
    (void)dispatcher;
    metrics_integer(out, LABELS({"topic", route->topic}), (int64_t)route->counters.bytes);
}

static void put_skipped(struct metrics *out, const struct dispatcher *dispatcher,
                        const struct route *route)
{
    (void)dispatcher;
    metrics_integer(out, LABELS({"topic", route->topic}, {"reason", "retention"}),
                    (int64_t)route->counters.lost);
}

static void put_failed(struct metrics *out, const struct dispatcher *dispatcher,
                       const struct route *route)
{
    (void)dispatcher;
    metrics_integer(out, LABELS({"topic", route->topic}, {"stage", "decode"}),
                    (int64_t)route->counters.undecoded);
    metrics_integer(out, LABELS({"topic", route->topic}, {"stage", "write"}),
                    (int64_t)route->counters.refused);
}

static void put_dead_letters(struct metrics *out, const struct dispatcher *dispatcher,
                             const struct route *route)
{
    (void)dispatcher;
    metrics_integer(out, LABELS({"topic", route->topic}), (int64_t)route->counters.dead_letters);
}

static void put_latency(struct metrics *out, const struct dispatcher *dispatcher,
                        const struct route *route)
{
    (void)dispatcher;
    metrics_histogram(out, LABELS({"topic", route->topic}), &route->counters.latency_seconds,
                      &histogram_latency_seconds);
}

static void put_partitions_count(struct metrics *out, const struct dispatcher *dispatcher,
                                 const struct route *route)
{
    (void)dispatcher;
    if (route->partitions_count > 0)
        metrics_integer(out, LABELS({"topic", route->topic}), route->partitions_count);
}

static void put_assigned(struct metrics *out, const struct dispatcher *dispatcher,
                         const struct route *route)
{
    const struct queue *queue;
    int64_t count = 0;

    DISPATCHER_EACH_ASSIGNED (queue, dispatcher)
        count += queue->route == route;
    metrics_integer(out, LABELS({"topic", route->topic}), count);
}

static const struct topic_family {
    enum metrics_type type;
    const char *name;
    const char *help;
    put_topic_cb put;
} topic_families[] = {
    {METRICS_COUNTER, "pgsluice_consumer_records_total", "Records received from Kafka.",
     put_records},
    {METRICS_COUNTER, "pgsluice_consumer_received_bytes_total",
     "Bytes of record keys and values received from Kafka.", put_bytes},
    {METRICS_COUNTER, "pgsluice_records_skipped_total", "Records passed over, by reason.",
     put_skipped},
    {METRICS_COUNTER, "pgsluice_records_failed_total",
     "Records that could not be written, by stage.", put_failed},
    {METRICS_COUNTER, "pgsluice_dead_letters_total",
     "Records put into the dead-letter store and acknowledged there.", put_dead_letters},
    {METRICS_HISTOGRAM, "pgsluice_record_latency_seconds",
     "Time from the record timestamp to the commit in PostgreSQL.", put_latency},
    {METRICS_GAUGE, "pgsluice_topic_partitions",
     "Partitions of each subscribed topic, from metadata.", put_partitions_count},
    {METRICS_GAUGE, "pgsluice_consumer_assigned_partitions",
     "Partitions assigned to this instance.", put_assigned},
};

/* Returns how many topics were left out. */
static size_t put_topic_family(struct metrics *out, const struct dispatcher *dispatcher,
                               const struct topic_family *family)
{
    const struct route *route;
    size_t count = 0;

    metrics_family(out, family->type, family->name, family->help);
    TAILQ_FOREACH (route, &dispatcher->routes, entry)
        if (count++ < TOPICS_MAX)
            family->put(out, dispatcher, route);
    return count > TOPICS_MAX ? count - TOPICS_MAX : 0;
}

/* Tables: topics may share one. */

struct table_sum {
    const char *name;
    uint64_t rows;
    uint64_t found;
    uint64_t results[COUNTERS_RESULTS];
};

/* The sum that the route belongs to; NULL: there are too many tables. */
static struct table_sum *sum_of(struct table_sum *sums, size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(sums[i].name, name) == 0)
            return &sums[i];
    if (*count == TOPICS_MAX)
        return NULL;
    sums[*count].name = name;
    return &sums[(*count)++];
}

/* Returns how many topics are in none of them. */
static size_t sum_tables(const struct dispatcher *dispatcher, struct table_sum *sums, size_t *count)
{
    const struct route *route;
    size_t dropped = 0;

    TAILQ_FOREACH (route, &dispatcher->routes, entry) {
        /* cppcheck-suppress uninitvar ; TAILQ_FOREACH sets it */
        struct table_sum *sum = sum_of(sums, count, route->table_name);
        dropped += !sum;
        for (int i = 0; sum && i < COUNTERS_RESULTS; i++)
            sum->results[i] += route->counters.results[i];
        if (!sum)
            continue;
        sum->rows += route->counters.rows;
        sum->found += route->counters.found;
    }
    return dropped;
}

static size_t put_tables(struct metrics *out, const struct dispatcher *dispatcher)
{
    static const char *const results[] = {"committed", "retried", "split", "failed"};
    struct table_sum sums[TOPICS_MAX] = {0};
    size_t count = 0;
    size_t dropped = sum_tables(dispatcher, sums, &count);

    metrics_family(out, METRICS_COUNTER, "pgsluice_rows_written_total",
                   "Rows committed in PostgreSQL, by table and operation.");
    for (size_t i = 0; i < count; i++)
        metrics_integer(out, LABELS({"table", sums[i].name}, {"op", "insert"}),
                        (int64_t)sums[i].rows);
    metrics_family(
        out, METRICS_COUNTER, "pgsluice_rows_deduplicated_total",
        "Rows found already written, their commit's answer lost, and left as they were.");
    for (size_t i = 0; i < count; i++)
        metrics_integer(out, LABELS({"table", sums[i].name}), (int64_t)sums[i].found);
    metrics_family(out, METRICS_COUNTER, "pgsluice_batches_total",
                   "Batches sent to PostgreSQL, by table and result.");
    for (size_t i = 0; i < count; i++)
        for (int j = 0; j < COUNTERS_RESULTS; j++)
            metrics_integer(out, LABELS({"table", sums[i].name}, {"result", results[j]}),
                            (int64_t)sums[i].results[j]);
    return dropped;
}

/* A backfill has no lag, and may have several ranges of a partition. */
void monitor_put_topics(struct metrics *out, const struct monitor *monitor)
{
    const struct dispatcher *dispatcher = monitor->dispatcher;
    size_t dropped = put_tables(out, dispatcher);

    if (monitor->consumer)
        dropped += put_partitions(out, dispatcher, monitor->config);
    for (size_t i = 0; i < COUNT_OF(topic_families); i++)
        dropped += put_topic_family(out, dispatcher, &topic_families[i]);
    metrics_gauge(out, "pgsluice_metrics_series_dropped",
                  "Partitions, topics and tables left out of families of this exposition.",
                  (double)dropped);
}
