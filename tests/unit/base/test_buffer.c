/* Growth, network byte order, and text at the end of a buffer. */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void appends_grow_and_keep_what_is_there(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    for (int i = 0; i < 100000; i++)
        buffer_append(&buffer, "0123456789" + i % 10, 1);
    assert_int_equal(buffer.len, 100000);
    assert_true(buffer.cap >= buffer.len);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buffer.data[i], '0' + i % 10);
    buffer_finish(&buffer);
}

static void one_append_may_be_larger_than_twice_the_size(void **state)
{
    static const char large[10000] = "x";
    struct buffer buffer = {0};

    (void)state;
    buffer_append(&buffer, "a", 1);
    buffer_append(&buffer, large, sizeof(large));
    assert_int_equal(buffer.len, 1 + sizeof(large));
    assert_memory_equal(buffer.data + 1, large, sizeof(large));
    buffer_finish(&buffer);
}

static void growing_doubles_so_appends_seldom_allocate(void **state)
{
    struct buffer buffer = {0};
    size_t grown = 0;

    (void)state;
    for (size_t cap = 0; buffer.len < 1 << 20;) {
        buffer_append_text(&buffer, "some bytes");
        grown += buffer.cap != cap;
        cap = buffer.cap;
    }
    assert_true(grown <= 14);
    buffer_finish(&buffer);
}

static void nothing_can_be_appended_to_nothing(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    buffer_append(&buffer, NULL, 0);
    buffer_append_text(&buffer, "");
    assert_int_equal(buffer.len, 0);
    assert_null(buffer.data);
}

static void reset_keeps_the_memory(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    buffer_reserve(&buffer, 5000);
    const char *data = buffer.data;
    buffer_append_text(&buffer, "gone");
    buffer_reset(&buffer);
    assert_int_equal(buffer.len, 0);
    buffer_reserve(&buffer, 5000);
    assert_ptr_equal(buffer.data, data);
    buffer_finish(&buffer);
}

static void integers_are_in_network_byte_order(void **state)
{
    static const unsigned char expected[] = {0x7f, 0xff, 0xfe, 0x80, 0x00, 0x00, 0x01, 0x01,
                                             0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};
    struct buffer buffer = {0};

    (void)state;
    buffer_reserve(&buffer, sizeof(expected));
    buffer_put_byte(&buffer, 0x7f);
    buffer_put_int16(&buffer, -2);
    buffer_put_int32(&buffer, INT32_MIN + 1);
    buffer_put_int64(&buffer, 0x0102030405060708);
    assert_int_equal(buffer.len, sizeof(expected));
    assert_memory_equal(buffer.data, expected, sizeof(expected));
    buffer_finish(&buffer);
}

static void printf_appends_whatever_its_length(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    buffer_append_text(&buffer, "a=");
    buffer_printf(&buffer, "%d%s", 42, ";");
    buffer_printf(&buffer, "%5000d", 7);
    assert_int_equal(buffer.len, 5 + 5000);
    assert_memory_equal(buffer.data, "a=42;     ", 10);
    assert_int_equal(buffer.data[buffer.len - 1], '7');
    buffer_finish(&buffer);
}

static void text_ends_with_nul_that_does_not_count(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    assert_string_equal(buffer_text(&buffer), "");
    buffer_append_text(&buffer, "abc");
    assert_string_equal(buffer_text(&buffer), "abc");
    assert_int_equal(buffer.len, 3);
    buffer_append_text(&buffer, "d");
    assert_string_equal(buffer_text(&buffer), "abcd");
    buffer_finish(&buffer);
}

static void finish_can_be_repeated(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    buffer_append_text(&buffer, "abc");
    buffer_finish(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.cap, 0);
    buffer_finish(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_grow_and_keep_what_is_there),
        cmocka_unit_test(one_append_may_be_larger_than_twice_the_size),
        cmocka_unit_test(growing_doubles_so_appends_seldom_allocate),
        cmocka_unit_test(nothing_can_be_appended_to_nothing),
        cmocka_unit_test(reset_keeps_the_memory),
        cmocka_unit_test(integers_are_in_network_byte_order),
        cmocka_unit_test(printf_appends_whatever_its_length),
        cmocka_unit_test(text_ends_with_nul_that_does_not_count),
        cmocka_unit_test(finish_can_be_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
