/*
 * Checking and counting UTF-8.
 *
 * Most text is ASCII, so both walk eight bytes a step through a 64-bit word and look closer only
 * where a byte has its top bit set. A word needs no instruction set of its own; the byte order does
 * not matter, since a word is only asked how many of its bytes have a bit, never which.
 */
#include "base/utf8.h"

#include <stdint.h>

#define EVERY_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

static uint64_t load(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

static bool within(char byte, unsigned char low, unsigned char high)
{
    return (unsigned char)byte >= low && (unsigned char)byte <= high;
}

static bool continues(char byte)
{
    return within(byte, 0x80, 0xBF);
}

/* The second byte's range shuts out overlong forms (E0), surrogates (ED). */
static size_t sequence_of_three(const char *at)
{
    unsigned char low = within(at[0], 0xE0, 0xE0) ? 0xA0 : 0x80;
    unsigned char high = within(at[0], 0xED, 0xED) ? 0x9F : 0xBF;

    return within(at[1], low, high) && continues(at[2]) ? 3 : 0;
}

/* ... overlong forms (F0), and what is above U+10FFFF (F4). */
static size_t sequence_of_four(const char *at)
{
    unsigned char low = within(at[0], 0xF0, 0xF0) ? 0x90 : 0x80;
    unsigned char high = within(at[0], 0xF4, 0xF4) ? 0x8F : 0xBF;

    return within(at[1], low, high) && continues(at[2]) && continues(at[3]) ? 4 : 0;
}

/* Bytes of the well-formed character at `at` that is not ASCII, or 0. */
static inline size_t multibyte(const char *at, const char *end)
{
    size_t left = (size_t)(end - at);

    if (left >= 2 && within(at[0], 0xC2, 0xDF))
        return continues(at[1]) ? 2 : 0;
    if (left >= 3 && within(at[0], 0xE0, 0xEF))
        return sequence_of_three(at);
    if (left >= 4 && within(at[0], 0xF0, 0xF4))
        return sequence_of_four(at);
    return 0;
}

size_t utf8_sequence(const char *at, const char *end)
{
    return at < end && within(*at, 0x00, 0x7F) ? 1 : multibyte(at, end);
}

const char *utf8_skip_multibyte(const char *at, const char *end)
{
    size_t len;

    while ((len = multibyte(at, end)) > 0)
        at += len;
    return at;
}

static const char *skip_ascii(const char *at, const char *end)
{
    while (end - at >= 8 && (load(at) & EVERY_BYTE(0x80)) == 0)
        at += 8;
    while (at < end && within(*at, 0x00, 0x7F))
        at++;
    return at;
}

bool utf8_valid(struct slice text)
{
    if (text.len == 0)
        return true; /* without data, maybe */

    const char *at = text.data;
    const char *end = text.data + text.len;
    while ((at = skip_ascii(at, end)) < end) {
        const char *behind = utf8_skip_multibyte(at, end);
        if (behind == at)
            return false;
        at = behind;
    }
    return true;
}

/* Bytes 10xxxxxx of eight, one bit each, summed by the multiplication into the top byte. */
static size_t count_continuations(uint64_t word)
{
    uint64_t found = (word >> 7) & (~word >> 6) & EVERY_BYTE(1);

    return (size_t)((found * EVERY_BYTE(1)) >> 56);
}

size_t utf8_length(struct slice text)
{
    size_t continuations = 0;
    size_t i = 0;

    for (; text.len - i >= 8; i += 8)
        continuations += count_continuations(load(text.data + i));
    for (; i < text.len; i++)
        continuations += continues(text.data[i]);
    return text.len - continuations;
}
