/*
 * A consumer without a group, for ranges of offsets that are known beforehand. librdkafka fetches a
 * partition once in each of its handles, so ranges of one partition that load side by side are in
 * lanes of their own. Thread: loop.
 */
#ifndef KAFKA_LANE_H
#define KAFKA_LANE_H

#include "kafka/fetching.h"
#include "kafka/topic_ids.h"

struct lane {
    rd_kafka_t *client; /* borrowed */
    struct reader reader;
    struct assignment assignment;
    int64_t brokers_away_since_ms;                      /* 0: one has answered since */
    void (*on_fatal)(void *opaque, const char *reason); /* librdkafka can't go on */
    void *opaque;

    /* private: */
    struct dispatcher *dispatcher;
    rd_kafka_queue_t *control;
    struct waker waker;
    struct positions positions;
    struct topic_ids topic_ids;
    struct fetching fetching;
    uv_prepare_t turn;
    uv_timer_t timer;
    uint64_t read_count; /* when it was last looked whether brokers are away */
    bool closed;
};

/* The client, of client_create_lane, is borrowed. on_fatal and opaque are set by the caller. */
void lane_open(struct lane *lane, uv_loop_t *loop, rd_kafka_t *client, const struct config *config,
               struct dispatcher *dispatcher);

/* Before the client is destroyed; lane_finish after the loop has run its close callbacks. */
void lane_close(struct lane *lane);
void lane_finish(struct lane *lane);

/* A queue of the dispatcher, of a partition that this lane has no other queue of. */
void lane_add(struct lane *lane, struct queue *queue);

/* Takes it out again, and revokes it: it is no longer the caller's. */
void lane_remove(struct lane *lane, struct queue *queue);

/* The dispatcher's hooks, for a queue of this lane. */
void lane_start(struct lane *lane, const struct queue *queue);
void lane_stop(struct lane *lane, const struct queue *queue);
void lane_room(struct lane *lane);
void lane_identify(struct lane *lane);

/* No more records. */
void lane_stop_reading(struct lane *lane);

#endif
