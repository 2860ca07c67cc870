/* json_block.h with SSE2, which every x86-64 has. */
#ifndef DECODE_JSON_BLOCK_SSE2_H
#define DECODE_JSON_BLOCK_SSE2_H

#include <emmintrin.h>

/* The comparison is signed: a byte above 0x7F is negative, and so below 0x20 too. */
static inline unsigned json_block_plain(const char *at)
{
    __m128i block = _mm_loadu_si128((const __m128i *)at);
    __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
    __m128i outside = _mm_cmplt_epi8(block, _mm_set1_epi8(0x20));
    __m128i marks = _mm_or_si128(_mm_or_si128(quote, backslash), outside);

    return (unsigned)__builtin_ctz((unsigned)_mm_movemask_epi8(marks) | 1u << 16);
}

#endif
