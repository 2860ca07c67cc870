/*
 *   claim_start --> answered: taken, or no row -------------------------------> on_done
 *        |                                                                        ^
 *        +--> 55P03, the row is locked for 2 s --> end the frozen backend --------+
 *                                                     (failed: try again)
 *
 * The race that makes the claim a locking statement and not a SELECT:
 * 1. The old owner's flush is under way; the row says 100, its transaction has set 200.
 * 2. The partition moves. The new owner reads 100 with a plain SELECT and starts there.
 * 3. The old flush commits: rows 100..199 are in the table, and the new owner reads them again.
 * The claim's UPDATE waits in step 2 for step 3 and sees 200; a flush that comes later meets the
 * new epoch and fails.
 */
#include "dispatch/claim.h"

#include "ops/log.h"

#include <stddef.h>
#include <string.h>

static struct claim *claim_of(struct conn_job *job)
{
    return (struct claim *)((char *)job - offsetof(struct claim, job));
}

static void on_freed_backend(struct conn_job *job, const PGresult *result)
{
    const struct claim *claim = claim_of(job);

    for (int row = 0; row < PQntuples(result); row++)
        log_warn("frozen owner ended", LOG_STR("topic", claim->what.topic),
                 LOG_INT("partition", claim->what.partition),
                 LOG_STR("pid", PQgetvalue(result, row, 0)),
                 LOG_STR("application_name", PQgetvalue(result, row, 1)));
}

/* Whatever came of it, the claim is tried again. */
static void on_freed(struct conn_job *job, const struct conn_error *error)
{
    struct claim *claim = claim_of(job);
    struct err err;

    err_set(&err, ERR_CONTENTION, "the row in %s is locked by another session",
            claim->what.ledger->table);
    if (error)
        err = error->err;
    claim->on_done(claim, CLAIM_FAILED, &err);
}

static void free_row(struct claim *claim, struct conn *conn)
{
    struct buffer sql = {0};
    struct buffer pids = {0};

    claim->job = (struct conn_job){.on_result = on_freed_backend, .on_done = on_freed};
    pool_backend_pids(claim->pool, &pids);
    offsets_free_sql(&sql, &claim->what, buffer_text(&pids));
    conn_run(conn, buffer_text(&sql), &claim->job);
    buffer_finish(&pids);
    buffer_finish(&sql);
}

static void on_answer(struct conn_job *job, const PGresult *result)
{
    struct claim *claim = claim_of(job);

    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        claim->taken = offsets_claim_parse(result, &claim->position);
}

static void on_claimed(struct conn_job *job, const struct conn_error *error)
{
    struct claim *claim = claim_of(job);
    /* A role's own statement_timeout may come before our lock_timeout. */
    bool locked = error && !error->lost && error->err.class == ERR_CONTENTION;

    if (locked)
        free_row(claim, claim->conn);
    else if (error)
        claim->on_done(claim, CLAIM_FAILED, &error->err);
    else
        claim->on_done(claim, claim->taken ? CLAIM_TAKEN : CLAIM_NO_ROW, NULL);
}

void claim_start(struct claim *claim, struct conn *conn, claim_done_cb on_done)
{
    struct buffer sql = {0};

    claim->conn = conn;
    claim->taken = false;
    claim->on_done = on_done;
    claim->job = (struct conn_job){.on_result = on_answer, .on_done = on_claimed};
    offsets_claim_sql(&sql, &claim->what);
    conn_run(conn, buffer_text(&sql), &claim->job);
    buffer_finish(&sql);
}
