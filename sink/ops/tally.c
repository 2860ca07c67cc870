/* The last entry is "other" once the names have run out. */
#include "ops/tally.h"

#include <stdio.h>
#include <string.h>

static size_t find(const struct tally *tally, const char *name)
{
    size_t i = 0;

    while (i < tally->count && strncmp(tally->entries[i].name, name, TALLY_NAME_BYTES - 1) != 0)
        i++;
    return i;
}

void tally_add(struct tally *tally, const char *name)
{
    size_t i = find(tally, name);

    if (i == tally->count) {
        if (i >= TALLY_NAMES - 1) {
            name = "other";
            i = TALLY_NAMES - 1;
        }
        snprintf(tally->entries[i].name, TALLY_NAME_BYTES, "%s", name);
        tally->count = i + 1;
    }
    tally->entries[i].count++;
}
