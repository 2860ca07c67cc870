/*
 * Shows a run that is not one: show_progress PARTITIONS. What happens in it comes as lines on
 * stdin:
 *
 *   done 42      so many percent of each partition are loaded
 *   halt REASON  the first partition is
 *   log EVENT    a line of the log
 *   end          the summary goes to stdout, as after SIGTERM
 */
#include "base/clock.h"
#include "base/memory.h"
#include "ops/log.h"
#include "ops/progress_display.h"
#include "ops/progress_summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORDS = 100000, LINE_MS = 100 };

static struct {
    uv_loop_t loop;
    uv_poll_t input;
    uv_signal_t sigterm;
    struct progress_display display;
    struct progress progress;
    struct progress_range *ranges;
    char reason[100];
} run;

static void set_done(int percent)
{
    for (size_t i = 0; i < run.progress.ranges_count; i++) {
        struct progress_range *range = &run.ranges[i];

        range->next_offset = range->end_offset * percent / 100;
        range->records_count = range->rows_count = range->next_offset;
        range->bytes = range->next_offset * 100;
        range->first_offset = 0;
        range->last_offset = range->next_offset - 1;
        range->state = percent == 100 ? PROGRESS_RANGE_COMPLETE : PROGRESS_RANGE_LOADING;
    }
    run.progress.state = percent == 100 ? PROGRESS_COMPLETE : PROGRESS_RUNNING;
}

static void halt(const char *reason)
{
    snprintf(run.reason, sizeof(run.reason), "%s", reason);
    run.ranges[0].state = PROGRESS_RANGE_HALTED;
    run.ranges[0].reason = run.reason;
}

static void end(void)
{
    struct buffer text = {0};

    progress_display_close(&run.display);
    uv_close((uv_handle_t *)&run.input, NULL);
    uv_close((uv_handle_t *)&run.sigterm, NULL);
    progress_summary_append(&text, &run.progress);
    fputs(buffer_text(&text), stdout);
    buffer_finish(&text);
}

static void obey(const char *line)
{
    if (strncmp(line, "done ", 5) == 0)
        set_done((int)strtol(line + 5, NULL, 10));
    else if (strncmp(line, "halt ", 5) == 0)
        halt(line + 5);
    else if (strncmp(line, "log ", 4) == 0)
        log_info(line + 4);
    else
        end();
}

/* Whole lines, since the test writes such. */
static void on_input(uv_poll_t *input, int status, int events)
{
    char text[4096];
    ssize_t len = read(STDIN_FILENO, text, sizeof(text) - 1);
    char *rest = text;

    (void)input, (void)status, (void)events;
    if (len <= 0) {
        end();
        return;
    }
    text[len] = '\0';
    for (char *line; (line = strsep(&rest, "\n")) && rest;)
        obey(line);
}

static void on_sigterm(uv_signal_t *handle, int number)
{
    (void)handle, (void)number;
    run.progress.state = PROGRESS_INTERRUPTED;
    end();
}

static const struct progress *look(void *opaque)
{
    (void)opaque;
    run.progress.now_ms = clock_wall_ms();
    return &run.progress;
}

static void plan(size_t partitions)
{
    run.ranges = memory_new_array(partitions, sizeof(*run.ranges));
    run.progress = (struct progress){.name = "nightly",
                                     .started_ms = clock_wall_ms(),
                                     .ranges = run.ranges,
                                     .ranges_count = partitions};
    for (size_t i = 0; i < partitions; i++)
        run.ranges[i] = (struct progress_range){
            .topic = "orders", .partition = (int32_t)i, .end_offset = RECORDS};
    set_done(0);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 64;
    plan((size_t)strtoul(argv[1], NULL, 10));
    uv_loop_init(&run.loop);
    uv_poll_init(&run.loop, &run.input, STDIN_FILENO);
    uv_poll_start(&run.input, UV_READABLE, on_input);
    uv_signal_init(&run.loop, &run.sigterm);
    uv_signal_start(&run.sigterm, on_sigterm, SIGTERM);
    progress_display_open(&run.display, &run.loop, look, NULL);
    run.display.line_ms = LINE_MS;
    uv_run(&run.loop, UV_RUN_DEFAULT);
    uv_loop_close(&run.loop);
    free(run.ranges);
    return 0;
}
