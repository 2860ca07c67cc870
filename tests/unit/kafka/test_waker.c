/* librdkafka's queue wakes the loop. */
#include "kafka/waker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uv_loop_t loop;
static rd_kafka_t *client;
static rd_kafka_queue_t *queue;
static struct waker waker;
static int wakes;

/* Consumes nothing: delivery reports stay in the queue. */
static void on_wake(void *opaque)
{
    assert_ptr_equal(opaque, &wakes);
    wakes++;
    uv_stop(&loop);
}

static int begin(void **state)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char problem[256];

    (void)state;
    wakes = 0;
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0); /* it misses brokers */
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
    client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, sizeof(problem));
    queue = rd_kafka_queue_get_main(client);
    uv_loop_init(&loop);
    waker_open(&waker, &loop, queue, on_wake, &wakes);
    return client ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
    rd_kafka_queue_destroy(queue);
    waker_close(&waker);
    uv_run(&loop, UV_RUN_DEFAULT);
    rd_kafka_destroy(client);
    return uv_loop_close(&loop);
}

/* A message that can't be sent comes back as an event. */
static void make_event(void)
{
    rd_kafka_producev(client, RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_END);
    rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE);
}

static void empty_queue(void)
{
    for (rd_kafka_event_t *event; (event = rd_kafka_queue_poll(queue, 0));)
        rd_kafka_event_destroy(event);
}

static void it_wakes_once_for_what_came_before(void **state)
{
    (void)state;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(wakes, 1);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(wakes, 1);
}

static void it_wakes_when_the_queue_is_filled(void **state)
{
    (void)state;
    uv_run(&loop, UV_RUN_DEFAULT);
    for (int i = 2; i < 5; i++) {
        make_event();
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(wakes, i);
        empty_queue();
    }
}

static void it_wakes_again_when_asked(void **state)
{
    (void)state;
    uv_run(&loop, UV_RUN_DEFAULT);
    waker_again(&waker);
    waker_again(&waker);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(wakes, 2);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(wakes, 2);
}

#define WAKER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WAKER_TEST(it_wakes_once_for_what_came_before),
        WAKER_TEST(it_wakes_when_the_queue_is_filled),
        WAKER_TEST(it_wakes_again_when_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
