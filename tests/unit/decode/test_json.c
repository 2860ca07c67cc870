/*
 * What the JSON decoder makes of a valid record: kinds, fields, names. Each document is copied into
 * memory of its very size, so that the address sanitizer sees a byte read too many. What is not
 * valid, and where, is test_json_rules.c's.
 */
#include "decode/json.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { VALUES_MAX = 3 };

static const char *const names[] = {"a", "bb", "name with 20 letters"};

/* A decoded document; `copy` is what the values point into. */
struct outcome {
    bool ok;
    char *copy;
    struct value values[VALUES_MAX];
    struct err err;
};

static char *copy_of(struct slice document)
{
    char *copy = memory_new(document.len);

    memcpy(copy, document.data, document.len);
    return copy;
}

static struct outcome project_as(struct slice document, const char *const *wanted, size_t count,
                                 enum json_unknown unknown)
{
    struct outcome outcome = {.copy = copy_of(document)};
    struct slice copy = {outcome.copy, document.len};
    struct json_fields *fields = json_fields_create(wanted, count, unknown);

    memset(outcome.values, 0xFF, sizeof(outcome.values));
    outcome.ok = json_project(fields, copy, outcome.values, &outcome.err);
    json_fields_destroy(fields);
    return outcome;
}

static struct outcome project(const char *document)
{
    return project_as(slice_of(document), names, COUNT_OF(names), JSON_UNKNOWN_IGNORE);
}

/* Of the first field, "a". */
static void assert_first(const char *document, enum value_kind kind, const char *text)
{
    struct outcome outcome = project(document);

    if (!outcome.ok)
        fail_msg("%s: %s", document, outcome.err.text);
    assert_int_equal(outcome.values[0].kind, kind);
    if (kind >= VALUE_NUMBER)
        assert_true(slice_equal(outcome.values[0].text, slice_of(text)));
    free(outcome.copy);
}

/* --- Values ------------------------------------------------------------------------------------
 */

static void tells_the_kind_of_each_value(void **state)
{
    (void)state;
    assert_first("{\"a\":null}", VALUE_NULL, NULL);
    assert_first("{\"a\":true}", VALUE_BOOLEAN, NULL);
    assert_first("{\"a\":12}", VALUE_NUMBER, "12");
    assert_first("{\"a\":\"text\"}", VALUE_STRING, "text");
    assert_first("{\"a\":\"\"}", VALUE_STRING, "");
    assert_first("{\"a\":\"li\\ne\"}", VALUE_ESCAPED, "li\\ne");
    assert_first("{\"a\":{}}", VALUE_JSON, "{}");
    assert_first("{\"a\":[]}", VALUE_JSON, "[]");
    assert_first("{\"a\":{\"b\":[1,{\"c\":\"]}\"}]}}", VALUE_JSON, "{\"b\":[1,{\"c\":\"]}\"}]}");
    assert_first("{\"b\":1}", VALUE_ABSENT, NULL);
    assert_first("{}", VALUE_ABSENT, NULL);
}

static void tells_true_from_false(void **state)
{
    struct outcome outcome = project("{\"a\":true,\"bb\":false}");

    (void)state;
    assert_true(outcome.ok);
    assert_int_equal(outcome.values[0].integer, 1);
    assert_int_equal(outcome.values[1].integer, 0);
    free(outcome.copy);
}

static void keeps_json_as_it_stood(void **state)
{
    (void)state;
    assert_first("{\"a\" : [ 1 , \"\\u0041\" ] }", VALUE_JSON, "[ 1 , \"\\u0041\" ]");
    assert_first("{\"a\":{ \"x\" : 1 }\n}", VALUE_JSON, "{ \"x\" : 1 }");
}

static void keeps_numbers_of_any_size_as_text(void **state)
{
    (void)state;
    assert_first("{\"a\":12345678901234567890.123456789}", VALUE_NUMBER,
                 "12345678901234567890.123456789");
    assert_first("{\"a\":1e400}", VALUE_NUMBER, "1e400");
    assert_first("{\"a\":-18446744073709551616}", VALUE_NUMBER, "-18446744073709551616");
}

static void accepts_every_form_of_number(void **state)
{
    static const char *const numbers[] = {
        "0",    "-0",  "7",      "10",      "-12",    "0.0",      "0.10", "1.5",
        "-1.5", "1e1", "1E1",    "1e+1",    "1e-1",   "1.5e10",   "0e0",  "-0.0e-00",
        "1e00", "9",   "1.0E+2", "123.456", "1e1000", "0.000001",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        char document[64];
        snprintf(document, sizeof(document), "{\"a\":%s}", numbers[i]);
        assert_first(document, VALUE_NUMBER, numbers[i]);
    }
}

static void reads_long_strings_to_their_end(void **state)
{
    char document[128];
    char text[64] = "";

    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        snprintf(document, sizeof(document), "{\"a\":\"%s\"}", text);
        assert_first(document, VALUE_STRING, text);
        text[len] = 'x';
        text[len + 1] = '\0';
    }
}

static void accepts_characters_of_every_length(void **state)
{
    (void)state;
    assert_first("{\"a\":\"z\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z\"}", VALUE_STRING,
                 "z\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z");
    assert_first("{\"a\":\"\x7F\"}", VALUE_STRING, "\x7F");
}

static void accepts_every_escape(void **state)
{
    (void)state;
    assert_first("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", VALUE_ESCAPED,
                 "\\\"\\\\\\/\\b\\f\\n\\r\\t");
    assert_first("{\"a\":\"\\u0001\\uFFFF\\uabCD\"}", VALUE_ESCAPED, "\\u0001\\uFFFF\\uabCD");
    assert_first("{\"a\":\"\\ud83d\\ude00\"}", VALUE_ESCAPED, "\\ud83d\\ude00");
    assert_first("{\"a\":\"\\uD800\\uDC00\\uDBFF\\uDFFF\"}", VALUE_ESCAPED,
                 "\\uD800\\uDC00\\uDBFF\\uDFFF");
    assert_first("{\"a\":\"\\ud7ff\\ue000\"}", VALUE_ESCAPED, "\\ud7ff\\ue000");
}

/* --- Fields ------------------------------------------------------------------------------------
 */

/* The order of the names is the expected one; all others must work as well. */
static void finds_fields_in_any_order(void **state)
{
    static const char *const documents[] = {
        "{\"a\":1,\"bb\":2,\"name with 20 letters\":3}",
        "{\"a\":1,\"name with 20 letters\":3,\"bb\":2}",
        "{\"bb\":2,\"a\":1,\"name with 20 letters\":3}",
        "{\"bb\":2,\"name with 20 letters\":3,\"a\":1}",
        "{\"name with 20 letters\":3,\"a\":1,\"bb\":2}",
        "{\"name with 20 letters\":3,\"bb\":2,\"a\":1}",
        "{ \"name with 20 letters\" : 3 , \"bb\" : 2 , \"a\" : 1 }",
        "{\"\":{},\"a\":1,\"b\":0,\"bb\":2,\"bbb\":0,\"name with 20 letters\":3,\"n\":[0]}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(documents); i++) {
        struct outcome outcome = project(documents[i]);
        assert_true(outcome.ok);
        assert_true(slice_equal(outcome.values[0].text, slice_of("1")));
        assert_true(slice_equal(outcome.values[1].text, slice_of("2")));
        assert_true(slice_equal(outcome.values[2].text, slice_of("3")));
        free(outcome.copy);
    }
}

static void ignores_fields_of_inner_objects(void **state)
{
    (void)state;
    assert_first("{\"x\":{\"a\":1}}", VALUE_ABSENT, NULL);
    assert_first("{\"x\":[{\"a\":1}],\"a\":2}", VALUE_NUMBER, "2");
}

static void takes_the_last_of_repeated_names(void **state)
{
    (void)state;
    assert_first("{\"a\":1,\"a\":2}", VALUE_NUMBER, "2");
    assert_first("{\"a\":1,\"bb\":0,\"\\u0061\":\"x\"}", VALUE_STRING, "x");
    assert_first("{\"a\":1,\"a\":null}", VALUE_NULL, NULL);
}

static void compares_names_without_escapes(void **state)
{
    static const char *const odd[] = {"\xC3\xA4\xF0\x9F\x98\x80/", "q\"\\\n", "\xFF"};
    struct slice document = slice_of("{\"\\u00e4\\uD83D\\uDE00\\/\":1,\"\\u0071\\\"\\\\\\n\":2}");
    struct outcome outcome = project_as(document, odd, COUNT_OF(odd), JSON_UNKNOWN_REJECT);

    (void)state;
    assert_true(outcome.ok);
    assert_true(slice_equal(outcome.values[0].text, slice_of("1")));
    assert_true(slice_equal(outcome.values[1].text, slice_of("2")));
    assert_int_equal(outcome.values[2].kind, VALUE_ABSENT);
    free(outcome.copy);
}

static void tells_escaped_names_apart(void **state)
{
    (void)state;
    assert_first("{\"\\u0061a\":1,\"\\u0062\":2,\"\\u0041\":3,\"a\\u0061\":4}", VALUE_ABSENT, NULL);
    assert_first("{\"\\u0061\":1}", VALUE_NUMBER, "1");
}

/* The bytes of such a name are no valid string as they are. */
static void assert_not_trusted(const char *name, const char *text)
{
    char *document = memory_printf("{\"%s\":1}", name);
    struct outcome outcome = project_as(slice_of(document), &name, 1, JSON_UNKNOWN_IGNORE);

    assert_false(outcome.ok);
    assert_string_equal(outcome.err.text, text);
    free(outcome.copy);
    free(document);
}

static void never_trusts_a_name_that_needs_checks(void **state)
{
    (void)state;
    assert_not_trusted("\xFF", "invalid JSON: invalid UTF-8 at byte 2");
    assert_not_trusted("a\n", "invalid JSON: a control character in a string at byte 3");
    assert_not_trusted("a\"b", "invalid JSON: ':' expected at byte 4");
    assert_not_trusted("a\\x", "invalid JSON: an unknown escape at byte 3");
}

static void works_without_fields(void **state)
{
    struct outcome outcome = project_as(slice_of("{\"a\":1}"), NULL, 0, JSON_UNKNOWN_IGNORE);

    (void)state;
    assert_true(outcome.ok);
    free(outcome.copy);
}

static void finds_each_of_many_fields(void **state)
{
    enum { MANY = 1600 };
    static char text[MANY][16];
    static const char *many[MANY];
    static struct value values[MANY];
    struct err err;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        snprintf(text[i], sizeof(text[i]), "column_%zu", i * 7919 % MANY);
        many[i] = text[i];
    }
    struct json_fields *fields = json_fields_create(many, MANY, JSON_UNKNOWN_REJECT);
    for (size_t i = 0; i < MANY; i++) {
        char document[32];
        snprintf(document, sizeof(document), "{\"%s\":%zu}", many[i], i);
        assert_true(json_project(fields, slice_of(document), values, &err));
        assert_int_equal(strtoul(values[i].text.data, NULL, 10), i);
    }
    json_fields_destroy(fields);
}

static void destroys_nothing(void **state)
{
    (void)state;
    json_fields_destroy(NULL);
}

/* --- Unknown fields ----------------------------------------------------------------------------
 */

static void assert_unknown(const char *document, const char *text)
{
    struct outcome outcome =
        project_as(slice_of(document), names, COUNT_OF(names), JSON_UNKNOWN_REJECT);

    assert_false(outcome.ok);
    assert_int_equal(outcome.err.class, ERR_DATA);
    assert_string_equal(outcome.err.text, text);
    free(outcome.copy);
}

static void names_the_unknown_field(void **state)
{
    (void)state;
    assert_unknown("{\"a\":1,\"x\":2}", "field \"x\" at byte 8 has no column");
    assert_unknown("{\"\":1}", "field \"\" at byte 2 has no column");
    assert_unknown("{\"A\":1}", "field \"A\" at byte 2 has no column");
    assert_unknown("{\"\\u0062\":1}", "field \"\\u0062\" at byte 2 has no column");
}

static void cuts_a_long_name(void **state)
{
    char document[128] = "{\"";
    char text[128] = "field \"";

    (void)state;
    memset(document + 2, 'x', 65);
    strncat(document, "\":1}", sizeof(document) - strlen(document) - 1);
    memset(text + 7, 'x', 64);
    strncat(text, "...\" at byte 2 has no column", sizeof(text) - strlen(text) - 1);
    assert_unknown(document, text);
}

static void hides_a_name_that_does_not_print(void **state)
{
    (void)state;
    assert_unknown("{\"\xC3\xA4\":1}", "the field at byte 2 has no column");
    assert_unknown("{\"\x7F\":1}", "the field at byte 2 has no column");
}

static void accepts_what_is_known(void **state)
{
    struct outcome outcome = project_as(slice_of("{\"a\":{\"x\":1},\"bb\":2}"), names,
                                        COUNT_OF(names), JSON_UNKNOWN_REJECT);

    (void)state;
    assert_true(outcome.ok);
    free(outcome.copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_kind_of_each_value),
        cmocka_unit_test(tells_true_from_false),
        cmocka_unit_test(keeps_json_as_it_stood),
        cmocka_unit_test(keeps_numbers_of_any_size_as_text),
        cmocka_unit_test(accepts_every_form_of_number),
        cmocka_unit_test(reads_long_strings_to_their_end),
        cmocka_unit_test(accepts_characters_of_every_length),
        cmocka_unit_test(accepts_every_escape),
        cmocka_unit_test(finds_fields_in_any_order),
        cmocka_unit_test(ignores_fields_of_inner_objects),
        cmocka_unit_test(takes_the_last_of_repeated_names),
        cmocka_unit_test(compares_names_without_escapes),
        cmocka_unit_test(tells_escaped_names_apart),
        cmocka_unit_test(never_trusts_a_name_that_needs_checks),
        cmocka_unit_test(works_without_fields),
        cmocka_unit_test(finds_each_of_many_fields),
        cmocka_unit_test(destroys_nothing),
        cmocka_unit_test(names_the_unknown_field),
        cmocka_unit_test(cuts_a_long_name),
        cmocka_unit_test(hides_a_name_that_does_not_print),
        cmocka_unit_test(accepts_what_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
