/*
 * A dead letter as a row of pgsluice.dead_letters, in COPY text: it travels in the transaction that
 * moves past its record, so it is written exactly once. Thread: any, pure.
 */
#ifndef PG_DEAD_LETTERS_H
#define PG_DEAD_LETTERS_H

#include "base/buffer.h"
#include "base/err.h"
#include "base/record.h"

struct dead_letter {
    const char *sink;
    const char *topic;
    int32_t partition;
    const struct record *record; /* borrowed */
    const struct err *reason;    /* text; column and SQLSTATE where they are known */
    const char *table;
    const char *instance;
    const char *backfill; /* NULL: none, a running sink */
};

/* "COPY pgsluice.dead_letters (...) FROM STDIN;" */
extern const char dead_letters_copy_sql[];

/* Appends one row, any size. */
void dead_letters_encode(struct buffer *out, const struct dead_letter *letter);

#endif
