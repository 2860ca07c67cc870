/*
 * How we connect: libpq's own variables and defaults decide where to, this adds what a sink needs
 * of a session. The same parameters serve the blocking connection of the boot and the pool's.
 * Thread: loop, or main before it runs.
 */
#ifndef PG_SESSION_H
#define PG_SESSION_H

#include "base/err.h"
#include "config.h"
#include "config_postgres.h"

#include <libpq-fe.h>

enum { SESSION_PARAMETERS_MAX = 16 };

/* An attempt ends then: the server whose turn it is may be one that swallows everything. */
enum { SESSION_ATTEMPT_MS = 10000 };

/* As PQconnectStartParams wants them. */
struct session {
    const char *keywords[SESSION_PARAMETERS_MAX];
    const char *values[SESSION_PARAMETERS_MAX];
    char *application_name; /* pgsluice/<sink>/<instance> */
    char *options;          /* PGOPTIONS with our settings before the user's */
    char *password;         /* from PGPASSWORD_FILE, read by session_init */
    char *hosts;            /* of session_place, lists with commas; NULL: libpq's own */
    char *addresses;
    char *ports;
    size_t count;
};

/* False (ERR_CONFIG): the password file can't be read. */
bool session_init(struct session *session, const struct config *config, struct err *err) MUST_CHECK;
void session_finish(struct session *session);

/* The servers to try, from this one on and around. Without any, libpq decides. */
void session_place(struct session *session, const struct config_servers *servers, size_t first);

/* PQconnectStartParams, with notices kept off standard error: they may quote rows. */
PGconn *session_start(const struct session *session);

/*
 * A blocking connection, tried again until it stands or timeout_ms is over; PQfinish ends it.
 * NULL: ERR_OUTAGE, unreachable, read-only or a former primary; ERR_CONFIG, what waiting does not
 * mend (password, database, role, certificate).
 */
PGconn *session_connect(const struct config *config, int64_t timeout_ms, struct err *err);

/* Sets err from a failed connection: its class, and a text without the password. Returns false. */
bool session_error(PGconn *connection, struct err *err);

#endif
