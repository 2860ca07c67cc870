/* Topics that are deleted, and made again under the same name. */
#include "dispatch/identity.h"
#include "dispatcher_fixture.h"

static int identifies;

static void note_identify(void *opaque)
{
    (void)opaque;
    identifies++;
}

static int begin_with(enum config_delivery delivery)
{
    struct config with = usual_config();

    with.delivery = delivery;
    open_dispatcher(&with);
    dispatcher.hooks.identify = note_identify;
    identifies = 0;
    stored_topic_id = "";
    return 0;
}

static int begin_ids(void **state)
{
    (void)state;
    return begin_with(CONFIG_EXACTLY_ONCE);
}

static int begin_at_least_once(void **state)
{
    (void)state;
    return begin_with(CONFIG_AT_LEAST_ONCE);
}

static struct queue *open_known_at(int32_t partition, int64_t position)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", partition);

    turns();
    if (conn_running("relkind"))
        answer_catalog();
    identity_take(&dispatcher, "orders", "A");
    answer_claim(position, 1);
    assert_int_equal(queue->state, QUEUE_OPEN);
    return queue;
}

static void assert_halted(const struct queue *queue, const char *why)
{
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_int_equal(queue->halted.class, ERR_CONFIG);
    if (!strstr(queue->halted.text, why))
        fail_msg("\"%s\" is not in: %s", why, queue->halted.text);
}

static void a_claim_waits_until_the_topic_is_known(void **state)
{
    ownership_assign(&dispatcher, "orders", 3);

    (void)state;
    answer_catalog();
    turns();
    assert_int_equal(identifies, 1);
    assert_null(conn_running("SET LOCAL lock_timeout"));
    identity_take(&dispatcher, "orders", "A");
    assert_non_null(strstr(conn_sql(await_claim()), "topic_id = coalesce(o.topic_id, E'A')"));
}

static void one_that_was_just_seen_is_claimed_at_once(void **state)
{
    open_known_at(1, 100);

    (void)state;
    ownership_assign(&dispatcher, "orders", 2);
    answer_claim(5, 1);
    assert_int_equal(identifies, 1);
    pass_ms(6000);
    ownership_assign(&dispatcher, "orders", 3);
    turns();
    assert_int_equal(identifies, 2);
    assert_null(conn_running("SET LOCAL lock_timeout"));
}

static void a_cluster_without_ids_is_read_all_the_same(void **state)
{
    ownership_assign(&dispatcher, "orders", 3);

    (void)state;
    answer_catalog();
    identity_take(&dispatcher, "orders", "");
    struct conn *claim = await_claim();
    assert_null(strstr(conn_sql(claim), "topic_id ="));
    stored_topic_id = "A";
    give_position(claim, 5, 1);
    assert_int_equal(asked.starts, 1);
}

static void a_position_of_the_same_topic_is_taken(void **state)
{
    stored_topic_id = "A";
    struct queue *queue = open_known_at(3, 500);

    (void)state;
    assert_int_equal(queue->read_next, 500);
}

static void a_position_of_a_former_topic_halts_its_partition(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 3);

    (void)state;
    stored_topic_id = "A";
    answer_catalog();
    identity_take(&dispatcher, "orders", "B");
    answer_claim(500, 1);
    assert_halted(queue, "orders[3]: the topic was deleted and made anew: its id is B, and the "
                         "position 500 belongs to the one with id A");
    assert_non_null(strstr(queue->halted.text, "pgsluice offsets reset --topic orders"));
    assert_int_equal(asked.starts, 0);
    assert_int_equal(queue->position, -1);
}

static void it_goes_on_once_the_position_is_of_the_new_one(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 3);

    (void)state;
    stored_topic_id = "A";
    answer_catalog();
    identity_take(&dispatcher, "orders", "B");
    answer_claim(500, 1);
    pass_ms(60000);
    assert_int_equal(queue->state, QUEUE_UNROUTED);
    assert_int_equal(identifies, 2);
    answer_catalog();
    turns();
    assert_null(conn_running("SET LOCAL lock_timeout")); /* it may be a third one by now */
    identity_take(&dispatcher, "orders", "B");
    stored_topic_id = "B";
    answer_claim(0, 2);
    assert_int_equal(queue->state, QUEUE_OPEN);
    assert_int_equal(queue->read_next, 0);
}

static void a_topic_that_is_made_anew_while_it_is_read_halts(void **state)
{
    struct queue *one = open_known_at(1, 100);
    struct queue *two = open_known_at(2, 50);

    (void)state;
    identity_take(&dispatcher, "orders", "A");
    append_range(one, 100, 103);
    commit_flush(await_flush(), 1);
    append_range(two, 50, 51);
    identity_take(&dispatcher, "orders", "B");
    assert_halted(one,
                  "from offset 100 to before 104 may be of the new topic: orders[1]: the topic "
                  "was deleted and made anew: its id was A and is B");
    assert_halted(two, "orders[2]: the topic was deleted");
    assert_int_equal(asked.stops, 2);
    assert_no_flush();
}

static void only_its_own_partitions_halt(void **state)
{
    struct queue *queue = open_known_at(1, 100);

    (void)state;
    identity_take(&dispatcher, "clicks", "A");
    identity_take(&dispatcher, "clicks", "B");
    assert_int_equal(queue->state, QUEUE_OPEN);
}

static void an_answer_with_the_former_id_is_late(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 3);

    (void)state;
    answer_catalog();
    identity_take(&dispatcher, "orders", "A");
    identity_take(&dispatcher, "orders", "B");
    identity_take(&dispatcher, "orders", "A");
    assert_string_equal(queue->route->topic_id, "B");
}

static void a_topic_that_is_gone_halts(void **state)
{
    struct queue *queue = open_known_at(1, 100);

    (void)state;
    identity_take(&dispatcher, "orders", NULL);
    assert_halted(queue, "orders[1]: the topic does not exist any more");
    pass_ms(60000);
    answer_catalog();
    turns();
    assert_null(conn_running("SET LOCAL lock_timeout"));
    assert_int_equal(queue->state, QUEUE_UNCLAIMED);
}

static void a_topic_that_is_not_there_yet_is_waited_for(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 3);

    (void)state;
    answer_catalog();
    identity_take(&dispatcher, "orders", NULL);
    assert_int_equal(queue->state, QUEUE_UNCLAIMED);
    identity_take(&dispatcher, "orders", "A");
    answer_claim(0, 1);
    assert_int_equal(queue->state, QUEUE_OPEN);
}

static void without_claims_a_new_topic_is_read_from_its_start(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 0);

    (void)state;
    answer_catalog();
    ownership_place(&dispatcher, queue, 40);
    identity_take(&dispatcher, "orders", "A");
    identity_take(&dispatcher, "orders", "B");
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_true(queue->vanished);
    pass_ms(60000);
    answer_catalog();
    assert_int_equal(queue->state, QUEUE_UNPLACED);
    ownership_place(&dispatcher, queue, 0);
    assert_int_equal(queue->state, QUEUE_OPEN);
    assert_int_equal(queue->read_next, 0);
    assert_false(queue->vanished);
}

static void without_claims_one_that_has_halted_before_starts_over_too(void **state)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", 0);
    struct err err;

    (void)state;
    answer_catalog();
    ownership_place(&dispatcher, queue, 40);
    identity_take(&dispatcher, "orders", "A");
    err_set(&err, ERR_OUTAGE, "out of range");
    ownership_halt(&dispatcher, queue, &err);
    identity_take(&dispatcher, "orders", "B");
    pass_ms(60000);
    answer_catalog();
    assert_int_equal(queue->state, QUEUE_UNPLACED);
}

#define IDENTITY_TEST(name) cmocka_unit_test_setup_teardown(name, begin_ids, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IDENTITY_TEST(a_claim_waits_until_the_topic_is_known),
        IDENTITY_TEST(one_that_was_just_seen_is_claimed_at_once),
        IDENTITY_TEST(a_cluster_without_ids_is_read_all_the_same),
        IDENTITY_TEST(a_position_of_the_same_topic_is_taken),
        IDENTITY_TEST(a_position_of_a_former_topic_halts_its_partition),
        IDENTITY_TEST(it_goes_on_once_the_position_is_of_the_new_one),
        IDENTITY_TEST(a_topic_that_is_made_anew_while_it_is_read_halts),
        IDENTITY_TEST(only_its_own_partitions_halt),
        IDENTITY_TEST(an_answer_with_the_former_id_is_late),
        IDENTITY_TEST(a_topic_that_is_gone_halts),
        IDENTITY_TEST(a_topic_that_is_not_there_yet_is_waited_for),
        cmocka_unit_test_setup_teardown(without_claims_a_new_topic_is_read_from_its_start,
                                        begin_at_least_once, end),
        cmocka_unit_test_setup_teardown(without_claims_one_that_has_halted_before_starts_over_too,
                                        begin_at_least_once, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
