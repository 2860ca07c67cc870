/* Durations are cut, estimates rounded up: a run should not seem further than it is. */
#include "ops/progress_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static const int64_t SECOND_MS = 1000;
static const int64_t MINUTE_MS = 60000;
static const int64_t HOUR_MS = 3600000;
static const int64_t DAY_MS = 86400000;
static const int64_t YEAR_10000_MS = INT64_C(253402300800000);

void progress_text_count(struct buffer *out, int64_t count)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRId64, count);

    for (int i = 0; i < len; i++) {
        bool first = i == 0 || digits[i - 1] == '-';
        if (!first && (len - i) % 3 == 0)
            buffer_append_text(out, ",");
        buffer_append(out, &digits[i], 1);
    }
}

/* Three digits that say something, before a unit of thousands. */
static void append_scaled(struct buffer *out, int64_t amount, const char *const *units)
{
    double scaled = (double)amount;

    for (; scaled >= 999.5 && units[1]; units++)
        scaled /= 1000;
    bool whole = scaled >= 99.95 || (double)amount == scaled;
    buffer_printf(out, "%.*f%s", whole ? 0 : scaled >= 9.995 ? 1 : 2, scaled, *units);
}

void progress_text_short(struct buffer *out, int64_t count)
{
    static const char *const units[] = {"", " k", " M", " G", " T", NULL};

    append_scaled(out, count, units);
}

void progress_text_bytes(struct buffer *out, int64_t bytes)
{
    static const char *const units[] = {" B", " kB", " MB", " GB", " TB", " PB", NULL};

    append_scaled(out, bytes, units);
}

/* "3 h 5 min"; the smaller part is left out when it is zero. */
static void append_pair(struct buffer *out, int64_t large, const char *large_unit, int64_t small,
                        const char *small_unit)
{
    buffer_printf(out, "%" PRId64 " %s", large, large_unit);
    if (small > 0)
        buffer_printf(out, " %" PRId64 " %s", small, small_unit);
}

void progress_text_duration(struct buffer *out, int64_t ms)
{
    if (ms < SECOND_MS)
        buffer_printf(out, "%" PRId64 " ms", ms);
    else if (ms < 10 * SECOND_MS)
        buffer_printf(out, "%" PRId64 ".%" PRId64 " s", ms / SECOND_MS, ms % SECOND_MS / 100);
    else if (ms < MINUTE_MS)
        buffer_printf(out, "%" PRId64 " s", ms / SECOND_MS);
    else if (ms < HOUR_MS)
        append_pair(out, ms / MINUTE_MS, "min", ms % MINUTE_MS / SECOND_MS, "s");
    else if (ms < DAY_MS)
        append_pair(out, ms / HOUR_MS, "h", ms % HOUR_MS / MINUTE_MS, "min");
    else
        append_pair(out, ms / DAY_MS, "d", ms % DAY_MS / HOUR_MS, "h");
}

/* To what a guess of this length is rounded up. */
static int64_t coarseness_ms(int64_t ms)
{
    if (ms < 10 * SECOND_MS)
        return SECOND_MS;
    if (ms < MINUTE_MS)
        return 5 * SECOND_MS;
    if (ms < 10 * MINUTE_MS)
        return 10 * SECOND_MS;
    if (ms < HOUR_MS)
        return MINUTE_MS;
    return ms < DAY_MS ? 10 * MINUTE_MS : HOUR_MS;
}

void progress_text_estimate(struct buffer *out, int64_t ms)
{
    int64_t unit_ms = coarseness_ms(ms);

    if (ms > 1000 * DAY_MS) {
        buffer_append_text(out, "years");
        return;
    }
    ms = (ms + unit_ms - 1) / unit_ms * unit_ms;
    if (ms < MINUTE_MS)
        buffer_printf(out, "%" PRId64 " s", ms / SECOND_MS);
    else
        progress_text_duration(out, ms);
}

void progress_text_percent(struct buffer *out, int permille)
{
    buffer_printf(out, "%d.%d %%", permille / 10, permille % 10);
}

void progress_text_time(struct buffer *out, int64_t unix_ms)
{
    char text[64];
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;

    if (unix_ms < 0 || unix_ms >= YEAR_10000_MS || !gmtime_r(&seconds, &parts)) {
        buffer_append_text(out, "-");
        return;
    }
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
    buffer_append_text(out, text);
}
