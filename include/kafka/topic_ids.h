/*
 * Which topics the assigned partitions belong to, by Kafka's ids of them: a topic that is deleted
 * and made again under its name has another id, and librdkafka goes on in it without a word, in the
 * middle, as if it were the former one.
 *
 * The ids are asked for when a topic is assigned, and again every few seconds. Thread: loop.
 */
#ifndef KAFKA_TOPIC_IDS_H
#define KAFKA_TOPIC_IDS_H

#include "kafka/assignment.h"
#include "kafka/waker.h"

/*
 * id: base64, as Kafka's tools print it; "": this cluster has no ids; NULL: the topic does not
 * exist. Called for each assigned topic at each answer; what could not be found out is asked again.
 */
typedef void (*topic_ids_found_cb)(void *opaque, const char *topic, const char *id,
                                   size_t partitions_count);

struct topic_ids_options {
    struct assignment *assignment; /* borrowed */
    topic_ids_found_cb on_found;
    void *opaque;
};

struct topic_ids {
    /* private: */
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    struct waker waker;
    struct topic_ids_options options;
    bool wanted;    /* not only when it is time */
    bool under_way; /* one request at a time */
    int64_t asked_ms;
};

void topic_ids_open(struct topic_ids *ids, uv_loop_t *loop, rd_kafka_t *client,
                    const struct topic_ids_options *options);
void topic_ids_close(struct topic_ids *ids);

/* Kafka's id in base64; "": it is zero, so the cluster has none. */
void topic_ids_text(const rd_kafka_Uuid_t *id, char *text, size_t size);

/* Ask for them in this turn, or when the request under way is answered. */
void topic_ids_want(struct topic_ids *ids);

/* Once a turn; the consumer's timer sees to it that there is one. */
void topic_ids_turn(struct topic_ids *ids);

#endif
