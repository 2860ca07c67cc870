/*
 * An open queue has work while it holds batches; in every other state it waits for its next one. A
 * batch whose dead letters Kafka has not acknowledged waits for their topic, not for us.
 */
#include "dispatch/stuck.h"

#include "base/clock.h"
#include "dispatch/intake.h"
#include "ops/log.h"

static bool is_stuck(const struct queue *queue, int64_t since_ms)
{
    const struct batch *first = TAILQ_FIRST(&queue->batches);
    bool works = queue->state != QUEUE_OPEN || (first && first->state != BATCH_PRODUCING);

    return works && queue->moved_ms <= since_ms;
}

size_t stuck_count(const struct dispatcher *dispatcher, int64_t since_ms)
{
    const struct queue *queue;
    size_t count = 0;

    for (int state = 0; state < QUEUE_HALTED; state++)
        TAILQ_FOREACH (queue, &dispatcher->queues[state], entry)
            count += is_stuck(queue, since_ms);
    return count;
}

enum { DESCRIBED_MAX = 50 };

static const char *batch_name(const struct batch *batch)
{
    static const char *const names[] = {
        [BATCH_FREE] = "free",         [BATCH_FILLING] = "filling",
        [BATCH_ENCODING] = "encoding", [BATCH_PRODUCING] = "producing",
        [BATCH_READY] = "ready",       [BATCH_FLUSHING] = "flushing"};

    return batch ? names[batch->state] : "none";
}

/* On one line with the others: the log shows but a few lines of one event. */
static void describe(struct buffer *out, const struct queue *queue)
{
    buffer_printf(
        out,
        "%s%s[%d] %s for %lld ms: position %lld, read to %lld, epoch %lld, batch %s, flush "
        "%s, claim %s, topic id %s",
        out->len > 0 ? "; " : "", queue->route->topic, queue->partition,
        queue_state_name(queue->state), (long long)(clock_now_ms() - queue->moved_ms),
        (long long)queue->position, (long long)queue->read_next, (long long)queue->epoch,
        batch_name(TAILQ_FIRST(&queue->batches)), queue->flush ? "under way" : "none",
        queue->claiming ? "under way" : "none",
        queue->route->identified ? queue->route->topic_id : "unknown");
}

static void describe_all(struct buffer *out, const struct dispatcher *dispatcher, int64_t since_ms)
{
    const struct queue *queue;
    int count = 0;

    for (int state = 0; state < QUEUE_HALTED; state++)
        TAILQ_FOREACH (queue, &dispatcher->queues[state], entry)
            if (is_stuck(queue, since_ms) && count++ < DESCRIBED_MAX)
                describe(out, queue);
}

void stuck_log(const struct dispatcher *dispatcher, int64_t since_ms)
{
    struct buffer queues = {0};
    struct buffer pids = {0};

    describe_all(&queues, dispatcher, since_ms);
    pool_backend_pids(&dispatcher->pool, &pids);
    log_error("stuck", LOG_INT("stuck", (int64_t)stuck_count(dispatcher, since_ms)),
              LOG_INT("partitions", (int64_t)dispatcher->queues_count),
              LOG_STR("which", buffer_text(&queues)),
              LOG_INT("connections", (int64_t)pool_open_count(&dispatcher->pool)),
              LOG_INT("idle", (int64_t)pool_idle_count(&dispatcher->pool)),
              LOG_STR("backends", buffer_text(&pids)),
              LOG_INT("batches", (int64_t)dispatcher->batches_count),
              LOG_INT("memory_bytes", (int64_t)intake_memory_bytes(dispatcher)),
              LOG_INT("records", (int64_t)dispatcher->totals.records_count),
              LOG_INT("flushes", (int64_t)dispatcher->totals.flushes_count),
              LOG_INT("failed_flushes", (int64_t)dispatcher->totals.failed_flushes_count));
    buffer_finish(&queues);
    buffer_finish(&pids);
}
