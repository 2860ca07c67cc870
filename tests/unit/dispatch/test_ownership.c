/* The life of a queue: routed, claimed, placed, open; halted and tried again; revoked. */
#include "dispatcher_fixture.h"

static void a_halt_while_claiming_does_not_meet_the_claims_answer(void **state)
{
    struct queue *queue = open_at(0, 0);
    struct err err;

    (void)state;
    append_range(queue, 0, 1);
    conn_lose(await_flush());
    pass_ms(200);
    struct conn *claim = await_claim();
    err_set(&err, ERR_OUTAGE, "CRC");
    ownership_halt(&dispatcher, queue, &err);
    give_position(claim, 0, 2);
    assert_int_equal(queue->state, QUEUE_HALTED);
    pass_ms(70000);
    answer_catalog();
    answer_claim(0, 3);
    assert_int_equal(queue->state, QUEUE_OPEN);
}

static void one_claim_at_a_time(void **state)
{
    struct queue *queue = open_at(0, 0);
    struct err err;

    (void)state;
    append_range(queue, 0, 1);
    conn_lose(await_flush());
    pass_ms(200);
    struct conn *claim = await_claim();
    err_set(&err, ERR_OUTAGE, "CRC");
    ownership_halt(&dispatcher, queue, &err);
    pass_ms(70000);
    answer_catalog();
    turns();
    assert_int_equal(queue->state, QUEUE_UNCLAIMED);
    give_position(claim, 0, 2);
    assert_int_equal(queue->state, QUEUE_UNCLAIMED);
    answer_claim(0, 3);
    assert_int_equal(queue->epoch, 3);
}

static void lose_every_connection(void)
{
    for (int i = 0; i < scripted_count; i++)
        if (scripted[i].conn->state != CONN_CLOSED)
            conn_lose(scripted[i].conn);
}

static void a_server_that_is_back_is_asked_whether_it_went_back_in_time(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    commit_flush(await_flush(), 1);
    assert_int_equal(queue->position, 2);
    lose_every_connection();
    pass_ms(200);
    answer_claim(0, 7);
    assert_int_equal(log_said("warn database went back in time"), 1);
    assert_ptr_equal(asked.started, queue);
    assert_int_equal(queue->read_next, 0);
    append_range(queue, 0, 1);
    commit_flush(await_flush(), 1);
    assert_int_equal(queue->position, 2);
}

static void a_server_that_is_back_where_it_was_changes_nothing(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    lose_every_connection();
    pass_ms(200);
    answer_claim(0, 7);
    assert_int_equal(asked.starts, 1);
    assert_int_equal(asked.stops, 0);
    commit_flush(await_flush(), 1);
    assert_int_equal(queue->position, 2);
}

static void a_claim_that_fails_waits_before_the_next_one(void **state)
{
    int claims = 0;

    (void)state;
    ownership_assign(&dispatcher, "orders", 0);
    answer_catalog();
    for (int i = 0; i < 1000; i++) {
        struct conn *claim = conn_running("SET LOCAL lock_timeout");
        if (claim)
            conn_fail(claim, "25006", "cannot execute UPDATE in a read-only transaction", NULL);
        claims += claim != NULL;
        pass_ms(1);
    }
    assert_in_range(claims, 2, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISPATCHER_TEST(a_halt_while_claiming_does_not_meet_the_claims_answer),
        DISPATCHER_TEST(one_claim_at_a_time),
        DISPATCHER_TEST(a_claim_that_fails_waits_before_the_next_one),
        DISPATCHER_TEST(a_server_that_is_back_is_asked_whether_it_went_back_in_time),
        DISPATCHER_TEST(a_server_that_is_back_where_it_was_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
