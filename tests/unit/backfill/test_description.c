/* Whether tables have gained columns, by the texts alone. */
#include "backfill/description.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HEAD   "values json, unknown fields stop; "
#define ORDERS "orders into \"public\".\"orders\" "

static const char before[] = HEAD ORDERS "(\"id\" bigint, \"sum\" numeric(9,2), \"at\" text)";

static void columns_may_be_added_anywhere(void **state)
{
    (void)state;
    assert_true(description_gained(before, before));
    assert_true(description_gained(
        before, HEAD ORDERS "(\"id\" bigint, \"sum\" numeric(9,2), \"at\" text, \"new\" text)"));
    assert_true(description_gained(
        before, HEAD ORDERS "(\"n\" text, \"id\" bigint, \"sum\" numeric(9,2), \"m\" numeric(3,1), "
                            "\"at\" text)"));
}

static void none_may_be_gone_or_another_one(void **state)
{
    (void)state;
    assert_false(description_gained(before, HEAD ORDERS "(\"id\" bigint, \"sum\" numeric(9,2))"));
    assert_false(description_gained(
        before, HEAD ORDERS "(\"id\" bigint, \"sum\" numeric(9,3), \"at\" text, \"new\" text)"));
    assert_false(description_gained(before, HEAD ORDERS
                                    "(\"id\" bigint, \"sum\" numeric(9,2), \"at\" text[5])"));
    assert_false(description_gained(before, HEAD ORDERS
                                    "(\"sum\" numeric(9,2), \"id\" bigint, \"at\" text)"));
}

static void tables_and_settings_stay(void **state)
{
    (void)state;
    assert_false(description_gained(before, "values raw, unknown fields stop; " ORDERS
                                            "(\"id\" bigint, \"sum\" numeric(9,2), \"at\" text)"));
    assert_false(description_gained(before,
                                    HEAD "orders into \"public\".\"other\" "
                                         "(\"id\" bigint, \"sum\" numeric(9,2), \"at\" text)"));
    assert_false(description_gained("", before));
    assert_false(description_gained(before, ""));
    assert_false(description_gained(before, HEAD));
}

static void each_table_has_its_own(void **state)
{
    static const char two[] = HEAD "a into \"a\" (\"x\" text); b into \"b\" (\"y\" text)";

    (void)state;
    assert_true(description_gained(
        two, HEAD "a into \"a\" (\"x\" text, \"z\" text); b into \"b\" (\"y\" text)"));
    assert_false(description_gained(
        two, HEAD "a into \"a\" (\"x\" text, \"y\" text); b into \"b\" (\"z\" text)"));
    assert_false(description_gained(two, HEAD "a into \"a\" (\"x\" text)"));
    assert_false(description_gained(HEAD "a into \"a\" (\"x\" text)", two));
}

static void a_name_may_hold_anything(void **state)
{
    static const char odd[] = HEAD "t into \"a(b\".\"t\" (\"x, y)\"\"(\" text, \"z\" text)";

    (void)state;
    assert_true(description_gained(
        odd, HEAD "t into \"a(b\".\"t\" (\"x, y)\"\"(\" text, \"w), \" text, \"z\" text)"));
    assert_false(description_gained(odd, HEAD "t into \"a(b\".\"t\" (\"x\" text, \"z\" text)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_may_be_added_anywhere),
        cmocka_unit_test(none_may_be_gone_or_another_one),
        cmocka_unit_test(tables_and_settings_stay),
        cmocka_unit_test(each_table_has_its_own),
        cmocka_unit_test(a_name_may_hold_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
