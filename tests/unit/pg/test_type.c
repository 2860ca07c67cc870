/* Every kind of value against every codec, in both formats. */
#include "pg/type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct column column_of(enum type_codec codec, const char *type_name, int32_t typmod)
{
    return (struct column){
        .type_name = (char *)(uintptr_t)type_name, .typmod = typmod, .codec = codec};
}

static struct value string(const char *text)
{
    return (struct value){.kind = VALUE_STRING, .text = slice_of(text)};
}

static struct value escaped(const char *body)
{
    return (struct value){.kind = VALUE_ESCAPED, .text = slice_of(body)};
}

static struct value number(const char *text)
{
    return (struct value){.kind = VALUE_NUMBER, .text = slice_of(text)};
}

static struct value json(const char *text)
{
    return (struct value){.kind = VALUE_JSON, .text = slice_of(text)};
}

static struct value bytes(const char *data, size_t len)
{
    return (struct value){.kind = VALUE_BYTES, .text = {data, len}};
}

static struct value integer(int64_t value)
{
    return (struct value){.kind = VALUE_INTEGER, .integer = value};
}

static struct value boolean(bool value)
{
    return (struct value){.kind = VALUE_BOOLEAN, .integer = value};
}

static struct value unix_ms(int64_t value)
{
    return (struct value){.kind = VALUE_TIMESTAMP, .integer = value};
}

static void assert_field(struct column column, struct value value, enum type_format format,
                         const char *expected, size_t len)
{
    struct buffer out = {0};
    struct err err;

    if (!type_encoder(column.codec, format)(&out, &column, &value, &err))
        fail_msg("%s: %s", column.type_name, err.text);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, expected, len);
    buffer_finish(&out);
}

static void assert_text_of(struct column column, struct value value, const char *expected)
{
    assert_field(column, value, TYPE_FORMAT_TEXT, expected, strlen(expected));
}

static void assert_text(enum type_codec codec, struct value value, const char *expected)
{
    assert_text_of(column_of(codec, "type", -1), value, expected);
}

/* `expected` is a string constant: the field without its length. */
#define assert_binary(codec, value, expected) \
    assert_binary_bytes(codec, value, expected, sizeof(expected) - 1)

static void assert_binary_bytes(enum type_codec codec, struct value value, const char *expected,
                                size_t len)
{
    char field[128];
    uint32_t wire = htobe32((uint32_t)len);

    memcpy(field, &wire, sizeof(wire));
    memcpy(field + sizeof(wire), expected, len);
    assert_field(column_of(codec, "type", -1), value, TYPE_FORMAT_BINARY, field,
                 sizeof(wire) + len);
}

static void assert_refused_as(struct column column, struct value value, enum type_format format,
                              const char *reason)
{
    struct buffer out = {0};
    struct err err = {0};

    assert_false(type_encoder(column.codec, format)(&out, &column, &value, &err));
    assert_int_equal(err.class, ERR_DATA);
    if (!strstr(err.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
    buffer_finish(&out);
}

static void assert_refused(struct column column, struct value value, const char *reason)
{
    assert_refused_as(column, value, TYPE_FORMAT_TEXT, reason);
    assert_refused_as(column, value, TYPE_FORMAT_BINARY, reason);
}

static void knows_the_codecs_of_types(void **state)
{
    (void)state;
    assert_int_equal(type_codec_of(20), TYPE_INT8);
    assert_int_equal(type_codec_of(1184), TYPE_TIMESTAMPTZ);
    assert_int_equal(type_codec_of(3802), TYPE_JSONB);
    assert_int_equal(type_codec_of(869), TYPE_OTHER); /* inet */
    assert_null(type_encoder(TYPE_OTHER, TYPE_FORMAT_BINARY));
}

static void writes_null_for_null_and_for_absent(void **state)
{
    const struct value null = {.kind = VALUE_NULL};
    const struct value absent = {.kind = VALUE_ABSENT};

    (void)state;
    for (enum type_codec codec = TYPE_OTHER; codec <= TYPE_BYTEA; codec++) {
        struct column column = column_of(codec, "type", -1);
        assert_field(column, null, TYPE_FORMAT_TEXT, "\\N", 2);
        assert_field(column, absent, TYPE_FORMAT_TEXT, "\\N", 2);
        if (codec == TYPE_OTHER)
            continue;
        assert_field(column, null, TYPE_FORMAT_BINARY, "\377\377\377\377", 4);
        assert_field(column, absent, TYPE_FORMAT_BINARY, "\377\377\377\377", 4);
    }
}

static void writes_booleans(void **state)
{
    struct column column = column_of(TYPE_BOOL, "boolean", -1);

    (void)state;
    assert_binary(TYPE_BOOL, boolean(true), "\1");
    assert_binary(TYPE_BOOL, boolean(false), "\0");
    assert_binary(TYPE_BOOL, string(" Yes"), "\1");
    assert_binary(TYPE_BOOL, escaped("\\u0074"), "\1");
    assert_binary(TYPE_BOOL, number("1.0"), "\1");
    assert_binary(TYPE_BOOL, integer(0), "\0");
    assert_text(TYPE_BOOL, boolean(true), "t");
    assert_text(TYPE_BOOL, number("1e0"), "t");
    assert_text(TYPE_BOOL, string("off"), "off");
    assert_refused(column, number("2"), "1 or 0");
    assert_refused(column, number("0.5"), "fraction");
    assert_refused(column, json("{}"), "boolean takes a boolean, not an object or array");
    assert_refused(column, unix_ms(1), "not a timestamp");
    assert_refused_as(column, string("maybe"), TYPE_FORMAT_BINARY, "is not a boolean");
}

static void writes_integers(void **state)
{
    (void)state;
    assert_binary(TYPE_INT2, number("-2"), "\377\376");
    assert_binary(TYPE_INT4, number("1e3"), "\0\0\3\350");
    assert_binary(TYPE_INT8, integer(INT64_MIN), "\200\0\0\0\0\0\0\0");
    assert_binary(TYPE_INT8, string(" +5 "), "\0\0\0\0\0\0\0\5");
    assert_binary(TYPE_INT8, escaped("\\u0035"), "\0\0\0\0\0\0\0\5");
    assert_binary(TYPE_INT8, bytes("5", 1), "\0\0\0\0\0\0\0\5");
    assert_binary(TYPE_INT8, unix_ms(5), "\0\0\0\0\0\0\0\5");
    assert_text(TYPE_INT4, number("1.50e1"), "15");
    assert_text(TYPE_INT4, integer(-7), "-7");
    assert_text(TYPE_INT4, string("one"), "one");
}

static void refuses_what_is_no_such_integer(void **state)
{
    struct column small = column_of(TYPE_INT2, "smallint", -1);

    (void)state;
    assert_refused(small, number("1.5"), "fraction");
    assert_refused(small, number("32768"), "out of range for smallint: -32768 to 32767");
    assert_refused(small, integer(-32769), "out of range for smallint");
    assert_refused(small, boolean(true), "smallint takes an integer, not a boolean");
    assert_refused(small, json("[1]"), "not an object or array");
    assert_refused(small, bytes("\xff", 1), "UTF-8");
    assert_refused_as(small, string("1.0"), TYPE_FORMAT_BINARY, "is not an integer");
    assert_refused(column_of(TYPE_INT4, "integer", -1), number("2147483648"), "for integer");
}

static void writes_floats(void **state)
{
    (void)state;
    assert_binary(TYPE_FLOAT8, number("1.5"), "\77\370\0\0\0\0\0\0");
    assert_binary(TYPE_FLOAT8, integer(2), "\100\0\0\0\0\0\0\0");
    assert_binary(TYPE_FLOAT8, string("-Infinity"), "\377\360\0\0\0\0\0\0");
    assert_binary(TYPE_FLOAT8, escaped("1\\u002e5"), "\77\370\0\0\0\0\0\0");
    assert_binary(TYPE_FLOAT4, number("1.5"), "\77\300\0\0");
    assert_binary(TYPE_FLOAT4, integer(16777217), "\113\200\0\0");
    assert_text(TYPE_FLOAT8, number("1.50"), "1.50");
    assert_text(TYPE_FLOAT8, integer(2), "2");
    assert_refused(column_of(TYPE_FLOAT8, "double precision", -1), number("1e400"),
                   "out of range for double precision");
    assert_refused_as(column_of(TYPE_FLOAT8, "double precision", -1), string("one"),
                      TYPE_FORMAT_BINARY, "number");
    assert_refused(column_of(TYPE_FLOAT4, "real", -1), number("1e39"), "out of range for real");
    assert_refused(column_of(TYPE_FLOAT4, "real", -1), boolean(true), "real takes a number");
    assert_refused(column_of(TYPE_FLOAT8, "double precision", -1), boolean(true),
                   "double precision takes a number");
}

static void writes_numerics(void **state)
{
    const int32_t money = (10 << 16 | 2) + 4;

    (void)state;
    assert_binary(TYPE_NUMERIC, number("1.5"), "\0\2\0\0\0\0\0\1\0\1\23\210");
    assert_binary(TYPE_NUMERIC, integer(-1), "\0\1\0\0\100\0\0\0\0\1");
    assert_binary(TYPE_NUMERIC, string("NaN"), "\0\0\0\0\300\0\0\0");
    assert_text(TYPE_NUMERIC, number("12345678901234567890.10"), "12345678901234567890.10");
    assert_text(TYPE_NUMERIC, unix_ms(1500), "1500");
    assert_refused(column_of(TYPE_NUMERIC, "numeric(10,2)", money), number("99999999.995"),
                   "more than 8 digits");
    assert_refused(column_of(TYPE_NUMERIC, "numeric", -1), number("1e200000"), "out of range");
}

static void writes_any_kind_as_text(void **state)
{
    (void)state;
    assert_binary(TYPE_TEXT, string("a\tb"), "a\tb");
    assert_binary(TYPE_TEXT, escaped("a\\tb\\u00e9"), "a\tb\xC3\xA9");
    assert_binary(TYPE_TEXT, number("1.50"), "1.50");
    assert_binary(TYPE_TEXT, integer(-5), "-5");
    assert_binary(TYPE_TEXT, boolean(true), "true");
    assert_binary(TYPE_TEXT, json("{\"a\": 1}"), "{\"a\": 1}");
    assert_binary(TYPE_TEXT, bytes("raw", 3), "raw");
    assert_binary(TYPE_TEXT, unix_ms(1), "1970-01-01T00:00:00.001Z");
    assert_text(TYPE_TEXT, string("a\tb\\c\nd\re"), "a\\tb\\\\c\\nd\\re");
    assert_text(TYPE_TEXT, escaped("\\\\N"), "\\\\N");
    assert_text(TYPE_TEXT, string(""), "");
    assert_text(TYPE_TEXT, boolean(false), "false");
    assert_refused(column_of(TYPE_TEXT, "text", -1), bytes("a\0b", 3), "NUL");
    assert_refused(column_of(TYPE_TEXT, "text", -1), bytes("\xc0\x80", 2), "UTF-8");
}

static void keeps_to_the_limit_of_varchar(void **state)
{
    struct column five = column_of(TYPE_VARCHAR, "character varying(5)", 5 + 4);

    (void)state;
    assert_text_of(five, string("12345"), "12345");
    assert_text_of(five, string("\\\\\\\\\\"), "\\\\\\\\\\\\\\\\\\\\");
    assert_text_of(five, string("\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"),
                   "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9");
    assert_text_of(five, string("12345   "), "12345   ");
    assert_text_of(five, escaped("\\u0031\\u0032345"), "12345");
    assert_refused(five, string("123456"), "too long for character varying(5)");
    assert_text_of(five, string("       "), "       ");
    assert_refused(five, string("12345 6"), "too long");
    assert_refused(five, number("123456"), "too long");
    assert_refused(five, bytes("\xff", 1), "UTF-8");
    assert_refused(column_of(TYPE_BPCHAR, "character(1)", 1 + 4), string("ab"), "too long");
    assert_binary(TYPE_VARCHAR, string("no limit"), "no limit");
}

static void writes_json_as_it_stood(void **state)
{
    (void)state;
    assert_binary(TYPE_JSON, json("{\"a\" : 1.0}"), "{\"a\" : 1.0}");
    assert_binary(TYPE_JSONB, json("[]"), "\1[]");
    assert_binary(TYPE_JSONB, escaped("a\\n\\u00e9"), "\1\"a\\n\\u00e9\"");
    assert_binary(TYPE_JSONB, string("say \"a\\b\"\n"), "\1\"say \\\"a\\\\b\\\"\\u000a\"");
    assert_binary(TYPE_JSONB, number("1.50"), "\0011.50");
    assert_binary(TYPE_JSONB, boolean(false), "\1false");
    assert_binary(TYPE_JSONB, integer(7), "\0017");
    assert_binary(TYPE_JSONB, bytes("{}", 2), "\1{}");
    assert_binary(TYPE_JSONB, unix_ms(0), "\1\"1970-01-01T00:00:00Z\"");
    assert_text(TYPE_JSONB, escaped("a\\n"), "\"a\\\\n\"");
    assert_refused(column_of(TYPE_JSON, "json", -1), unix_ms(INT64_MAX), "out of range");
    assert_refused(column_of(TYPE_JSONB, "jsonb", -1), unix_ms(INT64_MAX), "out of range");
    assert_refused(column_of(TYPE_TEXT, "text", -1), unix_ms(INT64_MAX), "out of range");
    assert_text(TYPE_JSON, json("{\n\"a\":\"\\\\\"}"), "{\\n\"a\":\"\\\\\\\\\"}");
}

static void writes_uuids(void **state)
{
    (void)state;
    assert_binary(TYPE_UUID, string("00010203-0405-0607-0809-0a0b0c0d0e0f"),
                  "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17");
    assert_text(TYPE_UUID, string("whatever"), "whatever");
    assert_refused(column_of(TYPE_UUID, "uuid", -1), number("1"), "uuid takes a string");
    assert_refused_as(column_of(TYPE_UUID, "uuid", -1), string("1"), TYPE_FORMAT_BINARY,
                      "is not a uuid");
}

static void writes_bytea(void **state)
{
    (void)state;
    assert_binary(TYPE_BYTEA, bytes("\0\xff\\", 3), "\0\xff\\");
    assert_binary(TYPE_BYTEA, escaped("\\\\x00ff"), "\0\xff");
    assert_binary(TYPE_BYTEA, string("a\\\\b\\000"), "a\\b\0");
    assert_text(TYPE_BYTEA, bytes("\0\xff\\", 3), "\\\\x00ff5c");
    assert_text(TYPE_BYTEA, escaped("\\\\x00ff"), "\\\\x00ff");
    assert_refused(column_of(TYPE_BYTEA, "bytea", -1), number("1"), "bytea takes bytes");
    assert_refused_as(column_of(TYPE_BYTEA, "bytea", -1), string("\\xg"), TYPE_FORMAT_BINARY,
                      "is not a bytea");
}

static void writes_dates_and_times(void **state)
{
    static const char second[] = "\0\0\0\0\0\17\102\100";

    (void)state;
    assert_binary(TYPE_TIMESTAMPTZ, string("2000-01-01T01:00:01+01:00"), second);
    assert_binary(TYPE_TIMESTAMP, string("2000-01-01T00:00:01+01:00"), second);
    assert_binary(TYPE_TIMESTAMPTZ, escaped("2000-01-01T01:00:01\\u002B01:00"), second);
    assert_binary(TYPE_TIMESTAMPTZ, number("946684801"), second);
    assert_binary(TYPE_TIMESTAMPTZ, integer(946684801000), second);
    assert_binary(TYPE_TIMESTAMPTZ, unix_ms(946684801000), second);
    assert_binary(TYPE_DATE, string("2000-01-03"), "\0\0\0\2");
    assert_binary(TYPE_DATE, unix_ms(946684799999), "\377\377\377\377");
    assert_text(TYPE_TIMESTAMPTZ, number("946684801.5"), "2000-01-01T00:00:01.500Z");
    assert_text(TYPE_DATE, unix_ms(946684801000), "2000-01-01T00:00:01Z");
    assert_text(TYPE_TIMESTAMP, string("tomorrow"), "tomorrow");
    assert_refused(column_of(TYPE_DATE, "date", -1), boolean(true), "date takes an ISO 8601");
    assert_refused(column_of(TYPE_TIMESTAMP, "timestamp", -1), number("1e30"), "out of range");
    assert_refused_as(column_of(TYPE_DATE, "date", -1), string("tomorrow"), TYPE_FORMAT_BINARY,
                      "YYYY-MM-DD");
}

/* In a name of a type's own, and with escapes that make it long. */
static void refuses_a_string_that_is_too_long_to_be_one(void **state)
{
    static const enum type_codec codecs[] = {TYPE_BOOL,    TYPE_INT8, TYPE_FLOAT4, TYPE_FLOAT8,
                                             TYPE_NUMERIC, TYPE_UUID, TYPE_DATE,   TYPE_TIMESTAMP};
    char text[1024];

    (void)state;
    memset(text, '1', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
        assert_refused_as(column_of(codecs[i], "type", -1), escaped(text), TYPE_FORMAT_BINARY,
                          "too long for this type");
}

static void writes_any_kind_for_other_types(void **state)
{
    (void)state;
    assert_text(TYPE_OTHER, string("1 day"), "1 day");
    assert_text(TYPE_OTHER, escaped("a\\\\b\\u0009"), "a\\\\b\\t");
    assert_text(TYPE_OTHER, number("1e3"), "1e3");
    assert_text(TYPE_OTHER, boolean(true), "true");
    assert_text(TYPE_OTHER, json("{\"a\":\"\\n\"}"), "{\"a\":\"\\\\n\"}");
    assert_text(TYPE_OTHER, json("[1]"), "[1]");
    assert_text(TYPE_OTHER, unix_ms(0), "1970-01-01T00:00:00Z");
}

static void writes_arrays_for_array_types(void **state)
{
    struct column texts = column_of(TYPE_OTHER, "text[]", -1);

    (void)state;
    assert_text_of(texts, json("[]"), "{}");
    assert_text_of(texts, json("[\"a\", null, 1.5, true]"), "{\"a\",NULL,1.5,true}");
    assert_text_of(texts, json("[\"a\\tb\"]"), "{\"a\\tb\"}");
    assert_text_of(texts, json("[\"\\\\\"]"), "{\"\\\\\\\\\"}");
    assert_text_of(texts, string("{a}"), "{a}");
    assert_text_of(texts, json("{\"a\":1}"), "{\"a\":1}");
    assert_refused_as(texts, json("[{}]"), TYPE_FORMAT_TEXT, "an object");
    for (int i = 0; i < 2; i++)
        assert_text_of(column_of(TYPE_OTHER, i ? "jsonb[]" : "json[]", -1), json("[{\"a\":1}]"),
                       "{\"{\\\\\"a\\\\\":1}\"}");
    assert_text_of(column_of(TYPE_OTHER, "[]", -1), json("[1]"), "[1]"); /* no array of anything */
}

/* Fields follow each other in one buffer; a refused one is cut off. */
static void leaves_what_was_written_before(void **state)
{
    struct column column = column_of(TYPE_JSONB, "jsonb", -1);
    struct value value = string("a");
    struct buffer out = {0};
    struct err err;

    (void)state;
    buffer_append(&out, "\\\t\n", 3);
    assert_true(type_encoder(TYPE_JSONB, TYPE_FORMAT_TEXT)(&out, &column, &value, &err));
    assert_string_equal(buffer_text(&out), "\\\t\n\"a\"");
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_codecs_of_types),
        cmocka_unit_test(writes_null_for_null_and_for_absent),
        cmocka_unit_test(writes_booleans),
        cmocka_unit_test(writes_integers),
        cmocka_unit_test(refuses_what_is_no_such_integer),
        cmocka_unit_test(writes_floats),
        cmocka_unit_test(writes_numerics),
        cmocka_unit_test(writes_any_kind_as_text),
        cmocka_unit_test(keeps_to_the_limit_of_varchar),
        cmocka_unit_test(writes_json_as_it_stood),
        cmocka_unit_test(writes_uuids),
        cmocka_unit_test(writes_bytea),
        cmocka_unit_test(writes_dates_and_times),
        cmocka_unit_test(refuses_a_string_that_is_too_long_to_be_one),
        cmocka_unit_test(writes_any_kind_for_other_types),
        cmocka_unit_test(writes_arrays_for_array_types),
        cmocka_unit_test(leaves_what_was_written_before),
    };

    return cmocka_run_group_tests_name("type", tests, NULL, NULL);
}
