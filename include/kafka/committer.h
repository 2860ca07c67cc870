/*
 * Positions told to Kafka, so that its lag tools work. With exactly once they are never read back;
 * with SINK_DELIVERY=at_least_once they are where a restart goes on.
 *
 * Rare, asynchronous, and never while a rebalance is open: a commit that a rebalance overtakes
 * makes members lose their partitions (facts of librdkafka before 2.10, and slow on any). Thread:
 * loop.
 */
#ifndef KAFKA_COMMITTER_H
#define KAFKA_COMMITTER_H

#include "kafka/assignment.h"

#include <uv.h>

struct committer {
    uint64_t commits_count; /* since the start */
    uint64_t failed_commits_count;

    /* private: */
    rd_kafka_t *client;
    rd_kafka_queue_t *control; /* borrowed: results come there */
    struct assignment *assignment;
    uv_timer_t timer;
    bool rebalancing;
    bool under_way;
};

void committer_open(struct committer *committer, uv_loop_t *loop, rd_kafka_t *client,
                    rd_kafka_queue_t *control, struct assignment *assignment);
void committer_close(struct committer *committer);

/* Between a revocation and the next assignment nothing is committed. */
void committer_set_rebalancing(struct committer *committer, bool rebalancing);

/* What has moved since the last time. False: nothing has, or it may not be told now. */
bool committer_commit(struct committer *committer);

/* RD_KAFKA_EVENT_OFFSET_COMMIT of the control queue. */
void committer_on_result(struct committer *committer, rd_kafka_event_t *event);

bool committer_is_busy(const struct committer *committer);

#endif
