/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. Thread: any. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/slice.h"

bool utf8_valid(struct slice text);

/* Characters (code points) in a valid text: what varchar(n) counts. */
size_t utf8_length(struct slice text);

#endif
