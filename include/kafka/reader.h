/*
 * The data queue: every fetched partition's records, read by callback into the dispatcher's queues.
 *
 * Reading stops when the memory budget is used up and goes on when reader_resume says so; what was
 * fetched waits in librdkafka meanwhile, which then fetches no more. Nothing is paused and nothing
 * is read twice for it. Thread: loop.
 */
#ifndef KAFKA_READER_H
#define KAFKA_READER_H

#include "dispatch/dispatcher.h"
#include "kafka/assignment.h"
#include "kafka/waker.h"

struct reader {
    uint64_t records_count; /* read since the start */

    /* private: */
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    struct waker waker;
    struct assignment *assignment; /* borrowed */
    struct dispatcher *dispatcher; /* borrowed */
    struct buffer headers;
    size_t turn_count; /* read in this turn of the loop */
    bool full;
    bool stopped;
};

void reader_open(struct reader *reader, uv_loop_t *loop, rd_kafka_t *client,
                 struct assignment *assignment, struct dispatcher *dispatcher);

/* Before the client is destroyed. */
void reader_close(struct reader *reader);

/* Before each assign of a partition: its records come to the data queue. */
void reader_forward(struct reader *reader, const char *topic, int32_t partition);

/* Messages that librdkafka has fetched ahead. */
size_t reader_waiting_count(const struct reader *reader);

/* There is memory again. */
void reader_resume(struct reader *reader);

/* For good: the sink drains. */
void reader_stop(struct reader *reader);

#endif
