/*
 * Lines that stay below everything else on a terminal, redrawn in their place: which bytes do that.
 *
 *   \r ESC[nA   to the first of the n rows that are shown
 *   ... ESC[K   over what was there, line by line, then the rest of the line away
 *   ESC[J       what was below the last line away
 *
 * Nothing is blanked before it is written over, and all is one write: it does not flicker. A
 * terminal that has become narrower since has wrapped the lines, which is counted in. Thread: any
 * (one owner at a time), pure.
 */
#ifndef OPS_FOOTER_H
#define OPS_FOOTER_H

#include "base/buffer.h"

/* Zeroed: nothing is shown. */
struct footer {
    struct buffer shown; /* whole lines, as they stand on the terminal */
};

void footer_finish(struct footer *footer);

/* Appends what puts `text`, whole lines, in the place of what is shown; empty: takes it away. */
void footer_replace(struct footer *footer, struct slice text, int columns, struct buffer *out);

/* Appends what puts whole lines above what is shown. */
void footer_insert(const struct footer *footer, struct slice lines, int columns,
                   struct buffer *out);

#endif
