/* Escaping in place, at every place relative to the eight-byte steps. */
#include "pg/copy_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { PLACES = 20 };

static void assert_escaped(const char *text, const char *expected)
{
    struct buffer out = {0};

    buffer_append_text(&out, text);
    copy_text_escape(&out, 0);
    assert_string_equal(buffer_text(&out), expected);
    buffer_finish(&out);
}

static void escapes_what_ends_fields_and_rows(void **state)
{
    (void)state;
    assert_escaped("", "");
    assert_escaped("plain", "plain");
    assert_escaped("\t\n\r\\", "\\t\\n\\r\\\\");
    assert_escaped("\\N", "\\\\N");
    assert_escaped("\\.", "\\\\.");
    assert_escaped("\x01\b\f\v\x1f\x7f\xC3\xA9", "\x01\b\f\v\x1f\x7f\xC3\xA9");
}

static void finds_one_anywhere(void **state)
{
    (void)state;
    for (int place = 0; place < PLACES; place++) {
        char text[PLACES + 1];
        char expected[PLACES + 2];
        memset(text, 'a', PLACES);
        memset(expected, 'a', PLACES + 1);
        text[PLACES] = expected[PLACES + 1] = '\0';
        text[place] = '\n';
        memcpy(expected + place, "\\n", 2);
        assert_escaped(text, expected);
    }
}

static void leaves_what_stands_before(void **state)
{
    struct buffer out = {0};

    (void)state;
    buffer_append_text(&out, "1\t");
    copy_text_escape(&out, out.len);
    buffer_append_text(&out, "a\tb");
    copy_text_escape(&out, 2);
    assert_string_equal(buffer_text(&out), "1\ta\\tb");
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_what_ends_fields_and_rows),
        cmocka_unit_test(finds_one_anywhere),
        cmocka_unit_test(leaves_what_stands_before),
    };

    return cmocka_run_group_tests_name("copy_text", tests, NULL, NULL);
}
