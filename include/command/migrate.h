/*
 * `pgsluice migrate`: makes the sink's own schema in PostgreSQL, or brings it up to date, and ends.
 *
 * Waits SINK_CONNECT_TIMEOUT_MS for the server; running it again, or from several places at once,
 * does no harm. It always migrates: SINK_MIGRATE is about what `run` does at its start. What goes
 * wrong has been logged when it returns. Thread: main.
 */
#ifndef COMMAND_MIGRATE_H
#define COMMAND_MIGRATE_H

#include "command/exit.h"
#include "config.h"

/* An exit_code: EXIT_DONE, EXIT_UNREACHABLE, EXIT_CONFIG (rights, a newer schema), EXIT_INTERNAL.
 */
int command_migrate(const struct config *config, const void *none);

#endif
