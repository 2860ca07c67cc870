/*
 * How fast a run goes now, and when it will be done: over a sliding window, so that a slow start, a
 * pause or a resumed run's former work don't spoil either. Thread: any (one owner at a time), pure.
 */
#ifndef OPS_PROGRESS_RATE_H
#define OPS_PROGRESS_RATE_H

#include "ops/progress.h"

/* Samples are at least 500 ms apart: the window is some 15 s. */
enum { PROGRESS_RATE_SAMPLES = 31, PROGRESS_RATE_APART_MS = 500 };

struct progress_sample {
    int64_t at_ms; /* monotonic */
    int64_t done_count;
    int64_t rows_count;
    int64_t bytes;
};

/* Zeroed at the begin. */
struct progress_rate {
    struct progress_sample samples[PROGRESS_RATE_SAMPLES]; /* a ring */
    size_t count;                                          /* seen so far */
};

/* Takes note of what is done; too soon after the last sample it does nothing. */
void progress_rate_note(struct progress_rate *rate, const struct progress_sum *sum, int64_t now_ms);

/* 0 while nothing is known, and while nothing goes on. */
int64_t progress_rate_rows_per_s(const struct progress_rate *rate);
int64_t progress_rate_bytes_per_s(const struct progress_rate *rate);

/* -1: not to be said, in the first 3 s of work and while nothing goes on. 0 when nothing is left.
 */
int64_t progress_rate_left_ms(const struct progress_rate *rate, int64_t left_count);

#endif
