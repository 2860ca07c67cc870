/* Few buckets, so looking for the right one from the front is as fast as any other way. */
#include "ops/histogram.h"

const struct histogram_bounds histogram_flush_seconds = {
    9, {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30}};
const struct histogram_bounds histogram_wait_seconds = {5, {0.001, 0.01, 0.1, 1, 10}};
const struct histogram_bounds histogram_latency_seconds = {
    9, {0.01, 0.05, 0.1, 0.5, 1, 5, 30, 300, 3600}};
const struct histogram_bounds histogram_rebalance_seconds = {7, {0.1, 0.5, 1, 3, 10, 30, 60}};
const struct histogram_bounds histogram_batch_records = {7, {1, 10, 100, 1000, 5000, 10000, 50000}};
const struct histogram_bounds histogram_batch_bytes = {4, {1024, 65536, 1048576, 16777216}};

void histogram_add(struct histogram *histogram, const struct histogram_bounds *bounds, double value,
                   uint64_t times)
{
    size_t bucket = 0;

    while (bucket < bounds->count && value > bounds->upper[bucket])
        bucket++;
    histogram->counts[bucket] += times;
    histogram->sum += value * (double)times;
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;

    for (size_t i = 0; i <= HISTOGRAM_BUCKETS; i++)
        count += histogram->counts[i];
    return count;
}
