/*
 * A range's life, in the dispatcher's words (dispatch/queue.c):
 *
 *   claimed --> fetched in its lane --> its end was read --> all written --> revoked, complete
 *                                                            ^
 *                     behind the last record: position --> end, by a claim that moves it
 *
 * A range that is halted is tried again as in a sink (dispatch/retry.c). When nothing but halted
 * ranges is left, and each has been tried again in vain, the run ends: whoever has started it wants
 * to know.
 */
#include "command/backfill_ranges.h"

#include "base/clock.h"
#include "base/memory.h"
#include "dispatch/ownership.h"
#include "ops/log.h"
#include "pg/backfill_progress.h"

#include <stdlib.h>

enum { TRIES = 2 };

void backfill_ranges_init(struct backfill_ranges *ranges, struct backfill *backfill,
                          const struct backfill_share *share)
{
    *ranges = (struct backfill_ranges){.backfill = backfill, .read_ms = clock_now_ms()};
    ranges->list = memory_new_array(backfill->ranges_count + 1, sizeof(*ranges->list));
    ranges->pictures = memory_new_array(backfill->ranges_count + 1, sizeof(*ranges->pictures));
    for (size_t i = 0; i < backfill->ranges_count; i++) {
        struct backfill_range *range = &backfill->ranges[i];
        if (!backfill_share_has(share, range->partition))
            continue;
        ranges->list[ranges->count++].range = range;
        if ((size_t)range->range + 1 > ranges->lanes_count)
            ranges->lanes_count = (size_t)range->range + 1;
    }
    ranges->progress = (struct progress){
        .name = backfill->name,
        .state = PROGRESS_RUNNING,
        .started_ms = backfill->created_ms,
        .ranges = ranges->pictures,
        .ranges_count = ranges->count,
    };
}

void backfill_ranges_finish(struct backfill_ranges *ranges)
{
    free(ranges->list);
    free(ranges->pictures);
}

static struct lane *lane_of(const struct backfill_ranges *ranges, const struct queue *queue)
{
    return &ranges->lanes[queue->range];
}

void backfill_ranges_assign(struct backfill_ranges *ranges, struct dispatcher *dispatcher,
                            struct lane *lanes)
{
    ranges->dispatcher = dispatcher;
    ranges->lanes = lanes;
    for (size_t i = 0; i < ranges->count; i++) {
        const struct backfill_range *range = ranges->list[i].range;
        if (range->next_offset == range->end_offset)
            continue;
        struct queue *queue = ownership_assign_range(dispatcher, range->topic, range->partition,
                                                     range->range, range->end_offset);
        ranges->list[i].queue = queue;
        queue->opaque = &ranges->list[i];
        ranges->left_count++;
        lane_add(lane_of(ranges, queue), queue);
    }
}

/* Each claim raises the epoch by one. */
void backfill_ranges_note_move(struct backfill_ranges *ranges, const struct queue *queue)
{
    struct loading_range *one = queue->opaque;

    ranges->overtaken |= one->epoch > 0 && queue->epoch > one->epoch + 1;
    one->epoch = queue->epoch;
}

/* Their ends. */

static void complete(struct backfill_ranges *ranges, struct loading_range *one)
{
    struct queue *queue = one->queue;

    log_info("range complete", LOG_STR("topic", queue->route->topic),
             LOG_INT("partition", queue->partition), LOG_INT("range", queue->range),
             LOG_INT("end_offset", queue->end), LOG_INT("rows", queue->written.rows_count));
    one->range->written = queue->written;
    one->range->lost_count = queue->lost_count;
    one->range->next_offset = queue->position;
    one->queue = NULL;
    ranges->left_count--;
    lane_remove(lane_of(ranges, queue), queue);
}

/* Its end was read, and the last record lies before it: nothing is left to write but that. */
static bool is_short_of_end(const struct queue *queue)
{
    return queue->state == QUEUE_OPEN && queue_has_ended(queue) && !queue->flush &&
           TAILQ_EMPTY(&queue->batches);
}

void backfill_ranges_check(struct backfill_ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++) {
        struct loading_range *one = &ranges->list[i];
        if (one->queue && queue_is_complete(one->queue) && one->queue->state == QUEUE_OPEN)
            complete(ranges, one);
        else if (one->queue && is_short_of_end(one->queue))
            ownership_skip(ranges->dispatcher, one->queue, one->queue->end, false);
    }
}

bool backfill_ranges_are_hopeless(const struct backfill_ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++) {
        const struct queue *queue = ranges->list[i].queue;
        if (queue && (queue->state != QUEUE_HALTED || queue->halts < TRIES))
            return false;
    }
    return true;
}

/* Also of those that are being tried again. */
void backfill_ranges_note_halted(struct backfill_ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++) {
        const struct queue *queue = ranges->list[i].queue;
        if (queue && queue->halts > 0)
            ranges->list[i].range->halted = memory_strdup(queue->halted.text);
    }
}

/* The picture of now. */

static enum progress_range_state state_of(const struct queue *queue)
{
    if (!queue)
        return PROGRESS_RANGE_COMPLETE;
    if (queue->state == QUEUE_HALTED)
        return PROGRESS_RANGE_HALTED;
    return queue->state == QUEUE_OPEN ? PROGRESS_RANGE_LOADING : PROGRESS_RANGE_WAITING;
}

static void draw(struct progress_range *picture, const struct loading_range *one)
{
    const struct queue *queue = one->queue;
    struct backfill_range range = *one->range;

    if (queue && queue->position >= 0) {
        range.next_offset = queue->position;
        range.written = queue->written;
        range.lost_count = queue->lost_count;
    }
    *picture = backfill_progress_range(&range);
    picture->state = state_of(queue);
    picture->reason = queue && queue->state == QUEUE_HALTED ? queue->halted.text : NULL;
}

const struct progress *backfill_ranges_look(void *opaque)
{
    struct backfill_ranges *ranges = opaque;

    for (size_t i = 0; i < ranges->count; i++)
        draw(&ranges->pictures[i], &ranges->list[i]);
    ranges->progress.now_ms = ranges->backfill->now_ms + clock_now_ms() - ranges->read_ms;
    return &ranges->progress;
}
