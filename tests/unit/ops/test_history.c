/* A ring of samples, oldest first. */
#include "ops/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void it_holds_what_there_was(void **state)
{
    struct history history = {0};

    (void)state;
    assert_int_equal(history_length(&history), 0);
    history_add(&history, &(struct history_sample){.rows = 1, .lag = 5});
    history_add(&history, &(struct history_sample){.rows = 2, .lag = 6});
    assert_int_equal(history_length(&history), 2);
    assert_int_equal(history_at(&history, 0)->rows, 1);
    assert_int_equal(history_at(&history, 1)->lag, 6);
}

static void the_oldest_makes_room(void **state)
{
    struct history history = {0};

    (void)state;
    for (uint64_t i = 0; i < HISTORY_SAMPLES + 7; i++)
        history_add(&history, &(struct history_sample){.rows = i});
    assert_int_equal(history_length(&history), HISTORY_SAMPLES);
    assert_int_equal(history_at(&history, 0)->rows, 7);
    assert_int_equal(history_at(&history, HISTORY_SAMPLES - 1)->rows, HISTORY_SAMPLES + 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_what_there_was),
        cmocka_unit_test(the_oldest_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
