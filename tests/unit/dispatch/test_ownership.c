/* The life of a queue: routed, claimed, placed, open; halted and tried again; revoked. */
#include "dispatcher_fixture.h"

static void halt(struct queue *queue)
{
    struct err err;

    err_set(&err, ERR_OUTAGE, "CRC");
    ownership_halt(&dispatcher, queue, &err);
}

static void lose_every_connection(void)
{
    for (int i = 0; i < scripted_count; i++)
        if (scripted[i].conn->state != CONN_CLOSED)
            conn_lose(scripted[i].conn);
}

/* A flush is sent, and nobody knows what became of it; the claim that follows. */
static struct conn *lose_flush(void)
{
    conn_lose(await_flush());
    pass_ms(200);
    return await_claim();
}

/* From its assignment to its records. */

static void a_partition_that_has_a_position_starts_there(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 3);

    (void)state;
    assert_int_equal(queue->state, QUEUE_UNROUTED);
    answer_catalog();
    assert_int_equal(queue->state, QUEUE_UNCLAIMED);
    struct conn *claim = await_claim();
    assert_int_equal(queue->state, QUEUE_CLAIMING);
    assert_non_null(strstr(conn_sql(claim), "UPDATE pgsluice.offsets"));
    assert_non_null(strstr(conn_sql(claim), "owner = E'one'"));
    assert_non_null(
        strstr(conn_sql(claim), "o.sink = E'sink' AND o.topic = E'orders' AND o.partition = 3"));
    give_position(claim, 500, 7);
    assert_int_equal(queue->state, QUEUE_OPEN);
    assert_int_equal(queue->position, 500);
    assert_int_equal(queue->read_next, 500);
    assert_int_equal(queue->epoch, 7);
    assert_ptr_equal(asked.started, queue);
    assert_int_equal(asked.places, 0);
}

static void a_partition_without_a_position_is_placed_first(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 3);

    (void)state;
    answer_catalog();
    answer_claim_without_row();
    assert_int_equal(queue->state, QUEUE_UNPLACED);
    assert_ptr_equal(asked.placed, queue);
    assert_false(queue->vanished);
    turns();
    assert_null(conn_running("lock_timeout"));
    ownership_place(&dispatcher, queue, 40);
    struct conn *claim = await_claim();
    assert_non_null(strstr(conn_sql(claim), "INSERT INTO pgsluice.offsets"));
    assert_non_null(strstr(conn_sql(claim), ", 3, 40, 40, E'one',"));
    give_position(claim, 40, 1);
    assert_int_equal(queue->read_next, 40);
    assert_int_equal(asked.starts, 1);
}

static void another_replica_may_have_placed_it_meanwhile(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 3);

    (void)state;
    answer_catalog();
    answer_claim_without_row();
    ownership_place(&dispatcher, queue, 40);
    answer_claim(55, 2);
    assert_int_equal(queue->read_next, 55);
}

static void a_place_that_nobody_waits_for_is_ignored(void **state)
{
    struct queue *queue = open_at(0, 10);

    (void)state;
    ownership_place(&dispatcher, queue, 40);
    assert_int_equal(queue->state, QUEUE_OPEN);
    assert_int_equal(queue->position, 10);
}

static void a_table_is_read_once_for_all_partitions_of_its_topic(void **state)
{
    (void)state;
    open_at(0, 0);
    ownership_assign(&dispatcher, "orders", 1);
    ownership_assign(&dispatcher, "orders", 2);
    turns();
    assert_null(conn_running("relkind"));
    answer_claim(0, 1);
    answer_claim(0, 1);
    assert_int_equal(asked.starts, 3);
}

static void without_claims_kafka_says_where_to_start(void **state)
{
    struct config at_least_once = usual_config();

    end(state);
    at_least_once.delivery = CONFIG_AT_LEAST_ONCE;
    open_dispatcher(&at_least_once);
    struct queue *queue = ownership_assign(&dispatcher, "orders", 0);
    answer_catalog();
    assert_ptr_equal(asked.placed, queue);
    ownership_place(&dispatcher, queue, 40);
    assert_int_equal(queue->state, QUEUE_OPEN);
    assert_ptr_equal(asked.started, queue);
    assert_int_equal(queue->read_next, 40);
    turns();
    assert_int_equal(conns_busy(), 0);
}

/* A flush whose outcome is unknown, and other owners. */

static void what_a_lost_flush_has_committed_is_not_sent_again(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 3);
    give_position(lose_flush(), 4, 2);
    assert_int_equal(queue->state, QUEUE_OPEN);
    assert_int_equal(queue->position, 4);
    assert_int_equal(queue->route->counters.found, 4);
    assert_true(intake_is_empty(&dispatcher));
    assert_no_flush();
    append_range(queue, 4, 5);
    struct conn *flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "ARRAY[2]::bigint[], ARRAY[4]::bigint[], ARRAY[6]"));
    commit_flush(flush, 1);
    assert_int_equal(asked.starts, 1);
}

static void what_a_lost_flush_has_not_committed_is_sent_again(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 3);
    give_position(lose_flush(), 0, 2);
    struct conn *flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "ARRAY[2]::bigint[], ARRAY[0]::bigint[], ARRAY[4]"));
    commit_flush(flush, 1);
    assert_int_equal(queue->position, 4);
}

static void records_come_in_while_a_claim_is_under_way(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    struct conn *claim = lose_flush();
    append_range(queue, 2, 3);
    assert_no_flush();
    give_position(claim, 2, 2);
    commit_flush(await_flush(), 1);
    assert_int_equal(queue->position, 4);
}

static void a_fenced_flush_claims_after_a_pause(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    conn_fail(await_flush(), "PS001", "not where this flush begins", NULL);
    assert_int_equal(queue->state, QUEUE_UNCLAIMED);
    turns();
    assert_null(conn_running("lock_timeout"));
    pass_ms(300);
    answer_claim(0, 3);
    commit_flush(await_flush(), 1);
    assert_int_equal(queue->position, 2);
}

static void what_another_owner_has_passed_is_dropped(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 5);
    conn_fail(await_flush(), "PS001", "not where this flush begins", NULL);
    pass_ms(300);
    answer_claim(3, 3);
    assert_int_equal(log_said("warn overtaken by another owner"), 1);
    assert_true(intake_is_empty(&dispatcher));
    assert_int_equal(asked.stops, 1);
    assert_int_equal(asked.starts, 2);
    assert_int_equal(queue->read_next, 3);
    append_range(queue, 3, 4);
    struct conn *flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "ARRAY[3]::bigint[], ARRAY[3]::bigint[], ARRAY[5]"));
}

static void a_database_that_went_back_is_followed(void **state)
{
    struct queue *queue = open_at(0, 100);

    (void)state;
    append_range(queue, 100, 101);
    commit_flush(await_flush(), 1);
    append_range(queue, 102, 103);
    conn_fail(await_flush(), "PS001", "not where this flush begins", NULL);
    pass_ms(300);
    answer_claim(90, 3);
    assert_int_equal(log_said("warn database went back in time"), 1);
    assert_int_equal(dispatcher.totals.rewinds_count, 1);
    assert_int_equal(queue->read_next, 90);
    assert_true(intake_is_empty(&dispatcher));
}

static void a_position_that_was_removed_is_placed_anew(void **state)
{
    struct queue *queue = open_at(0, 100);

    (void)state;
    append_range(queue, 100, 101);
    conn_fail(await_flush(), "PS001", "not where this flush begins", NULL);
    pass_ms(300);
    answer_claim_without_row();
    assert_ptr_equal(asked.stopped, queue);
    assert_ptr_equal(asked.placed, queue);
    assert_true(queue->vanished);
    assert_int_equal(log_said("warn position vanished"), 1);
    assert_int_equal(dispatcher.totals.rewinds_count, 1);
    assert_int_equal(queue->position, -1);
    assert_true(intake_is_empty(&dispatcher));
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

/* Claims that fail. */

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

static void a_claim_that_may_not_be_halts(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 0);

    (void)state;
    answer_catalog();
    conn_fail(await_claim(), "42501", "permission denied for table offsets", NULL);
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_int_equal(log_said("error partition halted topic=orders partition=0"), 1);
}

static void a_claim_frees_the_row_of_a_frozen_owner_and_is_tried_again(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 0);

    (void)state;
    answer_catalog();
    conn_fail(await_claim(), "55P03", "canceling statement due to lock timeout", NULL);
    struct conn *freeing = await("pg_terminate_backend");
    conn_give_rows(freeing, (const char *const[]){"4711", "pgsluice/sink/two"}, 1, 2);
    conn_succeed(freeing);
    pass_ms(100);
    answer_claim(5, 2);
    assert_int_equal(queue->state, QUEUE_OPEN);
}

static void one_claim_at_a_time(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    struct conn *claim = lose_flush();
    halt(queue);
    pass_ms(70000);
    answer_catalog();
    turns();
    assert_int_equal(queue->state, QUEUE_UNCLAIMED);
    give_position(claim, 0, 2);
    assert_int_equal(queue->state, QUEUE_UNCLAIMED);
    answer_claim(0, 3);
    assert_int_equal(queue->epoch, 3);
}

/* Halts. */

static void a_halted_partition_drops_what_it_holds_and_is_not_fetched(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 4);
    halt(queue);
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_ptr_equal(asked.stopped, queue);
    assert_true(intake_is_empty(&dispatcher));
    append(queue, 5);
    assert_true(intake_is_empty(&dispatcher));
    assert_int_equal(log_said("error partition halted topic=orders partition=0 position=0 "
                              "class=outage reason=CRC"),
                     1);
}

static void a_halted_partition_is_tried_again_from_its_position(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    commit_flush(await_flush(), 1);
    halt(queue);
    pass_ms(2000);
    assert_int_equal(queue->state, QUEUE_HALTED);
    pass_ms(70000);
    answer_catalog();
    answer_claim(2, 2);
    assert_int_equal(queue->state, QUEUE_OPEN);
    assert_int_equal(asked.starts, 2);
    assert_int_equal(queue->read_next, 2);
}

static void halting_twice_is_halting(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    halt(queue);
    halt(queue);
    assert_int_equal(asked.stops, 1);
    assert_int_equal(log_said("error partition halted"), 1);
}

static void a_halt_while_a_flush_is_under_way_waits_for_it(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    struct conn *flush = await_flush();
    append_range(queue, 2, 3);
    halt(queue);
    pass_ms(70000);
    assert_int_equal(queue->state, QUEUE_HALTED);
    commit_flush(flush, 1);
    assert_int_equal(queue->position, 2);
    assert_true(intake_is_empty(&dispatcher));
    pass_ms(100);
    answer_catalog();
    answer_claim(2, 2);
    assert_int_equal(queue->state, QUEUE_OPEN);
}

static void a_halt_while_claiming_does_not_meet_the_claims_answer(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    struct conn *claim = lose_flush();
    halt(queue);
    give_position(claim, 0, 2);
    assert_int_equal(queue->state, QUEUE_HALTED);
    pass_ms(70000);
    answer_catalog();
    answer_claim(0, 3);
    assert_int_equal(queue->state, QUEUE_OPEN);
}

static void a_missing_table_halts_its_partitions_until_it_is_there(void **state)
{
    static const char *const missing[CATALOG_FIELDS] = {"database"};
    struct queue *one = ownership_assign(&dispatcher, "orders", 0);
    struct queue *two = ownership_assign(&dispatcher, "orders", 1);

    (void)state;
    struct conn *conn = await_catalog();
    conn_give_rows(conn, missing, 1, CATALOG_FIELDS);
    conn_succeed(conn);
    assert_int_equal(one->state, QUEUE_HALTED);
    assert_int_equal(two->state, QUEUE_HALTED);
    assert_non_null(strstr(one->halted.text, "does not exist"));
    pass_ms(70000);
    answer_catalog();
    answer_claim(0, 1);
    answer_claim(0, 1);
    assert_int_equal(one->state, QUEUE_OPEN);
    assert_int_equal(two->state, QUEUE_OPEN);
}

static void a_new_partition_of_a_broken_topic_looks_again(void **state)
{
    static const char *const missing[CATALOG_FIELDS] = {"database"};

    (void)state;
    ownership_assign(&dispatcher, "orders", 0);
    struct conn *conn = await_catalog();
    conn_give_rows(conn, missing, 1, CATALOG_FIELDS);
    conn_succeed(conn);
    struct queue *queue = ownership_assign(&dispatcher, "orders", 1);
    answer_catalog();
    answer_claim(0, 1);
    assert_int_equal(queue->state, QUEUE_OPEN);
}

/* Revocations. */

static int queues_count(void)
{
    const struct queue *queue;
    int count = 0;

    for (int state = 0; state < QUEUE_STATES; state++)
        TAILQ_FOREACH (queue, &dispatcher.queues[state], entry)
            count++;
    return count;
}

static void a_revoked_partition_is_gone_with_what_it_held(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 4);
    ownership_revoke(&dispatcher, queue);
    assert_int_equal(queues_count(), 0);
    assert_true(intake_is_empty(&dispatcher));
    assert_int_equal(dispatcher.totals.dropped_on_revoke_count, 5);
    assert_int_equal(asked.stops, 0); /* who revokes it also stops it */
    assert_no_flush();
}

static void a_partition_can_be_revoked_at_every_stage(void **state)
{
    (void)state;
    ownership_revoke(&dispatcher, ownership_assign(&dispatcher, "orders", 0));
    struct queue *queue = ownership_assign(&dispatcher, "orders", 0);
    turns();
    ownership_revoke(&dispatcher, queue);
    answer_catalog();
    ownership_revoke(&dispatcher, ownership_assign(&dispatcher, "orders", 0));
    queue = ownership_assign(&dispatcher, "orders", 0);
    answer_claim_without_row();
    ownership_revoke(&dispatcher, queue);
    queue = open_at(0, 0);
    halt(queue);
    ownership_revoke(&dispatcher, queue);
    assert_int_equal(queues_count(), 0);
}

static void a_revoked_partition_lives_until_its_claim_is_answered(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 0);

    (void)state;
    answer_catalog();
    struct conn *claim = await_claim();
    ownership_revoke(&dispatcher, queue);
    assert_int_equal(queues_count(), 1);
    give_position(claim, 0, 1);
    assert_int_equal(queues_count(), 0);
    assert_int_equal(asked.starts, 0);
}

static void a_revoked_partition_lives_until_its_flush_is_over(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    struct conn *flush = await_flush();
    append_range(queue, 2, 3);
    ownership_revoke(&dispatcher, queue);
    assert_int_equal(queues_count(), 1);
    commit_flush(flush, 1);
    assert_int_equal(queues_count(), 0);
    assert_int_equal(dispatcher.totals.rows_count, 2);
    assert_int_equal(dispatcher.totals.dropped_on_revoke_count, 2);
}

static void a_revoked_partitions_flush_may_fail(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    append_range(queue, 0, 1);
    struct conn *flush = await_flush();
    ownership_revoke(&dispatcher, queue);
    conn_fail(flush, "40001", "could not serialize", NULL);
    assert_int_equal(queues_count(), 0);
    assert_true(intake_is_empty(&dispatcher));
    assert_no_flush();
}

/* PostgreSQL makes the claim wait for the flush. */
static void a_partition_may_come_back_while_its_last_flush_is_under_way(void **state)
{
    struct queue *former = open_at(0, 0);

    (void)state;
    append_range(former, 0, 1);
    struct conn *flush = await_flush();
    ownership_revoke(&dispatcher, former);
    struct queue *queue = ownership_assign(&dispatcher, "orders", 0);
    struct conn *claim = await_claim();
    assert_int_equal(queues_count(), 2);
    commit_flush(flush, 1);
    assert_int_equal(queues_count(), 1);
    give_position(claim, 2, 2);
    assert_int_equal(queue->read_next, 2);
}

/* Without dead letters: a partition stops at its first bad record. */

static struct queue *open_without_dead_letters(void **state)
{
    struct config stopping = usual_config();

    end(state);
    stopping.dead_letters = CONFIG_DEAD_LETTERS_OFF;
    stopping.batch_size = 4;
    open_dispatcher(&stopping);
    struct queue *queue = open_at(0, 0);
    append_range(queue, 0, 1);
    append_value(queue, 2, "bad");
    append_range(queue, 3, 7);
    return queue;
}

static void a_bad_record_halts_behind_what_came_before_it(void **state)
{
    struct queue *queue = open_without_dead_letters(state);
    struct conn *flush = await_flush();

    assert_non_null(strstr(conn_sql(flush),
                           "ARRAY[0]::bigint[], ARRAY[2]::bigint[], ARRAY[-1]::integer[]);COPY"));
    give_advanced(flush);
    take_copy(flush);
    conn_give_copied(flush, 2);
    conn_succeed(flush);
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_int_equal(queue->position, 2);
    assert_true(intake_is_empty(&dispatcher));
    assert_non_null(strstr(queue->halted.text, "orders[0]@2"));
}

/* The batch ends at 2, and so does the position: the bad record is not behind it. */
static void an_unknown_outcome_does_not_pass_a_bad_record(void **state)
{
    struct queue *queue = open_without_dead_letters(state);

    give_position(lose_flush(), 2, 2);
    if (queue->state == QUEUE_OPEN) {
        assert_int_equal(queue->read_next, 2); /* it comes again, and stops it again */
        append_value(queue, 2, "bad");
        append_range(queue, 3, 5);
        commit_flush(await_flush(), 0);
    }
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_int_equal(queue->position, 2);
}

static void a_bad_record_is_met_again_after_the_halt(void **state)
{
    struct queue *queue = open_without_dead_letters(state);

    commit_flush(await_flush(), 1);
    pass_ms(70000);
    answer_catalog();
    answer_claim(2, 2);
    append_value(queue, 2, "{\"id\": 2}");
    append_range(queue, 3, 5);
    commit_flush(await_flush(), 2);
    assert_int_equal(queue->state, QUEUE_OPEN);
    assert_int_equal(queue->position, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISPATCHER_TEST(a_partition_that_has_a_position_starts_there),
        DISPATCHER_TEST(a_partition_without_a_position_is_placed_first),
        DISPATCHER_TEST(another_replica_may_have_placed_it_meanwhile),
        DISPATCHER_TEST(a_place_that_nobody_waits_for_is_ignored),
        DISPATCHER_TEST(a_table_is_read_once_for_all_partitions_of_its_topic),
        DISPATCHER_TEST(without_claims_kafka_says_where_to_start),
        DISPATCHER_TEST(what_a_lost_flush_has_committed_is_not_sent_again),
        DISPATCHER_TEST(what_a_lost_flush_has_not_committed_is_sent_again),
        DISPATCHER_TEST(records_come_in_while_a_claim_is_under_way),
        DISPATCHER_TEST(a_fenced_flush_claims_after_a_pause),
        DISPATCHER_TEST(what_another_owner_has_passed_is_dropped),
        DISPATCHER_TEST(a_database_that_went_back_is_followed),
        DISPATCHER_TEST(a_position_that_was_removed_is_placed_anew),
        DISPATCHER_TEST(a_server_that_is_back_is_asked_whether_it_went_back_in_time),
        DISPATCHER_TEST(a_server_that_is_back_where_it_was_changes_nothing),
        DISPATCHER_TEST(a_claim_that_fails_waits_before_the_next_one),
        DISPATCHER_TEST(a_claim_that_may_not_be_halts),
        DISPATCHER_TEST(a_claim_frees_the_row_of_a_frozen_owner_and_is_tried_again),
        DISPATCHER_TEST(one_claim_at_a_time),
        DISPATCHER_TEST(a_halted_partition_drops_what_it_holds_and_is_not_fetched),
        DISPATCHER_TEST(a_halted_partition_is_tried_again_from_its_position),
        DISPATCHER_TEST(halting_twice_is_halting),
        DISPATCHER_TEST(a_halt_while_a_flush_is_under_way_waits_for_it),
        DISPATCHER_TEST(a_halt_while_claiming_does_not_meet_the_claims_answer),
        DISPATCHER_TEST(a_missing_table_halts_its_partitions_until_it_is_there),
        DISPATCHER_TEST(a_new_partition_of_a_broken_topic_looks_again),
        DISPATCHER_TEST(a_revoked_partition_is_gone_with_what_it_held),
        DISPATCHER_TEST(a_partition_can_be_revoked_at_every_stage),
        DISPATCHER_TEST(a_revoked_partition_lives_until_its_claim_is_answered),
        DISPATCHER_TEST(a_revoked_partition_lives_until_its_flush_is_over),
        DISPATCHER_TEST(a_revoked_partitions_flush_may_fail),
        DISPATCHER_TEST(a_partition_may_come_back_while_its_last_flush_is_under_way),
        DISPATCHER_TEST(a_bad_record_halts_behind_what_came_before_it),
        DISPATCHER_TEST(an_unknown_outcome_does_not_pass_a_bad_record),
        DISPATCHER_TEST(a_bad_record_is_met_again_after_the_halt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
