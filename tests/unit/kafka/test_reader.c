/*
 * From librdkafka's data queue to the dispatcher, with a mock cluster in this process. The
 * dispatcher is a function that takes notes; it stands in for dispatch/intake.c.
 */
#include "kafka/reader.h"

#include "base/clock.h"
#include "dispatch/intake.h"
#include "dispatch/route.h"

#include <librdkafka/rdkafka_mock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TAKEN_MAX = 1000, DEADLINE_MS = 20000, QUIET_MS = 300 };

static rd_kafka_t *producer; /* also lends its threads to the cluster */
static rd_kafka_mock_cluster_t *cluster;
static rd_kafka_t *client;
static uv_loop_t loop;
static uv_timer_t ticker; /* keeps the loop turning while it waits */
static struct assignment assignment;
static struct reader reader;
static struct dispatcher dispatcher;
static struct route route;
static struct queue queue;

static struct {
    int64_t offsets[TAKEN_MAX];
    int count;
    int room; /* how many more it can take */
    bool has_headers;
    char key[16];
    char value[16];
} taken;

bool intake_append(struct dispatcher *to, struct queue *of, const struct record *record)
{
    assert_ptr_equal(to, &dispatcher);
    assert_ptr_equal(of, &queue);
    taken.offsets[taken.count++] = record->offset;
    taken.has_headers = record->headers.data != NULL;
    snprintf(taken.key, sizeof(taken.key), "%.*s", SLICE_ARG(record->key));
    snprintf(taken.value, sizeof(taken.value), "%.*s", SLICE_ARG(record->value));
    return --taken.room > 0;
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char problem[256];

    if (rd_kafka_conf_set(conf, name, value, problem, sizeof(problem)) != RD_KAFKA_CONF_OK)
        fail_msg("%s", problem);
}

static rd_kafka_t *make_client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char problem[256];
    rd_kafka_t *made = rd_kafka_new(type, conf, problem, sizeof(problem));

    if (!made)
        fail_msg("%s", problem);
    return made;
}

static int open_cluster(void **state)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    (void)state;
    set(conf, "test.mock.num.brokers", "1");
    set(conf, "linger.ms", "0");
    set(conf, "log_level", "3");
    producer = make_client(RD_KAFKA_PRODUCER, conf);
    cluster = rd_kafka_handle_mock_cluster(producer);
    return cluster ? 0 : -1;
}

static int close_cluster(void **state)
{
    (void)state;
    rd_kafka_destroy(producer);
    return 0;
}

static int begin(void **state)
{
    static char topic[] = "orders";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    (void)state;
    rd_kafka_mock_topic_create(cluster, topic, 1, 1);
    set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster));
    set(conf, "group.id", "group");
    set(conf, "auto.offset.reset", "error");
    set(conf, "log_level", "3");
    client = make_client(RD_KAFKA_CONSUMER, conf);
    memset(&taken, 0, sizeof(taken));
    taken.room = TAKEN_MAX;
    route.topic = topic;
    queue = (struct queue){.route = &route, .end = INT64_MAX};
    uv_loop_init(&loop);
    uv_timer_init(&loop, &ticker);
    uv_timer_start(&ticker, on_tick, 5, 5);
    reader_open(&reader, &loop, client, &assignment, &dispatcher);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rd_kafka_assign(client, NULL);
    reader_close(&reader);
    uv_close((uv_handle_t *)&ticker, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    assignment_finish(&assignment);
    assignment = (struct assignment){0};
    return uv_loop_close(&loop);
}

/* Its messages' values are their offsets. Returns the first one. */
static int64_t produce(int count)
{
    static int64_t next;
    char value[16];

    for (int i = 0; i < count; i++) {
        snprintf(value, sizeof(value), "%lld", (long long)(next + i));
        rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_PARTITION(0),
                          RD_KAFKA_V_KEY("key", 3), RD_KAFKA_V_VALUE(value, strlen(value)),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_HEADER("trace", "abc", -1), RD_KAFKA_V_END);
    }
    assert_int_equal(rd_kafka_flush(producer, DEADLINE_MS), 0);
    next += count;
    return next - count;
}

/* As in kafka/consumer.c: a forward that comes before the fetch has stopped would be undone. */
static void stop_fetching(void)
{
    rd_kafka_topic_partition_list_t *list;

    rd_kafka_assign(client, NULL);
    assert_int_equal(rd_kafka_assignment(client, &list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
}

/* What the consumer does in its turn: the partition is fetched from there on. */
static struct assignment_slot *fetch_from(int64_t offset)
{
    struct assignment_slot *slot = assignment_slot(&assignment, "orders", 0);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    stop_fetching();
    *slot = (struct assignment_slot){.queue = &queue, .fetched = true};
    reader_forward(&reader, "orders", 0);
    rd_kafka_topic_partition_list_add(list, "orders", 0)->offset = offset;
    assert_int_equal(rd_kafka_assign(client, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    return slot;
}

static void run_until_read(uint64_t count)
{
    int64_t deadline_ms = clock_now_ms() + DEADLINE_MS;

    while (reader.records_count < count && clock_now_ms() < deadline_ms)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(reader.records_count, count);
}

/* Nothing more comes, although it had the time to. */
static void run_quietly(void)
{
    int64_t deadline_ms = clock_now_ms() + QUIET_MS;
    uint64_t count = reader.records_count;

    while (clock_now_ms() < deadline_ms)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(reader.records_count, count);
}

static void assert_taken(int64_t first, int count)
{
    assert_int_equal(taken.count, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(taken.offsets[i], first + i);
}

static void messages_come_in_order_with_their_bytes(void **state)
{
    char value[16];

    (void)state;
    int64_t first = produce(100);
    fetch_from(first);
    run_until_read(100);
    assert_taken(first, 100);
    assert_string_equal(taken.key, "key");
    snprintf(value, sizeof(value), "%lld", (long long)(first + 99));
    assert_string_equal(taken.value, value);
}

static void headers_are_read_where_they_are_wanted(void **state)
{
    (void)state;
    int64_t first = produce(1);
    fetch_from(first);
    run_until_read(1);
    assert_false(taken.has_headers);
    queue.wants_headers = true;
    produce(1);
    run_until_read(2);
    assert_true(taken.has_headers);
}

/* The race in reader.c: between the wish for another start and the turn that carries it out. */
static void what_comes_before_a_new_start_is_carried_out_is_dropped(void **state)
{
    (void)state;
    int64_t first = produce(10);
    struct assignment_slot *slot = fetch_from(first + 5);
    slot->start = true;
    run_until_read(5);
    assert_int_equal(taken.count, 0);
    fetch_from(first);
    run_until_read(15);
    assert_taken(first, 10);
}

static void what_comes_for_a_partition_that_shall_stop_is_dropped(void **state)
{
    (void)state;
    int64_t first = produce(3);
    fetch_from(first)->stop = true;
    run_until_read(3);
    assert_int_equal(taken.count, 0);
}

static void what_comes_for_nobody_is_dropped(void **state)
{
    (void)state;
    int64_t first = produce(3);
    fetch_from(first)->queue = NULL;
    run_until_read(3);
    assert_int_equal(taken.count, 0);
}

static void it_stops_when_there_is_no_room_and_loses_nothing(void **state)
{
    (void)state;
    taken.room = 10;
    int64_t first = produce(100);
    fetch_from(first);
    run_until_read(10);
    run_quietly();
    taken.room = 1;
    reader_resume(&reader);
    run_until_read(11);
    run_quietly();
    taken.room = TAKEN_MAX;
    reader_resume(&reader);
    run_until_read(100);
    assert_taken(first, 100);
}

static void once_stopped_it_reads_no_more(void **state)
{
    (void)state;
    int64_t first = produce(5);
    fetch_from(first);
    run_until_read(5);
    reader_stop(&reader);
    produce(5);
    run_quietly();
}

static void an_offset_that_kafka_has_not_is_asked_about(void **state)
{
    (void)state;
    produce(1);
    queue.position = 1000000;
    fetch_from(1000000);
    run_until_read(1);
    assert_int_equal(taken.count, 0);
    struct assignment_slot *slot = assignment_slot(&assignment, "orders", 0);
    assert_true(slot->out_of_range && slot->range && assignment.changed);
    assert_false(slot->faulty);
}

#define READER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        READER_TEST(messages_come_in_order_with_their_bytes),
        READER_TEST(headers_are_read_where_they_are_wanted),
        READER_TEST(what_comes_before_a_new_start_is_carried_out_is_dropped),
        READER_TEST(what_comes_for_a_partition_that_shall_stop_is_dropped),
        READER_TEST(what_comes_for_nobody_is_dropped),
        READER_TEST(it_stops_when_there_is_no_room_and_loses_nothing),
        READER_TEST(once_stopped_it_reads_no_more),
        READER_TEST(an_offset_that_kafka_has_not_is_asked_about),
    };

    return cmocka_run_group_tests(tests, open_cluster, close_cluster);
}
