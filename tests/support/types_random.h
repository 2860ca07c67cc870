/*
 * Random values for types_differential.c: each function writes one text, mostly in a form that the
 * type takes, now and then just beside it. The same seed gives the same values.
 */
#ifndef TESTS_TYPES_RANDOM_H
#define TESTS_TYPES_RANDOM_H

#include "base/buffer.h"
#include "base/compiler.h"

#include <inttypes.h>
#include <math.h>

static uint64_t random_state;

/* splitmix64 */
static uint64_t draw(uint64_t limit)
{
    uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (z ^ (z >> 31)) % limit;
}

static const char *pick(const char *const *texts, size_t count)
{
    return texts[draw(count)];
}

#define PICK(...) \
    pick((const char *const[]){__VA_ARGS__}, COUNT_OF(((const char *const[]){__VA_ARGS__})))

static size_t count_digits(const char *at)
{
    return strspn(at, "0123456789");
}

static bool is_json_number(const char *at)
{
    at += *at == '-';
    size_t digits = count_digits(at);
    if (digits == 0 || (digits > 1 && *at == '0'))
        return false;
    at += digits;
    if (*at == '.') {
        digits = count_digits(++at);
        if (digits == 0)
            return false;
        at += digits;
    }
    if ((*at | 0x20) == 'e') {
        at++;
        at += *at == '-' || *at == '+';
        digits = count_digits(at);
        if (digits == 0)
            return false;
        at += digits;
    }
    return *at == '\0';
}

static void put_digits(struct buffer *out, size_t count)
{
    /* Runs of 0 and 9 are where rounding goes wrong. */
    unsigned limit = draw(4) == 0 ? 2 : 10;

    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)draw(limit);
        buffer_printf(out, "%u", limit == 2 ? digit * 9 : digit);
    }
}

static void random_integer(struct buffer *out)
{
    buffer_append_text(out, PICK("", "", "", "-", "-", "+", " ", " -"));
    put_digits(out, draw(40) == 0 ? draw(60) : 1 + draw(20));
    buffer_append_text(out, draw(20) == 0 ? PICK(" ", ".0", "a", "e1", ",") : "");
}

static void put_exponent(struct buffer *out)
{
    static const int limits[] = {5, 30, 330, 20000, 140000};

    buffer_append_text(out, PICK("e", "E"));
    buffer_append_text(out, PICK("", "-", "+", "-"));
    buffer_printf(out, "%d", (int)draw((uint64_t)limits[draw(20) == 0 ? draw(5) : draw(3)]));
}

static void random_number(struct buffer *out)
{
    buffer_append_text(out, PICK("", "", "", "-", "-", "+"));
    put_digits(out, draw(30) == 0 ? draw(200) : draw(14));
    if (draw(4) != 0) {
        buffer_append(out, ".", 1);
        put_digits(out, draw(30) == 0 ? draw(200) : draw(14));
    }
    if (draw(3) == 0)
        put_exponent(out);
    if (draw(50) == 0)
        buffer_append_text(out, PICK("e", "-", " ", "x", "."));
}

static void random_float(struct buffer *out)
{
    union {
        uint64_t bits;
        double value;
    } random = {.bits = draw(UINT64_MAX)};

    if (isnan(random.value))
        random.value = 1;
    if (draw(3) == 0)
        random_number(out);
    else if (draw(2) == 0)
        buffer_printf(out, "%.*g", (int)draw(20) + 1, random.value);
    else
        buffer_printf(out, "%.*g", (int)draw(20) + 1,
                      (double)(int64_t)random.bits / (double)(1 + draw(1000000)));
}

static void put_clock(struct buffer *out)
{
    static const int hours[] = {23, 24, 24, 24, 24, 24, 24, 24, 25, 26};
    static const int minutes[] = {60, 60, 60, 60, 60, 60, 60, 61};

    buffer_printf(out, "%s%02d:%02d", PICK("T", "T", " ", "t", "  "),
                  (int)draw((uint64_t)hours[draw(10)]), (int)draw((uint64_t)minutes[draw(8)]));
    if (draw(10) == 0)
        return;
    buffer_printf(out, ":%02d", (int)draw((uint64_t)minutes[draw(8)]));
    if (draw(3) == 0)
        return;
    buffer_append(out, ".", 1);
    put_digits(out, draw(20) == 0 ? draw(15) : 1 + draw(9));
}

static void put_zone(struct buffer *out)
{
    if (draw(2) == 0) {
        buffer_append_text(out, PICK("", "Z", "Z", "z", " Z", "UTC", " UTC"));
        return;
    }
    buffer_printf(out, "%s%s%02d", PICK("", "", " "), PICK("+", "-"), (int)draw(17));
    if (draw(2) == 0)
        buffer_printf(out, "%s%02d", PICK(":", ""), (int)draw(61));
}

static void put_year(struct buffer *out)
{
    static const int limits[] = {3000, 10000, 5000, 300000, 6000000};

    if (draw(3) != 0)
        buffer_printf(out, "%04d", 1900 + (int)draw(200));
    else
        buffer_printf(out, "%04d", (int)draw((uint64_t)limits[draw(5)]));
}

static void mutate(struct buffer *out)
{
    static const char bytes[] = "0123456789-+:.TZ abc";

    if (out->len > 0)
        out->data[draw(out->len)] = bytes[draw(sizeof(bytes) - 1)];
}

static void random_time(struct buffer *out)
{
    put_year(out);
    buffer_printf(out, "-%02d-%02d", (int)draw(draw(20) ? 12 : 14) + (draw(30) != 0),
                  (int)draw(draw(4) ? 28 : 32) + (draw(30) != 0));
    if (draw(6) != 0) {
        put_clock(out);
        put_zone(out);
    }
    if (draw(20) == 0)
        buffer_append_text(out, PICK(" BC", " bc", "  BC"));
    if (draw(30) == 0)
        buffer_append_text(out, PICK(" ", "x", "\n"));
}

static void random_unix(struct buffer *out)
{
    buffer_append_text(out, PICK("", "", "", "-"));
    buffer_printf(out, "%" PRIu64, 1 + draw(9));
    put_digits(out, draw(20));
    if (draw(2) == 0) {
        buffer_append(out, ".", 1);
        put_digits(out, 1 + draw(9));
    }
    if (draw(6) == 0)
        buffer_printf(out, "e%s%d", PICK("", "-"), (int)draw(12));
}

static void random_bool(struct buffer *out)
{
    const char *word = PICK("true", "false", "yes", "no", "on", "off", "1", "0", "nay");
    size_t len = 1 + draw(strlen(word));

    buffer_append_text(out, PICK("", "", " "));
    for (size_t i = 0; i < len; i++)
        buffer_printf(out, "%c", draw(3) ? word[i] : word[i] & ~0x20);
    buffer_append_text(out, PICK("", "", " "));
}

static void random_uuid(struct buffer *out)
{
    bool braces = draw(3) == 0;

    buffer_append_text(out, braces ? "{" : "");
    for (int i = 0; i < 8; i++)
        buffer_printf(out, draw(2) ? "%04x%s" : "%04X%s", (unsigned)draw(65536),
                      i < 7 && draw(2) ? "-" : "");
    buffer_append_text(out, braces ? "}" : "");
    if (draw(30) == 0)
        mutate(out);
}

static void random_bytea(struct buffer *out)
{
    bool hex = draw(2) == 0;
    size_t len = draw(20);

    buffer_append_text(out, hex ? "\\x" : "");
    for (size_t i = 0; i < len; i++) {
        if (hex)
            buffer_printf(out, "%02x%s", (unsigned)draw(256), draw(10) ? "" : " ");
        else
            buffer_printf(out,
                          draw(3)   ? "%c"
                          : draw(2) ? "\\%03o"
                                    : "\\\\",
                          (unsigned)(draw(2) ? 32 + draw(95) : 1 + draw(127)));
    }
    if (draw(30) == 0)
        mutate(out);
}

static void put_character(struct buffer *out, unsigned code)
{
    if (code < 0x80) {
        buffer_printf(out, "%c", code);
    } else if (code < 0x800) {
        buffer_printf(out, "%c%c", 0xc0 | code >> 6, 0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        buffer_printf(out, "%c%c%c", 0xe0 | code >> 12, 0x80 | (code >> 6 & 0x3f),
                      0x80 | (code & 0x3f));
    } else {
        buffer_printf(out, "%c%c%c%c", 0xf0 | code >> 18, 0x80 | (code >> 12 & 0x3f),
                      0x80 | (code >> 6 & 0x3f), 0x80 | (code & 0x3f));
    }
}

static void random_text(struct buffer *out)
{
    static const unsigned limits[] = {0x20, 0x80, 0x80, 0x80, 0x800, 0xd800, 0x110000};
    size_t len = draw(30) == 0 ? draw(500) : draw(12);

    for (size_t i = 0; i < len; i++) {
        unsigned code = 1 + (unsigned)draw(limits[draw(7)] - 1);
        if (code - 0xd800 < 0x800)
            code = '\\';
        put_character(out, code);
    }
    if (draw(3) == 0)
        buffer_append_text(out, PICK(" ", "    ", "\\", "\n", "\t"));
}

static void put_json(struct buffer *out, int depth);

static void put_json_string(struct buffer *out)
{
    size_t len = draw(10);

    buffer_append(out, "\"", 1);
    for (size_t i = 0; i < len; i++)
        buffer_append_text(out, PICK("a", "bc", " ", "\\n", "\\\"", "\\\\", "\\/", "\\u00e9",
                                     "\\ud83d\\udc18", "\xc3\xa9", "\\t", "'", "{", "]", ","));
    buffer_append(out, "\"", 1);
}

static void put_json_array(struct buffer *out, int depth)
{
    size_t len = draw(5);

    buffer_append(out, "[", 1);
    for (size_t i = 0; i < len; i++) {
        buffer_append_text(out, i ? PICK(",", ", ", "\t,\n") : "");
        put_json(out, depth + 1);
    }
    buffer_append(out, "]", 1);
}

static void put_json_object(struct buffer *out, int depth)
{
    size_t len = draw(5);

    buffer_append(out, "{", 1);
    for (size_t i = 0; i < len; i++) {
        buffer_append_text(out, i ? "," : "");
        put_json_string(out);
        buffer_append_text(out, PICK(":", ": ", " :\r\n"));
        put_json(out, depth + 1);
    }
    buffer_append(out, "}", 1);
}

static void put_json(struct buffer *out, int depth)
{
    switch (draw(depth < 5 ? 6 : 3)) {
    case 0:
        buffer_append_text(out, PICK("null", "true", "false"));
        break;
    case 1:
        buffer_append_text(out, PICK("0", "-1", "1.50", "1e3", "12345678901234567890.1", "-0.0"));
        break;
    case 2:
    case 3:
        put_json_string(out);
        break;
    case 4:
        put_json_array(out, depth);
        break;
    case 5:
        put_json_object(out, depth);
        break;
    }
}

static void random_array(struct buffer *out)
{
    size_t len = draw(6);

    buffer_append_text(out, PICK("[", "[ ", " ["));
    for (size_t i = 0; i < len; i++) {
        buffer_append_text(out, i ? PICK(",", ", ", "\t,\n") : "");
        if (draw(3) == 0)
            buffer_append_text(out,
                               PICK("null", "true", "false", "0", "-1", "1.50", "12345678901"));
        else
            put_json_string(out);
    }
    buffer_append_text(out, PICK("]", " ]", "] "));
}

static void random_json(struct buffer *out)
{
    put_json(out, 0);
}

#endif
