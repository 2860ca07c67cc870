/* Lines that never wrap. */
#include "ops/text_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct buffer out;
static struct text_line line;

static int end(void **state)
{
    (void)state;
    buffer_finish(&out);
    return 0;
}

static void begin(int room, bool colour)
{
    buffer_reset(&out);
    line = (struct text_line){&out, room, colour};
}

static void assert_line(const char *expected, int room)
{
    assert_string_equal(buffer_text(&out), expected);
    assert_int_equal(line.room, room);
}

static void what_fits_is_there(void **state)
{
    (void)state;
    begin(10, false);
    text_line_put(&line, TEXT_RED, "abc");
    text_line_pad(&line, 2);
    text_line_put(&line, TEXT_PLAIN, "fghij");
    assert_line("abc  fghij", 0);
    text_line_put(&line, TEXT_PLAIN, "k");
    text_line_pad(&line, 1);
    assert_line("abc  fghij", 0);
}

static void what_does_not_is_cut(void **state)
{
    (void)state;
    begin(8, false);
    text_line_put(&line, TEXT_PLAIN, "abcdefghi");
    assert_line("abcde...", 0);
    begin(3, false);
    text_line_put(&line, TEXT_PLAIN, "abcdefghi");
    assert_line("abc", 0);
}

static void or_left_out_with_its_gap(void **state)
{
    (void)state;
    begin(8, false);
    text_line_put_whole(&line, TEXT_PLAIN, 3, "abcdef");
    assert_line("", 8);
    text_line_put_whole(&line, TEXT_PLAIN, 3, "abcde");
    assert_line("   abcde", 0);
}

static void colours_take_no_columns(void **state)
{
    (void)state;
    begin(5, true);
    text_line_put(&line, TEXT_GREEN, "abc");
    text_line_put(&line, TEXT_PLAIN, "de");
    assert_line("\033[32mabc\033[0mde", 0);
}

static void other_characters_may_take_two_columns(void **state)
{
    (void)state;
    assert_int_equal(text_line_width("a東京"), 5);
    begin(6, false);
    text_line_put(&line, TEXT_PLAIN, "東京東京");
    assert_line("東...", 1);
}

static void nothing_speaks_to_the_terminal(void **state)
{
    (void)state;
    begin(20, true);
    text_line_put(&line, TEXT_PLAIN, "\033[2Ja\n\xff");
    assert_line("?[2Ja??", 13);
}

#define LINE_TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINE_TEST(what_fits_is_there),
        LINE_TEST(what_does_not_is_cut),
        LINE_TEST(or_left_out_with_its_gap),
        LINE_TEST(colours_take_no_columns),
        LINE_TEST(other_characters_may_take_two_columns),
        LINE_TEST(nothing_speaks_to_the_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
