/*
 * The tokens of a JSON text: white space, strings, numbers, literals. Internal to decode/json*.c.
 *
 * A scan function takes the place where its token starts and returns the place behind it, or NULL
 * when the token is not valid, which it has then said in text->err. The place goes by value: inside
 * a struct it would travel through memory once a token, and cost more than the token itself.
 * Thread: any, pure.
 */
#ifndef DECODE_JSON_SCAN_H
#define DECODE_JSON_SCAN_H

#include "base/compiler.h"
#include "base/err.h"
#include "base/slice.h"

#include <endian.h>
#include <stdint.h>

struct json_text {
    const char *start; /* borrowed, as all bytes here */
    const char *end;
    struct err *err;
};

/* "<what> at byte N" as ERR_DATA. Returns NULL, so that a scanner can return it. */
const char *json_scan_fail(const struct json_text *text, const char *at, const char *what);

/* "<what> expected at byte N", or that the text ends there. Returns NULL. */
const char *json_scan_expected(const struct json_text *text, const char *at, const char *what);

/* `at` is where the number, or the literal, starts. */
const char *json_scan_number(const struct json_text *text, const char *at);
const char *json_scan_literal(const struct json_text *text, const char *at, struct slice literal);

/* One character of a string that is not plain: an escape, or several bytes of UTF-8. */
const char *json_scan_special(const struct json_text *text, const char *at);

/* The byte at `at`, NUL at the end: no token starts with NUL, so one test covers both. */
static inline char json_scan_peek(const struct json_text *text, const char *at)
{
    return LIKELY(at < text->end) ? *at : '\0';
}

static inline const char *json_scan_spaces(const struct json_text *text, const char *at)
{
    while (at < text->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/*
 * Which of eight bytes of a string are not plain: quote, backslash, below 0x20, above 0x7F. The top
 * bit of a byte tells; only the lowest one is exact, because a subtraction borrows from the bytes
 * above it. See "Determine if a word has a byte equal to n" in Sean Anderson's Bit Twiddling Hacks.
 */
static inline uint64_t json_scan_marks(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t quote = (word ^ (ones * '"')) - ones;
    uint64_t backslash = (word ^ (ones * '\\')) - ones;
    uint64_t control = word - ones * 0x20;

    return (quote | backslash | control | word) & (ones * 0x80);
}

/* To the first byte of a string that is not plain, or to the end. */
static inline const char *json_scan_plain(const char *at, const char *end)
{
    for (; LIKELY(end - at >= 8); at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        uint64_t marks = json_scan_marks(le64toh(word));
        if (marks)
            return at + __builtin_ctzll(marks) / 8;
    }
    while (at < end && json_scan_marks((unsigned char)*at | UINT64_C(0x6161616161616100)) == 0)
        at++;
    return at;
}

/* From behind the opening quote to behind the closing one. */
static inline const char *json_scan_string(const struct json_text *text, const char *at,
                                           bool *escaped)
{
    *escaped = false;
    for (;;) {
        at = json_scan_plain(at, text->end);
        char byte = json_scan_peek(text, at);
        if (LIKELY(byte == '"'))
            return at + 1;
        *escaped |= byte == '\\';
        at = json_scan_special(text, at);
        if (UNLIKELY(!at))
            return NULL;
    }
}

#endif
