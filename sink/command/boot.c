/* Each step opens what it needs and closes it: the loop's own connections come later. */
#include "command/boot.h"

#include "ops/http.h"
#include "pg/migrate.h"
#include "pg/offsets_table.h"
#include "pg/session.h"

#include <string.h>
#include <sys/resource.h>

/* What is open without PostgreSQL (the loop, the log, librdkafka's pipes), and some brokers; the
 * latter two again for each further client. */
enum { FILES_MIN = 48, CLIENT_FILES = 16, HTTP_FILES = HTTP_CONNECTIONS + 2 };

int boot_exit_code(const struct err *err)
{
    switch (err->class) {
    case ERR_NONE:
        return EXIT_DONE;
    case ERR_OUTAGE:
        return EXIT_UNREACHABLE;
    case ERR_CONTENTION:
    case ERR_FENCED:
        return EXIT_TEMPORARY;
    case ERR_CONFIG:
    case ERR_DATA:
        return EXIT_CONFIG;
    case ERR_INTERNAL:
        return EXIT_INTERNAL;
    }
    return EXIT_INTERNAL;
}

static int fail(const char *event, const struct err *err)
{
    log_error(event, LOG_STR("class", err_class_name(err->class)), LOG_ERR(err));
    return boot_exit_code(err);
}

int boot_limits(const struct config *config, int64_t clients_count, bool serves)
{
    rlim_t needed = FILES_MIN + (rlim_t)config->pool_max + (config->history_interval_ms > 0) +
                    (serves ? HTTP_FILES : 0) + (rlim_t)(clients_count - 1) * CLIENT_FILES;
    struct rlimit limit = {0};
    struct err err;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return EXIT_DONE;
    err_set(&err, ERR_CONFIG,
            "the limit of open files (ulimit -n) is %llu: at least %llu are needed with "
            "SINK_POOL_MAX=%lld, SINK_HTTP_ADDRESS=%s and %lld client%s of Kafka%s",
            (unsigned long long)limit.rlim_cur, (unsigned long long)needed,
            (long long)config->pool_max, serves ? config->http_address : "off",
            (long long)clients_count, clients_count > 1 ? "s" : "",
            clients_count > 1 ? " (--parallel)" : "");
    return fail("too few files", &err);
}

static bool apply(PGconn *connection, const struct config *config, struct err *err)
{
    size_t applied = 0;
    const char *encoding = PQparameterStatus(connection, "server_encoding");

    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return err_set(err, ERR_CONFIG,
                       "database \"%s\" has the encoding %s: Kafka's texts need one with UTF8",
                       PQdb(connection), encoding ? encoding : "(unknown)");
    if (config->migrate == CONFIG_MIGRATE_OFF)
        return true;
    if (config->migrate == CONFIG_MIGRATE_CHECK)
        return migrate_check(connection, err);
    if (!migrate_apply(connection, &applied, err))
        return false;
    if (applied > 0)
        log_info("schema migrated", LOG_INT("migrations", (int64_t)applied));
    return true;
}

int boot_schema(const struct config *config)
{
    struct err err = {0};
    PGconn *connection = session_connect(config, config->connect_timeout_ms, &err);

    if (!connection)
        return fail("PostgreSQL can't be used", &err);
    bool done = apply(connection, config, &err);
    PQfinish(connection);
    return done ? EXIT_DONE : fail("schema can't be used", &err);
}

static bool check_table(const struct config *config, PGconn *connection, const char *topic,
                        struct err *err)
{
    struct route *route = route_create(config, topic);
    bool done = route_load_now(route, connection, err);

    if (done)
        log_info(
            "table", LOG_STR("topic", topic), LOG_STR("table", route->mapping->table.quoted),
            LOG_INT("columns", (int64_t)route->mapping->columns_count),
            LOG_STR("format", route->mapping->format == TYPE_FORMAT_BINARY ? "binary" : "text"));
    route_destroy(route);
    return done;
}

/* All that is wrong is said, not only the first. */
static int check_tables(const struct config *config, PGconn *connection)
{
    rd_kafka_topic_partition_list_t *topics = client_topics(config);
    struct buffer refused = {0};
    int code = EXIT_DONE;
    int count = 0;
    struct err err;

    for (int i = 0; i < topics->cnt; i++) {
        if (check_table(config, connection, topics->elems[i].topic, &err))
            continue;
        code = fail("table can't be used", &err);
        buffer_printf(&refused, "%s%s", count++ ? " " : "", topics->elems[i].topic);
    }
    if (count > 1) /* the log shows but a few lines of one event */
        log_error("tables can't be used", LOG_INT("count", count),
                  LOG_STR("topics", buffer_text(&refused)));
    buffer_finish(&refused);
    rd_kafka_topic_partition_list_destroy(topics);
    return code;
}

/* "": with a regex nobody knows yet. */
static void append_topics(struct buffer *out, const struct config *config)
{
    rd_kafka_topic_partition_list_t *topics = client_topics(config);

    for (int i = 0; i < topics->cnt && config->topics[0] != '^'; i++)
        buffer_printf(out, "%s%s", i > 0 ? "," : "", topics->elems[i].topic);
    rd_kafka_topic_partition_list_destroy(topics);
}

static void warn_of_one(const PGresult *others, int row)
{
    bool runs = PQgetvalue(others, row, 2)[0] == 't';

    log_warn(runs ? "another sink reads the same topics" : "another sink has read the same topics",
             LOG_STR("sink", PQgetvalue(others, row, 0)),
             LOG_STR("topics", PQgetvalue(others, row, 1)),
             LOG_STR("hint", "if both write to one table, it has every record twice; a sink whose "
                             "SINK_NAME has changed begins anew"));
}

/* Which table the other one writes to is not known here, so that it may be right. */
static void warn_of_others(const struct config *config, PGconn *connection)
{
    struct buffer topics = {0};
    struct err err;

    append_topics(&topics, config);
    PGresult *others = offsets_table_others(connection, config->name, buffer_text(&topics), &err);
    for (int row = 0; row < PQntuples(others); row++)
        warn_of_one(others, row);
    PQclear(others);
    buffer_finish(&topics);
}

int boot_tables(const struct config *config)
{
    struct err err = {0};
    PGconn *connection = session_connect(config, config->connect_timeout_ms, &err);

    if (!connection)
        return fail("PostgreSQL can't be used", &err);
    warn_of_others(config, connection);
    int code = config->topics[0] == '^' ? EXIT_DONE : check_tables(config, connection);
    PQfinish(connection);
    return code;
}

int boot_topics(const struct config *config, rd_kafka_t *client)
{
    struct err err = {0};

    if (client_check(client, config, config->connect_timeout_ms, &err))
        return EXIT_DONE;
    return fail("Kafka can't be used", &err);
}
