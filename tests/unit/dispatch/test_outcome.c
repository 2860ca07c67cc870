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

/* Commits. */

static void a_commit_moves_the_position_and_counts(void **state)
{
    struct queue *queue = open_at(0, 100);

    (void)state;
    append_range(queue, 100, 103);
    const struct batch *batch = TAILQ_FIRST(&queue->batches);
    size_t bytes = 2 * batch->rows.len;
    commit_flush(await_flush(), 1);
    assert_int_equal(queue->position, 104);
    assert_int_equal(queue->written.rows_count, 4);
    assert_true(intake_is_empty(&dispatcher));
    assert_int_equal(dispatcher.totals.rows_count, 4);
    assert_int_equal(dispatcher.totals.records_count, 4);
    assert_int_equal(dispatcher.totals.flushes_count, 1);
    assert_int_equal(dispatcher.totals.copied_bytes, bytes);
    assert_int_equal(dispatcher.totals.failed_flushes_count, 0);
}

static void dead_letters_are_records_but_no_rows(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    queue->wants_headers = true; /* so that it is not read again for them */
    append(queue, 0);
    append_value(queue, 1, "bad");
    commit_flush(await_flush(), 2);
    assert_int_equal(dispatcher.totals.rows_count, 1);
    assert_int_equal(dispatcher.totals.records_count, 2);
    assert_int_equal(dispatcher.totals.dead_letters_count, 1);
    assert_int_equal(log_said("warn dead letters topic=orders partition=0 count=1 first_offset=1"),
                     1);
}

/* Failures that pass. */

static void contention_sends_the_same_again_after_a_pause(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    struct conn *flush = await_flush();
    char *sql = strdup(conn_sql(flush));
    conn_fail(flush, "40P01", "deadlock detected", NULL);
    assert_int_equal(queue->state, QUEUE_OPEN);
    assert_no_flush();
    pass_ms(100);
    flush = await_flush();
    assert_string_equal(conn_sql(flush), sql);
    commit_flush(flush, 1);
    assert_int_equal(queue->position, 2);
    assert_int_equal(queue->attempts, 0);
    assert_int_equal(dispatcher.totals.failed_flushes_count, 1);
    free(sql);
}

static void a_server_without_resources_is_tried_for_ever(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    for (int i = 0; i < 100; i++) {
        conn_fail(await_flush(), "53100", "could not extend file: No space left on device", NULL);
        assert_int_equal(queue->state, QUEUE_OPEN);
        pass_ms(10000);
    }
    commit_flush(await_flush(), 1);
    assert_int_equal(queue->position, 2);
}

static void records_come_in_while_a_flush_waits_to_be_tried_again(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    conn_fail(await_flush(), "40001", "could not serialize", NULL);
    append_range(queue, 2, 3);
    assert_no_flush();
    pass_ms(100);
    commit_flush(await_flush(), 1);
    assert_int_equal(queue->position, 4);
}

static void a_failure_holds_up_all_partitions_of_its_flush(void **state)
{
    struct queue *one = open_at(1, 0);
    struct queue *two = open_at(2, 0);

    (void)state;
    append_range(one, 0, 1);
    append_range(two, 0, 1);
    conn_fail(await_flush(), "40001", "could not serialize", NULL);
    assert_no_flush();
    pass_ms(100);
    commit_flush(await_flush(), 1);
    assert_int_equal(one->position, 2);
    assert_int_equal(two->position, 2);
}

static void one_partition_of_a_flush_may_be_revoked(void **state)
{
    struct queue *one = open_at(1, 0);
    struct queue *two = open_at(2, 0);

    (void)state;
    append_range(one, 0, 1);
    append_range(two, 0, 1);
    struct conn *flush = await_flush();
    ownership_revoke(&dispatcher, one);
    conn_fail(flush, "40001", "could not serialize", NULL);
    pass_ms(100);
    flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "ARRAY[2]::integer[]"));
    commit_flush(flush, 1);
    assert_int_equal(two->position, 2);
}

/* Records that PostgreSQL refuses. */

static void a_refused_row_becomes_a_dead_letter_and_the_others_rows(void **state)
{
    static const char reason[] = "\trefused by PostgreSQL: refused\t23505\t";
    struct queue *queue = open_at(0, 0);

    (void)state;
    queue->wants_headers = true; /* so that it is not read again for them */
    append_range(queue, 0, 1);
    fail_with(await_flush(), "23505", "COPY orders, line 2");
    struct conn *flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "COPY pgsluice.dead_letters"));
    give_advanced(flush);
    take_copy(flush);
    conn_give_copied(flush, 1);
    struct slice letters = take_copy(flush);
    assert_memory_equal(letters.data, "sink\torders\t0\t1\t", 16);
    assert_non_null(memmem(letters.data, letters.len, reason, sizeof(reason) - 1));
    conn_give_copied(flush, 1);
    conn_succeed(flush);
    assert_int_equal(queue->position, 2);
    assert_int_equal(dispatcher.totals.rows_count, 1);
    assert_int_equal(dispatcher.totals.dead_letters_count, 1);
}

/* Its batches go alone until then, so that the others are not sent again for the next bad one. */
static void after_a_refusal_batches_go_alone_until_one_is_committed(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    queue->wants_headers = true;
    append_range(queue, 0, 5);
    fail_with(await_flush(), "23505", "COPY orders, line 1");
    struct conn *flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "ARRAY[0]::bigint[], ARRAY[2]::bigint[], ARRAY[-1]"));
    commit_flush(flush, 2);
    flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "ARRAY[2]::bigint[], ARRAY[6]::bigint[], ARRAY[-1]"));
    commit_flush(flush, 1);
    assert_int_equal(queue->position, 6);
}

static void a_refused_row_is_read_again_for_its_headers(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 3);
    fail_with(await_flush(), "23505", "COPY orders, line 3");
    assert_true(queue->wants_headers);
    assert_int_equal(queue->read_next, 2);
    assert_int_equal(asked.starts, 2);
    commit_flush(await_flush(), 1);
    append_range(queue, 2, 3);
    fail_with(await_flush(), "23505", "COPY orders, line 1");
    commit_flush(await_flush(), 2);
    assert_int_equal(queue->position, 4);
    assert_int_equal(dispatcher.totals.dead_letters_count, 1);
}

/* Flush after flush, until there is none; PostgreSQL takes no row at all. */
static void refuse_everything(void)
{
    struct conn *flush;

    for (int i = 0; (turns(), flush = conn_running("pgsluice.advance(")); i++) {
        assert_true(i < 100);
        if (strstr(conn_sql(flush), "COPY \"public\""))
            fail_with(flush, "23514", "COPY orders, line 1");
        else
            commit_flush(flush, 1);
    }
}

static void every_row_may_be_refused(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    queue->wants_headers = true;
    append_range(queue, 0, 5);
    refuse_everything();
    assert_int_equal(dispatcher.totals.dead_letters_count, 6);
    assert_int_equal(dispatcher.totals.rows_count, 0);
    assert_int_equal(queue->position, 6);
}

static void a_refused_row_of_one_partition_is_not_the_others_fault(void **state)
{
    struct queue *one = open_at(1, 0);
    struct queue *two = open_at(2, 0);

    (void)state;
    one->wants_headers = two->wants_headers = true;
    append_range(one, 0, 1);
    append_range(two, 0, 1);
    fail_with(await_flush(), "22P02", "COPY orders, line 4, column note: \"x\"");
    commit_flush(await("ARRAY[1]::integer[]"), 1);
    commit_flush(await("ARRAY[2]::integer[]"), 2);
    assert_int_equal(one->written.rows_count, 2);
    assert_int_equal(two->written.rows_count, 1);
    assert_int_equal(two->position, 2);
}

static void a_data_error_of_a_lost_connection_blames_nobody(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    conn_lose(await_flush());
    assert_int_equal(queue->state, QUEUE_UNCLAIMED);
    assert_int_equal(dispatcher.totals.dead_letters_count, 0);
}

/* Tables that change. */

static void a_table_that_is_as_it_was_halts_its_partition(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    conn_fail(await_flush(), "42501", "permission denied for table orders", NULL);
    assert_int_equal(queue->state, QUEUE_UNROUTED);
    answer_catalog();
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_int_equal(log_said("error partition halted topic=orders partition=0 position=0 "
                              "class=configuration reason=permission denied for table orders"),
                     1);
}

static void a_table_that_has_changed_gets_its_rows_anew(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 3);
    conn_fail(await_flush(), "42703", "column \"note\" does not exist", NULL);
    answer_catalog_with(orders_columns, 1);
    struct conn *flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "COPY \"public\".\"orders\" (\"id\") FROM"));
    commit_flush(flush, 1);
    assert_int_equal(queue->position, 4);
    assert_int_equal(asked.starts, 1);
}

static void a_description_that_is_lost_is_asked_for_again(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    conn_fail(await_flush(), "42703", "column \"note\" does not exist", NULL);
    conn_lose(await_catalog());
    pass_ms(500);
    answer_catalog_with(orders_columns, 1);
    commit_flush(await_flush(), 1);
    assert_int_equal(queue->position, 2);
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
        DISPATCHER_TEST(a_commit_moves_the_position_and_counts),
        DISPATCHER_TEST(dead_letters_are_records_but_no_rows),
        DISPATCHER_TEST(contention_sends_the_same_again_after_a_pause),
        DISPATCHER_TEST(a_server_without_resources_is_tried_for_ever),
        DISPATCHER_TEST(records_come_in_while_a_flush_waits_to_be_tried_again),
        DISPATCHER_TEST(a_failure_holds_up_all_partitions_of_its_flush),
        DISPATCHER_TEST(one_partition_of_a_flush_may_be_revoked),
        DISPATCHER_TEST(a_refused_row_becomes_a_dead_letter_and_the_others_rows),
        DISPATCHER_TEST(after_a_refusal_batches_go_alone_until_one_is_committed),
        DISPATCHER_TEST(a_refused_row_is_read_again_for_its_headers),
        DISPATCHER_TEST(every_row_may_be_refused),
        DISPATCHER_TEST(a_refused_row_of_one_partition_is_not_the_others_fault),
        DISPATCHER_TEST(a_data_error_of_a_lost_connection_blames_nobody),
        DISPATCHER_TEST(a_table_that_is_as_it_was_halts_its_partition),
        DISPATCHER_TEST(a_table_that_has_changed_gets_its_rows_anew),
        DISPATCHER_TEST(a_description_that_is_lost_is_asked_for_again),
        DISPATCHER_TEST(a_changed_table_is_read_anew_for_each_partition_that_met_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
