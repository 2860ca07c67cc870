/*
 * The SQL of samples: what an instance sees of itself and of its partitions goes to
 * pgsluice.consumer_lag_history and its neighbours, of which views are made
 * (migrations/0006_consumer_history.sql). Only text is made here. Thread: loop.
 */
#ifndef PG_LAG_HISTORY_H
#define PG_LAG_HISTORY_H

#include "base/buffer.h"

#include <stddef.h>
#include <stdint.h>

/* One partition, now. -1: not known, or never. */
struct lag_history_partition {
    const char *topic; /* borrowed */
    const char *state; /* static */
    int64_t partition;
    int64_t topic_partitions;
    int64_t committed_offset;
    int64_t end_offset;
    int64_t lag; /* records */
    int64_t lag_ms;
    int64_t latency_ms;
    int64_t records_read; /* since it was assigned, as are the next two */
    int64_t rows_written;
    int64_t dead_letters;
    int64_t assigned_ms; /* Unix time, as are the next two */
    int64_t consumed_ms;
    int64_t written_ms;
};

/* An instance, now. Counters are since its start. */
struct lag_history_instance {
    const char *sink; /* borrowed, as are the others */
    const char *instance;
    const char *group_id;
    const char *client_id;
    const char *version;
    int64_t started_ms;  /* Unix time */
    int64_t lifetime_ms; /* without another sample, it counts as gone then; 0: it ends */
    int64_t rebalances_count;
    int64_t session_losses_count;
    int64_t commits_count;
    int64_t failed_commits_count;
    int64_t kafka_commits_count;
    int64_t failed_kafka_commits_count;
    int64_t rows_count;
    int64_t dead_letters_count;
    const struct lag_history_partition *partitions;
    size_t partitions_count;
};

/* One transaction; it waits for no disk, and for locks at most 2 s. */
void lag_history_sample_sql(struct buffer *sql, const struct lag_history_instance *instance);

/* Deletes some of what is older than it shall become. */
extern const char lag_history_prune_sql[];

#endif
