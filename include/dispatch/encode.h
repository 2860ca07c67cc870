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
    const char *backfill; /* NULL: none */
    bool to_table;        /* dead letters are rows of pgsluice.dead_letters */
    bool to_topic;        /* and their reasons are kept. Neither: stop at the first one */
};

/*
 * Fills the batch's results from those of its records that are not committed, and its mapping. A
 * record that is no row becomes a dead letter; without dead letters, or when the mapping wants to
 * stop there, the batch ends before it: `to` is then its offset, and `stopped` is set with the
 * reason.
 */
void encode_batch(struct batch *batch, const struct encode_settings *settings);

/*
 * PostgreSQL has refused the row of record `index`: the results become what they were if it had
 * been no row from the beginning. The others are not encoded anew.
 */
void encode_refused(struct batch *batch, uint32_t index, const struct encode_settings *settings,
                    const struct err *reason);

#endif
