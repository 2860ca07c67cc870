/* The turn: ready batches meet idle connections. */
#include "dispatcher_fixture.h"

static void open_with(void **state, struct config with)
{
    end(state);
    open_dispatcher(&with);
}

static int flushes_count(void)
{
    int count = 0;

    for (int i = 0; i < scripted_count; i++) {
        const char *sql = conn_sql(scripted[i].conn);
        count += sql && strstr(sql, "pgsluice.advance(");
    }
    return count;
}

/* What one flush takes. */

static void partitions_that_are_ready_go_together(void **state)
{
    (void)state;
    struct queue *queues[5];
    for (int32_t partition = 0; partition < 5; partition++)
        queues[partition] = open_at(partition, 0);
    for (int i = 0; i < 5; i++)
        append_range(queues[i], 0, 1);
    struct conn *flush = await_flush();
    assert_int_equal(flushes_count(), 1);
    assert_non_null(strstr(conn_sql(flush), "ARRAY[0,1,2,3,4]::integer[]"));
    commit_flush(flush, 1);
    assert_true(intake_is_empty(&dispatcher));
    assert_int_equal(dispatcher.totals.flushes_count, 1);
    assert_int_equal(dispatcher.totals.rows_count, 10);
}

static void the_busier_the_server_the_larger_the_flush(void **state)
{
    struct config single = usual_config();

    single.pool_max = 1;
    open_with(state, single);
    struct queue *one = open_at(1, 0);
    struct queue *two = open_at(2, 0);
    append_range(one, 0, 1);
    struct conn *flush = await_flush();
    append_range(one, 2, 9);
    append_range(two, 0, 9);
    commit_flush(flush, 1);
    flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "ARRAY[2,1]::integer[]"));
    assert_non_null(
        strstr(conn_sql(flush), "ARRAY[0,2]::bigint[], ARRAY[10,10]::bigint[], ARRAY[-1,-1]"));
    commit_flush(flush, 1);
}

static void a_partition_has_one_flush_at_a_time(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    struct conn *flush = await_flush();
    append_range(queue, 2, 3);
    turns();
    assert_int_equal(flushes_count(), 1);
    commit_flush(flush, 1);
    commit_flush(await_flush(), 1);
    assert_int_equal(queue->position, 4);
}

static void connections_work_side_by_side(void **state)
{
    struct queue *one = open_at(1, 0);
    struct queue *two = open_at(2, 0);

    (void)state;
    append_range(one, 0, 1);
    struct conn *first = await("ARRAY[1]::integer[]");
    append_range(two, 0, 1);
    struct conn *second = await("ARRAY[2]::integer[]");
    assert_ptr_not_equal(first, second);
    commit_flush(second, 1);
    assert_int_equal(two->position, 2);
    assert_int_equal(one->position, 0);
    commit_flush(first, 1);
    assert_int_equal(one->position, 2);
}

static void a_flush_ends_at_its_bytes(void **state)
{
    struct config narrow = usual_config();

    narrow.batch_bytes = 200;
    narrow.pool_max = 1;
    open_with(state, narrow);
    struct queue *queue = open_at(0, 0);
    append_range(queue, 0, 99); /* 50 batches of 2 rows, 38 bytes */
    struct conn *flush = await_flush();
    const struct batch *last = TAILQ_LAST(&queue->batches, batch_list);
    assert_int_equal(last->state, BATCH_READY);
    int flushes = 0;
    for (; flush; flush = (turns(), conn_running("pgsluice.advance("))) {
        commit_flush(flush, 1);
        flushes++;
    }
    assert_int_equal(flushes, 9); /* of 6 batches: the last one goes beyond */
    assert_int_equal(queue->position, 100);
}

static void topics_go_apart(void **state)
{
    struct queue *orders = open_at(0, 0);
    struct queue *clicks = ownership_assign(&dispatcher, "clicks", 0);

    (void)state;
    struct conn *catalog = await_catalog();
    assert_non_null(strstr(conn_sql(catalog), "clicks"));
    conn_give(catalog, catalog_result("clicks", orders_columns, 2));
    conn_succeed(catalog);
    answer_claim(0, 1);
    append_range(orders, 0, 1);
    append_range(clicks, 0, 1);
    turns();
    assert_int_equal(flushes_count(), 2);
    commit_flush(await("COPY \"public\".\"orders\""), 1);
    commit_flush(await("COPY \"public\".\"clicks\""), 1);
    assert_int_equal(clicks->position, 2);
}

static void who_waits_longest_goes_first(void **state)
{
    struct config narrow = usual_config();

    narrow.batch_bytes = 20; /* one batch a flush */
    narrow.pool_max = 1;
    open_with(state, narrow);
    struct queue *one = open_at(1, 0);
    struct queue *two = open_at(2, 0);
    append_range(one, 0, 5);
    append_range(two, 0, 1);
    commit_flush(await("ARRAY[1]::integer[]"), 1);
    commit_flush(await("ARRAY[2]::integer[]"), 1);
    commit_flush(await("ARRAY[1]::integer[]"), 1);
    (void)one;
    (void)two;
}

/* Outages. */

static void an_outage_is_said_once_and_waited_out(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    await_flush();
    server_is_up = false;
    for (int i = 0; i < scripted_count; i++)
        if (scripted[i].conn->state != CONN_CLOSED)
            conn_lose(scripted[i].conn);
    assert_int_equal(log_said("warn PostgreSQL is away"), 1);
    for (int i = 0; i < 300; i++) {
        append(queue, 2 + i);
        pass_ms(1000);
    }
    assert_int_equal(log_said("warn PostgreSQL is away"), 1);
    assert_int_equal(dispatcher.totals.dead_letters_count, 0);
    server_is_up = true;
    pass_ms(10000);
    assert_int_equal(log_said("info PostgreSQL is back"), 1);
    answer_claim(0, 2);
    commit_flush(await_flush(), 1);
    assert_int_equal(queue->position, 302);
}

static void without_a_server_at_the_start_partitions_wait(void **state)
{
    end(state);
    server_is_up = false;
    const struct config usual = usual_config();
    open_dispatcher(&usual);
    server_is_up = false;
    struct queue *queue = ownership_assign(&dispatcher, "orders", 0);
    for (int i = 0; i < 60; i++)
        pass_ms(1000);
    assert_int_equal(queue->state, QUEUE_UNROUTED);
    server_is_up = true;
    pass_ms(10000);
    answer_catalog();
    answer_claim(0, 1);
    assert_int_equal(queue->state, QUEUE_OPEN);
}

/* The end. */

static void closing_drops_what_is_under_way(void **state)
{
    struct queue *one = open_at(1, 0);
    struct queue *two = open_at(2, 0);

    (void)state;
    append_range(one, 0, 1);
    await("ARRAY[1]::integer[]");
    append_range(one, 2, 4);
    append_large(two, 0);
    append_large(two, 1);
    ownership_assign(&dispatcher, "orders", 3);
    ownership_assign(&dispatcher, "clicks", 0);
    turns();
    assert_int_equal(jobs_count, 1); /* the teardown closes it */
}

static void closing_does_not_wait_for_a_server(void **state)
{
    (void)state;
    server_is_up = false;
    ownership_assign(&dispatcher, "orders", 0);
    turns();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISPATCHER_TEST(partitions_that_are_ready_go_together),
        DISPATCHER_TEST(the_busier_the_server_the_larger_the_flush),
        DISPATCHER_TEST(a_partition_has_one_flush_at_a_time),
        DISPATCHER_TEST(connections_work_side_by_side),
        DISPATCHER_TEST(a_flush_ends_at_its_bytes),
        DISPATCHER_TEST(topics_go_apart),
        DISPATCHER_TEST(who_waits_longest_goes_first),
        DISPATCHER_TEST(an_outage_is_said_once_and_waited_out),
        DISPATCHER_TEST(without_a_server_at_the_start_partitions_wait),
        DISPATCHER_TEST(closing_drops_what_is_under_way),
        DISPATCHER_TEST(closing_does_not_wait_for_a_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
