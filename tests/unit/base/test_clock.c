/* The units, and that the monotonic clock is one. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static void monotonic_time_never_goes_back(void **state)
{
    int64_t last_us = clock_now_us();

    (void)state;
    for (int i = 0; i < 100000; i++) {
        int64_t now_us = clock_now_us();
        assert_true(now_us >= last_us);
        last_us = now_us;
    }
}

static void milliseconds_and_microseconds_are_the_same_clock(void **state)
{
    int64_t before_us = clock_now_us();
    int64_t now_ms = clock_now_ms();
    int64_t after_us = clock_now_us();

    (void)state;
    assert_true(now_ms >= before_us / 1000);
    assert_true(now_ms <= after_us / 1000);
}

static void wall_time_is_unix_time_in_milliseconds(void **state)
{
    struct timespec before;
    struct timespec after;

    (void)state;
    clock_gettime(CLOCK_REALTIME, &before);
    int64_t now_ms = clock_wall_ms();
    clock_gettime(CLOCK_REALTIME, &after);
    assert_true(now_ms >= before.tv_sec * 1000 + before.tv_nsec / 1000000);
    assert_true(now_ms <= after.tv_sec * 1000 + after.tv_nsec / 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_time_never_goes_back),
        cmocka_unit_test(milliseconds_and_microseconds_are_the_same_clock),
        cmocka_unit_test(wall_time_is_unix_time_in_milliseconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
