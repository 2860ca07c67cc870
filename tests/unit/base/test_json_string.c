/* Escapes away and in again. */
#include "base/json_string.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { TEXT_BYTES = 64 };

static void assert_unescaped(const char *body, const char *expected)
{
    char out[TEXT_BYTES];
    size_t len = json_string_unescape(slice_of(body), out);

    assert_int_equal(len, strlen(expected));
    assert_memory_equal(out, expected, len);
}

static void assert_quoted(const char *text, const char *expected)
{
    struct buffer out = {0};

    json_string_append(&out, slice_of(text));
    assert_string_equal(buffer_text(&out), expected);
    buffer_finish(&out);
}

static void unescapes_each_letter(void **state)
{
    (void)state;
    assert_unescaped("", "");
    assert_unescaped("plain", "plain");
    assert_unescaped("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t");
    assert_unescaped("a\\nb", "a\nb");
    assert_unescaped("\\\\u0041", "\\u0041");
}

static void unescapes_code_points_of_every_length(void **state)
{
    (void)state;
    assert_unescaped("\\u0041\\u007f", "A\x7f");
    assert_unescaped("\\u0080\\u00E9\\u07ff", "\xC2\x80\xC3\xA9\xDF\xBF");
    assert_unescaped("\\u0800\\u20ac\\uFFFF", "\xE0\xA0\x80\xE2\x82\xAC\xEF\xBF\xBF");
    assert_unescaped("\\ud83d\\udc18", "\xF0\x9F\x90\x98");
    assert_unescaped("\\uD800\\uDC00\\udbff\\udfff", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF");
}

/* None of these is valid: the result is nonsense, but not longer than the body. */
static void stays_within_a_body_that_is_cut(void **state)
{
    static const char *const bodies[] = {
        "\\",      "a\\",       "\\u",           "\\u1",           "\\u12", "\\u123",
        "\\ud83d", "\\ud83d\\", "\\ud83d\\udc1", "\\udc18\\ud83d", "\\q",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        char out[TEXT_BYTES];
        assert_true(json_string_unescape(slice_of(bodies[i]), out) <= strlen(bodies[i]));
    }
}

static void quotes_what_json_wants_escaped(void **state)
{
    (void)state;
    assert_quoted("", "\"\"");
    assert_quoted("plain \xC3\xA9/", "\"plain \xC3\xA9/\"");
    assert_quoted("say \"a\\b\"", "\"say \\\"a\\\\b\\\"\"");
    assert_quoted("\x01\n\x1f\x7f", "\"\\u0001\\u000a\\u001f\x7f\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unescapes_each_letter),
        cmocka_unit_test(unescapes_code_points_of_every_length),
        cmocka_unit_test(stays_within_a_body_that_is_cut),
        cmocka_unit_test(quotes_what_json_wants_escaped),
    };

    return cmocka_run_group_tests_name("json_string", tests, NULL, NULL);
}
