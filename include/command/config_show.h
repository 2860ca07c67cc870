/* `pgsluice config`: what the settings come to, on standard output. Thread: main. */
#ifndef COMMAND_CONFIG_SHOW_H
#define COMMAND_CONFIG_SHOW_H

#include "command/exit.h"
#include "config.h"

/* NAME=value lines, secrets masked. An exit_code. */
int command_config(const struct config *config, const void *none);

/* The tables of docs/settings.md (`--markdown`); needs no settings itself. An exit_code. */
int command_config_markdown(void);

#endif
