/*
 * COPY binary: int32 length and the type's own bytes, one encoder per codec.
 *
 * This is the hot path of the whole sink: an encoder reserves its room once, writes, and allocates
 * nothing. The usual kind is tried first; what is rare is a call away. Types with a variable length
 * write a length of 0 first and come back to it.
 *
 * The server applies a column's typmod to binary input as it does to text (rounding of numeric and
 * of seconds, padding of char), so that is left to it; but what it would refuse is refused here.
 */
#include "pg/type_binary.h"

#include "pg/datetime.h"
#include "pg/literal.h"
#include "pg/number.h"
#include "pg/numeric.h"
#include "pg/type_form.h"

#include <assert.h>

enum {
    LENGTH_BYTES = 4,
    JSONB_VERSION = 1,
};

static bool put_null(struct buffer *out)
{
    buffer_reserve(out, LENGTH_BYTES);
    buffer_put_int32(out, -1);
    return true;
}

/* Returns where the field starts, for end_field. */
static size_t start_field(struct buffer *out, size_t room)
{
    size_t start = out->len;

    buffer_reserve(out, LENGTH_BYTES + room);
    buffer_put_int32(out, 0);
    return start;
}

static bool end_field(struct buffer *out, size_t start)
{
    uint32_t len = htobe32((uint32_t)(out->len - start - LENGTH_BYTES));

    memcpy(out->data + start, &len, sizeof(len));
    return true;
}

static bool put_fixed_int64(struct buffer *out, int64_t value)
{
    buffer_reserve(out, LENGTH_BYTES + sizeof(value));
    buffer_put_int32(out, sizeof(value));
    buffer_put_int64(out, value);
    return true;
}

static bool put_fixed_int32(struct buffer *out, int32_t value)
{
    buffer_reserve(out, LENGTH_BYTES + sizeof(value));
    buffer_put_int32(out, sizeof(value));
    buffer_put_int32(out, value);
    return true;
}

/* --- Booleans and integers ------------------------------------------------------------------- */

static bool encode_bool(struct buffer *out, const struct column *column, const struct value *value,
                        struct err *err)
{
    bool boolean;

    if (type_is_null(value))
        return put_null(out);
    if (!type_bool_of(column, value, &boolean, err))
        return false;
    buffer_reserve(out, LENGTH_BYTES + 1);
    buffer_put_int32(out, 1);
    buffer_put_byte(out, (char)boolean);
    return true;
}

static bool encode_int2(struct buffer *out, const struct column *column, const struct value *value,
                        struct err *err)
{
    int64_t integer;

    if (type_is_null(value))
        return put_null(out);
    if (!type_integer_of(column, value, &integer, err))
        return false;
    buffer_reserve(out, LENGTH_BYTES + 2);
    buffer_put_int32(out, 2);
    buffer_put_int16(out, (int16_t)integer);
    return true;
}

static bool encode_int4(struct buffer *out, const struct column *column, const struct value *value,
                        struct err *err)
{
    int64_t integer;

    if (type_is_null(value))
        return put_null(out);
    return type_integer_of(column, value, &integer, err) && put_fixed_int32(out, (int32_t)integer);
}

static bool encode_int8(struct buffer *out, const struct column *column, const struct value *value,
                        struct err *err)
{
    int64_t integer;

    if (type_is_null(value))
        return put_null(out);
    return type_integer_of(column, value, &integer, err) && put_fixed_int64(out, integer);
}

/* --- Floats and numeric ---------------------------------------------------------------------- */

/* Where numbers are read from text: a number's own, or a string's. */
static bool number_text(const struct column *column, const struct value *value,
                        char scratch[TYPE_SCALAR_BYTES], struct slice *text, struct err *err)
{
    *text = value->text;
    return value->kind == VALUE_NUMBER || type_scalar_text(column, value, scratch, text, err);
}

static bool is_integer(const struct value *value)
{
    return value->kind == VALUE_INTEGER || value->kind == VALUE_TIMESTAMP;
}

static bool put_float4(struct buffer *out, float value)
{
    int32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return put_fixed_int32(out, bits);
}

static bool put_float8(struct buffer *out, double value)
{
    int64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return put_fixed_int64(out, bits);
}

static bool encode_float4(struct buffer *out, const struct column *column,
                          const struct value *value, struct err *err)
{
    char scratch[TYPE_SCALAR_BYTES];
    struct slice text;
    float result;

    if (type_is_null(value))
        return put_null(out);
    if (is_integer(value))
        return put_float4(out, (float)value->integer);
    return number_text(column, value, scratch, &text, err) &&
           number_parse_float4(text, out, &result, err) && put_float4(out, result);
}

static bool float8_of_string(const struct column *column, const struct value *value,
                             struct buffer *out, double *result, struct err *err)
{
    char scratch[TYPE_SCALAR_BYTES];
    struct slice text;

    return type_scalar_text(column, value, scratch, &text, err) &&
           number_parse_float8(text, out, result, err);
}

static bool encode_float8(struct buffer *out, const struct column *column,
                          const struct value *value, struct err *err)
{
    double result;

    if (type_is_null(value))
        return put_null(out);
    if (is_integer(value))
        return put_float8(out, (double)value->integer);
    if (LIKELY(value->kind == VALUE_NUMBER))
        return number_parse_float8(value->text, out, &result, err) && put_float8(out, result);
    return float8_of_string(column, value, out, &result, err) && put_float8(out, result);
}

static bool encode_numeric_integer(struct buffer *out, const struct column *column, int64_t integer,
                                   struct err *err)
{
    struct buffer digits = {.data = (char[32]){0}, .cap = 32};

    number_append_integer(&digits, integer);
    return numeric_append(out, (struct slice){digits.data, digits.len}, column->typmod, err);
}

static bool encode_numeric(struct buffer *out, const struct column *column,
                           const struct value *value, struct err *err)
{
    char scratch[TYPE_SCALAR_BYTES];
    struct slice text;

    if (type_is_null(value))
        return put_null(out);
    if (is_integer(value))
        return encode_numeric_integer(out, column, value->integer, err);
    return number_text(column, value, scratch, &text, err) &&
           numeric_append(out, text, column->typmod, err);
}

/* --- Text ------------------------------------------------------------------------------------ */

static bool encode_text(struct buffer *out, const struct column *column, const struct value *value,
                        struct err *err)
{
    (void)column;
    if (type_is_null(value))
        return put_null(out);
    if (LIKELY(value->kind == VALUE_STRING)) {
        buffer_reserve(out, LENGTH_BYTES + value->text.len);
        buffer_put_int32(out, (int32_t)value->text.len);
        buffer_put(out, value->text.data, value->text.len);
        return true;
    }
    size_t start = start_field(out, 0);
    return type_append_text(out, value, err) && end_field(out, start);
}

static bool encode_varchar(struct buffer *out, const struct column *column,
                           const struct value *value, struct err *err)
{
    size_t start = out->len;

    if (type_is_null(value))
        return put_null(out);
    return encode_text(out, column, value, err) &&
           type_check_length(column, out, start + LENGTH_BYTES, err);
}

static bool encode_json(struct buffer *out, const struct column *column, const struct value *value,
                        struct err *err)
{
    (void)column;
    if (type_is_null(value))
        return put_null(out);
    size_t start = start_field(out, 0);
    return type_append_json(out, value, err) && end_field(out, start);
}

static bool encode_jsonb(struct buffer *out, const struct column *column, const struct value *value,
                         struct err *err)
{
    (void)column;
    if (type_is_null(value))
        return put_null(out);
    size_t start = start_field(out, 1);
    buffer_put_byte(out, JSONB_VERSION);
    return type_append_json(out, value, err) && end_field(out, start);
}

/* --- Bytes ----------------------------------------------------------------------------------- */

static bool encode_uuid(struct buffer *out, const struct column *column, const struct value *value,
                        struct err *err)
{
    char scratch[TYPE_SCALAR_BYTES];
    uint8_t uuid[LITERAL_UUID_BYTES];
    struct slice text;

    if (type_is_null(value))
        return put_null(out);
    if (!type_scalar_text(column, value, scratch, &text, err))
        return false;
    if (!literal_parse_uuid(text, uuid))
        return err_set(err, ERR_DATA, "the string is not a uuid: 32 hex digits are wanted");
    buffer_reserve(out, LENGTH_BYTES + sizeof(uuid));
    buffer_put_int32(out, sizeof(uuid));
    buffer_put(out, uuid, sizeof(uuid));
    return true;
}

/* A string: laid down as text, then parsed where it stands, which never makes it longer. */
static bool encode_bytea_string(struct buffer *out, const struct value *value, struct err *err)
{
    size_t start = start_field(out, 0);
    size_t body = out->len;
    size_t len;

    bool is_text = type_append_text(out, value, err);
    assert(is_text); /* the decoder has found it to be one */
    struct slice text = {out->data + body, out->len - body};
    if (!literal_parse_bytea(text, out->data + body, &len))
        return err_set(err, ERR_DATA, "the string is not a bytea: \\x and hex digits are wanted");
    out->len = body + len;
    return end_field(out, start);
}

static bool encode_bytea(struct buffer *out, const struct column *column, const struct value *value,
                         struct err *err)
{
    if (type_is_null(value))
        return put_null(out);
    if (value->kind == VALUE_STRING || value->kind == VALUE_ESCAPED)
        return encode_bytea_string(out, value, err);
    if (value->kind != VALUE_BYTES)
        return type_mismatch(column, value, err);
    buffer_reserve(out, LENGTH_BYTES + value->text.len);
    buffer_put_int32(out, (int32_t)value->text.len);
    buffer_put(out, value->text.data, value->text.len);
    return true;
}

/* --- Dates and times ------------------------------------------------------------------------- */

typedef bool (*parse_cb)(struct slice text, int64_t *us, struct err *err);

static bool put_date_of(struct buffer *out, int64_t us)
{
    return put_fixed_int32(out, datetime_date_of(us));
}

static bool encode_date(struct buffer *out, const struct column *column, const struct value *value,
                        struct err *err)
{
    char scratch[TYPE_SCALAR_BYTES];
    struct slice text;
    int32_t days;
    int64_t us;

    if (type_is_null(value))
        return put_null(out);
    if (!type_is_string(value))
        return type_moment_of(column, value, &us, err) && put_date_of(out, us);
    return type_scalar_text(column, value, scratch, &text, err) &&
           datetime_parse_date(text, &days, err) && put_fixed_int32(out, days);
}

/* Whatever is not plainly a string. */
static bool encode_moment(struct buffer *out, const struct column *column,
                          const struct value *value, parse_cb parse, struct err *err)
{
    char scratch[TYPE_SCALAR_BYTES];
    struct slice text;
    int64_t us;

    if (type_is_null(value))
        return put_null(out);
    if (!type_is_string(value))
        return type_moment_of(column, value, &us, err) && put_fixed_int64(out, us);
    if (!type_scalar_text(column, value, scratch, &text, err))
        return false;
    return parse(text, &us, err) && put_fixed_int64(out, us);
}

static bool encode_timestamp(struct buffer *out, const struct column *column,
                             const struct value *value, struct err *err)
{
    int64_t us;

    if (LIKELY(value->kind == VALUE_STRING))
        return datetime_parse_timestamp(value->text, &us, err) && put_fixed_int64(out, us);
    return encode_moment(out, column, value, datetime_parse_timestamp, err);
}

static bool encode_timestamptz(struct buffer *out, const struct column *column,
                               const struct value *value, struct err *err)
{
    int64_t us;

    if (LIKELY(value->kind == VALUE_STRING))
        return datetime_parse_timestamptz(value->text, &us, err) && put_fixed_int64(out, us);
    return encode_moment(out, column, value, datetime_parse_timestamptz, err);
}

/* --- The table ------------------------------------------------------------------------------- */

static const type_encode_cb ENCODERS[] = {
    [TYPE_OTHER] = NULL,
    [TYPE_BOOL] = encode_bool,
    [TYPE_INT2] = encode_int2,
    [TYPE_INT4] = encode_int4,
    [TYPE_INT8] = encode_int8,
    [TYPE_FLOAT4] = encode_float4,
    [TYPE_FLOAT8] = encode_float8,
    [TYPE_NUMERIC] = encode_numeric,
    [TYPE_TEXT] = encode_text,
    [TYPE_VARCHAR] = encode_varchar,
    [TYPE_BPCHAR] = encode_varchar,
    [TYPE_UUID] = encode_uuid,
    [TYPE_DATE] = encode_date,
    [TYPE_TIMESTAMP] = encode_timestamp,
    [TYPE_TIMESTAMPTZ] = encode_timestamptz,
    [TYPE_JSON] = encode_json,
    [TYPE_JSONB] = encode_jsonb,
    [TYPE_BYTEA] = encode_bytea,
};

type_encode_cb type_binary_encoder(enum type_codec codec)
{
    return ENCODERS[codec];
}
