/* Positions that Kafka can't fetch from. */
#include "dispatch/out_of_range.h"
#include "dispatcher_fixture.h"

static int begin_with(enum config_delivery delivery, enum config_out_of_range out_of_range)
{
    struct config with = usual_config();

    with.delivery = delivery;
    with.out_of_range = out_of_range;
    open_dispatcher(&with);
    return 0;
}

static int begin_halt(void **state)
{
    (void)state;
    return begin_with(CONFIG_EXACTLY_ONCE, CONFIG_OUT_OF_RANGE_HALT);
}

static int begin_earliest(void **state)
{
    (void)state;
    return begin_with(CONFIG_EXACTLY_ONCE, CONFIG_OUT_OF_RANGE_EARLIEST);
}

static int begin_at_least_once(void **state)
{
    (void)state;
    return begin_with(CONFIG_AT_LEAST_ONCE, CONFIG_OUT_OF_RANGE_EARLIEST);
}

static void assert_halted(const struct queue *queue, const char *why)
{
    assert_int_equal(queue->state, QUEUE_HALTED);
    if (!strstr(queue->halted.text, why))
        fail_msg("\"%s\" is not in: %s", why, queue->halted.text);
}

static void what_retention_has_deleted_is_counted_and_halts(void **state)
{
    struct queue *queue = open_at(3, 100);

    (void)state;
    assert_true(out_of_range_take(&dispatcher, queue, 250, 900));
    assert_halted(queue, "orders[3]@100: Kafka's retention has deleted what comes next: up to 150 "
                         "records, the offsets 100 to 249, are lost");
    assert_non_null(strstr(queue->halted.text, "SINK_OUT_OF_RANGE=earliest"));
    assert_int_equal(dispatcher.totals.lost_count, 0);
}

static void a_log_that_ends_before_the_position_halts(void **state)
{
    struct queue *queue = open_at(3, 100);

    (void)state;
    assert_true(out_of_range_take(&dispatcher, queue, 0, 60));
    assert_halted(queue, "orders[3]@100: the log ends at 60: it was cut off");
    assert_non_null(strstr(queue->halted.text, "offsets reset --topic orders --partition 3"));
}

static void a_log_that_has_grown_again_halts(void **state)
{
    struct queue *queue = open_at(3, 100);

    (void)state;
    assert_true(out_of_range_take(&dispatcher, queue, 0, 120));
    assert_halted(queue, "orders[3]@100: the log was cut off below this position");
}

static void what_was_read_before_is_written_first(void **state)
{
    struct queue *queue = open_at(3, 100);

    (void)state;
    append_range(queue, 100, 101);
    assert_false(out_of_range_take(&dispatcher, queue, 250, 900));
    struct conn *flush = await_flush();
    assert_false(out_of_range_take(&dispatcher, queue, 250, 900));
    commit_flush(flush, 1);
    assert_true(out_of_range_take(&dispatcher, queue, 250, 900));
    assert_halted(queue, "orders[3]@102");
    assert_int_equal(queue->position, 102);
}

static void with_earliest_the_claim_passes_what_is_lost(void **state)
{
    struct queue *queue = open_at(3, 100);

    (void)state;
    assert_true(out_of_range_take(&dispatcher, queue, 250, 900));
    assert_int_equal(log_said("error records lost"), 1);
    assert_int_equal(dispatcher.totals.lost_count, 150);
    struct conn *claim = await_claim();
    assert_non_null(
        strstr(conn_sql(claim), "next_offset = CASE WHEN o.next_offset = 100 THEN 250 ELSE"));
    give_position(claim, 250, 2);
    assert_int_equal(queue->state, QUEUE_OPEN);
    assert_int_equal(queue->read_next, 250);
    assert_int_equal(asked.stops, 1);
    assert_int_equal(asked.starts, 2);
    append_range(queue, 250, 251);
    struct conn *flush = await_flush();
    assert_non_null(strstr(conn_sql(flush), "ARRAY[2]::bigint[], ARRAY[250]::bigint[]"));
    commit_flush(flush, 1);
    append_range(queue, 252, 253);
    conn_lose(await_flush());
    pass_ms(300);
    assert_null(strstr(conn_sql(await_claim()), "CASE")); /* only once */
}

static void with_earliest_a_log_that_was_cut_off_halts_all_the_same(void **state)
{
    struct queue *queue = open_at(3, 100);

    (void)state;
    assert_true(out_of_range_take(&dispatcher, queue, 0, 60));
    assert_halted(queue, "cut off");
}

static void without_claims_it_goes_on_at_once(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 0);

    (void)state;
    answer_catalog();
    ownership_place(&dispatcher, queue, 100);
    assert_true(out_of_range_take(&dispatcher, queue, 250, 900));
    assert_int_equal(queue->state, QUEUE_OPEN);
    assert_int_equal(queue->read_next, 250);
    assert_int_equal(queue->position, 250);
    assert_int_equal(asked.starts, 2);
}

static void a_partition_that_is_halted_already_stays_so(void **state)
{
    struct queue *queue = open_at(3, 100);

    (void)state;
    assert_true(out_of_range_take(&dispatcher, queue, 250, 900));
    assert_true(out_of_range_take(&dispatcher, queue, 0, 60));
    assert_halted(queue, "retention");
}

#define HALT_TEST(name)     cmocka_unit_test_setup_teardown(name, begin_halt, end)
#define EARLIEST_TEST(name) cmocka_unit_test_setup_teardown(name, begin_earliest, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HALT_TEST(what_retention_has_deleted_is_counted_and_halts),
        HALT_TEST(a_log_that_ends_before_the_position_halts),
        HALT_TEST(a_log_that_has_grown_again_halts),
        HALT_TEST(what_was_read_before_is_written_first),
        HALT_TEST(a_partition_that_is_halted_already_stays_so),
        EARLIEST_TEST(with_earliest_the_claim_passes_what_is_lost),
        EARLIEST_TEST(with_earliest_a_log_that_was_cut_off_halts_all_the_same),
        cmocka_unit_test_setup_teardown(without_claims_it_goes_on_at_once, begin_at_least_once,
                                        end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
