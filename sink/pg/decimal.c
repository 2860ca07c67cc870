/*
 * Taking a number's text apart and reading it as an integer.
 *
 * The digits of a number are counted from 0 through whole and fraction as if the point were not
 * there; the point's place is then whole.len + exponent, which may lie outside of them. All that
 * happens here is arithmetic on such places, so a number of any size costs no memory.
 */
#include "pg/decimal.h"

enum { INTEGER_DIGITS = 19 }; /* of INT64_MAX */

static size_t count_digits(const char *at, const char *end)
{
    const char *start = at;

    while (at < end && (unsigned char)(*at - '0') <= 9)
        at++;
    return (size_t)(at - start);
}

static bool take_sign(const char **at, const char *end)
{
    bool negative = *at < end && **at == '-';

    if (*at < end && (**at == '-' || **at == '+'))
        (*at)++;
    return negative;
}

static struct slice take_digits(const char **at, const char *end)
{
    struct slice digits = {*at, count_digits(*at, end)};

    *at += digits.len;
    return digits;
}

/* [e [+-] digits]; none is 0. False: no digits. */
static bool take_exponent(const char **at, const char *end, int32_t *exponent)
{
    int64_t sum = 0;

    *exponent = 0;
    if (*at == end || (**at | 0x20) != 'e')
        return true;
    (*at)++;
    bool negative = take_sign(at, end);
    struct slice digits = take_digits(at, end);
    for (size_t i = 0; i < digits.len && sum < DECIMAL_EXPONENT_MAX; i++)
        sum = sum * 10 + (digits.data[i] - '0');
    if (sum > DECIMAL_EXPONENT_MAX)
        sum = DECIMAL_EXPONENT_MAX;
    *exponent = (int32_t)(negative ? -sum : sum);
    return digits.len > 0;
}

bool decimal_parse(struct slice text, struct decimal *decimal)
{
    const char *at = text.data;
    const char *end = at + text.len;

    decimal->negative = take_sign(&at, end);
    decimal->whole = take_digits(&at, end);
    decimal->fraction = SLICE_NONE;
    if (at < end && *at == '.') {
        at++;
        decimal->fraction = take_digits(&at, end);
    }
    if (decimal->whole.len + decimal->fraction.len == 0)
        return false;
    return take_exponent(&at, end, &decimal->exponent) && at == end;
}

/* The digit at a place; there are zeros behind the last one. */
static unsigned digit_at(const struct decimal *decimal, int64_t place)
{
    size_t i = (size_t)place;

    if (i < decimal->whole.len)
        return (unsigned)(decimal->whole.data[i] - '0');
    i -= decimal->whole.len;
    return i < decimal->fraction.len ? (unsigned)(decimal->fraction.data[i] - '0') : 0;
}

static int64_t digits_count(const struct decimal *decimal)
{
    return (int64_t)(decimal->whole.len + decimal->fraction.len);
}

/* The place of the first digit that is not 0, or digits_count. */
static int64_t first_place(const struct decimal *decimal)
{
    int64_t place = 0;

    while (place < digits_count(decimal) && digit_at(decimal, place) == 0)
        place++;
    return place;
}

int64_t decimal_point(const struct decimal *decimal)
{
    int64_t first = first_place(decimal);

    if (first == digits_count(decimal))
        return INT64_MIN;
    return (int64_t)decimal->whole.len + decimal->exponent - first;
}

/* Whether a digit from this place on is not 0. */
static bool has_rest(const struct decimal *decimal, int64_t place)
{
    for (; place < digits_count(decimal); place++)
        if (digit_at(decimal, place) != 0)
            return true;
    return false;
}

static enum decimal_fit sign_integer(uint64_t sum, bool negative, int64_t *result)
{
    if (sum > (uint64_t)INT64_MAX + negative)
        return DECIMAL_TOO_LARGE;
    *result = (int64_t)(negative ? -sum : sum);
    return DECIMAL_EXACT;
}

enum decimal_fit decimal_to_integer(const struct decimal *decimal, int shift, int64_t *result)
{
    int64_t first = first_place(decimal);
    int64_t units = (int64_t)decimal->whole.len + decimal->exponent + shift; /* place behind them */
    uint64_t sum = 0;

    *result = 0;
    if (first == digits_count(decimal))
        return DECIMAL_EXACT;
    if (units < first)
        return DECIMAL_ROUNDED;
    if (units - first > INTEGER_DIGITS)
        return DECIMAL_TOO_LARGE;
    for (int64_t place = first; place < units; place++)
        sum = sum * 10 + digit_at(decimal, place);
    if (!has_rest(decimal, units))
        return sign_integer(sum, decimal->negative, result);
    sum += digit_at(decimal, units) >= 5;
    enum decimal_fit fit = sign_integer(sum, decimal->negative, result);
    return fit == DECIMAL_EXACT ? DECIMAL_ROUNDED : fit;
}
