/* Speed and estimate over the window. */
#include "ops/progress_rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct progress_rate rate;

static int begin(void **state)
{
    (void)state;
    rate = (struct progress_rate){0};
    return 0;
}

static void note(int64_t at_ms, int64_t done)
{
    struct progress_sum sum = {.done_count = done, .rows_count = done * 2, .bytes = done * 100};

    progress_rate_note(&rate, &sum, at_ms);
}

static void steadily(int64_t from_ms, int64_t to_ms, int64_t per_s)
{
    for (int64_t at_ms = from_ms; at_ms <= to_ms; at_ms += 500)
        note(at_ms, at_ms * per_s / 1000);
}

static void nothing_is_said_before_anything_is_known(void **state)
{
    (void)state;
    assert_int_equal(progress_rate_rows_per_s(&rate), 0);
    assert_int_equal(progress_rate_left_ms(&rate, 10), -1);
    note(0, 100);
    assert_int_equal(progress_rate_bytes_per_s(&rate), 0);
    assert_int_equal(progress_rate_left_ms(&rate, 10), -1);
    assert_int_equal(progress_rate_left_ms(&rate, 0), 0);
}

static void rows_and_bytes_have_a_rate(void **state)
{
    (void)state;
    steadily(0, 5000, 1000);
    assert_int_equal(progress_rate_rows_per_s(&rate), 2000);
    assert_int_equal(progress_rate_bytes_per_s(&rate), 100000);
    assert_int_equal(progress_rate_left_ms(&rate, 7000), 7000);
}

static void an_estimate_takes_three_seconds(void **state)
{
    (void)state;
    steadily(0, 2500, 1000);
    assert_int_equal(progress_rate_left_ms(&rate, 1000), -1);
    note(3000, 3000);
    assert_int_equal(progress_rate_left_ms(&rate, 1000), 1000);
}

static void waiting_for_the_first_record_is_not_slowness(void **state)
{
    (void)state;
    for (int64_t at_ms = 0; at_ms <= 60000; at_ms += 500)
        note(at_ms, 0);
    for (int64_t i = 1; i <= 6; i++)
        note(60000 + i * 500, i * 500);
    assert_int_equal(progress_rate_rows_per_s(&rate), 2000);
    assert_int_equal(progress_rate_left_ms(&rate, 5000), 5000);
}

static void what_was_done_before_is_not_speed(void **state)
{
    (void)state;
    for (int64_t i = 0; i <= 8; i++)
        note(i * 500, 1000000 + i * 50);
    assert_int_equal(progress_rate_rows_per_s(&rate), 200);
}

static void the_window_slides(void **state)
{
    (void)state;
    steadily(0, 30000, 1000);
    for (int64_t i = 1; i <= PROGRESS_RATE_SAMPLES; i++)
        note(30000 + i * 500, 30000 + i * 5);
    assert_int_equal(progress_rate_rows_per_s(&rate), 20);
}

static void a_run_that_stands_still_has_no_end(void **state)
{
    (void)state;
    steadily(0, 5000, 1000);
    for (int64_t i = 1; i <= PROGRESS_RATE_SAMPLES; i++)
        note(5000 + i * 500, 5000);
    assert_int_equal(progress_rate_rows_per_s(&rate), 0);
    assert_int_equal(progress_rate_left_ms(&rate, 1000), -1);
}

static void samples_that_come_too_soon_are_left_out(void **state)
{
    (void)state;
    for (int64_t at_ms = 0; at_ms <= 4000; at_ms += 10)
        note(at_ms, at_ms);
    assert_int_equal(rate.count, 9);
    assert_int_equal(progress_rate_rows_per_s(&rate), 2000);
}

#define RATE_TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RATE_TEST(nothing_is_said_before_anything_is_known),
        RATE_TEST(rows_and_bytes_have_a_rate),
        RATE_TEST(an_estimate_takes_three_seconds),
        RATE_TEST(waiting_for_the_first_record_is_not_slowness),
        RATE_TEST(what_was_done_before_is_not_speed),
        RATE_TEST(the_window_slides),
        RATE_TEST(a_run_that_stands_still_has_no_end),
        RATE_TEST(samples_that_come_too_soon_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
