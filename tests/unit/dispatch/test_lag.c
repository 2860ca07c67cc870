/* How far behind a partition is said to be. */
#include "dispatch/lag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { NOW_MS = 1000000 };

static struct arena_store store;
static struct queue *queue;

/* Open at 100, with nothing read. */
static int begin(void **state)
{
    (void)state;
    queue = queue_create(NULL, 3);
    queue->state = QUEUE_OPEN;
    queue->fetching = true;
    queue->position = 100;
    queue->read_next = 100;
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (struct batch *batch; (batch = TAILQ_FIRST(&queue->batches));) {
        TAILQ_REMOVE(&queue->batches, batch, entry);
        batch_destroy(batch);
    }
    queue_destroy(queue);
    arena_store_finish(&store);
    return 0;
}

/* Records at the offsets [100, next), the first one as old as that. */
static void hold(int64_t next, int64_t age_ms)
{
    struct batch *batch = batch_create(&store);

    batch_set_state(batch, BATCH_FILLING);
    for (int64_t offset = 100; offset < next; offset++)
        batch_append(batch, &(struct record){.offset = offset, .timestamp_ms = NOW_MS - age_ms});
    TAILQ_INSERT_TAIL(&queue->batches, batch, entry);
    queue->read_next = next;
}

static void it_is_not_known_at_first(void **state)
{
    (void)state;
    assert_int_equal(lag_records(queue), -1);
    assert_int_equal(lag_ms(queue, NOW_MS), 0);
    lag_note(queue, 120, 100, NOW_MS);
    queue->position = -1;
    assert_int_equal(lag_records(queue), -1);
}

static void it_ends_where_the_log_does(void **state)
{
    (void)state;
    lag_note(queue, 120, 100, NOW_MS);
    assert_int_equal(lag_records(queue), 20);
    queue->position = 120;
    assert_int_equal(lag_records(queue), 0);
    queue->position = 130; /* written since */
    assert_int_equal(lag_records(queue), 0);
}

static void what_was_read_since_counts(void **state)
{
    (void)state;
    lag_note(queue, 105, 100, NOW_MS);
    hold(140, 0);
    assert_int_equal(lag_end(queue), 140);
    assert_int_equal(lag_records(queue), 40);
}

/* A transaction's marker at 100, or records that were given up. */
static void offsets_that_never_come_are_no_lag(void **state)
{
    (void)state;
    lag_note(queue, 101, 101, NOW_MS);
    assert_int_equal(lag_records(queue), 0);
    assert_int_equal(lag_ms(queue, NOW_MS + 5000), 0);
}

static void what_is_not_written_yet_is_lag_though_all_is_read(void **state)
{
    (void)state;
    hold(110, 700);
    lag_note(queue, 111, 111, NOW_MS);
    assert_int_equal(lag_records(queue), 11);
    assert_int_equal(lag_ms(queue, NOW_MS), 700);
}

static void a_halted_partition_is_behind(void **state)
{
    (void)state;
    lag_note(queue, 110, 110, NOW_MS);
    queue->state = QUEUE_HALTED; /* what was read is dropped: it comes again */
    queue->fetching = false;
    assert_int_equal(lag_records(queue), 10);
}

static void one_that_went_back_is_behind(void **state)
{
    (void)state;
    queue->read_next = 110;
    lag_note(queue, 111, 111, NOW_MS);
    assert_int_equal(lag_records(queue), 0);
    queue->position = 50;
    queue->read_next = 50;
    assert_int_equal(lag_records(queue), 61);
}

static void without_a_record_its_age_is_since_we_saw_it(void **state)
{
    (void)state;
    lag_note(queue, 110, -1, NOW_MS);
    lag_note(queue, 120, -1, NOW_MS + 30000);
    assert_int_equal(lag_ms(queue, NOW_MS + 40000), 40000);
    queue->position = 115;
    lag_note(queue, 120, -1, NOW_MS + 60000); /* it moves: another record waits now */
    assert_int_equal(lag_ms(queue, NOW_MS + 61000), 1000);
}

static void a_record_from_the_future_has_no_age(void **state)
{
    (void)state;
    hold(110, -5000);
    lag_note(queue, 110, 110, NOW_MS);
    assert_int_equal(lag_ms(queue, NOW_MS), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_not_known_at_first),
        TEST(it_ends_where_the_log_does),
        TEST(what_was_read_since_counts),
        TEST(offsets_that_never_come_are_no_lag),
        TEST(what_is_not_written_yet_is_lag_though_all_is_read),
        TEST(a_halted_partition_is_behind),
        TEST(one_that_went_back_is_behind),
        TEST(without_a_record_its_age_is_since_we_saw_it),
        TEST(a_record_from_the_future_has_no_age),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
