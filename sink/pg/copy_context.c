/* Reading no words but those that say that it is COPY which speaks. */
#include "pg/copy_context.h"

#include "base/compiler.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char FIRST_WORD[] = "COPY ";

/* Where the table's name stands first, what follows it. */
static const char *const behind_table[] = {"のCOPY、", " 복사, "};

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Only in front of a quoted value, which may hold anything. */
static bool is_copy(const char *line)
{
    size_t len = strcspn(line, "\n\"");

    for (size_t i = 0; i < COUNT_OF(behind_table); i++)
        if (memmem(line, len, behind_table[i], strlen(behind_table[i])))
            return true;
    return begins(line, FIRST_WORD);
}

const char *copy_context_find(const char *context)
{
    while (*context && !is_copy(context)) {
        context += strcspn(context, "\n");
        context += *context == '\n';
    }
    return context;
}

/* From behind the table's name; NULL: another table, or not COPY. */
static const char *skip_table(const char *line, const char *table)
{
    const char *at = begins(line, FIRST_WORD) ? line + strlen(FIRST_WORD) : line;

    if (!is_copy(line) || !begins(at, table))
        return NULL;
    return at + strlen(table);
}

struct copy_context copy_context_read(const char *line, const char *table)
{
    struct copy_context context = {0, ""};
    const char *at = skip_table(line, table);
    char *behind;

    if (!at)
        return context;
    at += strcspn(at, "0123456789\n");
    context.line = strtoull(at, &behind, 10);
    context.behind = behind;
    return context;
}
