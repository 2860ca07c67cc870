/* Escapes taken out of JSON strings, and put in. */
#include "base/json_string.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* Into memory of the size that the contract asks for. */
static void assert_unescaped(const char *body, const char *text)
{
    size_t room = strlen(body);
    char *out = memory_new(room);
    size_t len = json_string_unescape(slice_of(body), out);

    assert_in_range(len, 0, room);
    assert_true(slice_equal((struct slice){out, len}, slice_of(text)));
    free(out);
}

static void leaves_plain_text_alone(void **state)
{
    (void)state;
    assert_unescaped("", "");
    assert_unescaped("text", "text");
    assert_unescaped("\xC3\xA4\xF0\x9F\x98\x80", "\xC3\xA4\xF0\x9F\x98\x80");
}

static void unescapes_every_letter(void **state)
{
    (void)state;
    assert_unescaped("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t");
    assert_unescaped("a\\nb\\\\n", "a\nb\\n");
    assert_unescaped("\\\\\\\\u0041", "\\\\u0041");
}

/* The ends of what takes one, two, three and four bytes of UTF-8. */
static void unescapes_characters_of_every_length(void **state)
{
    (void)state;
    assert_unescaped("\\u0001\\u007f", "\x01\x7F");
    assert_unescaped("\\u0080\\u07FF", "\xC2\x80\xDF\xBF");
    assert_unescaped("\\u0800\\uD7fF\\uE000\\uffff",
                     "\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF");
    assert_unescaped("\\uD800\\uDC00\\udbff\\udfff", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF");
    assert_unescaped("<\\ud83d\\ude00>", "<\xF0\x9F\x98\x80>");
}

static void reads_hexadecimal_digits_of_both_cases(void **state)
{
    (void)state;
    assert_unescaped("\\u00e4\\u00E4\\uabcd\\uABCD", "\xC3\xA4\xC3\xA4\xEA\xAF\x8D\xEA\xAF\x8D");
}

static void quotes_what_must_be_quoted(void **state)
{
    struct buffer out = {0};

    (void)state;
    json_string_append(&out, slice_of("a\"b\\c\nd/\x1F\x7F\xC3\xA4"));
    assert_string_equal(buffer_text(&out), "\"a\\\"b\\\\c\\u000ad/\\u001f\x7F\xC3\xA4\"");
    buffer_finish(&out);
}

static void appends_behind_what_is_there(void **state)
{
    struct buffer out = {0};

    (void)state;
    buffer_append_text(&out, "[");
    json_string_append(&out, slice_of(""));
    assert_string_equal(buffer_text(&out), "[\"\"");
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_plain_text_alone),
        cmocka_unit_test(unescapes_every_letter),
        cmocka_unit_test(unescapes_characters_of_every_length),
        cmocka_unit_test(reads_hexadecimal_digits_of_both_cases),
        cmocka_unit_test(quotes_what_must_be_quoted),
        cmocka_unit_test(appends_behind_what_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
