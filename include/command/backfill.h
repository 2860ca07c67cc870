/*
 * `pgsluice backfill`: what a range of offsets holds, loaded once. Thread: main, which becomes the
 * loop's.
 */
#ifndef COMMAND_BACKFILL_H
#define COMMAND_BACKFILL_H

#include "command/arguments.h"
#include "command/exit.h"
#include "config.h"

struct backfill_options {
    const char *from;
    const char *to;         /* NULL: latest */
    const char *partitions; /* NULL: all */
    const char *name;       /* NULL: SINK_NAME */
    int64_t parallel;
    int64_t index; /* of the processes that share it, from 0 */
    int64_t of;    /* how many those are */
    bool until_live;
    bool dry_run;
    bool restart;
    bool json;
};

/* Ends with a name of NULL. */
extern const struct argument backfill_arguments[];

/*
 * Begins a backfill, or goes on with it. EXIT_DONE: all that this process has to load is loaded, or
 * was before; EXIT_DATA: it is, with dead letters; EXIT_TEMPORARY: it was interrupted, run it
 * again; EXIT_USAGE, EXIT_CONFIG, EXIT_UNREACHABLE, EXIT_INTERNAL. What goes wrong has been logged.
 */
int command_backfill(const struct config *config, const void *backfill_options);

#endif
