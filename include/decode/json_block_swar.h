/* json_block.h with two 64-bit words, for every processor: SIMD within a register. */
#ifndef DECODE_JSON_BLOCK_SWAR_H
#define DECODE_JSON_BLOCK_SWAR_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/*
 * Which of eight bytes, the first being the lowest, are not plain: the top bit of each tells. Only
 * the lowest mark is exact, because a subtraction borrows from the byte above it. See "Determine if
 * a word has a byte equal to n" in Sean Anderson's Bit Twiddling Hacks.
 */
static inline uint64_t json_block_marks(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t quote = (word ^ (ones * '"')) - ones;
    uint64_t backslash = (word ^ (ones * '\\')) - ones;
    uint64_t control = word - ones * 0x20;

    return (quote | backslash | control | word) & (ones * 0x80);
}

static inline unsigned json_block_plain(const char *at)
{
    uint64_t words[2];

    memcpy(words, at, sizeof(words));
    uint64_t marks = json_block_marks(le64toh(words[0]));
    if (marks)
        return (unsigned)__builtin_ctzll(marks) / 8;
    marks = json_block_marks(le64toh(words[1]));
    return marks ? 8 + (unsigned)__builtin_ctzll(marks) / 8 : 16;
}

#endif
