/*
 * Whether this instance can do its work, as probes and people want to know. Pure. Thread: loop.
 */
#ifndef COMMAND_HEALTH_H
#define COMMAND_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known at the moment. */
struct health_facts {
    bool draining;
    bool alone;               /* a backfill: it needs no group */
    bool member;              /* the group has given us our share, if only an empty one */
    int64_t postgres_away_ms; /* 0: it is there */
    int64_t kafka_away_ms;    /* 0: it is there */
    size_t partitions_count;  /* assigned */
    size_t halted_count;      /* of them */
};

struct health_check {
    const char *name; /* static */
    bool ok;          /* now */
    bool ready;       /* as far as this goes: an outage may be over in a moment */
    char detail[96];
};

enum { HEALTH_CHECKS = 5 };

struct health {
    struct health_check checks[HEALTH_CHECKS];
    bool ready;
};

/* How long a server may be away until nobody should count on us. */
enum { HEALTH_GRACE_MS = 60000 };

struct health health_judge(const struct health_facts *facts);

#endif
