/* PostgreSQL's spellings of booleans, uuids and bytea. */
#include "pg/literal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_bool(const char *text, bool expected)
{
    bool result = !expected;

    assert_true(literal_parse_bool(slice_of(text), &result));
    assert_int_equal(result, expected);
}

static void reads_booleans_and_what_is_short_for_them(void **state)
{
    static const char *const yes[] = {"t", "tr", "TRUE", "y", "Yes", "on", "1", " true\n"};
    static const char *const no[] = {"f", "fal", "FALSE", "n", "No", "of", "off", "0", "\tfalse "};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(yes); i++)
        assert_bool(yes[i], true);
    for (size_t i = 0; i < COUNT_OF(no); i++)
        assert_bool(no[i], false);
}

static void refuses_other_words(void **state)
{
    static const char *const texts[] = {"", " ", "o", "onn", "offf", "2", "truex", "10", "tr ue"};
    bool result;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_false(literal_parse_bool(slice_of(texts[i]), &result));
}

static void reads_uuids(void **state)
{
    static const char *const texts[] = {
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",    "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",  "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
    };
    uint8_t result[LITERAL_UUID_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_true(literal_parse_uuid(slice_of(texts[i]), result));
        assert_memory_equal(result,
                            "\xa0\xee\xbc\x99\x9c\x0b\x4e\xf8\xbb\x6d\x6b\xb9\xbd\x38\x0a\x11", 16);
    }
}

static void refuses_other_uuids(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0-eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
        " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    };
    uint8_t result[LITERAL_UUID_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_false(literal_parse_uuid(slice_of(texts[i]), result));
}

static void assert_bytea(const char *text, const char *expected, size_t expected_len)
{
    char result[64];
    size_t len = 0;

    assert_true(literal_parse_bytea(slice_of(text), result, &len));
    assert_int_equal(len, expected_len);
    assert_memory_equal(result, expected, len);
}

static void reads_both_forms_of_bytea(void **state)
{
    (void)state;
    assert_bytea("", "", 0);
    assert_bytea("\\x", "", 0);
    assert_bytea("\\x00DEad", "\0\xde\xad", 3);
    assert_bytea("\\x de\nad\t", "\xde\xad", 2);
    assert_bytea("abc", "abc", 3);
    assert_bytea("a\\\\b\\000\\377", "a\\b\0\377", 5);
}

static void refuses_other_forms_of_bytea(void **state)
{
    static const char *const texts[] = {"\\xd", "\\xd ead", "\\xgg", "\\", "\\a", "\\400", "\\08"};
    char result[64];
    size_t len;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_false(literal_parse_bytea(slice_of(texts[i]), result, &len));
}

static void parses_bytea_in_its_own_place(void **state)
{
    char text[] = "\\xdeadbeef";
    size_t len = 0;

    (void)state;
    assert_true(literal_parse_bytea(slice_of(text), text, &len));
    assert_int_equal(len, 4);
    assert_memory_equal(text, "\xde\xad\xbe\xef", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_booleans_and_what_is_short_for_them),
        cmocka_unit_test(refuses_other_words),
        cmocka_unit_test(reads_uuids),
        cmocka_unit_test(refuses_other_uuids),
        cmocka_unit_test(reads_both_forms_of_bytea),
        cmocka_unit_test(refuses_other_forms_of_bytea),
        cmocka_unit_test(parses_bytea_in_its_own_place),
    };

    return cmocka_run_group_tests_name("literal", tests, NULL, NULL);
}
