/*
 * Words from outside, such as arguments and the names and values of variables, made harmless before
 * they are shown: they must not begin a line of their own, nor speak to the terminal. Thread: any.
 */
#ifndef BASE_PRINTABLE_H
#define BASE_PRINTABLE_H

#include "base/buffer.h"

/*
 * Puts ? in place of control characters, ASCII's and those that begin with 0xC2 in UTF-8 (a
 * terminal obeys both), and of bytes that are not UTF-8. The text never becomes longer.
 */
void printable_make(char *text);

/* The same for what a buffer got since it was `from` bytes long. */
void printable_make_from(struct buffer *out, size_t from);

void printable_append(struct buffer *out, const char *text);

#endif
