/*
 * Headers as JSON, exactly. The messages are a producer's own that were never sent: librdkafka
 * gives them back, headers and all, when its queue is purged.
 */
#include "kafka/headers.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static rd_kafka_t *client;
static struct buffer out;
static bool appended;

static void on_delivered(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *opaque)
{
    (void)kafka;
    (void)opaque;
    appended = headers_append(&out, message);
}

static int open_client(void **state)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char problem[256];

    (void)state;
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0); /* it misses brokers */
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, sizeof(problem));
    return client ? 0 : -1;
}

static int close_client(void **state)
{
    (void)state;
    rd_kafka_destroy(client);
    buffer_finish(&out);
    return 0;
}

static const char *json_of(rd_kafka_headers_t *headers)
{
    buffer_reset(&out);
    rd_kafka_producev(client, RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_HEADERS(headers),
                      RD_KAFKA_V_END);
    rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE);
    rd_kafka_flush(client, 5000);
    return buffer_text(&out);
}

static const char *json_of_one(const char *name, const void *value, size_t size)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);

    rd_kafka_header_add(headers, name, -1, value, (ssize_t)size);
    return json_of(headers);
}

static const char *json_of_text(const char *name, const char *value)
{
    return json_of_one(name, value, strlen(value));
}

static void a_text_is_a_text(void **state)
{
    (void)state;
    assert_string_equal(json_of_text("trace", "abc"), "[{\"key\": \"trace\", \"value\": \"abc\"}]");
    assert_true(appended);
}

static void no_value_is_null(void **state)
{
    (void)state;
    assert_string_equal(json_of_one("none", NULL, 0), "[{\"key\": \"none\", \"value\": null}]");
}

static void an_empty_value_is_an_empty_text(void **state)
{
    (void)state;
    assert_string_equal(json_of_text("empty", ""), "[{\"key\": \"empty\", \"value\": \"\"}]");
}

static void names_may_repeat_and_keep_their_order(void **state)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(3);

    (void)state;
    rd_kafka_header_add(headers, "b", -1, "1", 1);
    rd_kafka_header_add(headers, "a", -1, "2", 1);
    rd_kafka_header_add(headers, "b", -1, "3", 1);
    assert_string_equal(json_of(headers), "[{\"key\": \"b\", \"value\": \"1\"}, "
                                          "{\"key\": \"a\", \"value\": \"2\"}, "
                                          "{\"key\": \"b\", \"value\": \"3\"}]");
}

static void what_is_no_text_is_base64(void **state)
{
    (void)state;
    assert_string_equal(json_of_one("raw", "\xff", 1),
                        "[{\"key\": \"raw\", \"base64\": \"/w==\"}]");
    assert_string_equal(json_of_one("raw", "\xff\xee", 2),
                        "[{\"key\": \"raw\", \"base64\": \"/+4=\"}]");
    assert_string_equal(json_of_one("raw", "\xff\xee\xdd", 3),
                        "[{\"key\": \"raw\", \"base64\": \"/+7d\"}]");
    assert_string_equal(json_of_one("nul", "a\0b", 3),
                        "[{\"key\": \"nul\", \"base64\": \"YQBi\"}]");
}

static void what_json_escapes_is_escaped(void **state)
{
    (void)state;
    assert_string_equal(json_of_text("q\"\\", "\"\\\n\x01/\x7f"),
                        "[{\"key\": \"q\\\"\\\\\", "
                        "\"value\": \"\\\"\\\\\\u000a\\u0001/\x7f\"}]");
}

static void a_name_that_is_no_text_is_left_out(void **state)
{
    (void)state;
    assert_string_equal(json_of_text("\xff", "a"),
                        "[{\"key\": \"(not valid UTF-8)\", \"value\": \"a\"}]");
}

static void without_headers_nothing_is_appended(void **state)
{
    (void)state;
    buffer_reset(&out);
    appended = true;
    rd_kafka_producev(client, RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_END);
    rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE);
    rd_kafka_flush(client, 5000);
    assert_false(appended);
    assert_int_equal(out.len, 0);
}

/* jansson reads it, and finds what was put in. */
static void whatever_the_bytes_it_is_json(void **state)
{
    char value[256];

    (void)state;
    for (int first = 0; first < 256; first++) {
        for (int i = 0; i < 256; i++)
            value[i] = (char)(first + i % 7);
        json_t *array = json_loads(json_of_one("name", value, (size_t)first), 0, NULL);
        assert_non_null(array);
        const json_t *text = json_object_get(json_array_get(array, 0), "value");
        if (text) {
            assert_int_equal(json_string_length(text), first);
            assert_memory_equal(json_string_value(text), value, (size_t)first);
        } else {
            assert_non_null(json_object_get(json_array_get(array, 0), "base64"));
        }
        json_decref(array);
    }
}

/* Headers to JSON and back. */

static void assert_header(const rd_kafka_headers_t *headers, size_t index, const char *name,
                          const void *value, size_t size)
{
    const char *found;
    const void *bytes;
    size_t len;

    assert_int_equal(rd_kafka_header_get_all(headers, index, &found, &bytes, &len), 0);
    assert_string_equal(found, name);
    assert_int_equal(len, size);
    if (value)
        assert_memory_equal(bytes, value, size);
    else
        assert_null(bytes);
}

static void what_was_written_is_read_again(void **state)
{
    char value[256];

    (void)state;
    for (int first = 0; first < 256; first++) {
        for (int i = 0; i < 256; i++)
            value[i] = (char)(first + i % 7);
        const char *json = json_of_one("näme\"\n", value, (size_t)first);
        rd_kafka_headers_t *headers = headers_parse(slice_of(json));
        assert_int_equal(rd_kafka_header_cnt(headers), 1);
        assert_header(headers, 0, "näme\"\n", value, (size_t)first);
        rd_kafka_headers_destroy(headers);
    }
}

static void order_repetition_null_and_empty_are_read_again(void **state)
{
    rd_kafka_headers_t *headers =
        headers_parse(slice_of("[{\"key\": \"b\", \"value\": null}, {\"key\": \"a\", "
                               "\"value\": \"\"}, {\"key\": \"b\", \"base64\": \"/+4=\"}]"));

    (void)state;
    assert_int_equal(rd_kafka_header_cnt(headers), 3);
    assert_header(headers, 0, "b", NULL, 0);
    assert_header(headers, 1, "a", "", 0);
    assert_header(headers, 2, "b", "\xff\xee", 2);
    rd_kafka_headers_destroy(headers);
}

static void without_an_array_there_are_none(void **state)
{
    rd_kafka_headers_t *headers = headers_parse(SLICE_NONE);

    (void)state;
    assert_int_equal(rd_kafka_header_cnt(headers), 0);
    rd_kafka_headers_destroy(headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_a_text),
        cmocka_unit_test(no_value_is_null),
        cmocka_unit_test(an_empty_value_is_an_empty_text),
        cmocka_unit_test(names_may_repeat_and_keep_their_order),
        cmocka_unit_test(what_is_no_text_is_base64),
        cmocka_unit_test(what_json_escapes_is_escaped),
        cmocka_unit_test(a_name_that_is_no_text_is_left_out),
        cmocka_unit_test(without_headers_nothing_is_appended),
        cmocka_unit_test(whatever_the_bytes_it_is_json),
        cmocka_unit_test(what_was_written_is_read_again),
        cmocka_unit_test(order_repetition_null_and_empty_are_read_again),
        cmocka_unit_test(without_an_array_there_are_none),
    };

    return cmocka_run_group_tests(tests, open_client, close_client);
}
