/*
 * Booleans, uuids and bytea as people and PostgreSQL write them.
 *
 * What is accepted is exactly what PostgreSQL accepts: the differential test holds both against
 * each other.
 */
#include "pg/literal.h"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct slice literal_trim(struct slice text)
{
    while (text.len > 0 && is_space(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && is_space(text.data[text.len - 1]))
        text.len--;
    return text;
}

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c | 0x20);
    return c;
}

/* The word begins like the text, which is not longer. */
static bool is_prefix(struct slice text, const char *word)
{
    for (size_t i = 0; i < text.len; i++)
        if (word[i] == '\0' || lower(text.data[i]) != word[i])
            return false;
    return true;
}

bool literal_is(struct slice text, const char *word)
{
    return text.len == strlen(word) && is_prefix(text, word);
}

bool literal_parse_bool(struct slice text, bool *result)
{
    text = literal_trim(text);
    if (text.len == 0)
        return false;
    *result = is_prefix(text, "true") || is_prefix(text, "yes") || literal_is(text, "on") ||
              literal_is(text, "1");
    /* "o" could be on or off. */
    return *result || is_prefix(text, "false") || is_prefix(text, "no") ||
           (text.len > 1 && is_prefix(text, "off")) || literal_is(text, "0");
}

/* 0 to 15, or -1. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 0 to 255, or -1. */
static int hex_pair(const char *at)
{
    int high = hex_digit(at[0]);
    int low = hex_digit(at[1]);

    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool take_braces(struct slice *text)
{
    if (text->len == 0 || text->data[0] != '{')
        return true;
    if (text->data[text->len - 1] != '}')
        return false;
    text->data++;
    text->len -= 2;
    return true;
}

bool literal_parse_uuid(struct slice text, uint8_t result[LITERAL_UUID_BYTES])
{
    if (text.len / 2 < LITERAL_UUID_BYTES || !take_braces(&text))
        return false;
    const char *at = text.data;
    const char *end = at + text.len;
    for (int i = 0; i < LITERAL_UUID_BYTES; i++) {
        int byte = end - at < 2 ? -1 : hex_pair(at);
        if (byte < 0)
            return false;
        result[i] = (uint8_t)byte;
        at += 2;
        if (i % 2 == 1 && i < LITERAL_UUID_BYTES - 1 && at < end && *at == '-')
            at++;
    }
    return at == end;
}

/* White space may stand between the pairs, not within one. */
static bool parse_hex(const char *at, const char *end, char *result, size_t *len)
{
    char *out = result;

    while (at < end) {
        if (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r') {
            at++;
            continue;
        }
        int byte = end - at < 2 ? -1 : hex_pair(at);
        if (byte < 0)
            return false;
        *out++ = (char)byte;
        at += 2;
    }
    *len = (size_t)(out - result);
    return true;
}

static bool is_octal(const char *at, const char *end)
{
    return end - at >= 4 && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
           at[3] >= '0' && at[3] <= '7';
}

static bool parse_escapes(const char *at, const char *end, char *result, size_t *len)
{
    char *out = result;

    while (at < end) {
        if (*at != '\\') {
            *out++ = *at++;
        } else if (end - at >= 2 && at[1] == '\\') {
            *out++ = '\\';
            at += 2;
        } else if (is_octal(at, end)) {
            *out++ = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            at += 4;
        } else {
            return false;
        }
    }
    *len = (size_t)(out - result);
    return true;
}

bool literal_parse_bytea(struct slice text, char *result, size_t *len)
{
    const char *end = text.data + text.len;

    if (text.len >= 2 && text.data[0] == '\\' && text.data[1] == 'x')
        return parse_hex(text.data + 2, end, result, len);
    return parse_escapes(text.data, end, result, len);
}
