/*
 * The spellings of booleans, uuids and bytea that PostgreSQL's input functions take.
 *
 * Source: src/backend/utils/adt/bool.c, uuid.c, varlena.c and documentation chapter 8.
 * Thread: any, pure.
 */
#ifndef PG_LITERAL_H
#define PG_LITERAL_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdint.h>

enum { LITERAL_UUID_BYTES = 16 };

/* Without the white space around it. */
struct slice literal_trim(struct slice text);

/* Compares without case; the word is in lower case. */
bool literal_is(struct slice text, const char *word);

/* true, yes, on, 1, false, no, off, 0 and what is short for one of them. False: none of these. */
bool literal_parse_bool(struct slice text, bool *result) MUST_CHECK;

/* 32 hex digits, a hyphen allowed after each fourth, braces allowed around. False: otherwise. */
bool literal_parse_uuid(struct slice text, uint8_t result[LITERAL_UUID_BYTES]) MUST_CHECK;

/*
 * \x and pairs of hex digits, or any bytes with \\ and \ooo. Writes at most text.len bytes to
 * `result`, which may be where the text is, and sets how many. False: spelled otherwise.
 */
bool literal_parse_bytea(struct slice text, char *result, size_t *len) MUST_CHECK;

#endif
