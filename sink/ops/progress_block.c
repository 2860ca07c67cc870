/*
 * Head, figures, what was not loaded, states, reasons, partitions: from what matters most to what
 * may be left out, until the block's lines are used up. What does not fit a line is left out whole.
 */
#include "ops/progress_block.h"

#include "base/memory.h"
#include "ops/progress_text.h"
#include "ops/text_line.h"

#include <stdlib.h>

enum {
    GAP = 3,
    BAR_MIN = 10,
    ESTIMATE_WIDTH = 23, /* about 9 min 50 s left */
    PERCENT_WIDTH = 7,   /* 100.0 % */
    STATE_WIDTH = 8,     /* complete */
    NAME_MAX = 32,
    LINES_MIN = 4,
};

struct block {
    struct buffer *out; /* borrowed, as are the next three */
    const struct progress *progress;
    const struct progress_rate *rate;
    const struct progress_screen *screen;
    struct progress_sum sum;
    struct progress_range *partitions; /* one each, owned */
    size_t partitions_count;
    bool one_topic;
    int lines_max;
    int lines;
    struct buffer text; /* what is put next */
};

/* --- Lines and what stands in them ------------------------------------------------------------ */

static struct text_line begin_line(struct block *block)
{
    return (struct text_line){block->out, block->screen->columns - 1, block->screen->colour};
}

static void end_line(struct block *block)
{
    buffer_append_text(block->out, "\n");
    block->lines++;
}

static bool is_full(const struct block *block)
{
    return block->lines >= block->lines_max;
}

/* Puts block->text, whole or not at all. */
static void put(struct block *block, struct text_line *line, enum text_colour colour, int gap)
{
    text_line_put_whole(line, colour, gap, buffer_text(&block->text));
    buffer_reset(&block->text);
}

/* The gap before what is put next: none where the line begins. */
static int gap(const struct block *block, const struct text_line *line)
{
    return line->room < block->screen->columns - 1 ? GAP : 0;
}

static void put_count(struct block *block, struct text_line *line, enum text_colour colour,
                      int64_t count, const char *what)
{
    progress_text_count(&block->text, count);
    buffer_printf(&block->text, " %s", what);
    put(block, line, colour, gap(block, line));
}

static enum text_colour colour_of(enum progress_range_state state)
{
    switch (state) {
    case PROGRESS_RANGE_HALTED:
        return TEXT_RED;
    case PROGRESS_RANGE_LOADING:
        return TEXT_PLAIN;
    case PROGRESS_RANGE_WAITING:
        return TEXT_DIM;
    case PROGRESS_RANGE_COMPLETE:
        return TEXT_GREEN;
    }
    return TEXT_PLAIN;
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

/* --- The head: name, bar, percent, estimate --------------------------------------------------- */

static void fill(struct block *block, int count, const char *with)
{
    for (int i = 0; i < count; i++)
        buffer_append_text(&block->text, with);
}

static void put_bar(struct block *block, struct text_line *line, int width, int permille)
{
    int inner = width - 2;
    int done = inner * permille / 1000;

    buffer_append_text(&block->text, "[");
    put(block, line, TEXT_PLAIN, 2);
    fill(block, done, "#");
    put(block, line, TEXT_GREEN, 0);
    fill(block, inner - done, "-");
    put(block, line, TEXT_DIM, 0);
    buffer_append_text(&block->text, "]");
    put(block, line, TEXT_PLAIN, 0);
}

static void put_estimate(struct block *block, struct text_line *line)
{
    int64_t left_ms = progress_rate_left_ms(block->rate, block->sum.left_count);

    if (block->progress->state != PROGRESS_RUNNING || left_ms <= 0)
        return;
    buffer_append_text(&block->text, "about ");
    progress_text_estimate(&block->text, left_ms);
    buffer_append_text(&block->text, " left");
    put(block, line, TEXT_PLAIN, 2);
}

static void put_head(struct block *block)
{
    struct text_line line = begin_line(block);
    struct text_line name = line;
    int permille = progress_permille(block->sum.done_count, block->sum.offsets_count);

    name.room = line.room / 3;
    int given = name.room;
    text_line_put(&name, TEXT_BOLD, block->progress->name);
    line.room -= given - name.room;
    int bar = line.room - 2 - PERCENT_WIDTH - 2 - ESTIMATE_WIDTH - 2;
    if (bar >= BAR_MIN)
        put_bar(block, &line, bar, permille);
    buffer_printf(&block->text, "%*s%d.%d %%", permille < 100 ? 2 : permille < 1000, "",
                  permille / 10, permille % 10);
    put(block, &line, TEXT_PLAIN, 2);
    put_estimate(block, &line);
    end_line(block);
}

/* --- Figures ---------------------------------------------------------------------------------- */

static void put_speed(struct block *block, struct text_line *line)
{
    progress_text_short(&block->text, progress_rate_rows_per_s(block->rate));
    buffer_append_text(&block->text, " rows/s");
    put(block, line, TEXT_PLAIN, GAP);
    progress_text_bytes(&block->text, block->sum.bytes);
    put(block, line, TEXT_PLAIN, GAP);
    progress_text_bytes(&block->text, progress_rate_bytes_per_s(block->rate));
    buffer_append_text(&block->text, "/s");
    put(block, line, TEXT_PLAIN, GAP);
}

static void put_figures(struct block *block)
{
    struct text_line line = begin_line(block);

    put_count(block, &line, TEXT_PLAIN, block->sum.rows_count, "rows");
    put_speed(block, &line);
    buffer_printf(&block->text, "%s %s ", progress_state_name(block->progress->state),
                  block->progress->state == PROGRESS_RUNNING ? "for" : "after");
    progress_text_duration(&block->text, progress_took_ms(block->progress));
    put(block, &line, TEXT_PLAIN, GAP);
    end_line(block);
}

/* What of the range is not there as rows; nothing to say is no line. */
static void put_others(struct block *block)
{
    const struct progress_sum *sum = &block->sum;
    struct text_line line = begin_line(block);

    if (sum->dead_letters_count + sum->skipped_count + sum->lost_count + sum->empty_count == 0)
        return;
    if (sum->lost_count > 0)
        put_count(block, &line, TEXT_RED, sum->lost_count, "gone to retention unread");
    if (sum->dead_letters_count > 0)
        put_count(block, &line, TEXT_YELLOW, sum->dead_letters_count,
                  sum->dead_letters_count == 1 ? "dead letter" : "dead letters");
    if (sum->skipped_count > 0)
        put_count(block, &line, TEXT_PLAIN, sum->skipped_count, "skipped");
    if (sum->empty_count > 0)
        put_count(block, &line, TEXT_DIM, sum->empty_count, "without a record");
    end_line(block);
}

/* --- Partitions ------------------------------------------------------------------------------- */

static size_t count_state(const struct block *block, enum progress_range_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < block->partitions_count; i++)
        count += block->partitions[i].state == state;
    return count;
}

/* Puts block->text, cut where the line ends. */
static void put_cut(struct block *block, struct text_line *line, enum text_colour colour)
{
    text_line_put(line, colour, buffer_text(&block->text));
    buffer_reset(&block->text);
}

static void put_states(struct block *block)
{
    struct text_line line = begin_line(block);

    if (block->one_topic)
        buffer_printf(&block->text, "%s: ", block->partitions[0].topic);
    buffer_printf(&block->text, "%zu partition%s", block->partitions_count,
                  plural(block->partitions_count));
    put_cut(block, &line, TEXT_PLAIN);
    for (int i = 0; i < PROGRESS_RANGE_STATES; i++) {
        enum progress_range_state state = (enum progress_range_state)i;
        size_t count = count_state(block, state);

        if (count == 0)
            continue;
        text_line_put(&line, TEXT_PLAIN, ", ");
        buffer_printf(&block->text, "%zu %s", count, progress_range_state_name(state));
        put_cut(block, &line, colour_of(state));
    }
    end_line(block);
}

static void append_name(struct block *block, const struct progress_range *partition, bool whole)
{
    buffer_printf(&block->text, "%s[%d]", whole || !block->one_topic ? partition->topic : "",
                  (int)partition->partition);
}

/* With the reason, in at most half of the lines that are left. */
static void put_halted(struct block *block)
{
    int until = block->lines + (block->lines_max - block->lines) / 2;

    for (size_t i = 0; i < block->partitions_count && block->lines < until; i++) {
        const struct progress_range *partition = &block->partitions[i];
        if (partition->state != PROGRESS_RANGE_HALTED || !partition->reason)
            continue;
        struct text_line line = begin_line(block);
        append_name(block, partition, true);
        buffer_printf(&block->text, " halted: %s", partition->reason);
        put_cut(block, &line, TEXT_RED);
        end_line(block);
    }
}

static int widest_name(struct block *block)
{
    int widest = 0;

    for (size_t i = 0; i < block->partitions_count; i++) {
        append_name(block, &block->partitions[i], false);
        int width = text_line_width(buffer_text(&block->text));
        buffer_reset(&block->text);
        if (width > widest)
            widest = width;
    }
    return widest < NAME_MAX ? widest : NAME_MAX;
}

/* A grid, filled line by line. */
struct grid {
    struct text_line line;
    int name_width;
    int cell_width;
    int per_line;
    int places;
    int used;
};

static void put_cell(struct block *block, struct grid *grid, const struct progress_range *partition)
{
    int64_t total = partition->end_offset - partition->start_offset;
    int permille = progress_permille(partition->next_offset - partition->start_offset, total);

    if (grid->used % grid->per_line == 0)
        grid->line = begin_line(block);
    else
        text_line_pad(&grid->line, GAP);
    struct text_line cell = grid->line;
    cell.room = grid->name_width;
    append_name(block, partition, false);
    put_cut(block, &cell, TEXT_PLAIN);
    text_line_pad(&cell, cell.room);
    cell.room = grid->cell_width - grid->name_width;
    buffer_printf(&block->text, " %3d.%d %% %-*s", permille / 10, permille % 10, STATE_WIDTH,
                  progress_range_state_name(partition->state));
    put(block, &cell, colour_of(partition->state), 0);
    grid->line.room -= grid->cell_width;
    if (++grid->used % grid->per_line == 0)
        end_line(block);
}

static void put_cells_of(struct block *block, struct grid *grid, enum progress_range_state state)
{
    for (size_t i = 0; i < block->partitions_count && grid->used < grid->places; i++)
        if (block->partitions[i].state == state)
            put_cell(block, grid, &block->partitions[i]);
}

static void put_more(struct block *block, size_t count)
{
    struct text_line line = begin_line(block);

    buffer_printf(&block->text, "and %zu more partition%s", count, plural(count));
    put(block, &line, TEXT_DIM, 0);
    end_line(block);
}

/* Those that are worth looking at first: not all have a place. */
static void put_folded(struct block *block, struct grid *grid)
{
    bool says_more = grid->places > grid->per_line;

    if (says_more)
        grid->places -= grid->per_line;
    for (int i = 0; i < PROGRESS_RANGE_STATES; i++)
        put_cells_of(block, grid, (enum progress_range_state)i);
    if (says_more)
        put_more(block, block->partitions_count - (size_t)grid->used);
}

static void put_partitions(struct block *block)
{
    struct grid grid = {.name_width = widest_name(block)};

    grid.cell_width = grid.name_width + 1 + PERCENT_WIDTH + 1 + STATE_WIDTH;
    grid.per_line = (block->screen->columns - 1 + GAP) / (grid.cell_width + GAP);
    grid.places = grid.per_line * (block->lines_max - block->lines);
    if (grid.places == 0)
        return;
    if (block->partitions_count > (size_t)grid.places) {
        put_folded(block, &grid);
        return;
    }
    for (size_t i = 0; i < block->partitions_count; i++)
        put_cell(block, &grid, &block->partitions[i]);
    if (grid.used % grid.per_line != 0)
        end_line(block);
}

/* --- The block -------------------------------------------------------------------------------- */

static void find_partitions(struct block *block)
{
    size_t count = progress_partitions_count(block->progress);
    size_t at = 0;

    block->partitions = memory_new_array(count, sizeof(*block->partitions));
    block->partitions_count = count;
    block->one_topic = count > 0;
    for (size_t i = 0; i < count; i++) {
        at += progress_partition(block->progress, at, &block->partitions[i]);
        if (strcmp(block->partitions[i].topic, block->partitions[0].topic) != 0)
            block->one_topic = false;
    }
}

static int lines_for(int rows)
{
    int most = rows / 2 > LINES_MIN ? rows / 2 : LINES_MIN;

    return most < rows - 1 ? most : rows - 1;
}

int progress_block_append(struct buffer *out, const struct progress *progress,
                          const struct progress_rate *rate, const struct progress_screen *screen)
{
    static void (*const parts[])(struct block *) = {
        put_head, put_figures, put_others, put_states, put_halted, put_partitions,
    };
    struct block block = {.out = out,
                          .progress = progress,
                          .rate = rate,
                          .screen = screen,
                          .sum = progress_sum(progress),
                          .lines_max = lines_for(screen->rows)};

    find_partitions(&block);
    for (size_t i = 0; i < COUNT_OF(parts) && !is_full(&block); i++)
        parts[i](&block);
    free(block.partitions);
    buffer_finish(&block.text);
    return block.lines;
}
