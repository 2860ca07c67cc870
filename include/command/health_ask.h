/*
 * `pgsluice health`: what an instance answers to /readyz or /livez, for where there is no curl: an
 * image without a shell, a unit's check after its start. Thread: main.
 */
#ifndef COMMAND_HEALTH_ASK_H
#define COMMAND_HEALTH_ASK_H

#include "command/arguments.h"
#include "command/exit.h"
#include "config.h"

struct health_options {
    const char *address; /* borrowed; NULL: SINK_HTTP_ADDRESS */
    bool live;
};

/* Ends with a name of NULL. */
extern const struct argument health_arguments[];

/* EXIT_DONE: it is well; EXIT_TEMPORARY: it is not; EXIT_UNREACHABLE: it does not answer;
 * EXIT_CONFIG: there is nothing to ask. */
int command_health(const struct config *config, const void *health_options);

#endif
