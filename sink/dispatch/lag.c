/*
 * The end of a log is not always a record: markers of transactions and aborted records are offsets
 * that never come. So a partition is caught up, too, when all that came is written and librdkafka
 * has read the log to its end.
 *
 * Between two looks at the log, what was read tells that the end is at least there.
 */
#include "dispatch/lag.h"

#include "dispatch/route.h"

static bool is_read(const struct queue *queue)
{
    return queue->state == QUEUE_OPEN && queue->fetching;
}

int64_t lag_end(const struct queue *queue)
{
    bool is_ahead = is_read(queue) && queue->read_next > queue->log_end.offset;

    return queue->log_end.offset >= 0 && is_ahead ? queue->read_next : queue->log_end.offset;
}

/* A look before the queue went back to a lower offset says nothing any more. */
static bool is_drained(const struct queue *queue)
{
    return is_read(queue) && TAILQ_EMPTY(&queue->batches) &&
           queue->log_end.read_to >= lag_end(queue) && queue->read_next >= queue->log_end.read_next;
}

int64_t lag_records(const struct queue *queue)
{
    int64_t end = lag_end(queue);

    if (end < 0 || queue->position < 0)
        return -1;
    return queue->position >= end || is_drained(queue) ? 0 : end - queue->position;
}

void lag_note(struct queue *queue, int64_t end, int64_t read_to, int64_t now_ms)
{
    bool moved = queue->log_end.position != queue->position;

    queue->log_end.offset = end;
    queue->log_end.read_to = read_to;
    queue->log_end.read_next = queue->read_next;
    queue->log_end.position = queue->position;
    if (lag_records(queue) <= 0)
        queue->log_end.behind_since_ms = 0;
    else if (moved || queue->log_end.behind_since_ms == 0)
        queue->log_end.behind_since_ms = now_ms;
}

/* The record's own time, where it is in memory; else since we have seen that it is there. */
int64_t lag_ms(const struct queue *queue, int64_t now_ms)
{
    const struct batch *first = TAILQ_FIRST(&queue->batches);
    int64_t since_ms = queue->log_end.behind_since_ms;

    if (lag_records(queue) <= 0)
        return 0;
    if (first && first->first < first->count && first->records[first->first].timestamp_ms >= 0)
        since_ms = first->records[first->first].timestamp_ms;
    return since_ms > 0 && since_ms < now_ms ? now_ms - since_ms : 0;
}
