/*
 * --partitions: 0,3,8-11. Thread: main, pure.
 */
#ifndef BACKFILL_PARTITIONS_H
#define BACKFILL_PARTITIONS_H

#include "base/err.h"

#include <stdint.h>

/* Whether the list is one. False, ERR_CONFIG: what would be right, without the option's name. */
bool partitions_check(const char *list, struct err *err) MUST_CHECK;

/* Of a list that is one; the empty list has every partition. */
bool partitions_has(const char *list, int32_t partition);

/* The largest partition that the list names; -1: none. */
int32_t partitions_last(const char *list);

#endif
