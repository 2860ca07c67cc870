/* One record of each partition is enough: after it, or its end, the partition is read no more. */
#include "kafka/tails.h"

#include "base/clock.h"

enum { POLL_MS = 100 };

static void stop_reading(rd_kafka_t *client, const rd_kafka_message_t *message)
{
    rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(one, rd_kafka_topic_name(message->rkt), message->partition);
    rd_kafka_error_destroy(rd_kafka_incremental_unassign(client, one));
    rd_kafka_topic_partition_list_destroy(one);
}

/* An error, too, is an answer: of such a partition nothing more is known than its offsets. */
static void take(rd_kafka_topic_partition_list_t *partitions, const rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        rd_kafka_topic_partition_list_find(partitions, rd_kafka_topic_name(message->rkt),
                                           message->partition)
            ->offset = RD_KAFKA_OFFSET_END;
}

void tails_read(rd_kafka_t *client, rd_kafka_topic_partition_list_t *partitions, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    int left = partitions->cnt;

    rd_kafka_error_destroy(rd_kafka_incremental_assign(client, partitions));
    while (left > 0 && clock_now_ms() < deadline_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, POLL_MS);
        if (!message)
            continue;
        if (message->rkt) { /* else it is news of the whole client: it goes on by itself */
            take(partitions, message);
            stop_reading(client, message);
            left--;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_assign(client, NULL);
}
