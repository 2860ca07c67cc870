/* The cursor rests at the begin of the line below the footer. */
#include "ops/footer.h"

/* Columns of a line: escape sequences (ESC [ ... m) have none, nor have bytes that continue a
 * character. */
static int width_of(const char *at, const char *end)
{
    int columns = 0;

    for (; at < end; at++) {
        if (*at == '\033')
            while (at + 1 < end && *at != 'm')
                at++;
        else
            columns += ((unsigned char)*at & 0xc0) != 0x80;
    }
    return columns;
}

static const char *line_end(const char *at, const char *end)
{
    const char *found = memchr(at, '\n', (size_t)(end - at));

    return found ? found : end;
}

/* Rows that the lines take on a terminal that wraps them. */
static int rows_of(const struct buffer *lines, int columns)
{
    const char *at = lines->data;
    const char *end = lines->data + lines->len;
    int rows = 0;

    while (at < end) {
        const char *newline = line_end(at, end);
        int width = width_of(at, newline);

        rows += width > columns && columns > 0 ? (width + columns - 1) / columns : 1;
        at = newline + 1;
    }
    return rows;
}

/* To the begin of the first row that is shown. */
static void append_rise(const struct footer *footer, int columns, struct buffer *out)
{
    int rows = footer->shown.len > 0 ? rows_of(&footer->shown, columns) : 0;

    if (rows > 0)
        buffer_printf(out, "\r\033[%dA", rows);
}

/* Each line over the one that was there. */
static void append_over(struct slice lines, struct buffer *out)
{
    const char *at = lines.data;
    const char *end = lines.data + lines.len;

    while (lines.len > 0 && at < end) {
        const char *newline = line_end(at, end);

        buffer_append(out, at, (size_t)(newline - at));
        buffer_append_text(out, "\033[K\n");
        at = newline + 1;
    }
}

void footer_finish(struct footer *footer)
{
    buffer_finish(&footer->shown);
}

void footer_replace(struct footer *footer, struct slice text, int columns, struct buffer *out)
{
    if (footer->shown.len == 0 && text.len == 0)
        return;
    append_rise(footer, columns, out);
    append_over(text, out);
    buffer_append_text(out, "\033[J");
    buffer_reset(&footer->shown);
    buffer_append(&footer->shown, text.data, text.len);
}

/* A log line may be wider than the terminal: what is below has to be away before it. */
void footer_insert(const struct footer *footer, struct slice lines, int columns, struct buffer *out)
{
    if (footer->shown.len > 0) {
        append_rise(footer, columns, out);
        buffer_append_text(out, "\033[J");
    }
    buffer_append(out, lines.data, lines.len);
    buffer_append(out, footer->shown.data, footer->shown.len);
}
