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

static const struct catalog_column orders_with_a_code[] = {
    {.name = "id", .oid = OID_INT8, .not_null = true},
    {.name = "code", .oid = OID_INT8, .not_null = true},
};

static void what_is_encoded_anew_may_have_to_be_read_again(void **state)
{
    struct config small = usual_config();
    static char value[12 * 1024];

    end(state);
    small.memory_limit_bytes = 64 * 1024; /* so that dropped batches are not kept for another use */
    open_dispatcher(&small);
    struct queue *queue = open_at(0, 0);
    snprintf(value, sizeof(value), "{\"id\": 1, \"note\": \"%*s\"}", 11 * 1024, "");
    append_value(queue, 0, value);
    append(queue, 1);
    append_range(queue, 2, 3);
    conn_fail(await_flush(), "42703", "column \"note\" does not exist", NULL);
    answer_catalog_with(orders_with_a_code, 2);
    assert_int_equal(queue->state, QUEUE_OPEN);
    assert_true(intake_is_empty(&dispatcher));
    assert_ptr_equal(asked.started, queue);
    assert_int_equal(queue->read_next, 0);
    append_range(queue, 0, 1);
    commit_flush(await_flush(), 1);
    assert_int_equal(dispatcher.totals.dead_letters_count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISPATCHER_TEST(a_batch_that_a_worker_encodes_anew_is_not_flushed_meanwhile),
        DISPATCHER_TEST(what_is_encoded_anew_may_have_to_be_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
