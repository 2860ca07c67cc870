/*
 * Counts by a short name that comes from elsewhere, such as an error's code: as many names as there
 * is room for, the rest under "other". Zeroed at the start. Thread: one owner at a time.
 */
#ifndef OPS_TALLY_H
#define OPS_TALLY_H

#include <stddef.h>
#include <stdint.h>

enum { TALLY_NAMES = 32, TALLY_NAME_BYTES = 48 };

struct tally {
    struct {
        char name[TALLY_NAME_BYTES]; /* cut where it is too long */
        uint64_t count;
    } entries[TALLY_NAMES];
    size_t count;
};

void tally_add(struct tally *tally, const char *name);

#endif
