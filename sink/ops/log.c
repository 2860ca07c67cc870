/*
 * A line is put together in a fixed buffer of PIPE_BUF bytes under one lock and leaves with one
 * write.
 *
 * The size is the point. A pipe takes a write of up to PIPE_BUF bytes whole or not at all, so lines
 * never mix, and poll's "writable" means that such a write does not block. What does not fit is
 * cut, and the line still ends as it should. So a reader of standard error that has stopped (a full
 * pipe, a terminal after Ctrl-S) costs a short patience once, then lines are dropped and counted
 * until one passes again: the loop is never held up by its own log. The descriptor is shared with
 * other programs, which is why it is not made non-blocking.
 *
 * Below the lines of a terminal a footer may stand. Then line and footer leave as one write too,
 * which is longer than PIPE_BUF; but a terminal is no pipe, and takes a part of it.
 *
 * Whatever comes from outside (server messages, topic names) is escaped the way JSON does in both
 * formats: a text can neither begin a line of its own nor speak to the terminal.
 */
#include "ops/log.h"

#include "base/clock.h"
#include "base/secret.h"
#include "base/utf8.h"
#include "ops/footer.h"
#include "ops/log_limit.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    ROOM_BYTES = PIPE_BUF - 96, /* what fields may fill; then held_back, dropped and the end */
    NUMBER_BYTES = 32,          /* more than any number prints as */
    ESCAPE_BYTES = 6,           /* \u0000 */
    PATIENCE_MS = 100,
};

struct line {
    char data[PIPE_BUF];
    size_t len;
    bool json;
};

static atomic_int threshold = LOG_LEVEL_INFO;

static struct {
    pthread_mutex_t lock; /* guards what follows */
    enum log_format format;
    struct log_limit limit;
    struct line line;
    struct log_counts counts;
    int64_t dropped; /* lines that standard error did not take since the last one it took */
    struct footer footer;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .format = LOG_FORMAT_AUTO};

static const char *level_name(enum log_level level, bool json)
{
    switch (level) {
    case LOG_LEVEL_DEBUG:
        return json ? "debug" : "DEBUG";
    case LOG_LEVEL_INFO:
        return json ? "info" : "INFO ";
    case LOG_LEVEL_WARN:
        return json ? "warn" : "WARN ";
    case LOG_LEVEL_ERROR:
        return json ? "error" : "ERROR";
    }
    return "";
}

/* --- Writing into the line -------------------------------------------------------------------- */

static void put(struct line *line, const char *data, size_t len)
{
    memcpy(line->data + line->len, data, len);
    line->len += len;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* The code of a character that must not stand for itself; -1: it may. C1 has terminal commands too.
 */
static int escaped_code(const char *at, size_t len)
{
    unsigned char lead = (unsigned char)at[0];
    unsigned char next = (unsigned char)at[len > 1];

    if (len == 0)
        return 0xfffd;
    if (len == 1)
        return lead < ' ' || lead == '"' || lead == '\\' || lead == 0x7f ? lead : -1;
    return lead == 0xc2 && next < 0xa0 ? next : -1;
}

static void put_escape(struct line *line, int code)
{
    char text[ESCAPE_BYTES + 1];

    if (code == '"' || code == '\\')
        snprintf(text, sizeof(text), "\\%c", code);
    else if (code == '\n')
        snprintf(text, sizeof(text), "\\n");
    else
        snprintf(text, sizeof(text), "\\u%04x", (unsigned)code & 0xffff);
    put_text(line, text);
}

static void put_escaped(struct line *line, const char *text)
{
    const char *end = text + strlen(text);

    while (*text) {
        size_t len = utf8_sequence(text, end);
        int code = escaped_code(text, len);

        if (line->len + ESCAPE_BYTES > ROOM_BYTES) {
            put_text(line, "...");
            return;
        }
        if (code >= 0)
            put_escape(line, code);
        else
            put(line, text, len);
        text += len ? len : 1;
    }
}

/* Reads as one word between spaces: no quotes needed. */
static bool is_bare(const char *text)
{
    for (; *text; text++) {
        if (*text <= ' ' || *text >= 0x7f || strchr("\"=\\", *text))
            return false;
    }
    return true;
}

static void put_string(struct line *line, const char *text)
{
    if (!line->json && is_bare(text)) {
        put_escaped(line, text);
        return;
    }
    put_text(line, "\"");
    put_escaped(line, text);
    put_text(line, "\"");
}

/* librdkafka's and libpq's texts may repeat settings. */
static void put_masked(struct line *line, const char *text)
{
    struct buffer masked = {0};

    secret_mask(text, &masked);
    put_string(line, buffer_text(&masked));
    buffer_finish(&masked);
}

static void put_name(struct line *line, const char *name)
{
    put_text(line, line->json ? ",\"" : " ");
    put_text(line, name);
    put_text(line, line->json ? "\":" : "=");
}

static void put_integer(struct line *line, const char *name, int64_t integer)
{
    char number[NUMBER_BYTES];

    put_name(line, name);
    snprintf(number, sizeof(number), "%lld", (long long)integer);
    put_text(line, number);
}

static void put_real(struct line *line, const char *name, double real)
{
    char number[NUMBER_BYTES] = "null";

    put_name(line, name);
    if (isfinite(real) || !line->json)
        snprintf(number, sizeof(number), "%.9g", real);
    put_text(line, number);
}

static void put_field(struct line *line, const struct log_field *field)
{
    if (line->len + strlen(field->name) + NUMBER_BYTES > ROOM_BYTES)
        return;
    switch (field->kind) {
    case LOG_FIELD_TEXT:
        if (field->text && field->text[0]) {
            put_name(line, field->name);
            if (secret_present(field->text))
                put_masked(line, field->text);
            else
                put_string(line, field->text);
        }
        break;
    case LOG_FIELD_INTEGER:
        put_integer(line, field->name, field->integer);
        break;
    case LOG_FIELD_REAL:
        put_real(line, field->name, field->real);
        break;
    case LOG_FIELD_END:
        break;
    }
}

/* --- The line --------------------------------------------------------------------------------- */

/* RFC 3339, UTC, milliseconds. */
static void put_time(struct line *line)
{
    char text[64];
    int64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm parts;

    gmtime_r(&seconds, &parts);
    size_t len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + len, sizeof(text) - len, ".%03dZ", (int)(now_ms % 1000));
    put_text(line, text);
}

static void begin(struct line *line, enum log_level level, const char *event)
{
    line->len = 0;
    line->json = state.format == LOG_FORMAT_JSON ||
                 (state.format == LOG_FORMAT_AUTO && !isatty(STDERR_FILENO));
    put_text(line, line->json ? "{\"time\":\"" : "");
    put_time(line);
    put_text(line, line->json ? "\",\"level\":\"" : " ");
    put_text(line, level_name(level, line->json));
    put_text(line, line->json ? "\",\"event\":\"" : " ");
    put_escaped(line, event);
    put_text(line, line->json ? "\"" : "");
}

static void end(struct line *line, int64_t held_back, int64_t dropped)
{
    if (held_back)
        put_integer(line, "held_back", held_back);
    if (dropped)
        put_integer(line, "dropped", dropped);
    put_text(line, line->json ? "}\n" : "\n");
}

static bool wait_writable(int patience_ms)
{
    struct pollfd poller = {.fd = STDERR_FILENO, .events = POLLOUT};
    int ready;

    do
        ready = poll(&poller, 1, patience_ms);
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}

/* Only a terminal, a socket or a full disk takes a part: the rest is tried once more or is lost. */
static bool write_out(const char *data, size_t data_len, int patience_ms)
{
    size_t written = 0;

    while (written < data_len) {
        if (!wait_writable(patience_ms))
            return false;
        ssize_t len = write(STDERR_FILENO, data + written, data_len - written);
        if (len > 0)
            written += (size_t)len;
        else if (len == 0 || errno != EINTR)
            return false;
    }
    return true;
}

/* 0: not known. */
static int terminal_columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static bool write_above_footer(const struct line *line, int patience_ms)
{
    struct buffer out = {0};

    footer_insert(&state.footer, (struct slice){line->data, line->len}, terminal_columns(), &out);
    bool done = write_out(out.data, out.len, patience_ms);
    buffer_finish(&out);
    return done;
}

static bool put_out(const struct line *line)
{
    int patience_ms = state.dropped ? 0 : PATIENCE_MS;

    if (state.footer.shown.len > 0)
        return write_above_footer(line, patience_ms);
    return write_out(line->data, line->len, patience_ms);
}

static void write_line(enum log_level level, const char *event, const struct log_field *fields,
                       int64_t held_back)
{
    struct line *line = &state.line;

    begin(line, level, event);
    for (; fields->kind != LOG_FIELD_END; fields++)
        put_field(line, fields);
    end(line, held_back, state.dropped);
    if (put_out(line)) {
        state.dropped = 0;
    } else {
        state.dropped++;
        state.counts.dropped++;
    }
}

/* --- The header's functions ------------------------------------------------------------------- */

void log_start(enum log_level level, enum log_format format)
{
    atomic_store(&threshold, level);
    pthread_mutex_lock(&state.lock);
    state.format = format;
    pthread_mutex_unlock(&state.lock);
}

void log_line(enum log_level level, const char *event, const struct log_field *fields)
{
    int64_t held_back = 0;
    int saved_errno = errno;

    if ((int)level < atomic_load_explicit(&threshold, memory_order_relaxed))
        return;
    pthread_mutex_lock(&state.lock);
    state.counts.lines[level]++;
    if (level == LOG_LEVEL_DEBUG || log_limit_pass(&state.limit, event, clock_now_ms(), &held_back))
        write_line(level, event, fields, held_back);
    else
        state.counts.held_back++;
    pthread_mutex_unlock(&state.lock);
    errno = saved_errno;
}

void log_footer(struct slice lines)
{
    struct buffer out = {0};

    pthread_mutex_lock(&state.lock);
    if (wait_writable(0)) {
        footer_replace(&state.footer, lines, terminal_columns(), &out);
        write_out(out.data, out.len, PATIENCE_MS);
    }
    pthread_mutex_unlock(&state.lock);
    buffer_finish(&out);
}

struct log_counts log_count(void)
{
    pthread_mutex_lock(&state.lock);
    struct log_counts counts = state.counts;
    pthread_mutex_unlock(&state.lock);
    return counts;
}
