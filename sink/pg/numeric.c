/*
 * A decimal text becomes base-10000 digits.
 *
 * The digits are laid down one per byte without the point, stripped of zeros at both ends, rounded,
 * and packed four at a time, aligned to the point:
 *
 *   12345.678   digits 12345678, point 5      0.00012   digits 12, point -3
 *   groups      1|2345|6780                   groups    0001|2000
 *   weight      1 (the first group counts     weight    -1
 *               10000^1)
 *
 * The bytes stand in the free space of the output buffer, behind the room kept for the field, so
 * nothing is allocated. Huge exponents cost nothing: zeros at the ends are never laid down.
 */
#include "pg/numeric.h"

#include "pg/decimal.h"
#include "pg/literal.h"

enum {
    GROUP_DIGITS = 4,
    HEADER_BYTES = 12, /* length; count of groups, weight, sign, scale: int16 each */
    WEIGHT_MAX = 32767,
    SCALE_MAX = 16383,
    SIGN_POSITIVE = 0x0000,
    SIGN_NEGATIVE = 0x4000,
    SIGN_NAN = 0xC000,
    SIGN_INFINITY = 0xD000,
    SIGN_MINUS_INFINITY = 0xF000,
};

struct numeric {
    bool negative;
    char *digits; /* one per byte, '0' to '9'; one more byte is writable in front */
    int64_t count;
    int64_t point; /* its place, counted from digits */
    int64_t scale; /* digits behind the point that the value shows */
};

/* --- typmod ---------------------------------------------------------------------------------- */

static bool has_typmod(int32_t typmod)
{
    return typmod >= 4;
}

static int precision_of(int32_t typmod)
{
    return ((typmod - 4) >> 16) & 0xffff;
}

/* 11 bits with a sign, since PostgreSQL 15. */
static int scale_of(int32_t typmod)
{
    return (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
}

/* --- Digits ---------------------------------------------------------------------------------- */

static void strip_zeros(struct numeric *numeric)
{
    while (numeric->count > 0 && numeric->digits[0] == '0') {
        numeric->digits++;
        numeric->count--;
        numeric->point--;
    }
    while (numeric->count > 0 && numeric->digits[numeric->count - 1] == '0')
        numeric->count--;
}

static void lay_digits(struct numeric *numeric, const struct decimal *decimal, char *room)
{
    struct slice whole = decimal->whole;
    struct slice fraction = decimal->fraction;

    memcpy(room, whole.data, whole.len);
    if (fraction.len > 0)
        memcpy(room + whole.len, fraction.data, fraction.len);
    numeric->negative = decimal->negative;
    numeric->digits = room;
    numeric->count = (int64_t)(whole.len + fraction.len);
    numeric->point = (int64_t)whole.len + decimal->exponent;
    numeric->scale = (int64_t)fraction.len - decimal->exponent;
    if (numeric->scale < 0)
        numeric->scale = 0;
    strip_zeros(numeric);
}

/* Adds one in the last place; 999 becomes a 1 in front. */
static void round_up(struct numeric *numeric)
{
    while (numeric->count > 0 && numeric->digits[numeric->count - 1] == '9')
        numeric->count--;
    if (numeric->count > 0) {
        numeric->digits[numeric->count - 1]++;
        return;
    }
    numeric->digits--;
    numeric->digits[0] = '1';
    numeric->count = 1;
    numeric->point++;
}

static void round_to_scale(struct numeric *numeric, int scale)
{
    int64_t keep = numeric->point + scale;

    numeric->scale = scale > 0 ? scale : 0;
    if (keep >= numeric->count)
        return;
    bool up = keep >= 0 && numeric->digits[keep] >= '5';
    numeric->count = keep > 0 ? keep : 0;
    if (up)
        round_up(numeric);
    strip_zeros(numeric);
}

/* --- The field ------------------------------------------------------------------------------- */

static int64_t floor_div(int64_t value, int64_t by)
{
    return value >= 0 ? value / by : -((-value + by - 1) / by);
}

/* The count of groups is unsigned on the wire: there may be 36,864. */
static void put_header(struct buffer *out, int64_t groups, int64_t weight, int sign, int64_t scale)
{
    buffer_put_int32(out, (int32_t)(HEADER_BYTES - 4 + groups * 2));
    buffer_put_int16(out, (int16_t)groups);
    buffer_put_int16(out, (int16_t)weight);
    buffer_put_int16(out, (int16_t)sign);
    buffer_put_int16(out, (int16_t)scale);
}

/* The group of four whose first digit is at this place; zeros stand around the digits. */
static int16_t group_at(const struct numeric *numeric, int64_t place)
{
    int group = 0;

    for (int64_t i = place; i < place + GROUP_DIGITS; i++)
        group = group * 10 + (i >= 0 && i < numeric->count ? numeric->digits[i] - '0' : 0);
    return (int16_t)group;
}

static void put_numeric(struct buffer *out, const struct numeric *numeric, int64_t weight)
{
    int64_t place = numeric->point - (weight + 1) * GROUP_DIGITS; /* 0 to -3 */
    int64_t groups = (numeric->count - place + GROUP_DIGITS - 1) / GROUP_DIGITS;

    put_header(out, groups, weight, numeric->negative ? SIGN_NEGATIVE : SIGN_POSITIVE,
               numeric->scale);
    for (; place < numeric->count; place += GROUP_DIGITS)
        buffer_put_int16(out, group_at(numeric, place));
}

static bool append_rounded(struct buffer *out, struct numeric *numeric, int32_t typmod,
                           struct err *err)
{
    int64_t weight = floor_div(numeric->point - 1, GROUP_DIGITS);

    if (has_typmod(typmod) && numeric->count > 0 &&
        numeric->point > precision_of(typmod) - scale_of(typmod))
        return err_set(err, ERR_DATA, "the number has more than %d digits before the point",
                       precision_of(typmod) - scale_of(typmod));
    if (numeric->scale > SCALE_MAX || (numeric->count > 0 && weight > WEIGHT_MAX))
        return err_set(err, ERR_DATA, "the number is out of range for numeric");
    if (numeric->count > 0)
        put_numeric(out, numeric, weight);
    else
        put_header(out, 0, 0, SIGN_POSITIVE, numeric->scale);
    return true;
}

static bool append_decimal(struct buffer *out, const struct decimal *decimal, int32_t typmod,
                           struct err *err)
{
    struct numeric numeric;
    size_t digits = decimal->whole.len + decimal->fraction.len;
    size_t field = HEADER_BYTES + 2 * (digits / GROUP_DIGITS + 2);

    if (decimal->exponent == DECIMAL_EXPONENT_MAX || decimal->exponent == -DECIMAL_EXPONENT_MAX)
        return err_set(err, ERR_DATA, "the number is out of range for numeric");
    buffer_reserve(out, field + 1 + digits);
    lay_digits(&numeric, decimal, out->data + out->len + field + 1);
    if (has_typmod(typmod))
        round_to_scale(&numeric, scale_of(typmod));
    return append_rounded(out, &numeric, typmod, err);
}

/* --- NaN and Infinity ------------------------------------------------------------------------ */

static int special_sign(struct slice text)
{
    if (literal_is(text, "nan"))
        return SIGN_NAN;
    if (literal_is(text, "infinity") || literal_is(text, "inf") || literal_is(text, "+infinity") ||
        literal_is(text, "+inf"))
        return SIGN_INFINITY;
    if (literal_is(text, "-infinity") || literal_is(text, "-inf"))
        return SIGN_MINUS_INFINITY;
    return SIGN_POSITIVE;
}

static bool append_special(struct buffer *out, int sign, int32_t typmod, struct err *err)
{
    if (has_typmod(typmod) && sign != SIGN_NAN)
        return err_set(err, ERR_DATA, "a numeric with a precision can not hold Infinity");
    buffer_reserve(out, HEADER_BYTES);
    put_header(out, 0, 0, sign, 0);
    return true;
}

bool numeric_append(struct buffer *out, struct slice text, int32_t typmod, struct err *err)
{
    struct decimal decimal;

    text = literal_trim(text);
    if (LIKELY(decimal_parse(text, &decimal)))
        return append_decimal(out, &decimal, typmod, err);
    int sign = special_sign(text);
    if (sign == SIGN_POSITIVE)
        return err_set(err, ERR_DATA,
                       "the string is not a number: 1.5, 1e3, NaN or Infinity "
                       "is wanted");
    return append_special(out, sign, typmod, err);
}
