/*
 * The hot step of a JSON string: how many of the next 16 bytes are plain, up to the first that is
 * not. Plain is what stands for itself and needs no check: no quote, no backslash, nothing below
 * 0x20 or above 0x7F.
 *
 *     unsigned json_block_plain(const char *at);   0 to 16
 *
 * Each variant is a file. Internal to decode/json*.c. Thread: any, pure.
 */
#ifndef DECODE_JSON_BLOCK_H
#define DECODE_JSON_BLOCK_H

#include <stdbool.h>

enum { JSON_BLOCK_BYTES = 16 };

#ifdef __SSE2__
#include "decode/json_block_sse2.h"
#else
#include "decode/json_block_swar.h"
#endif

/* The same for one byte, where fewer than 16 are left. */
static inline bool json_block_is_plain(char byte)
{
    return byte != '"' && byte != '\\' && (signed char)byte >= 0x20;
}

#endif
