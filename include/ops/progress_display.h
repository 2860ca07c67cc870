/*
 * Shows how far a run is while it goes on: a block at the bottom of a terminal, drawn anew in its
 * place four times a second, below the log's lines; elsewhere, and with TERM=dumb, a line of the
 * log every 30 s.
 *
 * It is standard error that is looked at and written to: standard output is for results. The block
 * fits the terminal's size of the moment. NO_COLOR takes the colours away. Nothing of the terminal
 * is changed that would have to be set back, so that a process that is killed leaves no more than
 * its last block. Thread: loop.
 */
#ifndef OPS_PROGRESS_DISPLAY_H
#define OPS_PROGRESS_DISPLAY_H

#include "ops/progress.h"
#include "ops/progress_rate.h"

#include <uv.h>

/* Answers with the picture of now, which stays as it is until the callback returns to the loop. */
typedef const struct progress *(*progress_look_cb)(void *opaque);

struct progress_display {
    uv_timer_t timer;
    uv_signal_t resized;
    struct progress_rate rate;
    progress_look_cb look;
    void *opaque;
    bool is_terminal;
    bool colour;
    int64_t line_ms;   /* between two lines of the log */
    int64_t logged_ms; /* monotonic; the last line */
};

/* Begins to show. The struct must not move until the loop has run after the close. */
void progress_display_open(struct progress_display *display, uv_loop_t *loop, progress_look_cb look,
                           void *opaque);

/*
 * Takes the block away and ends; may be called again, and before `_exit`. What comes of the run is
 * for the summary to say.
 */
void progress_display_close(struct progress_display *display);

#endif
