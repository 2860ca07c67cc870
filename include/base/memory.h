/*
 * The one allocator. Out of memory ends the process here: sizes that come from outside are bounded
 * before they get this far, so there is nothing sensible to do but to say so and stop.
 * Thread: any.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* Zeroed memory; free() ends it. */
void *memory_new(size_t bytes);
void *memory_new_array(size_t count, size_t bytes);

/* Like realloc, new bytes are not zeroed. */
void *memory_resize(void *memory, size_t bytes);

/* An array of *cap elements of `bytes` each becomes one of twice as many; 0 of them become 16. */
void *memory_double(void *array, size_t *cap, size_t bytes);

char *memory_strdup(const char *text);
char *memory_strndup(const char *text, size_t len);

/* A printed text; free() ends it. */
char *memory_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
