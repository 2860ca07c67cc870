/*
 * The name of a WAL file begins with the timeline, and is right from the moment of the promotion;
 * pg_control_checkpoint() has it only after the checkpoint that follows.
 */
#include "pg/primary.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMELINE_DIGITS = 8 };

const char primary_sql[] =
    "SELECT system_identifier, pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())"
    " FROM pg_catalog.pg_control_system()";

bool primary_parse(const PGresult *result, struct primary *primary)
{
    char timeline[TIMELINE_DIGITS + 1];

    *primary = (struct primary){0};
    if (PQntuples(result) != 1 || PQnfields(result) != 2)
        return false;
    snprintf(primary->cluster, sizeof(primary->cluster), "%s", PQgetvalue(result, 0, 0));
    snprintf(timeline, sizeof(timeline), "%s", PQgetvalue(result, 0, 1));
    primary->timeline = (uint32_t)strtoul(timeline, NULL, 16);
    return true;
}

bool primary_may_follow(const struct primary *primary, const struct primary *seen, struct err *err)
{
    if (primary->cluster[0] && seen->cluster[0] && strcmp(primary->cluster, seen->cluster) != 0)
        return err_set(err, ERR_OUTAGE,
                       "it is another cluster (system identifier %s) than the one that was written "
                       "to (%s); to go on with it, restart pgsluice",
                       primary->cluster, seen->cluster);
    if (primary_is_former(primary, seen))
        return err_set(err, ERR_OUTAGE,
                       "it is a former primary (timeline %u) that still takes writes: a later one "
                       "(timeline %u) was written to; stop it or make it a standby",
                       primary->timeline, seen->timeline);
    return true;
}

/*
 * Of the process, since its sessions are opened in several places: the pool, commands before and
 * after the loop, threads beside it. One that has missed a failover must not be led to the former
 * primary by the order of PGHOST.
 */
static struct {
    pthread_mutex_t lock; /* guards what follows */
    struct primary primary;
} latest = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool primary_note(const struct primary *primary, struct err *err)
{
    pthread_mutex_lock(&latest.lock);
    bool follows = primary_may_follow(primary, &latest.primary, err);
    if (follows && primary->cluster[0])
        latest.primary = *primary;
    pthread_mutex_unlock(&latest.lock);
    return follows;
}

bool primary_is_former(const struct primary *primary, const struct primary *seen)
{
    return primary->timeline > 0 && primary->timeline < seen->timeline;
}
