/*
 * COPY's own line of an error's CONTEXT, in every language that PostgreSQL speaks:
 *
 *   COPY orders, line 51, column amount: "abc"      and so in most, but for
 *   ordersのCOPY、行 51、列 amount: "abc"           Japanese
 *   orders 복사, 51번째 줄, amount 열: "abc"         Korean
 *
 * The words are the server's; the names and the number are not. Source: COPY's error callback and
 * its translations, src/backend/commands/copyfrom.c and src/backend/po. Pure. Thread: any.
 */
#ifndef PG_COPY_CONTEXT_H
#define PG_COPY_CONTEXT_H

#include <stddef.h>

/*
 * CONTEXT is a stack of lines, and COPY's is the outermost; borrowed from there on, empty if there
 * is none. It ends with the refused value as it is, which may hold lines that look the same: the
 * first one is COPY's.
 */
const char *copy_context_find(const char *context);

struct copy_context {
    size_t line;        /* of the COPY's data, from 1; 0: it does not say */
    const char *behind; /* the number, borrowed */
};

/* What such a line says about a COPY into this table (without its schema, as COPY names it). */
struct copy_context copy_context_read(const char *line, const char *table);

#endif
