/*
 * How we connect: libpq's own variables and defaults decide where to, this adds what a sink needs
 * of a session. The same parameters serve the blocking connection of the boot and the pool's.
 * Thread: loop, or main before it runs.
 */
#ifndef PG_SESSION_H
#define PG_SESSION_H

#include "base/err.h"
#include "config.h"

#include <libpq-fe.h>

enum { SESSION_PARAMETERS_MAX = 16 };

/* As PQconnectStartParams wants them. */
struct session {
    const char *keywords[SESSION_PARAMETERS_MAX];
    const char *values[SESSION_PARAMETERS_MAX];
    char *application_name; /* pgsluice/<sink>/<instance> */
    char *options;          /* PGOPTIONS with our settings before the user's */
    char *password;         /* from PGPASSWORD_FILE, read by session_init */
};

/* False (ERR_CONFIG): the password file can't be read. */
bool session_init(struct session *session, const struct config *config, struct err *err) MUST_CHECK;
void session_finish(struct session *session);

/* PQconnectStartParams, with notices kept off standard error: they may quote rows. */
PGconn *session_start(const struct session *session);

/*
 * A blocking connection, tried again until it stands or timeout_ms is over; PQfinish ends it.
 * NULL: ERR_OUTAGE, unreachable; ERR_CONFIG, the server refused us (password, database, role).
 */
PGconn *session_connect(const struct config *config, int64_t timeout_ms, struct err *err);

/* Sets err from a failed connection: its class, and a text without the password. Returns false. */
bool session_error(PGconn *connection, struct err *err);

#endif
