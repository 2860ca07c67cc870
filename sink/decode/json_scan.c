/* Numbers, literals, and what is not plain in a string; the hot rest is inline in the header. */
#include "decode/json_scan.h"

#include "base/utf8.h"
#include "decode/json_escape.h"

const char *json_scan_fail(const struct json_text *text, const char *at, const char *what)
{
    err_set(text->err, ERR_DATA, "invalid JSON: %s at byte %zu", what, (size_t)(at - text->start));
    return NULL;
}

const char *json_scan_expected(const struct json_text *text, const char *at, const char *what)
{
    size_t offset = (size_t)(at - text->start);

    if (at == text->end)
        err_set(text->err, ERR_DATA, "invalid JSON: ends at byte %zu, %s expected", offset, what);
    else
        err_set(text->err, ERR_DATA, "invalid JSON: %s expected at byte %zu", what, offset);
    return NULL;
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* One digit or more. */
static const char *scan_digits(const struct json_text *text, const char *at)
{
    if (!is_digit(json_scan_peek(text, at)))
        return json_scan_expected(text, at, "a digit");
    while (is_digit(json_scan_peek(text, at)))
        at++;
    return at;
}

static const char *scan_exponent(const struct json_text *text, const char *at)
{
    char sign = json_scan_peek(text, at);

    return scan_digits(text, sign == '+' || sign == '-' ? at + 1 : at);
}

const char *json_scan_number(const struct json_text *text, const char *at)
{
    const char *digits = *at == '-' ? at + 1 : at;

    at = scan_digits(text, digits);
    if (at && *digits == '0' && at - digits > 1)
        return json_scan_fail(text, digits, "a number with a leading zero");
    if (at && json_scan_peek(text, at) == '.')
        at = scan_digits(text, at + 1);
    if (at && (json_scan_peek(text, at) | 0x20) == 'e')
        at = scan_exponent(text, at + 1);
    return at;
}

const char *json_scan_literal(const struct json_text *text, const char *at, struct slice literal)
{
    if ((size_t)(text->end - at) < literal.len || memcmp(at, literal.data, literal.len) != 0)
        return json_scan_fail(text, at, "an unknown word");
    return at + literal.len;
}

const char *json_scan_special(const struct json_text *text, const char *at)
{
    if (at == text->end)
        return json_scan_expected(text, at, "a closing quote");
    if (*at == '\\')
        return json_escape_scan(text, at);
    if ((unsigned char)*at < 0x20)
        return json_scan_fail(text, at, "a control character in a string");
    const char *behind = utf8_skip_multibyte(at, text->end);
    return behind > at ? behind : json_scan_fail(text, at, "invalid UTF-8");
}
