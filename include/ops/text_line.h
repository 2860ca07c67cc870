/*
 * A line of a terminal that is never wider than it may be. Characters beyond ASCII count as two
 * columns, which some are: a line may end early, but never wraps. Thread: any, pure.
 */
#ifndef OPS_TEXT_LINE_H
#define OPS_TEXT_LINE_H

#include "base/buffer.h"

enum text_colour { TEXT_PLAIN, TEXT_BOLD, TEXT_DIM, TEXT_RED, TEXT_GREEN, TEXT_YELLOW };

struct text_line {
    struct buffer *out; /* borrowed */
    int room;           /* columns left */
    bool colour;        /* else colours are left out */
};

/* Columns that a text takes at most. */
int text_line_width(const char *text);

/* What does not fit is cut and ends with "...". Control characters become "?". */
void text_line_put(struct text_line *line, enum text_colour colour, const char *text);

/* Whole, or not at all, after `gap` spaces. */
void text_line_put_whole(struct text_line *line, enum text_colour colour, int gap,
                         const char *text);

void text_line_pad(struct text_line *line, int columns);

#endif
