/*
 * ISO 8601 to and from PostgreSQL's microseconds.
 *
 * One pass with a cursor over fixed-width numbers. A year has four digits or more; it becomes days
 * by counting from March, so that the leap day is a year's last (400 years have 146097 days).
 * Timestamps reach from 4714-11-24 BC to 294276, dates to 5874897, as in PostgreSQL; a zone may
 * carry one over the border, so the borders are compared after it.
 */
#include "pg/datetime.h"

#include "base/digits.h"
#include "pg/decimal.h"
#include "pg/literal.h"

#include <math.h>

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY    (86400 * US_PER_SECOND)
#define UNIX_EPOCH_US (INT64_C(946684800) * US_PER_SECOND) /* from 1970 to 2000 */

/* Days and microseconds since 2000-01-01; an end is not part of the range. */
#define TIMESTAMP_MIN INT64_C(-211813488000000000)
#define TIMESTAMP_END INT64_C(9223371331200000000)

enum {
    DATE_MIN = -2451545,
    DATE_END = 2145031949,
    TIMESTAMP_END_DAYS = 106751983,
    YEAR_MIN = -4713,
    YEAR_MAX = 5874898,
    YEARS_BEFORE = 4800,   /* so that no year is negative; a multiple of 400 */
    DAYS_BEFORE = 2483590, /* from -4800-02-29 to 2000-01-01 */
    YEAR_DIGITS_MIN = 4,
    YEAR_DIGITS_MAX = 7,
    FRACTION_DIGITS_MAX = 15, /* exact in a double, as PostgreSQL rounds them in one */
    ZONE_HOURS_MAX = 15,
};

enum infinity { FINITE, INFINITE, MINUS_INFINITE };

struct datetime {
    enum infinity infinity; /* if so, the rest is not set */
    int32_t days;           /* since 2000-01-01 */
    int64_t time_us;        /* of the day, up to 24:00:00 */
    int64_t zone_us;        /* east of UTC */
};

struct cursor {
    const char *at;
    const char *end;
};

/* --- The calendar ---------------------------------------------------------------------------- */

/* Astronomical years: 0 is 1 BC. The year is within YEAR_MIN and YEAR_MAX. */
static inline int32_t days_of(int year, int month, int day)
{
    static const unsigned short month_starts[] = {306, 337, 0,   31,  61,  92,
                                                  122, 153, 184, 214, 245, 275};
    unsigned y = (unsigned)(year + YEARS_BEFORE - (month <= 2));
    unsigned days = y * 365 + y / 4 - y / 100 + y / 400 + month_starts[month - 1] + (unsigned)day;

    return (int32_t)(days - DAYS_BEFORE);
}

static void civil_of(int64_t days, int64_t *year, int *month, int *day)
{
    days += 730425; /* from 0000-03-01 to 2000-01-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
    *month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* --- The cursor ------------------------------------------------------------------------------ */

static inline unsigned digit_at(const char *at)
{
    return (unsigned char)*at - '0';
}

static inline bool take_two(struct cursor *cursor, int *result)
{
    if (cursor->end - cursor->at < 2 || digit_at(cursor->at) > 9 || digit_at(cursor->at + 1) > 9)
        return false;
    *result = (int)(digit_at(cursor->at) * 10 + digit_at(cursor->at + 1));
    cursor->at += 2;
    return true;
}

static inline bool take_byte(struct cursor *cursor, char byte)
{
    if (cursor->at == cursor->end || *cursor->at != byte)
        return false;
    cursor->at++;
    return true;
}

static bool take_word(struct cursor *cursor, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(cursor->end - cursor->at) < len ||
        !literal_is((struct slice){cursor->at, len}, word))
        return false;
    cursor->at += len;
    return true;
}

static bool take_spaces(struct cursor *cursor)
{
    const char *start = cursor->at;

    while (take_byte(cursor, ' '))
        continue;
    return cursor->at > start;
}

/* Up to `max` digits; returns how many. */
static int take_digits(struct cursor *cursor, int max, int64_t *result)
{
    int count = 0;

    *result = 0;
    while (count < max && cursor->at < cursor->end && digit_at(cursor->at) <= 9) {
        *result = *result * 10 + digit_at(cursor->at++);
        count++;
    }
    return count;
}

/* --- Parsing --------------------------------------------------------------------------------- */

struct civil {
    int year;
    int month;
    int day;
};

static bool take_civil(struct cursor *cursor, struct civil *civil)
{
    int64_t year;
    int digits = take_digits(cursor, YEAR_DIGITS_MAX, &year);

    civil->year = (int)year;
    return digits >= YEAR_DIGITS_MIN && year > 0 && take_byte(cursor, '-') &&
           take_two(cursor, &civil->month) && take_byte(cursor, '-') &&
           take_two(cursor, &civil->day);
}

/* The digits behind the point, in microseconds. */
static bool take_fraction(struct cursor *cursor, int64_t *us)
{
    int64_t digits;
    int count = take_digits(cursor, FRACTION_DIGITS_MAX, &digits);

    if (count <= 6) {
        for (int i = count; i < 6; i++)
            digits *= 10;
        *us = digits;
        return count > 0;
    }
    double scale = 1;
    for (int i = 0; i < count; i++)
        scale *= 10;
    *us = llrint((double)digits / scale * 1e6);
    return true;
}

static bool take_time(struct cursor *cursor, int64_t *us)
{
    int hour, minute, second = 0;
    int64_t fraction = 0;

    if (!take_two(cursor, &hour) || !take_byte(cursor, ':') || !take_two(cursor, &minute))
        return false;
    if (take_byte(cursor, ':')) {
        if (!take_two(cursor, &second))
            return false;
        if (take_byte(cursor, '.') && !take_fraction(cursor, &fraction))
            return false;
    }
    *us = ((int64_t)(hour * 60 + minute) * 60 + second) * US_PER_SECOND + fraction;
    return hour <= 24 && minute < 60 && second <= 60 && *us <= US_PER_DAY;
}

static bool take_offset(struct cursor *cursor, bool east, int64_t *us)
{
    int hours, minutes = 0, seconds = 0;

    if (!take_two(cursor, &hours))
        return false;
    if (take_byte(cursor, ':')) {
        if (!take_two(cursor, &minutes))
            return false;
        if (take_byte(cursor, ':') && !take_two(cursor, &seconds))
            return false;
    } else if (cursor->at < cursor->end && digit_at(cursor->at) <= 9) {
        if (!take_two(cursor, &minutes))
            return false;
    }
    *us = ((int64_t)(hours * 60 + minutes) * 60 + seconds) * US_PER_SECOND;
    if (!east)
        *us = -*us;
    return hours <= ZONE_HOURS_MAX && minutes < 60 && seconds < 60;
}

/* Nothing is UTC. */
static bool take_zone(struct cursor *cursor, int64_t *us)
{
    struct cursor start = *cursor;

    *us = 0;
    take_spaces(cursor);
    if (take_word(cursor, "z") || take_word(cursor, "utc"))
        return true;
    if (take_byte(cursor, '+'))
        return take_offset(cursor, true, us);
    if (take_byte(cursor, '-'))
        return take_offset(cursor, false, us);
    *cursor = start;
    return true;
}

static bool take_clock(struct cursor *cursor, struct datetime *datetime)
{
    datetime->time_us = 0;
    datetime->zone_us = 0;
    if (!take_word(cursor, "t")) {
        struct cursor start = *cursor;
        if (!take_spaces(cursor) || cursor->at == cursor->end || digit_at(cursor->at) > 9) {
            *cursor = start;
            return true;
        }
    }
    return take_time(cursor, &datetime->time_us) && take_zone(cursor, &datetime->zone_us);
}

static bool take_era(struct cursor *cursor, struct civil *civil)
{
    if (cursor->at == cursor->end)
        return true;
    civil->year = 1 - civil->year;
    return take_spaces(cursor) && take_word(cursor, "bc") && cursor->at == cursor->end;
}

static bool parse_infinity(struct slice text, struct datetime *datetime)
{
    datetime->infinity = FINITE;
    if (literal_is(text, "infinity"))
        datetime->infinity = INFINITE;
    if (literal_is(text, "-infinity"))
        datetime->infinity = MINUS_INFINITE;
    return datetime->infinity != FINITE;
}

static bool parse(struct slice text, struct datetime *datetime, struct err *err)
{
    struct cursor cursor = {text.data, text.data + text.len};
    struct civil civil;

    if (!take_civil(&cursor, &civil) || !take_clock(&cursor, datetime) ||
        !take_era(&cursor, &civil) || civil.month < 1 || civil.month > 12 || civil.day < 1 ||
        civil.day > days_in_month(civil.year, civil.month))
        return err_set(err, ERR_DATA,
                       "the string is not a date or time of the form "
                       "YYYY-MM-DD[THH:MM[:SS[.ffffff]][Z|+HH:MM]]");
    if (civil.year < YEAR_MIN || civil.year > YEAR_MAX)
        return err_set(err, ERR_DATA, "the year is out of range: 4714 BC to 5874897");
    datetime->days = days_of(civil.year, civil.month, civil.day);
    return true;
}

/* --- The usual form -------------------------------------------------------------------------- */

enum { USUAL_BYTES = 19 }; /* YYYY-MM-DDTHH:MM:SS */

/* YYYY-MM-DD and a letter or space. */
static inline uint64_t read_date(const char *at, struct civil *civil)
{
    uint64_t wrong = 0;
    uint64_t pairs = digits_pairs(digits_match(at, "0000-00-", "\6\6\6\6\17\6\6\17", &wrong));
    unsigned tens = digit_at(at + 8);
    unsigned ones = digit_at(at + 9);

    civil->year = digits_pair(pairs, 0) * 100 + digits_pair(pairs, 2);
    civil->month = digits_pair(pairs, 5);
    civil->day = (int)(tens * 10 + ones);
    wrong |= (tens > 9) | (ones > 9) | ((at[10] != 'T') & (at[10] != ' '));
    /* The 29th and later are for those who count days. */
    return wrong | (civil->year == 0) | ((unsigned)civil->month - 1 > 11) |
           ((unsigned)civil->day - 1 > 27);
}

/* HH:MM:SS */
static inline uint64_t read_time(const char *at, int64_t *us)
{
    uint64_t wrong = 0;
    uint64_t pairs = digits_pairs(digits_match(at, "00:00:00", "\6\6\17\6\6\17\6\6", &wrong));
    int hour = digits_pair(pairs, 0);
    int minute = digits_pair(pairs, 3);
    int second = digits_pair(pairs, 6);

    *us = ((hour * 60 + minute) * 60 + second) * US_PER_SECOND;
    return wrong | (hour > 23) | (minute > 59) | (second > 59);
}

/* The eight bytes from the point on: .ffffffZ; before it ends: SS.fffZ. */
static inline uint64_t read_fraction(const char *end, size_t len, int64_t *us)
{
    uint64_t wrong = 0;
    uint64_t pairs;

    *us = 0;
    if (len == 8) {
        pairs = digits_pairs(digits_match(end - 8, ".000000Z", "\17\6\6\6\6\6\6\17", &wrong));
        *us = (digits_pair(pairs, 1) * 100 + digits_pair(pairs, 3)) * 100 + digits_pair(pairs, 5);
    } else if (len == 5) {
        pairs = digits_match(end - 8, ":00.000Z", "\17\6\6\17\6\6\6\17", &wrong);
        *us = digits_pair(digits_pairs(pairs), 4) * 10000 + digits_pair(pairs, 6) * 1000;
    } else {
        wrong = len != 0 && (len != 1 || end[-1] != 'Z');
    }
    return wrong;
}

/*
 * YYYY-MM-DDTHH:MM:SS[.fff|.ffffff]Z, which nearly every timestamp is. False says nothing but that
 * it is to be looked at more closely.
 */
static inline bool parse_usual(struct slice text, struct datetime *datetime)
{
    struct civil civil;
    int64_t fraction_us;

    if (text.len < USUAL_BYTES)
        return false;
    uint64_t wrong = read_date(text.data, &civil) | read_time(text.data + 11, &datetime->time_us) |
                     read_fraction(text.data + text.len, text.len - USUAL_BYTES, &fraction_us);
    if (UNLIKELY(wrong))
        return false;
    datetime->infinity = FINITE;
    datetime->days = days_of(civil.year, civil.month, civil.day);
    datetime->time_us += fraction_us;
    datetime->zone_us = 0;
    return true;
}

static bool parse_any(struct slice text, struct datetime *datetime, struct err *err)
{
    if (LIKELY(parse_usual(text, datetime)))
        return true;
    text = literal_trim(text);
    return parse_infinity(text, datetime) || parse(text, datetime, err);
}

/* --- The types ------------------------------------------------------------------------------- */

static bool check_timestamp(int64_t us, struct err *err)
{
    if (us >= TIMESTAMP_MIN && us < TIMESTAMP_END)
        return true;
    return err_set(err, ERR_DATA, "the time is out of range: 4714-11-24 BC to 294276-12-31");
}

static bool finish_timestamp(const struct datetime *datetime, int64_t zone_us, int64_t *us,
                             struct err *err)
{
    if (datetime->infinity != FINITE) {
        *us = datetime->infinity == INFINITE ? INT64_MAX : INT64_MIN;
        return true;
    }
    /* First roughly, so that it can be multiplied. */
    if (datetime->days < DATE_MIN - 1 || datetime->days > TIMESTAMP_END_DAYS)
        return check_timestamp(INT64_MAX, err);
    *us = datetime->days * US_PER_DAY + datetime->time_us - zone_us;
    return check_timestamp(*us, err);
}

bool datetime_parse_timestamp(struct slice text, int64_t *us, struct err *err)
{
    struct datetime datetime = {0};

    return parse_any(text, &datetime, err) && finish_timestamp(&datetime, 0, us, err);
}

bool datetime_parse_timestamptz(struct slice text, int64_t *us, struct err *err)
{
    struct datetime datetime = {0};

    return parse_any(text, &datetime, err) &&
           finish_timestamp(&datetime, datetime.zone_us, us, err);
}

bool datetime_parse_date(struct slice text, int32_t *days, struct err *err)
{
    struct datetime datetime = {0};

    if (!parse_any(text, &datetime, err))
        return false;
    if (datetime.infinity != FINITE) {
        *days = datetime.infinity == INFINITE ? INT32_MAX : INT32_MIN;
        return true;
    }
    if (datetime.days < DATE_MIN || datetime.days >= DATE_END)
        return err_set(err, ERR_DATA, "the date is out of range: 4714-11-24 BC to 5874897-12-31");
    *days = (int32_t)datetime.days;
    return true;
}

/* --- Unix time ------------------------------------------------------------------------------- */

static bool from_unix_us(int64_t unix_us, int64_t *us, struct err *err)
{
    if (unix_us < INT64_MIN + UNIX_EPOCH_US)
        return check_timestamp(INT64_MIN, err);
    *us = unix_us - UNIX_EPOCH_US;
    return check_timestamp(*us, err);
}

bool datetime_from_integer(int64_t integer, int64_t *us, struct err *err)
{
    uint64_t size = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;

    if (size < UINT64_C(100000000000))
        return from_unix_us(integer * 1000000, us, err);
    if (size < UINT64_C(100000000000000))
        return from_unix_us(integer * 1000, us, err);
    return from_unix_us(integer, us, err);
}

bool datetime_from_number(struct slice number, int64_t *us, struct err *err)
{
    struct decimal decimal;
    int64_t unix_us;

    if (!decimal_parse(number, &decimal))
        return err_set(err, ERR_DATA, "the value is not a number");
    int64_t point = decimal_point(&decimal);
    int shift = point <= 11 ? 6 : point <= 14 ? 3 : 0;
    if (decimal_to_integer(&decimal, shift, &unix_us) == DECIMAL_TOO_LARGE)
        return check_timestamp(INT64_MAX, err);
    return from_unix_us(unix_us, us, err);
}

bool datetime_from_unix_ms(int64_t unix_ms, int64_t *us, struct err *err)
{
    if (unix_ms > INT64_MAX / 1000 || unix_ms < INT64_MIN / 1000)
        return check_timestamp(INT64_MAX, err);
    return from_unix_us(unix_ms * 1000, us, err);
}

int32_t datetime_date_of(int64_t us)
{
    int64_t days = us / US_PER_DAY;

    return (int32_t)(us % US_PER_DAY < 0 ? days - 1 : days);
}

/* --- Printing -------------------------------------------------------------------------------- */

void datetime_append(struct buffer *out, int64_t us)
{
    int64_t days = datetime_date_of(us);
    int64_t time_us = us - days * US_PER_DAY;
    int seconds = (int)(time_us / US_PER_SECOND);
    int fraction = (int)(time_us % US_PER_SECOND);
    int64_t year;
    int month, day;

    civil_of(days, &year, &month, &day);
    buffer_printf(out, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)(year > 0 ? year : 1 - year),
                  month, day, seconds / 3600, seconds / 60 % 60, seconds % 60);
    if (fraction % 1000 != 0)
        buffer_printf(out, ".%06d", fraction);
    else if (fraction != 0)
        buffer_printf(out, ".%03d", fraction / 1000);
    buffer_append_text(out, year > 0 ? "Z" : "Z BC");
}
