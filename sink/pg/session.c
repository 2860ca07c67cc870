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
#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/slice.h"
#include "ops/log.h"
#include "pg/primary.h"

#include <assert.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
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

static void add(struct session *session, const char *keyword, const char *value)
{
    assert(session->count + 1 < SESSION_PARAMETERS_MAX);
    session->keywords[session->count] = keyword;
    session->values[session->count] = value;
    session->count++;
}

bool session_init(struct session *session, const struct config *config, struct err *err)
{
    const char *user_options = getenv("PGOPTIONS");

    *session = (struct session){0};
    *err = (struct err){0};
    session->password = config_password(err);
    if (!session->password && err->class != ERR_NONE)
        return false;
    session->application_name = memory_printf("pgsluice/%s/%s", config->name, config->instance_id);
    session->options = memory_printf(options_format, config->synchronous_commit ? "on" : "off",
                                     user_options ? user_options : "");
    add(session, "application_name", session->application_name);
    add(session, "options", session->options);
    add(session, "client_encoding", "UTF8");
    add(session, "keepalives_idle", "10");
    add(session, "keepalives_interval", "5");
    add(session, "keepalives_count", "3");
    add(session, "tcp_user_timeout", "30000");
    if (session->password)
        add(session, "password", session->password);
    return true;
}

/* The texts of one kind, in the order of the attempt. */
static char *join(const struct config_servers *servers, size_t first, size_t offset)
{
    struct buffer list = {0};

    for (size_t i = 0; i < servers->count; i++) {
        const struct config_server *server = &servers->list[(first + i) % servers->count];
        buffer_printf(&list, "%s%s", i ? "," : "", *(char *const *)((const char *)server + offset));
    }
    char *text = memory_strdup(buffer_text(&list));
    buffer_finish(&list);
    return text;
}

void session_place(struct session *session, const struct config_servers *servers, size_t first)
{
    if (servers->count == 0)
        return;
    session->hosts = join(servers, first, offsetof(struct config_server, host));
    session->addresses = join(servers, first, offsetof(struct config_server, address));
    session->ports = join(servers, first, offsetof(struct config_server, port));
    add(session, "host", session->hosts);
    add(session, "hostaddr", session->addresses);
    add(session, "port", session->ports);
}

void session_finish(struct session *session)
{
    free(session->hosts);
    free(session->addresses);
    free(session->ports);
    free(session->application_name);
    free(session->options);
    if (session->password)
        explicit_bzero(session->password, strlen(session->password));
    free(session->password);
    *session = (struct session){0};
}

/* libpq 15 gives no SQLSTATE for a refused connection, only words. These are the ones that waiting
 * does not mend: the server's (in every locale the parts in quotes stay), and libpq's own. */
static const char *const lasting_words[] = {
    "password",    "authentication",    "does not exist",           "not permitted to log in",
    "pg_hba.conf", "permission denied", "invalid connection option"};
static const char *const lasting_own_words[] = {"certificate",
                                                "does not support SSL",
                                                "private key file",
                                                "could not match",
                                                "definition of service",
                                                "invalid sslmode",
                                                "invalid target_session_attrs",
                                                "invalid channel_binding",
                                                "invalid port number",
                                                "invalid integer value"};

static bool has_word(struct slice text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memmem(text.data, text.len, words[i], strlen(words[i])))
            return true;
    return false;
}

static bool is_lasting(struct slice text)
{
    return has_word(text, lasting_own_words, COUNT_OF(lasting_own_words)) ||
           (memmem(text.data, text.len, "FATAL", strlen("FATAL")) &&
            has_word(text, lasting_words, COUNT_OF(lasting_words)));
}

/* Of several servers, each says why not: as long as one may come back, waiting may help. */
static enum err_class refusal_class(PGconn *connection)
{
    static const char start[] = "connection to server ";
    const char *at = PQerrorMessage(connection);

    if (PQconnectionNeedsPassword(connection))
        return ERR_CONFIG;
    while (at) {
        const char *next = strstr(at + (*at != '\0'), start);
        size_t len = next ? (size_t)(next - at) : strlen(at);
        if (!is_lasting((struct slice){at, len}))
            return ERR_OUTAGE;
        at = next;
    }
    return ERR_CONFIG;
}

/* What libpq says about certificates does not say that it was asked to look at them. */
static void explain(struct err *err)
{
    size_t len = strlen(err->text);

    if (config_postgres_set_sslmode() &&
        (strstr(err->text, "certificate") || strstr(err->text, "does not support SSL")))
        snprintf(err->text + len, sizeof(err->text) - len,
                 ". A host that is not local has to prove who it is (PGSSLMODE=verify-full): name "
                 "the CA's certificate in PGSSLROOTCERT, or set PGSSLMODE to verify-ca, require or "
                 "disable");
}

bool session_error(PGconn *connection, struct err *err)
{
    err_set(err, refusal_class(connection), "%s", PQerrorMessage(connection));
    for (char *at = err->text; *at; at++)
        if (*at == '\n' || *at == '\t')
            *at = at[1] ? ' ' : '\0';
    explain(err);
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

static bool wait_answer(PGconn *connection, int64_t deadline_ms)
{
    while (PQisBusy(connection)) {
        int64_t left_ms = deadline_ms - clock_now_ms();
        struct pollfd wanted = {.fd = PQsocket(connection), .events = POLLIN};
        if (left_ms <= 0 || poll(&wanted, 1, (int)left_ms) <= 0 || !PQconsumeInput(connection))
            return false;
    }
    return true;
}

/* PQexec, but no longer than that: a server or pooler may let in and then not answer. NULL: it did
 * not. */
static PGresult *ask(PGconn *connection, const char *sql, int64_t deadline_ms)
{
    PGresult *last = NULL;
    bool answered = PQsendQuery(connection, sql);

    while (answered && (answered = wait_answer(connection, deadline_ms))) {
        PGresult *result = PQgetResult(connection);
        if (!result)
            return last;
        PQclear(last);
        last = result;
    }
    PQclear(last);
    return NULL;
}

/* A former primary that is back takes writes as well. One that can not say which it is, is taken as
 * it is. */
static PGconn *greet(PGconn *connection, int64_t deadline_ms, struct err *err)
{
    PGresult *result = ask(connection, primary_sql, deadline_ms);
    bool answers = result && PQstatus(connection) == CONNECTION_OK;
    struct primary primary;

    if (!answers)
        err_set(err, ERR_OUTAGE, "PostgreSQL at %s port %s lets in, but does not answer",
                PQhost(connection), PQport(connection));
    else
        (void)!primary_parse(result, &primary);
    PQclear(result);
    if (answers && primary_note(&primary, err))
        return connection;
    PQfinish(connection);
    return NULL;
}

/* One connection, to the servers from `first` on. */
static PGconn *try_servers(const struct config *config, const struct config_servers *servers,
                           size_t first, int64_t deadline_ms, struct err *err)
{
    struct session session;
    PGconn *connection = NULL;

    if (session_init(&session, config, err)) {
        session_place(&session, servers, first);
        connection = attempt(&session, deadline_ms, err);
    }
    session_finish(&session);
    return connection ? greet(connection, deadline_ms, err) : NULL;
}

PGconn *session_connect(const struct config *config, int64_t timeout_ms, struct err *err)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    struct config_servers servers;
    PGconn *connection = NULL;

    config_servers_read(&servers);
    for (unsigned i = 0;; i++) {
        int64_t until_ms = clock_now_ms() + SESSION_ATTEMPT_MS;
        connection =
            try_servers(config, &servers, i, until_ms < deadline_ms ? until_ms : deadline_ms, err);
        int64_t delay_ms = backoff_delay_ms(&connect_backoff, i, backoff_random());
        if (connection || err->class == ERR_CONFIG || clock_now_ms() + delay_ms >= deadline_ms)
            break;
        if (i == 0 && timeout_ms >= config->connect_timeout_ms) /* somebody sits and waits */
            log_warn("PostgreSQL can't be reached, it is tried again", LOG_ERR(err),
                     LOG_INT("timeout_ms", timeout_ms));
        poll(NULL, 0, (int)delay_ms);
    }
    config_servers_finish(&servers);
    return connection;
}
