/* Records of a batch are its own copies; dead letters are in order; everything goes back at once.
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
    (void)state;
    fill(1000);
    batch_set_state(batch, BATCH_ENCODING);
    batch_note_dead(batch, 3);
    batch->first = 2;
    batch->buried_count = 1;
    batch->stopped = true;
    batch_set_state(batch, BATCH_READY);
    size_t overhead = batch_overhead_bytes(batch);
    batch_reset(batch);
    assert_int_equal(batch->state, BATCH_FREE);
    assert_int_equal(batch->count, 0);
    assert_int_equal(batch->bytes, 0);
    assert_int_equal(batch->dead_count, 0);
    assert_int_equal(batch->first, 0);
    assert_int_equal(batch->buried_count, 0);
    assert_false(batch->stopped);
    assert_null(batch->queue);
    assert_null(batch->mapping);
    assert_int_equal(store.used_bytes, 0);
    assert_int_equal(batch_overhead_bytes(batch), overhead);
    fill(1);
    assert_int_equal(batch->records[0].offset, 100);
}

/* Dead letters. */

/* A letter of ten bytes. */
static void note_letter(uint32_t index)
{
    struct batch_letter *letter = batch_note_dead(batch, index);

    buffer_append(&batch->dead_letters, "0123456789", 10);
    letter->end = batch->dead_letters.len;
}

static void dead_letters_are_in_the_order_of_their_records(void **state)
{
    enum { RECORDS = 1000 };

    (void)state;
    fill(RECORDS);
    for (uint32_t i = 0; i < RECORDS; i += 2)
        note_letter(i * 7 % RECORDS); /* each even one, once */
    assert_int_equal(batch->dead_count, RECORDS / 2);
    for (uint32_t i = 0; i < RECORDS / 2; i++)
        assert_int_equal(batch->dead[i].index, 2 * i);
}

static void a_dead_letter_knows_its_bytes(void **state)
{
    (void)state;
    fill(10);
    note_letter(7);
    note_letter(2);
    assert_int_equal(batch->dead[0].begin, 10);
    assert_int_equal(batch->dead[0].end, 20);
    assert_int_equal(batch->dead[1].begin, 0);
    assert_int_equal(batch->dead[1].end, 10);
}

static void dead_letters_in_front_of_a_record_are_counted(void **state)
{
    static const uint32_t expected[] = {0, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5};

    (void)state;
    fill(10);
    note_letter(0);
    note_letter(1);
    note_letter(4);
    note_letter(7);
    note_letter(9);
    for (uint32_t i = 0; i <= 10; i++)
        assert_int_equal(batch_dead_before(batch, i), expected[i]);
}

static void all_that_is_held_is_counted(void **state)
{
    (void)state;
    fill(100);
    size_t overhead = batch_overhead_bytes(batch);
    for (uint32_t i = 0; i < 100; i++)
        note_letter(i);
    assert_true(batch_overhead_bytes(batch) >= overhead + 100 * (10 + sizeof(struct batch_letter)));
}

/* States: FREE, FILLING, ENCODING, PRODUCING, READY, FLUSHING. */

static const char *const arrows[] = {
    [BATCH_FREE] = ".x....",      [BATCH_FILLING] = "x.x...", [BATCH_ENCODING] = "x...x.",
    [BATCH_PRODUCING] = "x...x.", [BATCH_READY] = "x.xx.x",   [BATCH_FLUSHING] = "x...x.",
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
        BATCH_TEST(dead_letters_are_in_the_order_of_their_records),
        BATCH_TEST(a_dead_letter_knows_its_bytes),
        BATCH_TEST(dead_letters_in_front_of_a_record_are_counted),
        BATCH_TEST(all_that_is_held_is_counted),
        BATCH_TEST(only_the_drawn_steps_are_possible),
        BATCH_TEST(nothing_can_be_destroyed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
