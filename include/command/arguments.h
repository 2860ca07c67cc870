/*
 * The options of a command, from a table: --topic orders or --topic=orders, --limit 10, --json; and
 * a word that is no option, where the command takes one. Thread: main.
 */
#ifndef COMMAND_ARGUMENTS_H
#define COMMAND_ARGUMENTS_H

#include "base/buffer.h"

enum argument_type {
    ARGUMENT_FLAG,   /* bool; takes no value */
    ARGUMENT_TEXT,   /* const char *, borrowed from the words */
    ARGUMENT_NUMBER, /* int64_t */
    ARGUMENT_WORD,   /* const char *, borrowed; its name is only shown, and one table has one */
};

struct argument {
    const char *name; /* --topic */
    enum argument_type type;
    size_t offset; /* in the struct that the values go to */
    int64_t min, max;
    const char *value; /* how the value is called: TOPIC; NULL: none */
    const char *doc;
};

/* What is wrong with which word, for main to show. */
struct arguments_fault {
    char what[80];
    const char *word;       /* borrowed */
    const char *suggestion; /* borrowed; NULL: none */
};

/*
 * Into a struct that has its defaults; the table ends with a name of NULL, here and below. False:
 * the fault says why.
 */
bool arguments_parse(const struct argument *known, int count, char **words, void *into,
                     struct arguments_fault *fault) MUST_CHECK;

/* A line for each. */
void arguments_help(const struct argument *known, struct buffer *out);

#endif
