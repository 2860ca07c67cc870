/* What follows from a flush's end. */
#include "dispatcher_fixture.h"

static struct conn *fail_with(struct conn *flush, const char *sqlstate, const char *context)
{
    give_advanced(flush);
    take_copy(flush);
    conn_fail(flush, sqlstate, "refused", context);
    return flush;
}

static void a_refused_record_of_a_revoked_partition_is_nobodys(void **state)
{
    struct config small = usual_config();

    end(state);
    small.memory_limit_bytes = 64 * 1024; /* so that the batch is not kept for another use */
    open_dispatcher(&small);
    struct queue *queue = open_at(0, 0);
    append_large(queue, 0);
    append_large(queue, 1);
    loop_finish_jobs();
    struct conn *flush = await_flush();
    ownership_revoke(&dispatcher, queue);
    fail_with(flush, "23514", "COPY orders, line 1: \"?\"");
    assert_true(intake_is_empty(&dispatcher));
}

static void a_changed_table_is_read_anew_for_each_partition_that_met_it(void **state)
{
    struct queue *one = open_at(1, 0);
    struct queue *two = open_at(2, 0);

    (void)state;
    append_range(one, 0, 1);
    struct conn *first = await_flush();
    append_range(two, 0, 1);
    struct conn *second = await("ARRAY[2]::integer[]");
    conn_fail(first, "42703", "column \"note\" does not exist", NULL);
    answer_catalog_with(orders_columns, 1);
    assert_int_equal(one->state, QUEUE_OPEN);
    conn_fail(second, "42703", "column \"note\" does not exist", NULL);
    answer_catalog_with(orders_columns, 1);
    assert_int_equal(two->state, QUEUE_OPEN);
    commit_flush(await("ARRAY[2]::integer[]"), 1);
    assert_int_equal(two->position, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISPATCHER_TEST(a_refused_record_of_a_revoked_partition_is_nobodys),
        DISPATCHER_TEST(a_changed_table_is_read_anew_for_each_partition_that_met_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
