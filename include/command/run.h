/*
 * `pgsluice run`: the sink itself. It serves until SIGTERM or SIGINT, then drains.
 *
 * Called once, on the main thread, with logging started and SIGPIPE ignored; the config stays the
 * caller's and unchanged. What goes wrong has been logged when it returns. Thread: main, which
 * becomes the loop's.
 */
#ifndef COMMAND_RUN_H
#define COMMAND_RUN_H

#include "command/exit.h"
#include "config.h"

/* An exit_code. */
int command_run(const struct config *config, const void *none);

#endif
