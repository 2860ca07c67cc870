/*
 *   wanted < start           retention was faster: start - wanted offsets are lost; a backfill's
 *                            range goes on, counting them
 *   wanted > end             the log was cut off: an unclean election, or a topic made anew
 *   start <= wanted <= end   cut off too, and grown again: the leader epochs have told
 *
 * How earliest goes on: the next claim moves the row from the position to start, under its lock and
 * with the count of what is lost, so that another owner decides only once.
 */
#include "dispatch/out_of_range.h"

#include "dispatch/ownership.h"
#include "ops/log.h"

static void describe_deleted(const struct queue *queue, int64_t start, struct err *err)
{
    err_set(err, ERR_CONFIG,
            "%s[%d]@%lld: Kafka's retention has deleted what comes next: up to %lld records, the "
            "offsets %lld to %lld, are lost; to go on with the earliest that is left: "
            "SINK_OUT_OF_RANGE=earliest",
            queue->route->topic, queue->partition, (long long)queue->read_next,
            (long long)(start - queue->read_next), (long long)queue->read_next,
            (long long)(start - 1));
}

/* Offsets above `end` were there once: PostgreSQL has records that Kafka no longer has. */
static void describe_cut(const struct queue *queue, int64_t end, struct err *err)
{
    const char *topic = queue->route->topic;

    if (queue->read_next > end)
        err_set(
            err, ERR_CONFIG,
            "%s[%d]@%lld: the log ends at %lld: it was cut off, as by an unclean leader election, "
            "or the topic was made anew; ",
            topic, queue->partition, (long long)queue->read_next, (long long)end);
    else
        err_set(err, ERR_CONFIG,
                "%s[%d]@%lld: the log was cut off below this position, as by an unclean leader "
                "election, and has grown again with other records, up to %lld; ",
                topic, queue->partition, (long long)queue->read_next, (long long)end);
}

static void add_remedy(const struct queue *queue, struct err *err)
{
    struct err reason = *err;

    if (queue->end != INT64_MAX)
        err_set(err, reason.class, "%sto load what is there now, give another --name, or --restart",
                reason.text);
    else
        err_set(
            err, reason.class,
            "%sto go on at an offset of your choice, stop the sink and run: pgsluice offsets reset "
            "--topic %s --partition %d --to OFFSET --yes",
            reason.text, queue->route->topic, queue->partition);
}

static void halt(struct dispatcher *dispatcher, struct queue *queue, int64_t start, int64_t end)
{
    struct err err;

    if (queue->read_next < start) {
        describe_deleted(queue, start, &err);
    } else {
        describe_cut(queue, end, &err);
        add_remedy(queue, &err);
    }
    ownership_halt(dispatcher, queue, &err);
}

static void skip(struct dispatcher *dispatcher, struct queue *queue, int64_t start)
{
    if (start > queue->end)
        start = queue->end;
    log_error("records lost", LOG_STR("topic", queue->route->topic),
              LOG_INT("partition", queue->partition), LOG_INT("from", queue->read_next),
              LOG_INT("to", start - 1), LOG_INT("count", start - queue->read_next));
    queue->route->counters.lost += (uint64_t)(start - queue->read_next);
    dispatcher->totals.lost_count += (uint64_t)(start - queue->read_next);
    ownership_skip(dispatcher, queue, start, true);
}

/* A range has an end: what is left of it is all that there will ever be. */
static bool may_skip(const struct dispatcher *dispatcher, const struct queue *queue)
{
    return queue->end != INT64_MAX ||
           dispatcher->config->out_of_range == CONFIG_OUT_OF_RANGE_EARLIEST;
}

bool out_of_range_take(struct dispatcher *dispatcher, struct queue *queue, int64_t start,
                       int64_t end)
{
    if (queue->state == QUEUE_HALTED || queue->state == QUEUE_REVOKED)
        return true;
    if (queue->state != QUEUE_OPEN || queue->flush || !TAILQ_EMPTY(&queue->batches))
        return false;
    if (queue->read_next < start && may_skip(dispatcher, queue))
        skip(dispatcher, queue, start);
    else
        halt(dispatcher, queue, start, end);
    return true;
}
