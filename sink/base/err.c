/* Setting and extending errors. A text that does not fit is cut between two characters. */
#include "base/err.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

/* Room for a topic, an offset and a table's quoted name. */
enum { CONTEXT_BYTES = 640 };

/* Takes away the first bytes of a character whose last ones did not fit. */
static void trim(struct err *err)
{
    size_t len = strlen(err->text);
    size_t start = len;

    if (len < sizeof(err->text) - 1)
        return;
    do
        start--;
    while (start > len - 4 && (err->text[start] & 0xC0) == 0x80);
    if ((err->text[start] & 0x80) && utf8_sequence(err->text + start, err->text + len) == 0)
        err->text[start] = '\0';
}

bool err_set(struct err *err, enum err_class class, const char *format, ...)
{
    va_list args;

    err->class = class;
    err->sqlstate[0] = '\0';
    err->column[0] = '\0';
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    trim(err);
    return false;
}

bool err_context(struct err *err, const char *format, ...)
{
    char context[CONTEXT_BYTES];
    char text[sizeof(err->text)];
    va_list args;

    va_start(args, format);
    vsnprintf(context, sizeof(context), format, args);
    va_end(args);
    memcpy(text, err->text, sizeof(text));
    /* A context and a text that are both long are cut at the end of the line. */
    int written = snprintf(err->text, sizeof(err->text), "%s: ", context);
    snprintf(err->text + written, sizeof(err->text) - (size_t)written, "%s", text);
    trim(err);
    return false;
}

const char *err_class_name(enum err_class class)
{
    switch (class) {
    case ERR_NONE:
        return "none";
    case ERR_OUTAGE:
        return "outage";
    case ERR_CONTENTION:
        return "contention";
    case ERR_DATA:
        return "data";
    case ERR_CONFIG:
        return "configuration";
    case ERR_FENCED:
        return "fenced";
    case ERR_INTERNAL:
        return "internal";
    }
    return "unknown";
}
