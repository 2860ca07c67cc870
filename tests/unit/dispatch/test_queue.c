/* One partition's states, and how a claim's answer meets what it holds. */
#include "dispatch/queue.h"

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
static struct queue_list lists[QUEUE_STATES];
static struct queue *queue;

static int begin(void **state)
{
    (void)state;
    for (int i = 0; i < QUEUE_STATES; i++)
        TAILQ_INIT(&lists[i]);
    queue = queue_create(NULL, 3);
    TAILQ_INSERT_TAIL(&lists[QUEUE_UNROUTED], queue, entry);
    return 0;
}

static void drop_batches(void)
{
    for (struct batch *batch; (batch = TAILQ_FIRST(&queue->batches));) {
        TAILQ_REMOVE(&queue->batches, batch, entry);
        batch_destroy(batch);
    }
}

static int end(void **state)
{
    (void)state;
    drop_batches();
    queue_destroy(queue);
    arena_store_finish(&store);
    return 0;
}

/* A ready batch with a record at each offset. */
static struct batch *hold(int64_t first, int64_t last)
{
    struct batch *batch = batch_create(&store);

    batch_set_state(batch, BATCH_FILLING);
    for (int64_t offset = first; offset <= last; offset++)
        batch_append(batch, &(struct record){.offset = offset});
    batch_set_state(batch, BATCH_ENCODING);
    batch_set_state(batch, BATCH_READY);
    batch->queue = queue;
    TAILQ_INSERT_TAIL(&queue->batches, batch, entry);
    return batch;
}

/* Open at a position, with batches 100..109, 110..119, and after a gap 130..139. */
static void hold_three_batches(int64_t position)
{
    queue->position = position;
    queue->fetching = true;
    hold(100, 109);
    hold(110, 119);
    hold(130, 139);
    queue->read_next = 140;
}

/* States. */

static void it_begins_without_a_position(void **state)
{
    (void)state;
    assert_int_equal(queue->state, QUEUE_UNROUTED);
    assert_int_equal(queue->partition, 3);
    assert_int_equal(queue->position, -1);
    assert_int_equal(queue->initial, -1);
    assert_int_equal(queue->told, -1);
    assert_false(queue->fetching);
    assert_true(queue_is_quiet(queue));
}

static void a_state_is_membership_of_a_list(void **state)
{
    static const enum queue_state way[] = {
        QUEUE_UNCLAIMED, QUEUE_CLAIMING,  QUEUE_UNPLACED, QUEUE_UNCLAIMED, QUEUE_CLAIMING,
        QUEUE_OPEN,      QUEUE_UNCLAIMED, QUEUE_CLAIMING, QUEUE_OPEN,      QUEUE_UNROUTED,
        QUEUE_UNCLAIMED, QUEUE_HALTED,    QUEUE_UNROUTED, QUEUE_REVOKED};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(way); i++) {
        queue_set_state(queue, way[i], lists);
        assert_int_equal(queue->state, way[i]);
        for (enum queue_state at = 0; at < QUEUE_STATES; at++)
            assert_ptr_equal(TAILQ_FIRST(&lists[at]), at == way[i] ? queue : NULL);
    }
}

static const char *const arrows[QUEUE_STATES] = {
    [QUEUE_UNROUTED] = ".U.POHR", [QUEUE_UNCLAIMED] = "..C..HR", [QUEUE_CLAIMING] = ".U.POHR",
    [QUEUE_UNPLACED] = ".U..OHR", [QUEUE_OPEN] = "RU...HR",      [QUEUE_HALTED] = "R.....R",
    [QUEUE_REVOKED] = ".......",
};

/* A child, because a step that is not drawn has to end it. */
static bool can_go(enum queue_state from, enum queue_state to)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        TAILQ_REMOVE(&lists[queue->state], queue, entry);
        TAILQ_INSERT_TAIL(&lists[from], queue, entry);
        queue->state = from;
        queue_set_state(queue, to, lists);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void only_the_drawn_steps_are_possible(void **state)
{
    (void)state;
    for (enum queue_state from = 0; from < QUEUE_STATES; from++)
        for (enum queue_state to = 0; to < QUEUE_STATES; to++)
            if (can_go(from, to) != (arrows[from][to] != '.'))
                fail_msg("from %s to %s", queue_state_name(from), queue_state_name(to));
}

static void every_state_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(queue_state_name(QUEUE_UNROUTED), "unrouted");
    assert_string_equal(queue_state_name(QUEUE_REVOKED), "revoked");
}

/* What may be flushed, and what may be destroyed. */

static void open_with_a_ready_batch_it_is_flushable(void **state)
{
    (void)state;
    struct batch *batch = hold(0, 9);
    queue->state = QUEUE_OPEN;
    assert_true(queue_is_flushable(queue, 0));
    batch_set_state(batch, BATCH_ENCODING);
    assert_false(queue_is_flushable(queue, 0));
    batch_set_state(batch, BATCH_READY);
    for (enum queue_state at = 0; at < QUEUE_STATES; at++) {
        queue->state = at;
        assert_int_equal(queue_is_flushable(queue, 0), at == QUEUE_OPEN);
    }
}

static void one_flush_at_a_time(void **state)
{
    (void)state;
    hold(0, 9);
    queue->state = QUEUE_OPEN;
    queue->flush = (struct flush *)(uintptr_t)1;
    assert_false(queue_is_flushable(queue, 0));
    queue->flush = NULL;
    assert_true(queue_is_flushable(queue, 0));
}

static void a_retry_waits_for_its_time(void **state)
{
    (void)state;
    hold(0, 9);
    queue->state = QUEUE_OPEN;
    queue->retry_at_ms = 1000;
    assert_false(queue_is_flushable(queue, 999));
    assert_true(queue_is_flushable(queue, 1000));
}

static void without_a_batch_there_is_nothing_to_flush(void **state)
{
    (void)state;
    queue->state = QUEUE_OPEN;
    assert_false(queue_is_flushable(queue, 0));
}

static void it_is_quiet_when_nothing_is_under_way(void **state)
{
    (void)state;
    queue->claiming = true;
    assert_false(queue_is_quiet(queue));
    queue->claiming = false;
    queue->flush = (struct flush *)(uintptr_t)1;
    assert_false(queue_is_quiet(queue));
    queue->flush = NULL;
    hold(0, 0);
    assert_false(queue_is_quiet(queue));
    drop_batches();
    assert_true(queue_is_quiet(queue));
}

/* Claims. */

static void assert_reconciles(int64_t next_offset, enum queue_outcome expected, size_t batches,
                              int64_t read_next)
{
    size_t committed = 99;
    enum queue_outcome outcome = queue_reconcile(queue, next_offset, 7, &committed);

    assert_int_equal(outcome, expected);
    assert_int_equal(committed, batches);
    assert_int_equal(queue->position, next_offset);
    assert_int_equal(queue->epoch, 7);
    assert_int_equal(queue->read_next, read_next);
}

static void the_first_claim_starts_at_the_position(void **state)
{
    (void)state;
    assert_reconciles(500, QUEUE_STARTS, 0, 500);
}

static void a_claim_that_finds_nothing_new_goes_on(void **state)
{
    (void)state;
    hold_three_batches(100);
    assert_reconciles(100, QUEUE_GOES_ON, 0, 140);
}

static void a_lost_flush_that_was_committed_is_seen(void **state)
{
    (void)state;
    hold_three_batches(100);
    assert_reconciles(120, QUEUE_GOES_ON, 2, 140);
}

static void everything_it_holds_may_be_committed(void **state)
{
    (void)state;
    hold_three_batches(100);
    assert_reconciles(140, QUEUE_GOES_ON, 3, 140);
}

static void a_position_beyond_what_it_holds_is_what_it_waits_for(void **state)
{
    (void)state;
    hold_three_batches(100);
    assert_reconciles(200, QUEUE_GOES_ON, 3, 200);
}

static void a_position_in_a_gap_is_between_batches(void **state)
{
    (void)state;
    hold_three_batches(100);
    assert_reconciles(125, QUEUE_GOES_ON, 2, 140);
}

static void a_position_inside_a_batch_means_another_owner(void **state)
{
    (void)state;
    hold_three_batches(100);
    assert_reconciles(105, QUEUE_OVERTAKEN, 0, 105);
}

static void the_last_record_of_a_batch_is_inside_too(void **state)
{
    (void)state;
    hold_three_batches(100);
    assert_reconciles(139, QUEUE_OVERTAKEN, 0, 139);
}

static void a_position_before_ours_means_the_database_went_back(void **state)
{
    (void)state;
    hold_three_batches(100);
    assert_reconciles(99, QUEUE_REWOUND, 0, 99);
}

static void a_gap_at_the_front_does_not_hide_a_rewind(void **state)
{
    (void)state;
    hold_three_batches(95);
    assert_reconciles(90, QUEUE_REWOUND, 0, 90);
}

static void a_gap_at_the_front_goes_on(void **state)
{
    (void)state;
    hold_three_batches(90);
    assert_reconciles(95, QUEUE_GOES_ON, 0, 140);
}

static void what_is_not_fetched_starts_wherever_it_stood(void **state)
{
    (void)state;
    hold_three_batches(100);
    drop_batches();
    queue->fetching = false;
    assert_reconciles(50, QUEUE_STARTS, 0, 50);
    assert_reconciles(5000, QUEUE_STARTS, 0, 5000);
}

static void with_nothing_held_it_goes_on_where_it_reads(void **state)
{
    (void)state;
    queue->position = 100;
    queue->read_next = 100;
    queue->fetching = true;
    assert_reconciles(100, QUEUE_GOES_ON, 0, 100);
    assert_reconciles(150, QUEUE_GOES_ON, 0, 150);
    assert_reconciles(149, QUEUE_REWOUND, 0, 149);
}

#define QUEUE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(it_begins_without_a_position),
        QUEUE_TEST(a_state_is_membership_of_a_list),
        QUEUE_TEST(only_the_drawn_steps_are_possible),
        QUEUE_TEST(every_state_has_a_name),
        QUEUE_TEST(open_with_a_ready_batch_it_is_flushable),
        QUEUE_TEST(one_flush_at_a_time),
        QUEUE_TEST(a_retry_waits_for_its_time),
        QUEUE_TEST(without_a_batch_there_is_nothing_to_flush),
        QUEUE_TEST(it_is_quiet_when_nothing_is_under_way),
        QUEUE_TEST(the_first_claim_starts_at_the_position),
        QUEUE_TEST(a_claim_that_finds_nothing_new_goes_on),
        QUEUE_TEST(a_lost_flush_that_was_committed_is_seen),
        QUEUE_TEST(everything_it_holds_may_be_committed),
        QUEUE_TEST(a_position_beyond_what_it_holds_is_what_it_waits_for),
        QUEUE_TEST(a_position_in_a_gap_is_between_batches),
        QUEUE_TEST(a_position_inside_a_batch_means_another_owner),
        QUEUE_TEST(the_last_record_of_a_batch_is_inside_too),
        QUEUE_TEST(a_position_before_ours_means_the_database_went_back),
        QUEUE_TEST(a_gap_at_the_front_does_not_hide_a_rewind),
        QUEUE_TEST(a_gap_at_the_front_goes_on),
        QUEUE_TEST(what_is_not_fetched_starts_wherever_it_stood),
        QUEUE_TEST(with_nothing_held_it_goes_on_where_it_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
