/*
 * The first character decides: a letter begins a word, a minus a duration; digits alone are an
 * offset, with anything else a time. A time of day needs its zone: without one it would mean
 * another moment on another machine.
 */
#include "backfill/bound.h"

#include "base/compiler.h"
#include "pg/datetime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const int64_t POSTGRES_EPOCH_MS = INT64_C(946684800000); /* 2000 since 1970 */

static bool refuse(struct err *err, const char *text, const char *what)
{
    return err_set(
        err, ERR_CONFIG,
        "%.100s %s; it can be earliest, latest, an offset (1000), a date (2026-08-20), a "
        "time with its zone (2026-08-20T08:00:00Z), or a time back from now (-90d, -36h, "
        "-15m)",
        text, what);
}

static bool parse_offset(struct bound *bound, const char *text, struct err *err)
{
    errno = 0;
    *bound = (struct bound){.kind = BOUND_OFFSET, .offset = strtoll(text, NULL, 10)};
    return (errno == 0 && bound->offset < INT64_MAX) || refuse(err, text, "is too large an offset");
}

static int64_t unit_ms(const char *unit)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"w", 604800000}};

    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (strcmp(unit, units[i].name) == 0)
            return units[i].ms;
    return 0;
}

static bool parse_duration(struct bound *bound, const char *text, int64_t now_ms, struct err *err)
{
    char *unit;
    int64_t ms, length_ms;

    errno = 0;
    int64_t number = strtoll(text + 1, &unit, 10);
    ms = unit_ms(unit);
    if (text[1] < '0' || text[1] > '9' || ms == 0 || errno != 0)
        return refuse(err, text, "is no time back from now: a number and one of s, m, h, d, w");
    if (__builtin_mul_overflow(number, ms, &length_ms) || length_ms > now_ms)
        return refuse(err, text, "is before 1970");
    *bound = (struct bound){.kind = BOUND_TIME, .time_ms = now_ms - length_ms};
    return true;
}

/* Behind the time of day: Z, +01, +01:00, -0100. */
static bool has_zone(const char *text)
{
    const char *clock = strpbrk(text, "Tt ");

    return clock && strpbrk(clock, "+-ZzUu"); /* as it was parsed, a u begins UTC */
}

/* Records have milliseconds: the first one at that time or later. Division rounds up below 0. */
static int64_t ceil_ms(int64_t us)
{
    return us / 1000 + (us % 1000 > 0);
}

static bool parse_time(struct bound *bound, const char *text, struct err *err)
{
    struct err unused;
    int64_t us;

    if (!datetime_parse_timestamptz(slice_of(text), &us, &unused) || us == INT64_MAX ||
        us == INT64_MIN)
        return refuse(err, text, "is no bound");
    if (strpbrk(text, "Tt:") && !has_zone(text))
        return refuse(err, text, "has no zone");
    *bound = (struct bound){.kind = BOUND_TIME, .time_ms = ceil_ms(us) + POSTGRES_EPOCH_MS};
    return bound->time_ms >= 0 || refuse(err, text, "is before 1970");
}

bool bound_parse(struct bound *bound, const char *text, int64_t now_ms, struct err *err)
{
    *bound = (struct bound){.kind = BOUND_EARLIEST};
    if (strcmp(text, "earliest") == 0)
        return true;
    bound->kind = BOUND_LATEST;
    if (strcmp(text, "latest") == 0)
        return true;
    if (text[0] == '-')
        return parse_duration(bound, text, now_ms, err);
    if (*text && text[strspn(text, "0123456789")] == '\0')
        return parse_offset(bound, text, err);
    return parse_time(bound, text, err);
}
