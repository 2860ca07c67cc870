/*
 * When too many records of a partition become dead letters, something other than the records is
 * wrong: a table that does not fit, a producer that changed its format. Then its partition halts
 * before they are all buried.
 *
 * Records are numbered in the order in which they are read, from 0 with the first one since the
 * partition was assigned. The breaker opens when more than `limit` of any `window` consecutive
 * records are dead letters. Batches may come in any order, and again when they were encoded anew.
 * Here is the logic alone. Thread: loop.
 */
#ifndef DISPATCH_BREAKER_H
#define DISPATCH_BREAKER_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct breaker_settings {
    uint64_t window; /* records; 0: never opens */
    uint64_t limit;  /* dead letters that are still all right */
};

struct breaker_batch {
    uint64_t first;       /* number of its first record */
    uint64_t count;       /* records */
    const uint32_t *dead; /* which of them are dead letters, rising */
    size_t dead_count;
};

/* Zeroed at the start. */
struct breaker {
    /* private: */
    uint64_t *dead; /* their numbers, rising */
    size_t count;
    size_t cap;
};

void breaker_finish(struct breaker *breaker);

/* Takes note of a batch, in place of what was known of these records. False: it opens. */
bool breaker_note(struct breaker *breaker, const struct breaker_settings *settings,
                  const struct breaker_batch *batch) MUST_CHECK;

/* Records from this number on are read again. */
void breaker_forget(struct breaker *breaker, uint64_t from);

/* Records below this number are in the past: only those that share a window with what comes next
 * are kept. */
void breaker_pass(struct breaker *breaker, const struct breaker_settings *settings, uint64_t next);

#endif
