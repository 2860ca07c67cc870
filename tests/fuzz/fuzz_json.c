/*
 * The JSON decoder against jansson, which was written by others from the same RFC: both must accept
 * the same documents, and see the same values in the projected fields.
 *
 * There are three exceptions, for which only the decoder's own promises are checked: jansson stops
 * where a number does not fit into a C type; it counts a scalar as a level of depth; and it does
 * not see a NUL right behind a number or a word, where its lexer takes one back.
 */
#include "base/json_string.h"
#include "base/memory.h"
#include "decode/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "a",
    "b",
    "id",
    "",
    "name",
    "\xC3\xA4",
    "a\\b\"c\n",
    "more than sixteen letters",
    "\xF0\x9F\x98\x80",
};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "fuzz_json: %s\n", what);
    abort();
}

/* An error says what is wrong in printable ASCII, whatever the document holds. */
static void check_error(bool ok, const struct err *err)
{
    if (ok)
        return;
    must(err->class == ERR_DATA, "an error of another class");
    for (const char *at = err->text; *at; at++)
        must(*at >= 0x20 && *at <= 0x7E, "an error that does not print");
}

static void check_text(const json_t *expected, struct slice text)
{
    must(json_is_string(expected), "a string that jansson has not");
    must(text.len == json_string_length(expected), "a string of another length");
    must(memcmp(text.data, json_string_value(expected), text.len) == 0, "another string");
    must(!memchr(text.data, '\0', text.len), "a string with NUL");
}

static void check_escaped(const json_t *expected, struct slice body)
{
    char *text = memory_new(body.len);
    size_t len = json_string_unescape(body, text);

    must(memchr(body.data, '\\', body.len) != NULL, "an escaped string without escapes");
    check_text(expected, (struct slice){text, len});
    free(text);
}

static void check_number(const json_t *expected, struct slice number)
{
    char *text = memory_strndup(number.data, number.len);

    if (strpbrk(text, ".eE")) {
        must(json_is_real(expected), "a number that jansson has not");
        must(strtod(text, NULL) == json_real_value(expected), "another number");
    } else {
        must(json_is_integer(expected), "an integer that jansson has not");
        must(strtoll(text, NULL, 10) == json_integer_value(expected), "another integer");
    }
    free(text);
}

static void check_json(const json_t *expected, struct slice text)
{
    json_t *actual = json_loadb(text.data, text.len, 0, NULL);

    must(json_equal(actual, expected), "another object or array");
    json_decref(actual);
}

static void check_value(const json_t *expected, const struct value *value)
{
    switch (value->kind) {
    case VALUE_ABSENT:
        must(!expected, "a field is missing");
        return;
    case VALUE_NULL:
        must(json_is_null(expected), "null");
        return;
    case VALUE_BOOLEAN:
        must(json_is_boolean(expected), "a boolean");
        must(value->integer == json_boolean_value(expected), "the other boolean");
        return;
    case VALUE_NUMBER:
        check_number(expected, value->text);
        return;
    case VALUE_STRING:
        check_text(expected, value->text);
        return;
    case VALUE_ESCAPED:
        check_escaped(expected, value->text);
        return;
    case VALUE_JSON:
        check_json(expected, value->text);
        return;
    case VALUE_INTEGER:
    case VALUE_TIMESTAMP:
    case VALUE_BYTES:
        must(false, "a kind that JSON has not");
    }
}

static bool project(struct slice document, enum json_unknown unknown, struct value *values)
{
    struct err err;
    struct json_fields *fields = json_fields_create(names, COUNT_OF(names), unknown);
    bool ok = json_project(fields, document, values, &err);

    check_error(ok, &err);
    json_fields_destroy(fields);
    return ok;
}

static size_t count_known(json_t *object)
{
    size_t known = 0;

    for (size_t i = 0; i < COUNT_OF(names); i++)
        known += json_object_get(object, names[i]) != NULL;
    return known;
}

static void check_object(struct slice document, json_t *object)
{
    struct value values[COUNT_OF(names)];
    bool all_known = count_known(object) == json_object_size(object);

    must(project(document, JSON_UNKNOWN_IGNORE, values), "an object is no object");
    for (size_t i = 0; i < COUNT_OF(names); i++)
        check_value(json_object_get(object, names[i]), &values[i]);
    must(project(document, JSON_UNKNOWN_REJECT, values) == all_known, "unknown fields");
}

static bool has_opinion(const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);

    return code != json_error_numeric_overflow && code != json_error_stack_overflow;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice document = {(const char *)data, size};
    struct value values[COUNT_OF(names)];
    struct err err;
    json_error_t error;
    bool valid = json_validate(document, &err);

    check_error(valid, &err);
    if (size > 0 && memchr(data, '\0', size)) {
        must(!valid && !project(document, JSON_UNKNOWN_IGNORE, values), "NUL is accepted");
        return 0;
    }
    json_t *expected = json_loadb(document.data, size, JSON_DECODE_ANY, &error);
    if (expected || has_opinion(&error))
        must(valid == (expected != NULL), valid ? "jansson rejects it" : "jansson accepts it");
    if (json_is_object(expected))
        check_object(document, expected);
    else if (project(document, JSON_UNKNOWN_IGNORE, values))
        must(!expected && valid, "no object is an object");
    json_decref(expected);
    return 0;
}
