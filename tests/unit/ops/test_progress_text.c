/* Numbers as people read them. */
#include "ops/progress_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct buffer text;

static int end(void **state)
{
    (void)state;
    buffer_finish(&text);
    return 0;
}

static void assert_text(void (*append)(struct buffer *out, int64_t value), int64_t value,
                        const char *expected)
{
    buffer_reset(&text);
    append(&text, value);
    assert_string_equal(buffer_text(&text), expected);
}

static void counts_are_in_thousands(void **state)
{
    (void)state;
    assert_text(progress_text_count, 0, "0");
    assert_text(progress_text_count, 999, "999");
    assert_text(progress_text_count, 1000, "1,000");
    assert_text(progress_text_count, 4213000, "4,213,000");
    assert_text(progress_text_count, -123456, "-123,456");
    assert_text(progress_text_count, INT64_MIN, "-9,223,372,036,854,775,808");
}

static void short_ones_have_three_digits(void **state)
{
    (void)state;
    assert_text(progress_text_short, 0, "0");
    assert_text(progress_text_short, 999, "999");
    assert_text(progress_text_short, 1000, "1.00 k");
    assert_text(progress_text_short, 12345, "12.3 k");
    assert_text(progress_text_short, 240000, "240 k");
    assert_text(progress_text_short, 999600, "1.00 M");
    assert_text(progress_text_short, 1213000, "1.21 M");
    assert_text(progress_text_short, INT64_MAX, "9223372 T");
}

static void bytes_have_units(void **state)
{
    (void)state;
    assert_text(progress_text_bytes, 12, "12 B");
    assert_text(progress_text_bytes, 31000000, "31.0 MB");
    assert_text(progress_text_bytes, 207400000, "207 MB");
    assert_text(progress_text_bytes, INT64_C(1230000000000), "1.23 TB");
}

static void durations_have_two_units(void **state)
{
    (void)state;
    assert_text(progress_text_duration, 240, "240 ms");
    assert_text(progress_text_duration, 4260, "4.2 s");
    assert_text(progress_text_duration, 38999, "38 s");
    assert_text(progress_text_duration, 98000, "1 min 38 s");
    assert_text(progress_text_duration, 120000, "2 min");
    assert_text(progress_text_duration, 3 * 3600000 + 5 * 60000, "3 h 5 min");
    assert_text(progress_text_duration, INT64_C(52) * 3600000, "2 d 4 h");
}

static void estimates_say_no_more_than_they_know(void **state)
{
    (void)state;
    assert_text(progress_text_estimate, 1, "1 s");
    assert_text(progress_text_estimate, 4001, "5 s");
    assert_text(progress_text_estimate, 37000, "40 s");
    assert_text(progress_text_estimate, 58000, "1 min");
    assert_text(progress_text_estimate, 98000, "1 min 40 s");
    assert_text(progress_text_estimate, 17 * 60000 - 1, "17 min");
    assert_text(progress_text_estimate, 59 * 60000 + 1, "1 h");
    assert_text(progress_text_estimate, 3 * 3600000 + 1, "3 h 10 min");
    assert_text(progress_text_estimate, INT64_C(51) * 3600000 + 1, "2 d 4 h");
    assert_text(progress_text_estimate, INT64_MAX, "years");
}

static void shares_have_a_tenth(void **state)
{
    (void)state;
    progress_text_percent(&text, 7);
    buffer_append_text(&text, " ");
    progress_text_percent(&text, 421);
    buffer_append_text(&text, " ");
    progress_text_percent(&text, 1000);
    assert_string_equal(buffer_text(&text), "0.7 % 42.1 % 100.0 %");
}

static void times_are_utc(void **state)
{
    (void)state;
    assert_text(progress_text_time, 0, "1970-01-01 00:00:00");
    assert_text(progress_text_time, INT64_C(1795150800999), "2026-11-20 05:00:00");
    assert_text(progress_text_time, -1, "-");
    assert_text(progress_text_time, INT64_MAX, "-");
}

#define TEXT_TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEXT_TEST(counts_are_in_thousands),
        TEXT_TEST(short_ones_have_three_digits),
        TEXT_TEST(bytes_have_units),
        TEXT_TEST(durations_have_two_units),
        TEXT_TEST(estimates_say_no_more_than_they_know),
        TEXT_TEST(shares_have_a_tenth),
        TEXT_TEST(times_are_utc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
