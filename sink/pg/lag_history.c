/*
 * A sample is two calls in one transaction. Partitions travel as one array for each of what is told
 * of them: a thousand are parsed in a moment.
 */
#include "pg/lag_history.h"

#include "pg/offsets.h"

#include <inttypes.h>

static const char settings_sql[] =
    "SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '2s';"
    " SET LOCAL statement_timeout = '10s'; ";

const char lag_history_prune_sql[] =
    "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '10s';"
    " SELECT pgsluice.prune_consumer_history()";

/* What both calls begin with. */
static void append_who(struct buffer *sql, const struct lag_history_instance *instance)
{
    offsets_literal(sql, instance->sink);
    buffer_append_text(sql, ", ");
    offsets_literal(sql, instance->instance);
    buffer_printf(sql, ", to_timestamp(%" PRId64 " / 1000.0)", instance->started_ms);
}

static void append_instance(struct buffer *sql, const struct lag_history_instance *instance)
{
    const char *const texts[] = {instance->group_id, instance->client_id, instance->version};
    const int64_t counts[] = {instance->rebalances_count,    instance->session_losses_count,
                              instance->commits_count,       instance->failed_commits_count,
                              instance->kafka_commits_count, instance->failed_kafka_commits_count,
                              instance->rows_count,          instance->dead_letters_count};

    buffer_append_text(sql, "SELECT pgsluice.sample_instance(");
    append_who(sql, instance);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        buffer_append_text(sql, ", ");
        offsets_literal(sql, texts[i]);
    }
    buffer_printf(sql, ", %" PRId64 " * interval '1 ms', %zu", instance->lifetime_ms,
                  instance->partitions_count);
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        buffer_printf(sql, ", %" PRId64, counts[i]);
    buffer_append_text(sql, "); ");
}

/* The partitions' arrays, each over a field. */

static const void *field_of(const struct lag_history_partition *partition, size_t offset)
{
    return (const char *)partition + offset;
}

/* Neither Kafka's names of topics nor our states need more than quotes. */
static void append_texts(struct buffer *sql, const struct lag_history_instance *instance,
                         size_t offset)
{
    for (size_t i = 0; i < instance->partitions_count; i++) {
        const char *const *text = field_of(&instance->partitions[i], offset);
        buffer_printf(sql, "%s\"%s\"", i ? "," : ", '{", *text);
    }
    buffer_append_text(sql, "}'");
}

static void append_numbers(struct buffer *sql, const struct lag_history_instance *instance,
                           size_t offset)
{
    for (size_t i = 0; i < instance->partitions_count; i++) {
        const int64_t *number = field_of(&instance->partitions[i], offset);
        buffer_append_text(sql, i ? "," : ", '{");
        if (*number < 0)
            buffer_append_text(sql, "NULL");
        else
            buffer_printf(sql, "%" PRId64, *number);
    }
    buffer_append_text(sql, "}'");
}

#define FIELD(name) offsetof(struct lag_history_partition, name)

/* As the function takes them. */
static const size_t texts[] = {FIELD(topic), FIELD(state)};
static const size_t numbers[] = {
    FIELD(partition),    FIELD(topic_partitions), FIELD(committed_offset), FIELD(end_offset),
    FIELD(lag),          FIELD(lag_ms),           FIELD(latency_ms),       FIELD(records_read),
    FIELD(rows_written), FIELD(dead_letters),     FIELD(assigned_ms),      FIELD(consumed_ms),
    FIELD(written_ms)};

static void append_partitions(struct buffer *sql, const struct lag_history_instance *instance)
{
    buffer_append_text(sql, "SELECT pgsluice.sample_partitions(");
    append_who(sql, instance);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        append_texts(sql, instance, texts[i]);
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        append_numbers(sql, instance, numbers[i]);
    buffer_append_text(sql, ");");
}

void lag_history_sample_sql(struct buffer *sql, const struct lag_history_instance *instance)
{
    buffer_append_text(sql, settings_sql);
    append_instance(sql, instance);
    if (instance->partitions_count > 0)
        append_partitions(sql, instance);
}
