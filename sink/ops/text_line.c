/* Escape sequences take no columns, so only texts are counted. */
#include "ops/text_line.h"

#include "base/memory.h"
#include "base/printable.h"
#include "base/utf8.h"

#include <stdlib.h>

enum { ELLIPSIS = 3 };

static int columns_of(const char *at)
{
    return (unsigned char)*at < 0x80 ? 1 : 2;
}

int text_line_width(const char *text)
{
    const char *end = text + strlen(text);
    int columns = 0;

    while (text < end) {
        size_t len = utf8_sequence(text, end);
        columns += columns_of(text);
        text += len ? len : 1;
    }
    return columns;
}

/* How many bytes of a text fit. */
static size_t fitting(const char *text, int columns)
{
    const char *end = text + strlen(text);
    const char *at = text;

    while (at < end) {
        size_t len = utf8_sequence(at, end);
        columns -= columns_of(at);
        if (columns < 0)
            break;
        at += len ? len : 1;
    }
    return (size_t)(at - text);
}

static void put_coloured(struct text_line *line, enum text_colour colour, const char *text)
{
    static const char *const codes[] = {
        [TEXT_PLAIN] = "",       [TEXT_BOLD] = "\033[1m",   [TEXT_DIM] = "\033[2m",
        [TEXT_RED] = "\033[31m", [TEXT_GREEN] = "\033[32m", [TEXT_YELLOW] = "\033[33m",
    };
    bool coloured = line->colour && colour != TEXT_PLAIN;

    if (coloured)
        buffer_append_text(line->out, codes[colour]);
    buffer_append_text(line->out, text);
    if (coloured)
        buffer_append_text(line->out, "\033[0m");
    line->room -= text_line_width(text);
}

void text_line_put(struct text_line *line, enum text_colour colour, const char *text)
{
    char *shown = memory_strdup(text);

    printable_make(shown);
    if (text_line_width(shown) > line->room) {
        bool dots = line->room > ELLIPSIS;
        size_t len = fitting(shown, line->room - (dots ? ELLIPSIS : 0));
        char *cut = memory_printf("%.*s%s", (int)len, shown, dots ? "..." : "");
        free(shown);
        shown = cut;
    }
    if (shown[0])
        put_coloured(line, colour, shown);
    free(shown);
}

void text_line_put_whole(struct text_line *line, enum text_colour colour, int gap, const char *text)
{
    if (gap + text_line_width(text) > line->room)
        return;
    text_line_pad(line, gap);
    text_line_put(line, colour, text);
}

void text_line_pad(struct text_line *line, int columns)
{
    for (; columns > 0 && line->room > 0; columns--, line->room--)
        buffer_append(line->out, " ", 1);
}
