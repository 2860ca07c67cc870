/*
 * Integers and floats: from text with PostgreSQL's result to the last bit, or an error.
 *
 * False is always ERR_DATA. Thread: any, pure.
 */
#ifndef PG_NUMBER_H
#define PG_NUMBER_H

#include "base/buffer.h"
#include "base/err.h"

#include <stdint.h>

/* A JSON number whose value is an integer: 5, 5.0, 5e0. */
bool number_parse_json_integer(struct slice text, int64_t *result, struct err *err) MUST_CHECK;

/* PostgreSQL's literal: a sign, digits, and white space around. */
bool number_parse_integer(struct slice text, int64_t *result, struct err *err) MUST_CHECK;

/*
 * A JSON number or PostgreSQL's literal (NaN, Infinity, inf and white space around), rounded to the
 * nearest. What is too large, or so small that it would become 0, is an error as in PostgreSQL. The
 * free space of `room` is used; its contents stay.
 */
bool number_parse_float4(struct slice text, struct buffer *room, float *result,
                         struct err *err) MUST_CHECK;
bool number_parse_float8(struct slice text, struct buffer *room, double *result,
                         struct err *err) MUST_CHECK;

/* Appends it in decimal. */
void number_append_integer(struct buffer *out, int64_t value);

#endif
