/* In place: what is read is never behind what is written. */
#include "base/printable.h"

#include "base/utf8.h"

#include <string.h>

/* U+0080 to U+009F: among them CSI, which begins a terminal's commands as ESC [ does. */
static bool is_control(const char *at, size_t len)
{
    unsigned char first = (unsigned char)at[0];

    if (len == 2)
        return first == 0xc2 && (unsigned char)at[1] < 0xa0;
    return len == 1 && (first < ' ' || first == 0x7f);
}

void printable_make(char *text)
{
    const char *end = text + strlen(text);
    char *to = text;

    for (const char *at = text; at < end;) {
        size_t len = utf8_sequence(at, end);

        if (len == 0 || is_control(at, len))
            *to++ = '?';
        else
            to = (char *)memmove(to, at, len) + len;
        at += len ? len : 1;
    }
    *to = '\0';
}

void printable_make_from(struct buffer *out, size_t from)
{
    buffer_text(out);
    printable_make(out->data + from);
    out->len = from + strlen(out->data + from);
}

void printable_append(struct buffer *out, const char *text)
{
    size_t from = out->len;

    buffer_append_text(out, text);
    printable_make_from(out, from);
}
