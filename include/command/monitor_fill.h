/*
 * The answers, each in a file of its own; `opaque` is the monitor. Thread: loop.
 */
#ifndef COMMAND_MONITOR_FILL_H
#define COMMAND_MONITOR_FILL_H

#include "command/monitor.h"
#include "ops/metrics.h"

/* Now. */
struct health monitor_health(const struct monitor *monitor);

/* The families of /metrics by partition, topic and table. */
void monitor_put_topics(struct metrics *out, const struct monitor *monitor);

/* The families of a backfill. */
void monitor_put_backfill(struct metrics *out, const struct progress *progress);

void monitor_fill_metrics(void *opaque, bool verbose, struct http_answer *answer);
void monitor_fill_status(void *opaque, bool verbose, struct http_answer *answer);
void monitor_fill_lag(void *opaque, bool verbose, struct http_answer *answer);
void monitor_fill_assignment(void *opaque, bool verbose, struct http_answer *answer);
void monitor_fill_distribution(void *opaque, bool verbose, struct http_answer *answer);
void monitor_fill_config(void *opaque, bool verbose, struct http_answer *answer);
void monitor_fill_version(void *opaque, bool verbose, struct http_answer *answer);

#endif
