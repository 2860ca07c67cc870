/*
 * Where a partition starts that has no position in PostgreSQL: SINK_START's earliest, latest or
 * what the group has committed to Kafka. Asked of the cluster without blocking. Thread: loop.
 */
#ifndef KAFKA_POSITIONS_H
#define KAFKA_POSITIONS_H

#include "config.h"
#include "kafka/waker.h"

/* offset: where it starts; negative: it could not be found out, err says why. */
typedef void (*positions_found_cb)(void *opaque, const char *topic, int32_t partition,
                                   int64_t offset, const struct err *err);

struct positions_options {
    const struct config *config; /* borrowed */
    positions_found_cb on_found;
    void *opaque;
};

struct positions {
    /* private: */
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    struct waker waker;
    struct positions_options options;
};

void positions_open(struct positions *positions, uv_loop_t *loop, rd_kafka_t *client,
                    const struct positions_options *options);
void positions_close(struct positions *positions);

/* Every partition of the list (borrowed) is answered once through on_found. */
void positions_ask(struct positions *positions, const rd_kafka_topic_partition_list_t *partitions);

#endif
