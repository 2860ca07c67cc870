/*
 * What the files of config share: the table's row, and the reader that collects problems.
 * Only sink/config*.c include it. Thread: main.
 */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include "config.h"

/* --- The table: config_options.c -------------------------------------------------------------- */

enum option_group {
    GROUP_KAFKA,
    GROUP_TARGET,
    GROUP_BATCHING,
    GROUP_DELIVERY,
    GROUP_LOGGING,
};
enum { GROUP_COUNT = GROUP_LOGGING + 1 };

enum option_type {
    OPTION_TEXT,         /* char * */
    OPTION_CHOICE,       /* an enum whose values are the indexes of `choices` */
    OPTION_COUNT,        /* int64_t */
    OPTION_BYTES,        /* int64_t; 4MiB, 256KiB, 1GiB, or a plain number */
    OPTION_MILLISECONDS, /* int64_t */
    OPTION_FLAG,         /* bool; on or off */
    OPTION_PROPERTY,     /* a KAFKA_ variable worth naming: kept with the other properties */
    OPTION_NOTE,         /* somebody else's variable: only documented */
};

struct option {
    const char *name;
    enum option_group group;
    enum option_type type;
    size_t offset;              /* in struct config */
    const char *fallback;       /* the default as one would write it; NULL: worked out, or none */
    const char *fallback_words; /* how a worked out default is explained; NULL: none */
    int64_t min, max;
    const char *const *choices; /* ends with NULL */
    bool required;
    const char *doc;
};

extern const struct option config_options[];
extern const size_t config_options_count;

const struct option *config_option_find(const char *name);

/* The value into its field. False: `problem` says what is wrong and what would be right. */
bool config_option_set(const struct option *option, struct config *config, const char *value,
                       struct buffer *problem) MUST_CHECK;

/* The field as one would write it. */
void config_option_print(const struct option *option, const struct config *config,
                         struct buffer *out);

/* 4194304 -> 4MiB, where it comes out even. */
void config_print_bytes(int64_t bytes, struct buffer *out);

/* --- Reading: config.c ------------------------------------------------------------------------ */

struct config_reader {
    struct config *config;
    char *const *environment;
    struct buffer *problems;
    bool postgres_only; /* what is required of Kafka may be missing */
};

/* One line: "VARIABLE: ...". */
void config_problem(struct config_reader *reader, const char *variable, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The first value of that name; NULL: not set, or empty, which counts as not set. Borrowed. */
const char *config_variable(const struct config_reader *reader, const char *name);

/* A copy of the value of NAME or of the file named by NAME_FILE; NULL: none, or a problem was
 * found. */
char *config_read(struct config_reader *reader, const char *name);

/* Says that the option is required, unless it was given (and has its own problem then), or is not
 * needed for what the settings are read for. */
void config_require(struct config_reader *reader, const struct option *option);

/* The file's text without its last line end. free() ends it; NULL: err says why. */
char *config_read_file(const char *path, struct err *err);

/* NAME of "NAME=value", when it begins with the prefix. free() ends it; NULL: it does not. */
char *config_entry_name(const char *entry, const char *prefix);

/* The text without the spaces around it, in place. */
char *config_trim(char *text);

bool config_ends_with(const char *text, const char *end);

/* A Service called kafka or sink makes Kubernetes set KAFKA_PORT and others: those are not for us.
 */
bool config_is_service_link(const char *name, const char *value);

/* --- Properties: config_kafka.c --------------------------------------------------------------- */

void config_kafka_load(struct config_reader *reader);
const char *config_kafka_value(const struct config *config, const char *property);

/* The variable of the known property that is nearest to this one. free() ends it; NULL: none. */
char *config_kafka_suggest(const char *variable);

/* --- What must fit together: config_check.c --------------------------------------------------- */

void config_check(struct config_reader *reader);

#endif
