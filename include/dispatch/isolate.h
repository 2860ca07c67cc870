/*
 * Finding the record that PostgreSQL refuses, so that the others go on. Thread: loop.
 */
#ifndef DISPATCH_ISOLATE_H
#define DISPATCH_ISOLATE_H

#include "dispatch/dispatcher.h"

/* Several batches were refused together, it is not known which one: now each goes alone. */
void isolate_batches(const struct flush *flush);

/* A row of this batch's part was refused: which one, or the only one there is, if blame says so. */
void isolate_row(struct dispatcher *dispatcher, struct batch *batch,
                 const struct flush_blame *blame, const struct conn_error *error);

/* It took longer than PostgreSQL allows: next time less of it. */
void isolate_slow(const struct flush *flush);

/* A batch's part is committed: the next one may be larger. */
void isolate_committed(const struct batch *batch);

#endif
