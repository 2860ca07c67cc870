/*
 * The settings, from the environment, through one table of options.
 *
 * Three prefixes, one owner each: KAFKA_X_Y is librdkafka's property x.y, PG* is libpq's own,
 * SINK_* is ours. Every secret can come from a file named by NAME_FILE. The tables of
 * docs/settings.md, --help and `pgsluice config` are printed from the same one. Thread: main,
 * before the loop; read-only after.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "base/buffer.h"
#include "base/err.h"
#include "ops/log.h"

#include <stdint.h>

enum config_value_format { CONFIG_VALUE_JSON, CONFIG_VALUE_RAW };
enum config_unknown_fields {
    CONFIG_UNKNOWN_IGNORE,
    CONFIG_UNKNOWN_DEAD_LETTER,
    CONFIG_UNKNOWN_STOP
};
enum config_delivery { CONFIG_EXACTLY_ONCE, CONFIG_AT_LEAST_ONCE };
enum config_start { CONFIG_START_EARLIEST, CONFIG_START_LATEST, CONFIG_START_COMMITTED };
enum config_dead_letters {
    CONFIG_DEAD_LETTERS_TABLE,
    CONFIG_DEAD_LETTERS_TOPIC,
    CONFIG_DEAD_LETTERS_BOTH,
    CONFIG_DEAD_LETTERS_OFF
};
enum config_out_of_range { CONFIG_OUT_OF_RANGE_HALT, CONFIG_OUT_OF_RANGE_EARLIEST };
enum config_migrate { CONFIG_MIGRATE_AUTO, CONFIG_MIGRATE_CHECK, CONFIG_MIGRATE_OFF };

/* One KAFKA_ variable as librdkafka's property. */
struct config_property {
    char *name; /* session.timeout.ms */
    char *value;
    char *variable; /* KAFKA_SESSION_TIMEOUT_MS */
    char *file;     /* that the value was read from; NULL: the variable has it */
    bool secret;
    char scope; /* as librdkafka's list has it: C for consumers, P for producers, * for both */
};

struct config {
    char *name;         /* SINK_NAME: the key of the offsets rows; default: KAFKA_GROUP_ID */
    char *topics;       /* SINK_TOPICS: a,b,c or ^regex */
    char **topic_names; /* of a list, each; none of a regex */
    size_t topic_names_count;
    char *table; /* SINK_TABLE: [schema.]table, ${topic} stands for the topic */
    enum config_value_format value_format;
    enum config_unknown_fields unknown_fields;
    int64_t batch_size; /* rows */
    int64_t batch_bytes;
    int64_t batch_timeout_ms;
    int64_t pool_min;
    int64_t pool_max;
    int64_t workers; /* encoding threads; 0: one less than the cores, at least 1 */
    int64_t memory_limit_bytes;
    enum config_delivery delivery;
    enum config_start start;
    enum config_dead_letters dead_letters;
    char *dead_letter_topic;       /* SINK_DEAD_LETTER_TOPIC; NULL: not set */
    int64_t dead_letter_max_share; /* percent of the window; above it a partition halts */
    int64_t dead_letter_window;    /* records */
    enum config_out_of_range out_of_range;
    bool synchronous_commit; /* SINK_SYNCHRONOUS_COMMIT: default off with exactly_once, else on */
    enum log_level log_level;
    enum log_format log_format;
    int64_t drain_timeout_ms;
    int64_t watchdog_ms;        /* SINK_WATCHDOG_MS; 0: none */
    int64_t connect_timeout_ms; /* SINK_CONNECT_TIMEOUT_MS: how long the start waits for servers */
    char *instance_id;          /* SINK_INSTANCE_ID: default: host name */
    enum config_migrate migrate;
    int64_t lag_interval_ms;
    int64_t history_interval_ms; /* 0: none is written */
    bool kafka_exporter_names;   /* SINK_KAFKA_EXPORTER_NAMES */
    char *http_address;          /* SINK_HTTP_ADDRESS: host:port or off */

    struct config_property *properties; /* KAFKA_*, as given */
    size_t properties_count;
    const char *group_id; /* borrowed from properties */
};

/*
 * Reads the environment (`environ` form: NAME=value, ending with NULL). All faults are found at
 * once: on false `problems` holds one line each, which names the variable and says what would be
 * right.
 */
bool config_load(struct config *config, char *const *environment,
                 struct buffer *problems) MUST_CHECK;

/* For what talks to PostgreSQL alone: nothing is required, but what is set has to be right. The
 * name may be missing, and then is "pgsluice". */
bool config_load_postgres(struct config *config, char *const *environment,
                          struct buffer *problems) MUST_CHECK;
void config_finish(struct config *config);

/* Whether SINK_TOPICS names the topic, or its regular expression matches it. */
bool config_reads_topic(const struct config *config, const char *topic);

/* Where dead letters go. Neither: the partition halts at the first one. */
static inline bool config_keeps_letters_in_table(const struct config *config)
{
    return config->dead_letters == CONFIG_DEAD_LETTERS_TABLE ||
           config->dead_letters == CONFIG_DEAD_LETTERS_BOTH;
}

static inline bool config_sends_letters_to_topic(const struct config *config)
{
    return config->dead_letters == CONFIG_DEAD_LETTERS_TOPIC ||
           config->dead_letters == CONFIG_DEAD_LETTERS_BOTH;
}

/* NAME=value lines with the effective settings, secrets masked. */
void config_print(const struct config *config, struct buffer *out);

/* The table of options: for --help, and as the Markdown tables of docs/settings.md. */
void config_help(struct buffer *out);
void config_markdown(struct buffer *out);

/*
 * The password of PostgreSQL from PGPASSWORD_FILE, read anew at each call (credentials rotate).
 * NULL with class ERR_NONE: none is set, libpq's own ways apply; with ERR_OUTAGE: the file can not
 * be read now, as when it is just being replaced. free() ends it.
 */
char *config_password(struct err *err);

/* NULL: it is not set. */
const struct config_property *config_property(const struct config *config, const char *name);

/* The same for a property that was read from a file. */
char *config_property_read(const struct config_property *property, struct err *err);

#endif
