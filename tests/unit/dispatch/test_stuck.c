/* What counts as stuck: work that nobody does. */
#include "dispatch/stuck.h"
#include "dispatcher_fixture.h"

static size_t stuck_for(int64_t ms)
{
    return stuck_count(&dispatcher, virtual_now_ms - ms);
}

static void an_idle_partition_is_not_stuck(void **state)
{
    (void)state;
    open_at(0, 10);
    pass_ms(600000);
    assert_int_equal(stuck_for(1000), 0);
}

static void a_flush_without_an_answer_is(void **state)
{
    struct queue *queue = open_at(0, 10);

    (void)state;
    pass_ms(600000);
    append_range(queue, 10, 11);
    await_flush();
    assert_int_equal(stuck_for(1000), 0); /* it was idle before */
    pass_ms(1000);
    assert_int_equal(stuck_for(1000), 1);
    append_range(queue, 12, 13); /* reading on is no progress */
    assert_int_equal(stuck_for(1000), 1);
}

static void a_flush_that_fails_has_moved(void **state)
{
    struct queue *queue = open_at(0, 10);

    (void)state;
    append_range(queue, 10, 11);
    struct conn *flush = await_flush();
    pass_ms(1000);
    conn_fail(flush, "55P03", "lock timeout", NULL);
    assert_int_equal(stuck_for(1000), 0);
}

static void a_claim_without_an_answer_is(void **state)
{
    (void)state;
    ownership_assign(&dispatcher, "orders", 0);
    answer_catalog();
    await_claim();
    pass_ms(1000);
    assert_int_equal(stuck_for(1000), 1);
    answer_claim(5, 1);
    assert_int_equal(stuck_for(1000), 0);
}

static void a_halted_partition_waits_for_an_operator(void **state)
{
    struct queue *queue = open_at(0, 10);
    struct err err;

    (void)state;
    dispatcher.draining = true; /* it is not tried again */
    err_set(&err, ERR_CONFIG, "the topic was made anew");
    ownership_halt(&dispatcher, queue, &err);
    pass_ms(600000);
    assert_int_equal(stuck_for(1000), 0);
}

static void the_log_says_which_and_where(void **state)
{
    struct queue *queue = open_at(3, 10);

    (void)state;
    append_range(queue, 10, 11);
    await_flush();
    pass_ms(2000);
    stuck_log(&dispatcher, virtual_now_ms - 1000);
    assert_int_equal(log_said("error stuck"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISPATCHER_TEST(an_idle_partition_is_not_stuck),
        DISPATCHER_TEST(a_flush_without_an_answer_is),
        DISPATCHER_TEST(a_flush_that_fails_has_moved),
        DISPATCHER_TEST(a_claim_without_an_answer_is),
        DISPATCHER_TEST(a_halted_partition_waits_for_an_operator),
        DISPATCHER_TEST(the_log_says_which_and_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
