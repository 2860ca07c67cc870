/* The text. Figures stand under each other, so that the sums can be checked by eye. */
#include "ops/progress_summary.h"

#include "base/printable.h"
#include "ops/progress_text.h"

#include <inttypes.h>
#include <stdio.h>

enum { LABEL_WIDTH = 27, COUNT_WIDTH = 14 };

/* --- The head --------------------------------------------------------------------------------- */

static void append_amount(struct buffer *out, const struct progress *progress,
                          const struct progress_sum *sum)
{
    bool ahead = progress->state == PROGRESS_PLANNED;

    progress_text_count(out, ahead ? sum->offsets_count : sum->rows_count);
    buffer_append_text(out, ahead ? " offsets in range, none read yet" : " rows");
}

static void append_head(struct buffer *out, const struct progress *progress,
                        const struct progress_sum *sum)
{
    size_t from = out->len;

    buffer_printf(out, "Backfill %s is %s: ", progress->name, progress_state_name(progress->state));
    append_amount(out, progress, sum);
    if (progress_took_ms(progress) > 0) {
        buffer_append_text(out, " in ");
        progress_text_duration(out, progress_took_ms(progress));
        buffer_append_text(out, ", ");
        progress_text_count(out, progress_rows_per_s(progress));
        buffer_append_text(out, " a second");
    }
    printable_make_from(out, from);
    if (progress->note)
        buffer_printf(out, "\n%s", progress->note);
    buffer_append_text(out, "\n\n");
}

/* --- The sums --------------------------------------------------------------------------------- */

static void append_figure(struct buffer *out, const char *label, int64_t count, const char *note)
{
    struct buffer text = {0};

    progress_text_count(&text, count);
    buffer_printf(out, "  %-*s%*s%s\n", LABEL_WIDTH, label, COUNT_WIDTH, buffer_text(&text), note);
    buffer_finish(&text);
}

static void append_sums(struct buffer *out, const struct progress *progress,
                        const struct progress_sum *sum)
{
    append_figure(out, "rows written", sum->rows_count, "");
    append_figure(out, "skipped", sum->skipped_count, "");
    append_figure(out, "dead letters", sum->dead_letters_count, "");
    append_figure(out, "= records read", sum->records_count, "");
    append_figure(out, "offsets without a record", sum->empty_count,
                  sum->empty_count ? "  (markers, aborted or compacted records)" : "");
    append_figure(out, "gone to retention unread", sum->lost_count,
                  sum->lost_count ? "  THESE RECORDS ARE MISSING" : "");
    if (sum->left_count > 0)
        append_figure(out, "offsets left", sum->left_count, "");
    append_figure(out, "= offsets in range", sum->offsets_count, "");
    if (!progress_adds_up(progress))
        buffer_append_text(out, "  THIS DOES NOT ADD UP: please report it\n");
}

/* --- The partitions --------------------------------------------------------------------------- */

enum progress_column {
    PARTITION,
    RECORDS,
    FIRST_OFFSET,
    LAST_OFFSET,
    FIRST_TIME,
    LAST_TIME,
    STATE,
    COLUMNS
};

static const char *const titles[] = {
    [PARTITION] = "PARTITION",
    [RECORDS] = "RECORDS",
    [FIRST_OFFSET] = "FIRST",
    [LAST_OFFSET] = "LAST",
    [FIRST_TIME] = "FIRST TIME (UTC)",
    [LAST_TIME] = "LAST TIME (UTC)",
    [STATE] = "STATE",
};

static void append_offset(struct buffer *out, int64_t offset)
{
    if (offset < 0)
        buffer_append_text(out, "-");
    else
        buffer_printf(out, "%" PRId64, offset);
}

static void append_state(struct buffer *out, const struct progress_range *partition)
{
    int64_t total = partition->end_offset - partition->start_offset;
    int64_t done = partition->next_offset - partition->start_offset;

    if (partition->state != PROGRESS_RANGE_COMPLETE) {
        progress_text_percent(out, progress_permille(done, total));
        buffer_append_text(out, " ");
    }
    buffer_append_text(out, progress_range_state_name(partition->state));
}

/* Nothing of it was read: its first and last offsets are where it begins and ends. */
static bool lies_ahead(const struct progress_range *partition)
{
    return partition->records_count == 0 && partition->next_offset < partition->end_offset;
}

/* Without a partition: the title. */
static const char *cell(struct buffer *text, const struct progress_range *partition,
                        enum progress_column column)
{
    buffer_reset(text);
    if (!partition)
        return titles[column];
    switch (column) {
    case PARTITION:
        buffer_printf(text, "%s[%" PRId32 "]", partition->topic, partition->partition);
        break;
    case RECORDS:
        progress_text_count(text, partition->records_count);
        break;
    case FIRST_OFFSET:
        append_offset(text,
                      lies_ahead(partition) ? partition->next_offset : partition->first_offset);
        break;
    case LAST_OFFSET:
        append_offset(text,
                      lies_ahead(partition) ? partition->end_offset - 1 : partition->last_offset);
        break;
    case FIRST_TIME:
        progress_text_time(text, partition->first_timestamp_ms);
        break;
    case LAST_TIME:
        progress_text_time(text, partition->last_timestamp_ms);
        break;
    case STATE:
        append_state(text, partition);
        break;
    case COLUMNS:
        break;
    }
    return buffer_text(text);
}

static void measure(const struct progress *progress, int *widths)
{
    struct progress_range partition;
    struct buffer text = {0};
    size_t ranges;

    for (int i = 0; i < COLUMNS; i++)
        widths[i] = (int)strlen(titles[i]);
    for (size_t at = 0; (ranges = progress_partition(progress, at, &partition)) > 0; at += ranges)
        for (int i = 0; i < COLUMNS; i++) {
            int width = (int)strlen(cell(&text, &partition, (enum progress_column)i));
            widths[i] = width > widths[i] ? width : widths[i];
        }
    buffer_finish(&text);
}

/* What is complete needs no column to say so of each. */
static void append_row(struct buffer *out, const struct progress_range *partition,
                       const int *widths, bool with_state)
{
    struct buffer text = {0};
    int last = with_state ? STATE : LAST_TIME;

    for (int i = 0; i <= last; i++) {
        bool right = i >= RECORDS && i <= LAST_OFFSET;
        int width = right ? widths[i] : i == last ? 0 : -widths[i];
        buffer_printf(out, "%s%*s", i > 0 ? "  " : "", width,
                      cell(&text, partition, (enum progress_column)i));
    }
    buffer_append_text(out, "\n");
    buffer_finish(&text);
}

static void append_reasons(struct buffer *out, const struct progress *progress)
{
    for (size_t i = 0; i < progress->ranges_count; i++) {
        const struct progress_range *range = &progress->ranges[i];
        size_t from = out->len;

        if (range->state != PROGRESS_RANGE_HALTED || !range->reason)
            continue;
        buffer_printf(out, "%s[%" PRId32 "] is halted at offset %" PRId64 ": %s", range->topic,
                      range->partition, range->next_offset, range->reason);
        buffer_text(out);
        printable_make(out->data + from);
        out->len = from + strlen(out->data + from);
        buffer_append_text(out, "\n");
    }
}

static void append_partitions(struct buffer *out, const struct progress *progress)
{
    bool with_state = progress->state != PROGRESS_COMPLETE;
    struct progress_range partition;
    int widths[COLUMNS];
    size_t ranges;

    measure(progress, widths);
    append_row(out, NULL, widths, with_state);
    for (size_t at = 0; (ranges = progress_partition(progress, at, &partition)) > 0; at += ranges)
        append_row(out, &partition, widths, with_state);
    append_reasons(out, progress);
}

void progress_summary_append(struct buffer *out, const struct progress *progress)
{
    struct progress_sum sum = progress_sum(progress);

    append_head(out, progress, &sum);
    append_sums(out, progress, &sum);
    if (progress->ranges_count == 0)
        return;
    buffer_append_text(out, "\n");
    append_partitions(out, progress);
}
