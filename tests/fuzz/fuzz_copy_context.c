/*
 * An error's CONTEXT of any content, and one that is put together as PostgreSQL does it: the first
 * line of the input names the table, the rest is the refused value, which may look like anything,
 * COPY's own line included. The number must come back.
 */
#include "pg/copy_context.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever it finds lies inside of the text. */
static void read_anything(const char *context, const char *table)
{
    const char *end = context + strlen(context);
    const char *line = copy_context_find(context);

    assert(line >= context && line <= end);
    struct copy_context found = copy_context_read(line, table);
    assert(found.line == 0 || (found.behind > line && found.behind <= end));
}

static void read_own(const char *table, const char *value, size_t number)
{
    struct buffer context = {0};

    buffer_printf(&context,
                  "PL/pgSQL function f() line 3 at RAISE\nCOPY %s, line %zu, column c: \"%s\"",
                  table, number, value);
    struct copy_context found = copy_context_read(copy_context_find(buffer_text(&context)), table);
    assert(found.line == number);
    assert(strncmp(found.behind, ", column c", 10) == 0);
    buffer_finish(&context);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = memory_strndup((const char *)data, size);
    char *rest = text;
    const char *table = strsep(&rest, "\n");
    const char *value = rest ? rest : "";

    read_anything(value, table);
    if (*table)
        read_own(table, value, size + 1);
    free(text);
    return 0;
}
