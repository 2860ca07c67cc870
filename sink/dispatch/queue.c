/*
 *                       description loaded               answered: a row
 *   UNROUTED ----------------> UNCLAIMED ----> CLAIMING ----------------> OPEN
 *      ^  ^                     ^    ^            |                        | | |
 *      |  |                     |    | place      | answered: no row       | | |
 *      |  |                     |    +--------- UNPLACED                   | | |
 *      |  |                     +---- fenced, commit unknown, server away -+ | |
 *      |  +-------------------------- the table may have changed ------------+ |
 *      +---- time to try again --- HALTED <--- can't go on --------------------+ (from any state)
 *
 *   any state ---- revoked ----> REVOKED ---- nothing under way ----> (destroyed)
 *
 * With SINK_DELIVERY=at_least_once there are no claims: UNROUTED -> UNPLACED -> OPEN.
 */
#include "dispatch/queue.h"

#include "base/memory.h"
#include "dispatch/part.h"

#include <assert.h>
#include <stdlib.h>

struct queue *queue_create(struct route *route, int32_t partition)
{
    struct queue *queue = memory_new(sizeof(*queue));

    queue->route = route;
    queue->partition = partition;
    queue->end = INT64_MAX;
    queue->position = -1;
    queue->initial = -1;
    queue->told = -1;
    queue->confirmed = -1;
    queue->leader_epoch = -1;
    queue->reading_epoch = -1;
    queue->latency_ms = -1;
    queue->log_end = (struct queue_end){.offset = -1, .read_to = -1};
    TAILQ_INIT(&queue->batches);
    return queue;
}

void queue_destroy(struct queue *queue)
{
    if (!queue)
        return;
    assert(TAILQ_EMPTY(&queue->batches));
    breaker_finish(&queue->breaker);
    free(queue);
}

const char *queue_state_name(enum queue_state state)
{
    static const char *const names[QUEUE_STATES] = {"unrouted", "unclaimed", "claiming", "unplaced",
                                                    "open",     "halted",    "revoked"};

    return names[state];
}

void queue_set_state(struct queue *queue, enum queue_state to, struct queue_list *lists)
{
    static const bool allowed[QUEUE_STATES][QUEUE_STATES] = {
        [QUEUE_UNROUTED] = {[QUEUE_UNCLAIMED] = true,
                            [QUEUE_UNPLACED] = true,
                            [QUEUE_OPEN] = true,
                            [QUEUE_HALTED] = true,
                            [QUEUE_REVOKED] = true},
        [QUEUE_UNCLAIMED] =
            {[QUEUE_CLAIMING] = true, [QUEUE_HALTED] = true, [QUEUE_REVOKED] = true},
        [QUEUE_CLAIMING] = {[QUEUE_UNCLAIMED] = true,
                            [QUEUE_UNPLACED] = true,
                            [QUEUE_OPEN] = true,
                            [QUEUE_HALTED] = true,
                            [QUEUE_REVOKED] = true},
        [QUEUE_UNPLACED] = {[QUEUE_UNCLAIMED] = true,
                            [QUEUE_OPEN] = true,
                            [QUEUE_HALTED] = true,
                            [QUEUE_REVOKED] = true},
        [QUEUE_OPEN] = {[QUEUE_UNCLAIMED] = true,
                        [QUEUE_UNROUTED] = true,
                        [QUEUE_HALTED] = true,
                        [QUEUE_REVOKED] = true},
        [QUEUE_HALTED] = {[QUEUE_UNROUTED] = true, [QUEUE_REVOKED] = true},
    };

    assert(allowed[queue->state][to]);
    TAILQ_REMOVE(&lists[queue->state], queue, entry);
    TAILQ_INSERT_TAIL(&lists[to], queue, entry);
    queue->state = to;
}

void queue_read_up_to(struct queue *queue, int64_t offset)
{
    if (queue->fetching && offset >= queue->end)
        queue->read_next = queue->end;
}

bool queue_is_flushable(const struct queue *queue, int64_t now_ms)
{
    const struct batch *first = TAILQ_FIRST(&queue->batches);

    return queue->state == QUEUE_OPEN && !queue->flush && first && first->state == BATCH_READY &&
           now_ms >= queue->retry_at_ms;
}

bool queue_is_quiet(const struct queue *queue)
{
    return !queue->flush && !queue->claiming && TAILQ_EMPTY(&queue->batches);
}

/*
 * Batches that end at or below the position; -1: the position is inside of one. Their ends are read
 * off their records: `to` may be a worker's at this moment, and where a batch stopped early its
 * position is inside of it.
 */
static long batches_below(const struct queue *queue, int64_t position)
{
    const struct batch *batch;
    long count = 0;

    TAILQ_FOREACH (batch, &queue->batches, entry) {
        /* cppcheck-suppress uninitvar ; TAILQ_FOREACH sets it */
        if (batch->records[batch->count - 1].offset >= position)
            return batch->records[batch->first].offset >= position ? count : -1;
        count++;
    }
    return count;
}

/* Whether that is where the first batch's last flush, of a part of it, was to end. */
static bool is_behind_part(const struct queue *queue, int64_t position)
{
    const struct batch *first = TAILQ_FIRST(&queue->batches);

    return first && first->state == BATCH_READY && !part_is_last(first) && first->to == position;
}

enum queue_outcome queue_reconcile(struct queue *queue, int64_t next_offset, int64_t epoch,
                                   size_t *committed)
{
    int64_t held_from = queue->position;
    bool behind_part = is_behind_part(queue, next_offset);
    long below = behind_part ? 0 : batches_below(queue, next_offset);
    bool behind = next_offset < held_from;

    *committed = 0;
    queue->epoch = epoch;
    queue->position = next_offset;
    if (queue->fetching && !behind && below >= 0) {
        *committed = (size_t)below;
        if (queue->read_next < next_offset)
            queue->read_next = next_offset;
        return QUEUE_GOES_ON;
    }
    queue->read_next = next_offset;
    if (!queue->fetching)
        return QUEUE_STARTS;
    return behind ? QUEUE_REWOUND : QUEUE_OVERTAKEN;
}
