/*
 * Log lines, kept instead of written: a test asks what was said. Included once, by the test
 * program; stands in for ops/log.c.
 */
#ifndef CAPTURED_LOG_H
#define CAPTURED_LOG_H

#include "ops/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOGGED_MAX = 256, LOGGED_BYTES = 1024 };

/* The newest ones, each "level event name=value ...". */
static char logged[LOGGED_MAX][LOGGED_BYTES];
static size_t logged_count;
static enum log_level logged_from = LOG_LEVEL_DEBUG;

static inline size_t log_append_field(char *line, size_t len, const struct log_field *field)
{
    size_t room = LOGGED_BYTES - len;
    int more = 0;

    if (field->kind == LOG_FIELD_TEXT && field->text && field->text[0])
        more = snprintf(line + len, room, " %s=%s", field->name, field->text);
    if (field->kind == LOG_FIELD_INTEGER)
        more = snprintf(line + len, room, " %s=%lld", field->name, (long long)field->integer);
    len += (size_t)more;
    return len < LOGGED_BYTES ? len : LOGGED_BYTES - 1;
}

void log_line(enum log_level level, const char *event, const struct log_field *fields)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char *line = logged[logged_count % LOGGED_MAX];

    if (level < logged_from)
        return;
    size_t len = (size_t)snprintf(line, LOGGED_BYTES, "%s %s", names[level], event);
    for (; fields->kind != LOG_FIELD_END; fields++)
        len = log_append_field(line, len, fields);
    logged_count++;
    if (getenv("TEST_LOG"))
        fprintf(stderr, "        %s\n", line);
}

/* Lines since log_forget that begin like this. */
static inline int log_said(const char *start)
{
    int count = 0;

    for (size_t i = 0; i < logged_count && i < LOGGED_MAX; i++)
        count += strncmp(logged[i], start, strlen(start)) == 0;
    return count;
}

static inline void log_forget(void)
{
    logged_count = 0;
}

#endif
