/*
 * What `pgsluice` can be told to do: a table, and how a command line names what is in it. A name is
 * one word, or two: the group and the command. Thread: main.
 */
#ifndef COMMAND_COMMANDS_H
#define COMMAND_COMMANDS_H

#include "command/arguments.h"
#include "command/backfill.h"
#include "command/backfill_status.h"
#include "command/dead_letters.h"
#include "command/health_ask.h"
#include "command/lag.h"
#include "command/offsets.h"
#include "config.h"

/* What the options of a command go into, its defaults to begin with. */
union options {
    struct backfill_options backfill;
    struct backfill_status_options backfill_status;
    struct dead_letters_options dead_letters;
    struct offsets_options offsets;
    struct lag_options lag;
    struct health_options health;
};

struct command {
    const char *name;
    /* Gets the member of the union that is its own; an exit_code. */
    int (*run)(const struct config *config, const void *options);
    bool postgres_only; /* it does without Kafka's settings */
    const char *option; /* one that stands alone and needs no settings; NULL: none */
    int (*run_option)(void);
    const char *summary;
    const char *help;
    const struct argument *arguments; /* NULL: none */
    union options defaults;
};

/* In the order in which help shows them; ends with a name of NULL. */
extern const struct command commands[];

/* Whose name the words begin with, the longest name first, and how many words that takes. NULL:
 * none. */
const struct command *commands_find(int count, char **words, int *named);

/* The second word of a command's name; NULL: it is in another group, or in none. */
const char *commands_in_group(const struct command *command, const char *group);

bool commands_is_group(const char *word);

#endif
