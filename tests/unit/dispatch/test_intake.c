/* Records become ready batches, within the memory that they may use. */
#include "dispatcher_fixture.h"

/* The next flush moves partition 0 from there to there. */
static void assert_flushed(int from, int to)
{
    struct conn *flush = await_flush();
    char moves[64];

    snprintf(moves, sizeof(moves), "ARRAY[%d]::bigint[], ARRAY[%d]::bigint[], ARRAY[-1]", from, to);
    if (!strstr(conn_sql(flush), moves))
        fail_msg("not %s but %s", moves, conn_sql(flush));
    commit_flush(flush, 1);
}

static void open_with(void **state, struct config with)
{
    end(state);
    open_dispatcher(&with);
}

/* Closing. */

static void a_batch_closes_at_its_number_of_records(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append(queue, 0);
    assert_no_flush();
    append(queue, 1);
    assert_flushed(0, 2);
}

static void a_batch_closes_at_its_bytes(void **state)
{
    struct config narrow = usual_config();

    narrow.batch_size = 1000;
    narrow.batch_bytes = 100;
    open_with(state, narrow);
    struct queue *queue = open_at(0, 0);
    append_range(queue, 0, 3); /* of 23 bytes each */
    assert_no_flush();
    append(queue, 4);
    assert_flushed(0, 5);
}

static void a_batch_closes_when_its_time_is_over(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append(queue, 0);
    pass_ms(19);
    assert_no_flush();
    pass_ms(1);
    assert_flushed(0, 1);
}

static void the_first_record_starts_the_time(void **state)
{
    struct config large = usual_config();

    large.batch_size = 1000;
    open_with(state, large);
    struct queue *queue = open_at(0, 0);
    append(queue, 0);
    pass_ms(15);
    append(queue, 1);
    pass_ms(5);
    assert_flushed(0, 2);
    pass_ms(1000);
    append(queue, 2);
    pass_ms(19);
    assert_no_flush();
    pass_ms(1);
    assert_flushed(2, 3);
}

static void one_that_is_due_takes_the_others_along(void **state)
{
    struct queue *one = open_at(1, 0);
    struct queue *two = open_at(2, 0);

    (void)state;
    append(one, 0);
    pass_ms(15);
    append(two, 0);
    pass_ms(5);
    struct conn *flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "ARRAY[1,2]::integer[]"));
    commit_flush(flush, 1);
}

static void without_a_timeout_the_next_turn_closes(void **state)
{
    struct config hasty = usual_config();

    hasty.batch_timeout_ms = 0;
    open_with(state, hasty);
    append(open_at(0, 0), 0);
    assert_flushed(0, 1);
}

static void gaps_are_passed(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append(queue, 7);
    append(queue, 100);
    assert_flushed(0, 101);
    assert_int_equal(queue->position, 101);
}

/* What is not wanted. */

static void what_is_below_the_position_is_dropped(void **state)
{
    struct queue *queue = open_at(0, 100);

    (void)state;
    append_range(queue, 90, 101);
    append_range(queue, 95, 101);
    assert_flushed(100, 102);
    assert_true(intake_is_empty(&dispatcher));
}

static void what_is_not_fetched_is_dropped(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 0);

    (void)state;
    append(queue, 0);
    answer_catalog();
    append(queue, 0);
    assert_true(intake_is_empty(&dispatcher));
}

/* Memory. */

static struct queue *open_small(void **state)
{
    struct config small = usual_config();

    small.memory_limit_bytes = 256 * 1024;
    small.batch_bytes = 64 * 1024;
    open_with(state, small);
    return open_at(0, 0);
}

/* Until there is no room; the offset behind. */
static int64_t fill(struct queue *queue, int64_t offset)
{
    while (append_large(queue, offset))
        assert_true(++offset < 100);
    return offset + 1;
}

static void when_memory_is_used_up_reading_has_to_stop(void **state)
{
    struct queue *queue = open_small(state);

    assert_int_equal(fill(queue, 0), dispatcher.working_bytes / (2 * 18 * 1024) + 1);
    assert_true(intake_memory_bytes(&dispatcher) <= (size_t)config.memory_limit_bytes);
    assert_int_equal(asked.rooms, 0);
}

static void room_is_announced_when_it_is_there_again(void **state)
{
    struct queue *queue = open_small(state);
    int64_t next = fill(queue, 0);

    pass_ms(20);
    loop_finish_jobs();
    while (queue->position < next)
        commit_flush(await_flush(), 1);
    assert_int_equal(asked.rooms, 1);
    assert_int_equal(intake_memory_bytes(&dispatcher), 0);
    append(queue, next);
    assert_int_equal(asked.rooms, 1);
}

static void a_revocation_makes_room(void **state)
{
    struct queue *queue = open_small(state);

    fill(queue, 0);
    loop_finish_jobs();
    ownership_revoke(&dispatcher, queue);
    assert_int_equal(asked.rooms, 1);
}

/* Nothing else would bring it: all is dropped, and the worker hands it back later. */
static void a_worker_that_comes_back_makes_room(void **state)
{
    struct queue *queue = open_small(state);

    fill(queue, 0);
    pass_ms(20);
    ownership_revoke(&dispatcher, queue);
    assert_int_equal(asked.rooms, 0);
    loop_finish_jobs();
    assert_int_equal(asked.rooms, 1);
    assert_true(intake_is_empty(&dispatcher));
    assert_int_equal(intake_memory_bytes(&dispatcher), 0);
}

static void one_record_may_be_larger_than_the_memory(void **state)
{
    static char value[512 * 1024];
    struct queue *queue = open_small(state);

    snprintf(value, sizeof(value), "{\"id\": 1, \"note\": \"%*s\"}", 500 * 1024, "");
    assert_false(append_value(queue, 0, value));
    loop_finish_jobs();
    assert_flushed(0, 1);
    assert_int_equal(asked.rooms, 1);
}

/* Encoding. */

static void small_batches_are_encoded_at_once(void **state)
{
    (void)state;
    append_range(open_at(0, 0), 0, 1);
    assert_int_equal(jobs_count, 0);
}

static void large_batches_are_a_workers(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_large(queue, 0);
    append_large(queue, 1);
    assert_int_equal(jobs_count, 1);
    append_range(queue, 2, 3);
    assert_no_flush(); /* in order */
    loop_finish_jobs();
    assert_flushed(0, 4);
}

static void workers_may_come_back_in_any_order(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    for (int64_t offset = 0; offset < 6; offset++)
        append_large(queue, offset);
    assert_int_equal(jobs_count, 3);
    loop_finish_job(2);
    assert_no_flush();
    loop_finish_job(0);
    assert_flushed(0, 2);
    assert_no_flush();
    loop_finish_job(0);
    assert_flushed(2, 6);
}

static void a_table_that_changes_while_a_worker_encodes_is_encoded_for_anew(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    struct conn *flush = await_flush();
    append_large(queue, 2);
    append_large(queue, 3);
    conn_fail(flush, "42703", "column \"note\" does not exist", NULL);
    answer_catalog_with(orders_columns, 1);
    loop_finish_job(0);
    assert_int_equal(jobs_count, 1);
    commit_flush(await_flush(), 1);
    loop_finish_jobs();
    flush = await_flush();
    assert_null(strstr(conn_sql(flush), "note"));
    commit_flush(flush, 1);
    assert_int_equal(queue->position, 4);
}

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

    small.memory_limit_bytes = 64 * 1024; /* so that dropped batches are not kept for another use */
    open_with(state, small);
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

/* Headers. */

static void the_first_dead_letter_has_its_records_read_again_with_headers(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    append(queue, 2);
    append_value(queue, 3, "bad");
    assert_true(queue->wants_headers);
    assert_int_equal(queue->read_next, 2);
    assert_int_equal(asked.starts, 2);
    assert_flushed(0, 2);
    assert_true(intake_is_empty(&dispatcher));
    append(queue, 2);
    append_value(queue, 3, "bad");
    struct conn *flush = await_flush();
    commit_flush(flush, 2);
    assert_int_equal(queue->position, 4);
    assert_int_equal(asked.starts, 2);
}

static void what_follows_a_dead_letter_is_read_again_too(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_large(queue, 0);
    append_value(queue, 1, "bad");
    append_range(queue, 2, 4);
    loop_finish_jobs();
    assert_int_equal(queue->read_next, 0);
    assert_true(intake_is_empty(&dispatcher));
    append_range(queue, 0, 1);
    assert_flushed(0, 2);
}

static void a_column_of_headers_has_them_read_from_the_start(void **state)
{
    const struct catalog_column columns[] = {
        {.name = "id", .oid = OID_INT8},
        {.name = "__connect_headers", .oid = OID_JSONB},
    };
    struct queue *queue = ownership_assign(&dispatcher, "orders", 0);

    (void)state;
    answer_catalog_with(columns, 2);
    answer_claim(0, 1);
    assert_true(queue->wants_headers);
    append_range(queue, 0, 1);
    assert_flushed(0, 2);
    assert_int_equal(asked.starts, 1);
}

/* Draining. */

static void a_drain_sends_partial_batches_at_once(void **state)
{
    struct queue *one = open_at(1, 0);
    struct queue *two = open_at(2, 0);

    (void)state;
    append(one, 0);
    append(two, 0);
    assert_false(intake_is_empty(&dispatcher));
    intake_drain(&dispatcher);
    commit_flush(await_flush(), 1);
    assert_true(intake_is_empty(&dispatcher));
    assert_int_equal(one->position, 1);
    assert_int_equal(two->position, 1);
}

static void a_drain_has_nothing_to_wait_for_when_all_is_written(void **state)
{
    (void)state;
    open_at(0, 0);
    intake_drain(&dispatcher);
    assert_true(intake_is_empty(&dispatcher));
}

static void a_drain_waits_for_retries(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append(queue, 0);
    intake_drain(&dispatcher);
    conn_fail(await_flush(), "40001", "could not serialize", NULL);
    assert_false(intake_is_empty(&dispatcher));
    pass_ms(100);
    conn_lose(await_flush());
    pass_ms(200);
    answer_claim(0, 2);
    commit_flush(await_flush(), 1);
    assert_true(intake_is_empty(&dispatcher));
    assert_int_equal(queue->position, 1);
}

/* Leader epochs. */

static void a_batch_has_the_leader_epoch_of_its_records(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    queue->reading_epoch = 4;
    append_range(queue, 0, 1);
    struct conn *flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "ARRAY[2]::bigint[], ARRAY[4]::integer[]);"));
    commit_flush(flush, 1);
    assert_int_equal(queue->leader_epoch, 4);
}

static void a_batch_of_two_leader_epochs_has_none(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    queue->reading_epoch = 4;
    append(queue, 0);
    queue->reading_epoch = 5;
    append(queue, 1);
    struct conn *flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "ARRAY[2]::bigint[], ARRAY[-1]::integer[]);"));
    commit_flush(flush, 1);
    assert_int_equal(queue->leader_epoch, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISPATCHER_TEST(a_batch_closes_at_its_number_of_records),
        DISPATCHER_TEST(a_batch_closes_at_its_bytes),
        DISPATCHER_TEST(a_batch_closes_when_its_time_is_over),
        DISPATCHER_TEST(the_first_record_starts_the_time),
        DISPATCHER_TEST(one_that_is_due_takes_the_others_along),
        DISPATCHER_TEST(without_a_timeout_the_next_turn_closes),
        DISPATCHER_TEST(gaps_are_passed),
        DISPATCHER_TEST(what_is_below_the_position_is_dropped),
        DISPATCHER_TEST(what_is_not_fetched_is_dropped),
        DISPATCHER_TEST(when_memory_is_used_up_reading_has_to_stop),
        DISPATCHER_TEST(room_is_announced_when_it_is_there_again),
        DISPATCHER_TEST(a_revocation_makes_room),
        DISPATCHER_TEST(a_worker_that_comes_back_makes_room),
        DISPATCHER_TEST(one_record_may_be_larger_than_the_memory),
        DISPATCHER_TEST(small_batches_are_encoded_at_once),
        DISPATCHER_TEST(large_batches_are_a_workers),
        DISPATCHER_TEST(workers_may_come_back_in_any_order),
        DISPATCHER_TEST(a_table_that_changes_while_a_worker_encodes_is_encoded_for_anew),
        DISPATCHER_TEST(a_batch_that_a_worker_encodes_anew_is_not_flushed_meanwhile),
        DISPATCHER_TEST(what_is_encoded_anew_may_have_to_be_read_again),
        DISPATCHER_TEST(the_first_dead_letter_has_its_records_read_again_with_headers),
        DISPATCHER_TEST(what_follows_a_dead_letter_is_read_again_too),
        DISPATCHER_TEST(a_column_of_headers_has_them_read_from_the_start),
        DISPATCHER_TEST(a_drain_sends_partial_batches_at_once),
        DISPATCHER_TEST(a_drain_has_nothing_to_wait_for_when_all_is_written),
        DISPATCHER_TEST(a_drain_waits_for_retries),
        DISPATCHER_TEST(a_batch_has_the_leader_epoch_of_its_records),
        DISPATCHER_TEST(a_batch_of_two_leader_epochs_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
