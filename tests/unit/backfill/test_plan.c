/* How a partition is cut into ranges; the rest of a plan needs servers: e2e/test_backfill.py. */
#include "backfill/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct backfill_range ranges[8];

/* Side by side, from start to end, numbered, each standing where it begins. */
static void assert_covers(size_t count, int64_t start, int64_t next, int64_t end)
{
    assert_int_equal(ranges[0].start_offset, start);
    assert_int_equal(ranges[0].next_offset, next);
    assert_int_equal(ranges[0].lost_count, next - start);
    assert_int_equal(ranges[count - 1].end_offset, end);
    for (size_t i = 1; i < count; i++) {
        assert_int_equal(ranges[i].range, i);
        assert_int_equal(ranges[i].start_offset, ranges[i - 1].end_offset);
        assert_int_equal(ranges[i].next_offset, ranges[i].start_offset);
        assert_int_equal(ranges[i].lost_count, 0);
    }
}

static void a_partition_is_cut_into_ranges_of_the_same_length(void **state)
{
    (void)state;
    assert_int_equal(plan_cut(ranges, 4, 500, 500, 10503), 4);
    assert_covers(4, 500, 500, 10503);
    assert_int_equal(ranges[1].start_offset, 3000);
    assert_int_equal(ranges[3].start_offset, 8000);
}

static void what_is_gone_belongs_to_the_first_range(void **state)
{
    (void)state;
    assert_int_equal(plan_cut(ranges, 2, 0, 700, 10700), 2);
    assert_covers(2, 0, 700, 10700);
}

static void short_ranges_are_not_cut(void **state)
{
    (void)state;
    assert_int_equal(plan_cut(ranges, 8, 0, 0, 2999), 2);
    assert_covers(2, 0, 0, 2999);
    assert_int_equal(plan_cut(ranges, 8, 0, 0, 999), 1);
    assert_covers(1, 0, 0, 999);
    assert_int_equal(plan_cut(ranges, 8, 5, 5, 5), 1);
    assert_covers(1, 5, 5, 5);
}

static void offsets_may_be_as_large_as_they_can_be(void **state)
{
    (void)state;
    assert_int_equal(plan_cut(ranges, 8, 0, 0, INT64_MAX), 8);
    assert_covers(8, 0, 0, INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partition_is_cut_into_ranges_of_the_same_length),
        cmocka_unit_test(what_is_gone_belongs_to_the_first_range),
        cmocka_unit_test(short_ranges_are_not_cut),
        cmocka_unit_test(offsets_may_be_as_large_as_they_can_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
