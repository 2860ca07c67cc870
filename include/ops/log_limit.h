/*
 * How many lines of one event may pass: 10 in 10 seconds, the rest is counted. Pure: time comes in,
 * a decision goes out. ops/log.c holds the only one and its lock. Thread: any (one owner at a
 * time).
 */
#ifndef OPS_LOG_LIMIT_H
#define OPS_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LOG_LIMIT_LINES = 10,
    LOG_LIMIT_WINDOW_MS = 10000,
    LOG_LIMIT_EVENTS =
        64, /* remembered at a time; the one that has been quiet longest makes room */
    LOG_LIMIT_NAME_BYTES = 48, /* events that only differ behind this are one */
};

struct log_limit_event {
    char name[LOG_LIMIT_NAME_BYTES]; /* empty: a free slot */
    int64_t window_ms;               /* when the window began */
    int64_t last_ms;
    int64_t passed;    /* lines in this window */
    int64_t held_back; /* lines since the last one that passed */
};

/* Zeroed is ready for use. */
struct log_limit {
    struct log_limit_event events[LOG_LIMIT_EVENTS];
};

/* Whether a line of this event may be written now, and how many were held back before it. */
bool log_limit_pass(struct log_limit *limit, const char *event, int64_t now_ms, int64_t *held_back);

#endif
