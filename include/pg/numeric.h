/*
 * PostgreSQL's numeric in binary: base-10000 digits, exact.
 *
 * Source: src/backend/utils/adt/numeric.c (set_var_from_str, apply_typmod, numeric_send).
 * Thread: any, pure.
 */
#ifndef PG_NUMERIC_H
#define PG_NUMERIC_H

#include "base/buffer.h"
#include "base/err.h"

#include <stdint.h>

/*
 * Appends a field, length first, from a JSON number or PostgreSQL's literal (NaN, Infinity, white
 * space around). It is rounded to the typmod's scale as PostgreSQL does, half away from zero; -1
 * means no typmod. False (ERR_DATA): spelled otherwise, or too large for the precision or for
 * numeric (131072 digits before the point, 16383 behind it).
 */
bool numeric_append(struct buffer *out, struct slice text, int32_t typmod,
                    struct err *err) MUST_CHECK;

#endif
