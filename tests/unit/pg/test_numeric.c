/* numeric's wire form, read back by a decoder that is as plain as the format allows. */
#include "pg/numeric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { NO_TYPMOD = -1, FIELD_BYTES_MIN = 12 };

#define TYPMOD(precision, scale) (((precision) << 16 | ((scale)&0x7ff)) + 4)

struct field {
    struct buffer wire;
    struct buffer text; /* as PostgreSQL would print it */
};

static int read_int16(const struct buffer *wire, size_t at)
{
    uint16_t value;

    memcpy(&value, wire->data + at, sizeof(value));
    return (int16_t)be16toh(value);
}

static uint32_t read_length(const struct buffer *wire)
{
    uint32_t value;

    memcpy(&value, wire->data, sizeof(value));
    return be32toh(value);
}

static int group_of(const struct buffer *wire, int group)
{
    int groups = read_int16(wire, 4);
    int weight = read_int16(wire, 6);
    int at = weight - group;

    return at >= 0 && at < groups ? read_int16(wire, FIELD_BYTES_MIN + 2 * (size_t)at) : 0;
}

/* Digits behind the point: `scale` of them, from groups -1, -2 ... */
static void print_fraction(struct field *field, int scale)
{
    struct buffer digits = {0};

    for (int group = -1; - group <= (scale + 3) / 4; group--)
        buffer_printf(&digits, "%04d", group_of(&field->wire, group));
    if (scale > 0)
        buffer_printf(&field->text, ".%.*s", scale, digits.data);
    buffer_finish(&digits);
}

static void print(struct field *field)
{
    int weight = read_int16(&field->wire, 6);
    int sign = read_int16(&field->wire, 8);

    assert_int_equal(read_length(&field->wire), field->wire.len - 4);
    assert_int_equal(field->wire.len, FIELD_BYTES_MIN + 2 * read_int16(&field->wire, 4));
    buffer_printf(&field->text, "%s", sign == 0x4000 ? "-" : "");
    if (weight < 0)
        buffer_printf(&field->text, "0");
    for (int group = weight; group >= 0; group--)
        buffer_printf(&field->text, group == weight ? "%d" : "%04d", group_of(&field->wire, group));
    print_fraction(field, read_int16(&field->wire, 10));
}

static void field_finish(struct field *field)
{
    buffer_finish(&field->wire);
    buffer_finish(&field->text);
}

static void assert_numeric(const char *text, int32_t typmod, const char *expected)
{
    struct field field = {0};
    struct err err;

    assert_true(numeric_append(&field.wire, slice_of(text), typmod, &err));
    print(&field);
    assert_string_equal(buffer_text(&field.text), expected);
    field_finish(&field);
}

static void assert_refused(const char *text, int32_t typmod)
{
    struct buffer wire = {0};
    struct err err;

    assert_false(numeric_append(&wire, slice_of(text), typmod, &err));
    assert_int_equal(err.class, ERR_DATA);
    buffer_finish(&wire);
}

static void assert_bytes(const char *text, int32_t typmod, const char *bytes, size_t len)
{
    struct buffer wire = {0};
    struct err err;

    assert_true(numeric_append(&wire, slice_of(text), typmod, &err));
    assert_int_equal(wire.len, len);
    assert_memory_equal(wire.data, bytes, len);
    buffer_finish(&wire);
}

/* As `SELECT numeric_send(...)` prints them. */
static void writes_postgresqls_bytes(void **state)
{
    (void)state;
    assert_bytes("0", NO_TYPMOD, "\0\0\0\10\0\0\0\0\0\0\0\0", 12);
    assert_bytes("1", NO_TYPMOD, "\0\0\0\12\0\1\0\0\0\0\0\0\0\1", 14);
    assert_bytes("-12345.678", NO_TYPMOD, "\0\0\0\16\0\3\0\1\100\0\0\3\0\1\11\51\32\174", 18);
    assert_bytes("0.00012", NO_TYPMOD, "\0\0\0\14\0\2\377\377\0\0\0\5\0\1\7\320", 16);
    assert_bytes("NaN", NO_TYPMOD, "\0\0\0\10\0\0\0\0\300\0\0\0", 12);
    assert_bytes("Infinity", NO_TYPMOD, "\0\0\0\10\0\0\0\0\320\0\0\0", 12);
    assert_bytes("-Infinity", NO_TYPMOD, "\0\0\0\10\0\0\0\0\360\0\0\0", 12);
}

static void keeps_every_digit(void **state)
{
    static const char *const texts[] = {
        "1",
        "-1",
        "10",
        "9999",
        "10000",
        "100000000",
        "12345678901234567890",
        "0.1",
        "0.0001",
        "0.00001",
        "0.000100",
        "1.50",
        "-1234.5678",
        "123456789012345678901234567890.123456789012345678901234567890",
        "0.00",
        "10000.0001",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_numeric(texts[i], NO_TYPMOD, texts[i]);
}

static void reads_every_spelling(void **state)
{
    (void)state;
    assert_numeric("1e3", NO_TYPMOD, "1000");
    assert_numeric("1.5E+3", NO_TYPMOD, "1500");
    assert_numeric("1.50e1", NO_TYPMOD, "15.0");
    assert_numeric("1.5e-3", NO_TYPMOD, "0.0015");
    assert_numeric("-0", NO_TYPMOD, "0");
    assert_numeric("-0.00", NO_TYPMOD, "0.00");
    assert_numeric("0e5", NO_TYPMOD, "0");
    assert_numeric("000123.4500", NO_TYPMOD, "123.4500");
    assert_numeric(".5", NO_TYPMOD, "0.5");
    assert_numeric("5.", NO_TYPMOD, "5");
    assert_numeric(" +7 \n", NO_TYPMOD, "7");
}

static void rounds_half_away_from_zero(void **state)
{
    const int32_t money = TYPMOD(10, 2);

    (void)state;
    assert_numeric("1.005", money, "1.01");
    assert_numeric("-1.005", money, "-1.01");
    assert_numeric("1.00499999999", money, "1.00");
    assert_numeric("9.995", money, "10.00");
    assert_numeric("99999.999", money, "100000.00");
    assert_numeric("0.005", money, "0.01");
    assert_numeric("0.00499", money, "0.00");
    assert_numeric("-0.004", money, "0.00");
    assert_numeric("1", money, "1.00");
    assert_numeric("1e-100", money, "0.00");
    assert_numeric("1.5", TYPMOD(5, 0), "2");
    assert_numeric("0.5", TYPMOD(5, 0), "1");
    assert_numeric("2.5", TYPMOD(5, 0), "3");
}

/* Since PostgreSQL 15. */
static void rounds_before_the_point_and_behind_the_precision(void **state)
{
    (void)state;
    assert_numeric("149", TYPMOD(4, -2), "100");
    assert_numeric("150", TYPMOD(4, -2), "200");
    assert_numeric("49", TYPMOD(4, -2), "0");
    assert_numeric("50", TYPMOD(4, -2), "100");
    assert_numeric("999949", TYPMOD(4, -2), "999900");
    assert_refused("999950", TYPMOD(4, -2));
    assert_numeric("0.00999", TYPMOD(3, 5), "0.00999");
    assert_refused("0.01", TYPMOD(3, 5));
}

static void refuses_what_overflows_the_precision(void **state)
{
    const int32_t money = TYPMOD(10, 2);

    (void)state;
    assert_numeric("99999999.99", money, "99999999.99");
    assert_numeric("99999999.994", money, "99999999.99");
    assert_refused("99999999.995", money);
    assert_refused("-100000000", money);
    assert_refused("1e400", money);
    assert_refused("Infinity", money);
    assert_refused("-Infinity", money);
    assert_bytes("NaN", money, "\0\0\0\10\0\0\0\0\300\0\0\0", 12);
}

static void keeps_to_the_limits_of_numeric(void **state)
{
    struct buffer wire = {0};
    struct err err;

    (void)state;
    assert_true(numeric_append(&wire, slice_of("1e131071"), NO_TYPMOD, &err));
    assert_int_equal(read_int16(&wire, 6), 32767);
    buffer_reset(&wire);
    assert_true(numeric_append(&wire, slice_of("1e-16383"), NO_TYPMOD, &err));
    assert_int_equal(read_int16(&wire, 10), 16383);
    buffer_finish(&wire);
    assert_refused("1e131072", NO_TYPMOD);
    assert_refused("1e-16384", NO_TYPMOD);
    assert_refused("0e-16384", NO_TYPMOD);
    assert_refused("1e2147483647", NO_TYPMOD);
    assert_refused("0e99999999999999999999", NO_TYPMOD);
}

static void packs_as_many_digits_as_there_can_be(void **state)
{
    enum { WHOLE = 131072, FRACTION = 16383 };
    struct buffer text = {0};
    struct buffer wire = {0};
    struct err err;

    (void)state;
    for (int i = 0; i < WHOLE + 1 + FRACTION; i++)
        buffer_append(&text, i == WHOLE ? "." : "9", 1);
    assert_true(numeric_append(&wire, (struct slice){text.data, text.len}, NO_TYPMOD, &err));
    assert_int_equal((uint16_t)read_int16(&wire, 4), (WHOLE + FRACTION + 3) / 4);
    assert_int_equal(read_length(&wire), wire.len - 4);
    buffer_finish(&wire);
    buffer_finish(&text);
}

static void refuses_what_is_no_number(void **state)
{
    static const char *const texts[] = {
        "",   " ",   ".",  "-",    "+-1",   "1..2", "1e",   "1e+",
        "e5", "abc", "1a", "0x10", "1_000", "1,5",  "nanx",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_refused(texts[i], NO_TYPMOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_postgresqls_bytes),
        cmocka_unit_test(keeps_every_digit),
        cmocka_unit_test(reads_every_spelling),
        cmocka_unit_test(rounds_half_away_from_zero),
        cmocka_unit_test(rounds_before_the_point_and_behind_the_precision),
        cmocka_unit_test(refuses_what_overflows_the_precision),
        cmocka_unit_test(keeps_to_the_limits_of_numeric),
        cmocka_unit_test(packs_as_many_digits_as_there_can_be),
        cmocka_unit_test(refuses_what_is_no_number),
    };

    return cmocka_run_group_tests_name("numeric", tests, NULL, NULL);
}
