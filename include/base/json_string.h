/*
 * JSON strings, the little of JSON that a column encoder has to know (RFC 8259, section 7).
 *
 * A body is what stands between the quotes. It has been validated by whoever found it: escapes are
 * whole, surrogates are in pairs, \u0000 does not occur. Thread: any, pure.
 */
#ifndef BASE_JSON_STRING_H
#define BASE_JSON_STRING_H

#include "base/buffer.h"
#include "base/slice.h"

/*
 * The body without its escapes, as UTF-8. Writes at most body.len bytes to `out`, which must not
 * overlap it, and returns how many.
 */
size_t json_string_unescape(struct slice body, char *out);

/* Appends a text as a JSON string, with its quotes and the escapes that it needs. */
void json_string_append(struct buffer *out, struct slice text);

#endif
