/* What --from and --to can be. */
#include "backfill/bound.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const int64_t NOW_MS = INT64_C(1795179600000); /* 2026-11-20T13:00:00Z */

static struct bound bound;
static struct err err;

static void assert_time(const char *text, int64_t time_ms)
{
    assert_true(bound_parse(&bound, text, NOW_MS, &err));
    assert_int_equal(bound.kind, BOUND_TIME);
    assert_int_equal(bound.time_ms, time_ms);
}

static void assert_refused(const char *text, const char *what)
{
    assert_false(bound_parse(&bound, text, NOW_MS, &err));
    assert_int_equal(err.class, ERR_CONFIG);
    assert_non_null(strstr(err.text, what));
    assert_non_null(strstr(err.text, "-90d"));
}

static void words_are_the_ends_of_the_log(void **state)
{
    (void)state;
    assert_true(bound_parse(&bound, "earliest", NOW_MS, &err));
    assert_int_equal(bound.kind, BOUND_EARLIEST);
    assert_true(bound_parse(&bound, "latest", NOW_MS, &err));
    assert_int_equal(bound.kind, BOUND_LATEST);
}

static void digits_are_an_offset(void **state)
{
    (void)state;
    assert_true(bound_parse(&bound, "1000", NOW_MS, &err));
    assert_int_equal(bound.kind, BOUND_OFFSET);
    assert_int_equal(bound.offset, 1000);
    assert_true(bound_parse(&bound, "0", NOW_MS, &err));
    assert_int_equal(bound.offset, 0);
    assert_refused("99999999999999999999", "too large");
}

static void a_time_has_its_zone(void **state)
{
    (void)state;
    assert_time("2026-11-20T13:00:00Z", NOW_MS);
    assert_time("2026-11-20T14:00:00+01:00", NOW_MS);
    assert_time("2026-11-20T11:30:00.250-0130", NOW_MS + 250);
    assert_time("2026-11-20T13:00:00z", NOW_MS);
    assert_time("2026-11-20t13:00:00 utc", NOW_MS);
    assert_refused("2026-11-20t13:00:00", "no zone");
    assert_refused("2026-11-20T13:00:00", "no zone");
    assert_refused("2026-11-20 13:00", "no zone");
}

/* No record is between two milliseconds. */
static void below_a_millisecond_it_is_the_next_one(void **state)
{
    (void)state;
    assert_time("2026-11-20T13:00:00.000001Z", NOW_MS + 1);
    assert_time("2026-11-20T13:00:00.249999Z", NOW_MS + 250);
    assert_time("1999-12-31T23:59:59.9999Z", INT64_C(946684800000));
}

static void a_date_is_its_first_moment_in_utc(void **state)
{
    (void)state;
    assert_time("2026-11-20", NOW_MS - 13 * INT64_C(3600000));
}

static void a_duration_is_back_from_now(void **state)
{
    (void)state;
    assert_time("-15m", NOW_MS - 15 * INT64_C(60000));
    assert_time("-36h", NOW_MS - 36 * INT64_C(3600000));
    assert_time("-90d", NOW_MS - 90 * INT64_C(86400000));
    assert_time("-2w", NOW_MS - 14 * INT64_C(86400000));
    assert_refused("-90", "a number and one of s, m, h, d, w");
    assert_refused("-d", "a number and one of s, m, h, d, w");
    assert_refused("--5d", "a number and one of s, m, h, d, w");
    assert_refused("-100000d", "before 1970");
    assert_refused("-9999999999999999w", "before 1970");
}

static void anything_else_is_refused_with_examples(void **state)
{
    (void)state;
    assert_refused("yesterday", "is no bound");
    assert_refused("", "is no bound");
    assert_refused("infinity", "is no bound");
    assert_refused("1960-01-01", "before 1970");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_the_ends_of_the_log),
        cmocka_unit_test(digits_are_an_offset),
        cmocka_unit_test(a_time_has_its_zone),
        cmocka_unit_test(below_a_millisecond_it_is_the_next_one),
        cmocka_unit_test(a_date_is_its_first_moment_in_utc),
        cmocka_unit_test(a_duration_is_back_from_now),
        cmocka_unit_test(anything_else_is_refused_with_examples),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
