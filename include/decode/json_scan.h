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
#include "decode/json_block.h"

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

/* What is not plain in a string: an escape, or characters outside ASCII. */
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

/* To the first byte of a string that is not plain, or to the end. */
static inline const char *json_scan_plain(const char *at, const char *end)
{
    for (; LIKELY(end - at >= JSON_BLOCK_BYTES); at += JSON_BLOCK_BYTES) {
        unsigned plain = json_block_plain(at);
        if (plain < JSON_BLOCK_BYTES)
            return at + plain;
    }
    while (at < end && json_block_is_plain(*at))
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
