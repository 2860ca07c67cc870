/* Growth and printing; the rest is inline in the header. */
#include "base/buffer.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALLEST_BYTES = 256 };

void buffer_finish(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_grow(struct buffer *buffer, size_t more)
{
    size_t cap = buffer->cap ? buffer->cap * 2 : SMALLEST_BYTES;

    if (cap < buffer->len + more)
        cap = buffer->len + more;
    buffer->data = memory_resize(buffer->data, cap);
    buffer->cap = cap;
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    buffer_reserve(buffer, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(buffer->data + buffer->len, (size_t)len + 1, format, args);
    va_end(args);
    buffer->len += (size_t)len;
}

const char *buffer_text(struct buffer *buffer)
{
    buffer_reserve(buffer, 1);
    buffer->data[buffer->len] = '\0';
    return buffer->data;
}
