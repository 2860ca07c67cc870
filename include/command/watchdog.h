/*
 * Ends the process when it is stuck: a partition has work, nothing has become of it for
 * SINK_WATCHDOG_MS, and PostgreSQL and Kafka answer. An outage is no reason, nor is a halted
 * partition. Thread: loop, and one of its own for the time of a question to the servers.
 */
#ifndef COMMAND_WATCHDOG_H
#define COMMAND_WATCHDOG_H

#include "kafka/consumer.h"

struct watchdog {
    /* private: */
    const struct config *config; /* borrowed, as are the others */
    rd_kafka_t *client;
    const struct dispatcher *dispatcher;
    uv_timer_t timer;
    uv_thread_t thread;
    uv_async_t answered;
    int64_t well_since_ms; /* nothing is known against the servers since then */
    bool asking;
    bool servers_answer; /* the thread's; read after it was joined */
    bool stopped;
};

void watchdog_open(struct watchdog *watchdog, uv_loop_t *loop, const struct config *config,
                   rd_kafka_t *client, const struct dispatcher *dispatcher);

/* No more exits. */
void watchdog_stop(struct watchdog *watchdog);

/* Waits for a question that is under way, at most some seconds. */
void watchdog_close(struct watchdog *watchdog);

#endif
