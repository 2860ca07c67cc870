/*
 * `pgsluice offsets show` and `... reset`: where the sink stands, and where it shall go on instead.
 * What goes wrong has been logged when they return. Thread: main.
 */
#ifndef COMMAND_OFFSETS_H
#define COMMAND_OFFSETS_H

#include "command/arguments.h"
#include "command/exit.h"
#include "config.h"

struct offsets_options {
    const char *topic; /* NULL: any */
    const char *to;    /* earliest, latest, an offset, or a time */
    int64_t partition; /* -1: all */
    bool json;
    bool yes; /* not only show what would be done */
};

/* Each ends with a name of NULL. */
extern const struct argument offsets_show_arguments[];
extern const struct argument offsets_reset_arguments[];

/* The rows of pgsluice.offsets. EXIT_DONE, EXIT_UNREACHABLE, EXIT_CONFIG, EXIT_INTERNAL. */
int command_offsets_show(const struct config *config, const void *offsets_options);

/*
 * Sets positions of a sink that does not run, and raises their epochs: an instance that was frozen
 * or cut off, and is not seen, then writes nothing more under its former claim. EXIT_USAGE: --topic
 * or --to is missing or wrong; EXIT_TEMPORARY: the sink runs; else as above.
 */
int command_offsets_reset(const struct config *config, const void *offsets_options);

#endif
