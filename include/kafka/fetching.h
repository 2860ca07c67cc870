/*
 * Which of the assigned partitions librdkafka fetches, and from where: the dispatcher's wishes are
 * marked in the assignment's slots, and carried out together. Thread: loop.
 */
#ifndef KAFKA_FETCHING_H
#define KAFKA_FETCHING_H

#include "dispatch/dispatcher.h"
#include "kafka/assignment.h"
#include "kafka/positions.h"
#include "kafka/reader.h"

/* So long an unanswered question about a partition stands. */
enum { FETCHING_ASK_AGAIN_MS = 15000 };

struct fetching {
    rd_kafka_t *client; /* borrowed, as are the others */
    struct dispatcher *dispatcher;
    struct assignment *assignment;
    struct reader *reader;
    struct positions *positions;
    bool eager;          /* range, roundrobin: an assignment is always whole */
    bool unanswered;     /* a whole one waits for its positions */
    int64_t deadline_ms; /* until then */
};

/* The dispatcher's hooks: find where it starts; fetch from queue->read_next, anew if it is fetched;
 * fetch no more. */
void fetching_place(struct fetching *fetching, const struct queue *queue);
void fetching_start(struct fetching *fetching, const struct queue *queue);
void fetching_stop(struct fetching *fetching, const struct queue *queue);

/* Eager: the group's new assignment is answered when all of it has positions, or some seconds are
 * over. */
void fetching_expect_whole(struct fetching *fetching);

/* What the log holds of a partition that can't be fetched from where it should. */
void fetching_take_range(struct fetching *fetching, const char *topic, int32_t partition,
                         int64_t start, int64_t end);

/* For assignment_each, with the fetching: a partition whose reader has found a fault is halted when
 * all in front of it is written. */
void fetching_halt_faulty(void *opaque, const char *topic, int32_t partition,
                          struct assignment_slot *slot);

/* Once a turn. */
void fetching_apply(struct fetching *fetching);

/* Logs a call that librdkafka refused. Whether it was carried out. */
bool fetching_report(const char *call, rd_kafka_error_t *error);
bool fetching_report_code(const char *call, rd_kafka_resp_err_t code);

#endif
