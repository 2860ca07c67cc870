/* PostgreSQL's codes and the class of each: design, "Errors". */
#include "pg/sqlstate.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_class(enum err_class class, const char *const *codes)
{
    for (; *codes; codes++)
        if (sqlstate_class(*codes) != class)
            fail_msg("%s is %s, not %s", *codes, err_class_name(sqlstate_class(*codes)),
                     err_class_name(class));
}

#define ASSERT_CLASS(class, ...) assert_class(class, (const char *const[]){__VA_ARGS__, NULL})

static void a_server_that_is_away_is_an_outage(void **state)
{
    (void)state;
    ASSERT_CLASS(ERR_OUTAGE, "08000", "08006", "53100", "53200", "53300", "57P01", "57P02", "57P03",
                 "57P04", "57P05", "58000", "58030");
    assert_int_equal(sqlstate_class(NULL), ERR_OUTAGE);
    assert_int_equal(sqlstate_class(""), ERR_OUTAGE);
}

static void a_standby_is_an_outage(void **state)
{
    (void)state;
    ASSERT_CLASS(ERR_OUTAGE, "25006");
}

static void what_is_not_known_waits_as_an_outage(void **state)
{
    (void)state;
    ASSERT_CLASS(ERR_OUTAGE, "XX000", "XX001", "25P02", "55000", "99999", "P0002", "PS009");
}

static void what_another_transaction_caused_is_contention(void **state)
{
    (void)state;
    ASSERT_CLASS(ERR_CONTENTION, "40001", "40P01", "40003", "55P03", "57014", "26000");
}

static void what_a_record_caused_is_data(void **state)
{
    (void)state;
    ASSERT_CLASS(ERR_DATA, "22001", "22003", "22021", "22P02", "22P03", "22P05", "23502", "23503",
                 "23505", "23514", "23P01", "21000", "54000", "54001", "P0001");
}

static void what_a_person_has_to_mend_is_configuration(void **state)
{
    (void)state;
    ASSERT_CLASS(ERR_CONFIG, "28000", "28P01", "3D000", "3F000", "42501", "42601", "42703", "42P01",
                 "42804", "0A000", "2200H");
}

static void a_position_that_is_not_ours_is_fenced(void **state)
{
    (void)state;
    assert_int_equal(sqlstate_class(SQLSTATE_FENCED), ERR_FENCED);
}

static void users_may_choose_their_codes(void **state)
{
    static const char *const theirs[] = {"P0001", "P0002", "P0004", "U0001", "99999",
                                         "I0000", "20000", "44000", "39004"};
    static const char *const postgresqls[] = {"",      "57P01", "53100", "58030", "XX000",
                                              "XX001", "72000", "PS001", "PS002", "42601",
                                              "08006", "HV000", "F0000", "55000"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(theirs); i++)
        assert_true(sqlstate_is_of_user_code(theirs[i]));
    for (size_t i = 0; i < COUNT_OF(postgresqls); i++)
        assert_false(sqlstate_is_of_user_code(postgresqls[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_is_away_is_an_outage),
        cmocka_unit_test(a_standby_is_an_outage),
        cmocka_unit_test(what_is_not_known_waits_as_an_outage),
        cmocka_unit_test(what_another_transaction_caused_is_contention),
        cmocka_unit_test(what_a_record_caused_is_data),
        cmocka_unit_test(what_a_person_has_to_mend_is_configuration),
        cmocka_unit_test(a_position_that_is_not_ours_is_fenced),
        cmocka_unit_test(users_may_choose_their_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
