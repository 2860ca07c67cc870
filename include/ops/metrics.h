/*
 * Prometheus' text format 0.0.4: families, one after the other, and their samples.
 *
 *   metrics_family(&metrics, METRICS_GAUGE, "pgsluice_ready", "Whether ...");
 *   metrics_integer(&metrics, METRICS_LABELS({"topic", topic}), 1);
 *
 * Nothing is kept here: who has the figures writes them. Thread: any (one owner at a time).
 */
#ifndef OPS_METRICS_H
#define OPS_METRICS_H

#include "base/buffer.h"
#include "ops/histogram.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics_label {
    const char *name;
    const char *value; /* any UTF-8 */
};

/* Zeroed, but for `out`. */
struct metrics {
    struct buffer *out; /* borrowed */
    const char *name;   /* private: of the family */
};

#define METRICS_LABELS(...) ((const struct metrics_label[]){__VA_ARGS__, {0}})
#define METRICS_NO_LABELS   ((const struct metrics_label[]){{0}})

/* Name and help are static. Samples of it follow, or none. */
void metrics_family(struct metrics *metrics, enum metrics_type type, const char *name,
                    const char *help);

void metrics_integer(struct metrics *metrics, const struct metrics_label *labels, int64_t value);
void metrics_real(struct metrics *metrics, const struct metrics_label *labels, double value);
void metrics_histogram(struct metrics *metrics, const struct metrics_label *labels,
                       const struct histogram *histogram, const struct histogram_bounds *bounds);

/* A family of one sample without labels. */
void metrics_counter(struct metrics *metrics, const char *name, const char *help, uint64_t value);
void metrics_gauge(struct metrics *metrics, const char *name, const char *help, double value);

#endif
