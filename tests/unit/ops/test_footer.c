/* What reaches the terminal, and what a terminal of a few lines makes of it. */
#include "ops/footer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 12, COLUMNS = 20 };

static struct footer footer;
static struct buffer out;

/* The little of a terminal that is needed here; it neither scrolls nor reflows. */
static struct {
    char cells[ROWS][COLUMNS + 1];
    int row;
    int column;
} screen;

static int begin(void **state)
{
    (void)state;
    footer = (struct footer){0};
    memset(&screen, 0, sizeof(screen));
    for (int row = 0; row < ROWS; row++)
        memset(screen.cells[row], ' ', COLUMNS);
    return 0;
}

static int end(void **state)
{
    (void)state;
    footer_finish(&footer);
    buffer_finish(&out);
    return 0;
}

static void clear_line(int row, int from)
{
    memset(screen.cells[row] + from, ' ', (size_t)(COLUMNS - from));
}

static const char *obey(const char *at)
{
    char *end;
    int count = (int)strtol(at + 2, &end, 10);

    at = end;
    if (*at == 'A')
        screen.row -= count;
    if (*at == 'K' || *at == 'J')
        clear_line(screen.row, screen.column);
    for (int row = screen.row + 1; *at == 'J' && row < ROWS; row++)
        clear_line(row, 0);
    return at;
}

static void print(char letter)
{
    if (screen.column == COLUMNS) {
        screen.column = 0;
        screen.row++;
    }
    screen.cells[screen.row][screen.column++] = letter;
}

static void show(void)
{
    for (const char *at = buffer_text(&out); *at; at++) {
        if (*at == '\033')
            at = obey(at);
        else if (*at == '\n')
            screen.row++, screen.column = 0;
        else if (*at == '\r')
            screen.column = 0;
        else
            print(*at);
    }
    buffer_reset(&out);
}

static void replace(const char *text)
{
    footer_replace(&footer, slice_of(text), COLUMNS, &out);
    show();
}

static void insert(const char *text)
{
    footer_insert(&footer, slice_of(text), COLUMNS, &out);
    show();
}

/* The lines of the screen, without spaces behind them and empty lines below them. */
static void assert_screen(const char *expected)
{
    char text[ROWS * (COLUMNS + 2)] = "";
    size_t len = 0;
    size_t used = 0;

    for (int row = 0; row < ROWS; row++) {
        int width = COLUMNS;
        while (width > 0 && screen.cells[row][width - 1] == ' ')
            width--;
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s\n", width, screen.cells[row]);
        used = width > 0 ? len : used;
    }
    text[used] = '\0';
    assert_string_equal(text, expected);
}

static void it_is_drawn_over_itself(void **state)
{
    (void)state;
    replace("first line\nsecond\n");
    assert_screen("first line\nsecond\n");
    replace("1st\n2nd\n3rd\n");
    assert_screen("1st\n2nd\n3rd\n");
    replace("alone\n");
    assert_screen("alone\n");
    assert_int_equal(screen.row, 1);
}

static void nothing_is_blanked_before_it_is_written(void **state)
{
    (void)state;
    replace("one\ntwo\n");
    footer_replace(&footer, slice_of("three\nfour\n"), COLUMNS, &out);
    assert_string_equal(buffer_text(&out), "\r\033[2Athree\033[K\nfour\033[K\n\033[J");
}

static void taken_away_it_leaves_nothing(void **state)
{
    (void)state;
    insert("log\n");
    replace("one\ntwo\n");
    replace("");
    assert_screen("log\n");
    assert_int_equal(screen.row, 1);
    footer_replace(&footer, slice_of(""), COLUMNS, &out);
    assert_int_equal(out.len, 0);
}

static void lines_go_above(void **state)
{
    (void)state;
    insert("before\n");
    replace("one\ntwo\n");
    insert("in between\n");
    insert("wider than the terminal is\n");
    replace("1\n2\n");
    assert_screen("before\nin between\nwider than the termi\nnal is\n1\n2\n");
}

static void a_terminal_that_became_narrower_has_wrapped_it(void **state)
{
    (void)state;
    replace("\033[32mfifteen columns\033[0m\nten column\nföur\n");
    footer_replace(&footer, slice_of("x\n"), 10, &out);
    assert_string_equal(buffer_text(&out), "\r\033[4Ax\033[K\n\033[J");
}

#define FOOTER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOOTER_TEST(it_is_drawn_over_itself),
        FOOTER_TEST(nothing_is_blanked_before_it_is_written),
        FOOTER_TEST(taken_away_it_leaves_nothing),
        FOOTER_TEST(lines_go_above),
        FOOTER_TEST(a_terminal_that_became_narrower_has_wrapped_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
