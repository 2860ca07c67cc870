/*
 * Which of the assigned partitions librdkafka fetches, and from where: the dispatcher's wishes are
 * marked in the assignment's slots, and carried out together. Thread: loop.
 */
#ifndef KAFKA_FETCHING_H
#define KAFKA_FETCHING_H

#include "kafka/assignment.h"
#include "kafka/positions.h"
#include "kafka/reader.h"

struct fetching {
    rd_kafka_t *client; /* borrowed, as are the others */
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

/* Once a turn. */
void fetching_apply(struct fetching *fetching);

/* Logs a call that librdkafka refused. Whether it was carried out. */
bool fetching_report(const char *call, rd_kafka_error_t *error);
bool fetching_report_code(const char *call, rd_kafka_resp_err_t code);

#endif
