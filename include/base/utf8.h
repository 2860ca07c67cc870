/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. The byte
 * ranges are table 3-7 of the Unicode standard, "Well-Formed UTF-8 Byte Sequences". Thread: any.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/slice.h"

bool utf8_valid(struct slice text);

/* Characters (code points) in a valid text: what varchar(n) counts. */
size_t utf8_length(struct slice text);

/* Bytes of the well-formed character that starts at `at`: 1 to 4, or 0 when there is none. */
size_t utf8_sequence(const char *at, const char *end);

/* Over characters that are not ASCII, to the first byte that is, or is malformed, or to the end. */
const char *utf8_skip_multibyte(const char *at, const char *end);

#endif
