/*
 * Readiness is about this instance alone: not about lag, nor a rebalance, nor the others. A server
 * that is away for a moment is no reason to take it out of service; with all of them not ready at
 * once nothing would be gained.
 */
#include "command/health.h"

#include <inttypes.h>
#include <stdio.h>

static struct health_check check_loop(const struct health_facts *facts)
{
    struct health_check check = {.name = "loop", .ok = true, .ready = !facts->draining};

    snprintf(check.detail, sizeof(check.detail), facts->draining ? "draining" : "turns");
    return check;
}

static struct health_check check_server(const char *name, int64_t away_ms)
{
    struct health_check check = {
        .name = name, .ok = away_ms == 0, .ready = away_ms < HEALTH_GRACE_MS};

    if (away_ms == 0)
        snprintf(check.detail, sizeof(check.detail), "answers");
    else
        snprintf(check.detail, sizeof(check.detail), "away for %" PRId64 " s", away_ms / 1000);
    return check;
}

static struct health_check check_group(const struct health_facts *facts)
{
    bool ok = facts->member || facts->alone;
    struct health_check check = {.name = "group", .ok = ok, .ready = ok};

    if (facts->alone)
        snprintf(check.detail, sizeof(check.detail), "a backfill is in none");
    else if (!facts->member)
        snprintf(check.detail, sizeof(check.detail), "waits for its share of the partitions");
    else if (facts->partitions_count == 0)
        snprintf(check.detail, sizeof(check.detail), "stands by, without a partition");
    else
        snprintf(check.detail, sizeof(check.detail), "has %zu partitions", facts->partitions_count);
    return check;
}

static struct health_check check_progress(const struct health_facts *facts)
{
    bool ok = facts->halted_count == 0;
    struct health_check check = {.name = "progress", .ok = ok, .ready = ok};

    if (ok)
        snprintf(check.detail, sizeof(check.detail), "no partition is halted");
    else
        snprintf(check.detail, sizeof(check.detail), "%zu of %zu partitions are halted",
                 facts->halted_count, facts->partitions_count);
    return check;
}

struct health health_judge(const struct health_facts *facts)
{
    struct health health = {
        .checks = {check_loop(facts), check_server("kafka", facts->kafka_away_ms),
                   check_group(facts), check_server("postgres", facts->postgres_away_ms),
                   check_progress(facts)},
        .ready = true};

    for (size_t i = 0; i < HEALTH_CHECKS; i++)
        health.ready &= health.checks[i].ready;
    return health;
}
