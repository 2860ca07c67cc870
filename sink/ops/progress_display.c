/*
 * Frames are made from the picture of the moment and the terminal's size of the moment, so that
 * SIGWINCH only has to ask for one at once. log.c puts them out, since its lines have to go above
 * them.
 */
#include "ops/progress_display.h"

#include "base/clock.h"
#include "ops/log.h"
#include "ops/progress_block.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { FRAME_MS = 250, SAMPLE_MS = 1000, LINE_MS = 30000, ROWS = 24, COLUMNS = 80 };

/* --- A terminal ------------------------------------------------------------------------------- */

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value && value[0];
}

/* One that can be drawn on: "dumb" ones, as editors have, only take lines. */
static bool is_terminal(void)
{
    const char *kind = getenv("TERM");

    return isatty(STDERR_FILENO) && kind && kind[0] && strcmp(kind, "dumb") != 0;
}

static struct progress_screen screen_of(const struct progress_display *display)
{
    struct progress_screen screen = {COLUMNS, ROWS, display->colour};
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        screen.columns = size.ws_col;
        screen.rows = size.ws_row;
    }
    return screen;
}

static void draw(struct progress_display *display, const struct progress *progress)
{
    struct progress_screen screen = screen_of(display);
    struct buffer frame = {0};

    progress_block_append(&frame, progress, &display->rate, &screen);
    log_footer((struct slice){frame.data, frame.len});
    buffer_finish(&frame);
}

/* --- A log ------------------------------------------------------------------------------------ */

static void log_progress(struct progress_display *display, const struct progress *progress)
{
    struct progress_sum sum = progress_sum(progress);
    int64_t left_ms = progress_rate_left_ms(&display->rate, sum.left_count);

    if (clock_now_ms() - display->logged_ms < display->line_ms)
        return;
    display->logged_ms = clock_now_ms();
    log_info("backfill progress", LOG_STR("name", progress->name),
             LOG_REAL("percent", progress_permille(sum.done_count, sum.offsets_count) / 10.0),
             LOG_INT("rows", sum.rows_count),
             LOG_INT("rows_per_s", progress_rate_rows_per_s(&display->rate)),
             LOG_INT("bytes_per_s", progress_rate_bytes_per_s(&display->rate)),
             LOG_INT("skipped", sum.skipped_count), LOG_INT("dead_letters", sum.dead_letters_count),
             LOG_INT("lost", sum.lost_count), LOG_INT("offsets_left", sum.left_count),
             left_ms < 0 ? LOG_STR("left_s", "") : LOG_INT("left_s", (left_ms + 999) / 1000));
}

/* --- Events ----------------------------------------------------------------------------------- */

static void show(struct progress_display *display)
{
    const struct progress *progress = display->look(display->opaque);
    struct progress_sum sum = progress_sum(progress);

    progress_rate_note(&display->rate, &sum, clock_now_ms());
    if (display->is_terminal)
        draw(display, progress);
    else
        log_progress(display, progress);
}

static void on_tick(uv_timer_t *timer)
{
    show(timer->data);
}

static void on_resized(uv_signal_t *handle, int number)
{
    (void)number;
    show(handle->data);
}

/* --- The header's functions ------------------------------------------------------------------- */

void progress_display_open(struct progress_display *display, uv_loop_t *loop, progress_look_cb look,
                           void *opaque)
{
    bool terminal = is_terminal();
    uint64_t period_ms = terminal ? FRAME_MS : SAMPLE_MS;

    *display = (struct progress_display){.look = look,
                                         .opaque = opaque,
                                         .is_terminal = terminal,
                                         .colour = !is_set("NO_COLOR"),
                                         .line_ms = LINE_MS,
                                         .logged_ms = clock_now_ms()};
    uv_timer_init(loop, &display->timer);
    display->timer.data = display;
    uv_timer_start(&display->timer, on_tick, 0, period_ms);
    uv_signal_init(loop, &display->resized);
    display->resized.data = display;
    if (terminal)
        uv_signal_start(&display->resized, on_resized, SIGWINCH);
}

void progress_display_close(struct progress_display *display)
{
    if (!display->look || uv_is_closing((uv_handle_t *)&display->timer))
        return;
    if (display->is_terminal)
        log_footer(SLICE_NONE);
    uv_close((uv_handle_t *)&display->timer, NULL);
    uv_close((uv_handle_t *)&display->resized, NULL);
}
