/*
 * Nothing here is done for each record, but for the latency, where up to SAMPLES of a batch stand
 * for all of it.
 */
#include "dispatch/counters.h"

#include "base/clock.h"
#include "dispatch/dispatcher.h"
#include "dispatch/part.h"

#include <string.h>

enum { SAMPLES = 64 };

/* The same one again takes the place of the former. */
void counters_note_error(struct dispatcher *dispatcher, const struct queue *queue,
                         const struct err *err)
{
    struct counters *counters = &dispatcher->counters;
    const struct counters_error *last =
        &counters->errors[(counters->errors_count + COUNTERS_ERRORS - 1) % COUNTERS_ERRORS];

    if (counters->errors_count > 0 && strcmp(last->err.text, err->text) == 0)
        counters->errors_count--;
    counters->errors[counters->errors_count++ % COUNTERS_ERRORS] =
        (struct counters_error){.at_ms = clock_wall_ms(),
                                .topic = queue ? queue->route->topic : NULL,
                                .partition = queue ? queue->partition : 0,
                                .err = *err};
}

void counters_take(const struct batch *batch)
{
    struct counters_route *counters = &batch->queue->route->counters;

    counters->records += batch->count;
    counters->bytes += batch->bytes;
    batch->queue->records_count += batch->count;
    batch->queue->consumed_ms = clock_wall_ms();
}

void counters_close(struct dispatcher *dispatcher, const struct batch *batch,
                    enum counters_trigger trigger)
{
    struct counters *counters = &dispatcher->counters;

    counters->closed[trigger]++;
    histogram_add(&counters->batch_records, &histogram_batch_records, batch->count, 1);
    histogram_add(&counters->batch_bytes, &histogram_batch_bytes, (double)batch->bytes, 1);
    counters_take(batch);
}

static double seconds(int64_t from_us, int64_t to_us)
{
    return to_us > from_us ? (double)(to_us - from_us) / 1e6 : 0;
}

void counters_start(struct dispatcher *dispatcher, int64_t ready_us)
{
    double waited = seconds(ready_us, clock_now_us());

    histogram_add(&dispatcher->counters.wait_seconds, &histogram_wait_seconds, waited, 1);
    histogram_add(&dispatcher->counters.queued_seconds, &histogram_flush_seconds, waited, 1);
}

/* Every record of a small batch; of a large one every so-many-th, which then counts for as many. */
static void add_latency(const struct batch *batch, int64_t now_ms)
{
    struct histogram *histogram = &batch->queue->route->counters.latency_seconds;
    uint32_t end = batch->first + part_records_count(batch);
    uint32_t step = (end - batch->first) / SAMPLES + 1;

    for (uint32_t i = batch->first; i < end; i += step) {
        int64_t age_ms = now_ms - batch->records[i].timestamp_ms;
        if (batch->records[i].timestamp_ms >= 0)
            histogram_add(histogram, &histogram_latency_seconds,
                          age_ms > 0 ? (double)age_ms / 1e3 : 0, end - i < step ? end - i : step);
    }
}

/* The last record's. Clocks differ: none is negative. */
static void note_latency(const struct batch *batch, int64_t now_ms)
{
    uint32_t count = part_records_count(batch);
    int64_t timestamp_ms = count > 0 ? batch->records[batch->first + count - 1].timestamp_ms : -1;

    if (timestamp_ms >= 0)
        batch->queue->latency_ms = now_ms > timestamp_ms ? now_ms - timestamp_ms : 0;
}

static void commit_batch(const struct batch *batch, int64_t now_ms)
{
    struct counters_route *counters = &batch->queue->route->counters;

    counters->rows += part_rows_count(batch);
    counters->dead_letters += batch->part.dead_count;
    counters->results[COUNTERS_COMMITTED]++;
    batch->queue->committed_ms = now_ms;
    note_latency(batch, now_ms);
    add_latency(batch, now_ms);
}

void counters_commit(struct dispatcher *dispatcher, const struct flush *flush)
{
    struct counters *counters = &dispatcher->counters;
    int64_t now_us = clock_now_us();

    counters->committed_ms = clock_wall_ms();
    histogram_add(&counters->copy_seconds, &histogram_flush_seconds,
                  seconds(flush->started_us, flush->copied_us), 1);
    histogram_add(&counters->commit_seconds, &histogram_flush_seconds,
                  seconds(flush->copied_us, now_us), 1);
    histogram_add(&counters->flush_seconds, &histogram_flush_seconds,
                  seconds(flush->started_us, now_us), 1);
    for (size_t i = 0; i < flush->batches_count; i++)
        commit_batch(flush->batches[i], counters->committed_ms);
}

static enum counters_cause cause_of(const struct conn_error *error)
{
    const char *sqlstate = error->err.sqlstate;

    if (strcmp(sqlstate, "40001") == 0)
        return COUNTERS_SERIALIZATION;
    if (strcmp(sqlstate, "40P01") == 0)
        return COUNTERS_DEADLOCK;
    if (strcmp(sqlstate, "57014") == 0 || strcmp(sqlstate, "55P03") == 0)
        return COUNTERS_TIMEOUT;
    if (strncmp(sqlstate, "53", 2) == 0)
        return COUNTERS_RESOURCES;
    return error->lost ? COUNTERS_CONNECTION : COUNTERS_OTHER;
}

static enum counters_result result_of(enum retry_action action)
{
    switch (action) {
    case RETRY_AGAIN:
    case RETRY_CLAIM:
    case RETRY_RELOAD:
        return COUNTERS_RETRIED;
    case RETRY_ISOLATE:
        return COUNTERS_SPLIT;
    case RETRY_HALT:
        break;
    }
    return COUNTERS_FAILED;
}

void counters_fail(struct dispatcher *dispatcher, const struct flush *flush,
                   const struct conn_error *error, enum retry_action action)
{
    enum counters_result result = result_of(action);
    char class[3] = "";

    memcpy(class, error->err.sqlstate, 2);

    if (result != COUNTERS_SPLIT) /* else a record is at fault, which becomes a dead letter */
        counters_note_error(dispatcher, flush->batches[0]->queue, &error->err);
    tally_add(&dispatcher->counters.sqlstate_classes, class[0] ? class : "none");
    dispatcher->counters.retries[cause_of(error)] += result == COUNTERS_RETRIED;
    for (size_t i = 0; i < flush->batches_count; i++)
        flush->batches[i]->queue->route->counters.results[result]++;
}
