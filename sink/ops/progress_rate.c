/*
 * The window begins with the last sample before anything went on: what a start waits for (servers,
 * the first answer) says nothing about the speed. A run that stands still for the whole window has
 * no rate.
 */
#include "ops/progress_rate.h"

enum { ENOUGH_MS = 3000 };

static const struct progress_sample *newest(const struct progress_rate *rate)
{
    return &rate->samples[(rate->count - 1) % PROGRESS_RATE_SAMPLES];
}

static const struct progress_sample *oldest(const struct progress_rate *rate)
{
    return &rate->samples[rate->count > PROGRESS_RATE_SAMPLES ? rate->count % PROGRESS_RATE_SAMPLES
                                                              : 0];
}

void progress_rate_note(struct progress_rate *rate, const struct progress_sum *sum, int64_t now_ms)
{
    struct progress_sample sample = {now_ms, sum->done_count, sum->rows_count, sum->bytes};

    if (rate->count > 0 && now_ms - newest(rate)->at_ms < PROGRESS_RATE_APART_MS)
        return;
    if (rate->count == 1 && sample.done_count == rate->samples[0].done_count)
        rate->count = 0; /* it has not begun */
    rate->samples[rate->count % PROGRESS_RATE_SAMPLES] = sample;
    rate->count++;
}

static int64_t window_ms(const struct progress_rate *rate)
{
    return rate->count > 1 ? newest(rate)->at_ms - oldest(rate)->at_ms : 0;
}

static int64_t per_s(const struct progress_rate *rate, int64_t amount)
{
    int64_t ms = window_ms(rate);

    return ms > 0 ? (int64_t)((double)amount * 1000 / (double)ms) : 0;
}

int64_t progress_rate_rows_per_s(const struct progress_rate *rate)
{
    return rate->count > 1 ? per_s(rate, newest(rate)->rows_count - oldest(rate)->rows_count) : 0;
}

int64_t progress_rate_bytes_per_s(const struct progress_rate *rate)
{
    return rate->count > 1 ? per_s(rate, newest(rate)->bytes - oldest(rate)->bytes) : 0;
}

int64_t progress_rate_left_ms(const struct progress_rate *rate, int64_t left_count)
{
    int64_t ms = window_ms(rate);

    if (left_count <= 0)
        return 0;
    if (ms < ENOUGH_MS)
        return -1;
    int64_t done_count = newest(rate)->done_count - oldest(rate)->done_count;
    return done_count > 0 ? (int64_t)((double)left_count * (double)ms / (double)done_count) : -1;
}
