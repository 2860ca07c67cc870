/*
 * What `pgsluice --help`, `pgsluice help COMMAND` and `pgsluice --version` print, to standard
 * output. Each returns an exit_code. Thread: main.
 */
#ifndef COMMAND_HELP_H
#define COMMAND_HELP_H

#include "command/commands.h"

extern const char help_usage[]; /* one line */

int help_print(void);
int help_print_group(const char *group);
int help_print_command(const struct command *command);
int help_print_version(void);

#endif
