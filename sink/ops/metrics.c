/* The format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include "ops/metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

static const char *const type_names[] = {
    [METRICS_COUNTER] = "counter",
    [METRICS_GAUGE] = "gauge",
    [METRICS_HISTOGRAM] = "histogram",
};

void metrics_family(struct metrics *metrics, enum metrics_type type, const char *name,
                    const char *help)
{
    metrics->name = name;
    buffer_printf(metrics->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type_names[type]);
}

static void put_escaped(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n') {
            buffer_append(out, "\\n", 2);
            continue;
        }
        if (*text == '"' || *text == '\\')
            buffer_append(out, "\\", 1);
        buffer_append(out, text, 1);
    }
}

static void put_label(struct buffer *out, bool first, const char *name, const char *value)
{
    buffer_append(out, first ? "{" : ",", 1);
    buffer_append_text(out, name);
    buffer_append(out, "=\"", 2);
    put_escaped(out, value);
    buffer_append(out, "\"", 1);
}

/* name_suffix{labels,le="..."} */
static void begin_sample(struct metrics *metrics, const char *suffix,
                         const struct metrics_label *labels, const char *le)
{
    bool first = true;

    buffer_append_text(metrics->out, metrics->name);
    buffer_append_text(metrics->out, suffix);
    for (; labels->name; labels++) {
        put_label(metrics->out, first, labels->name, labels->value);
        first = false;
    }
    if (le)
        put_label(metrics->out, first, "le", le);
    if (le || !first)
        buffer_append(metrics->out, "}", 1);
    buffer_append(metrics->out, " ", 1);
}

static void put_integer(struct metrics *metrics, int64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRId64 "\n", value);

    buffer_append(metrics->out, text, (size_t)len);
}

/* Thirteen digits tell milliseconds in a Unix time apart; whole numbers stay whole. */
static void put_real(struct metrics *metrics, double value)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%.13g\n", value);

    buffer_append(metrics->out, text, (size_t)len);
}

void metrics_integer(struct metrics *metrics, const struct metrics_label *labels, int64_t value)
{
    begin_sample(metrics, "", labels, NULL);
    put_integer(metrics, value);
}

void metrics_real(struct metrics *metrics, const struct metrics_label *labels, double value)
{
    begin_sample(metrics, "", labels, NULL);
    put_real(metrics, value);
}

void metrics_histogram(struct metrics *metrics, const struct metrics_label *labels,
                       const struct histogram *histogram, const struct histogram_bounds *bounds)
{
    uint64_t count = 0;
    char le[32];

    for (size_t i = 0; i < bounds->count; i++) {
        count += histogram->counts[i];
        snprintf(le, sizeof(le), "%g", bounds->upper[i]);
        begin_sample(metrics, "_bucket", labels, le);
        put_integer(metrics, (int64_t)count);
    }
    count += histogram->counts[bounds->count];
    begin_sample(metrics, "_bucket", labels, "+Inf");
    put_integer(metrics, (int64_t)count);
    begin_sample(metrics, "_sum", labels, NULL);
    put_real(metrics, histogram->sum);
    begin_sample(metrics, "_count", labels, NULL);
    put_integer(metrics, (int64_t)count);
}

void metrics_counter(struct metrics *metrics, const char *name, const char *help, uint64_t value)
{
    metrics_family(metrics, METRICS_COUNTER, name, help);
    metrics_integer(metrics, METRICS_NO_LABELS, (int64_t)value);
}

void metrics_gauge(struct metrics *metrics, const char *name, const char *help, double value)
{
    metrics_family(metrics, METRICS_GAUGE, name, help);
    metrics_real(metrics, METRICS_NO_LABELS, value);
}
