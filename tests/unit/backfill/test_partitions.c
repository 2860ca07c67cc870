/* Lists of partitions. */
#include "backfill/partitions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_list_has_what_it_names(void **state)
{
    struct err err;

    (void)state;
    assert_true(partitions_check("0,3,8-11", &err));
    for (int32_t partition = 0; partition < 13; partition++)
        assert_int_equal(partitions_has("0,3,8-11", partition),
                         partition == 0 || partition == 3 || (partition >= 8 && partition <= 11));
    assert_int_equal(partitions_last("0,3,8-11"), 11);
    assert_int_equal(partitions_last("7"), 7);
}

static void the_empty_list_has_all(void **state)
{
    (void)state;
    assert_true(partitions_has("", 0));
    assert_true(partitions_has("", 4711));
    assert_int_equal(partitions_last(""), -1);
}

static void what_is_no_list_is_refused(void **state)
{
    static const char *const wrong[] = {"",      ",",          "1,",  ",1",   "1,,2",
                                        "a",     "3-1",        "1-",  "-1",   "1 2",
                                        "1-2-3", "4294967296", "0x1", "1, 2", "+1"};
    struct err err;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_false(partitions_check(wrong[i], &err));
    assert_int_equal(err.class, ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_has_what_it_names),
        cmocka_unit_test(the_empty_list_has_all),
        cmocka_unit_test(what_is_no_list_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
