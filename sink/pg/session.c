/*
 * Connection parameters.
 *
 * Our settings travel in `options`, so that a session is right from its first statement without
 * another round trip. The user's PGOPTIONS come after ours and win.
 *
 * - synchronous_commit=off is safe with exactly once: rows and position vanish together.
 * - TimeZone and DateStyle decide what a text without a zone means: it must not depend on the
 * server.
 * - keepalives and tcp_user_timeout on both sides end a session whose network is cut in seconds,
 * not hours: a dead owner's transaction holds its offsets rows until then.
 */
#include "pg/session.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/memory.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

static const char options_format[] =
    "-c synchronous_commit=%s -c timezone=UTC -c datestyle=ISO,MDY "
    "-c intervalstyle=postgres "
    "-c default_transaction_isolation=read\\ committed "
    "-c lock_timeout=10s -c statement_timeout=0 -c idle_in_transaction_session_timeout=60s "
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 "
    "-c tcp_keepalives_count=3 -c tcp_user_timeout=30000 "
    "-c client_min_messages=warning %s";

static const struct backoff connect_backoff = {.first_ms = 100, .limit_ms = 2000};

static void add(struct session *session, size_t *count, const char *keyword, const char *value)
{
    session->keywords[*count] = keyword;
    session->values[*count] = value;
    *count += 1;
}

bool session_init(struct session *session, const struct config *config, struct err *err)
{
    const char *user_options = getenv("PGOPTIONS");
    size_t count = 0;

    *session = (struct session){0};
    *err = (struct err){0};
    session->password = config_password(err);
    if (!session->password && err->class != ERR_NONE)
        return false;
    session->application_name = memory_printf("pgsluice/%s/%s", config->name, config->instance_id);
    session->options = memory_printf(options_format, config->synchronous_commit ? "on" : "off",
                                     user_options ? user_options : "");
    add(session, &count, "application_name", session->application_name);
    add(session, &count, "options", session->options);
    add(session, &count, "client_encoding", "UTF8");
    add(session, &count, "keepalives_idle", "10");
    add(session, &count, "keepalives_interval", "5");
    add(session, &count, "keepalives_count", "3");
    add(session, &count, "tcp_user_timeout", "30000");
    if (session->password)
        add(session, &count, "password", session->password);
    return true;
}

void session_finish(struct session *session)
{
    free(session->application_name);
    free(session->options);
    if (session->password)
        explicit_bzero(session->password, strlen(session->password));
    free(session->password);
    *session = (struct session){0};
}

/* libpq 15 gives no SQLSTATE for a refused connection, only the server's words; these are the ones
 * (in every locale the parts in quotes stay) that waiting does not mend. */
static enum err_class refusal_class(PGconn *connection)
{
    static const char *const lasting[] = {"password",
                                          "authentication",
                                          "does not exist",
                                          "not permitted to log in",
                                          "pg_hba.conf",
                                          "permission denied",
                                          "invalid connection option",
                                          "root certificate"};
    const char *message = PQerrorMessage(connection);

    if (PQconnectionNeedsPassword(connection))
        return ERR_CONFIG;
    for (size_t i = 0; i < COUNT_OF(lasting); i++)
        if (strstr(message, "FATAL") && strstr(message, lasting[i]))
            return ERR_CONFIG;
    return ERR_OUTAGE;
}

bool session_error(PGconn *connection, struct err *err)
{
    err_set(err, refusal_class(connection), "%s", PQerrorMessage(connection));
    for (char *at = err->text; *at; at++)
        if (*at == '\n' || *at == '\t')
            *at = at[1] ? ' ' : '\0';
    return false;
}

/* libpq's connect_timeout is per host and rounds to seconds; this waits on the whole attempt. */
static PostgresPollingStatusType wait_step(PGconn *connection, PostgresPollingStatusType status,
                                           int64_t deadline_ms)
{
    int64_t left_ms = deadline_ms - clock_now_ms();
    struct pollfd wanted = {.fd = PQsocket(connection),
                            .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT};

    if (left_ms <= 0 || poll(&wanted, 1, (int)left_ms) <= 0)
        return PGRES_POLLING_FAILED;
    return PQconnectPoll(connection);
}

static void drop_notice(void *opaque, const PGresult *notice)
{
    (void)opaque;
    (void)notice;
}

PGconn *session_start(const struct session *session)
{
    PGconn *connection = PQconnectStartParams(session->keywords, session->values, 1);

    PQsetNoticeReceiver(connection, drop_notice, NULL);
    return connection;
}

static PGconn *attempt(const struct session *session, int64_t deadline_ms, struct err *err)
{
    PGconn *connection = session_start(session);
    PostgresPollingStatusType status =
        PQstatus(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;

    while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED)
        status = wait_step(connection, status, deadline_ms);
    if (status == PGRES_POLLING_OK)
        return connection;
    session_error(connection, err);
    if (!err->text[0])
        err_set(err, ERR_OUTAGE, "PostgreSQL at %s port %s does not answer", PQhost(connection),
                PQport(connection));
    PQfinish(connection);
    return NULL;
}

PGconn *session_connect(const struct config *config, int64_t timeout_ms, struct err *err)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    struct session session;
    PGconn *connection = NULL;

    if (!session_init(&session, config, err))
        return NULL;
    for (unsigned i = 0;; i++) {
        connection = attempt(&session, deadline_ms, err);
        int64_t delay_ms = backoff_delay_ms(&connect_backoff, i, backoff_random());
        if (connection || err->class == ERR_CONFIG || clock_now_ms() + delay_ms >= deadline_ms)
            break;
        poll(NULL, 0, (int)delay_ms);
    }
    session_finish(&session);
    return connection;
}
