/* Of an error's many fields, those that decide what follows or that an operator asks for. */
#include "pg/conn_error.h"

#include "pg/copy_context.h"
#include "pg/sqlstate.h"

#include <stdio.h>
#include <string.h>

static void copy_field(char *to, size_t size, const PGresult *result, int field)
{
    const char *text = PQresultErrorField(result, field);

    snprintf(to, size, "%s", text ? text : "");
}

/* From COPY's own line on, so that a long line of something else does not push it out. */
static void note_context(struct conn_error *error, const PGresult *result)
{
    const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);

    snprintf(error->context, sizeof(error->context), "%s",
             context ? copy_context_find(context) : "");
}

/*
 * Data exceptions quote the value, each language in its own way: invalid input syntax for type
 * integer: "abc". An err is logged, so what comes from a colon, a quote or another script on is
 * left out. Two more codes can be one: see dispatch/outcome.c. What a trigger says is its author's
 * choice.
 */
static void set_message(struct err *err, const char *sqlstate, const char *message)
{
    size_t safe = 0;
    bool quotes = strncmp(sqlstate, "22", 2) == 0 || strcmp(sqlstate, "42601") == 0 ||
                  strcmp(sqlstate, "XX000") == 0;

    while (message[safe] && !(quotes && (strchr("\":", message[safe]) || message[safe] < 0)))
        safe++;
    err_set(err, sqlstate_class(sqlstate), "%.*s", (int)safe, message);
    snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate);
}

void conn_error_read(struct conn_error *error, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    set_message(&error->err, sqlstate ? sqlstate : "", message ? message : "connection lost");
    note_context(error, result);
    copy_field(error->err.column, sizeof(error->err.column), result, PG_DIAG_COLUMN_NAME);
    copy_field(error->constraint, sizeof(error->constraint), result, PG_DIAG_CONSTRAINT_NAME);
    copy_field(error->function, sizeof(error->function), result, PG_DIAG_SOURCE_FUNCTION);
}

static bool is_error(const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
    case PGRES_COMMAND_OK:
        return false;
    default:
        return true;
    }
}

PGresult *conn_error_check(PGresult *result, struct err *err)
{
    struct conn_error error = {0};

    if (!is_error(result))
        return result;
    conn_error_read(&error, result);
    *err = error.err;
    if (strcmp(err->sqlstate, "42P01") == 0 || strcmp(err->sqlstate, "3F000") == 0)
        err_context(err, "the schema pgsluice is not there, run pgsluice migrate");
    PQclear(result);
    return NULL;
}
