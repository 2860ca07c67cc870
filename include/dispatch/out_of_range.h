/*
 * A position that Kafka can not fetch from: retention has deleted what comes next, or the log has
 * become shorter. Nothing is skipped without a word. Thread: loop.
 */
#ifndef DISPATCH_OUT_OF_RANGE_H
#define DISPATCH_OUT_OF_RANGE_H

#include "dispatch/dispatcher.h"

/*
 * What the log of a partition holds that could not be fetched from queue->read_next: the offsets
 * from start to before end. What was read before is written first: false means that some of it is
 * still under way, ask again later. Then the partition halts, with the reason; or, where records
 * were deleted and SINK_OUT_OF_RANGE=earliest, goes on at start and counts what is lost.
 */
bool out_of_range_take(struct dispatcher *dispatcher, struct queue *queue, int64_t start,
                       int64_t end);

#endif
