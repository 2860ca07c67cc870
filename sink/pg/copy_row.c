/*
 * Text: a row is a line, since every newline inside of a value is escaped. Binary: an int16 count
 * of fields, each an int32 length (-1: NULL) and its bytes.
 */
#include "pg/copy_row.h"

#include <assert.h>
#include <endian.h>
#include <stdint.h>

static uint16_t read_int16(const char *at)
{
    uint16_t wire;

    memcpy(&wire, at, sizeof(wire));
    return be16toh(wire);
}

static uint32_t read_int32(const char *at)
{
    uint32_t wire;

    memcpy(&wire, at, sizeof(wire));
    return be32toh(wire);
}

static size_t text_row_bytes(struct slice data)
{
    const char *newline = data.len ? memchr(data.data, '\n', data.len) : NULL;

    assert(newline);
    return (size_t)(newline - data.data) + 1;
}

static size_t binary_row_bytes(struct slice data)
{
    static const uint32_t null = UINT32_MAX;
    size_t at = sizeof(uint16_t);

    assert(data.len >= at);
    for (uint16_t fields = read_int16(data.data); fields > 0; fields--) {
        assert(data.len >= at + sizeof(uint32_t));
        uint32_t len = read_int32(data.data + at);
        at += sizeof(uint32_t) + (len == null ? 0 : len);
    }
    assert(data.len >= at);
    return at;
}

size_t copy_row_bytes(enum type_format format, struct slice data, size_t count)
{
    size_t at = 0;

    while (count-- > 0) {
        struct slice rest = {data.data + at, data.len - at};
        at += format == TYPE_FORMAT_BINARY ? binary_row_bytes(rest) : text_row_bytes(rest);
    }
    return at;
}
