/* Why dead letters are dead, and which of them their topic has. */
#include "dispatch/reasons.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct reasons reasons;

static int end(void **state)
{
    (void)state;
    reasons_finish(&reasons);
    return 0;
}

static void note(uint32_t index, const char *text, const char *sqlstate, const char *column)
{
    struct err err;

    err_set(&err, ERR_DATA, "%s", text);
    memcpy(err.sqlstate, sqlstate, strlen(sqlstate) + 1);
    memcpy(err.column, column, strlen(column) + 1);
    reasons_note(&reasons, index, &err);
}

/* "index text/sqlstate/column ..." */
static void assert_news(const char *expected)
{
    struct buffer text = {0};
    struct reason reason;
    uint32_t next = 0;

    while (reasons_next(&reasons, &next, &reason))
        buffer_printf(&text, "%u %s/%s/%s ", reason.index, reason.text, reason.sqlstate,
                      reason.column);
    assert_string_equal(buffer_text(&text), expected);
    buffer_finish(&text);
}

static void they_come_in_the_order_of_their_records(void **state)
{
    (void)state;
    note(5, "five", "", "");
    note(9, "nine", "23514", "");
    note(7, "seven", "22003", "n");
    note(0, "zero", "", "n");
    assert_news("0 zero//n 5 five// 7 seven/22003/n 9 nine/23514/ ");
}

static void what_is_acknowledged_is_no_news(void **state)
{
    (void)state;
    note(1, "one", "", "");
    note(3, "three", "", "");
    reasons_acknowledge(&reasons);
    assert_news("");
    note(2, "two", "", "");
    assert_news("2 two// ");
    reasons_acknowledge(&reasons);
    assert_news("");
}

static void another_encoding_does_not_forget_what_kafka_has(void **state)
{
    (void)state;
    note(1, "one", "", "");
    reasons_acknowledge(&reasons);
    reasons_begin(&reasons);
    note(1, "one", "", "");
    note(2, "two", "", "");
    assert_news("2 two// ");
}

static void what_is_committed_is_forgotten(void **state)
{
    (void)state;
    note(1, "one", "", "");
    note(3, "three", "", "");
    reasons_acknowledge(&reasons);
    note(5, "five", "", "");
    reasons_forget(&reasons, 3);
    assert_int_equal(reasons.count, 2);
    assert_news("5 five// ");
    reasons_forget(&reasons, 6);
    assert_int_equal(reasons.texts.len, 0);
    assert_news("");
}

static void another_batch_does(void **state)
{
    (void)state;
    note(1, "one", "", "");
    reasons_acknowledge(&reasons);
    reasons_reset(&reasons);
    assert_news("");
    note(1, "one", "", "");
    assert_news("1 one// ");
}

static void there_may_be_many(void **state)
{
    struct reason reason;
    uint32_t next = 0;

    (void)state;
    for (uint32_t i = 0; i < 10000; i++)
        note(i, "not JSON", "", "");
    for (uint32_t i = 0; i < 10000; i++) {
        assert_true(reasons_next(&reasons, &next, &reason));
        assert_int_equal(reason.index, i);
    }
    assert_false(reasons_next(&reasons, &next, &reason));
    assert_true(reasons_bytes(&reasons) >= 10000 * (8 + 3));
    reasons_acknowledge(&reasons);
    assert_news("");
}

#define REASONS_TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REASONS_TEST(they_come_in_the_order_of_their_records),
        REASONS_TEST(what_is_acknowledged_is_no_news),
        REASONS_TEST(another_encoding_does_not_forget_what_kafka_has),
        REASONS_TEST(what_is_committed_is_forgotten),
        REASONS_TEST(another_batch_does),
        REASONS_TEST(there_may_be_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
