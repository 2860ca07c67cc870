/* Well-formed and malformed UTF-8, at every place relative to the eight-byte steps. */
#include "base/utf8.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { OFFSETS = 17, TEXT_BYTES = 64 };

/* Whether `bytes` is valid with `before` letters in front of it and `after` behind it. */
static bool valid_between(const char *bytes, size_t before, size_t after)
{
    char text[TEXT_BYTES];
    size_t len = strlen(bytes);

    memset(text, 'a', sizeof(text));
    memcpy(text + before, bytes, len);
    return utf8_valid((struct slice){text, before + len + after});
}

static void assert_everywhere(const char *bytes, bool valid)
{
    for (size_t before = 0; before < OFFSETS; before++) {
        for (size_t after = 0; after < OFFSETS; after++)
            assert_int_equal(valid_between(bytes, before, after), valid);
    }
}

/* The first and the last code point of every row of the Unicode standard's table 3-7. */
static void accepts_the_ends_of_every_range(void **state)
{
    static const char *const texts[] = {
        "\x01",
        "\x7F",
        "\xC2\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xE0\xBF\xBF",
        "\xE1\x80\x80",
        "\xEC\xBF\xBF",
        "\xED\x80\x80",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
        "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80",
        "\xF0\xBF\xBF\xBF",
        "\xF1\x80\x80\x80",
        "\xF3\xBF\xBF\xBF",
        "\xF4\x80\x80\x80",
        "\xF4\x8F\xBF\xBF",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_everywhere(texts[i], true);
        assert_int_equal(utf8_length(slice_of(texts[i])), 1);
    }
}

static void rejects_overlong_forms(void **state)
{
    static const char *const texts[] = {
        "\xC0\x80",     "\xC0\xAF",         "\xC1\xBF",         "\xE0\x80\x80",
        "\xE0\x9F\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_everywhere(texts[i], false);
}

static void rejects_surrogates_and_what_is_above_unicode(void **state)
{
    static const char *const texts[] = {
        "\xED\xA0\x80",
        "\xED\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xF8\x88\x80\x80",
        "\xFC\x84\x80\x80\x80",
        "\xED\xA0\xBD\xED\xB8\x80",
        "\xFE",
        "\xFF",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_everywhere(texts[i], false);
}

static void rejects_lone_and_missing_continuations(void **state)
{
    static const char *const texts[] = {
        "\x80",         "\xBF",     "\xC2",         "\xC2\xC2\x80",     "\xE1\x80",
        "\xE1\x80\xC0", "\xE1",     "\xF1\x80\x80", "\xF1\x80\x80\x7F", "\xF1\x80",
        "\xF1",         "\xC2\x7F", "\xC2\x80\x80", "\xE1\x7F\x80",     "\xF1\xC0\x80\x80",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_everywhere(texts[i], false);
}

/* Every two bytes, against the definition. */
static void agrees_with_the_definition_on_all_pairs(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair <= UINT16_MAX; pair++) {
        unsigned first = pair >> 8;
        unsigned second = pair & 0xFF;
        char text[2] = {(char)first, (char)second};
        bool ascii = first < 0x80 && second < 0x80;
        bool two = first >= 0xC2 && first <= 0xDF && second >= 0x80 && second <= 0xBF;
        assert_int_equal(utf8_valid((struct slice){text, 2}), ascii || two);
    }
}

static void accepts_the_empty_text(void **state)
{
    (void)state;
    assert_true(utf8_valid(slice_of("")));
    assert_true(utf8_valid(SLICE_NONE));
    assert_int_equal(utf8_length(slice_of("")), 0);
    assert_int_equal(utf8_length(SLICE_NONE), 0);
}

static void accepts_nul_as_a_character(void **state)
{
    (void)state;
    assert_true(utf8_valid((struct slice){"a\0b", 3}));
    assert_int_equal(utf8_length((struct slice){"a\0b", 3}), 3);
}

static void counts_characters_not_bytes(void **state)
{
    /* 1 + 2 + 3 + 4 bytes are four characters. */
    const char *four = "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80";
    char text[TEXT_BYTES * 10];

    (void)state;
    for (size_t count = 0; count < TEXT_BYTES; count++) {
        for (size_t i = 0; i < count; i++)
            memcpy(text + i * 10, four, 10);
        assert_int_equal(utf8_length((struct slice){text, count * 10}), count * 4);
    }
}

static void measures_one_sequence(void **state)
{
    const char *text = "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80";
    const char *end = text + strlen(text);

    (void)state;
    assert_int_equal(utf8_sequence(text, end), 1);
    assert_int_equal(utf8_sequence(text + 1, end), 2);
    assert_int_equal(utf8_sequence(text + 3, end), 3);
    assert_int_equal(utf8_sequence(text + 6, end), 4);
    assert_int_equal(utf8_sequence(text + 6, end - 1), 0);
    assert_int_equal(utf8_sequence(text + 2, end), 0);
    assert_int_equal(utf8_sequence(end, end), 0);
}

static void skips_what_is_not_ascii(void **state)
{
    const char *text = "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z\xC3\xA4\xC3";
    const char *end = text + strlen(text);

    (void)state;
    assert_ptr_equal(utf8_skip_multibyte(text, end), text + 9);
    assert_ptr_equal(utf8_skip_multibyte(text, text + 8), text + 5);
    assert_ptr_equal(utf8_skip_multibyte(text + 9, end), text + 9);
    assert_ptr_equal(utf8_skip_multibyte(text + 10, end), text + 12);
    assert_ptr_equal(utf8_skip_multibyte(text + 1, end), text + 1);
    assert_ptr_equal(utf8_skip_multibyte(end, end), end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_ends_of_every_range),
        cmocka_unit_test(rejects_overlong_forms),
        cmocka_unit_test(rejects_surrogates_and_what_is_above_unicode),
        cmocka_unit_test(rejects_lone_and_missing_continuations),
        cmocka_unit_test(agrees_with_the_definition_on_all_pairs),
        cmocka_unit_test(accepts_the_empty_text),
        cmocka_unit_test(accepts_nul_as_a_character),
        cmocka_unit_test(counts_characters_not_bytes),
        cmocka_unit_test(measures_one_sequence),
        cmocka_unit_test(skips_what_is_not_ascii),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
