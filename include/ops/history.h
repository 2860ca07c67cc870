/*
 * The last minutes, sample by sample, for the lines on the status page. Thread: loop.
 */
#ifndef OPS_HISTORY_H
#define OPS_HISTORY_H

#include <stddef.h>
#include <stdint.h>

enum { HISTORY_SAMPLES = 120, HISTORY_INTERVAL_MS = 5000 };

struct history_sample {
    uint64_t rows; /* written since the start */
    int64_t lag;   /* records behind, of all partitions; -1: not known */
};

/* Zeroed at the start. */
struct history {
    struct history_sample samples[HISTORY_SAMPLES]; /* a ring */
    size_t count;                                   /* since the start */
};

void history_add(struct history *history, const struct history_sample *sample);

/* How many there are, and the i-th of them, from the oldest. */
size_t history_length(const struct history *history);
const struct history_sample *history_at(const struct history *history, size_t i);

#endif
