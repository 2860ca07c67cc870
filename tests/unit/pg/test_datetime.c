/* Dates and times against days that everybody knows; the differential test knows the others. */
#include "pg/datetime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)
#define NOON   (12 * 3600 * SECOND)

static int64_t timestamptz(const char *text)
{
    struct err err;
    int64_t us = 0;

    if (!datetime_parse_timestamptz(slice_of(text), &us, &err))
        fail_msg("%s: %s", text, err.text);
    return us;
}

static int64_t timestamp(const char *text)
{
    struct err err;
    int64_t us = 0;

    assert_true(datetime_parse_timestamp(slice_of(text), &us, &err));
    return us;
}

static int32_t date(const char *text)
{
    struct err err;
    int32_t days = 0;

    assert_true(datetime_parse_date(slice_of(text), &days, &err));
    return days;
}

static void assert_refused(const char *text)
{
    struct err err = {0};
    int64_t us;

    if (datetime_parse_timestamptz(slice_of(text), &us, &err))
        fail_msg("%s was taken", text);
    assert_int_equal(err.class, ERR_DATA);
}

static void counts_from_2000(void **state)
{
    (void)state;
    assert_int_equal(timestamptz("2000-01-01T00:00:00Z"), 0);
    assert_int_equal(timestamptz("2000-01-02"), DAY);
    assert_int_equal(timestamptz("1999-12-31 23:59:59.999999"), -1);
    assert_int_equal(timestamptz("1970-01-01T00:00:00Z"), -946684800 * SECOND);
    assert_int_equal(date("1970-01-01"), -10957);
    assert_int_equal(date("2000-03-01"), 60);
    assert_int_equal(date("2001-01-01"), 366);
}

/* The usual form is read on a way of its own: it must say the same as the careful one. */
static void reads_the_usual_form_like_any_other(void **state)
{
    static const char *const days[] = {
        "0001-01-01", "0004-02-28", "1600-02-28", "1899-12-28", "1970-01-01",
        "2024-02-28", "2024-02-29", "2024-03-01", "2100-02-28", "9999-12-31",
    };
    char usual[64];
    char careful[64];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(days); i++) {
        snprintf(usual, sizeof(usual), "%sT23:59:58.123Z", days[i]);
        snprintf(careful, sizeof(careful), "%s  23:59:58.1230+00", days[i]);
        assert_int_equal(timestamptz(usual), timestamptz(careful));
        snprintf(usual, sizeof(usual), "%sT01:02:03.000456Z", days[i]);
        snprintf(careful, sizeof(careful), "%s 01:02:03.000456 UTC", days[i]);
        assert_int_equal(timestamptz(usual), timestamptz(careful));
    }
}

static void reads_any_part_of_a_second(void **state)
{
    (void)state;
    assert_int_equal(timestamptz("2000-01-01T00:00:00.1"), 100000);
    assert_int_equal(timestamptz("2000-01-01T00:00:00.12Z"), 120000);
    assert_int_equal(timestamptz("2000-01-01T00:00:00.123"), 123000);
    assert_int_equal(timestamptz("2000-01-01T00:00:00.123456Z"), 123456);
    assert_int_equal(timestamptz("2000-01-01T00:00:00.123456789Z"), 123457);
    assert_int_equal(timestamptz("2000-01-01T00:00:00.9999999Z"), SECOND);
    assert_refused("2000-01-01T00:00:00.1234567890123456");
    assert_refused("2000-01-01T00:00:00.12a456Z");
}

static void moves_by_the_zone(void **state)
{
    (void)state;
    assert_int_equal(timestamptz("2000-01-01T12:00:00+05:30"), NOON - 19800 * SECOND);
    assert_int_equal(timestamptz("2000-01-01T12:00:00-0530"), NOON + 19800 * SECOND);
    assert_int_equal(timestamptz("2000-01-01 12:00:00 +01"), NOON - 3600 * SECOND);
    assert_int_equal(timestamptz("2000-01-01T12:00+00:00:01"), NOON - SECOND);
    assert_int_equal(timestamptz("2000-01-01 12:00:00"), NOON);
    assert_int_equal(timestamp("2000-01-01T12:00:00+05:30"), NOON);
    assert_int_equal(date("2000-01-01T23:00:00-05:00"), 0);
    assert_refused("2000-01-01T12:00:00+16");
    assert_refused("2000-01-01T12:00:00+05:60");
    assert_refused("2000-01-01T12:00:00 CET");
}

static void knows_the_last_second_of_a_day(void **state)
{
    (void)state;
    assert_int_equal(timestamptz("2000-01-01T24:00:00Z"), DAY);
    assert_int_equal(timestamptz("2000-01-01T23:59:60Z"), DAY);
    assert_int_equal(timestamptz("2000-01-01T11:59:60.5Z"), NOON + SECOND / 2);
    assert_int_equal(date("2000-01-01T24:00:00"), 0);
    assert_refused("2000-01-01T24:00:01Z");
    assert_refused("2000-01-01T23:59:60.1Z");
    assert_refused("2000-01-01T12:60:00Z");
    assert_refused("2000-01-01T12:00:61Z");
    assert_refused("2000-01-01T25:00:00Z");
}

static void knows_the_length_of_months(void **state)
{
    (void)state;
    assert_int_equal(timestamptz("2000-02-29"), 59 * DAY);
    assert_refused("2001-02-29");
    assert_refused("1900-02-29");
    assert_refused("2000-04-31");
    assert_refused("2000-00-01");
    assert_refused("2000-13-01");
    assert_refused("2000-01-00T00:00:00Z");
    assert_refused("2000-13-01T00:00:00Z");
    assert_refused("0000-01-01T00:00:00Z");
}

static void ends_where_postgresql_ends(void **state)
{
    struct err err;
    int32_t days;

    (void)state;
    assert_int_equal(timestamptz("4714-11-24 00:00:00 BC"), INT64_C(-211813488000000000));
    assert_int_equal(timestamptz("294276-12-31T23:59:59.999999Z"), INT64_C(9223371331199999999));
    assert_int_equal(timestamptz("294277-01-01T00:00:00+01"),
                     INT64_C(9223371331200000000) - 3600 * SECOND);
    assert_refused("294277-01-01T00:00:00Z");
    assert_refused("4714-11-23 23:59:59 BC");
    assert_refused("9999999-01-01");
    assert_int_equal(date("5874897-12-31"), 2145031948);
    assert_int_equal(date("4714-11-24 BC"), -2451545);
    assert_false(datetime_parse_date(slice_of("5874898-01-01"), &days, &err));
    assert_false(datetime_parse_date(slice_of("4714-11-23 BC"), &days, &err));
}

static void knows_infinity(void **state)
{
    (void)state;
    assert_int_equal(timestamptz("infinity"), INT64_MAX);
    assert_int_equal(timestamptz(" -Infinity "), INT64_MIN);
    assert_int_equal(date("infinity"), INT32_MAX);
    assert_int_equal(date("-infinity"), INT32_MIN);
    assert_refused("inf");
}

static void refuses_what_it_does_not_know(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "now",
        "2000",
        "2000-01",
        "2000-1-1",
        "00-01-01",
        "2000-01-01T",
        "2000-01-01x",
        "2000-01-01T12",
        "2000-01-01T12:",
        "2000-01-01T1:00",
        "2000-01-01 12:00:00 PM",
        "20000101T120000Z",
        "2000/01/01",
        "Jan 1 2000",
        "2000-01-01Z",
        "2000-01-01T12:00:00Zx",
        "2000-01-01T12:00:00ZBC",
        "946684800",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_refused(texts[i]);
}

static void assert_number(const char *number, const char *expected)
{
    struct err err;
    int64_t us = 0;

    assert_true(datetime_from_number(slice_of(number), &us, &err));
    assert_int_equal(us, timestamptz(expected));
}

static void reads_unix_time_by_its_size(void **state)
{
    struct err err;
    int64_t us;

    (void)state;
    assert_number("0", "1970-01-01");
    assert_number("1700000000", "2023-11-14T22:13:20Z");
    assert_number("1.7e9", "2023-11-14T22:13:20Z");
    assert_number("1700000000.5", "2023-11-14T22:13:20.5Z");
    assert_number("1700000000.1234565", "2023-11-14T22:13:20.123457Z");
    assert_number("1700000000000", "2023-11-14T22:13:20Z");
    assert_number("1700000000123", "2023-11-14T22:13:20.123Z");
    assert_number("1700000000123456", "2023-11-14T22:13:20.123456Z");
    assert_number("99999999999", "5138-11-16T09:46:39Z");
    assert_number("100000000000", "1973-03-03T09:46:40Z");
    assert_number("-1", "1969-12-31T23:59:59Z");
    assert_number("-0.000001", "1969-12-31T23:59:59.999999Z");
    assert_false(datetime_from_number(slice_of("1e30"), &us, &err));
    assert_number("9223372036854775807", "294247-01-10T04:00:54.775807Z");
    assert_false(datetime_from_number(slice_of("9223372036854775808"), &us, &err));
    assert_false(datetime_from_integer(INT64_MIN, &us, &err));
    assert_true(datetime_from_integer(1700000000123, &us, &err));
    assert_int_equal(us, timestamptz("2023-11-14T22:13:20.123Z"));
    assert_true(datetime_from_unix_ms(1, &us, &err));
    assert_int_equal(us, timestamptz("1970-01-01T00:00:00.001Z"));
    assert_false(datetime_from_unix_ms(INT64_MAX, &us, &err));
    assert_false(datetime_from_unix_ms(INT64_MIN, &us, &err));
}

static void assert_printed(const char *text)
{
    struct buffer out = {0};

    datetime_append(&out, timestamptz(text));
    assert_string_equal(buffer_text(&out), text);
    buffer_finish(&out);
}

static void prints_what_it_reads(void **state)
{
    (void)state;
    assert_printed("2000-01-01T00:00:00Z");
    assert_printed("1999-12-31T23:59:59.999999Z");
    assert_printed("2024-02-29T12:34:56.000001Z");
    assert_printed("2024-02-29T12:34:56.001Z");
    assert_printed("0001-01-01T00:00:00Z");
    assert_printed("0001-12-31T00:00:00Z BC");
    assert_printed("4714-11-24T00:00:00Z BC");
    assert_printed("294276-12-31T23:59:59.999999Z");
}

static void takes_the_day_in_utc(void **state)
{
    (void)state;
    assert_int_equal(datetime_date_of(0), 0);
    assert_int_equal(datetime_date_of(DAY - 1), 0);
    assert_int_equal(datetime_date_of(-1), -1);
    assert_int_equal(datetime_date_of(-DAY), -1);
    assert_int_equal(datetime_date_of(-DAY - 1), -2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_from_2000),
        cmocka_unit_test(reads_the_usual_form_like_any_other),
        cmocka_unit_test(reads_any_part_of_a_second),
        cmocka_unit_test(moves_by_the_zone),
        cmocka_unit_test(knows_the_last_second_of_a_day),
        cmocka_unit_test(knows_the_length_of_months),
        cmocka_unit_test(ends_where_postgresql_ends),
        cmocka_unit_test(knows_infinity),
        cmocka_unit_test(refuses_what_it_does_not_know),
        cmocka_unit_test(reads_unix_time_by_its_size),
        cmocka_unit_test(prints_what_it_reads),
        cmocka_unit_test(takes_the_day_in_utc),
    };

    return cmocka_run_group_tests_name("datetime", tests, NULL, NULL);
}
