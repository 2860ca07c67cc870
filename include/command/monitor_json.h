/*
 * What the JSON answers share. Thread: loop.
 */
#ifndef COMMAND_MONITOR_JSON_H
#define COMMAND_MONITOR_JSON_H

#include "command/monitor_fill.h"

#include <jansson.h>

/* Any text, also one that is not UTF-8. */
json_t *monitor_json_text(const char *text);

/* RFC 3339, with milliseconds; null: 0. */
json_t *monitor_json_time(int64_t unix_ms);

/* null: -1. */
json_t *monitor_json_count(int64_t count);

/* Takes the document. */
void monitor_json_answer(struct http_answer *answer, json_t *document);

/* RUNNING, RETRYING, STARTING or FAILED. */
const char *monitor_task_state(const struct dispatcher *dispatcher, const struct queue *queue);

/* topic, partition, committed, end, lag, lag_seconds. */
json_t *monitor_json_partition(const struct queue *queue);

/* Of all partitions; -1: none is known. */
int64_t monitor_lag(const struct dispatcher *dispatcher);

#endif
