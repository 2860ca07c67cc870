/* A ring: the newest takes the place of the oldest. */
#include "ops/history.h"

void history_add(struct history *history, const struct history_sample *sample)
{
    history->samples[history->count++ % HISTORY_SAMPLES] = *sample;
}

size_t history_length(const struct history *history)
{
    return history->count < HISTORY_SAMPLES ? history->count : HISTORY_SAMPLES;
}

const struct history_sample *history_at(const struct history *history, size_t i)
{
    return &history->samples[(history->count - history_length(history) + i) % HISTORY_SAMPLES];
}
