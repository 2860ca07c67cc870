/* Slots by topic and partition, and the way from a message to its slot. */
#include "kafka/assignment.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct assignment assignment;
static rd_kafka_t *client; /* only lends its handles: it connects to nobody */

static int open_client(void **state)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char problem[256];

    (void)state;
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0); /* it misses brokers */
    client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, sizeof(problem));
    return client ? 0 : -1;
}

static int close_client(void **state)
{
    (void)state;
    rd_kafka_destroy(client);
    return 0;
}

static int end(void **state)
{
    (void)state;
    assignment_finish(&assignment);
    assignment = (struct assignment){0};
    return 0;
}

static rd_kafka_topic_t *handle_of(const char *topic)
{
    return rd_kafka_topic_new(client, topic, NULL);
}

static void a_slot_is_made_when_it_is_new(void **state)
{
    (void)state;
    struct assignment_slot *slot = assignment_slot(&assignment, "orders", 3);
    assert_null(slot->queue);
    assert_false(slot->fetched || slot->start || slot->stop || slot->place);
    slot->place = true;
    assert_ptr_equal(assignment_slot(&assignment, "orders", 3), slot);
    assert_true(slot->place);
}

static void partitions_and_topics_are_apart(void **state)
{
    (void)state;
    for (int32_t partition = 0; partition < 100; partition++) {
        assignment_slot(&assignment, "orders", partition)->asked_ms = partition;
        assignment_slot(&assignment, "clicks", partition)->asked_ms = 1000 + partition;
    }
    for (int32_t partition = 0; partition < 100; partition++) {
        assert_int_equal(assignment_slot(&assignment, "orders", partition)->asked_ms, partition);
        assert_int_equal(assignment_slot(&assignment, "clicks", partition)->asked_ms,
                         1000 + partition);
    }
}

static void a_higher_partition_leaves_the_lower_ones_as_they_are(void **state)
{
    (void)state;
    assignment_slot(&assignment, "orders", 0)->fetched = true;
    assignment_slot(&assignment, "orders", 10000)->fetched = true;
    assert_true(assignment_slot(&assignment, "orders", 0)->fetched);
    assert_false(assignment_slot(&assignment, "orders", 5000)->fetched);
}

static void a_message_is_found_by_its_topics_handle(void **state)
{
    rd_kafka_topic_t *orders = handle_of("orders");
    rd_kafka_topic_t *clicks = handle_of("clicks");

    (void)state;
    struct assignment_slot *slot = assignment_slot(&assignment, "clicks", 2);
    assignment_slot(&assignment, "orders", 2);
    for (int i = 0; i < 2; i++) {
        assert_ptr_equal(assignment_find(&assignment, clicks, 2), slot);
        assert_ptr_equal(assignment_find(&assignment, orders, 2),
                         assignment_slot(&assignment, "orders", 2));
    }
    rd_kafka_topic_destroy(orders);
    rd_kafka_topic_destroy(clicks);
}

static void what_was_never_assigned_is_not_found(void **state)
{
    rd_kafka_topic_t *orders = handle_of("orders");

    (void)state;
    assert_null(assignment_find(&assignment, orders, 0));
    assignment_slot(&assignment, "orders", 1);
    assert_non_null(assignment_find(&assignment, orders, 0));
    assert_null(assignment_find(&assignment, orders, 2));
    rd_kafka_topic_destroy(orders);
}

/* As if librdkafka had destroyed one topic and made another in its place. */
static void a_handle_that_was_forgotten_may_be_another_topics(void **state)
{
    rd_kafka_topic_t *clicks = handle_of("clicks");

    (void)state;
    struct assignment_slot *orders = assignment_slot(&assignment, "orders", 0);
    assignment.topics->handle = clicks;
    struct assignment_slot *slot = assignment_slot(&assignment, "clicks", 0);
    assert_ptr_equal(assignment_find(&assignment, clicks, 0), orders);
    assignment_forget_handles(&assignment);
    assert_ptr_equal(assignment_find(&assignment, clicks, 0), slot);
    rd_kafka_topic_destroy(clicks);
}

static int visits;

static void visit(void *opaque, const char *topic, int32_t partition, struct assignment_slot *slot)
{
    assert_ptr_equal(opaque, &visits);
    assert_ptr_equal(slot, assignment_slot(&assignment, topic, partition));
    assert_non_null(slot->queue);
    visits++;
}

static void only_what_is_ours_is_walked(void **state)
{
    static struct queue queue;

    (void)state;
    assignment_slot(&assignment, "orders", 0);
    assignment_slot(&assignment, "orders", 5)->queue = &queue;
    assignment_slot(&assignment, "clicks", 1)->queue = &queue;
    visits = 0;
    assignment_each(&assignment, visit, &visits);
    assert_int_equal(visits, 2);
}

#define ASSIGNMENT_TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ASSIGNMENT_TEST(a_slot_is_made_when_it_is_new),
        ASSIGNMENT_TEST(partitions_and_topics_are_apart),
        ASSIGNMENT_TEST(a_higher_partition_leaves_the_lower_ones_as_they_are),
        ASSIGNMENT_TEST(a_message_is_found_by_its_topics_handle),
        ASSIGNMENT_TEST(what_was_never_assigned_is_not_found),
        ASSIGNMENT_TEST(a_handle_that_was_forgotten_may_be_another_topics),
        ASSIGNMENT_TEST(only_what_is_ours_is_walked),
    };

    return cmocka_run_group_tests(tests, open_client, close_client);
}
