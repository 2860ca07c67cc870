/*
 * Whether somebody works on it is not in the tables, where a process that was
 * killed could not say so: each process of a backfill has taken it
 * (backfill_table_take), and the locks of a session go with it.
 */
#include "pg/backfill_progress.h"

#include "base/memory.h"
#include "pg/conn_error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

PGresult *backfill_progress_names(PGconn *connection, struct err *err)
{
    return conn_error_check(
        PQexec(connection, "SELECT name FROM pgsluice.backfills ORDER BY created_at, name"), err);
}

struct progress_range backfill_progress_range(const struct backfill_range *range)
{
    const struct offsets_written *written = &range->written;
    bool complete = range->next_offset >= range->end_offset;

    return (struct progress_range){
        .topic = range->topic,
        .partition = range->partition,
        .range = range->range,
        .state = complete ? PROGRESS_RANGE_COMPLETE : PROGRESS_RANGE_WAITING,
        .start_offset = range->start_offset,
        .next_offset = range->next_offset,
        .end_offset = range->end_offset,
        .records_count = written->rows_count + written->skipped_count + written->dead_letters_count,
        .rows_count = written->rows_count,
        .skipped_count = written->skipped_count,
        .dead_letters_count = written->dead_letters_count,
        .lost_count = range->lost_count,
        .bytes = written->bytes,
        .first_offset = written->first_offset,
        .last_offset = written->last_offset,
        .first_timestamp_ms = written->first_timestamp_ms,
        .last_timestamp_ms = written->last_timestamp_ms,
    };
}

/* Which of its processes are there: the numbers of those that hold the lock of
 * backfill_table_take. */
static const char processes_sql[] =
    "SELECT process FROM generate_series(0, $2::bigint - 1) AS process,"
    " LATERAL hashtextextended('pgsluice backfill ' || process || ' ' || $1, "
    "0) AS key"
    " JOIN pg_locks AS l ON l.locktype = 'advisory' AND l.granted AND "
    "l.objsubid = 1 AND l.pid <> $3::integer"
    " AND l.classid::bigint = (key >> 32) & 4294967295 AND l.objid::bigint = "
    "key & 4294967295"
    " JOIN pg_database AS d ON d.oid = l.database AND d.datname = "
    "current_database()";

static PGresult *find_processes(PGconn *connection, const struct backfill *backfill, int own_pid,
                                struct err *err)
{
    char count[24], pid[24];
    const char *values[] = {backfill->name, count, pid};

    snprintf(count, sizeof(count), "%" PRId64, backfill->processes);
    snprintf(pid, sizeof(pid), "%d", own_pid);
    return conn_error_check(PQexecParams(connection, processes_sql, 3, NULL, values, NULL, NULL, 0),
                            err);
}

static void mark_loading(struct backfill_progress *picture, int64_t process)
{
    for (size_t i = 0; i < picture->backfill.ranges_count; i++) {
        struct progress_range *range = &picture->ranges[i];
        if (range->state == PROGRESS_RANGE_WAITING &&
            range->partition % picture->backfill.processes == process)
            range->state = PROGRESS_RANGE_LOADING;
    }
}

static enum progress_state state_of(const struct backfill_progress *picture, bool running)
{
    if (picture->backfill.finished_ms)
        return PROGRESS_COMPLETE;
    if (running)
        return PROGRESS_RUNNING;
    return progress_sum(&picture->progress).done_count > 0 ? PROGRESS_INTERRUPTED
                                                           : PROGRESS_PLANNED;
}

static void fill(struct backfill_progress *picture)
{
    const struct backfill *backfill = &picture->backfill;

    picture->ranges = memory_new_array(backfill->ranges_count, sizeof(*picture->ranges));
    for (size_t i = 0; i < backfill->ranges_count; i++)
        picture->ranges[i] = backfill_progress_range(&backfill->ranges[i]);
    picture->progress = (struct progress){.name = backfill->name,
                                          .started_ms = backfill->created_ms,
                                          .ended_ms = backfill->finished_ms,
                                          .now_ms = backfill->now_ms,
                                          .ranges = picture->ranges,
                                          .ranges_count = backfill->ranges_count};
}

static bool find_state(struct backfill_progress *picture, PGconn *connection, int own_pid,
                       struct err *err)
{
    PGresult *processes = find_processes(connection, &picture->backfill, own_pid, err);

    if (!processes)
        return false;
    for (int i = 0; i < PQntuples(processes); i++)
        mark_loading(picture, strtoll(PQgetvalue(processes, i, 0), NULL, 10));
    picture->progress.state = state_of(picture, PQntuples(processes) > 0);
    PQclear(processes);
    return true;
}

bool backfill_progress_read(struct backfill_progress *picture, PGconn *connection, const char *name,
                            int own_pid, struct err *err)
{
    *picture = (struct backfill_progress){0};
    *err = (struct err){0};
    if (!backfill_table_read(connection, name, &picture->backfill, err) ||
        picture->backfill.created_ms == 0)
        return false;
    fill(picture);
    return find_state(picture, connection, own_pid, err);
}

void backfill_progress_plan(struct backfill_progress *picture, struct backfill *backfill)
{
    *picture = (struct backfill_progress){.backfill = *backfill};
    *backfill = (struct backfill){0};
    fill(picture);
}

/* By the plan's order: what is loaded has been read from the same rows. */
void backfill_progress_halt(struct backfill_progress *picture, const struct backfill *loaded)
{
    for (size_t i = 0; i < picture->backfill.ranges_count && i < loaded->ranges_count; i++) {
        struct progress_range *range = &picture->ranges[i];
        if (!loaded->ranges[i].halted || range->state == PROGRESS_RANGE_COMPLETE)
            continue;
        range->state = PROGRESS_RANGE_HALTED;
        range->reason = loaded->ranges[i].halted;
    }
}

void backfill_progress_finish(struct backfill_progress *picture)
{
    backfill_finish(&picture->backfill);
    free(picture->ranges);
    *picture = (struct backfill_progress){0};
}
