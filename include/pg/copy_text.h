/* COPY's text format: what has a meaning there is escaped. Documentation: "COPY". Thread: any,
 * pure. */
#ifndef PG_COPY_TEXT_H
#define PG_COPY_TEXT_H

#include "base/buffer.h"

/*
 * Escapes in place what has been appended since the buffer was `start` bytes long: a field in its
 * natural form becomes a field of COPY text.
 */
void copy_text_escape(struct buffer *out, size_t start);

#endif
