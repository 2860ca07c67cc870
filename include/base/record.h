/*
 * One Kafka message as it waits in a batch. Its bytes live in the batch's arena. Thread: any, one
 * owner at a time.
 */
#ifndef BASE_RECORD_H
#define BASE_RECORD_H

#include "base/slice.h"

#include <stdint.h>

struct record {
    int64_t offset;
    int64_t timestamp_ms; /* since 1970; -1: the message has none */
    struct slice key;     /* NULL: no key */
    struct slice value;   /* NULL: a tombstone */
    struct slice headers; /* as a JSON array, see kafka/headers.h; NULL: no headers */
};

#endif
