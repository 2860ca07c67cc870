/*
 * Values in the forms that COPY text and COPY binary share. Internal to pg/type*.c.
 * All: False is ERR_DATA. Thread: any, pure.
 */
#ifndef PG_TYPE_FORM_H
#define PG_TYPE_FORM_H

#include "pg/type.h"

/* A string in the escapes of which nobody will write a number, a date or a uuid any longer. */
enum { TYPE_SCALAR_BYTES = 512 };

static inline bool type_is_null(const struct value *value)
{
    return value->kind == VALUE_NULL || value->kind == VALUE_ABSENT;
}

/* A string, or bytes that are read as one. */
static inline bool type_is_string(const struct value *value)
{
    return value->kind == VALUE_STRING || value->kind == VALUE_ESCAPED ||
           value->kind == VALUE_BYTES;
}

/* Sets "bigint takes an integer, not a boolean". Returns false. */
bool type_mismatch(const struct column *column, const struct value *value, struct err *err);

/* A string that is parsed here: its text, in `scratch` if it had escapes. */
bool type_scalar_text(const struct column *column, const struct value *value,
                      char scratch[TYPE_SCALAR_BYTES], struct slice *text,
                      struct err *err) MUST_CHECK;

/* For a boolean column: 1 and 0 are booleans too. */
bool type_bool_of(const struct column *column, const struct value *value, bool *result,
                  struct err *err) MUST_CHECK;

/* For an integer column, range checked. */
bool type_integer_of(const struct column *column, const struct value *value, int64_t *result,
                     struct err *err) MUST_CHECK;

/* For a date or timestamp column, from any kind but a string. */
bool type_moment_of(const struct column *column, const struct value *value, int64_t *us,
                    struct err *err) MUST_CHECK;

/* Appends the value's own text: strings as they are, numbers as they stood. Not for NULL. */
bool type_append_text(struct buffer *out, const struct value *value, struct err *err) MUST_CHECK;

/* Appends it as JSON text. Not for NULL. */
bool type_append_json(struct buffer *out, const struct value *value, struct err *err) MUST_CHECK;

/* Whether what has been appended since `start` is short enough for varchar(n) or char(n). */
bool type_check_length(const struct column *column, const struct buffer *out, size_t start,
                       struct err *err) MUST_CHECK;

#endif
