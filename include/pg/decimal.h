/*
 * A decimal number taken apart, not yet converted: what JSON and PostgreSQL both call a number.
 *
 * Spelling: [+-] digits [. digits] [e [+-] digits] with a digit before or behind the point. JSON's
 * numbers are all of this form. Nothing is copied, nothing is rounded, any size.
 * Thread: any, pure.
 */
#ifndef PG_DECIMAL_H
#define PG_DECIMAL_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdint.h>

/* From here on an exponent is only said to be too large; PostgreSQL draws the line here too. */
enum { DECIMAL_EXPONENT_MAX = INT32_MAX / 2 };

struct decimal {
    bool negative;
    struct slice whole;    /* digits before the point */
    struct slice fraction; /* digits behind it */
    int32_t exponent;      /* within +-DECIMAL_EXPONENT_MAX */
};

/* False: it is spelled otherwise. */
bool decimal_parse(struct slice text, struct decimal *decimal) MUST_CHECK;

/*
 * Where the point stands, counted from the first digit that is not 0: 3 for 123.4, -1 for 0.012.
 * A zero has INT64_MIN.
 */
int64_t decimal_point(const struct decimal *decimal);

enum decimal_fit {
    DECIMAL_EXACT,
    DECIMAL_ROUNDED,   /* half away from zero */
    DECIMAL_TOO_LARGE, /* no int64: the result is not set */
};

/* The number times 10^shift, as an integer. */
enum decimal_fit decimal_to_integer(const struct decimal *decimal, int shift, int64_t *result);

#endif
