/*
 * How often a value was how large: counts in fixed buckets, as Prometheus sums them up. Thread: one
 * owner at a time.
 */
#ifndef OPS_HISTOGRAM_H
#define OPS_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 10 }; /* at most, without the last one, which is open */

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS + 1]; /* of values up to the bound and above the one before */
    double sum;
};

/* The upper bounds of the buckets, rising. */
struct histogram_bounds {
    size_t count;
    double upper[HISTOGRAM_BUCKETS];
};

extern const struct histogram_bounds histogram_flush_seconds;   /* a flush and its stages */
extern const struct histogram_bounds histogram_wait_seconds;    /* for a connection */
extern const struct histogram_bounds histogram_latency_seconds; /* from a record's timestamp */
extern const struct histogram_bounds histogram_rebalance_seconds;
extern const struct histogram_bounds histogram_batch_records;
extern const struct histogram_bounds histogram_batch_bytes;

/* `times` values of this size. */
void histogram_add(struct histogram *histogram, const struct histogram_bounds *bounds, double value,
                   uint64_t times);

uint64_t histogram_count(const struct histogram *histogram);

#endif
