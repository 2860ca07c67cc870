/*
 * The families of /metrics that only a backfill has: how far the share of this process is. Summed
 * over the processes they are the whole.
 */
#include "command/monitor_fill.h"

static void put_partitions(struct metrics *out, const struct progress *progress)
{
    int64_t counts[PROGRESS_RANGE_STATES] = {0};
    struct progress_range partition;
    size_t ranges;

    for (size_t at = 0; (ranges = progress_partition(progress, at, &partition)) > 0; at += ranges)
        counts[partition.state]++;
    metrics_family(out, METRICS_GAUGE, "pgsluice_backfill_partitions",
                   "Partitions of the backfill, by state.");
    for (int state = 0; state < PROGRESS_RANGE_STATES; state++)
        metrics_integer(
            out,
            METRICS_LABELS({"state", progress_range_state_name((enum progress_range_state)state)}),
            counts[state]);
}

/* Offsets, as nobody knows beforehand which have records: what is done reaches what was expected.
 */
void monitor_put_backfill(struct metrics *out, const struct progress *progress)
{
    struct progress_sum sum = progress_sum(progress);

    metrics_gauge(out, "pgsluice_backfill_records_expected",
                  "Offsets in the backfill's range, as they were fixed at its first start.",
                  (double)sum.offsets_count);
    metrics_counter(out, "pgsluice_backfill_records_total",
                    "Offsets of the backfill's range dealt with, resumed work included.",
                    (uint64_t)sum.done_count);
    put_partitions(out, progress);
    metrics_gauge(out, "pgsluice_backfill_start_timestamp_seconds",
                  "Unix time this backfill was first started.", (double)progress->started_ms / 1e3);
}
