/* How a partition is cut into ranges; the rest of a plan needs servers: e2e/test_backfill.py. */
#include "backfill/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* Of a log of 100 records, of which a transaction is open from 70 on. */
static const struct plan_end open_end = {
    .topic = "orders", .partition = 3, .stable = 70, .end = 100};

static enum err_class class_of(struct bound bound, bool until_live, int64_t to, char *text)
{
    struct plan_request request = {.to = bound, .to_text = "x", .until_live = until_live};
    struct plan_end end = open_end;
    struct err err = {0};

    end.to = to;
    bool possible = plan_check_end(&end, &request, &err);
    assert_int_equal(possible, err.class == ERR_NONE);
    memcpy(text, err.text, sizeof(err.text));
    return err.class;
}

static void an_end_behind_an_open_transaction_is_refused(void **state)
{
    struct bound offset = {.kind = BOUND_OFFSET}, time = {.kind = BOUND_TIME};
    char text[sizeof(((struct err *)NULL)->text)];

    (void)state;
    assert_int_equal(class_of(offset, false, 70, text), ERR_NONE);
    assert_int_equal(class_of(offset, false, 71, text), ERR_CONTENTION);
    assert_int_equal(class_of(offset, false, 5000, text), ERR_CONTENTION);
    assert_non_null(strstr(text, "orders[3]"));
    assert_non_null(strstr(text, "offset 70"));
    assert_int_equal(class_of(time, false, 70, text), ERR_NONE);
    assert_int_equal(class_of(time, false, 71, text), ERR_CONTENTION);
}

static void where_a_sink_began_is_never_moved(void **state)
{
    char text[sizeof(((struct err *)NULL)->text)];

    (void)state;
    assert_int_equal(class_of((struct bound){0}, true, 70, text), ERR_NONE);
    assert_int_equal(class_of((struct bound){0}, true, 100, text), ERR_CONTENTION);
    assert_int_equal(class_of((struct bound){0}, true, 101, text), ERR_CONFIG);
    assert_non_null(strstr(text, "ends at 100"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partition_is_cut_into_ranges_of_the_same_length),
        cmocka_unit_test(what_is_gone_belongs_to_the_first_range),
        cmocka_unit_test(short_ranges_are_not_cut),
        cmocka_unit_test(offsets_may_be_as_large_as_they_can_be),
        cmocka_unit_test(an_end_behind_an_open_transaction_is_refused),
        cmocka_unit_test(where_a_sink_began_is_never_moved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
