/*
 * A growing run of bytes, written at the end: COPY data, SQL, JSON answers.
 *
 * buffer_reserve makes room, the put_ functions then write without a check; the append functions do
 * both. A buffer keeps its memory over buffer_reset, so a recycled one seldom allocates.
 * Thread: any (one owner at a time).
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/compiler.h"
#include "base/slice.h"

#include <endian.h>
#include <stdint.h>

struct buffer {
    char *data;
    size_t len; /* bytes written */
    size_t cap; /* bytes allocated */
};

void buffer_finish(struct buffer *buffer);

static inline void buffer_reset(struct buffer *buffer)
{
    buffer->len = 0;
}

/* Slow path of buffer_reserve: at least doubles. */
void buffer_grow(struct buffer *buffer, size_t more);

/* After it, `more` bytes can be put. */
static inline void buffer_reserve(struct buffer *buffer, size_t more)
{
    if (UNLIKELY(buffer->cap - buffer->len < more))
        buffer_grow(buffer, more);
}

static inline void buffer_put(struct buffer *buffer, const void *data, size_t len)
{
    memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
}

static inline void buffer_put_byte(struct buffer *buffer, char byte)
{
    buffer->data[buffer->len++] = byte;
}

/* Network byte order, as PostgreSQL's binary formats want it. */
static inline void buffer_put_int16(struct buffer *buffer, int16_t value)
{
    uint16_t wire = htobe16((uint16_t)value);
    buffer_put(buffer, &wire, sizeof(wire));
}

static inline void buffer_put_int32(struct buffer *buffer, int32_t value)
{
    uint32_t wire = htobe32((uint32_t)value);
    buffer_put(buffer, &wire, sizeof(wire));
}

static inline void buffer_put_int64(struct buffer *buffer, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);
    buffer_put(buffer, &wire, sizeof(wire));
}

/* Nothing may be appended, even from NULL. */
static inline void buffer_append(struct buffer *buffer, const void *data, size_t len)
{
    if (len == 0)
        return;
    buffer_reserve(buffer, len);
    buffer_put(buffer, data, len);
}

static inline void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);

/* The text so far with a terminating NUL behind it (not counted in len). Borrowed. */
const char *buffer_text(struct buffer *buffer);

#endif
