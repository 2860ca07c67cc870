/* What follows from a picture of a run. */
#include "ops/progress.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct progress_range ranges[] = {
    {.topic = "orders",
     .state = PROGRESS_RANGE_COMPLETE,
     .start_offset = 100,
     .next_offset = 200,
     .end_offset = 200,
     .records_count = 90,
     .rows_count = 80,
     .skipped_count = 7,
     .dead_letters_count = 3,
     .lost_count = 4,
     .bytes = 900,
     .first_offset = 104,
     .last_offset = 198,
     .first_timestamp_ms = 1000,
     .last_timestamp_ms = 2000},
    {.topic = "orders",
     .range = 1,
     .state = PROGRESS_RANGE_LOADING,
     .start_offset = 200,
     .next_offset = 230,
     .end_offset = 300,
     .records_count = 30,
     .rows_count = 30,
     .bytes = 300,
     .first_offset = 200,
     .last_offset = 229,
     .first_timestamp_ms = 3000,
     .last_timestamp_ms = 4000},
    {.topic = "orders",
     .range = 2,
     .state = PROGRESS_RANGE_WAITING,
     .start_offset = 300,
     .next_offset = 300,
     .end_offset = 400,
     .first_offset = -1,
     .last_offset = -1,
     .first_timestamp_ms = -1,
     .last_timestamp_ms = -1},
    {.topic = "orders",
     .partition = 1,
     .state = PROGRESS_RANGE_HALTED,
     .reason = "it is",
     .first_offset = -1,
     .last_offset = -1},
    {.topic = "refunds", .partition = 1, .state = PROGRESS_RANGE_COMPLETE},
};

static const struct progress run = {.ranges = ranges, .ranges_count = COUNT_OF(ranges)};

static void ranges_are_summed(void **state)
{
    struct progress_sum sum = progress_sum(&run);

    (void)state;
    assert_int_equal(sum.offsets_count, 300);
    assert_int_equal(sum.done_count, 130);
    assert_int_equal(sum.left_count, 170);
    assert_int_equal(sum.records_count, 120);
    assert_int_equal(sum.rows_count, 110);
    assert_int_equal(sum.skipped_count, 7);
    assert_int_equal(sum.dead_letters_count, 3);
    assert_int_equal(sum.lost_count, 4);
    assert_int_equal(sum.empty_count, 6);
    assert_int_equal(sum.bytes, 1200);
}

static bool adds_up(struct progress_range range)
{
    struct progress alone = {.ranges = &range, .ranges_count = 1};

    return progress_adds_up(&alone);
}

static void a_sum_that_does_not_come_out_is_seen(void **state)
{
    struct progress_range range = ranges[0];

    (void)state;
    assert_true(progress_adds_up(&run));
    range.rows_count--;
    assert_false(adds_up(range));
    range.records_count = 97; /* and 4 lost, of 100 offsets */
    range.rows_count = 87;
    assert_false(adds_up(range));
    range = ranges[1];
    range.next_offset = 301;
    assert_false(adds_up(range));
}

static void faults_that_cancel_each_other_are_seen(void **state)
{
    struct progress_range two[] = {ranges[0], ranges[0]};
    struct progress progress = {.ranges = two, .ranges_count = 2};

    (void)state;
    two[0].rows_count++;
    two[1].rows_count--;
    assert_false(progress_adds_up(&progress));
}

static void the_ranges_of_a_partition_are_one(void **state)
{
    struct progress_range merged;

    (void)state;
    assert_int_equal(progress_partitions_count(&run), 3);
    assert_int_equal(progress_partition(&run, 0, &merged), 3);
    assert_int_equal(merged.state, PROGRESS_RANGE_LOADING);
    assert_int_equal(merged.start_offset, 100);
    assert_int_equal(merged.next_offset, 230);
    assert_int_equal(merged.end_offset, 400);
    assert_int_equal(merged.records_count, 120);
    assert_int_equal(merged.first_offset, 104);
    assert_int_equal(merged.last_offset, 229);
    assert_int_equal(merged.first_timestamp_ms, 1000);
    assert_int_equal(merged.last_timestamp_ms, 4000);
}

static void a_partition_has_its_topic_and_number(void **state)
{
    struct progress_range merged;

    (void)state;
    assert_int_equal(progress_partition(&run, 3, &merged), 1);
    assert_string_equal(merged.topic, "orders");
    assert_string_equal(merged.reason, "it is");
    assert_int_equal(progress_partition(&run, 4, &merged), 1);
    assert_string_equal(merged.topic, "refunds");
    assert_int_equal(progress_partition(&run, 5, &merged), 0);
}

static void only_all_is_all(void **state)
{
    (void)state;
    assert_int_equal(progress_permille(0, 10), 0);
    assert_int_equal(progress_permille(1, 3), 333);
    assert_int_equal(progress_permille(9999999, 10000000), 999);
    assert_int_equal(progress_permille(10, 10), 1000);
    assert_int_equal(progress_permille(0, 0), 1000);
    assert_int_equal(progress_permille(-5, 10), 0);
}

static void time_is_counted_to_the_end_or_to_now(void **state)
{
    struct progress progress = run;

    (void)state;
    assert_int_equal(progress_took_ms(&progress), 0);
    assert_int_equal(progress_rows_per_s(&progress), 0);
    progress.started_ms = 1000;
    progress.now_ms = 12000;
    assert_int_equal(progress_took_ms(&progress), 11000);
    assert_int_equal(progress_rows_per_s(&progress), 10);
    progress.ended_ms = 2000;
    assert_int_equal(progress_took_ms(&progress), 1000);
    assert_int_equal(progress_rows_per_s(&progress), 110);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_summed),
        cmocka_unit_test(a_sum_that_does_not_come_out_is_seen),
        cmocka_unit_test(faults_that_cancel_each_other_are_seen),
        cmocka_unit_test(the_ranges_of_a_partition_are_one),
        cmocka_unit_test(a_partition_has_its_topic_and_number),
        cmocka_unit_test(only_all_is_all),
        cmocka_unit_test(time_is_counted_to_the_end_or_to_now),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
