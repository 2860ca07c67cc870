/* Sums over ranges. Partitions are found by walking: ranges are in order, and pictures are small.
 */
#include "ops/progress.h"

#include <string.h>

static void add(struct progress_sum *sum, const struct progress_range *range)
{
    int64_t done = range->next_offset - range->start_offset;

    sum->offsets_count += range->end_offset - range->start_offset;
    sum->done_count += done;
    sum->records_count += range->records_count;
    sum->rows_count += range->rows_count;
    sum->skipped_count += range->skipped_count;
    sum->dead_letters_count += range->dead_letters_count;
    sum->lost_count += range->lost_count;
    sum->empty_count += done - range->records_count - range->lost_count;
    sum->left_count += range->end_offset - range->next_offset;
    sum->bytes += range->bytes;
}

struct progress_sum progress_sum(const struct progress *progress)
{
    struct progress_sum sum = {0};

    for (size_t i = 0; i < progress->ranges_count; i++)
        add(&sum, &progress->ranges[i]);
    return sum;
}

/* The first sum comes out by itself, unless more was read than there was. */
static bool adds_up(const struct progress_range *range)
{
    struct progress_sum sum = {0};

    add(&sum, range);
    if (sum.records_count != sum.rows_count + sum.skipped_count + sum.dead_letters_count)
        return false;
    return sum.done_count >= 0 && sum.left_count >= 0 && sum.empty_count >= 0 &&
           sum.rows_count >= 0 && sum.skipped_count >= 0 && sum.dead_letters_count >= 0 &&
           sum.lost_count >= 0;
}

bool progress_adds_up(const struct progress *progress)
{
    for (size_t i = 0; i < progress->ranges_count; i++)
        if (!adds_up(&progress->ranges[i]))
            return false;
    return true;
}

static bool is_same_partition(const struct progress_range *a, const struct progress_range *b)
{
    return a->partition == b->partition && strcmp(a->topic, b->topic) == 0;
}

/* The first and the last record: a range without one has nothing to say about either. */
static void merge_ends(struct progress_range *merged, const struct progress_range *range)
{
    if (merged->first_offset < 0) {
        merged->first_offset = range->first_offset;
        merged->first_timestamp_ms = range->first_timestamp_ms;
    }
    if (range->last_offset >= 0) {
        merged->last_offset = range->last_offset;
        merged->last_timestamp_ms = range->last_timestamp_ms;
    }
}

static void merge(struct progress_range *merged, const struct progress_range *range)
{
    if (range->state < merged->state)
        merged->state = range->state;
    if (!merged->reason)
        merged->reason = range->reason;
    merged->next_offset += range->next_offset - range->start_offset;
    merged->end_offset = range->end_offset;
    merged->records_count += range->records_count;
    merged->rows_count += range->rows_count;
    merged->skipped_count += range->skipped_count;
    merged->dead_letters_count += range->dead_letters_count;
    merged->lost_count += range->lost_count;
    merged->bytes += range->bytes;
    merge_ends(merged, range);
}

size_t progress_partition(const struct progress *progress, size_t at, struct progress_range *merged)
{
    if (at >= progress->ranges_count)
        return 0;
    size_t count = 1;
    *merged = progress->ranges[at];
    for (; at + count < progress->ranges_count; count++) {
        if (!is_same_partition(merged, &progress->ranges[at + count]))
            break;
        merge(merged, &progress->ranges[at + count]);
    }
    return count;
}

size_t progress_partitions_count(const struct progress *progress)
{
    struct progress_range merged;
    size_t count = 0;
    size_t ranges;

    for (size_t at = 0; (ranges = progress_partition(progress, at, &merged)) > 0; at += ranges)
        count++;
    return count;
}

int progress_permille(int64_t done, int64_t total)
{
    if (done >= total)
        return 1000;
    if (done <= 0)
        return 0;
    return (int)((double)done / (double)total * 1000);
}

int64_t progress_took_ms(const struct progress *progress)
{
    int64_t end_ms = progress->ended_ms ? progress->ended_ms : progress->now_ms;

    return progress->started_ms && end_ms > progress->started_ms ? end_ms - progress->started_ms
                                                                 : 0;
}

int64_t progress_rows_per_s(const struct progress *progress)
{
    int64_t took_ms = progress_took_ms(progress);
    int64_t rows_count = progress_sum(progress).rows_count;

    return took_ms > 0 ? (int64_t)((double)rows_count * 1000 / (double)took_ms) : 0;
}

const char *progress_state_name(enum progress_state state)
{
    switch (state) {
    case PROGRESS_PLANNED:
        return "planned";
    case PROGRESS_RUNNING:
        return "running";
    case PROGRESS_INTERRUPTED:
        return "interrupted";
    case PROGRESS_INCOMPLETE:
        return "incomplete";
    case PROGRESS_COMPLETE:
        return "complete";
    }
    return "";
}

const char *progress_range_state_name(enum progress_range_state state)
{
    switch (state) {
    case PROGRESS_RANGE_HALTED:
        return "halted";
    case PROGRESS_RANGE_LOADING:
        return "loading";
    case PROGRESS_RANGE_WAITING:
        return "waiting";
    case PROGRESS_RANGE_COMPLETE:
        return "complete";
    }
    return "";
}
