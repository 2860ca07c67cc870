/*
 * What the single value can not tell: names that Kafka or PostgreSQL would not take, and settings
 * that do not fit together. A field that had its own problem is at zero here and asked nothing
 * more.
 */
#include "config_internal.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "ops/http_address.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    TOPIC_BYTES = 249,     /* Kafka's limit */
    IDENTIFIER_BYTES = 63, /* PostgreSQL's NAMEDATALEN - 1 */
    NAME_BYTES = 200, /* SINK_NAME and SINK_INSTANCE_ID stand in logs, rows and application_name */
};

static const char placeholder[] = "${topic}";

/* --- Topics ----------------------------------------------------------------------------------- */

static bool is_topic_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    return name[0] && strlen(name) <= TOPIC_BYTES && name[strspn(name, letters)] == '\0' &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool uses_consumer_protocol(const struct config *config)
{
    const char *protocol = config_kafka_value(config, "group.protocol");

    return protocol && strcasecmp(protocol, "consumer") == 0;
}

static void check_regex(struct config_reader *reader, const char *pattern)
{
    regex_t regex;
    char reason[256];

    if (uses_consumer_protocol(reader->config))
        return; /* the broker reads it, in RE2's dialect */
    int code = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);
    if (code == 0) {
        regfree(&regex);
        return;
    }
    regerror(code, &regex, reason, sizeof(reason));
    config_problem(reader, "SINK_TOPICS",
                   "is not a regular expression (%s); write it in POSIX extended syntax", reason);
}

/* --- The table's name ------------------------------------------------------------------------- */

/* ${topic} replaced; free() ends it. */
static char *table_for(const char *table, const char *topic)
{
    struct buffer name = {0};
    const char *at;

    for (; (at = strstr(table, placeholder)); table = at + strlen(placeholder)) {
        buffer_append(&name, table, (size_t)(at - table));
        buffer_append_text(&name, topic);
    }
    buffer_append_text(&name, table);
    char *text = memory_strdup(buffer_text(&name));
    buffer_finish(&name);
    return text;
}

static bool has_other_placeholder(const char *table)
{
    const char *at = strstr(table, "${");

    while (at && strncmp(at, placeholder, strlen(placeholder)) == 0)
        at = strstr(at + 1, "${");
    return at != NULL;
}

static void check_identifier(struct config_reader *reader, const char *topic, const char *part,
                             size_t len)
{
    char of_topic[TOPIC_BYTES + 16] = "";

    if (topic)
        snprintf(of_topic, sizeof(of_topic), " for topic %s", topic);
    if (len == 0)
        config_problem(reader, "SINK_TABLE",
                       "has an empty part%s; write table or schema.table, without quotes",
                       of_topic);
    else if (len > IDENTIFIER_BYTES)
        config_problem(reader, "SINK_TABLE",
                       "\"%.*s\" has %zu bytes%s; PostgreSQL would silently cut it to %d", (int)len,
                       part, len, of_topic, IDENTIFIER_BYTES);
}

/* schema.table: the first dot parts them. */
static void check_table_for(struct config_reader *reader, const char *topic)
{
    char *name = table_for(reader->config->table, topic ? topic : "t");
    char *dot = strchr(name, '.');
    const char *last = dot ? dot + 1 : name;

    if (dot)
        check_identifier(reader, topic, name, (size_t)(dot - name));
    check_identifier(reader, topic, last, strlen(last));
    free(name);
}

static void check_table(struct config_reader *reader)
{
    const char *table = reader->config->table;

    if (!table)
        return;
    if (has_other_placeholder(table))
        config_problem(reader, "SINK_TABLE",
                       "has a placeholder that is not known; there is ${topic}");
    else if (!utf8_valid(slice_of(table)))
        config_problem(reader, "SINK_TABLE", "is not UTF-8; write it in UTF-8");
    else if (!strstr(table, placeholder))
        check_table_for(reader, NULL);
}

/* --- Each topic ------------------------------------------------------------------------------- */

static bool is_among(char *const *topics, size_t count, const char *topic)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(topics[i], topic) == 0)
            return true;
    }
    return false;
}

static void check_topic(struct config_reader *reader, const char *topic, bool repeated)
{
    const char *table = reader->config->table;

    if (topic[0] == '^')
        config_problem(
            reader, "SINK_TOPICS",
            "mixes names and a regular expression; the expression stands alone: ^(a|b)$");
    else if (!is_topic_name(topic))
        config_problem(reader, "SINK_TOPICS",
                       "\"%.*s\" is no topic's name; it can be 1 to %d of a-z A-Z 0-9 . _ -",
                       TOPIC_BYTES, topic, TOPIC_BYTES);
    else if (repeated)
        config_problem(reader, "SINK_TOPICS", "names %s twice; name it once", topic);
    else if (table && strstr(table, placeholder) && !has_other_placeholder(table))
        check_table_for(reader, topic);
}

static void check_topic_list(struct config_reader *reader)
{
    const struct config *config = reader->config;

    for (size_t i = 0; i < config->topic_names_count; i++)
        check_topic(reader, config->topic_names[i],
                    is_among(config->topic_names, i, config->topic_names[i]));
}

static void check_topics(struct config_reader *reader)
{
    const char *topics = reader->config->topics;

    if (!topics)
        return;
    if (topics[0] == '^')
        check_regex(reader, topics);
    else
        check_topic_list(reader);
}

/* --- The topic of dead letters ---------------------------------------------------------------- */

static bool regex_matches(const char *pattern, const char *topic)
{
    regex_t regex;

    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false; /* said by check_regex, or in a dialect that only the broker reads */
    bool matches = regexec(&regex, topic, 0, NULL, 0) == 0;
    regfree(&regex);
    return matches;
}

bool config_reads_topic(const struct config *config, const char *topic)
{
    if (config->topics[0] == '^')
        return regex_matches(config->topics, topic);
    return is_among(config->topic_names, config->topic_names_count, topic);
}

/* A dead letter that is consumed again becomes the next dead letter, without an end. */
static void check_dead_letters(struct config_reader *reader)
{
    const struct config *config = reader->config;
    const char *topic = config->dead_letter_topic;

    if (!topic && config_sends_letters_to_topic(config))
        config_problem(reader, "SINK_DEAD_LETTER_TOPIC",
                       "is required with SINK_DEAD_LETTERS=topic and both; name a topic that "
                       "exists");
    else if (topic && !is_topic_name(topic))
        config_problem(reader, "SINK_DEAD_LETTER_TOPIC",
                       "is no topic's name; it can be 1 to %d of a-z A-Z 0-9 . _ -", TOPIC_BYTES);
    else if (topic && !config_sends_letters_to_topic(config))
        config_problem(reader, "SINK_DEAD_LETTER_TOPIC",
                       "would not be used; it needs SINK_DEAD_LETTERS=topic or both");
    else if (topic && config->topics && config_reads_topic(config, topic))
        config_problem(reader, "SINK_DEAD_LETTER_TOPIC",
                       "is one of SINK_TOPICS: each dead letter would be read and become the "
                       "next; name a topic that this sink does not consume");
}

/* --- Names ------------------------------------------------------------------------------------ */

static bool is_plain(const char *name)
{
    for (const char *at = name; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return false;
    }
    return utf8_valid(slice_of(name));
}

static void check_name(struct config_reader *reader, const char *variable, const char *name)
{
    if (name && (strlen(name) > NAME_BYTES || !is_plain(name)))
        config_problem(reader, variable,
                       "is too long or has control characters; it can be %d bytes of UTF-8 text",
                       NAME_BYTES);
}

/* --- Numbers that depend on each other -------------------------------------------------------- */

static void check_sizes(struct config_reader *reader)
{
    const struct config *config = reader->config;
    struct buffer quarter = {0};

    if (config->pool_max && config->pool_min > config->pool_max)
        config_problem(reader, "SINK_POOL_MIN", "is above SINK_POOL_MAX; it can be 0 to %lld",
                       (long long)config->pool_max);
    if (config->memory_limit_bytes && config->batch_bytes > config->memory_limit_bytes / 4) {
        config_print_bytes(config->memory_limit_bytes / 4, &quarter);
        config_problem(reader, "SINK_BATCH_BYTES",
                       "is above a quarter of SINK_MEMORY_LIMIT; it can be at most %s",
                       buffer_text(&quarter));
    }
    buffer_finish(&quarter);
}

static void check_durability(struct config_reader *reader)
{
    const struct config *config = reader->config;

    if (config->delivery == CONFIG_AT_LEAST_ONCE && !config->synchronous_commit)
        config_problem(reader, "SINK_SYNCHRONOUS_COMMIT",
                       "off loses rows that Kafka was told are safe, when PostgreSQL crashes; "
                       "with SINK_DELIVERY=at_least_once it has to be on");
}

/* --- Kafka's groups and logins ---------------------------------------------------------------- */

static void check_strategies(struct config_reader *reader)
{
    const char *strategies = config_kafka_value(reader->config, "partition.assignment.strategy");
    int cooperative = 0;
    int eager = 0;

    if (!strategies)
        return;
    char *copy = memory_strdup(strategies);
    char *rest = copy;
    for (char *name = strsep(&rest, ","); name; name = strsep(&rest, ",")) {
        if (strcmp(config_trim(name), "cooperative-sticky") == 0)
            cooperative++;
        else
            eager++;
    }
    if (cooperative && eager)
        config_problem(reader, "KAFKA_PARTITION_ASSIGNMENT_STRATEGY",
                       "mixes eager and cooperative strategies, which librdkafka can not; "
                       "cooperative-sticky alone, or range and roundrobin");
    free(copy);
}

static void check_protocol(struct config_reader *reader)
{
    static const char *const classic_only[] = {"session.timeout.ms", "heartbeat.interval.ms",
                                               "partition.assignment.strategy",
                                               "group.protocol.type"};
    const struct config *config = reader->config;

    if (!uses_consumer_protocol(config))
        return;
    for (size_t i = 0; i < config->properties_count; i++) {
        for (size_t j = 0; j < COUNT_OF(classic_only); j++) {
            if (strcmp(config->properties[i].name, classic_only[j]) == 0)
                config_problem(
                    reader, config->properties[i].variable,
                    "belongs to the classic protocol; with KAFKA_GROUP_PROTOCOL=consumer "
                    "the broker decides it, leave it out");
        }
    }
}

static long number_of(const struct config *config, const char *property, long fallback)
{
    const char *value = config_kafka_value(config, property);

    return value ? strtol(value, NULL, 10) : fallback;
}

/* What librdkafka only says when the consumer is made. */
static void check_intervals(struct config_reader *reader)
{
    const struct config *config = reader->config;
    long session_ms = number_of(config, "session.timeout.ms", 45000);

    if (!uses_consumer_protocol(config) &&
        number_of(config, "max.poll.interval.ms", 300000) < session_ms)
        config_problem(reader, "KAFKA_MAX_POLL_INTERVAL_MS",
                       "is below KAFKA_SESSION_TIMEOUT_MS; it can be %ld or more", session_ms);
}

static bool is_true(const struct config *config, const char *property)
{
    const char *value = config_kafka_value(config, property);

    return value && (strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

static void check_bearer(struct config_reader *reader)
{
    const char *method = config_kafka_value(reader->config, "sasl.oauthbearer.method");

    if ((!method || strcasecmp(method, "oidc") != 0) &&
        !is_true(reader->config, "enable.sasl.oauthbearer.unsecure.jwt"))
        config_problem(reader, "KAFKA_SASL_OAUTHBEARER_METHOD",
                       "is not oidc, so no token would ever come; "
                       "OAUTHBEARER needs KAFKA_SASL_OAUTHBEARER_METHOD=oidc");
}

/* librdkafka's default mechanism is GSSAPI, which it is built without here. */
static void check_login(struct config_reader *reader)
{
    const char *protocol = config_kafka_value(reader->config, "security.protocol");
    const char *mechanism = config_kafka_value(reader->config, "sasl.mechanism");

    if (!mechanism)
        mechanism = config_kafka_value(reader->config, "sasl.mechanisms");
    if (!protocol || strncasecmp(protocol, "sasl_", 5) != 0)
        return;
    if (!mechanism || strcasecmp(mechanism, "GSSAPI") == 0)
        config_problem(reader, "KAFKA_SASL_MECHANISM",
                       "%s; it can be PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
                       mechanism ? "is GSSAPI, which is not built in"
                                 : "is required with KAFKA_SECURITY_PROTOCOL=sasl_...");
    else if (strcasecmp(mechanism, "OAUTHBEARER") == 0)
        check_bearer(reader);
}

/* --- Secrets where they do not belong ----------------------------------------------------------
 */

/* librdkafka would look it up as a host's name, and name it in its log. */
static void check_brokers(struct config_reader *reader)
{
    const char *brokers = config_kafka_value(reader->config, "bootstrap.servers");

    if (brokers && strchr(brokers, '@'))
        config_problem(reader, "KAFKA_BOOTSTRAP_SERVERS",
                       "has an @; it is host:port,host:port, and a login goes into "
                       "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD");
}

/* libpq takes a URI in none of its variables: it would be a host's or a database's odd name, which
 * errors repeat. */
static void check_uris(struct config_reader *reader)
{
    static const char *const variables[] = {"PGHOST", "PGHOSTADDR", "PGDATABASE", "PGUSER"};

    for (size_t i = 0; i < COUNT_OF(variables); i++) {
        const char *value = config_variable(reader, variables[i]);
        if (value && (strstr(value, "://") || strstr(value, "password=")))
            config_problem(reader, variables[i],
                           "is a connection string, which libpq does not take here; set PGHOST, "
                           "PGPORT, PGDATABASE, PGUSER and PGPASSWORD, or name a PGSERVICE");
    }
}

/* --- HTTP ------------------------------------------------------------------------------------- */

static void check_http_address(struct config_reader *reader)
{
    const char *text = reader->config->http_address;
    struct http_address address;

    if (text && !http_address_parse(text, &address))
        config_problem(reader, "SINK_HTTP_ADDRESS",
                       "is no address to listen at; it can be host:port, as in 0.0.0.0:8080 or "
                       "[::1]:8080, or off");
}

void config_check(struct config_reader *reader)
{
    check_brokers(reader);
    check_uris(reader);
    check_topics(reader);
    check_table(reader);
    check_name(reader, "SINK_NAME", reader->config->name);
    check_name(reader, "SINK_INSTANCE_ID", reader->config->instance_id);
    check_dead_letters(reader);
    check_http_address(reader);
    check_sizes(reader);
    check_durability(reader);
    check_strategies(reader);
    check_protocol(reader);
    check_intervals(reader);
    check_login(reader);
}
