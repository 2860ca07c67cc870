/*
 * Each refusal narrows what the next flush of its queue takes, each commit widens it again:
 *
 *   refused, COPY names the line     the row becomes a dead letter, and goes with the rows in front
 *                                    of it, which are known to be good; with none in front, it
 *                                    waits for the next ones
 *   refused, no line is named        several batches: one at a time
 *                                    a batch: its first half
 *                                    one row: it is that one, a dead letter as above
 *   canceled                         by statement_timeout, for all one knows: as if not named, but
 *                                    a row that is too slow alone is tried again for ever
 *   committed                        half of what is still under suspicion; else twice as many; a
 *                                    whole batch at once: all is well again
 *
 * So a bad record costs two small transactions when its line is named, else twice the logarithm of
 * its distance from the last one, and no good row is sent more than a few times. Without a line,
 * only a row that was refused in a transaction of its own is found guilty. None of this waits: what
 * it tries again is never the same, so it comes to an end.
 *
 * A constraint that is only checked at the commit may be satisfied by a later record. Such records
 * are only safe when they travel together, which nobody can promise who reads a topic.
 */
#include "dispatch/isolate.h"

#include "dispatch/intake.h"
#include "dispatch/letters.h"
#include "dispatch/part.h"
#include "ops/log.h"

#include <stdio.h>

/* Dead letters that wait for a row to go with: no more than this. */
enum { LETTERS_MAX = 1000 };

/* But at least one. */
static uint32_t half(uint32_t records_count)
{
    return (records_count + 1) / 2;
}

void isolate_batches(const struct flush *flush)
{
    for (size_t i = 0; i < flush->batches_count; i++) {
        struct queue *queue = flush->batches[i]->queue;
        if (!queue->alone)
            queue->suspects = 0;
        queue->alone = true;
        queue->window = 0;
        queue->suspects += part_records_count(flush->batches[i]);
    }
}

/* Names the record in the error, as it goes into the dead letter. */
static struct err refusal(const struct flush_blame *blame, const struct conn_error *error)
{
    struct err err = error->err;

    if (blame->column && !err.column[0])
        snprintf(err.column, sizeof(err.column), "%s", blame->column->column->name);
    err_context(&err, "refused by PostgreSQL%s%s", error->constraint[0] ? ", constraint " : "",
                error->constraint);
    return err;
}

/* The next flush ends with the dead letter, if there is a row in front of it. */
static uint32_t window_behind(const struct batch *batch, uint32_t index)
{
    uint32_t records = index + 1 - batch->first;
    uint32_t letters = batch_dead_before(batch, index + 1);

    return records > letters || letters >= LETTERS_MAX ? records : records + 1;
}

static void refuse(struct dispatcher *dispatcher, struct batch *batch, uint32_t index,
                   const struct err *err)
{
    struct queue *queue = batch->queue;

    log_debug("record refused", LOG_STR("topic", batch->topic),
              LOG_INT("partition", batch->partition),
              LOG_INT("offset", batch->records[index].offset), LOG_STR("sqlstate", err->sqlstate));
    queue->alone = true;
    queue->suspects = 0;
    if (!intake_refuse(dispatcher, batch, index, err))
        return;
    bool first = batch == TAILQ_FIRST(&queue->batches);
    queue->window = first ? window_behind(batch, index) : 0;
    letters_admit(dispatcher, batch); /* may drop it */
}

void isolate_row(struct dispatcher *dispatcher, struct batch *batch,
                 const struct flush_blame *blame, const struct conn_error *error)
{
    struct queue *queue = batch->queue;
    bool named = blame->kind == FLUSH_BLAMES_ROW;

    if (named || part_rows_count(batch) == 1) {
        struct err err = refusal(blame, error);
        refuse(dispatcher, batch, part_record_of_row(batch, named ? blame->row : 0), &err);
        return;
    }
    queue->alone = true;
    queue->suspects = part_records_count(batch);
    queue->window = queue->suspects / 2;
}

void isolate_slow(const struct flush *flush)
{
    for (size_t i = 0; i < flush->batches_count; i++) {
        struct queue *queue = flush->batches[i]->queue;
        queue->alone = true;
        queue->suspects = 0;
        queue->window = flush->batches_count > 1 ? 0 : half(part_records_count(flush->batches[i]));
    }
}

void isolate_committed(const struct batch *batch)
{
    struct queue *queue = batch->queue;
    uint32_t records = part_records_count(batch);
    bool whole = batch->first == 0 && part_is_last(batch);

    if (!queue->alone)
        return;
    queue->suspects -= queue->suspects < records ? queue->suspects : records;
    if (queue->suspects > 0 && queue->window > 0)
        queue->window = half(queue->suspects);
    else if (queue->suspects == 0 && whole)
        queue->alone = false;
    else if (queue->window > 0 && records >= queue->window)
        queue->window = records * 2;
}
