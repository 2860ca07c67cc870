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
 * Reads each partition from its offset to the first record or the end, whichever comes first. Of
 * those that have no record, the offset becomes RD_KAFKA_OFFSET_END; of the others it stays, as it
 * does of those that timeout_ms was too short for. The client is one of client_create_lane that
 * reads nothing else.
 */
void tails_read(rd_kafka_t *client, rd_kafka_topic_partition_list_t *partitions,
                int64_t timeout_ms);

#endif
