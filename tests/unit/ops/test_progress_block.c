/* The block of a terminal: what it says, and that it fits, whatever the terminal's size. */
#include "ops/progress_block.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buffer out;
static struct progress_rate rate;
static struct progress_range ranges[300];
static struct progress run;

/* Four partitions, one in each state, at 1000 offsets a second. */
static int begin(void **state)
{
    (void)state;
    rate = (struct progress_rate){0};
    for (int i = 0; i < 9; i++)
        progress_rate_note(&rate,
                           &(struct progress_sum){
                               .done_count = i * 500, .rows_count = i * 500, .bytes = i * 50000},
                           i * 500);
    for (int i = 0; i < (int)COUNT_OF(ranges); i++)
        ranges[i] = (struct progress_range){.topic = "orders",
                                            .partition = i,
                                            .state = (enum progress_range_state)(i % 4),
                                            .next_offset = 250 * (i % 4 + 1),
                                            .end_offset = 1000,
                                            .records_count = 250 * (i % 4 + 1),
                                            .rows_count = 250 * (i % 4 + 1)};
    run = (struct progress){.name = "orders-2026",
                            .state = PROGRESS_RUNNING,
                            .started_ms = 1,
                            .now_ms = 69001,
                            .ranges = ranges,
                            .ranges_count = 4};
    return 0;
}

static int end(void **state)
{
    (void)state;
    buffer_finish(&out);
    return 0;
}

static const char *block(int columns, int rows, bool colour)
{
    struct progress_screen screen = {columns, rows, colour};

    buffer_reset(&out);
    progress_block_append(&out, &run, &rate, &screen);
    return buffer_text(&out);
}

static void assert_says(const char *text)
{
    if (!strstr(block(100, 40, false), text))
        fail_msg("\"%s\" is not in:\n%s", text, buffer_text(&out));
}

static void assert_silent(const char *text)
{
    if (strstr(block(100, 40, false), text))
        fail_msg("\"%s\" is in:\n%s", text, buffer_text(&out));
}

static void it_reads_like_this(void **state)
{
    (void)state;
    assert_string_equal(block(80, 24, false),
                        "orders-2026  [##################------------]   62.5 %  about 2 s left\n"
                        "2,500 rows   1.00 k rows/s   0 B   100 kB/s   running for 1 min 9 s\n"
                        "orders: 4 partitions, 1 halted, 1 loading, 1 waiting, 1 complete\n"
                        "[0]  25.0 % halted     [1]  50.0 % loading    [2]  75.0 % waiting \n"
                        "[3] 100.0 % complete\n");
}

static void what_is_no_row_is_said_once_there_is_some(void **state)
{
    (void)state;
    assert_silent("dead letters");
    assert_silent("retention");
    ranges[0].rows_count -= 7;
    ranges[0].dead_letters_count = 4;
    ranges[0].skipped_count = 3;
    ranges[1].records_count -= 50;
    ranges[1].rows_count -= 50;
    ranges[1].lost_count = 40;
    assert_says("\n40 gone to retention unread   4 dead letters   3 skipped   "
                "10 without a record\n");
    ranges[0].rows_count += 3;
    ranges[0].dead_letters_count = 1;
    assert_says("   1 dead letter   3 skipped");
}

static void a_halted_partition_says_why(void **state)
{
    (void)state;
    ranges[0].reason = "table \"orders\" is locked";
    assert_says("\norders[0] halted: table \"orders\" is locked\n");
}

static void there_is_no_estimate_without_a_reason_for_it(void **state)
{
    (void)state;
    rate = (struct progress_rate){0};
    assert_silent("about");
    begin(NULL);
    run.state = PROGRESS_INTERRUPTED;
    assert_silent("about");
    assert_says("interrupted after");
}

static void several_topics_are_named(void **state)
{
    (void)state;
    ranges[3].topic = "refunds";
    assert_says("\n4 partitions, 1 halted");
    assert_says("refunds[3] 100.0 % complete");
}

static void too_many_partitions_are_folded(void **state)
{
    (void)state;
    run.ranges_count = 300;
    block(80, 24, false);
    assert_non_null(strstr(out.data, "orders: 300 partitions, 75 halted"));
    assert_non_null(strstr(out.data, "and 276 more partitions\n"));
    assert_null(strstr(out.data, "100.0 % complete"));
}

static void a_run_of_nothing_is_done(void **state)
{
    (void)state;
    run.ranges_count = 0;
    run.state = PROGRESS_COMPLETE;
    assert_says("100.0 %");
    assert_says("0 partitions\n");
}

static void colours_only_when_they_are_wanted(void **state)
{
    (void)state;
    assert_null(strchr(block(80, 24, false), '\033'));
    assert_non_null(strstr(block(80, 24, true), "\033[31m1 halted\033[0m"));
}

/* The widest line's columns, escape sequences left out. */
static int widest(const char *text)
{
    int most = 0;
    int columns = 0;

    for (; *text; text++) {
        if (*text == '\033')
            text = strchr(text, 'm');
        else if (*text == '\n')
            columns = 0;
        else if (++columns > most)
            most = columns;
    }
    return most;
}

static int count_lines(const char *text)
{
    int count = 0;

    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static void assert_fits(int columns, int rows)
{
    const char *text = block(columns, rows, true);

    assert_in_range(widest(text), 0, columns - 1);
    assert_in_range(count_lines(text), 1, rows - 1);
    if (rows >= 10)
        assert_in_range(count_lines(text), 1, rows / 2);
}

static void it_fits(void **state)
{
    static const size_t counts[] = {0, 1, 4, 12, 300};

    (void)state;
    ranges[0].reason = ranges[4].reason = ranges[8].reason =
        "a reason that is longer than most terminals are wide, which some of them are in the end";
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        run.ranges_count = counts[i];
        for (int columns = 2; columns <= 200; columns += 7)
            for (int rows = 2; rows <= 60; rows += 3)
                assert_fits(columns, rows);
    }
}

static void a_long_name_is_cut(void **state)
{
    (void)state;
    run.name = "a-name-of-a-run-that-somebody-has-thought-about-for-long";
    assert_says("a-name-of-a-run-that-somebody-...  [");
    assert_fits(80, 24);
}

#define BLOCK_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLOCK_TEST(it_reads_like_this),
        BLOCK_TEST(what_is_no_row_is_said_once_there_is_some),
        BLOCK_TEST(a_halted_partition_says_why),
        BLOCK_TEST(there_is_no_estimate_without_a_reason_for_it),
        BLOCK_TEST(several_topics_are_named),
        BLOCK_TEST(too_many_partitions_are_folded),
        BLOCK_TEST(a_run_of_nothing_is_done),
        BLOCK_TEST(colours_only_when_they_are_wanted),
        BLOCK_TEST(it_fits),
        BLOCK_TEST(a_long_name_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
