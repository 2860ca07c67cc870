/*
 * Escaping in place: count what has to be escaped, and if there is anything, move the bytes to
 * their new places from the last one to the first. Most fields have nothing and are only read,
 * eight bytes at a time.
 */
#include "pg/copy_text.h"

#define EVERY_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

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

/* Whether eight bytes may hold a control character or a backslash. */
static inline bool is_suspicious(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    uint64_t control = (word - EVERY_BYTE(0x20)) & ~word;
    uint64_t other = word ^ EVERY_BYTE('\\');
    uint64_t backslash = (other - EVERY_BYTE(1)) & ~other;
    return (control | backslash) & EVERY_BYTE(0x80);
}

static size_t count_specials(const char *at, const char *end)
{
    size_t count = 0;

    while (at < end) {
        if (end - at >= 8 && LIKELY(!is_suspicious(at)))
            at += 8;
        else
            count += is_special(*at++);
    }
    return count;
}

void copy_text_escape(struct buffer *out, size_t start)
{
    if (out->len == start)
        return; /* there may be no memory yet */
    size_t more = count_specials(out->data + start, out->data + out->len);
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
