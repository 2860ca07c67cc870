/*
 * The usual number is short and read in one pass; everything else takes the careful way.
 *
 * A float of at most 15 digits is exact as mantissa and power of ten are: one division of two exact
 * doubles rounds once, which is the right result. Longer ones and those with an exponent go through
 * strtod, which is what PostgreSQL uses, in the C locale whatever the process has set.
 */
#include "pg/number.h"

#include "base/digits.h"
#include "pg/decimal.h"
#include "pg/literal.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    SHORT_INTEGER_DIGITS = 18, /* any of them fits an int64 */
    SHORT_FLOAT_DIGITS = 15,   /* any of them is exact in a double */
    INTEGER_BYTES = 20,        /* -9223372036854775808 */
};

static const double POWERS_OF_TEN[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* The one mutable static: written once, read by any thread. */
static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void create_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c_locale)
        abort(); /* "C" is built in: only memory can be missing */
}

/* --- Integers -------------------------------------------------------------------------------- */

/* [-]digits, few enough. False says nothing but that it is to be looked at more closely. */
static inline bool read_short_integer(struct slice text, int64_t *result)
{
    const char *at = text.data;
    const char *end = at + text.len;
    bool negative = at < end && *at == '-';
    uint64_t wrong = 0;
    int64_t sum = 0;

    at += negative;
    wrong = at == end || end - at > SHORT_INTEGER_DIGITS;
    for (; end - at >= 8 && !wrong; at += 8)
        sum =
            sum * 100000000 + digits_sum(digits_match(at, "00000000", "\6\6\6\6\6\6\6\6", &wrong));
    for (; at < end && !wrong; at++) {
        unsigned digit = (unsigned char)*at - '0';
        wrong = digit > 9;
        sum = sum * 10 + digit;
    }
    *result = negative ? -sum : sum;
    return !wrong;
}

static bool read_long_integer(const struct decimal *decimal, int64_t *result, struct err *err)
{
    switch (decimal_to_integer(decimal, 0, result)) {
    case DECIMAL_EXACT:
        return true;
    case DECIMAL_ROUNDED:
        return err_set(err, ERR_DATA, "the number has a fraction, an integer is wanted");
    case DECIMAL_TOO_LARGE:
        return err_set(err, ERR_DATA, "the number is out of range for an integer of 8 bytes");
    }
    return false;
}

bool number_parse_json_integer(struct slice text, int64_t *result, struct err *err)
{
    struct decimal decimal;

    if (LIKELY(read_short_integer(text, result)))
        return true;
    if (!decimal_parse(text, &decimal))
        return err_set(err, ERR_DATA, "the value is not a number");
    return read_long_integer(&decimal, result, err);
}

static bool all_digits(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)(text.data[i] - '0') > 9)
            return false;
    return text.len > 0;
}

bool number_parse_integer(struct slice text, int64_t *result, struct err *err)
{
    struct decimal decimal = {0};

    text = literal_trim(text);
    if (read_short_integer(text, result))
        return true;
    decimal.whole = text;
    if (text.len > 0 && (text.data[0] == '-' || text.data[0] == '+')) {
        decimal.negative = text.data[0] == '-';
        decimal.whole = (struct slice){text.data + 1, text.len - 1};
    }
    if (!all_digits(decimal.whole))
        return err_set(err, ERR_DATA, "the string is not an integer: only digits are wanted");
    return read_long_integer(&decimal, result, err);
}

/* --- Floats ---------------------------------------------------------------------------------- */

/* [-]digits[.digits], few enough. */
static inline bool read_short_float(struct slice text, double *result)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    bool point = false;
    unsigned digits = 0;
    unsigned places = 0; /* digits behind the point */
    int64_t sum = 0;

    if (text.len > SHORT_FLOAT_DIGITS)
        return false;
    for (size_t i = negative; i < text.len; i++) {
        unsigned digit = (unsigned char)text.data[i] - '0';
        if (digit <= 9) {
            sum = sum * 10 + digit;
            digits++;
            places += point;
        } else if (text.data[i] == '.' && !point) {
            point = true;
        } else {
            return false;
        }
    }
    double value = (double)sum / POWERS_OF_TEN[places];
    *result = negative ? -value : value;
    return digits > 0;
}

static bool read_special(struct slice text, double *result)
{
    struct slice word = text;
    bool negative = text.len > 0 && text.data[0] == '-';

    if (literal_is(text, "nan")) {
        *result = NAN;
        return true;
    }
    if (text.len > 0 && (text.data[0] == '-' || text.data[0] == '+'))
        word = (struct slice){text.data + 1, text.len - 1};
    *result = negative ? -INFINITY : INFINITY;
    return literal_is(word, "infinity") || literal_is(word, "inf");
}

/* A terminated copy in the room's free space. */
static const char *terminate(struct slice text, struct buffer *room)
{
    buffer_reserve(room, text.len + 1);
    char *copy = room->data + room->len;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return copy;
}

/* Ready for strtod: checked, as that takes more (0x10) and less (any locale's point). */
static const char *prepare_float(struct slice text, struct buffer *room, struct err *err)
{
    struct decimal decimal;

    if (!decimal_parse(text, &decimal)) {
        err_set(err, ERR_DATA, "the string is not a number: 1.5, 1e3, NaN or Infinity is wanted");
        return NULL;
    }
    pthread_once(&c_locale_once, create_c_locale);
    errno = 0;
    return terminate(text, room);
}

static bool out_of_range(const char *type, struct err *err)
{
    return err_set(err, ERR_DATA, "the number is out of range for %s", type);
}

bool number_parse_float8(struct slice text, struct buffer *room, double *result, struct err *err)
{
    if (LIKELY(read_short_float(text, result)))
        return true;
    text = literal_trim(text);
    if (read_special(text, result))
        return true;
    const char *copy = prepare_float(text, room, err);
    if (!copy)
        return false;
    *result = strtod_l(copy, NULL, c_locale);
    /* ERANGE with a result between is a subnormal number, which is fine. */
    if (errno == ERANGE && (*result == 0 || isinf(*result)))
        return out_of_range("double precision", err);
    return true;
}

bool number_parse_float4(struct slice text, struct buffer *room, float *result, struct err *err)
{
    double special;

    text = literal_trim(text);
    if (read_special(text, &special)) {
        *result = (float)special;
        return true;
    }
    const char *copy = prepare_float(text, room, err);
    if (!copy)
        return false;
    *result = strtof_l(copy, NULL, c_locale);
    if (errno == ERANGE && (*result == 0 || isinf(*result)))
        return out_of_range("real", err);
    return true;
}

/* --- Printing -------------------------------------------------------------------------------- */

void number_append_integer(struct buffer *out, int64_t value)
{
    char text[INTEGER_BYTES];
    char *at = text + sizeof(text);
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        *--at = '-';
    buffer_append(out, at, (size_t)(text + sizeof(text) - at));
}
