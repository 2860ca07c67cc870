/*
 * The rules of RFC 8259, one by one: what is rejected and at which byte, and what only just passes.
 * json_project and json_validate must say the same. Each document is copied into memory of its very
 * size, so that the address sanitizer sees a byte read too many.
 */
#include "decode/json.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef bool (*decode_cb)(struct slice document, struct err *err);

static bool project(struct slice document, struct err *err)
{
    static const char *const names[] = {"a", "bb"};
    struct value values[COUNT_OF(names)];
    struct json_fields *fields = json_fields_create(names, COUNT_OF(names), JSON_UNKNOWN_IGNORE);
    bool ok = json_project(fields, document, values, err);

    json_fields_destroy(fields);
    return ok;
}

static bool decode_copy(decode_cb decode, struct slice document, struct err *err)
{
    char *copy = memory_new(document.len);

    memcpy(copy, document.data, document.len);
    bool ok = decode((struct slice){copy, document.len}, err);
    free(copy);
    return ok;
}

static void assert_accepted_by(decode_cb decode, const char *document)
{
    struct err err;

    if (!decode_copy(decode, slice_of(document), &err))
        fail_msg("%s: %s", document, err.text);
}

static void assert_rejected_by(decode_cb decode, struct slice document, const char *text)
{
    struct err err;

    assert_false(decode_copy(decode, document, &err));
    assert_int_equal(err.class, ERR_DATA);
    assert_string_equal(err.text, text);
}

/* A value of any kind. */
static void assert_valid(const char *document)
{
    assert_accepted_by(json_validate, document);
}

static void assert_invalid(const char *document, const char *text)
{
    assert_rejected_by(json_validate, slice_of(document), text);
}

/* An object. */
static void assert_accepted(const char *document)
{
    assert_accepted_by(project, document);
    assert_accepted_by(json_validate, document);
}

static void assert_slice_rejected(struct slice document, const char *text)
{
    assert_rejected_by(project, document, text);
    assert_rejected_by(json_validate, document, text);
}

static void assert_rejected(const char *document, const char *text)
{
    assert_slice_rejected(slice_of(document), text);
}

static void assert_no_object(struct slice document, const char *text)
{
    assert_rejected_by(project, document, text);
}

static void rejects_what_is_no_object(void **state)
{
    (void)state;
    assert_no_object(slice_of(""), "invalid JSON: ends at byte 0, an object expected");
    assert_no_object(slice_of("  "), "invalid JSON: ends at byte 2, an object expected");
    assert_no_object(slice_of("[{}]"), "invalid JSON: an object expected at byte 0");
    assert_no_object(slice_of(" null"), "invalid JSON: an object expected at byte 1");
    assert_no_object(slice_of("\"a\""), "invalid JSON: an object expected at byte 0");
    assert_no_object((struct slice){"\0", 1}, "invalid JSON: an object expected at byte 0");
}

/* A tombstone should not get here; if it does, it is no object either. */
static void rejects_no_value_at_all(void **state)
{
    struct err err;

    (void)state;
    assert_false(project(SLICE_NONE, &err));
    assert_string_equal(err.text, "invalid JSON: ends at byte 0, an object expected");
    assert_false(json_validate(SLICE_NONE, &err));
    assert_string_equal(err.text, "invalid JSON: ends at byte 0, a value expected");
}

static void rejects_faults_in_an_object(void **state)
{
    (void)state;
    assert_rejected("{", "invalid JSON: ends at byte 1, a field's name expected");
    assert_rejected("{ ", "invalid JSON: ends at byte 2, a field's name expected");
    assert_rejected("{,", "invalid JSON: a field's name expected at byte 1");
    assert_rejected("{a:1}", "invalid JSON: a field's name expected at byte 1");
    assert_rejected("{'a':1}", "invalid JSON: a field's name expected at byte 1");
    assert_rejected("{1:1}", "invalid JSON: a field's name expected at byte 1");
    assert_rejected("{\"a\"}", "invalid JSON: ':' expected at byte 4");
    assert_rejected("{\"a\" 1}", "invalid JSON: ':' expected at byte 5");
    assert_rejected("{\"a\"", "invalid JSON: ends at byte 4, ':' expected");
    assert_rejected("{\"a\":", "invalid JSON: ends at byte 5, a value expected");
    assert_rejected("{\"a\":}", "invalid JSON: a value expected at byte 5");
    assert_rejected("{\"a\"::1}", "invalid JSON: a value expected at byte 5");
    assert_rejected("{\"a\":1", "invalid JSON: ends at byte 6, ',' or '}' expected");
    assert_rejected("{\"a\":1 ", "invalid JSON: ends at byte 7, ',' or '}' expected");
    assert_rejected("{\"a\":1]", "invalid JSON: ',' or '}' expected at byte 6");
    assert_rejected("{\"a\":1 \"bb\":2}", "invalid JSON: ',' or '}' expected at byte 7");
    assert_rejected("{\"a\":1,}", "invalid JSON: a field's name expected at byte 7");
    assert_rejected("{\"a\":1,", "invalid JSON: ends at byte 7, a field's name expected");
    assert_rejected("{\"a\":1,,}", "invalid JSON: a field's name expected at byte 7");
}

static void rejects_faults_deeper_down(void **state)
{
    (void)state;
    assert_rejected("{\"x\":[", "invalid JSON: ends at byte 6, a value expected");
    assert_rejected("{\"x\":[}", "invalid JSON: a value expected at byte 6");
    assert_rejected("{\"x\":[,1]}", "invalid JSON: a value expected at byte 6");
    assert_rejected("{\"x\":[1,]}", "invalid JSON: a value expected at byte 8");
    assert_rejected("{\"x\":[1 2]}", "invalid JSON: ',' or ']' expected at byte 8");
    assert_rejected("{\"x\":[1}}", "invalid JSON: ',' or ']' expected at byte 7");
    assert_rejected("{\"x\":[1", "invalid JSON: ends at byte 7, ',' or ']' expected");
    assert_rejected("{\"x\":{]}", "invalid JSON: a field's name expected at byte 6");
    assert_rejected("{\"x\":{\"y\"}}", "invalid JSON: ':' expected at byte 9");
    assert_rejected("{\"x\":{\"y\":1,}}", "invalid JSON: a field's name expected at byte 12");
    assert_rejected("{\"x\":{\"y\":[1]]}", "invalid JSON: ',' or '}' expected at byte 13");
    assert_rejected("{\"x\":[{\"y\":1]}", "invalid JSON: ',' or '}' expected at byte 12");
    assert_rejected("{\"x\":{}", "invalid JSON: ends at byte 7, ',' or '}' expected");
    assert_rejected("{\"x\":[\"\x01\"]}",
                    "invalid JSON: a control character in a string at byte 7");
}

static void rejects_what_follows_the_value(void **state)
{
    (void)state;
    assert_rejected("{} {}", "invalid JSON: the end expected at byte 3");
    assert_rejected("{},", "invalid JSON: the end expected at byte 2");
    assert_rejected("{\"a\":1}}", "invalid JSON: the end expected at byte 7");
    assert_slice_rejected((struct slice){"{}\0", 3}, "invalid JSON: the end expected at byte 2");
    assert_invalid("1 2", "invalid JSON: the end expected at byte 2");
    assert_invalid("[]]", "invalid JSON: the end expected at byte 2");
}

static void rejects_faults_in_words(void **state)
{
    (void)state;
    assert_rejected("{\"a\":tru}", "invalid JSON: an unknown word at byte 5");
    assert_rejected("{\"a\":True}", "invalid JSON: a value expected at byte 5");
    assert_rejected("{\"a\":nul", "invalid JSON: an unknown word at byte 5");
    assert_rejected("{\"a\":falsy}", "invalid JSON: an unknown word at byte 5");
    assert_rejected("{\"a\":nullx}", "invalid JSON: ',' or '}' expected at byte 9");
    assert_rejected("{\"a\":NaN}", "invalid JSON: a value expected at byte 5");
    assert_rejected("{\"a\":Infinity}", "invalid JSON: a value expected at byte 5");
    assert_invalid("t", "invalid JSON: an unknown word at byte 0");
}

static void rejects_faults_in_numbers(void **state)
{
    (void)state;
    assert_rejected("{\"a\":01}", "invalid JSON: a number with a leading zero at byte 5");
    assert_rejected("{\"a\":-01}", "invalid JSON: a number with a leading zero at byte 6");
    assert_rejected("{\"a\":00}", "invalid JSON: a number with a leading zero at byte 5");
    assert_rejected("{\"a\":-}", "invalid JSON: a digit expected at byte 6");
    assert_rejected("{\"a\":-", "invalid JSON: ends at byte 6, a digit expected");
    assert_rejected("{\"a\":--1}", "invalid JSON: a digit expected at byte 6");
    assert_rejected("{\"a\":-Infinity}", "invalid JSON: a digit expected at byte 6");
    assert_rejected("{\"a\":+1}", "invalid JSON: a value expected at byte 5");
    assert_rejected("{\"a\":.5}", "invalid JSON: a value expected at byte 5");
    assert_rejected("{\"a\":1.}", "invalid JSON: a digit expected at byte 7");
    assert_rejected("{\"a\":1.e1}", "invalid JSON: a digit expected at byte 7");
    assert_rejected("{\"a\":1e}", "invalid JSON: a digit expected at byte 7");
    assert_rejected("{\"a\":1e+}", "invalid JSON: a digit expected at byte 8");
    assert_rejected("{\"a\":1e1.5}", "invalid JSON: ',' or '}' expected at byte 8");
    assert_rejected("{\"a\":0x10}", "invalid JSON: ',' or '}' expected at byte 6");
    assert_rejected("{\"a\":1_000}", "invalid JSON: ',' or '}' expected at byte 6");
}

static void rejects_faults_in_strings(void **state)
{
    (void)state;
    assert_rejected("{\"a\":\"", "invalid JSON: ends at byte 6, a closing quote expected");
    assert_rejected("{\"a\":\"text", "invalid JSON: ends at byte 10, a closing quote expected");
    assert_rejected("{\"a", "invalid JSON: ends at byte 3, a closing quote expected");
    assert_rejected("{\"a\":\"x\ty\"}", "invalid JSON: a control character in a string at byte 7");
    assert_rejected("{\"a\":\"x\n\"}", "invalid JSON: a control character in a string at byte 7");
    assert_rejected("{\"a\":\"\x1F\"}", "invalid JSON: a control character in a string at byte 6");
    assert_slice_rejected((struct slice){"{\"a\":\"\0\"}", 9},
                          "invalid JSON: a control character in a string at byte 6");
    assert_slice_rejected((struct slice){"{\"a\0\":1}", 8},
                          "invalid JSON: a control character in a string at byte 3");
}

/* Long enough for the 16-byte steps and for what is left behind them; no letter makes an escape. */
static void checks_every_byte_at_every_place(void **state)
{
    char document[] = "\"0123456789ABCDEF0123456789ABCDEF01234567\"";
    struct slice slice = {document, sizeof(document) - 1};
    struct err err;

    (void)state;
    for (size_t place = 1; place < slice.len - 1; place++) {
        char kept = document[place];
        for (int byte = 0; byte < 256; byte++) {
            bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            document[place] = (char)byte;
            assert_int_equal(decode_copy(json_validate, slice, &err), plain);
        }
        document[place] = kept;
    }
}

static void rejects_faults_in_escapes(void **state)
{
    (void)state;
    assert_rejected("{\"a\":\"x\\", "invalid JSON: an unknown escape at byte 7");
    assert_rejected("{\"a\":\"\\x\"}", "invalid JSON: an unknown escape at byte 6");
    assert_rejected("{\"a\":\"\\U0041\"}", "invalid JSON: an unknown escape at byte 6");
    assert_rejected("{\"a\":\"\\\n\"}", "invalid JSON: an unknown escape at byte 6");
    assert_rejected("{\"a\":\"\\\xC3\xA4\"}", "invalid JSON: an unknown escape at byte 6");
    assert_slice_rejected((struct slice){"{\"a\":\"\\\0\"}", 10},
                          "invalid JSON: an unknown escape at byte 6");
    assert_rejected("{\"a\":\"\\u004\"}",
                    "invalid JSON: \\u without four hexadecimal digits at byte 6");
    assert_rejected("{\"a\":\"\\u00g0\"}",
                    "invalid JSON: \\u without four hexadecimal digits at byte 6");
    assert_rejected("{\"a\":\"\\u", "invalid JSON: \\u without four hexadecimal digits at byte 6");
    assert_rejected("{\"a\":\"\\u-001\"}",
                    "invalid JSON: \\u without four hexadecimal digits at byte 6");
    assert_rejected("{\"a\":\"x\\u0000\"}", "invalid JSON: \\u0000 at byte 7");
    assert_rejected("{\"\\u0000\":1}", "invalid JSON: \\u0000 at byte 2");
}

static void rejects_half_a_surrogate_pair(void **state)
{
    static const char *const halves[] = {
        "\\ud800",       "\\udbff",        "\\udc00",        "\\uDFFF",
        "\\ud83dx",      "\\ud83d\\n",     "\\ud83d\\u0041", "\\ud83d\\ud83d",
        "\\ud83d\\ude0", "\\ude00\\ud83d", "\\ud83d\\u0000", "\\ud83d \\ude00",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(halves); i++) {
        char document[64];
        snprintf(document, sizeof(document), "{\"a\":\"%s\"}", halves[i]);
        assert_rejected(document, "invalid JSON: half a surrogate pair at byte 6");
    }
}

static void rejects_bytes_that_are_not_utf8(void **state)
{
    static const char *const bytes[] = {
        "\xFF",         "\x80",         "\xC0\xAF",     "\xE2\x82",         "\xED\xA0\x80",
        "\xC3\"",       "\xF5\x80\x80", "\xE0\x80\x80", "\xF4\x90\x80\x80", "\xF0\x9F\x98",
        "\xF8\x88\x80",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bytes); i++) {
        char document[64];
        snprintf(document, sizeof(document), "{\"a\":\"0123456789abcdef%s\"}", bytes[i]);
        assert_rejected(document, "invalid JSON: invalid UTF-8 at byte 22");
    }
    assert_rejected("{\"a\":\"\xC3\xA4\xC3\"}", "invalid JSON: invalid UTF-8 at byte 8");
    assert_rejected("{\"\xFF\":1}", "invalid JSON: invalid UTF-8 at byte 2");
}

static void rejects_a_byte_order_mark(void **state)
{
    (void)state;
    assert_rejected("\xEF\xBB\xBF{}", "invalid JSON: a byte order mark at byte 0");
    assert_invalid("\xEF\xBB\xBF", "invalid JSON: a byte order mark at byte 0");
    assert_no_object((struct slice){"\xFF\xFE{\0}\0", 6},
                     "invalid JSON: an object expected at byte 0");
}

static void allows_the_four_white_spaces_everywhere(void **state)
{
    (void)state;
    assert_accepted(" \t\r\n{ \t\r\n\"a\" \t\r\n: \t\r\n1 \t\r\n} \t\r\n");
    assert_accepted("{ }\n");
    assert_accepted("{\"a\":[ ] , \"bb\" : { } }");
    assert_no_object(slice_of("\v{}"), "invalid JSON: an object expected at byte 0");
    assert_rejected("{\"a\":\f1}", "invalid JSON: a value expected at byte 5");
    assert_rejected("{}\xC2\xA0", "invalid JSON: the end expected at byte 2");
    assert_rejected("{/**/}", "invalid JSON: a field's name expected at byte 1");
}

/* Cutting a valid document anywhere leaves an invalid one. */
static void rejects_every_beginning(void **state)
{
    const char *whole = "{\"a\":[true,{\"\\u0041\":-1.5e+3},[],{}],\"bb\":\"\xC3\xA4\"}";
    struct err err;

    (void)state;
    assert_accepted(whole);
    for (size_t len = 0; len < strlen(whole); len++) {
        assert_false(decode_copy(project, (struct slice){whole, len}, &err));
        assert_false(decode_copy(json_validate, (struct slice){whole, len}, &err));
    }
}

static void validates_a_value_of_any_kind(void **state)
{
    (void)state;
    assert_valid("null");
    assert_valid(" true ");
    assert_valid("-0.5e-1");
    assert_valid("\"\\ud83d\\ude00\"");
    assert_valid("[]");
    assert_valid("[[],{},[{}],\"\"]");
    assert_valid("{\"a\":{\"a\":1,\"a\":2}}");
    assert_invalid("", "invalid JSON: ends at byte 0, a value expected");
    assert_invalid("]", "invalid JSON: a value expected at byte 0");
    assert_invalid("[\"\\q\"]", "invalid JSON: an unknown escape at byte 2");
}

/* --- Depth -------------------------------------------------------------------------------------
 */

/* `depth` containers inside each other, each made of these two. free() ends it. */
static char *nested(size_t depth, const char *opening, const char *closing)
{
    struct buffer text = {0};

    for (size_t i = 0; i < depth; i++)
        buffer_append_text(&text, opening);
    for (size_t i = 0; i < depth; i++)
        buffer_append_text(&text, closing);
    buffer_text(&text);
    return text.data;
}

static void assert_depth(size_t depth, const char *opening, const char *closing, bool valid)
{
    char *text = nested(depth, opening, closing);
    struct err err;

    assert_int_equal(json_validate(slice_of(text), &err), valid);
    if (!valid)
        assert_non_null(strstr(err.text, "nested too deep at byte"));
    free(text);
}

static void limits_the_depth_of_values(void **state)
{
    (void)state;
    assert_depth(JSON_DEPTH_MAX, "[", "]", true);
    assert_depth(JSON_DEPTH_MAX + 1, "[", "]", false);
    assert_depth(JSON_DEPTH_MAX + 1, "{\"\":", "}", false);
    assert_depth(100000, "[", "]", false);
}

/* The record itself is one level. */
static void limits_the_depth_of_fields(void **state)
{
    char *deepest = nested(JSON_DEPTH_MAX - 1, "[", "]");
    char *deeper = nested(JSON_DEPTH_MAX, "[", "]");
    char *accepted = memory_printf("{\"a\":%s}", deepest);
    char *rejected = memory_printf("{\"a\":%s}", deeper);

    (void)state;
    assert_accepted(accepted);
    assert_rejected(rejected, "invalid JSON: nested too deep at byte 2052");
    free(deepest);
    free(deeper);
    free(accepted);
    free(rejected);
}

static void remembers_what_each_level_is(void **state)
{
    (void)state;
    assert_valid("[{\"a\":[{\"b\":[[],{},1]},{}]},[[{\"c\":{}}]]]");
    assert_invalid("[{\"a\":[{\"b\":[[],{},1}}]}]", "invalid JSON: ',' or ']' expected at byte 20");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rejects_what_is_no_object),
        cmocka_unit_test(rejects_no_value_at_all),
        cmocka_unit_test(rejects_faults_in_an_object),
        cmocka_unit_test(rejects_faults_deeper_down),
        cmocka_unit_test(rejects_what_follows_the_value),
        cmocka_unit_test(rejects_faults_in_words),
        cmocka_unit_test(rejects_faults_in_numbers),
        cmocka_unit_test(rejects_faults_in_strings),
        cmocka_unit_test(checks_every_byte_at_every_place),
        cmocka_unit_test(rejects_faults_in_escapes),
        cmocka_unit_test(rejects_half_a_surrogate_pair),
        cmocka_unit_test(rejects_bytes_that_are_not_utf8),
        cmocka_unit_test(rejects_a_byte_order_mark),
        cmocka_unit_test(allows_the_four_white_spaces_everywhere),
        cmocka_unit_test(rejects_every_beginning),
        cmocka_unit_test(validates_a_value_of_any_kind),
        cmocka_unit_test(limits_the_depth_of_values),
        cmocka_unit_test(limits_the_depth_of_fields),
        cmocka_unit_test(remembers_what_each_level_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
