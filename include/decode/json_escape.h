/* Escapes in JSON strings: RFC 8259, section 7. Internal to decode/json*.c. Thread: any, pure. */
#ifndef DECODE_JSON_ESCAPE_H
#define DECODE_JSON_ESCAPE_H

#include "decode/json_scan.h"

/* Checks the escape at `at` (its backslash), a surrogate pair being one. As in json_scan.h. */
const char *json_escape_scan(const struct json_text *text, const char *at);

/* Whether the body of a valid string, unescaped, is this text. */
bool json_escape_equal(struct slice body, struct slice plain);

#endif
