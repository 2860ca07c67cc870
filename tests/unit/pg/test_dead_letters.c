/* A dead letter as a row of COPY text: whatever the record held comes through. */
#include "pg/dead_letters.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum field {
    FIELD_SINK,
    FIELD_TOPIC,
    FIELD_PARTITION,
    FIELD_OFFSET,
    FIELD_TIME,
    FIELD_KEY,
    FIELD_VALUE,
    FIELD_HEADERS,
    FIELD_REASON,
    FIELD_SQLSTATE,
    FIELD_TABLE,
    FIELD_COLUMN,
    FIELD_INSTANCE,
    FIELDS,
};

static struct buffer out;
static struct record record;
static struct err reason;
static struct dead_letter letter;

static int begin(void **state)
{
    (void)state;
    record = (struct record){.offset = 42, .timestamp_ms = -1, .value = slice_of("{}")};
    err_set(&reason, ERR_DATA, "no row");
    letter = (struct dead_letter){
        .sink = "sink",
        .topic = "orders",
        .partition = 3,
        .record = &record,
        .reason = &reason,
        .table = "\"public\".\"orders\"",
        .instance = "host-1",
    };
    return 0;
}

static int end(void **state)
{
    (void)state;
    buffer_finish(&out);
    return 0;
}

/* One field of the row that the letter becomes, as it stands there. */
static char *encoded(enum field field)
{
    buffer_reset(&out);
    dead_letters_encode(&out, &letter);
    const char *at = out.data;
    for (int i = 0; i < (int)field; i++)
        at = (const char *)memchr(at, '\t', (size_t)(out.data + out.len - at)) + 1;
    return memory_strndup(at, strcspn(at, "\t\n"));
}

static void assert_field(enum field field, const char *expected)
{
    char *text = encoded(field);

    assert_string_equal(text, expected);
    free(text);
}

static void a_letter_is_one_row_in_the_order_of_the_copy(void **state)
{
    (void)state;
    dead_letters_encode(&out, &letter);
    assert_string_equal(buffer_text(&out),
                        "sink\torders\t3\t42\t\\N\t\\N\t\\\\x7b7d\t\\N\tno row\t\\N\t"
                        "\"public\".\"orders\"\t\\N\thost-1\t\\N\n");
    assert_string_equal(dead_letters_copy_sql,
                        "COPY pgsluice.dead_letters (sink, topic, partition, record_offset,"
                        " record_time, key, value, headers, reason, sqlstate, target_table,"
                        " target_column, instance, backfill) FROM STDIN;");
}

static void letters_follow_each_other(void **state)
{
    (void)state;
    dead_letters_encode(&out, &letter);
    size_t one = out.len;
    dead_letters_encode(&out, &letter);
    assert_int_equal(out.len, 2 * one);
    assert_memory_equal(out.data, out.data + one, one);
}

static void bytes_are_kept_whatever_they_are(void **state)
{
    (void)state;
    record.key = (struct slice){"\0\t\n\\N\xff", 6};
    record.value = (struct slice){"\x80'\"", 3};
    assert_field(FIELD_KEY, "\\\\x00090a5c4eff");
    assert_field(FIELD_VALUE, "\\\\x802722");
}

static void an_empty_value_is_not_a_missing_one(void **state)
{
    (void)state;
    record.key = slice_of("");
    record.value = SLICE_NONE;
    assert_field(FIELD_KEY, "\\\\x");
    assert_field(FIELD_VALUE, "\\N");
}

static void a_huge_value_is_kept_whole(void **state)
{
    enum { HUGE_BYTES = 5 * 1024 * 1024 };
    char *huge = memory_new(HUGE_BYTES);

    (void)state;
    memset(huge, 0xAB, HUGE_BYTES);
    record.value = (struct slice){huge, HUGE_BYTES};
    char *text = encoded(FIELD_VALUE);
    assert_int_equal(strlen(text), 3 + 2 * HUGE_BYTES);
    assert_int_equal(strspn(text + 3, "ab"), 2 * HUGE_BYTES);
    free(text);
    free(huge);
}

static void headers_are_escaped_for_copy(void **state)
{
    (void)state;
    record.headers = slice_of("[{\"key\": \"a\\\\b\\n\", \"value\": null}]");
    assert_field(FIELD_HEADERS, "[{\"key\": \"a\\\\\\\\b\\\\n\", \"value\": null}]");
}

static void separators_in_a_text_do_not_separate(void **state)
{
    (void)state;
    letter.topic = "a\tb\nc\rd\\N";
    assert_field(FIELD_TOPIC, "a\\tb\\nc\\rd\\\\N");
}

static void the_end_of_copy_can_not_be_a_text(void **state)
{
    (void)state;
    letter.sink = "\\.";
    assert_field(FIELD_SINK, "\\\\.");
}

static void the_reason_names_column_and_code(void **state)
{
    (void)state;
    err_set(&reason, ERR_DATA, "column \"amount\": out of range");
    snprintf(reason.column, sizeof(reason.column), "amount");
    snprintf(reason.sqlstate, sizeof(reason.sqlstate), "22003");
    assert_field(FIELD_REASON, "column \"amount\": out of range");
    assert_field(FIELD_COLUMN, "amount");
    assert_field(FIELD_SQLSTATE, "22003");
}

static void a_reason_that_is_cut_inside_a_character_does_not_spoil_the_flush(void **state)
{
    (void)state;
    err_set(&reason, ERR_DATA, "unknown field \xe6\xb3");
    assert_field(FIELD_REASON, "(not valid UTF-8)");
}

static void assert_time(int64_t timestamp_ms, const char *expected)
{
    record.timestamp_ms = timestamp_ms;
    assert_field(FIELD_TIME, expected);
}

static void times_are_in_utc_to_the_millisecond(void **state)
{
    (void)state;
    setenv("TZ", "Asia/Tokyo", 1);
    assert_time(0, "1970-01-01 00:00:00.000+00");
    assert_time(1700000000123, "2023-11-14 22:13:20.123+00");
    assert_time(951782400007, "2000-02-29 00:00:00.007+00");
    assert_time(253402300799999, "9999-12-31 23:59:59.999+00");
    unsetenv("TZ");
}

static void absurd_times_are_left_out(void **state)
{
    (void)state;
    assert_time(-1, "\\N");
    assert_time(-62135596800000, "\\N");
    assert_time(253402300800000, "\\N");
    assert_time(INT64_MAX, "\\N");
    assert_time(INT64_MIN, "\\N");
}

static void numbers_reach_their_limits(void **state)
{
    (void)state;
    record.offset = INT64_MAX;
    letter.partition = INT32_MAX;
    assert_field(FIELD_OFFSET, "9223372036854775807");
    assert_field(FIELD_PARTITION, "2147483647");
}

#define LETTER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LETTER_TEST(a_letter_is_one_row_in_the_order_of_the_copy),
        LETTER_TEST(letters_follow_each_other),
        LETTER_TEST(bytes_are_kept_whatever_they_are),
        LETTER_TEST(an_empty_value_is_not_a_missing_one),
        LETTER_TEST(a_huge_value_is_kept_whole),
        LETTER_TEST(headers_are_escaped_for_copy),
        LETTER_TEST(separators_in_a_text_do_not_separate),
        LETTER_TEST(the_end_of_copy_can_not_be_a_text),
        LETTER_TEST(the_reason_names_column_and_code),
        LETTER_TEST(a_reason_that_is_cut_inside_a_character_does_not_spoil_the_flush),
        LETTER_TEST(times_are_in_utc_to_the_millisecond),
        LETTER_TEST(absurd_times_are_left_out),
        LETTER_TEST(numbers_reach_their_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
