/*
 * Whether a log has anything for its readers from an offset on. Markers of transactions and records
 * of aborted ones are offsets, too, but no record ever comes of them: only who reads the log knows.
 * Thread: main.
 */
#ifndef KAFKA_TAILS_H
#define KAFKA_TAILS_H

#include <librdkafka/rdkafka.h>
#include <stdint.h>

/*
 * Reads each partition from its offset to the first record or the end, whichever comes first. Its
 * err becomes NO_ERROR: there is a record; _PARTITION_EOF: there is none; _TIMED_OUT: timeout_ms
 * was too short; another one: why it can't be read. The client is one of client_create_lane that
 * reads nothing else.
 */
void tails_read(rd_kafka_t *client, rd_kafka_topic_partition_list_t *partitions,
                int64_t timeout_ms);

#endif
