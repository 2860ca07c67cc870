/*
 * The ends of the assigned partitions' logs, asked for every SINK_LAG_INTERVAL_MS: librdkafka knows
 * them only of partitions that it fetches, so not while reading waits, which is when they matter.
 * Thread: loop.
 */
#ifndef KAFKA_WATERMARKS_H
#define KAFKA_WATERMARKS_H

#include "kafka/assignment.h"
#include "kafka/waker.h"

struct config;

struct watermarks {
    int64_t refreshed_ms;                           /* Unix time of the last answer; 0: none yet */
    void (*on_answer)(void *opaque, bool answered); /* Kafka's, or that none came */
    void *opaque;

    /* private: */
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    struct waker waker;
    uv_timer_t timer;
    struct assignment *assignment;
    rd_kafka_IsolationLevel_t isolation;
    int64_t interval_ms;
    int64_t asked_ms;
    bool under_way;
};

/* All are borrowed. The end is what the consumer's isolation level lets it read. */
void watermarks_open(struct watermarks *watermarks, uv_loop_t *loop, rd_kafka_t *client,
                     const struct config *config, struct assignment *assignment);

/* Before the client is destroyed. */
void watermarks_close(struct watermarks *watermarks);

#endif
