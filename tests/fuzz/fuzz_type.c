/*
 * Any bytes as any kind of value, into both formats.
 *
 *   byte 0  codec       byte 2  typmod and type name; the high bit: into an empty buffer
 *   byte 1  kind        the rest is the text, or the integer
 *
 * The bytes are also given to kinds that promise more (valid UTF-8, valid escapes, valid JSON): a
 * broken promise may give nonsense, but no overrun. A field that was written must be one field.
 */
#include "base/memory.h"
#include "pg/type.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER_BYTES = 3 };

static const char BEFORE[] = "field\t";

static const struct {
    const char *type_name;
    int32_t typmod;
} variants[] = {
    {"integer", -1},
    {"text[]", 4},
    {"jsonb[]", 4 + 5},
    {"numeric(10,2)", 4 + (10 << 16 | 2)},
    {"numeric(4,-2)", 4 + (4 << 16 | 0x7fe)},
    {"numeric(1000,1000)", 4 + (1000 << 16 | 1000)},
};

static bool has_text(enum value_kind kind)
{
    return kind >= VALUE_NUMBER;
}

static void fill_value(struct value *value, const uint8_t *data, size_t size)
{
    if (has_text(value->kind)) {
        /* A copy of its own size, so that reading past it is seen. */
        char *copy = memory_new(size);
        memcpy(copy, data, size);
        value->text = (struct slice){copy, size};
        return;
    }
    memcpy(&value->integer, data, size < sizeof(value->integer) ? size : sizeof(value->integer));
    if (value->kind == VALUE_BOOLEAN)
        value->integer &= 1;
}

static void check_binary(const struct buffer *out, size_t start)
{
    uint32_t wire;

    assert(out->len >= start + sizeof(wire));
    memcpy(&wire, out->data + start, sizeof(wire));
    uint32_t len = be32toh(wire);
    assert(len == (len == UINT32_MAX ? UINT32_MAX : out->len - start - sizeof(wire)));
}

/* No separator, and no backslash that would swallow the one behind the field. */
static void check_text(const struct buffer *out, size_t start)
{
    for (size_t i = start; i < out->len; i++) {
        assert(out->data[i] != '\t' && out->data[i] != '\n' && out->data[i] != '\r');
        if (out->data[i] == '\\') {
            i++;
            assert(i < out->len);
        }
    }
}

static bool encode(const struct column *column, const struct value *value, enum type_format format,
                   size_t before)
{
    type_encode_cb encoder = type_encoder(column->codec, format);
    struct buffer out = {0};
    struct err err = {0};

    if (!encoder)
        return false;
    if (before > 0)
        buffer_append(&out, BEFORE, before);
    bool encoded = encoder(&out, column, value, &err);
    assert(out.len >= before && (before == 0 || memcmp(out.data, BEFORE, before) == 0));
    assert(encoded || (err.class == ERR_DATA && err.text[0] != '\0'));
    if (encoded && format == TYPE_FORMAT_BINARY)
        check_binary(&out, before);
    if (encoded && format == TYPE_FORMAT_TEXT)
        check_text(&out, before);
    buffer_finish(&out);
    return encoded;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct value value = {0};

    if (size < HEADER_BYTES)
        return 0;
    struct column column = {
        .codec = data[0] % (TYPE_BYTEA + 1),
        .type_name = (char *)(uintptr_t)variants[data[2] % COUNT_OF(variants)].type_name,
        .typmod = variants[data[2] % COUNT_OF(variants)].typmod,
    };
    value.kind = data[1] % (VALUE_BYTES + 1);
    fill_value(&value, data + HEADER_BYTES, size - HEADER_BYTES);
    size_t before = data[2] & 0x80 ? 0 : sizeof(BEFORE);
    bool text = encode(&column, &value, TYPE_FORMAT_TEXT, before);
    bool binary = encode(&column, &value, TYPE_FORMAT_BINARY, before);
    /* Whatever is not the server's to read is taken by both or by neither. */
    assert(column.codec == TYPE_OTHER || text || !binary);
    if (has_text(value.kind))
        free((char *)(uintptr_t)value.text.data);
    return 0;
}
