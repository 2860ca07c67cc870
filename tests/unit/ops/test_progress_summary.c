/* What has come of a run, for people and as JSON. */
#include "ops/progress_summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buffer out;
static struct progress_range ranges[3];
static struct progress run;

static int begin(void **state)
{
    (void)state;
    ranges[0] = (struct progress_range){.topic = "orders",
                                        .state = PROGRESS_RANGE_COMPLETE,
                                        .start_offset = 1000,
                                        .next_offset = 3000,
                                        .end_offset = 3000,
                                        .records_count = 1990,
                                        .rows_count = 1980,
                                        .skipped_count = 4,
                                        .dead_letters_count = 6,
                                        .bytes = 99000,
                                        .first_offset = 1000,
                                        .last_offset = 2998,
                                        .first_timestamp_ms = INT64_C(1795150800000),
                                        .last_timestamp_ms = INT64_C(1795154400000)};
    ranges[1] = (struct progress_range){.topic = "orders",
                                        .range = 1,
                                        .state = PROGRESS_RANGE_COMPLETE,
                                        .start_offset = 3000,
                                        .next_offset = 4000,
                                        .end_offset = 4000,
                                        .records_count = 1000,
                                        .rows_count = 1000,
                                        .first_offset = 3000,
                                        .last_offset = 3999,
                                        .first_timestamp_ms = INT64_C(1795154400000),
                                        .last_timestamp_ms = INT64_C(1795158000000)};
    ranges[2] = (struct progress_range){.topic = "orders",
                                        .partition = 1,
                                        .state = PROGRESS_RANGE_COMPLETE,
                                        .start_offset = 7,
                                        .next_offset = 7,
                                        .end_offset = 7,
                                        .first_offset = -1,
                                        .last_offset = -1,
                                        .first_timestamp_ms = -1,
                                        .last_timestamp_ms = -1};
    run = (struct progress){.name = "orders-2026",
                            .state = PROGRESS_COMPLETE,
                            .started_ms = 1000,
                            .ended_ms = 11000,
                            .now_ms = 99000,
                            .ranges = ranges,
                            .ranges_count = 3};
    return 0;
}

static int end(void **state)
{
    (void)state;
    buffer_finish(&out);
    return 0;
}

static const char *summary(void)
{
    buffer_reset(&out);
    progress_summary_append(&out, &run);
    return buffer_text(&out);
}

static void assert_says(const char *text)
{
    if (!strstr(summary(), text))
        fail_msg("\"%s\" is not in:\n%s", text, out.data);
}

static void it_reads_like_this(void **state)
{
    (void)state;
    assert_string_equal(
        summary(),
        "Backfill orders-2026 is complete: 2,980 rows in 10 s, 298 a second\n"
        "\n"
        "  rows written                        2,980\n"
        "  skipped                                 4\n"
        "  dead letters                            6\n"
        "  = records read                      2,990\n"
        "  offsets without a record               10  (markers, aborted or compacted records)\n"
        "  gone to retention unread                0\n"
        "  = offsets in range                  3,000\n"
        "\n"
        "PARTITION  RECORDS  FIRST  LAST  FIRST TIME (UTC)     LAST TIME (UTC)\n"
        "orders[0]    2,990   1000  3999  2026-11-20 05:00:00  2026-11-20 07:00:00\n"
        "orders[1]        0      -     -  -                    -\n");
}

static void what_is_left_is_part_of_the_sum(void **state)
{
    (void)state;
    run.state = PROGRESS_INTERRUPTED;
    ranges[1].state = PROGRESS_RANGE_HALTED;
    ranges[1].reason = "table \"orders\" does not exist\n";
    ranges[1].next_offset = 3600;
    ranges[1].records_count = ranges[1].rows_count = 600;
    assert_says("Backfill orders-2026 is interrupted: 2,580 rows");
    assert_says("  offsets left                          400\n");
    assert_says("LAST TIME (UTC)      STATE\n");
    assert_says("86.6 % halted\n");
    assert_says("-                    complete\n");
    assert_says("\norders[0] is halted at offset 3600: table \"orders\" does not exist?\n");
}

static void a_share_may_be_complete_before_the_others(void **state)
{
    (void)state;
    run.state = PROGRESS_INCOMPLETE;
    run.note = "The share of this process is complete";
    assert_says(" is incomplete: 2,980 rows");
    assert_says("\nThe share of this process is complete\n\n");
}

static void what_is_missing_is_not_to_be_overlooked(void **state)
{
    (void)state;
    ranges[0].lost_count = 10;
    assert_says("  gone to retention unread               10  THESE RECORDS ARE MISSING\n");
    assert_says("  offsets without a record                0\n");
}

static void a_sum_that_does_not_come_out_is_no_secret(void **state)
{
    (void)state;
    ranges[0].rows_count--;
    assert_says("DOES NOT ADD UP");
}

static int64_t integer(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void json_has_the_same_figures(void **state)
{
    json_t *object = progress_json(&run);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(object, "state")), "complete");
    assert_int_equal(integer(object, "rows"), 2980);
    assert_int_equal(integer(object, "skipped"), 4);
    assert_int_equal(integer(object, "dead_letters"), 6);
    assert_int_equal(integer(object, "records"), 2990);
    assert_int_equal(integer(object, "offsets_without_record"), 10);
    assert_int_equal(integer(object, "offsets_in_range"), 3000);
    assert_int_equal(integer(object, "offsets_left"), 0);
    assert_int_equal(integer(object, "took_ms"), 10000);
    assert_int_equal(integer(object, "rows_per_s"), 298);
    assert_true(json_is_true(json_object_get(object, "adds_up")));
    json_decref(object);
}

static void json_has_partitions_and_their_ranges(void **state)
{
    json_t *object = progress_json(&run);
    json_t *partitions = json_object_get(object, "partitions");
    json_t *first = json_array_get(partitions, 0);
    json_t *second = json_array_get(partitions, 1);

    (void)state;
    assert_int_equal(json_array_size(partitions), 2);
    assert_int_equal(json_array_size(json_object_get(first, "ranges")), 2);
    assert_int_equal(integer(first, "first_timestamp_ms"), INT64_C(1795150800000));
    assert_int_equal(integer(first, "last_offset"), 3999);
    assert_int_equal(integer(json_array_get(json_object_get(first, "ranges"), 0), "bytes"), 99000);
    assert_int_equal(integer(second, "partition"), 1);
    assert_true(json_is_null(json_object_get(second, "first_offset")));
    json_decref(object);
}

static void names_that_are_not_utf8_are_no_end(void **state)
{
    (void)state;
    run.name = "caf\xe9";
    assert_says("Backfill caf? is complete");
    json_t *object = progress_json(&run);
    assert_true(json_is_null(json_object_get(object, "name")));
    json_decref(object);
}

#define SUMMARY_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SUMMARY_TEST(it_reads_like_this),
        SUMMARY_TEST(what_is_left_is_part_of_the_sum),
        SUMMARY_TEST(a_share_may_be_complete_before_the_others),
        SUMMARY_TEST(what_is_missing_is_not_to_be_overlooked),
        SUMMARY_TEST(a_sum_that_does_not_come_out_is_no_secret),
        SUMMARY_TEST(json_has_the_same_figures),
        SUMMARY_TEST(json_has_partitions_and_their_ranges),
        SUMMARY_TEST(names_that_are_not_utf8_are_no_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
