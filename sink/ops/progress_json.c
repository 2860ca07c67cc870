/* progress_json of ops/progress_summary.h. Times are milliseconds since 1970, and null where not
 * known. */
#include "ops/progress_summary.h"

/* Names come from outside and need not be UTF-8; then jansson has no string for them. */
static json_t *string_of(const char *text)
{
    json_t *string = text ? json_string(text) : NULL;

    return string ? string : json_null();
}

static json_t *known(int64_t value, int64_t least)
{
    return value >= least ? json_integer(value) : json_null();
}

static void set(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

static void set_counts(json_t *object, const struct progress_sum *sum)
{
    set(object, "records", json_integer(sum->records_count));
    set(object, "rows", json_integer(sum->rows_count));
    set(object, "skipped", json_integer(sum->skipped_count));
    set(object, "dead_letters", json_integer(sum->dead_letters_count));
    set(object, "bytes", json_integer(sum->bytes));
    set(object, "offsets_in_range", json_integer(sum->offsets_count));
    set(object, "offsets_without_record", json_integer(sum->empty_count));
    set(object, "offsets_gone_to_retention", json_integer(sum->lost_count));
    set(object, "offsets_left", json_integer(sum->left_count));
}

static void set_ends(json_t *object, const struct progress_range *range)
{
    set(object, "start_offset", json_integer(range->start_offset));
    set(object, "end_offset", json_integer(range->end_offset));
    set(object, "first_offset", known(range->first_offset, 0));
    set(object, "last_offset", known(range->last_offset, 0));
    set(object, "first_timestamp_ms", known(range->first_timestamp_ms, 0));
    set(object, "last_timestamp_ms", known(range->last_timestamp_ms, 0));
}

static json_t *range_json(const struct progress *progress, size_t at)
{
    const struct progress_range *range = &progress->ranges[at];
    struct progress alone = {.ranges = range, .ranges_count = 1};
    struct progress_sum sum = progress_sum(&alone);
    json_t *object = json_object();

    set(object, "range", json_integer(range->range));
    set(object, "state", json_string(progress_range_state_name(range->state)));
    set(object, "reason", string_of(range->reason));
    set(object, "next_offset", json_integer(range->next_offset));
    set_ends(object, range);
    set_counts(object, &sum);
    return object;
}

static json_t *partition_json(const struct progress *progress, size_t at, size_t count,
                              const struct progress_range *merged)
{
    struct progress alone = {.ranges = &progress->ranges[at], .ranges_count = count};
    struct progress_sum sum = progress_sum(&alone);
    json_t *object = json_object();
    json_t *ranges = json_array();

    set(object, "topic", string_of(merged->topic));
    set(object, "partition", json_integer(merged->partition));
    set(object, "state", json_string(progress_range_state_name(merged->state)));
    set_ends(object, merged);
    set_counts(object, &sum);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(ranges, range_json(progress, at + i));
    set(object, "ranges", ranges);
    return object;
}

static json_t *partitions_json(const struct progress *progress)
{
    json_t *partitions = json_array();
    struct progress_range merged;
    size_t count;

    for (size_t at = 0; (count = progress_partition(progress, at, &merged)) > 0; at += count)
        json_array_append_new(partitions, partition_json(progress, at, count, &merged));
    return partitions;
}

json_t *progress_json(const struct progress *progress)
{
    struct progress_sum sum = progress_sum(progress);
    json_t *object = json_object();

    set(object, "name", string_of(progress->name));
    set(object, "state", json_string(progress_state_name(progress->state)));
    set(object, "started_ms", known(progress->started_ms, 1));
    set(object, "ended_ms", known(progress->ended_ms, 1));
    set(object, "took_ms", json_integer(progress_took_ms(progress)));
    set(object, "rows_per_s", json_integer(progress_rows_per_s(progress)));
    set_counts(object, &sum);
    set(object, "adds_up", json_boolean(progress_adds_up(progress)));
    set(object, "partitions", partitions_json(progress));
    return object;
}
