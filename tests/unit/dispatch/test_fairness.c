/* A table that takes no rows, next to one that does. */
#include "dispatcher_fixture.h"

static struct queue *orders[3];
static struct queue *clicks;

static struct queue *open_topic(const char *topic, int32_t partition)
{
    struct queue *queue = ownership_assign(&dispatcher, topic, partition);

    turns();
    if (conn_running("relkind"))
        answer_catalog();
    answer_claim(0, 1);
    assert_int_equal(queue->state, QUEUE_OPEN);
    return queue;
}

/* Three partitions of one table; with another one there are two tables. */
static void open_tables(void **state, bool another)
{
    struct config with = usual_config();

    end(state);
    with.pool_max = 3;
    with.batch_size = 1000;
    open_dispatcher(&with);
    for (int32_t i = 0; i < 3; i++)
        orders[i] = open_topic("orders", i);
    clicks = another ? open_topic("clicks", 0) : NULL;
}

static void offer(struct queue *queue, int64_t offset)
{
    append(queue, offset);
    for (int i = 0; i < 4; i++)
        pass_ms(20); /* the batch's timeout, and a connection that is opened for it */
}

static struct conn *flush_of(const struct queue *queue)
{
    return queue->flush ? TAILQ_FIRST(&dispatcher.flushes)->job.conn : NULL;
}

static void the_only_table_gets_every_connection(void **state)
{
    open_tables(state, false);
    for (int i = 0; i < 3; i++)
        offer(orders[i], 0);
    for (int i = 0; i < 3; i++)
        assert_non_null(orders[i]->flush);
}

static void the_last_connection_is_for_a_table_that_has_none(void **state)
{
    open_tables(state, true);
    for (int i = 0; i < 3; i++)
        offer(orders[i], 0);
    assert_non_null(orders[1]->flush);
    assert_null(orders[2]->flush);
    offer(clicks, 0);
    assert_non_null(clicks->flush);
}

static void a_stuck_table_has_one_flush_until_it_is_committed(void **state)
{
    open_tables(state, true);
    offer(orders[0], 0);
    struct conn *conn = flush_of(orders[0]);
    pass_ms(1100);
    assert_true(log_said("warn table takes no rows"));
    offer(orders[1], 0);
    assert_null(orders[1]->flush);
    offer(clicks, 0);
    assert_non_null(clicks->flush);
    commit_flush(conn, 1);
    turns();
    assert_non_null(orders[1]->flush);
}

/* Above its share; a share is what each of four partitions has of half of the memory. */
static void fill(struct queue *queue, int64_t first)
{
    for (int64_t offset = first; offset < first + 150; offset++)
        append_large(queue, offset);
    pass_ms(20);
    loop_finish_jobs();
}

static void a_stuck_table_leaves_memory_to_others(void **state)
{
    open_tables(state, true);
    offer(orders[0], 0);
    struct conn *conn = flush_of(orders[0]);
    fill(orders[0], 1);
    fill(orders[1], 0);
    size_t full_bytes = intake_memory_bytes(&dispatcher);
    assert_int_equal(asked.stops, 0);
    pass_ms(1100);
    assert_int_equal(asked.stops, 2);
    assert_true(orders[0]->held_back && orders[1]->held_back && !clicks->held_back);
    assert_true(intake_memory_bytes(&dispatcher) < full_bytes / 4);
    assert_int_equal(orders[0]->read_next, 1);
    assert_int_equal(orders[1]->read_next, 0);

    int starts = asked.starts;
    commit_flush(conn, 1);
    pass_ms(100);
    assert_int_equal(asked.starts, starts + 2);
    assert_true(orders[0]->fetching && orders[1]->fetching);
    fill(orders[0], 1);
    assert_int_equal(orders[0]->read_next, 151);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISPATCHER_TEST(the_only_table_gets_every_connection),
        DISPATCHER_TEST(the_last_connection_is_for_a_table_that_has_none),
        DISPATCHER_TEST(a_stuck_table_has_one_flush_until_it_is_committed),
        DISPATCHER_TEST(a_stuck_table_leaves_memory_to_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
