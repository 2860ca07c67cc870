/*
 * Escaping in place: count what has to be escaped, and if there is anything, move the bytes to
 * their new places from the last one to the first. Most fields have nothing and are only read.
 */
#include "pg/copy_text.h"

/* Tab ends a field and newline a row; a bare carriage return is refused by COPY. */
static inline bool is_special(char c)
{
    return c == '\\' || c == '\n' || c == '\t' || c == '\r';
}

static char letter_of(char c)
{
    switch (c) {
    case '\n':
        return 'n';
    case '\t':
        return 't';
    case '\r':
        return 'r';
    default:
        return c;
    }
}

static size_t count_specials(const char *data, size_t len)
{
    size_t count = 0;

    for (size_t i = 0; i < len; i++)
        count += is_special(data[i]);
    return count;
}

void copy_text_escape(struct buffer *out, size_t start)
{
    size_t more = count_specials(out->data + start, out->len - start);

    buffer_reserve(out, more);
    const char *from = out->data + out->len;
    out->len += more;
    char *to = out->data + out->len;
    while (to != from) {
        char c = *--from;
        *--to = letter_of(c);
        if (is_special(c))
            *--to = '\\';
    }
}
