/* Records of a batch are its own copies; refusals find their record; everything goes back at once.
 */
#include "dispatch/batch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct arena_store store;
static struct batch *batch;

static int begin(void **state)
{
    (void)state;
    batch = batch_create(&store);
    return 0;
}

static int end(void **state)
{
    (void)state;
    batch_destroy(batch);
    arena_store_finish(&store);
    return store.used_bytes == 0 ? 0 : -1;
}

static void fill(int count)
{
    batch_set_state(batch, BATCH_FILLING);
    for (int i = 0; i < count; i++)
        batch_append(batch, &(struct record){.offset = 100 + i, .value = slice_of("value")});
}

/* Records. */

static void a_record_outlives_its_message(void **state)
{
    char message[] = "keyvalueheaders";

    (void)state;
    batch_set_state(batch, BATCH_FILLING);
    batch_append(batch, &(struct record){.offset = 7,
                                         .timestamp_ms = 8,
                                         .key = {message, 3},
                                         .value = {message + 3, 5},
                                         .headers = {message + 8, 7}});
    memset(message, 0, sizeof(message));
    assert_int_equal(batch->count, 1);
    assert_int_equal(batch->records[0].offset, 7);
    assert_int_equal(batch->records[0].timestamp_ms, 8);
    assert_true(slice_equal(batch->records[0].key, slice_of("key")));
    assert_true(slice_equal(batch->records[0].value, slice_of("value")));
    assert_true(slice_equal(batch->records[0].headers, slice_of("headers")));
    assert_int_equal(batch->bytes, 15);
}

static void nothing_and_empty_stay_two_things(void **state)
{
    char empty[] = "";

    (void)state;
    batch_set_state(batch, BATCH_FILLING);
    batch_append(batch, &(struct record){.offset = 1, .key = SLICE_NONE, .value = {empty, 0}});
    assert_null(batch->records[0].key.data);
    assert_non_null(batch->records[0].value.data);
    assert_ptr_not_equal(batch->records[0].value.data, empty);
    assert_int_equal(batch->records[0].value.len, 0);
    assert_int_equal(batch->bytes, 0);
}

static void the_position_behind_it_follows_the_last_record(void **state)
{
    (void)state;
    batch_set_state(batch, BATCH_FILLING);
    batch_append(batch, &(struct record){.offset = 100});
    assert_int_equal(batch->to, 101);
    batch_append(batch, &(struct record){.offset = 250});
    assert_int_equal(batch->to, 251);
}

static void many_records_keep_their_order(void **state)
{
    (void)state;
    fill(10000);
    assert_int_equal(batch->count, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(batch->records[i].offset, 100 + i);
    assert_int_equal(batch->bytes, 50000);
    assert_true(batch_overhead_bytes(batch) >= 10000 * sizeof(struct record));
}

static void reset_drops_everything_but_the_memory(void **state)
{
    struct err err;

    (void)state;
    fill(1000);
    size_t overhead = batch_overhead_bytes(batch);
    batch_set_state(batch, BATCH_ENCODING);
    batch_note_dead(batch, 3);
    batch->stopped = true;
    batch_set_state(batch, BATCH_READY);
    batch_refuse_row(batch, 0, &err);
    batch_reset(batch);
    assert_int_equal(batch->state, BATCH_FREE);
    assert_int_equal(batch->count, 0);
    assert_int_equal(batch->bytes, 0);
    assert_int_equal(batch->dead_count, 0);
    assert_int_equal(batch->refusals_count, 0);
    assert_false(batch->stopped);
    assert_null(batch->queue);
    assert_null(batch->mapping);
    assert_int_equal(store.used_bytes, 0);
    assert_int_equal(batch_overhead_bytes(batch), overhead);
    fill(1);
    assert_int_equal(batch->records[0].offset, 100);
}

/* Rows and refusals: a row is a record that is no dead letter. */

static struct err refusal(const char *text)
{
    struct err err;

    err_set(&err, ERR_DATA, "%s", text);
    return err;
}

static void assert_refused(uint32_t index, const char *text)
{
    const struct err *err = batch_refusal(batch, index);

    assert_non_null(err);
    assert_string_equal(err->text, text);
}

static void without_dead_letters_a_row_is_its_record(void **state)
{
    struct err err = refusal("a");

    (void)state;
    fill(10);
    batch_refuse_row(batch, 4, &err);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(batch_refusal(batch, i) != NULL, i == 4);
    assert_refused(4, "a");
}

static void dead_letters_are_no_rows(void **state)
{
    static const uint32_t dead[] = {0, 1, 4, 7, 9};
    static const uint32_t records[] = {2, 3, 5, 6, 8};

    (void)state;
    fill(10);
    for (int i = 0; i < 5; i++)
        batch_note_dead(batch, dead[i]);
    for (int row = 0; row < 5; row++) {
        struct err err = refusal("row");
        batch_refuse_row(batch, (size_t)row, &err);
        assert_refused(records[row], "row");
        assert_int_equal(batch->refusals_count, row + 1);
    }
}

static void refusals_are_found_in_whatever_order_they_came(void **state)
{
    enum { RECORDS = 1000 };

    (void)state;
    fill(RECORDS);
    for (uint32_t i = 0; i < RECORDS; i += 2) {
        uint32_t row = i * 7 % RECORDS; /* each even one, once */
        char text[16];
        snprintf(text, sizeof(text), "%u", row);
        struct err err = refusal(text);
        batch_refuse_row(batch, row, &err);
    }
    assert_int_equal(batch->refusals_count, RECORDS / 2);
    for (uint32_t i = 0; i < RECORDS; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%u", i);
        if (i % 2 == 0)
            assert_refused(i, text);
        else
            assert_null(batch_refusal(batch, i));
    }
}

static void many_dead_letters_are_remembered(void **state)
{
    struct err err = refusal("a");

    (void)state;
    fill(1000);
    for (uint32_t i = 0; i < 999; i++)
        batch_note_dead(batch, i);
    batch_refuse_row(batch, 0, &err);
    assert_refused(999, "a");
}

static void rows_are_counted_over_segments(void **state)
{
    struct batch_segment segments[] = {{.rows_count = 3}, {.rows_count = 4}};

    (void)state;
    assert_int_equal(batch_rows_count(batch), 0);
    batch->segments = segments;
    batch->segments_count = 2;
    assert_int_equal(batch_rows_count(batch), 7);
    batch->segments = NULL;
    batch->segments_count = 0;
}

/* States: FREE, FILLING, ENCODING, READY, FLUSHING. */

static const char *const arrows[] = {
    [BATCH_FREE] = ".x...",  [BATCH_FILLING] = "x.x..",  [BATCH_ENCODING] = "x..x.",
    [BATCH_READY] = "x.x.x", [BATCH_FLUSHING] = "x.xx.",
};

/* A child, because a step that is not drawn has to end it. */
static bool can_go(enum batch_state from, enum batch_state to)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        batch->state = from;
        batch_set_state(batch, to);
        _exit(batch->state == to ? 0 : 1);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void only_the_drawn_steps_are_possible(void **state)
{
    (void)state;
    for (enum batch_state from = BATCH_FREE; from <= BATCH_FLUSHING; from++)
        for (enum batch_state to = BATCH_FREE; to <= BATCH_FLUSHING; to++)
            if (can_go(from, to) != (arrows[from][to] != '.'))
                fail_msg("from %d to %d", (int)from, (int)to);
}

static void nothing_can_be_destroyed(void **state)
{
    (void)state;
    batch_destroy(NULL);
}

#define BATCH_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BATCH_TEST(a_record_outlives_its_message),
        BATCH_TEST(nothing_and_empty_stay_two_things),
        BATCH_TEST(the_position_behind_it_follows_the_last_record),
        BATCH_TEST(many_records_keep_their_order),
        BATCH_TEST(reset_drops_everything_but_the_memory),
        BATCH_TEST(without_dead_letters_a_row_is_its_record),
        BATCH_TEST(dead_letters_are_no_rows),
        BATCH_TEST(refusals_are_found_in_whatever_order_they_came),
        BATCH_TEST(many_dead_letters_are_remembered),
        BATCH_TEST(rows_are_counted_over_segments),
        BATCH_TEST(only_the_drawn_steps_are_possible),
        BATCH_TEST(nothing_can_be_destroyed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
