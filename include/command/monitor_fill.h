/*
 * The answers, each in a file of its own; `opaque` is the monitor. Thread: loop.
 */
#ifndef COMMAND_MONITOR_FILL_H
#define COMMAND_MONITOR_FILL_H

#include "command/monitor.h"

/* Now. */
struct health monitor_health(const struct monitor *monitor);

void monitor_fill_metrics(void *opaque, bool verbose, struct http_answer *answer);

#endif
