/*
 * A fixed table of the events seen last, each with the window that it is in. A window begins with
 * the first line after the previous window is over, so a steady stream passes 10 lines in each 10
 * seconds and a burst says at its next line how much was not shown.
 */
#include "ops/log_limit.h"

#include <stdio.h>
#include <string.h>

static struct log_limit_event *find(struct log_limit *limit, const char *name)
{
    struct log_limit_event *quietest = &limit->events[0];

    for (int i = 0; i < LOG_LIMIT_EVENTS; i++) {
        struct log_limit_event *event = &limit->events[i];

        if (strncmp(event->name, name, LOG_LIMIT_NAME_BYTES - 1) == 0)
            return event;
        if (!event->name[0] || (quietest->name[0] && event->last_ms < quietest->last_ms))
            quietest = event;
    }
    *quietest = (struct log_limit_event){0};
    snprintf(quietest->name, sizeof(quietest->name), "%s", name);
    return quietest;
}

bool log_limit_pass(struct log_limit *limit, const char *event, int64_t now_ms, int64_t *held_back)
{
    struct log_limit_event *known = find(limit, event);

    if (known->passed == 0 || now_ms - known->window_ms >= LOG_LIMIT_WINDOW_MS) {
        known->window_ms = now_ms;
        known->passed = 0;
    }
    known->last_ms = now_ms;
    if (known->passed == LOG_LIMIT_LINES) {
        known->held_back++;
        return false;
    }
    known->passed++;
    *held_back = known->held_back;
    known->held_back = 0;
    return true;
}
