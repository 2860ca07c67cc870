/*
 * Why each dead letter of a batch is one, for their topic, and which of them are already there.
 *
 * A batch may be encoded several times, and each time PostgreSQL refuses a row there is one more;
 * what Kafka has acknowledged stays acknowledged. Thread: reasons_note and reasons_begin: the
 * batch's worker; the others: loop.
 */
#ifndef DISPATCH_REASONS_H
#define DISPATCH_REASONS_H

#include "base/buffer.h"
#include "base/err.h"

/* One dead letter; the texts are borrowed until the next one is noted. */
struct reason {
    uint32_t index; /* of the batch's records */
    const char *text;
    const char *sqlstate; /* or empty */
    const char *column;   /* or empty */
};

/* Zeroed at the start. */
struct reasons {
    /* private: */
    struct buffer texts; /* reason, SQLSTATE and column of each, every one with its NUL */
    struct reasons_letter *letters; /* in the order of their records */
    uint32_t count;
    size_t cap;
    uint32_t *told; /* records that Kafka has acknowledged, rising */
    uint32_t told_count;
    uint32_t told_cap;
};

void reasons_finish(struct reasons *reasons);

/* For another batch. */
void reasons_reset(struct reasons *reasons);

/* For another encoding of the same one: it is still known what Kafka has. */
void reasons_begin(struct reasons *reasons);

/* Record `index` is a dead letter, which it was not. */
void reasons_note(struct reasons *reasons, uint32_t index, const struct err *err);

/*
 * The next dead letter that Kafka does not have, in the order of their records; *next is 0 for the
 * first one. False: there is none.
 */
bool reasons_next(const struct reasons *reasons, uint32_t *next, struct reason *reason);

/* Kafka has them all. */
void reasons_acknowledge(struct reasons *reasons);

/* The records in front of this one are committed. */
void reasons_forget(struct reasons *reasons, uint32_t index);

/* Allocated for what is noted. */
size_t reasons_bytes(const struct reasons *reasons);

#endif
