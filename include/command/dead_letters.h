/*
 * `pgsluice dead-letters list` and `... replay`: what is in pgsluice.dead_letters, and a second try
 * for it when the cause is mended. What goes wrong has been logged when they return. Thread: main.
 */
#ifndef COMMAND_DEAD_LETTERS_H
#define COMMAND_DEAD_LETTERS_H

#include "command/arguments.h"
#include "command/exit.h"
#include "config.h"

struct dead_letters_options {
    const char *sink;     /* NULL: SINK_NAME */
    const char *topic;    /* NULL: any */
    const char *sqlstate; /* NULL: any */
    int64_t partition;    /* -1: any */
    int64_t limit;
    bool json;
    bool payload;
    bool dry_run;
};

/* Each ends with a name of NULL. */
extern const struct argument dead_letters_list_arguments[];
extern const struct argument dead_letters_replay_arguments[];

/* EXIT_DONE; EXIT_UNREACHABLE, EXIT_TEMPORARY, EXIT_CONFIG, EXIT_INTERNAL. */
int command_dead_letters_list(const struct config *config, const void *dead_letters_options);

/*
 * Puts dead letters through the mapping again, in transactions that write the row and take the dead
 * letter out. EXIT_DATA: some were refused again. Else as above.
 */
int command_dead_letters_replay(const struct config *config, const void *dead_letters_options);

#endif
