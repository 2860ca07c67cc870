/*
 * Dead letters as records of a topic (SINK_DEAD_LETTER_TOPIC): the original key, value, headers and
 * timestamp, and Kafka Connect's headers about what went wrong. The partition is the partitioner's
 * choice.
 *
 * An idempotent producer that waits as long as it takes: Kafka's outages are its own affair. Each
 * batch is answered once through letters_produced, unless it is abandoned. Thread: loop.
 */
#ifndef KAFKA_DEAD_LETTER_TOPIC_H
#define KAFKA_DEAD_LETTER_TOPIC_H

#include "dispatch/dispatcher.h"
#include "kafka/waker.h"

struct letters_job;
TAILQ_HEAD(letters_job_list, letters_job);

struct dead_letter_topic {
    void (*on_fatal)(void *opaque, const char *reason); /* librdkafka can't go on */
    void *opaque;

    /* private: */
    rd_kafka_t *producer;
    rd_kafka_queue_t *queue;
    const struct config *config;
    struct dispatcher *dispatcher;
    struct waker waker;
    uv_timer_t timer;
    struct letters_job_list jobs;
    size_t pending_bytes; /* handed to librdkafka and not acknowledged */
    bool closed;
};

/* The producer, kafka/client.h's, and the rest are borrowed. Before dispatcher_open. */
void dead_letter_topic_open(struct dead_letter_topic *topic, uv_loop_t *loop, rd_kafka_t *producer,
                            const struct config *config, struct dispatcher *dispatcher);
struct letters_hooks dead_letter_topic_hooks(struct dead_letter_topic *topic);

/* After dispatcher_close, which abandons every batch, and before the producer is destroyed. */
void dead_letter_topic_close(struct dead_letter_topic *topic);

/* After the producer is destroyed: until then its messages know their jobs. A zeroed one is fine.
 */
void dead_letter_topic_finish(struct dead_letter_topic *topic);

#endif
