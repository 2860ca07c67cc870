/*
 * What can be seen of a running sink, or a backfill, from outside: HTTP's resources, filled from
 * its parts.
 *
 * It only looks: the parts are the run's, and live longer. Thread: loop.
 */
#ifndef COMMAND_MONITOR_H
#define COMMAND_MONITOR_H

#include "command/health.h"
#include "kafka/consumer.h"
#include "ops/history.h"
#include "ops/http.h"
#include "ops/progress.h"

enum { MONITOR_RESOURCES = 11 };

struct monitor {
    const struct config *config; /* borrowed, as are the others */
    const struct dispatcher *dispatcher;
    const struct consumer *consumer;              /* NULL: it is a backfill */
    const int64_t *brokers_away_since_ms;         /* 0: one has answered since */
    const struct progress *(*look)(void *opaque); /* of a backfill; NULL: it is none */
    void *opaque;                                 /* look's */
    const bool *draining;
    int workers; /* threads that encode */

    int64_t started_ms;     /* Unix time */
    struct history history; /* for the page, so empty in a backfill */

    /* private: */
    uv_timer_t timer;                                  /* samples */
    int fd;                                            /* listens; -1: SINK_HTTP_ADDRESS=off */
    struct http_resource resources[MONITOR_RESOURCES]; /* those that it serves */
    struct http http;
};

/* Before the servers are asked for anything. False (ERR_CONFIG): the address can't be had. */
bool monitor_listen(struct monitor *monitor, const struct config *config,
                    struct err *err) MUST_CHECK;

/* Instead of monitor_open. */
void monitor_abandon(struct monitor *monitor);

/* The fields above are set. */
void monitor_open(struct monitor *monitor, uv_loop_t *loop);

/* monitor_finish after the loop has run its close callbacks. */
void monitor_close(struct monitor *monitor);
void monitor_finish(struct monitor *monitor);

#endif
