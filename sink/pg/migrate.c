/*
 * Applying migrations in one transaction:
 *
 *   BEGIN; lock; create schema and table of migrations; read what is applied; apply the rest;
 * COMMIT
 *
 * CREATE ... IF NOT EXISTS alone races (unique violations in the catalog): the lock comes first.
 */
#include "pg/migrate.h"

#include "base/buffer.h"
#include "pg/conn_error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Any number, as long as all versions of the program agree on it: "pgsluice" in ASCII. */
#define LOCK_KEY "8099569364512629605"

#define INSUFFICIENT_PRIVILEGE "42501"

static const char begin_sql[] = "BEGIN; SET LOCAL lock_timeout = '60s'; "
                                "SELECT pg_advisory_xact_lock(" LOCK_KEY ")";
static const char bookkeeping_sql[] =
    "SET LOCAL client_min_messages = warning;"
    "CREATE SCHEMA IF NOT EXISTS pgsluice;"
    "CREATE TABLE IF NOT EXISTS pgsluice.migrations ("
    " version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT now())";
static const char applied_sql[] =
    "SELECT version, checksum FROM pgsluice.migrations ORDER BY version";

/* FNV-1a: tells an edited migration from the applied one; no secret depends on it. */
static void checksum(const char *sql, char *out, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (const char *at = sql; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
    snprintf(out, size, "%016" PRIx64, hash);
}

static PGresult *execute(PGconn *connection, const char *sql, struct err *err)
{
    return conn_error_check(PQexec(connection, sql), err);
}

static bool run(PGconn *connection, const char *sql, struct err *err)
{
    PGresult *result = execute(connection, sql, err);

    PQclear(result);
    return result != NULL;
}

/* Compares one applied row with ours; rows beyond ours belong to a newer version of the program. */
static bool same_migration(const PGresult *applied, int row, struct err *err)
{
    char ours[17];
    int version = (int)strtol(PQgetvalue(applied, row, 0), NULL, 10);

    if (version != row + 1)
        return err_set(err, ERR_CONFIG, "migration %d is missing in pgsluice.migrations", row + 1);
    if ((size_t)row >= migrations_count)
        return true;
    checksum(migrations[row].sql, ours, sizeof(ours));
    if (strcmp(PQgetvalue(applied, row, 1), ours) == 0)
        return true;
    return err_set(err, ERR_CONFIG,
                   "migration %04d_%s was applied with another text than this program's", version,
                   migrations[row].name);
}

/* *count is how many are applied. */
static bool read_applied(PGconn *connection, size_t *count, struct err *err)
{
    PGresult *applied = execute(connection, applied_sql, err);
    bool same = applied != NULL;

    for (int row = 0; same && row < PQntuples(applied); row++)
        same = same_migration(applied, row, err);
    if (same)
        *count = (size_t)PQntuples(applied);
    PQclear(applied);
    return same;
}

static bool apply_one(PGconn *connection, const struct migration *migration, struct err *err)
{
    char sum[17];
    struct buffer sql = {0};

    checksum(migration->sql, sum, sizeof(sum));
    buffer_printf(
        &sql, "INSERT INTO pgsluice.migrations (version, name, checksum) VALUES (%d, '%s', '%s')",
        migration->version, migration->name, sum);
    bool done = run(connection, migration->sql, err) && run(connection, buffer_text(&sql), err);
    buffer_finish(&sql);
    if (!done)
        return err_context(err, "migration %04d_%s", migration->version, migration->name);
    return true;
}

static bool apply_missing(PGconn *connection, size_t *applied, struct err *err)
{
    size_t present = 0;

    *applied = 0;
    if (!read_applied(connection, &present, err))
        return false;
    for (size_t i = present; i < migrations_count; i++, (*applied)++)
        if (!apply_one(connection, &migrations[i], err))
            return false;
    return true;
}

/* PostgreSQL's words for a missing right do not say what it is wanted for. */
static bool explain(PGconn *connection, struct err *err)
{
    if (strcmp(err->sqlstate, INSUFFICIENT_PRIVILEGE) == 0)
        err_context(
            err,
            "role %s can't make or use the schema pgsluice in database \"%s\": GRANT it the "
            "rights, or run pgsluice migrate as a role that has them",
            PQuser(connection), PQdb(connection));
    return false;
}

bool migrate_apply(PGconn *connection, size_t *applied, struct err *err)
{
    struct err rollback_err;

    *applied = 0;
    /* A role without CREATE may still run on a ready schema. */
    if (migrate_check(connection, err))
        return true;
    if (strcmp(err->sqlstate, INSUFFICIENT_PRIVILEGE) == 0)
        return false; /* there is a schema, of somebody else */
    if (run(connection, begin_sql, err) && run(connection, bookkeeping_sql, err) &&
        apply_missing(connection, applied, err) && run(connection, "COMMIT", err))
        return true;
    if (!run(connection, "ROLLBACK", &rollback_err))
        return false; /* the connection is gone, and the transaction with it */
    return explain(connection, err);
}

bool migrate_check(PGconn *connection, struct err *err)
{
    size_t present = 0;

    if (!read_applied(connection, &present, err)) {
        if (err->class == ERR_CONFIG && strncmp(err->sqlstate, "42P01", 5) == 0)
            err_set(err, ERR_CONFIG,
                    "the schema pgsluice is not installed in database \"%s\": run pgsluice migrate",
                    PQdb(connection));
        return explain(connection, err);
    }
    if (present >= migrations_count)
        return true;
    return err_set(err, ERR_CONFIG, "migration %04d_%s is not applied: run pgsluice migrate",
                   migrations[present].version, migrations[present].name);
}
