/* The server that types_differential.c compares with. Whatever it should not refuse ends the run.
 */
#ifndef TESTS_TYPES_SERVER_H
#define TESTS_TYPES_SERVER_H

#include "base/buffer.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

static void __attribute__((noreturn)) fail(const char *what, const char *why)
{
    fprintf(stderr, "types_differential: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static PGresult *query(PGconn *connection, const char *sql)
{
    PGresult *result = PQexec(connection, sql);

    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail(sql, PQresultErrorMessage(result));
    return result;
}

static void execute(PGconn *connection, const char *sql)
{
    PQclear(query(connection, sql));
}

/* Sends a whole COPY. NULL, or the refusal. */
static PGresult *copy(PGconn *connection, const char *sql, const struct buffer *rows)
{
    PGresult *result = PQexec(connection, sql);

    if (PQresultStatus(result) != PGRES_COPY_IN)
        fail(sql, PQresultErrorMessage(result));
    PQclear(result);
    if (PQputCopyData(connection, rows->data, (int)rows->len) != 1 ||
        PQputCopyEnd(connection, NULL) != 1)
        fail("sending COPY data", PQerrorMessage(connection));
    PGresult *refused = NULL;
    while ((result = PQgetResult(connection)) != NULL) {
        if (PQresultStatus(result) == PGRES_COMMAND_OK)
            PQclear(result);
        else
            refused = result;
    }
    return refused;
}

#endif
