/*
 * Where a partition starts that has no position: what the group has committed to Kafka, if
 * SINK_START says so, else the earliest offset. Asked of the cluster without blocking. Thread:
 * loop.
 *
 * SINK_START=latest is about what was there at the first start: with exactly once,
 * command/first_start.c has given those partitions their positions. What has none is newer, and all
 * of its records are wanted, also those from before it was noticed.
 */
#ifndef KAFKA_POSITIONS_H
#define KAFKA_POSITIONS_H

#include "config.h"
#include "kafka/waker.h"

/* offset: where it starts; negative: it could not be found out, err says why. */
typedef void (*positions_found_cb)(void *opaque, const char *topic, int32_t partition,
                                   int64_t offset, const struct err *err);

/* The partition's log holds the offsets from start to before end. */
typedef void (*positions_range_cb)(void *opaque, const char *topic, int32_t partition,
                                   int64_t start, int64_t end);

struct positions_options {
    const struct config *config; /* borrowed */
    positions_found_cb on_found;
    positions_range_cb on_range;
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

/*
 * Every partition of the list (borrowed) is answered once through on_found. An offset of
 * RD_KAFKA_OFFSET_BEGINNING in the list asks for the earliest, whatever SINK_START says.
 */
void positions_ask(struct positions *positions, const rd_kafka_topic_partition_list_t *partitions);

/* Every partition of the list (borrowed) whose log can be asked is answered once through on_range.
 */
void positions_ask_range(struct positions *positions,
                         const rd_kafka_topic_partition_list_t *partitions);

#endif
