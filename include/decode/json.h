/*
 * The projecting JSON decoder: takes the mapped fields out of a record's raw bytes, without a DOM.
 *
 * It reads the whole document once, so it accepts and rejects what RFC 8259 and jansson do (UTF-8,
 * escapes, lone surrogates, \u0000, depth, trailing bytes), but for two things: a number may have
 * any size, since its text is kept, and repeated names are legal, the last one wins. Thread: any,
 * pure; a struct json_fields is immutable once built.
 */
#ifndef DECODE_JSON_H
#define DECODE_JSON_H

#include "base/err.h"
#include "base/value.h"

#include <stdint.h>

/* Objects and arrays inside each other; jansson's limit too. */
enum { JSON_DEPTH_MAX = 2048 };

enum json_unknown {
    JSON_UNKNOWN_IGNORE, /* a field without a column is validated and skipped */
    JSON_UNKNOWN_REJECT, /* ... makes the record ERR_DATA, naming the field */
    JSON_UNKNOWN_STOP,   /* ... is ERR_CONFIG: not the record is wrong, the table lacks something */
};

struct json_fields; /* the set of wanted names; name i goes to values[i] */

/* The names differ from each other, and are copied; there are fewer than 65535 of them. */
struct json_fields *json_fields_create(const char *const *names, size_t count,
                                       enum json_unknown unknown);
void json_fields_destroy(struct json_fields *fields);

/*
 * Fills values[0 .. count-1] from a JSON object: VALUE_ABSENT where the object has no such field.
 * Names are compared after unescaping, byte by byte. Objects and arrays come as VALUE_JSON; strings
 * as VALUE_STRING, or VALUE_ESCAPED when they hold a backslash (base/json_string.h takes it out).
 * False (ERR_DATA): not one JSON object, or a field to reject; the text says what is wrong and at
 * which byte (the first is 0), without quoting the payload, and values[] is undefined.
 */
bool json_project(const struct json_fields *fields, struct slice document, struct value *values,
                  struct err *err) MUST_CHECK;

/* Whether it is one valid JSON value of any kind. False (ERR_DATA). */
bool json_validate(struct slice document, struct err *err) MUST_CHECK;

#endif
