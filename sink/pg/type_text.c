/*
 * COPY text: any type, since the server's own input function reads it.
 *
 * Each encoder appends the field in its natural form, which is then escaped in place. Strings go to
 * the server as they are and it decides; every other kind is first checked against the type by the
 * binary encoder, whose bytes are thrown away, so that both formats refuse the same values.
 */
#include "pg/type_text.h"

#include "pg/array_text.h"
#include "pg/copy_text.h"
#include "pg/datetime.h"
#include "pg/literal.h"
#include "pg/number.h"
#include "pg/type_binary.h"
#include "pg/type_form.h"

#include <assert.h>

static bool put_null(struct buffer *out)
{
    buffer_append(out, "\\N", 2);
    return true;
}

static bool finish(struct buffer *out, size_t start)
{
    copy_text_escape(out, start);
    return true;
}

/* The value in its own words. */
static bool encode_text(struct buffer *out, const struct column *column, const struct value *value,
                        struct err *err)
{
    size_t start = out->len;

    (void)column;
    if (type_is_null(value))
        return put_null(out);
    return type_append_text(out, value, err) && finish(out, start);
}

static bool encode_varchar(struct buffer *out, const struct column *column,
                           const struct value *value, struct err *err)
{
    size_t start = out->len;

    if (type_is_null(value))
        return put_null(out);
    if (!type_append_text(out, value, err))
        return false;
    return type_check_length(column, out, start, err) && finish(out, start);
}

static bool encode_json(struct buffer *out, const struct column *column, const struct value *value,
                        struct err *err)
{
    size_t start = out->len;

    (void)column;
    if (type_is_null(value))
        return put_null(out);
    return type_append_json(out, value, err) && finish(out, start);
}

/* --- Types that a value may not fit ---------------------------------------------------------- */

static bool check(struct buffer *out, const struct column *column, const struct value *value,
                  struct err *err)
{
    size_t start = out->len;
    bool fits = type_binary_encoder(column->codec)(out, column, value, err);

    out->len = start;
    return fits;
}

static bool encode_bool(struct buffer *out, const struct column *column, const struct value *value,
                        struct err *err)
{
    bool boolean;

    if (type_is_null(value) || type_is_string(value))
        return encode_text(out, column, value, err);
    if (!type_bool_of(column, value, &boolean, err))
        return false;
    buffer_append(out, boolean ? "t" : "f", 1);
    return true;
}

/* Floats, numeric and uuids: what fits is written in its own words. */
static bool encode_checked(struct buffer *out, const struct column *column,
                           const struct value *value, struct err *err)
{
    struct value written = *value;

    if (!type_is_null(value) && !type_is_string(value) && !check(out, column, value, err))
        return false;
    if (value->kind == VALUE_TIMESTAMP)
        written.kind = VALUE_INTEGER; /* its milliseconds */
    return encode_text(out, column, &written, err);
}

/* A JSON number may be spelled 1e3, which PostgreSQL does not read as an integer. */
static bool encode_integer(struct buffer *out, const struct column *column,
                           const struct value *value, struct err *err)
{
    int64_t integer;

    if (type_is_null(value) || type_is_string(value))
        return encode_text(out, column, value, err);
    if (!type_integer_of(column, value, &integer, err))
        return false;
    number_append_integer(out, integer);
    return true;
}

static bool encode_moment(struct buffer *out, const struct column *column,
                          const struct value *value, struct err *err)
{
    int64_t us;

    if (type_is_null(value) || type_is_string(value))
        return encode_text(out, column, value, err);
    if (!type_moment_of(column, value, &us, err))
        return false;
    datetime_append(out, us);
    return true;
}

/* --- Bytes and arrays ------------------------------------------------------------------------ */

static bool encode_bytea(struct buffer *out, const struct column *column, const struct value *value,
                         struct err *err)
{
    static const char digits[] = "0123456789abcdef";

    if (value->kind != VALUE_BYTES)
        return encode_checked(out, column, value, err);
    buffer_reserve(out, 3 + 2 * value->text.len);
    buffer_put(out, "\\\\x", 3);
    for (size_t i = 0; i < value->text.len; i++) {
        unsigned char byte = (unsigned char)value->text.data[i];
        buffer_put_byte(out, digits[byte >> 4]);
        buffer_put_byte(out, digits[byte & 0xf]);
    }
    return true;
}

static bool is_array(const struct column *column)
{
    size_t len = strlen(column->type_name);

    return len > 2 && strcmp(column->type_name + len - 2, "[]") == 0;
}

static enum array_elements elements_of(const struct column *column)
{
    return strcmp(column->type_name, "json[]") == 0 || strcmp(column->type_name, "jsonb[]") == 0
               ? ARRAY_OF_JSON
               : ARRAY_OF_SCALARS;
}

static bool encode_other(struct buffer *out, const struct column *column, const struct value *value,
                         struct err *err)
{
    size_t start = out->len;

    if (value->kind != VALUE_JSON || !is_array(column))
        return encode_text(out, column, value, err);
    struct slice array = literal_trim(value->text);
    assert(array.len > 0); /* it is JSON */
    if (array.data[0] != '[')
        return encode_text(out, column, value, err);
    return array_text_append(out, array, elements_of(column), err) && finish(out, start);
}

/* --- The table ------------------------------------------------------------------------------- */

static const type_encode_cb ENCODERS[] = {
    [TYPE_OTHER] = encode_other,        [TYPE_BOOL] = encode_bool,
    [TYPE_INT2] = encode_integer,       [TYPE_INT4] = encode_integer,
    [TYPE_INT8] = encode_integer,       [TYPE_FLOAT4] = encode_checked,
    [TYPE_FLOAT8] = encode_checked,     [TYPE_NUMERIC] = encode_checked,
    [TYPE_TEXT] = encode_text,          [TYPE_VARCHAR] = encode_varchar,
    [TYPE_BPCHAR] = encode_varchar,     [TYPE_UUID] = encode_checked,
    [TYPE_DATE] = encode_moment,        [TYPE_TIMESTAMP] = encode_moment,
    [TYPE_TIMESTAMPTZ] = encode_moment, [TYPE_JSON] = encode_json,
    [TYPE_JSONB] = encode_json,         [TYPE_BYTEA] = encode_bytea,
};

type_encode_cb type_text_encoder(enum type_codec codec)
{
    return ENCODERS[codec];
}
