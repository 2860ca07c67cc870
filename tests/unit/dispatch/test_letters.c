/* Dead letters between encoding and flush: their topic has them first, and too many halt. */
#include "dispatcher_fixture.h"

#include "dispatch/letters.h"

static char topic_name[] = "dead";

static int begin_with_topic(void **state)
{
    struct config with = usual_config();

    (void)state;
    with.dead_letters = CONFIG_DEAD_LETTERS_TOPIC;
    with.dead_letter_topic = topic_name;
    open_dispatcher(&with);
    return 0;
}

static struct queue *open_with_headers(int32_t partition)
{
    struct queue *queue = open_at(partition, 0);

    queue->wants_headers = true; /* so that it is not read again for them */
    return queue;
}

/* What there is for Kafka, as "index text/sqlstate/column ...". */
static const char *news(const struct batch *batch)
{
    static struct buffer text;
    struct reason reason;
    uint32_t next = 0;

    buffer_reset(&text);
    while (reasons_next(&batch->reasons, &next, &reason))
        buffer_printf(&text, "%u %.12s/%s/%s ", reason.index, reason.text, reason.sqlstate,
                      reason.column);
    return buffer_text(&text);
}

static void a_flush_waits_until_the_topic_has_them(void **state)
{
    struct queue *queue = open_with_headers(0);

    (void)state;
    append(queue, 0);
    append_value(queue, 1, "{\"id\": 1e99}");
    assert_no_flush();
    assert_int_equal(asked.produces, 1);
    assert_ptr_equal(asked.produced, TAILQ_FIRST(&queue->batches));
    assert_int_equal(asked.produced->state, BATCH_PRODUCING);
    assert_string_equal(news(asked.produced), "1 column \"id\"://id ");
    letters_produced(&dispatcher, asked.produced, NULL);
    commit_flush(await_flush(), 1);
    assert_int_equal(queue->position, 2);
    assert_int_equal(dispatcher.totals.dead_letters_count, 1);
}

static void they_are_not_in_the_table(void **state)
{
    struct queue *queue = open_with_headers(0);

    (void)state;
    append_value(queue, 0, "bad");
    append_value(queue, 1, "bad");
    letters_produced(&dispatcher, asked.produced, NULL);
    assert_null(strstr(conn_sql(await_flush()), "dead_letters"));
    commit_flush(await_flush(), 0);
    assert_int_equal(queue->position, 2);
}

static void others_go_on_meanwhile(void **state)
{
    struct queue *waiting = open_with_headers(1);
    struct queue *other = open_with_headers(2);

    (void)state;
    append_value(waiting, 0, "bad");
    append_range(waiting, 1, 3);
    append_range(other, 0, 1);
    commit_flush(await("ARRAY[2]::integer[]"), 1);
    assert_no_flush();
    assert_int_equal(waiting->position, 0);
    letters_produced(&dispatcher, asked.produced, NULL);
    commit_flush(await("ARRAY[1]::integer[]"), 1);
    assert_int_equal(waiting->position, 4);
}

/* PostgreSQL refuses one more: that one is news, the first one is not. */
static void what_the_topic_has_is_not_produced_again(void **state)
{
    struct queue *queue = open_with_headers(0);

    (void)state;
    append_value(queue, 0, "bad");
    append(queue, 1);
    letters_produced(&dispatcher, asked.produced, NULL);
    struct conn *flush = await_flush();
    give_advanced(flush);
    take_copy(flush);
    conn_fail(flush, "23505", "refused", "COPY orders, line 1");
    assert_no_flush();
    assert_int_equal(asked.produces, 2);
    assert_string_equal(news(asked.produced), "1 refused by P/23505/ ");
    letters_produced(&dispatcher, asked.produced, NULL);
    assert_string_equal(news(TAILQ_FIRST(&queue->batches)), "");
    commit_flush(await_flush(), 0);
    assert_int_equal(queue->position, 2);
}

static void a_flush_that_is_tried_again_does_not_produce_again(void **state)
{
    struct queue *queue = open_with_headers(0);

    (void)state;
    append_value(queue, 0, "bad");
    append(queue, 1);
    letters_produced(&dispatcher, asked.produced, NULL);
    conn_fail(await_flush(), "40001", "serialization", NULL);
    pass_ms(2000);
    commit_flush(await_flush(), 1);
    assert_int_equal(asked.produces, 1);
}

static void what_the_topic_refuses_halts_the_partition(void **state)
{
    struct queue *queue = open_with_headers(0);
    struct err err;

    (void)state;
    append_value(queue, 0, "bad");
    append(queue, 1);
    err_set(&err, ERR_CONFIG, "too large");
    letters_produced(&dispatcher, asked.produced, &err);
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_int_equal(queue->position, 0);
    assert_int_equal(asked.abandons, 0);
    assert_true(intake_is_empty(&dispatcher));
    assert_int_equal(log_said("error partition halted topic=orders partition=0 position=0 "
                              "class=configuration reason=too large"),
                     1);
}

static void a_batch_that_is_dropped_is_abandoned(void **state)
{
    struct queue *queue = open_with_headers(0);

    (void)state;
    append_value(queue, 0, "bad");
    append(queue, 1);
    ownership_revoke(&dispatcher, queue);
    assert_int_equal(asked.abandons, 1);
    assert_ptr_equal(asked.abandoned, asked.produced);
    assert_true(intake_is_empty(&dispatcher));
}

static void a_table_that_changed_meanwhile_gets_its_rows_anew(void **state)
{
    struct queue *one = open_with_headers(1);
    struct queue *two = open_with_headers(2);

    (void)state;
    append_range(two, 0, 1);
    struct conn *flush = await_flush();
    append(one, 0);
    append_value(one, 1, "bad");
    conn_fail(flush, "42703", "column \"note\" does not exist", NULL);
    answer_catalog_with(orders_columns, 1);
    letters_produced(&dispatcher, asked.produced, NULL);
    assert_int_equal(asked.produces, 1);
    flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "COPY \"public\".\"orders\" (\"id\") FROM"));
    commit_flush(flush, 1);
}

static void their_topic_is_not_consumed(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, topic_name, 0);

    (void)state;
    answer_catalog();
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_non_null(strstr(queue->halted.text, "SINK_TOPICS matches SINK_DEAD_LETTER_TOPIC"));
}

/* The breaker. */

static int begin_with_breaker(void **state)
{
    struct config with = usual_config();

    (void)state;
    with.dead_letter_window = 8;
    with.dead_letter_max_share = 25;
    open_dispatcher(&with);
    return 0;
}

static void too_many_halt_before_they_are_buried(void **state)
{
    struct queue *queue = open_with_headers(0);

    (void)state;
    append_value(queue, 0, "bad");
    append(queue, 1);
    append_value(queue, 2, "bad");
    append(queue, 3);
    commit_flush(await_flush(), 2);
    append(queue, 4);
    append_value(queue, 5, "bad");
    assert_no_flush();
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_int_equal(queue->position, 4);
    assert_int_equal(dispatcher.totals.dead_letters_count, 2);
    assert_non_null(strstr(queue->halted.text, "orders[0]@5 table \"public\".\"orders\": more than "
                                               "25 % of 8 records are dead letters"));
}

static void try_again(struct queue *queue)
{
    pass_ms(60000);
    answer_catalog();
    answer_claim(queue->position, 2);
    assert_int_equal(queue->state, QUEUE_OPEN);
}

static void the_same_records_halt_again_and_mended_ones_do_not(void **state)
{
    struct queue *queue = open_with_headers(0);

    (void)state;
    for (int i = 0; i < 2; i++) {
        append_value(queue, 0, "bad");
        append_value(queue, 1, "bad");
        append_value(queue, 2, "bad");
        append_value(queue, 3, "bad");
        assert_no_flush();
        assert_int_equal(queue->state, QUEUE_HALTED);
        try_again(queue);
    }
    append_value(queue, 0, "bad");
    append_value(queue, 1, "bad");
    append_range(queue, 2, 3);
    commit_flush(await_flush(), 2);
    assert_int_equal(queue->position, 4);
}

#define TOPIC_TEST(name)   cmocka_unit_test_setup_teardown(name, begin_with_topic, end)
#define BREAKER_TEST(name) cmocka_unit_test_setup_teardown(name, begin_with_breaker, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOPIC_TEST(a_flush_waits_until_the_topic_has_them),
        TOPIC_TEST(they_are_not_in_the_table),
        TOPIC_TEST(others_go_on_meanwhile),
        TOPIC_TEST(what_the_topic_has_is_not_produced_again),
        TOPIC_TEST(a_flush_that_is_tried_again_does_not_produce_again),
        TOPIC_TEST(what_the_topic_refuses_halts_the_partition),
        TOPIC_TEST(a_batch_that_is_dropped_is_abandoned),
        TOPIC_TEST(a_table_that_changed_meanwhile_gets_its_rows_anew),
        TOPIC_TEST(their_topic_is_not_consumed),
        BREAKER_TEST(too_many_halt_before_they_are_buried),
        BREAKER_TEST(the_same_records_halt_again_and_mended_ones_do_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
