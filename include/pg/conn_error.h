/*
 * What PostgreSQL says when it refuses something, without the payload that its words may quote.
 * Thread: any.
 */
#ifndef PG_CONN_ERROR_H
#define PG_CONN_ERROR_H

#include "base/err.h"

#include <libpq-fe.h>

/* What the server said, beyond err. Texts may be empty. */
struct conn_error {
    struct err err;
    char
        context[512]; /* of PG_DIAG_CONTEXT, from COPY's own line on; holds payload: never logged */
    char constraint[64];
    char function[64]; /* of the server's source, PG_DIAG_SOURCE_FUNCTION */
    bool lost; /* the connection is gone: whether the transaction was committed is unknown */
};

/* Reads a result that is an error. `lost` stays as it is. */
void conn_error_read(struct conn_error *error, const PGresult *result);

/* For whoever waits for an answer: the result when it is none of an error, else NULL, and it is
 * cleared. */
PGresult *conn_error_check(PGresult *result, struct err *err);

#endif
