/*
 * Checking escapes in strings from outside, and decoding those that were checked.
 *
 * PostgreSQL's text has no NUL and no surrogates, so \u0000 and a surrogate without its other half
 * are errors here, as in jansson. An escape is never shorter than the UTF-8 that it stands for.
 */
#include "decode/json_escape.h"

#include "decode/json.h"

enum {
    CHARACTER_BYTES_MAX = 4, /* UTF-8 */
    UNICODE_ESCAPE_LEN = 6,  /* \uXXXX */
};

/* 0 to 15, or -1. */
static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The code unit of the \uXXXX at `at`, or -1 when there is none. */
static int32_t unicode_escape(const char *at, const char *end)
{
    int32_t unit = 0;

    if (end - at < UNICODE_ESCAPE_LEN || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (int i = 2; i < UNICODE_ESCAPE_LEN; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high_surrogate(int32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(int32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

static const char *scan_unicode(const struct json_text *text, const char *at)
{
    int32_t unit = unicode_escape(at, text->end);

    if (unit < 0)
        return json_scan_fail(text, at, "\\u without four hexadecimal digits");
    if (unit == 0)
        return json_scan_fail(text, at, "\\u0000");
    if (is_low_surrogate(unit))
        return json_scan_fail(text, at, "half a surrogate pair");
    if (!is_high_surrogate(unit))
        return at + UNICODE_ESCAPE_LEN;
    if (!is_low_surrogate(unicode_escape(at + UNICODE_ESCAPE_LEN, text->end)))
        return json_scan_fail(text, at, "half a surrogate pair");
    return at + 2 * UNICODE_ESCAPE_LEN;
}

/* What a backslash makes of the letter behind it; NUL: it is no escape. */
static char short_escape(char letter)
{
    switch (letter) {
    case '"':
    case '\\':
    case '/':
        return letter;
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
    }
    return '\0';
}

const char *json_escape_scan(const struct json_text *text, const char *at)
{
    char letter = json_scan_peek(text, at + 1);

    if (letter == 'u')
        return scan_unicode(text, at);
    if (short_escape(letter) == '\0')
        return json_scan_fail(text, at, "an unknown escape");
    return at + 2;
}

static size_t encode_utf8(uint32_t code, char *out)
{
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0x00, 0xC0, 0xE0, 0xF0};

    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (char)(lead[len] | code);
    return len;
}

/* Decodes the valid escape at *at, moves behind it, and returns the bytes written to out. */
static size_t decode_escape(const char **at, const char *end, char out[CHARACTER_BYTES_MAX])
{
    if ((*at)[1] != 'u') {
        out[0] = short_escape((*at)[1]);
        *at += 2;
        return 1;
    }
    uint32_t code = (uint32_t)unicode_escape(*at, end);
    *at += UNICODE_ESCAPE_LEN;
    if (is_high_surrogate((int32_t)code)) {
        uint32_t low = (uint32_t)unicode_escape(*at, end);
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        *at += UNICODE_ESCAPE_LEN;
    }
    return encode_utf8(code, out);
}

/* The run of bytes from `at` that stand for themselves. */
static size_t plain_run(const char *at, const char *end)
{
    const char *backslash = memchr(at, '\\', (size_t)(end - at));

    return (size_t)((backslash ? backslash : end) - at);
}

size_t json_unescape(struct slice body, char *out)
{
    const char *at = body.data;
    const char *end = body.data + body.len;
    char *to = out;

    while (at < end) {
        size_t run = plain_run(at, end);
        memcpy(to, at, run);
        to += run;
        at += run;
        if (at < end)
            to += decode_escape(&at, end, to);
    }
    return (size_t)(to - out);
}

/* Takes `len` bytes off the front of *text if they are these. */
static bool take(struct slice *text, const char *bytes, size_t len)
{
    if (text->len < len || memcmp(text->data, bytes, len) != 0)
        return false;
    *text = (struct slice){text->data + len, text->len - len};
    return true;
}

bool json_escape_equal(struct slice body, struct slice plain)
{
    const char *at = body.data;
    const char *end = body.data + body.len;

    while (at < end) {
        char character[CHARACTER_BYTES_MAX];
        size_t run = plain_run(at, end);
        if (!take(&plain, at, run))
            return false;
        at += run;
        if (at < end && !take(&plain, character, decode_escape(&at, end, character)))
            return false;
    }
    return plain.len == 0;
}
