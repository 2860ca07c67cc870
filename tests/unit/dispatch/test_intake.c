/* Records become ready batches, within the memory that they may use. */
#include "dispatcher_fixture.h"

static void a_batch_that_a_worker_encodes_anew_is_not_flushed_meanwhile(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_large(queue, 0);
    append_large(queue, 1);
    loop_finish_jobs();
    struct conn *flush = await_flush();
    conn_fail(flush, "42703", "column \"note\" does not exist", NULL);
    answer_catalog_with(orders_columns, 1);
    assert_int_equal(queue->state, QUEUE_OPEN);
    assert_no_flush();
    loop_finish_jobs();
    commit_flush(await_flush(), 1);
    assert_int_equal(queue->position, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISPATCHER_TEST(a_batch_that_a_worker_encodes_anew_is_not_flushed_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
