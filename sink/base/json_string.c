/*
 * Escapes away and escapes in: runs without any are copied whole, each one is translated on its
 * own.
 *
 * Unescaping: every escape is longer than what it stands for, so the output fits where the body
 * fits. The body is valid by contract; one that is not gives nonsense, but is never read or written
 * past its end.
 */
#include "base/json_string.h"

#include <stdint.h>

enum { HEX_ESCAPE_BYTES = 6 }; /* \u and four digits */

/* --- Unescaping ------------------------------------------------------------------------------ */

static uint32_t hex_digit(char c)
{
    return c <= '9' ? (uint32_t)(c & 0xf) : (uint32_t)(c & 0xf) + 9;
}

static uint32_t read_unit(const char *escape)
{
    return hex_digit(escape[2]) << 12 | hex_digit(escape[3]) << 8 | hex_digit(escape[4]) << 4 |
           hex_digit(escape[5]);
}

static bool is_hex_escape(const char *at, const char *end)
{
    return end - at >= HEX_ESCAPE_BYTES && at[0] == '\\' && at[1] == 'u';
}

static char *put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (char)(0xe0 | code >> 12);
        } else {
            *out++ = (char)(0xf0 | code >> 18);
            *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (code & 0x3f));
    return out;
}

/* One \u with its four digits, or two that are a surrogate pair. Moves *at behind them. */
static char *put_hex_escape(char *out, const char **at, const char *end)
{
    uint32_t code = read_unit(*at);

    *at += HEX_ESCAPE_BYTES;
    if (code - 0xd800 < 0x400 && is_hex_escape(*at, end)) {
        uint32_t low = read_unit(*at);
        if (low - 0xdc00 < 0x400) {
            code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
            *at += HEX_ESCAPE_BYTES;
        }
    }
    return put_utf8(out, code);
}

static char plain_escape(char letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter; /* \" \\ \/ stand for themselves */
    }
}

/* The escape at *at, which is a backslash. */
static char *put_escape(char *out, const char **at, const char *end)
{
    if (is_hex_escape(*at, end))
        return put_hex_escape(out, at, end);
    if (end - *at >= 2)
        *out++ = plain_escape((*at)[1]);
    *at += end - *at >= 2 ? 2 : 1;
    return out;
}

size_t json_string_unescape(struct slice body, char *out)
{
    const char *at = body.data;
    const char *end = at + body.len;
    char *start = out;

    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t run = (size_t)((escape ? escape : end) - at);
        memcpy(out, at, run);
        out += run;
        at += run;
        if (escape)
            out = put_escape(out, &at, end);
    }
    return (size_t)(out - start);
}

/* --- Quoting --------------------------------------------------------------------------------- */

static bool needs_escape(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

static void append_escape(struct buffer *out, char c)
{
    if (c == '"' || c == '\\')
        buffer_append(out, (char[]){'\\', c}, 2);
    else
        buffer_printf(out, "\\u%04x", (unsigned)c);
}

void json_string_append(struct buffer *out, struct slice text)
{
    const char *at = text.data;
    const char *end = at + text.len;

    buffer_reserve(out, text.len + 2);
    buffer_put_byte(out, '"');
    while (at < end) {
        const char *run = at;
        while (at < end && !needs_escape(*at))
            at++;
        buffer_append(out, run, (size_t)(at - run));
        if (at < end)
            append_escape(out, *at++);
    }
    buffer_append(out, "\"", 1);
}
