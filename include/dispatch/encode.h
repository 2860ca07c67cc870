/*
 * A batch becomes COPY bytes: rows for its table, and rows of dead letters for what is no row.
 *
 * Pure but for the batch, which belongs to the caller alone. Thread: worker, or the loop for a
 * small batch.
 */
#ifndef DISPATCH_ENCODE_H
#define DISPATCH_ENCODE_H

#include "dispatch/batch.h"

struct encode_settings {
    const char *sink;
    const char *instance;
    bool keep_dead_letters; /* false: stop at the first record that is no row */
};

/*
 * Fills the batch's results from its records, mapping and refusals. A record that is no row becomes
 * a dead letter; without dead letters, or when the mapping wants to stop there, the batch ends
 * before it: `to` is then its offset, and `stopped` is set with the reason.
 */
void encode_batch(struct batch *batch, const struct encode_settings *settings);

#endif
