/*
 * The table of options, and the way of each type between text and field.
 *
 * A row is all there is to an option: reading, docs/settings.md, --help and `pgsluice config`
 * follow it. The order is the order in which they are printed. Choices stand in the order of their
 * enum.
 */
#include "config_internal.h"

#include "base/memory.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define KIB INT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

/* The field of struct config and its default as one would write it. */
#define FIELD(name, text) .offset = offsetof(struct config, name), .fallback = (text)

static const char *const value_formats[] = {
    [CONFIG_VALUE_JSON] = "json",
    [CONFIG_VALUE_RAW] = "raw",
    NULL,
};

static const char *const unknown_fields[] = {
    [CONFIG_UNKNOWN_IGNORE] = "ignore",
    [CONFIG_UNKNOWN_DEAD_LETTER] = "dead_letter",
    [CONFIG_UNKNOWN_STOP] = "stop",
    NULL,
};

static const char *const deliveries[] = {
    [CONFIG_EXACTLY_ONCE] = "exactly_once",
    [CONFIG_AT_LEAST_ONCE] = "at_least_once",
    NULL,
};

static const char *const starts[] = {
    [CONFIG_START_EARLIEST] = "earliest",
    [CONFIG_START_LATEST] = "latest",
    [CONFIG_START_COMMITTED] = "committed",
    NULL,
};

static const char *const dead_letters[] = {
    [CONFIG_DEAD_LETTERS_TABLE] = "table",
    [CONFIG_DEAD_LETTERS_TOPIC] = "topic",
    [CONFIG_DEAD_LETTERS_BOTH] = "both",
    [CONFIG_DEAD_LETTERS_OFF] = "off",
    NULL,
};

static const char *const out_of_ranges[] = {
    [CONFIG_OUT_OF_RANGE_HALT] = "halt",
    [CONFIG_OUT_OF_RANGE_EARLIEST] = "earliest",
    NULL,
};

static const char *const migrates[] = {
    [CONFIG_MIGRATE_AUTO] = "auto",
    [CONFIG_MIGRATE_CHECK] = "check",
    [CONFIG_MIGRATE_OFF] = "off",
    NULL,
};

static const char *const log_levels[] = {
    [LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_ERROR] = "error",
    NULL,
};

static const char *const log_formats[] = {
    [LOG_FORMAT_AUTO] = "auto",
    [LOG_FORMAT_TEXT] = "text",
    [LOG_FORMAT_JSON] = "json",
    NULL,
};

static const char *const flags[] = {"off", "on", NULL};

const struct option config_options[] = {
    {"KAFKA_BOOTSTRAP_SERVERS", GROUP_KAFKA, OPTION_PROPERTY, .required = true,
     .doc = "Brokers to ask first: host:port,host:port."},
    {"KAFKA_GROUP_ID", GROUP_KAFKA, OPTION_PROPERTY, .required = true,
     .doc = "Consumer group: the instances of one sink share the partitions."},
    {"KAFKA_...", GROUP_KAFKA, OPTION_NOTE,
     .doc = "Any property of librdkafka: KAFKA_SECURITY_PROTOCOL is security.protocol."},
    {"SINK_TOPICS", GROUP_KAFKA, OPTION_TEXT, FIELD(topics, NULL), .required = true,
     .doc = "Topics: a,b,c, or one regular expression that begins with ^."},
    {"SINK_START", GROUP_KAFKA, OPTION_CHOICE, FIELD(start, "earliest"), .choices = starts,
     .doc = "Where a first start begins; partitions that are added later begin at their first "
            "record."},

    {"PG...", GROUP_TARGET, OPTION_NOTE,
     .doc = "libpq's own: PGPORT, PGDATABASE, PGUSER, PGPASSWORD, PGSERVICE and the others."},
    {"PGHOST", GROUP_TARGET, OPTION_NOTE,
     .doc = "Servers as a,b,c, with PGPORT as one port or as many: the first that takes writes is "
            "used, and found again after a failover. Names are looked up at each connect."},
    {"PGSSLMODE", GROUP_TARGET, OPTION_NOTE,
     .fallback_words = "verify-full if a host is not local; else prefer",
     .doc = "How far TLS is asked for. verify-full needs the CA's certificate in PGSSLROOTCERT or "
            "~/.postgresql/root.crt."},
    {"PGPASSWORD_FILE", GROUP_TARGET, OPTION_NOTE,
     .doc = "File with the password; read at each connect, so it can rotate."},
    {"SINK_TABLE", GROUP_TARGET, OPTION_TEXT, FIELD(table, "${topic}"),
     .doc = "Table as [schema.]table; ${topic} stands for the topic's name."},
    {"SINK_VALUE_FORMAT", GROUP_TARGET, OPTION_CHOICE, FIELD(value_format, "json"),
     .choices = value_formats, .doc = "json: fields become columns. raw: the value as it is."},
    {"SINK_UNKNOWN_FIELDS", GROUP_TARGET, OPTION_CHOICE, FIELD(unknown_fields, "ignore"),
     .choices = unknown_fields, .doc = "What happens to a record with a field that has no column."},
    {"SINK_MIGRATE", GROUP_TARGET, OPTION_CHOICE, FIELD(migrate, "auto"), .choices = migrates,
     .doc = "The sink's own schema at the start: make or upgrade it, only check it, or trust it."},

    {"SINK_BATCH_SIZE", GROUP_BATCHING, OPTION_COUNT, FIELD(batch_size, "10000"), .min = 1,
     .max = 1000000, .doc = "Rows that close a batch."},
    {"SINK_BATCH_BYTES", GROUP_BATCHING, OPTION_BYTES, FIELD(batch_bytes, "4MiB"), .min = KIB,
     .max = 256 * MIB, .doc = "Bytes that close a batch; at most a quarter of SINK_MEMORY_LIMIT."},
    {"SINK_BATCH_TIMEOUT_MS", GROUP_BATCHING, OPTION_MILLISECONDS, FIELD(batch_timeout_ms, "20"),
     .min = 0, .max = 60000, .doc = "Age of its first record that closes a batch."},
    {"SINK_POOL_MIN", GROUP_BATCHING, OPTION_COUNT, FIELD(pool_min, "1"), .min = 0, .max = 64,
     .doc = "Connections to PostgreSQL that stay open; 0: none while there is nothing to write."},
    {"SINK_POOL_MAX", GROUP_BATCHING, OPTION_COUNT, FIELD(pool_max, "8"), .min = 1, .max = 64,
     .doc = "Connections to PostgreSQL at most."},
    {"SINK_WORKERS", GROUP_BATCHING, OPTION_COUNT, FIELD(workers, "0"), .min = 0, .max = 64,
     .doc = "Encoding threads; 0: one less than the cores, at least one."},
    {"SINK_MEMORY_LIMIT", GROUP_BATCHING, OPTION_BYTES, FIELD(memory_limit_bytes, "256MiB"),
     .min = 16 * MIB, .max = 64 * GIB, .doc = "Records held in memory; reading waits beyond it."},

    {"SINK_NAME", GROUP_DELIVERY, OPTION_TEXT, FIELD(name, NULL),
     .fallback_words = "KAFKA_GROUP_ID",
     .doc = "Name under which positions are kept in PostgreSQL."},
    {"SINK_DELIVERY", GROUP_DELIVERY, OPTION_CHOICE, FIELD(delivery, "exactly_once"),
     .choices = deliveries, .doc = "exactly_once keeps positions in PostgreSQL, with the rows."},
    {"SINK_DEAD_LETTERS", GROUP_DELIVERY, OPTION_CHOICE, FIELD(dead_letters, "table"),
     .choices = dead_letters, .doc = "Where records go that can not become rows; off: stop there."},
    {"SINK_DEAD_LETTER_TOPIC", GROUP_DELIVERY, OPTION_TEXT, FIELD(dead_letter_topic, NULL),
     .doc = "Topic for them, required with topic and both; it must exist."},
    {"SINK_DEAD_LETTER_MAX_SHARE", GROUP_DELIVERY, OPTION_COUNT, FIELD(dead_letter_max_share, "50"),
     .min = 0, .max = 100,
     .doc = "Percent of SINK_DEAD_LETTER_WINDOW; a partition with more dead letters halts."},
    {"SINK_DEAD_LETTER_WINDOW", GROUP_DELIVERY, OPTION_COUNT, FIELD(dead_letter_window, "10000"),
     .min = 1, .max = 1000000,
     .doc = "Records of a partition, one after the other, among which dead letters are counted."},
    {"SINK_OUT_OF_RANGE", GROUP_DELIVERY, OPTION_CHOICE, FIELD(out_of_range, "halt"),
     .choices = out_of_ranges,
     .doc =
         "When Kafka has deleted records before they were read: halt, or go on with the earliest."},
    {"SINK_SYNCHRONOUS_COMMIT", GROUP_DELIVERY, OPTION_FLAG, FIELD(synchronous_commit, NULL),
     .choices = flags, .fallback_words = "off with exactly_once, which is safe with it; else on",
     .doc = "Whether a commit waits for PostgreSQL's disk."},
    {"SINK_CONNECT_TIMEOUT_MS", GROUP_DELIVERY, OPTION_MILLISECONDS,
     FIELD(connect_timeout_ms, "30000"), .min = 1000, .max = 600000,
     .doc = "How long the start waits for the servers."},
    {"SINK_DRAIN_TIMEOUT_MS", GROUP_DELIVERY, OPTION_MILLISECONDS, FIELD(drain_timeout_ms, "30000"),
     .min = 0, .max = 600000, .doc = "How long the end waits for what is under way."},
    {"SINK_WATCHDOG_MS", GROUP_DELIVERY, OPTION_MILLISECONDS, FIELD(watchdog_ms, "600000"),
     .min = 0, .max = 86400000,
     .doc = "Exit with 75 when a partition has work, has not moved for so long, and both servers "
            "are well; 0: never."},
    {"SINK_INSTANCE_ID", GROUP_DELIVERY, OPTION_TEXT, FIELD(instance_id, NULL),
     .fallback_words = "host name", .doc = "Name of this instance in logs and in PostgreSQL."},

    {"SINK_HTTP_ADDRESS", GROUP_LOGGING, OPTION_TEXT, FIELD(http_address, "0.0.0.0:8080"),
     .doc = "Where health, metrics and the status page are served: host:port, with port 0 for any "
            "free one; or off."},
    {"SINK_LAG_INTERVAL_MS", GROUP_LOGGING, OPTION_MILLISECONDS, FIELD(lag_interval_ms, "30000"),
     .min = 500, .max = 3600000, .doc = "How often Kafka is asked for the ends of the partitions."},
    {"SINK_HISTORY_INTERVAL_MS", GROUP_LOGGING, OPTION_MILLISECONDS,
     FIELD(history_interval_ms, "30000"), .min = 0, .max = 3600000,
     .doc = "How often lag and activity are written to pgsluice.consumer_lag_history, for the "
            "views over it, through a connection of its own; 0: never."},
    {"SINK_KAFKA_EXPORTER_NAMES", GROUP_LOGGING, OPTION_FLAG, FIELD(kafka_exporter_names, "off"),
     .choices = flags,
     .doc = "Lag in /metrics also as kafka_exporter calls it, kafka_consumergroup_lag, for "
            "dashboards that expect it; beside kafka_exporter it would be counted twice."},
    {"SINK_LOG_LEVEL", GROUP_LOGGING, OPTION_CHOICE, FIELD(log_level, "info"),
     .choices = log_levels, .doc = "The least important lines to write."},
    {"SINK_LOG_FORMAT", GROUP_LOGGING, OPTION_CHOICE, FIELD(log_format, "auto"),
     .choices = log_formats, .doc = "auto: text on a terminal, else JSON."},
};

const size_t config_options_count = COUNT_OF(config_options);

const struct option *config_option_find(const char *name)
{
    for (size_t i = 0; i < config_options_count; i++) {
        if (strcmp(config_options[i].name, name) == 0)
            return &config_options[i];
    }
    return NULL;
}

/* --- Text to field ---------------------------------------------------------------------------- */

static void *field(const struct option *option, struct config *config)
{
    return (char *)config + option->offset;
}

static void list_choices(const struct option *option, struct buffer *out)
{
    for (const char *const *choice = option->choices; *choice; choice++)
        buffer_printf(out, "%s%s",
                      choice == option->choices ? ""
                      : choice[1]               ? ", "
                                                : " or ",
                      *choice);
}

/* The index of the choice; -1: it is none of them. */
static int find_choice(const struct option *option, const char *value)
{
    for (int i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], value) == 0)
            return i;
    }
    return -1;
}

static bool set_choice(const struct option *option, struct config *config, const char *value,
                       struct buffer *problem)
{
    int index = find_choice(option, value);

    if (index < 0) {
        buffer_append_text(problem, "is not a known value; it can be ");
        list_choices(option, problem);
        return false;
    }
    if (option->type == OPTION_FLAG)
        *(bool *)field(option, config) = index == 1;
    else
        *(unsigned *)field(option, config) = (unsigned)index; /* what gcc and clang make an enum */
    return true;
}

static int64_t unit_bytes(const char *unit)
{
    static const struct {
        const char *name;
        int64_t bytes;
    } units[] = {{"", 1},      {"B", 1},    {"KiB", KIB}, {"MiB", MIB},
                 {"GiB", GIB}, {"Ki", KIB}, {"Mi", MIB},  {"Gi", GIB}};

    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (strcmp(units[i].name, unit) == 0)
            return units[i].bytes;
    }
    return 0;
}

/* Digits, then for bytes a unit. Too large a number is taken as the largest, which no range allows.
 */
static bool parse_number(const char *value, bool with_unit, int64_t *number)
{
    char *unit;

    if (!isdigit((unsigned char)value[0]))
        return false;
    *number = strtoll(value, &unit, 10);
    int64_t factor = with_unit ? unit_bytes(unit) : *unit == '\0';
    if (factor == 0)
        return false;
    if (__builtin_mul_overflow(*number, factor, number))
        *number = INT64_MAX;
    return true;
}

static void say_range(const struct option *option, struct buffer *problem)
{
    if (option->type == OPTION_BYTES) {
        buffer_append_text(problem, "it can be ");
        config_print_bytes(option->min, problem);
        buffer_append_text(problem, " to ");
        config_print_bytes(option->max, problem);
        return;
    }
    buffer_printf(problem, "it can be %lld to %lld%s", (long long)option->min,
                  (long long)option->max,
                  option->type == OPTION_MILLISECONDS ? " milliseconds" : "");
}

static bool set_number(const struct option *option, struct config *config, const char *value,
                       struct buffer *problem)
{
    int64_t number;

    if (!parse_number(value, option->type == OPTION_BYTES, &number))
        buffer_append_text(problem, option->type == OPTION_BYTES
                                        ? "is not a number of bytes such as 4MiB; "
                                        : "is not a whole number; ");
    else if (number < option->min || number > option->max)
        buffer_append_text(problem, "is out of range; ");
    else {
        *(int64_t *)field(option, config) = number;
        return true;
    }
    say_range(option, problem);
    return false;
}

bool config_option_set(const struct option *option, struct config *config, const char *value,
                       struct buffer *problem)
{
    switch (option->type) {
    case OPTION_TEXT:
        free(*(char **)field(option, config));
        *(char **)field(option, config) = memory_strdup(value);
        return true;
    case OPTION_CHOICE:
    case OPTION_FLAG:
        return set_choice(option, config, value, problem);
    case OPTION_COUNT:
    case OPTION_BYTES:
    case OPTION_MILLISECONDS:
        return set_number(option, config, value, problem);
    case OPTION_PROPERTY:
    case OPTION_NOTE:
        break;
    }
    assert(!"an option without a field");
    return false;
}

/* --- Field to text ---------------------------------------------------------------------------- */

void config_print_bytes(int64_t bytes, struct buffer *out)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    size_t unit = 0;

    while (bytes > 0 && bytes % 1024 == 0 && unit + 1 < COUNT_OF(units)) {
        bytes /= 1024;
        unit++;
    }
    buffer_printf(out, "%lld%s", (long long)bytes, units[unit]);
}

void config_option_print(const struct option *option, const struct config *config,
                         struct buffer *out)
{
    const void *value = (const char *)config + option->offset;

    switch (option->type) {
    case OPTION_TEXT:
        if (*(char *const *)value) /* else not set, which is as good as empty */
            buffer_append_text(out, *(char *const *)value);
        break;
    case OPTION_CHOICE:
        buffer_append_text(out, option->choices[*(const unsigned *)value]);
        break;
    case OPTION_FLAG:
        buffer_append_text(out, option->choices[*(const bool *)value]);
        break;
    case OPTION_BYTES:
        config_print_bytes(*(const int64_t *)value, out);
        break;
    case OPTION_COUNT:
    case OPTION_MILLISECONDS:
        buffer_printf(out, "%lld", (long long)*(const int64_t *)value);
        break;
    case OPTION_PROPERTY:
    case OPTION_NOTE:
        break;
    }
}
