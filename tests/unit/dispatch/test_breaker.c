/* When too many of a partition's records are dead letters. */
#include "dispatch/breaker.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct breaker breaker;
static struct breaker_settings settings;

static int begin(void **state)
{
    (void)state;
    settings = (struct breaker_settings){.window = 10, .limit = 3};
    return 0;
}

static int end(void **state)
{
    (void)state;
    breaker_finish(&breaker);
    return 0;
}

static bool note(uint64_t first, uint64_t count, const uint32_t *dead, size_t dead_count)
{
    return breaker_note(&breaker, &settings,
                        &(struct breaker_batch){first, count, dead, dead_count});
}

/* A batch of so many records; those that are dead follow. */
#define NOTE(first, count, ...)                         \
    note(first, count, (const uint32_t[]){__VA_ARGS__}, \
         sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void as_many_as_the_limit_are_all_right(void **state)
{
    (void)state;
    assert_true(NOTE(0, 10, 0, 4, 9));
    assert_true(NOTE(20, 10, 0, 1, 2));
}

static void one_more_within_a_window_opens_it(void **state)
{
    (void)state;
    assert_false(NOTE(0, 10, 0, 4, 8, 9));
}

static void a_window_begins_anywhere(void **state)
{
    (void)state;
    assert_true(NOTE(0, 10, 7, 8, 9));
    assert_true(NOTE(10, 10, 7));
    assert_false(NOTE(10, 10, 6, 7));
}

static void what_is_a_window_away_does_not_count(void **state)
{
    (void)state;
    assert_true(NOTE(0, 20, 0, 1, 2, 10, 11, 12));
    assert_false(NOTE(0, 20, 0, 1, 2, 9));
}

static void batches_may_come_in_any_order(void **state)
{
    (void)state;
    assert_true(NOTE(10, 5, 0, 1));
    assert_true(NOTE(5, 5, 0));
    assert_false(NOTE(0, 5, 4));
}

static void a_batch_that_is_encoded_anew_replaces_what_was_known(void **state)
{
    (void)state;
    assert_true(NOTE(0, 10, 0, 1, 2));
    assert_true(NOTE(0, 10, 0, 1, 2));
    assert_true(NOTE(0, 10, 0));
    assert_true(NOTE(10, 10, 0, 1));
    assert_true(note(0, 10, NULL, 0));
    assert_true(NOTE(10, 10, 0, 1, 2));
}

static void what_is_read_again_is_forgotten(void **state)
{
    (void)state;
    assert_true(NOTE(0, 10, 8, 9));
    assert_false(NOTE(10, 10, 0, 1));
    breaker_forget(&breaker, 10);
    assert_true(NOTE(10, 10, 0));
}

static void the_past_is_kept_as_long_as_it_shares_a_window(void **state)
{
    (void)state;
    assert_true(NOTE(0, 10, 7, 8, 9));
    breaker_pass(&breaker, &settings, 10);
    assert_false(NOTE(10, 10, 0));
    breaker_pass(&breaker, &settings, 20);
    assert_int_equal(breaker.count, 1);
    breaker_pass(&breaker, &settings, 21);
    assert_int_equal(breaker.count, 0);
    breaker_pass(&breaker, &settings, 22);
}

static void a_limit_of_none_opens_with_the_first_one(void **state)
{
    (void)state;
    settings.limit = 0;
    assert_true(note(0, 10, NULL, 0));
    assert_false(NOTE(10, 1, 0));
}

static void a_limit_of_all_never_opens(void **state)
{
    uint32_t dead[1000];

    (void)state;
    settings.limit = 10;
    for (uint32_t i = 0; i < COUNT_OF(dead); i++)
        dead[i] = i;
    assert_true(note(0, 1000, dead, 1000));
}

static void without_a_window_there_is_none(void **state)
{
    (void)state;
    settings.window = 0;
    settings.limit = 0;
    assert_true(NOTE(0, 3, 0, 1, 2));
}

/* By counting each window. */
static bool counted(const bool *dead, size_t count)
{
    for (size_t from = 0; from < count; from++) {
        uint64_t found = 0;
        for (size_t i = from; i < count && i < from + settings.window; i++)
            found += dead[i];
        if (found > settings.limit)
            return false;
    }
    return true;
}

static void it_counts_as_one_would(void **state)
{
    enum { RECORDS = 60, BATCH = 6 };

    (void)state;
    srandom(7);
    for (int round = 0; round < 2000; round++) {
        bool dead[RECORDS];
        bool closed = true;
        for (int i = 0; i < RECORDS; i++)
            dead[i] = random() % 6 == 0;
        for (int first = 0; first < RECORDS; first += BATCH) {
            uint32_t indexes[BATCH];
            size_t count = 0;
            for (int i = 0; i < BATCH; i++)
                if (dead[first + i])
                    indexes[count++] = (uint32_t)i;
            closed &= note((uint64_t)first, BATCH, indexes, count);
        }
        assert_int_equal(closed, counted(dead, RECORDS));
        breaker_forget(&breaker, 0);
    }
}

#define BREAKER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BREAKER_TEST(as_many_as_the_limit_are_all_right),
        BREAKER_TEST(one_more_within_a_window_opens_it),
        BREAKER_TEST(a_window_begins_anywhere),
        BREAKER_TEST(what_is_a_window_away_does_not_count),
        BREAKER_TEST(batches_may_come_in_any_order),
        BREAKER_TEST(a_batch_that_is_encoded_anew_replaces_what_was_known),
        BREAKER_TEST(what_is_read_again_is_forgotten),
        BREAKER_TEST(the_past_is_kept_as_long_as_it_shares_a_window),
        BREAKER_TEST(a_limit_of_none_opens_with_the_first_one),
        BREAKER_TEST(a_limit_of_all_never_opens),
        BREAKER_TEST(without_a_window_there_is_none),
        BREAKER_TEST(it_counts_as_one_would),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
