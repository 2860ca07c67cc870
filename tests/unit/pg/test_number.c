/* Integers and floats, at their borders and on both the short and the careful way. */
#include "pg/number.h"

#include "pg/decimal.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_json_integer(const char *text, int64_t expected)
{
    int64_t result = ~expected;
    struct err err;

    assert_true(number_parse_json_integer(slice_of(text), &result, &err));
    assert_int_equal(result, expected);
}

static void assert_no_json_integer(const char *text, const char *reason)
{
    int64_t result;
    struct err err;

    assert_false(number_parse_json_integer(slice_of(text), &result, &err));
    assert_int_equal(err.class, ERR_DATA);
    assert_non_null(strstr(err.text, reason));
}

static void takes_json_numbers_that_are_integers(void **state)
{
    (void)state;
    assert_json_integer("0", 0);
    assert_json_integer("-0", 0);
    assert_json_integer("-1", -1);
    assert_json_integer("1234567", 1234567);
    assert_json_integer("12345678", 12345678);
    assert_json_integer("-123456789", -123456789);
    assert_json_integer("999999999999999999", INT64_C(999999999999999999));
    assert_json_integer("9223372036854775807", INT64_MAX);
    assert_json_integer("-9223372036854775808", INT64_MIN);
    assert_json_integer("1.0", 1);
    assert_json_integer("1e3", 1000);
    assert_json_integer("1.50e1", 15);
    assert_json_integer("1000e-3", 1);
    assert_json_integer("922337203685477580.7e1", INT64_MAX);
    assert_json_integer("0e999999999999", 0);
    assert_json_integer("0.0", 0);
}

static void says_why_another_is_none(void **state)
{
    (void)state;
    assert_no_json_integer("1.5", "fraction");
    assert_no_json_integer("1e-1", "fraction");
    assert_no_json_integer("0.1", "fraction");
    assert_no_json_integer("9223372036854775807.5", "out of range");
    assert_no_json_integer("9223372036854775808", "out of range");
    assert_no_json_integer("-9223372036854775809", "out of range");
    assert_no_json_integer("1e19", "out of range");
    assert_no_json_integer("1e999999999999", "out of range");
}

static void reads_postgresqls_integers(void **state)
{
    static const char *const refused[] = {"",    " ",   "-",    "+",         "--1",       "1.0",
                                          "1e3", "abc", "0x10", "1234567:9", "12345678/", "1 2"};
    int64_t result = 0;
    struct err err;

    (void)state;
    assert_true(number_parse_integer(slice_of(" +5\n"), &result, &err));
    assert_int_equal(result, 5);
    assert_true(number_parse_integer(slice_of("-0000000000000000000000000000007"), &result, &err));
    assert_int_equal(result, -7);
    assert_true(number_parse_integer(slice_of("-9223372036854775808"), &result, &err));
    assert_int_equal(result, INT64_MIN);
    assert_false(number_parse_integer(slice_of("9223372036854775808"), &result, &err));
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        assert_false(number_parse_integer(slice_of(refused[i]), &result, &err));
}

static double float8(const char *text)
{
    struct buffer room = {0};
    struct err err;
    double result = 0;

    assert_true(number_parse_float8(slice_of(text), &room, &result, &err));
    buffer_finish(&room);
    return result;
}

static float float4(const char *text)
{
    struct buffer room = {0};
    struct err err;
    float result = 0;

    assert_true(number_parse_float4(slice_of(text), &room, &result, &err));
    buffer_finish(&room);
    return result;
}

static bool same_double(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

static bool same_float(float a, float b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

static void reads_floats_to_the_last_bit(void **state)
{
    (void)state;
    assert_true(same_double(float8("0"), 0.0));
    assert_true(same_double(float8("-0"), -0.0));
    assert_true(same_double(float8("-0.0"), -0.0));
    assert_true(same_double(float8("0.1"), 0.1));
    assert_true(same_double(float8("12345.6789"), 12345.6789));
    assert_true(same_double(float8(".5"), 0.5));
    assert_true(same_double(float8("5."), 5.0));
    assert_true(same_double(float8("123456789012345"), 123456789012345.0));
    assert_true(same_double(float8("9007199254740993"), 9007199254740992.0));
    assert_true(same_double(float8("0.30000000000000004"), 0.30000000000000004));
    assert_true(same_double(float8("1.7976931348623157e308"), 1.7976931348623157e308));
    assert_true(same_double(float8("5e-324"), 5e-324));
    assert_true(same_float(float4("16777217"), 16777216.0F));
    assert_true(same_float(float4("0.1"), 0.1F));
    /* Through a double it would be rounded twice. */
    assert_true(same_float(float4("1.00000005960464477539063"), 1.00000011920928955F));
}

static void reads_the_words_for_floats(void **state)
{
    (void)state;
    assert_true(isnan(float8("NaN")));
    assert_true(isnan(float8(" nan ")));
    assert_true(same_double(float8("Infinity"), INFINITY));
    assert_true(same_double(float8("+inf"), INFINITY));
    assert_true(same_double(float8("-Infinity"), -INFINITY));
    assert_true(same_float(float4("-inf"), -INFINITY));
}

static void refuses_other_floats(void **state)
{
    static const char *const texts[] = {"",      " ",      ".",      "-",     "-.", "1..5",
                                        "1.5.5", "1e",     "0x1p3",  "nanx",  "in", "1,5",
                                        "1e400", "-1e400", "1e-400", "2e-324"};
    static const char *const too_large_for_4[] = {"1e39", "-1e39", "1e-46"};
    struct buffer room = {0};
    struct err err;
    double wide;
    float narrow;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_false(number_parse_float8(slice_of(texts[i]), &room, &wide, &err));
        assert_int_equal(err.class, ERR_DATA);
        assert_false(number_parse_float4(slice_of(texts[i]), &room, &narrow, &err));
    }
    for (size_t i = 0; i < COUNT_OF(too_large_for_4); i++)
        assert_false(number_parse_float4(slice_of(too_large_for_4[i]), &room, &narrow, &err));
    buffer_finish(&room);
}

static void reads_floats_in_any_locale(void **state)
{
    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8"))
        skip();
    assert_true(same_double(float8("1.5e10"), 1.5e10));
    setlocale(LC_NUMERIC, "C");
}

static void prints_integers(void **state)
{
    struct buffer out = {0};

    (void)state;
    number_append_integer(&out, 0);
    buffer_append(&out, " ", 1);
    number_append_integer(&out, INT64_MIN);
    buffer_append(&out, " ", 1);
    number_append_integer(&out, INT64_MAX);
    assert_string_equal(buffer_text(&out), "0 -9223372036854775808 9223372036854775807");
    buffer_finish(&out);
}

static void assert_point(const char *text, int64_t expected)
{
    struct decimal decimal;

    assert_true(decimal_parse(slice_of(text), &decimal));
    assert_int_equal(decimal_point(&decimal), expected);
}

static void finds_the_point(void **state)
{
    (void)state;
    assert_point("123.4", 3);
    assert_point("0.012", -1);
    assert_point("00123", 3);
    assert_point("1e5", 6);
    assert_point("0.001e2", 0);
    assert_point("0.000", INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_json_numbers_that_are_integers),
        cmocka_unit_test(says_why_another_is_none),
        cmocka_unit_test(reads_postgresqls_integers),
        cmocka_unit_test(reads_floats_to_the_last_bit),
        cmocka_unit_test(reads_the_words_for_floats),
        cmocka_unit_test(refuses_other_floats),
        cmocka_unit_test(reads_floats_in_any_locale),
        cmocka_unit_test(prints_integers),
        cmocka_unit_test(finds_the_point),
    };

    return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
