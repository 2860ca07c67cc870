/*
 * The sink's own schema, `pgsluice`, as numbered migrations compiled into the program.
 *
 * pgsluice.migrations says which were applied and with which text. Many replicas may start at once:
 * the first takes an advisory lock (of its transaction, so that poolers are safe) and applies all
 * that is missing in that one transaction; the others wait and find nothing to do. Thread: main,
 * before the loop (blocking).
 */
#ifndef PG_MIGRATE_H
#define PG_MIGRATE_H

#include "base/err.h"

#include <libpq-fe.h>
#include <stddef.h>

struct migration {
    int version;      /* from 1, without gaps */
    const char *name; /* "offsets" of 0001_offsets.sql */
    const char *sql;
};

/* Generated from migrations/ by the build. */
extern const struct migration migrations[];
extern const size_t migrations_count;

/* Applies what is missing and says how many that were. False: nothing was applied. */
bool migrate_apply(PGconn *connection, size_t *applied, struct err *err) MUST_CHECK;

/*
 * Whether the database has exactly our migrations, or ours and later ones of a newer replica.
 * False (ERR_CONFIG): the text says what is missing or was changed and how to mend it.
 */
bool migrate_check(PGconn *connection, struct err *err) MUST_CHECK;

#endif
