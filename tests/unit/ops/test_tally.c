/* Counts by name, however many names there are. */
#include "ops/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void each_name_has_its_count(void **state)
{
    struct tally tally = {0};

    (void)state;
    tally_add(&tally, "08");
    tally_add(&tally, "40");
    tally_add(&tally, "08");
    assert_int_equal(tally.count, 2);
    assert_string_equal(tally.entries[0].name, "08");
    assert_int_equal(tally.entries[0].count, 2);
    assert_int_equal(tally.entries[1].count, 1);
}

static void too_many_names_share_one(void **state)
{
    struct tally tally = {0};
    char name[16];

    (void)state;
    for (int i = 0; i < 3 * TALLY_NAMES; i++) {
        snprintf(name, sizeof(name), "name-%d", i);
        tally_add(&tally, name);
    }
    assert_int_equal(tally.count, TALLY_NAMES);
    assert_string_equal(tally.entries[TALLY_NAMES - 1].name, "other");
    assert_int_equal(tally.entries[TALLY_NAMES - 1].count, 2 * TALLY_NAMES + 1);
    tally_add(&tally, "name-0");
    assert_int_equal(tally.entries[0].count, 2);
}

static void a_long_name_is_cut(void **state)
{
    static const char name[] =
        "_A_NAME_THAT_IS_LONGER_THAN_ANY_OF_LIBRDKAFKAS_ERRORS_HAS_EVER_BEEN";
    struct tally tally = {0};

    (void)state;
    tally_add(&tally, name);
    tally_add(&tally, name);
    assert_int_equal(tally.count, 1);
    assert_int_equal(tally.entries[0].count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name_has_its_count),
        cmocka_unit_test(too_many_names_share_one),
        cmocka_unit_test(a_long_name_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
