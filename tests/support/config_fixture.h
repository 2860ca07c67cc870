/*
 * Loads settings for the tests of config: LOAD takes the entries of an environment on top of what
 * every sink needs, and the results are `config` and `problems`.
 */
#ifndef CONFIG_FIXTURE_H
#define CONFIG_FIXTURE_H

#include "base/compiler.h"
#include "base/memory.h"
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CONFIG_ENTRIES = 32 };

static struct config config;
static struct buffer problems;

/* What every sink needs, then more entries up to a NULL. */
#define LOAD(...)                                                                           \
    load((const char *[]){"KAFKA_BOOTSTRAP_SERVERS=localhost:9092", "KAFKA_GROUP_ID=group", \
                          "SINK_TOPICS=orders", ##__VA_ARGS__, NULL})

typedef bool (*load_cb)(struct config *config, char *const *environment, struct buffer *problems);

static inline bool load_with(load_cb read, const char *const *entries)
{
    char *environment[CONFIG_ENTRIES] = {NULL};

    config_finish(&config);
    buffer_reset(&problems);
    for (size_t i = 0; entries[i]; i++)
        environment[i] = memory_strdup(entries[i]);
    bool loaded = read(&config, environment, &problems);
    for (size_t i = 0; environment[i]; i++)
        free(environment[i]);
    return loaded;
}

static inline bool load(const char *const *entries)
{
    return load_with(config_load, entries);
}

/* With this entry there is exactly one problem, which begins with these words. */
static inline void assert_refused(const char *entry, const char *start)
{
    const char *text;

    assert_false(LOAD(entry));
    text = buffer_text(&problems);
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("%s: %s", entry, text);
    if (strchr(text, '\n') != text + problems.len - 1)
        fail_msg("%s has more than one problem: %s", entry, text);
}

static inline void assert_problem(const char *part)
{
    if (!strstr(buffer_text(&problems), part))
        fail_msg("no \"%s\" in: %s", part, buffer_text(&problems));
}

static inline void assert_loads(const char *entry)
{
    if (!LOAD(entry))
        fail_msg("%s: %s", entry, buffer_text(&problems));
}

static inline int forget_config(void **state)
{
    (void)state;
    config_finish(&config);
    buffer_finish(&problems);
    return 0;
}

#endif
