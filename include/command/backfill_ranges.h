/*
 * The ranges of a share while they load: whose queue each is, what is complete, what can not go on,
 * and the picture of all that. Thread: loop.
 */
#ifndef COMMAND_BACKFILL_RANGES_H
#define COMMAND_BACKFILL_RANGES_H

#include "dispatch/dispatcher.h"
#include "kafka/lane.h"
#include "ops/progress.h"
#include "pg/backfill_table.h"

/* Which of the processes that share a backfill this is: it has the partitions p % of == index. */
struct backfill_share {
    int64_t index;
    int64_t of;
};

static inline bool backfill_share_has(const struct backfill_share *share, int32_t partition)
{
    return partition % share->of == share->index;
}

struct loading_range {
    struct backfill_range *range; /* what is known of it without its queue's last steps */
    struct queue *queue;          /* borrowed from the dispatcher; NULL: it is complete */
    int64_t epoch;                /* of our last claim; 0: none */
};

struct backfill_ranges {
    size_t left_count;  /* not complete */
    size_t lanes_count; /* that are needed: range i of each partition is in lane i */
    bool overtaken;     /* somebody else has claimed one of them; the caller takes it back */

    /* private: */
    struct backfill *backfill; /* borrowed, as are the next two */
    struct dispatcher *dispatcher;
    struct lane *lanes;
    struct loading_range *list;
    size_t count;
    struct progress progress;
    struct progress_range *pictures;
    int64_t read_ms; /* when PostgreSQL's time was backfill->now_ms */
};

/* The backfill was read a moment ago; it is borrowed, and what becomes of its ranges noted there.
 */
void backfill_ranges_init(struct backfill_ranges *ranges, struct backfill *backfill,
                          const struct backfill_share *share);
void backfill_ranges_finish(struct backfill_ranges *ranges);

/* Hands all that is not complete to the dispatcher and the lanes, which are open. */
void backfill_ranges_assign(struct backfill_ranges *ranges, struct dispatcher *dispatcher,
                            struct lane *lanes);

/* The dispatcher's hook: a queue's position or claim has changed. */
void backfill_ranges_note_move(struct backfill_ranges *ranges, const struct queue *queue);

/* Ends what is complete. The last one: left_count is 0. */
void backfill_ranges_check(struct backfill_ranges *ranges);

/* Nothing is left but halted ones, each tried again in vain. */
bool backfill_ranges_are_hopeless(const struct backfill_ranges *ranges);

/* Why some are halted, for the summary. */
void backfill_ranges_note_halted(struct backfill_ranges *ranges);

/* The picture of now; a progress_look_cb, whose opaque the ranges are. */
const struct progress *backfill_ranges_look(void *opaque);

#endif
