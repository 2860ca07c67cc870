/*
 * One value on its way from a record into a column, as its decoder found it.
 *
 * Nothing is converted here: a number is its own text, a JSON string still has its escapes, so that
 * pg/type.c converts once, straight into what the column takes. All bytes are borrowed from the
 * record. Thread: any.
 */
#ifndef BASE_VALUE_H
#define BASE_VALUE_H

#include "base/slice.h"

#include <stdint.h>

enum value_kind {
    VALUE_ABSENT,    /* the record has no such field: the column's DEFAULT, or NULL */
    VALUE_NULL,      /* explicitly null */
    VALUE_BOOLEAN,   /* .integer is 0 or 1 */
    VALUE_INTEGER,   /* .integer */
    VALUE_TIMESTAMP, /* .integer: milliseconds since 1970-01-01 UTC */
    VALUE_NUMBER,    /* .text: a valid JSON number (RFC 8259), any size */
    VALUE_STRING,    /* .text: valid UTF-8 without NUL, nothing to unescape */
    VALUE_ESCAPED,   /* .text: body of a valid JSON string that has escapes; no \u0000 in it */
    VALUE_JSON,      /* .text: one valid JSON value as it stood in the record */
    VALUE_BYTES,     /* .text: any bytes, nothing checked */
};

struct value {
    enum value_kind kind;
    union {
        int64_t integer;
        struct slice text;
    };
};

#endif
