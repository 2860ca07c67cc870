/* Ten lines of an event in ten seconds, and what is said about the rest. */
#include "ops/log_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* How many of `lines` lines pass at one moment. */
static int passes(struct log_limit *limit, const char *event, int64_t now_ms, int lines)
{
    int64_t held_back;
    int passed = 0;

    for (int i = 0; i < lines; i++)
        passed += log_limit_pass(limit, event, now_ms, &held_back);
    return passed;
}

static void passes_ten_lines_of_an_event(void **state)
{
    struct log_limit limit = {0};

    (void)state;
    assert_int_equal(passes(&limit, "reconnect", 0, 25), LOG_LIMIT_LINES);
}

static void events_do_not_count_for_each_other(void **state)
{
    struct log_limit limit = {0};

    (void)state;
    assert_int_equal(passes(&limit, "reconnect", 0, 11), LOG_LIMIT_LINES);
    assert_int_equal(passes(&limit, "reconnected", 0, 11), LOG_LIMIT_LINES);
}

static void says_once_how_many_were_held_back(void **state)
{
    struct log_limit limit = {0};
    int64_t held_back = -1;

    (void)state;
    passes(&limit, "reconnect", 5, 13);
    assert_true(log_limit_pass(&limit, "reconnect", 5 + LOG_LIMIT_WINDOW_MS, &held_back));
    assert_int_equal(held_back, 3);
    assert_true(log_limit_pass(&limit, "reconnect", 5 + LOG_LIMIT_WINDOW_MS, &held_back));
    assert_int_equal(held_back, 0);
}

static void holds_back_until_the_window_is_over(void **state)
{
    struct log_limit limit = {0};

    (void)state;
    passes(&limit, "reconnect", 0, 10);
    assert_int_equal(passes(&limit, "reconnect", LOG_LIMIT_WINDOW_MS - 1, 1), 0);
    assert_int_equal(passes(&limit, "reconnect", LOG_LIMIT_WINDOW_MS, 11), LOG_LIMIT_LINES);
}

static void the_event_that_was_quiet_longest_makes_room(void **state)
{
    struct log_limit limit = {0};
    char name[16];

    (void)state;
    for (int i = 0; i < LOG_LIMIT_EVENTS; i++) {
        snprintf(name, sizeof(name), "event%d", i);
        assert_int_equal(passes(&limit, name, i, 11), LOG_LIMIT_LINES);
    }
    passes(&limit, "event0", 100, 1);
    assert_int_equal(passes(&limit, "another", 101, 11), LOG_LIMIT_LINES);
    assert_int_equal(passes(&limit, "event0", 102, 1), 0);
    assert_int_equal(passes(&limit, "event1", 102, 1), 1);
}

static void a_long_name_is_the_same_event_each_time(void **state)
{
    struct log_limit limit = {0};
    const char *name = "a name that is much longer than what the table keeps of an event's name";

    (void)state;
    assert_int_equal(passes(&limit, name, 0, 11), LOG_LIMIT_LINES);
    assert_int_equal(passes(&limit, name, 0, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_ten_lines_of_an_event),
        cmocka_unit_test(events_do_not_count_for_each_other),
        cmocka_unit_test(says_once_how_many_were_held_back),
        cmocka_unit_test(holds_back_until_the_window_is_over),
        cmocka_unit_test(the_event_that_was_quiet_longest_makes_room),
        cmocka_unit_test(a_long_name_is_the_same_event_each_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
