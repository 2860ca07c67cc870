/*
 * Bytes that somebody else owns: a pointer and a length, never terminated.
 *
 * A NULL pointer means "no value" (Kafka's null key, a tombstone), which is not the same as an
 * empty one. Thread: any.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data; /* borrowed; NULL: no value */
    size_t len;       /* bytes */
};

#define SLICE_NONE ((struct slice){NULL, 0})

/* printf("%.*s", SLICE_ARG(slice)) */
#define SLICE_ARG(slice) (int)(slice).len, (slice).data ? (slice).data : ""

static inline struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

#endif
