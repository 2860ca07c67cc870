/*
 * Which partitions the group has given us, and which of them librdkafka fetches.
 *
 * The two differ: a partition is fetched only from its position on, so not before that is claimed,
 * and not while it is halted. Thread: loop.
 */
#ifndef KAFKA_ASSIGNMENT_H
#define KAFKA_ASSIGNMENT_H

#include "dispatch/queue.h"

#include <librdkafka/rdkafka.h>

struct assignment_slot {
    struct queue *queue; /* borrowed from the dispatcher; NULL: not ours */
    bool fetched;        /* librdkafka has it in its assignment */
    bool start;          /* to be fetched from queue->read_next, anew if it is fetched already */
    bool stop;           /* not to be fetched any more */
    bool place;          /* its start has to be asked for */
    bool faulty;         /* what comes next can't be read: halts once all before is written */
    bool out_of_range;   /* can't be fetched from where it should: waits for the log's range */
    bool range;          /* that has to be asked for */
    int64_t asked_ms;    /* when one of them was, last */
};

struct assignment_topic {
    struct assignment_topic *next;
    char *name;
    const rd_kafka_topic_t *handle; /* the last one seen in a message of it: for the fast look-up */
    struct assignment_slot *slots;  /* by partition */
    size_t slots_count;
};

struct assignment {
    struct assignment_topic *topics;
    size_t partitions_count; /* that are ours */
    bool changed;            /* a slot wants to start, stop or be placed */
};

void assignment_finish(struct assignment *assignment);

/* Made when it is new. */
struct assignment_slot *assignment_slot(struct assignment *assignment, const char *topic,
                                        int32_t partition);

/* For each message: by the topic's handle, by name when the handle is new. NULL: never assigned. */
struct assignment_slot *assignment_find(struct assignment *assignment,
                                        const rd_kafka_topic_t *handle, int32_t partition);

/*
 * After partitions were unassigned: librdkafka may have destroyed their topic, and give its address
 * to another one, whose messages would then be taken for this one's.
 */
void assignment_forget_handles(struct assignment *assignment);

typedef void (*assignment_each_cb)(void *opaque, const char *topic, int32_t partition,
                                   struct assignment_slot *slot);

/* Every slot that has a queue. */
void assignment_each(struct assignment *assignment, assignment_each_cb callback, void *opaque);

#endif
