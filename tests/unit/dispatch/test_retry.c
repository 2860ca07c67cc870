/* What follows from each class of error. */
#include "dispatch/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const enum err_class classes[] = {ERR_NONE,   ERR_OUTAGE, ERR_CONTENTION, ERR_DATA,
                                         ERR_CONFIG, ERR_FENCED, ERR_INTERNAL};

static struct retry_decision decide(enum err_class class, unsigned attempt)
{
    return retry_decide(class, false, attempt, UINT32_MAX / 2);
}

static void after_a_lost_connection_the_position_is_asked_for_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 7; i++) {
        struct retry_decision decision = retry_decide(classes[i], true, 5, UINT32_MAX);
        assert_int_equal(decision.action, RETRY_CLAIM);
        assert_int_equal(decision.delay_ms, 0);
    }
}

static void an_outage_is_waited_out_for_ever(void **state)
{
    (void)state;
    for (unsigned attempt = 0; attempt < 100000; attempt += 999) {
        assert_int_equal(decide(ERR_OUTAGE, attempt).action, RETRY_AGAIN);
        assert_in_range(decide(ERR_OUTAGE, attempt).delay_ms, 125, 10000);
    }
}

static void contention_is_tried_again_soon_then_later(void **state)
{
    (void)state;
    assert_int_equal(decide(ERR_CONTENTION, 0).action, RETRY_AGAIN);
    assert_in_range(decide(ERR_CONTENTION, 0).delay_ms, 1, 20);
    assert_int_equal(decide(ERR_CONTENTION, 100).action, RETRY_AGAIN);
    assert_in_range(decide(ERR_CONTENTION, 100).delay_ms, 1000, 2000);
}

static void a_bad_record_is_isolated_at_once(void **state)
{
    (void)state;
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        assert_int_equal(decide(ERR_DATA, attempt).action, RETRY_ISOLATE);
        assert_int_equal(decide(ERR_DATA, attempt).delay_ms, 0);
    }
}

/* Whatever failed before; that the same description halts is ownership's to see. */
static void a_table_is_read_anew(void **state)
{
    (void)state;
    assert_int_equal(decide(ERR_CONFIG, 0).action, RETRY_RELOAD);
    assert_int_equal(decide(ERR_CONFIG, 7).action, RETRY_RELOAD);
}

static void a_fenced_flush_claims_after_a_delay(void **state)
{
    (void)state;
    assert_int_equal(decide(ERR_FENCED, 0).action, RETRY_CLAIM);
    assert_in_range(decide(ERR_FENCED, 0).delay_ms, 100, 200);
    assert_in_range(decide(ERR_FENCED, 100).delay_ms, 1000, 2000);
}

static void our_own_mistake_halts(void **state)
{
    (void)state;
    assert_int_equal(decide(ERR_INTERNAL, 0).action, RETRY_HALT);
}

static void a_halted_partition_is_tried_again_within_a_minute(void **state)
{
    (void)state;
    assert_in_range(retry_halted_ms(0, 0), 2500, 5000);
    assert_in_range(retry_halted_ms(0, UINT32_MAX), 2500, 5000);
    assert_in_range(retry_halted_ms(1000, UINT32_MAX), 30000, 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_lost_connection_the_position_is_asked_for_at_once),
        cmocka_unit_test(an_outage_is_waited_out_for_ever),
        cmocka_unit_test(contention_is_tried_again_soon_then_later),
        cmocka_unit_test(a_bad_record_is_isolated_at_once),
        cmocka_unit_test(a_table_is_read_anew),
        cmocka_unit_test(a_fenced_flush_claims_after_a_delay),
        cmocka_unit_test(our_own_mistake_halts),
        cmocka_unit_test(a_halted_partition_is_tried_again_within_a_minute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
