/*
 * Log lines: an event and its key=value fields, as text for people or JSON for machines.
 *
 *   log_info("assigned", LOG_STR("topic", topic), LOG_INT("partition", partition));
 *
 * Text: `2026-11-20T05:00:00.123Z INFO  assigned topic=orders partition=3`; JSON: one object a line
 * with "time", "level", "event" and the fields. Goes to standard error with one write. Never a
 * payload, never a secret. Lines of one event beyond 10 in 10 seconds are held back (DEBUG is not);
 * the next line that passes says how many (held_back=N). Errors are never held back for more than
 * that window. A reader of standard error that has stopped costs lines (dropped=N on the next one
 * that passes), not the loop. Thread: any (librdkafka's threads log too); the held-back table has
 * its own lock.
 */
#ifndef OPS_LOG_H
#define OPS_LOG_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

enum log_format {
    LOG_FORMAT_AUTO, /* text on a terminal, else JSON */
    LOG_FORMAT_TEXT,
    LOG_FORMAT_JSON,
};

enum log_field_kind { LOG_FIELD_END, LOG_FIELD_TEXT, LOG_FIELD_INTEGER, LOG_FIELD_REAL };

struct log_field {
    const char *name;
    enum log_field_kind kind;
    union {
        const char *text; /* NULL is written as an empty text */
        int64_t integer;
        double real;
    };
};

#define LOG_STR(key, value) \
    ((struct log_field){.name = (key), .kind = LOG_FIELD_TEXT, .text = (value)})
#define LOG_INT(key, value) \
    ((struct log_field){.name = (key), .kind = LOG_FIELD_INTEGER, .integer = (value)})
#define LOG_REAL(key, value) \
    ((struct log_field){.name = (key), .kind = LOG_FIELD_REAL, .real = (value)})

/* reason="..." and, where there is one, sqlstate=... */
#define LOG_ERR(err) LOG_STR("reason", (err)->text), LOG_STR("sqlstate", (err)->sqlstate)

#define LOG_FIELDS(...) \
    ((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.kind = LOG_FIELD_END}})

#define log_debug(event, ...) log_line(LOG_LEVEL_DEBUG, event, LOG_FIELDS(__VA_ARGS__))
#define log_info(event, ...)  log_line(LOG_LEVEL_INFO, event, LOG_FIELDS(__VA_ARGS__))
#define log_warn(event, ...)  log_line(LOG_LEVEL_WARN, event, LOG_FIELDS(__VA_ARGS__))
#define log_error(event, ...) log_line(LOG_LEVEL_ERROR, event, LOG_FIELDS(__VA_ARGS__))

/* Since the start, of lines at the level or above. */
struct log_counts {
    int64_t lines[LOG_LEVEL_ERROR + 1]; /* by level, those not shown included */
    int64_t held_back;                  /* not shown because there were too many of their event */
    int64_t dropped;                    /* not shown because standard error did not take them */
};

/* Until it is called: INFO, AUTO. */
void log_start(enum log_level level, enum log_format format);

/* Fields whose text is empty are left out. */
void log_line(enum log_level level, const char *event, const struct log_field *fields);

/*
 * Whole lines that stay below the log's on a terminal, in place of the former ones; none: they are
 * taken away. Only where standard error is a terminal that knows escape sequences. One that does
 * not take them at once keeps what it shows.
 */
void log_footer(struct slice lines);

/* For the metrics. */
struct log_counts log_count(void);

#endif
