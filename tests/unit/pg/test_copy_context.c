/* COPY's line of a CONTEXT, with the words of every language that PostgreSQL 15 speaks. */
#include "pg/copy_context.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static size_t line_of(const char *line)
{
    return copy_context_read(line, "orders").line;
}

static void the_line_is_read_in_every_language(void **state)
{
    static const char *const lines[] = {
        "COPY orders, line 51, column amount: \"abc\"",
        "COPY orders, Zeile 51, Spalte amount: »abc«",
        "COPY orders, línea 51, columna amount: «abc»",
        "COPY orders, ligne 51, colonne amount : « abc »",
        "COPY orders, riga 51, colonna amount: \"abc\"",
        "ordersのCOPY、行 51、列 amount: \"abc\"",
        "COPY orders, ხაზი 51, სვეტი amount: \"abc\"",
        "orders 복사, 51번째 줄, amount 열: \"abc\"",
        "COPY orders, 51행, amount 열: null 입력",
        "COPY orders, строка 51, столбец amount: \"abc\"",
        "COPY orders, rad 51, kolumn amount: \"abc\"",
        "COPY orders, рядок 51, стовпець amount: \"abc\"",
        "COPY orders, 第 51 行, 列 amount: \"abc\"",
        "COPY orders, 第 51 行, 欄位 amount: \"abc\"",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        if (line_of(lines[i]) != 51)
            fail_msg("%zu: %s", line_of(lines[i]), lines[i]);
        assert_string_equal(copy_context_find(lines[i]), lines[i]);
    }
}

static void behind_the_number_stands_the_rest(void **state)
{
    (void)state;
    assert_string_equal(copy_context_read("COPY orders, line 51, column amount", "orders").behind,
                        ", column amount");
    assert_string_equal(copy_context_read("COPY orders, line 51", "orders").behind, "");
    assert_string_equal(copy_context_read("nothing", "orders").behind, "");
}

static void a_table_may_be_called_anything(void **state)
{
    (void)state;
    assert_int_equal(copy_context_read("COPY orders 2, line 7, line 51", "orders 2, line 7").line,
                     51);
    assert_int_equal(copy_context_read("2024のCOPY、行 51", "2024").line, 51);
    assert_int_equal(copy_context_read("2024 복사, 51번째 줄", "2024").line, 51);
    assert_int_equal(copy_context_read("COPY COPY , line 51", "COPY ").line, 51);
}

static void another_table_has_no_line(void **state)
{
    (void)state;
    assert_int_equal(line_of("COPY dead_letters, line 51"), 0);
    assert_int_equal(line_of("clicksのCOPY、行 51"), 0);
}

static void what_does_not_say_a_line_has_none(void **state)
{
    (void)state;
    assert_int_equal(line_of(""), 0);
    assert_int_equal(line_of("COPY orders"), 0);
    assert_int_equal(line_of("COPY orders\nline 51"), 0);
    assert_int_equal(line_of("orders, line 51"), 0);
    assert_int_equal(line_of("SQL statement \"SELECT 51 FROM orders\""), 0);
}

static void a_number_that_is_too_large_stays_too_large(void **state)
{
    (void)state;
    assert_true(line_of("COPY orders, line 99999999999999999999999") == SIZE_MAX);
}

static void copys_line_is_found_under_others(void **state)
{
    (void)state;
    assert_string_equal(copy_context_find("PL/pgSQL function f() line 3 at RAISE\n"
                                          "SQL statement \"COPYING\"\n"
                                          "COPY orders, line 51"),
                        "COPY orders, line 51");
    assert_string_equal(copy_context_find("PL/pgSQL関数f()の3行目 - RAISE\n"
                                          "ordersのCOPY、行 51: \"x\""),
                        "ordersのCOPY、行 51: \"x\"");
}

static void a_value_can_not_pass_for_copys_line(void **state)
{
    static const char *const contexts[] = {
        "COPY orders, line 51, column note: \"x\nCOPY orders, line 1\"",
        "ordersのCOPY、行 51、列 note: \"x\nCOPY orders, line 1\"",
        "COPY orders, line 51, column note: \"ordersのCOPY、行 1\"",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(contexts); i++) {
        assert_string_equal(copy_context_find(contexts[i]), contexts[i]);
        assert_int_equal(line_of(contexts[i]), 51);
    }
}

static void without_copys_line_nothing_is_found(void **state)
{
    (void)state;
    assert_string_equal(copy_context_find(""), "");
    assert_string_equal(copy_context_find("SQL statement \"SELECT 1 FROM ONLY customers x\""), "");
    assert_string_equal(copy_context_find("a\nb\n"), "");
    assert_string_equal(copy_context_find("unnamed portal \" 복사, \""), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_is_read_in_every_language),
        cmocka_unit_test(behind_the_number_stands_the_rest),
        cmocka_unit_test(a_table_may_be_called_anything),
        cmocka_unit_test(another_table_has_no_line),
        cmocka_unit_test(what_does_not_say_a_line_has_none),
        cmocka_unit_test(a_number_that_is_too_large_stays_too_large),
        cmocka_unit_test(copys_line_is_found_under_others),
        cmocka_unit_test(a_value_can_not_pass_for_copys_line),
        cmocka_unit_test(without_copys_line_nothing_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
