/* What people see of a list. */
#include "ops/text_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct text_column columns[] = {{"TOPIC", false}, {"LAG", true}, {"OWNER", false}};

static struct text_table new_table(void)
{
    return (struct text_table){.columns = columns, .columns_count = COUNT_OF(columns)};
}

/* Ends the table. */
static void assert_shown(struct text_table *table, const char *expected)
{
    struct buffer out = {0};

    text_table_append(table, &out);
    assert_string_equal(buffer_text(&out), expected);
    buffer_finish(&out);
    text_table_finish(table);
}

static void without_rows_the_titles_are_shown(void **state)
{
    struct text_table table = new_table();

    (void)state;
    assert_shown(&table, "TOPIC  LAG  OWNER\n");
}

static void a_column_is_as_wide_as_its_widest_cell(void **state)
{
    struct text_table table = new_table();

    (void)state;
    text_table_put(&table, "payments");
    text_table_put_number(&table, 12);
    text_table_put(&table, "sink-1");
    text_table_put(&table, "o");
    text_table_put_number(&table, -123456);
    text_table_put(&table, NULL);
    assert_shown(&table, "TOPIC         LAG  OWNER\n"
                         "payments       12  sink-1\n"
                         "o         -123456\n");
}

static void what_speaks_to_a_terminal_is_silenced(void **state)
{
    struct text_table table = new_table();

    (void)state;
    text_table_put(&table, "a\033[2Jb\n");
    text_table_put(&table, "1");
    text_table_put(&table, "caf\xc3\xa9");
    assert_shown(&table, "TOPIC    LAG  OWNER\n"
                         "a?[2Jb?    1  caf\xc3\xa9\n");
}

static void many_rows_fit(void **state)
{
    struct text_table table = new_table();
    struct buffer out = {0};

    (void)state;
    for (int row = 0; row < 1000; row++) {
        text_table_put(&table, "t");
        text_table_put_number(&table, row);
        text_table_put(&table, "o");
    }
    text_table_append(&table, &out);
    assert_int_equal(out.len, strlen("TOPIC  LAG  OWNER\n") + 1000 * strlen("t      999  o\n"));
    buffer_finish(&out);
    text_table_finish(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rows_the_titles_are_shown),
        cmocka_unit_test(a_column_is_as_wide_as_its_widest_cell),
        cmocka_unit_test(what_speaks_to_a_terminal_is_silenced),
        cmocka_unit_test(many_rows_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
