/* The allocator gives what was asked for, and ends the process when it can not. */
#include "base/memory.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void new_memory_is_zeroed(void **state)
{
    (void)state;
    for (size_t size = 1; size < 4096; size *= 3) {
        char *memory = memory_new(size);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xff, size);
        free(memory);
    }
}

static void arrays_are_zeroed(void **state)
{
    int64_t *numbers = memory_new_array(1000, sizeof(*numbers));

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(numbers[i], 0);
    free(numbers);
}

static void nothing_is_something_to_free(void **state)
{
    void *nothing[] = {memory_new(0), memory_new_array(0, 8), memory_resize(NULL, 0)};

    (void)state;
    for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
        assert_non_null(nothing[i]);
        free(nothing[i]);
    }
}

static void resize_keeps_the_content(void **state)
{
    char *memory = memory_strdup("content");

    (void)state;
    memory = memory_resize(memory, 100000);
    assert_string_equal(memory, "content");
    free(memory);
}

static void an_array_doubles(void **state)
{
    size_t cap = 0;
    int *array = memory_double(NULL, &cap, sizeof(*array));

    (void)state;
    assert_int_equal(cap, 16);
    array[15] = 7;
    array = memory_double(array, &cap, sizeof(*array));
    assert_int_equal(cap, 32);
    assert_int_equal(array[15], 7);
    array[31] = 8;
    free(array);
}

static void copies_end_where_they_should(void **state)
{
    char *whole = memory_strdup("orders");
    char *part = memory_strndup("orders", 3);
    char *bytes = memory_strndup("a\0b", 3);

    (void)state;
    assert_string_equal(whole, "orders");
    assert_string_equal(part, "ord");
    assert_memory_equal(bytes, "a\0b\0", 4);
    free(whole);
    free(part);
    free(bytes);
}

static void printf_makes_a_text_of_any_length(void **state)
{
    char *text = memory_printf("%s[%d]@%05000d", "orders", 3, 1);

    (void)state;
    assert_int_equal(strlen(text), strlen("orders[3]@") + 5000);
    free(text);
}

/* A child, because it has to die. */
static int status_of(void (*act)(void))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        act();
        _exit(0);
    }
    waitpid(child, &status, 0);
    return status;
}

/* There with a sanitizer, whose own allocator ends the process its own way. */
extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));

static volatile size_t too_much = SIZE_MAX / 4;

static void resize_too_far(void)
{
    free(memory_resize(NULL, too_much));
}

static void overflow_an_array(void)
{
    free(memory_new_array(too_much, 16));
}

static void out_of_memory_aborts(void **state)
{
    (void)state;
    if (__asan_init || __tsan_init)
        skip();
    assert_int_equal(WTERMSIG(status_of(resize_too_far)), SIGABRT);
    assert_int_equal(WTERMSIG(status_of(overflow_an_array)), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_memory_is_zeroed),
        cmocka_unit_test(arrays_are_zeroed),
        cmocka_unit_test(nothing_is_something_to_free),
        cmocka_unit_test(resize_keeps_the_content),
        cmocka_unit_test(an_array_doubles),
        cmocka_unit_test(copies_end_where_they_should),
        cmocka_unit_test(printf_makes_a_text_of_any_length),
        cmocka_unit_test(out_of_memory_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
