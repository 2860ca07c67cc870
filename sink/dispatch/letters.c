/*
 *   encoded --> too many dead letters? --> new ones for the topic? --> PRODUCING --> ready
 *                    | yes: halt                | no: ready                | refused: halt
 *
 * Why the topic comes before the transaction: in the other order a crash in between would lose the
 * dead letters, since the position is behind them. So their topic has them at least once, and the
 * table, which is written inside of the transaction, exactly once.
 */
#include "dispatch/letters.h"

#include "base/clock.h"
#include "base/memory.h"
#include "dispatch/intake.h"
#include "dispatch/ownership.h"
#include "ops/log.h"

#include <inttypes.h>
#include <stdlib.h>

void letters_number(struct batch *batch)
{
    struct queue *queue = batch->queue;
    const struct batch *before = TAILQ_PREV(batch, batch_list, entry);

    batch->number = before ? before->number + before->count : queue->passed_count;
    if (!before)
        breaker_forget(&queue->breaker, batch->number);
}

void letters_pass(struct dispatcher *dispatcher, struct queue *queue, uint64_t records_count)
{
    queue->passed_count += records_count;
    breaker_pass(&queue->breaker, &dispatcher->breaker_settings, queue->passed_count);
}

/* Of the records that are not committed: what is known of the others stays. */
static bool is_allowed(struct dispatcher *dispatcher, const struct batch *batch)
{
    uint32_t *dead = batch->dead_count ? memory_new_array(batch->dead_count, sizeof(*dead)) : NULL;
    struct breaker_batch noted = {.first = batch->number + batch->first,
                                  .count = batch->count - batch->first,
                                  .dead = dead,
                                  .dead_count = batch->dead_count};

    for (uint32_t i = 0; i < batch->dead_count; i++)
        dead[i] = batch->dead[i].index - batch->first;
    bool allowed = breaker_note(&batch->queue->breaker, &dispatcher->breaker_settings, &noted);
    free(dead);
    return allowed;
}

static void halt_for_share(struct dispatcher *dispatcher, const struct batch *batch)
{
    struct err err = batch->dead_reason;

    err_context(&err,
                "%s[%" PRId32 "]@%" PRId64
                " table %s: more than %lld %% of %lld records are dead letters "
                "(SINK_DEAD_LETTER_MAX_SHARE, SINK_DEAD_LETTER_WINDOW); the first here",
                batch->topic, batch->partition, batch->records[batch->dead[0].index].offset,
                batch->mapping->table.quoted, (long long)dispatcher->config->dead_letter_max_share,
                (long long)dispatcher->config->dead_letter_window);
    ownership_halt(dispatcher, batch->queue, &err);
}

static bool has_news(const struct batch *batch)
{
    struct reason reason;
    uint32_t next = 0;

    return reasons_next(&batch->reasons, &next, &reason);
}

/* Once: a batch may be encoded again, and then has those that PostgreSQL has refused as well. */
static void count_undecoded(struct batch *batch)
{
    if (!batch->counted)
        batch->queue->route->counters.undecoded += batch->dead_count;
    batch->counted = true;
}

void letters_admit(struct dispatcher *dispatcher, struct batch *batch)
{
    count_undecoded(batch);
    if (!is_allowed(dispatcher, batch) && batch->dead_count > 0) {
        halt_for_share(dispatcher, batch);
    } else if (has_news(batch)) {
        log_debug("dead letters to their topic", LOG_STR("topic", batch->topic),
                  LOG_INT("partition", batch->partition), LOG_INT("count", batch->dead_count));
        batch_set_state(batch, BATCH_PRODUCING);
        dispatcher->hooks.letters.produce(dispatcher->hooks.letters.opaque, batch);
    } else {
        dispatcher_update_ready(dispatcher, batch->queue);
    }
}

void letters_produced(struct dispatcher *dispatcher, struct batch *batch, const struct err *err)
{
    struct queue *queue = batch->queue;

    batch_set_state(batch, BATCH_READY);
    queue->moved_ms = clock_now_ms();
    if (err) {
        dispatcher->counters.letter_failures++;
        ownership_halt(dispatcher, queue, err);
        return;
    }
    reasons_acknowledge(&batch->reasons);
    intake_encode_anew(dispatcher, queue); /* the table may have changed meanwhile */
}
