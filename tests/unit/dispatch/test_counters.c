/* What is counted of batches and flushes on their way. */
#include "dispatcher_fixture.h"

static const struct counters *counters(void)
{
    return &dispatcher.counters;
}

static void a_batch_is_counted_when_it_is_closed(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 3);
    commit_flush(await_flush(), 1);
    uint64_t closed = 0;
    for (int i = 0; i < COUNTERS_TRIGGERS; i++)
        closed += counters()->closed[i];
    assert_int_equal(closed, histogram_count(&counters()->batch_records));
    assert_int_equal((int)counters()->batch_records.sum, 4);
    assert_int_equal(queue->route->counters.records, 4);
    assert_int_equal(queue->records_count, 4);
}

static void what_is_dropped_half_full_was_received_all_the_same(void **state)
{
    struct queue *queue = open_at(0, 0);
    const struct route *route = queue->route;

    (void)state;
    append(queue, 0);
    ownership_revoke(&dispatcher, queue);
    assert_int_equal(route->counters.records, 1);
    assert_int_equal(route->counters.rows, 0);
}

static void a_commit_is_counted_and_timed(void **state)
{
    struct queue *queue = open_at(0, 0);
    const struct counters_route *topic = &queue->route->counters;

    (void)state;
    append_range(queue, 0, 3);
    commit_flush(await_flush(), 1);
    assert_int_equal(topic->rows, 4);
    assert_true(topic->results[COUNTERS_COMMITTED] > 0);
    assert_int_equal(histogram_count(&counters()->flush_seconds), 1);
    assert_int_equal(histogram_count(&counters()->copy_seconds), 1);
    assert_int_equal(histogram_count(&counters()->commit_seconds), 1);
    assert_int_equal(histogram_count(&counters()->wait_seconds), 1);
    assert_true(counters()->committed_ms > 0);
    assert_int_equal(counters()->errors_count, 0);
}

static void a_failure_is_counted_by_its_cause(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    conn_fail(await_flush(), "40P01", "deadlock detected", NULL);
    pass_ms(10000);
    conn_fail(await_flush(), "40001", "could not serialize", NULL);
    pass_ms(10000);
    commit_flush(await_flush(), 1);
    assert_int_equal(counters()->retries[COUNTERS_DEADLOCK], 1);
    assert_int_equal(counters()->retries[COUNTERS_SERIALIZATION], 1);
    assert_int_equal(queue->route->counters.results[COUNTERS_RETRIED], 2);
    assert_int_equal(counters()->sqlstate_classes.count, 1);
    assert_string_equal(counters()->sqlstate_classes.entries[0].name, "40");
    assert_int_equal(counters()->sqlstate_classes.entries[0].count, 2);
}

static void the_last_errors_are_remembered(void **state)
{
    struct queue *queue = open_at(3, 0);
    struct err err;

    (void)state;
    for (int i = 0; i < 3 * COUNTERS_ERRORS; i++) {
        err_set(&err, ERR_DATA, "error %d", i / 2); /* each twice, which counts once */
        counters_note_error(&dispatcher, queue, &err);
    }
    size_t last = (counters()->errors_count - 1) % COUNTERS_ERRORS;
    assert_int_equal(counters()->errors_count, 3 * COUNTERS_ERRORS / 2);
    assert_string_equal(counters()->errors[last].err.text, "error 11");
    assert_int_equal(counters()->errors[last].partition, 3);
}

static void undecodable_records_are_counted_once(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    queue->wants_headers = true; /* so that it is not read again for them */
    append(queue, 0);
    append_value(queue, 1, "bad");
    commit_flush(await_flush(), 2);
    assert_int_equal(queue->route->counters.undecoded, 1);
    assert_int_equal(queue->route->counters.refused, 0);
    assert_int_equal(queue->route->counters.dead_letters, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISPATCHER_TEST(a_batch_is_counted_when_it_is_closed),
        DISPATCHER_TEST(what_is_dropped_half_full_was_received_all_the_same),
        DISPATCHER_TEST(a_commit_is_counted_and_timed),
        DISPATCHER_TEST(a_failure_is_counted_by_its_cause),
        DISPATCHER_TEST(the_last_errors_are_remembered),
        DISPATCHER_TEST(undecodable_records_are_counted_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
