/* Read anew at each question: a list is short, and asked once for each partition. */
#include "backfill/partitions.h"

#include <errno.h>
#include <stdlib.h>

/* One item, N or N-M. Returns what is behind it, at the comma or the end; NULL: it is none. */
static const char *read_item(const char *at, long *first, long *last)
{
    char *end;

    errno = 0;
    if (*at < '0' || *at > '9')
        return NULL;
    *first = *last = strtol(at, &end, 10);
    if (*end == '-') {
        if (end[1] < '0' || end[1] > '9')
            return NULL;
        *last = strtol(end + 1, &end, 10);
    }
    if (errno != 0 || *last < *first || *last > INT32_MAX || (*end && *end != ','))
        return NULL;
    return end;
}

bool partitions_check(const char *list, struct err *err)
{
    const char *at = list;
    long first, last;

    for (;;) {
        at = read_item(at, &first, &last);
        if (!at)
            return err_set(err, ERR_CONFIG, "%.100s is no list of partitions, such as 0,3,8-11",
                           list);
        if (!*at++)
            return true;
    }
}

bool partitions_has(const char *list, int32_t partition)
{
    const char *at = list;
    long first, last;

    while (*at && (at = read_item(at, &first, &last))) {
        if (partition >= first && partition <= last)
            return true;
        at += *at == ',';
        if (!*at)
            return false;
    }
    return !*list;
}

int32_t partitions_last(const char *list)
{
    const char *at = list;
    long first, last, largest = -1;

    while (*at && (at = read_item(at, &first, &last))) {
        if (last > largest)
            largest = last;
        at += *at == ',';
    }
    return (int32_t)largest;
}
