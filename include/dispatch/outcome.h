/*
 * What follows from a flush's end. Thread: loop.
 */
#ifndef DISPATCH_OUTCOME_H
#define DISPATCH_OUTCOME_H

#include "dispatch/dispatcher.h"

/* The flush_done_cb of every flush; opaque is the dispatcher. */
void outcome_of_flush(struct flush *flush, const struct conn_error *error, void *opaque);

#endif
