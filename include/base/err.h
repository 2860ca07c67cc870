/*
 * What went wrong, said once: a class for the program, a text for the operator.
 *
 * Whatever can fail returns bool and takes a struct err last. It is set where the fault is known,
 * given context on the way up, and logged once, where it is handled. dispatch/retry.c alone turns a
 * class into an action. Thread: any (the caller owns the struct).
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/compiler.h"

#include <stdarg.h>
#include <stdbool.h>

enum err_class {
    ERR_NONE,       /* nothing is wrong */
    ERR_OUTAGE,     /* a server is away or out of resources: wait and try again, for ever */
    ERR_CONTENTION, /* lost against another transaction: run it again */
    ERR_DATA,       /* this record can not be a row: it becomes a dead letter */
    ERR_CONFIG,     /* a setting, a table or a right is wrong: halt what depends on it */
    ERR_FENCED,     /* the position is not the one we knew: drop what we hold and claim again */
    ERR_INTERNAL,   /* our own mistake */
};

struct err {
    enum err_class class;
    char sqlstate[6]; /* PostgreSQL's code, or empty */
    char column[64];  /* the one to blame, or empty */
    char text[1024];  /* one line, no payload, no secret */
};

/* Sets class and text; SQLSTATE and column are emptied. Returns false, so that a caller can return
 * it. */
bool err_set(struct err *err, enum err_class class, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "context: " in front of the text. Returns false. */
bool err_context(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* "outage", "contention", ... */
const char *err_class_name(enum err_class class);

#endif
