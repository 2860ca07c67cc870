/* Delays double up to the limit, spread over the upper half of their bound. */
#include "base/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct backoff backoff = {.first_ms = 100, .limit_ms = 5000};

static void the_bound_doubles_with_each_attempt(void **state)
{
    static const int64_t least[] = {50, 100, 200, 400, 800, 1600};

    (void)state;
    for (unsigned attempt = 0; attempt < 6; attempt++) {
        assert_int_equal(backoff_delay_ms(&backoff, attempt, 0), least[attempt]);
        assert_int_equal(backoff_delay_ms(&backoff, attempt, UINT32_MAX), 2 * least[attempt] - 1);
    }
}

static void the_limit_holds_however_many_attempts(void **state)
{
    static const unsigned attempts[] = {6, 7, 63, 64, 65, 1000, 4000000000};

    (void)state;
    for (int i = 0; i < 7; i++) {
        assert_int_equal(backoff_delay_ms(&backoff, attempts[i], 0), 2500);
        assert_int_equal(backoff_delay_ms(&backoff, attempts[i], UINT32_MAX), 4999);
    }
}

static void a_limit_below_the_first_delay_counts_at_once(void **state)
{
    static const struct backoff narrow = {.first_ms = 1000, .limit_ms = 10};

    (void)state;
    assert_in_range(backoff_delay_ms(&narrow, 0, UINT32_MAX), 5, 9);
}

static void chance_spreads_evenly(void **state)
{
    int low = 0;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        low += backoff_delay_ms(&backoff, 3, i * (UINT32_MAX / 1000)) < 600;
    assert_in_range(low, 490, 510);
}

static void chance_differs_from_call_to_call(void **state)
{
    uint32_t first = backoff_random();
    int same = 0;

    (void)state;
    for (int i = 0; i < 8; i++)
        same += backoff_random() == first;
    assert_true(same < 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bound_doubles_with_each_attempt),
        cmocka_unit_test(the_limit_holds_however_many_attempts),
        cmocka_unit_test(a_limit_below_the_first_delay_counts_at_once),
        cmocka_unit_test(chance_spreads_evenly),
        cmocka_unit_test(chance_differs_from_call_to_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
