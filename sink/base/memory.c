/* malloc and friends that do not fail: see base/memory.h. */
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *memory, size_t bytes)
{
    if (!memory) {
        fprintf(stderr, "pgsluice: out of memory (%zu bytes)\n", bytes);
        abort();
    }
    return memory;
}

void *memory_new(size_t bytes)
{
    return check(calloc(1, bytes ? bytes : 1), bytes);
}

void *memory_new_array(size_t count, size_t bytes)
{
    return check(calloc(count ? count : 1, bytes), count * bytes);
}

void *memory_resize(void *memory, size_t bytes)
{
    return check(realloc(memory, bytes ? bytes : 1), bytes);
}

void *memory_double(void *array, size_t *cap, size_t bytes)
{
    enum { FEWEST = 16 };

    *cap = *cap ? *cap * 2 : FEWEST;
    return memory_resize(array, *cap * bytes);
}

char *memory_strdup(const char *text)
{
    return memory_strndup(text, strlen(text));
}

char *memory_strndup(const char *text, size_t len)
{
    char *copy = check(malloc(len + 1), len + 1);

    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *memory_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    return check(len < 0 ? NULL : text, 0);
}
