/*
 * Group membership: control events come in, assigned and revoked partitions go to the dispatcher,
 * and what it wants to fetch goes back to librdkafka. Thread: loop.
 */
#ifndef KAFKA_CONSUMER_H
#define KAFKA_CONSUMER_H

#include "kafka/committer.h"
#include "kafka/fetching.h"
#include "kafka/topic_ids.h"
#include "kafka/watermarks.h"

struct consumer_counts {
    uint64_t assigns_count;
    uint64_t revokes_count;
    uint64_t losses_count;     /* of all partitions: the session was over before we heard of it */
    uint64_t late_polls_count; /* max.poll.interval.ms was over, and the group was left */
    struct tally errors;       /* by librdkafka's name of them */
    struct histogram rebalance_seconds; /* from a revocation to the next assignment */
};

struct consumer {
    struct reader reader;
    struct assignment assignment;
    struct consumer_counts counts;
    struct watermarks watermarks;
    int64_t polled_ms;             /* Unix time of the last look for control events */
    int64_t brokers_away_since_ms; /* 0: one has answered since */
    bool member; /* of the group, with a share of the partitions, if only an empty one */
    void (*on_fatal)(void *opaque, const char *reason); /* librdkafka can't go on */
    void *opaque;

    /* private: */
    uv_loop_t *loop;
    rd_kafka_t *client;
    const struct config *config;
    struct dispatcher *dispatcher;
    rd_kafka_queue_t *control;
    struct waker waker;
    struct committer committer;
    struct positions positions;
    struct topic_ids topic_ids;
    struct fetching fetching;
    uv_prepare_t turn;
    uv_timer_t timer;
    int64_t rebalancing_since_us; /* 0: it is not */
    bool closing;
    bool closed; /* the control queue is gone */
};

/* The client is borrowed. Before dispatcher_open, which gets consumer_hooks. */
void consumer_init(struct consumer *consumer, uv_loop_t *loop, rd_kafka_t *client,
                   const struct config *config, struct dispatcher *dispatcher);
struct dispatcher_hooks consumer_hooks(struct consumer *consumer);

/* Joins the group. False (ERR_CONFIG): SINK_TOPICS is no subscription. */
bool consumer_subscribe(struct consumer *consumer, struct err *err) MUST_CHECK;

/* No more records. */
void consumer_stop_reading(struct consumer *consumer);

/* Tells Kafka the last positions. Whether that is under way: consumer_is_committing. */
void consumer_commit(struct consumer *consumer);
bool consumer_is_committing(const struct consumer *consumer);

/* Leaves the group; consumer_has_left once that is done. */
void consumer_leave(struct consumer *consumer);
bool consumer_has_left(const struct consumer *consumer);

/* Before the client is destroyed; consumer_finish after the loop has run its close callbacks. */
void consumer_close(struct consumer *consumer);
void consumer_finish(struct consumer *consumer);

#endif
