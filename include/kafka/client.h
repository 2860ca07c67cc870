/*
 * librdkafka's client: its properties from KAFKA_*, ours beneath them, its logs in our words.
 * Thread: loop, or main before it runs; logs come from librdkafka's threads.
 */
#ifndef KAFKA_CLIENT_H
#define KAFKA_CLIENT_H

#include "config.h"

#include <librdkafka/rdkafka.h>

/* A consumer that is in no group yet. NULL (ERR_CONFIG): a property is wrong. */
rd_kafka_t *client_create(const struct config *config, struct err *err);

/* One of several consumers that read offsets that are known beforehand, in no group: it says where
 * logs end. They share the memory for what is fetched ahead. NULL: as above. */
rd_kafka_t *client_create_lane(const struct config *config, size_t lanes_count, struct err *err);

/* The producer of dead letters, idempotent. NULL (ERR_CONFIG): a property is wrong. */
rd_kafka_t *client_create_producer(const struct config *config, struct err *err);

/*
 * Waits until the cluster answers and, for a list of topics, has all of them, as well as that of
 * dead letters. Blocking, at most
 * timeout_ms. False: ERR_OUTAGE, unreachable; ERR_CONFIG, a topic does not exist.
 */
bool client_check(rd_kafka_t *client, const struct config *config, int64_t timeout_ms,
                  struct err *err) MUST_CHECK;

/* How often the group has given us up for want of heartbeats, since the start. Thread: any. */
uint64_t client_session_timeouts(void);

/* Kafka's name for us: client.id. free() ends it. */
char *client_id(const struct config *config);

/* SINK_TOPICS as a subscription; rd_kafka_topic_partition_list_destroy ends it. */
rd_kafka_topic_partition_list_t *client_topics(const struct config *config);

#endif
