/* Slices: borrowed bytes, and "no value" beside "an empty one". */
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void a_slice_of_a_text_has_its_length(void **state)
{
    const char *text = "orders";

    (void)state;
    assert_int_equal(slice_of(text).len, 6);
    assert_ptr_equal(slice_of(text).data, text);
    assert_int_equal(slice_of("").len, 0);
    assert_non_null(slice_of("").data);
}

static void equality_compares_bytes_and_length(void **state)
{
    (void)state;
    assert_true(slice_equal(slice_of("abc"), (struct slice){"abcd", 3}));
    assert_false(slice_equal(slice_of("abc"), slice_of("abd")));
    assert_false(slice_equal(slice_of("abc"), slice_of("ab")));
    assert_true(slice_equal((struct slice){"a\0b", 3}, (struct slice){"a\0b", 3}));
    assert_false(slice_equal((struct slice){"a\0b", 3}, (struct slice){"a\0c", 3}));
}

static void no_value_compares_without_touching_memory(void **state)
{
    (void)state;
    assert_true(slice_equal(SLICE_NONE, SLICE_NONE));
    assert_false(slice_equal(SLICE_NONE, slice_of("a")));
}

static void slices_print_without_a_terminator(void **state)
{
    char text[32];

    (void)state;
    snprintf(text, sizeof(text), "<%.*s>", SLICE_ARG(((struct slice){"orders", 3})));
    assert_string_equal(text, "<ord>");
    snprintf(text, sizeof(text), "<%.*s>", SLICE_ARG(SLICE_NONE));
    assert_string_equal(text, "<>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slice_of_a_text_has_its_length),
        cmocka_unit_test(equality_compares_bytes_and_length),
        cmocka_unit_test(no_value_compares_without_touching_memory),
        cmocka_unit_test(slices_print_without_a_terminator),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
