/*
 * Decimal digits eight bytes at a time, in one word: no loop, no branch for each.
 *
 * Byte i of a word is byte i of the text, the lowest first. A form says what eight bytes of text
 * should be: a '0' for any digit, any other byte for itself. The way eight digits are summed is
 * Daniel Lemire's, "Quickly parsing eight digits" (2018). Thread: any, pure.
 */
#ifndef BASE_DIGITS_H
#define BASE_DIGITS_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t digits_load(const char *eight)
{
    uint64_t word;

    memcpy(&word, eight, sizeof(word));
    return le64toh(word);
}

/*
 * The digits, 0 to 9 in a byte each, and 0 where the form has another byte. `slack` has what a
 * byte may still grow by: 6 for a digit, 15 for another byte. `wrong` stops being 0 if the text
 * has not the form.
 */
static inline uint64_t digits_match(const char *text, const char *form, const char *slack,
                                    uint64_t *wrong)
{
    uint64_t word = digits_load(text) ^ digits_load(form);

    *wrong |= (word | (word + digits_load(slack))) & UINT64_C(0xF0F0F0F0F0F0F0F0);
    return word;
}

/* In each byte: ten times this digit and the next one. */
static inline uint64_t digits_pairs(uint64_t digits)
{
    return digits * 10 + (digits >> 8);
}

static inline int digits_pair(uint64_t pairs, int byte)
{
    return (int)(pairs >> (byte * 8) & 0xff);
}

/* The number that eight digits are. */
static inline uint32_t digits_sum(uint64_t digits)
{
    uint64_t twos = digits_pairs(digits) & UINT64_C(0x00FF00FF00FF00FF);
    uint64_t fours = (twos * 100 + (twos >> 16)) & UINT64_C(0x0000FFFF0000FFFF);

    return (uint32_t)(fours * 10000 + (fours >> 32));
}

#endif
