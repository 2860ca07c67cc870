/* One word at a time; a value is behind its option's = or is the next word. */
#include "command/arguments.h"

#include "base/suggest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_named(const struct argument *argument, const char *word)
{
    size_t len = strcspn(word, "=");

    return strlen(argument->name) == len && strncmp(argument->name, word, len) == 0;
}

static const struct argument *find(const struct argument *known, const char *word)
{
    for (; known->name; known++)
        if (known->type != ARGUMENT_WORD && is_named(known, word))
            return known;
    return NULL;
}

/* Where a word that is no option goes; NULL: nowhere, or it has its word. */
static const struct argument *find_word(const struct argument *known, void *into)
{
    for (; known->name; known++)
        if (known->type == ARGUMENT_WORD)
            return *(const char **)((char *)into + known->offset) ? NULL : known;
    return NULL;
}

static bool fail(struct arguments_fault *fault, const char *word, const char *what)
{
    snprintf(fault->what, sizeof(fault->what), "%s", what);
    fault->word = word;
    return false;
}

static bool fail_unknown(const struct argument *known, const char *word,
                         struct arguments_fault *fault)
{
    struct suggestion best = {0};

    if (word[0] != '-')
        return fail(fault, word, "takes options only, settings are environment variables");
    suggest_consider(&best, word, "--help");
    for (; known->name; known++)
        if (known->type != ARGUMENT_WORD)
            suggest_consider(&best, word, known->name);
    fault->suggestion = best.word;
    return fail(fault, word, "unknown option");
}

static bool set_number(const struct argument *argument, const char *text, int64_t *number,
                       struct arguments_fault *fault)
{
    char *end;

    errno = 0;
    *number = strtoll(text, &end, 10);
    if (*text && !*end && errno == 0 && *number >= argument->min && *number <= argument->max)
        return true;
    fail(fault, text, "");
    snprintf(fault->what, sizeof(fault->what), "%s needs a number from %lld to %lld, not",
             argument->name, (long long)argument->min, (long long)argument->max);
    return false;
}

static bool set_value(const struct argument *argument, const char *text, void *into,
                      struct arguments_fault *fault)
{
    void *field = (char *)into + argument->offset;

    if (argument->type == ARGUMENT_NUMBER)
        return set_number(argument, text, field, fault);
    if (!*text)
        return fail(fault, argument->name, "needs a value that is not empty");
    *(const char **)field = text;
    return true;
}

/* Takes one word, or two. Returns how many; 0: there is a fault. */
static int take_option(const struct argument *argument, int count, char **words, void *into,
                       struct arguments_fault *fault)
{
    const char *value = strchr(words[0], '=');

    if (argument->type == ARGUMENT_FLAG) {
        if (value)
            return fail(fault, words[0], "takes no value");
        *(bool *)((char *)into + argument->offset) = true;
        return 1;
    }
    if (value)
        return set_value(argument, value + 1, into, fault);
    if (count < 2)
        return fail(fault, words[0], "needs a value");
    return set_value(argument, words[1], into, fault) ? 2 : 0;
}

static int take(const struct argument *known, int count, char **words, void *into,
                struct arguments_fault *fault)
{
    const struct argument *word = words[0][0] == '-' ? NULL : find_word(known, into);
    const struct argument *option = find(known, words[0]);

    if (word)
        return set_value(word, words[0], into, fault);
    if (option)
        return take_option(option, count, words, into, fault);
    return fail_unknown(known, words[0], fault);
}

bool arguments_parse(const struct argument *known, int count, char **words, void *into,
                     struct arguments_fault *fault)
{
    *fault = (struct arguments_fault){0};
    while (count > 0) {
        int taken = take(known, count, words, into, fault);
        if (taken == 0)
            return false;
        count -= taken;
        words += taken;
    }
    return true;
}

void arguments_help(const struct argument *known, struct buffer *out)
{
    char name[40];

    for (; known->name; known++) {
        snprintf(name, sizeof(name), "%s %s", known->name, known->value ? known->value : "");
        buffer_printf(out, "  %-18s%s\n", name, known->doc);
    }
}
