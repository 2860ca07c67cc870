/*
 * What a value says, before a format wraps it: as text, as JSON, as an integer, as a moment.
 *
 * This is where a kind and a type are found not to fit; the text names the type, what it takes and
 * what it got, never the value.
 */
#include "pg/type_form.h"

#include "base/json_string.h"
#include "base/utf8.h"
#include "pg/datetime.h"
#include "pg/literal.h"
#include "pg/number.h"

/* --- Errors ---------------------------------------------------------------------------------- */

static const char *const kind_names[] = {
    [VALUE_ABSENT] = "null",      [VALUE_NULL] = "null",        [VALUE_BOOLEAN] = "a boolean",
    [VALUE_INTEGER] = "a number", [VALUE_NUMBER] = "a number",  [VALUE_TIMESTAMP] = "a timestamp",
    [VALUE_STRING] = "a string",  [VALUE_ESCAPED] = "a string", [VALUE_JSON] = "an object or array",
    [VALUE_BYTES] = "bytes",
};

static const char *const wanted[] = {
    [TYPE_OTHER] = "any value",
    [TYPE_BOOL] = "a boolean",
    [TYPE_INT2] = "an integer",
    [TYPE_INT4] = "an integer",
    [TYPE_INT8] = "an integer",
    [TYPE_FLOAT4] = "a number",
    [TYPE_FLOAT8] = "a number",
    [TYPE_NUMERIC] = "a number",
    [TYPE_TEXT] = "any value",
    [TYPE_VARCHAR] = "any value",
    [TYPE_BPCHAR] = "any value",
    [TYPE_UUID] = "a string of 32 hex digits",
    [TYPE_DATE] = "an ISO 8601 string or Unix time",
    [TYPE_TIMESTAMP] = "an ISO 8601 string or Unix time",
    [TYPE_TIMESTAMPTZ] = "an ISO 8601 string or Unix time",
    [TYPE_JSON] = "any value",
    [TYPE_JSONB] = "any value",
    [TYPE_BYTEA] = "bytes or a string",
};

bool type_mismatch(const struct column *column, const struct value *value, struct err *err)
{
    return err_set(err, ERR_DATA, "%s takes %s, not %s", column->type_name, wanted[column->codec],
                   kind_names[value->kind]);
}

/* --- Strings --------------------------------------------------------------------------------- */

static bool check_text(struct slice bytes, struct err *err)
{
    if (memchr(bytes.data, '\0', bytes.len))
        return err_set(err, ERR_DATA, "the bytes hold a NUL, which PostgreSQL's text can not");
    if (!utf8_valid(bytes))
        return err_set(err, ERR_DATA, "the bytes are not valid UTF-8");
    return true;
}

static bool unescape_scalar(struct slice body, char scratch[TYPE_SCALAR_BYTES], struct slice *text,
                            struct err *err)
{
    if (body.len > TYPE_SCALAR_BYTES)
        return err_set(err, ERR_DATA, "the string is too long for this type");
    *text = (struct slice){scratch, json_string_unescape(body, scratch)};
    return true;
}

bool type_scalar_text(const struct column *column, const struct value *value,
                      char scratch[TYPE_SCALAR_BYTES], struct slice *text, struct err *err)
{
    *text = value->text;
    if (value->kind == VALUE_STRING)
        return true;
    if (value->kind == VALUE_ESCAPED)
        return unescape_scalar(value->text, scratch, text, err);
    if (value->kind == VALUE_BYTES)
        return check_text(value->text, err);
    return type_mismatch(column, value, err);
}

/* --- Booleans, integers, moments ------------------------------------------------------------- */

static bool bool_of_string(const struct column *column, const struct value *value, bool *result,
                           struct err *err)
{
    char scratch[TYPE_SCALAR_BYTES];
    struct slice text;

    if (!type_scalar_text(column, value, scratch, &text, err))
        return false;
    if (literal_parse_bool(text, result))
        return true;
    return err_set(err, ERR_DATA,
                   "the string is not a boolean: true, false, yes, no, on, off, 1 "
                   "or 0 is wanted");
}

static bool bool_of_number(const struct value *value, bool *result, struct err *err)
{
    int64_t integer = 0;

    if (value->kind == VALUE_INTEGER)
        integer = value->integer;
    else if (!number_parse_json_integer(value->text, &integer, err))
        return false;
    *result = integer == 1;
    if (integer != 0 && integer != 1)
        return err_set(err, ERR_DATA, "the number is not a boolean: 1 or 0 is wanted");
    return true;
}

bool type_bool_of(const struct column *column, const struct value *value, bool *result,
                  struct err *err)
{
    if (LIKELY(value->kind == VALUE_BOOLEAN)) {
        *result = value->integer != 0;
        return true;
    }
    if (value->kind == VALUE_INTEGER || value->kind == VALUE_NUMBER)
        return bool_of_number(value, result, err);
    return bool_of_string(column, value, result, err);
}

static bool parse_integer_string(const struct column *column, const struct value *value,
                                 int64_t *result, struct err *err)
{
    char scratch[TYPE_SCALAR_BYTES];
    struct slice text;

    return type_scalar_text(column, value, scratch, &text, err) &&
           number_parse_integer(text, result, err);
}

static bool check_range(const struct column *column, int64_t integer, struct err *err)
{
    int64_t max = column->codec == TYPE_INT2   ? INT16_MAX
                  : column->codec == TYPE_INT4 ? INT32_MAX
                                               : INT64_MAX;

    if (LIKELY(integer <= max && integer >= -max - 1))
        return true;
    return err_set(err, ERR_DATA, "the number is out of range for %s: %lld to %lld",
                   column->type_name, (long long)-max - 1, (long long)max);
}

bool type_integer_of(const struct column *column, const struct value *value, int64_t *result,
                     struct err *err)
{
    if (LIKELY(value->kind == VALUE_NUMBER)) {
        if (!number_parse_json_integer(value->text, result, err))
            return false;
    } else if (value->kind == VALUE_INTEGER || value->kind == VALUE_TIMESTAMP) {
        *result = value->integer;
    } else if (!parse_integer_string(column, value, result, err)) {
        return false;
    }
    return check_range(column, *result, err);
}

bool type_moment_of(const struct column *column, const struct value *value, int64_t *us,
                    struct err *err)
{
    if (value->kind == VALUE_NUMBER)
        return datetime_from_number(value->text, us, err);
    if (value->kind == VALUE_INTEGER)
        return datetime_from_integer(value->integer, us, err);
    if (value->kind == VALUE_TIMESTAMP)
        return datetime_from_unix_ms(value->integer, us, err);
    return type_mismatch(column, value, err);
}

/* --- Text and JSON --------------------------------------------------------------------------- */

static bool append_slice(struct buffer *out, struct slice text)
{
    buffer_append(out, text.data, text.len);
    return true;
}

static bool append_unescaped(struct buffer *out, struct slice body)
{
    buffer_reserve(out, body.len + 1); /* so that there is memory even for nothing */
    out->len += json_string_unescape(body, out->data + out->len);
    return true;
}

static bool append_integer(struct buffer *out, int64_t integer)
{
    number_append_integer(out, integer);
    return true;
}

static bool append_boolean(struct buffer *out, int64_t boolean)
{
    buffer_append_text(out, boolean ? "true" : "false");
    return true;
}

static bool append_moment(struct buffer *out, int64_t unix_ms, struct err *err)
{
    int64_t us;

    if (!datetime_from_unix_ms(unix_ms, &us, err))
        return false;
    datetime_append(out, us);
    return true;
}

bool type_append_text(struct buffer *out, const struct value *value, struct err *err)
{
    switch (value->kind) {
    case VALUE_ABSENT:
    case VALUE_NULL:
        return true;
    case VALUE_BOOLEAN:
        return append_boolean(out, value->integer);
    case VALUE_INTEGER:
        return append_integer(out, value->integer);
    case VALUE_TIMESTAMP:
        return append_moment(out, value->integer, err);
    case VALUE_NUMBER:
    case VALUE_STRING:
    case VALUE_JSON:
        return append_slice(out, value->text);
    case VALUE_ESCAPED:
        return append_unescaped(out, value->text);
    case VALUE_BYTES:
        return check_text(value->text, err) && append_slice(out, value->text);
    }
    return true;
}

/* Something that needs quotes and nothing else. */
static bool append_quoted(struct buffer *out, const struct value *value, struct err *err)
{
    buffer_append(out, "\"", 1);
    if (value->kind == VALUE_ESCAPED)
        append_slice(out, value->text);
    else if (!append_moment(out, value->integer, err))
        return false;
    buffer_append(out, "\"", 1);
    return true;
}

bool type_append_json(struct buffer *out, const struct value *value, struct err *err)
{
    switch (value->kind) {
    case VALUE_ABSENT:
    case VALUE_NULL:
        return true;
    case VALUE_BOOLEAN:
        return append_boolean(out, value->integer);
    case VALUE_INTEGER:
        return append_integer(out, value->integer);
    case VALUE_STRING:
        json_string_append(out, value->text);
        return true;
    case VALUE_TIMESTAMP:
    case VALUE_ESCAPED:
        return append_quoted(out, value, err);
    case VALUE_NUMBER:
    case VALUE_JSON:
    case VALUE_BYTES: /* the decoder has found them to be valid JSON */
        return append_slice(out, value->text);
    }
    return true;
}

/* --- Length ---------------------------------------------------------------------------------- */

/* Trailing spaces don't count: PostgreSQL cuts them off. */
static struct slice without_spaces(struct slice text)
{
    while (text.len > 0 && text.data[text.len - 1] == ' ')
        text.len--;
    return text;
}

bool type_check_length(const struct column *column, const struct buffer *out, size_t start,
                       struct err *err)
{
    size_t len = out->len - start;
    size_t max = (size_t)(column->typmod - 4);

    if (column->typmod < 4 || len <= max)
        return true;
    struct slice text = {out->data + start, len};
    if (utf8_length(without_spaces(text)) <= max)
        return true;
    return err_set(err, ERR_DATA, "the text is too long for %s", column->type_name);
}
