/*
 * PostgreSQL's error codes as our classes (design: "Errors"). Source of the codes: PostgreSQL's
 * documentation, appendix "PostgreSQL Error Codes". Pure. Thread: any.
 */
#ifndef PG_SQLSTATE_H
#define PG_SQLSTATE_H

#include "base/err.h"

/* What pgsluice.advance raises when a position is not the expected one. */
#define SQLSTATE_FENCED "PS001"

/* What pgsluice.expect_table raises when the table has changed since rows were encoded for it. */
#define SQLSTATE_TABLE_CHANGED "PS002"

/* read_only_sql_transaction: a standby, or default_transaction_read_only. */
#define SQLSTATE_READ_ONLY "25006"

/* A statement was canceled: by statement_timeout, or by somebody. */
#define SQLSTATE_CANCELED "57014"

/*
 * Whether only code that belongs to the table chooses it: PL/pgSQL's own errors, and the codes that
 * the SQL standard leaves to users. In answer to rows it is a verdict on one of them.
 */
bool sqlstate_is_of_user_code(const char *sqlstate);

/* NULL or empty: the server said nothing, so the connection is gone: ERR_OUTAGE. */
enum err_class sqlstate_class(const char *sqlstate);

#endif
