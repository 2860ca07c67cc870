/*
 * Questions to the cluster that wait for their answers, for before the loop runs and for commands
 * that have none. Each is asked again until it is answered or timeout_ms is over (ERR_OUTAGE).
 * Thread: main.
 */
#ifndef KAFKA_LOOKUP_H
#define KAFKA_LOOKUP_H

#include "config.h"

#include <librdkafka/rdkafka.h>

/*
 * The partitions, as they are now, of all topics that SINK_TOPICS names or matches. The caller
 * destroys the list. NULL: err says why.
 */
rd_kafka_topic_partition_list_t *lookup_partitions(rd_kafka_t *client, const struct config *config,
                                                   int64_t timeout_ms, struct err *err);

/*
 * Each partition's offset: wanted is RD_KAFKA_OFFSET_SPEC_EARLIEST, RD_KAFKA_OFFSET_SPEC_LATEST
 * (the end for readers of committed records), or a time in milliseconds, whose offset is -1 when no
 * record is that late.
 */
bool lookup_offsets(rd_kafka_t *client, rd_kafka_topic_partition_list_t *partitions, int64_t wanted,
                    int64_t timeout_ms, struct err *err) MUST_CHECK;

/* The same of all records, also those behind which a transaction is open: the latest offset is the
 * log's end (the high watermark). */
bool lookup_offsets_of_all(rd_kafka_t *client, rd_kafka_topic_partition_list_t *partitions,
                           int64_t wanted, int64_t timeout_ms, struct err *err) MUST_CHECK;

enum { LOOKUP_TOPIC_ID_BYTES = 32 };

struct lookup_topic {
    rd_kafka_topic_partition_list_t *partitions;
    char id[LOOKUP_TOPIC_ID_BYTES + 1]; /* as kafka/topic_ids.h has it; "": the cluster has none */
};

/* One topic as it is now. False, ERR_CONFIG: there is none of that name. lookup_topic_finish ends
 * it, zeroed as well. */
bool lookup_topic(rd_kafka_t *client, const char *name, struct lookup_topic *topic,
                  int64_t timeout_ms, struct err *err) MUST_CHECK;
void lookup_topic_finish(struct lookup_topic *topic);

struct lookup_id {
    char text[LOOKUP_TOPIC_ID_BYTES + 1];
};

/*
 * The topic's id of each partition, in the order of the list, where partitions of a topic stand
 * together. free() ends them; NULL: err, as above.
 */
struct lookup_id *lookup_ids(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *partitions,
                             int64_t timeout_ms, struct err *err);

#endif
