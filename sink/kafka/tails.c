/* One record of each partition is enough: after it, or its end, the partition is read no more. */
#include "kafka/tails.h"

#include "base/clock.h"

#include <stdbool.h>

enum { POLL_MS = 100 };

static void stop_reading(rd_kafka_t *client, const rd_kafka_message_t *message)
{
    rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(one, rd_kafka_topic_name(message->rkt), message->partition);
    rd_kafka_error_destroy(rd_kafka_incremental_unassign(client, one));
    rd_kafka_topic_partition_list_destroy(one);
}

/* An error, too, is an answer. False: it is none, or comes after the first one. */
static bool take(rd_kafka_topic_partition_list_t *partitions, const rd_kafka_message_t *message)
{
    rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_find(
        partitions, rd_kafka_topic_name(message->rkt), message->partition);

    if (!one || one->err != RD_KAFKA_RESP_ERR__TIMED_OUT)
        return false;
    one->err = message->err;
    return true;
}

void tails_read(rd_kafka_t *client, rd_kafka_topic_partition_list_t *partitions, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    int left = partitions->cnt;

    rd_kafka_error_destroy(rd_kafka_incremental_assign(client, partitions));
    for (int i = 0; i < partitions->cnt; i++)
        partitions->elems[i].err = RD_KAFKA_RESP_ERR__TIMED_OUT; /* until it is told */
    while (left > 0 && clock_now_ms() < deadline_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, POLL_MS);
        if (!message)
            continue;
        /* Without a topic it is news of the whole client, which goes on by itself. */
        if (message->rkt && take(partitions, message)) {
            stop_reading(client, message);
            left--;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_assign(client, NULL);
}
