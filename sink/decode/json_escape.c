/*
 * Checking escapes, and comparing what they stand for. base/json_string.c decodes what was checked.
 *
 * PostgreSQL's text has no NUL and no surrogates, so \u0000 and a surrogate without its other half
 * are errors here, as in jansson.
 */
#include "decode/json_escape.h"

#include "base/json_string.h"

enum { UNICODE_ESCAPE_LEN = 6 }; /* \u and four digits */

/* 0 to 15, or -1. */
static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The code unit of the \u escape at `at`, or -1 when there is none. */
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
    const char *behind = at + UNICODE_ESCAPE_LEN;
    if (!is_high_surrogate(unit))
        return behind;
    if (!is_low_surrogate(unicode_escape(behind, text->end)))
        return json_scan_fail(text, at, "half a surrogate pair");
    return behind + UNICODE_ESCAPE_LEN;
}

static bool is_short_escape(char letter)
{
    return letter != '\0' && strchr("\"\\/bfnrt", letter) != NULL;
}

const char *json_escape_scan(const struct json_text *text, const char *at)
{
    char letter = json_scan_peek(text, at + 1);

    if (letter == 'u')
        return scan_unicode(text, at);
    if (!is_short_escape(letter))
        return json_scan_fail(text, at, "an unknown escape");
    return at + 2;
}

/* Takes `len` bytes off the front of *text if they are these. */
static bool take(struct slice *text, const char *bytes, size_t len)
{
    if (text->len < len || memcmp(text->data, bytes, len) != 0)
        return false;
    *text = (struct slice){text->data + len, text->len - len};
    return true;
}

/* Takes the character that the escape from `at` to `behind` stands for. */
static bool take_escape(struct slice *text, const char *at, const char *behind)
{
    char character[2 * UNICODE_ESCAPE_LEN];
    size_t len = json_string_unescape((struct slice){at, (size_t)(behind - at)}, character);

    return take(text, character, len);
}

bool json_escape_equal(struct slice body, struct slice plain)
{
    const char *at = body.data;
    const char *end = body.data + body.len;
    struct json_text text = {at, end, NULL}; /* valid, so that there is no error to write */

    for (;;) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        if (!escape)
            return slice_equal(plain, (struct slice){at, (size_t)(end - at)});
        if (!take(&plain, at, (size_t)(escape - at)))
            return false;
        at = json_escape_scan(&text, escape);
        if (!take_escape(&plain, escape, at))
            return false;
    }
}
