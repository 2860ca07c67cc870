/*
 * librdkafka hands out each message for the time of the callback; its bytes are copied into the
 * batch's arena there and then, so that no fetch buffer is held by one slow partition.
 *
 * rd_kafka_yield stops after the current message and puts the rest back at the head of the queue:
 * exact backpressure without pausing, which would throw the fetched messages away.
 */
#include "kafka/reader.h"

#include "dispatch/intake.h"
#include "dispatch/route.h"
#include "kafka/headers.h"
#include "ops/log.h"

/* The loop has other things to do as well: signals, heartbeats' events, PostgreSQL. */
enum { TURN_RECORDS = 5000 };

/*
 * What was read before it is written first: its partition halts when nothing of that is left
 * (kafka/consumer.c), so that the next try begins at the fault.
 */
static void note_fault(struct assignment_slot *slot, const rd_kafka_message_t *message)
{
    slot->faulty = true;
    err_set(&slot->queue->halted, ERR_OUTAGE, "%s[%d]@%lld: %s: %s", slot->queue->route->topic,
            message->partition, (long long)message->offset, rd_kafka_err2name(message->err),
            rd_kafka_message_errstr(message));
}

/* What the log holds instead is asked before it is decided what becomes of the partition. */
static void note_out_of_range(struct reader *reader, struct assignment_slot *slot,
                              const rd_kafka_message_t *message)
{
    log_warn("can't be fetched", LOG_STR("topic", slot->queue->route->topic),
             LOG_INT("partition", message->partition), LOG_INT("offset", slot->queue->read_next),
             LOG_STR("reason", rd_kafka_message_errstr(message)));
    slot->out_of_range = true;
    slot->range = true;
    reader->assignment->changed = true;
}

/* Nothing behind it is wanted; what comes next is not ours, and would only cost time. */
static void note_end(struct reader *reader, struct assignment_slot *slot)
{
    slot->stop = true;
    reader->assignment->changed = true;
}

/*
 * Kafka has no more at the moment. A range that is not at its end then waits for a log that was
 * longer when it was planned: its leader may just be learning how long it is, or it was cut off.
 */
static void note_log_end(struct reader *reader, struct assignment_slot *slot,
                         const rd_kafka_message_t *message)
{
    struct queue *queue = slot->queue;

    queue_read_up_to(queue, message->offset);
    if (queue_has_ended(queue)) {
        note_end(reader, slot);
        return;
    }
    slot->faulty = true;
    err_set(&queue->halted, ERR_OUTAGE,
            "%s[%d]@%lld: the log ends here, and did not before %lld when this was planned: it was "
            "cut off, as by an unclean leader election, or its leader does not know better yet",
            queue->route->topic, message->partition, (long long)message->offset,
            (long long)queue->end);
}

static void take(struct reader *reader, struct assignment_slot *slot,
                 const rd_kafka_message_t *message)
{
    struct queue *queue = slot->queue;
    rd_kafka_timestamp_type_t type;
    struct record record = {
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .key = {message->key, message->key_len},
        .value = {message->payload, message->len},
    };

    queue->reading_epoch = rd_kafka_message_leader_epoch(message);
    buffer_reset(&reader->headers);
    if (queue->wants_headers && headers_append(&reader->headers, message))
        record.headers = (struct slice){reader->headers.data, reader->headers.len};
    if (UNLIKELY(!intake_append(reader->dispatcher, queue, &record)))
        reader->full = true;
    if (UNLIKELY(queue_has_ended(queue)))
        note_end(reader, slot);
}

/*
 * Not while a new start is only marked:
 * 1. A queue goes back from 5000 to 1000; its slot is marked to start there, in the next turn.
 * 2. In this turn, message 5000 of the old fetch comes. The queue wants 1000 and higher: it fits.
 * 3. The queue now wants 5001, the fetch starts there, and 1000..4999 are lost.
 */
static bool is_current(const struct assignment_slot *slot)
{
    return slot && slot->queue && slot->fetched && !slot->start && !slot->stop && !slot->faulty;
}

static void on_message(rd_kafka_message_t *message, void *opaque)
{
    struct reader *reader = opaque;
    struct assignment_slot *slot =
        assignment_find(reader->assignment, message->rkt, message->partition);

    reader->records_count++;
    reader->turn_count++;
    if (LIKELY(is_current(slot))) {
        if (LIKELY(!message->err))
            take(reader, slot, message);
        else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            note_log_end(reader, slot, message);
        else if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
            note_out_of_range(reader, slot, message);
        else
            note_fault(slot, message);
    }
    if (reader->full || reader->turn_count >= TURN_RECORDS)
        rd_kafka_yield(reader->client);
}

static void on_wake(void *opaque)
{
    struct reader *reader = opaque;

    if (reader->full || reader->stopped)
        return;
    reader->turn_count = 0;
    rd_kafka_consume_callback_queue(reader->queue, 0, on_message, reader);
    if (!reader->full && reader->turn_count > 0)
        waker_again(&reader->waker);
}

void reader_open(struct reader *reader, uv_loop_t *loop, rd_kafka_t *client,
                 struct assignment *assignment, struct dispatcher *dispatcher)
{
    *reader = (struct reader){.client = client, .assignment = assignment, .dispatcher = dispatcher};
    reader->queue = rd_kafka_queue_new(client);
    waker_open(&reader->waker, loop, reader->queue, on_wake, reader);
}

void reader_close(struct reader *reader)
{
    reader->stopped = true;
    rd_kafka_queue_io_event_enable(reader->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(reader->queue);
    waker_close(&reader->waker);
    buffer_finish(&reader->headers);
}

/* fetch_stop undoes a forward, so it is made anew each time. */
void reader_forward(struct reader *reader, const char *topic, int32_t partition)
{
    rd_kafka_queue_t *own = rd_kafka_queue_get_partition(reader->client, topic, partition);

    if (!own)
        return;
    rd_kafka_queue_forward(own, reader->queue);
    rd_kafka_queue_destroy(own);
}

size_t reader_waiting_count(const struct reader *reader)
{
    return rd_kafka_queue_length(reader->queue);
}

void reader_resume(struct reader *reader)
{
    if (reader->stopped)
        return;
    reader->full = false;
    waker_again(&reader->waker);
}

void reader_stop(struct reader *reader)
{
    reader->stopped = true;
}
