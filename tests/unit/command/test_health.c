/* When an instance is ready, and what is said of it. */
#include "command/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct health_facts well = {.member = true, .partitions_count = 3};

static const struct health_check *check_of(const struct health *health, const char *name)
{
    for (size_t i = 0; i < HEALTH_CHECKS; i++)
        if (strcmp(health->checks[i].name, name) == 0)
            return &health->checks[i];
    fail_msg("no check %s", name);
    return NULL;
}

static void all_is_well(void **state)
{
    struct health health = health_judge(&well);

    (void)state;
    assert_true(health.ready);
    for (size_t i = 0; i < HEALTH_CHECKS; i++)
        assert_true(health.checks[i].ok && health.checks[i].ready);
    assert_string_equal(check_of(&health, "group")->detail, "has 3 partitions");
}

static void a_standby_is_ready(void **state)
{
    struct health_facts facts = well;

    (void)state;
    facts.partitions_count = 0;
    assert_true(health_judge(&facts).ready);
    facts.member = false;
    assert_false(health_judge(&facts).ready);
}

static void a_backfill_needs_no_group(void **state)
{
    struct health_facts facts = {.alone = true, .partitions_count = 3};
    struct health health = health_judge(&facts);

    (void)state;
    assert_true(health.ready && check_of(&health, "group")->ok);
    facts.halted_count = 1;
    assert_false(health_judge(&facts).ready);
}

static void a_short_outage_fails_the_check_and_not_the_pod(void **state)
{
    struct health_facts facts = well;
    struct health health;

    (void)state;
    facts.postgres_away_ms = HEALTH_GRACE_MS - 1;
    health = health_judge(&facts);
    assert_true(health.ready);
    assert_false(check_of(&health, "postgres")->ok);
    assert_true(check_of(&health, "kafka")->ok);
    facts.postgres_away_ms = HEALTH_GRACE_MS;
    health = health_judge(&facts);
    assert_false(health.ready);
    assert_string_equal(check_of(&health, "postgres")->detail, "away for 60 s");
}

static void who_drains_is_not_ready(void **state)
{
    struct health_facts facts = well;

    (void)state;
    facts.draining = true;
    assert_false(health_judge(&facts).ready);
}

static void a_halted_partition_is_told(void **state)
{
    struct health_facts facts = well;
    struct health health;

    (void)state;
    facts.halted_count = 1;
    health = health_judge(&facts);
    assert_false(health.ready);
    assert_string_equal(check_of(&health, "progress")->detail, "1 of 3 partitions are halted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_well),
        cmocka_unit_test(a_standby_is_ready),
        cmocka_unit_test(a_backfill_needs_no_group),
        cmocka_unit_test(a_short_outage_fails_the_check_and_not_the_pod),
        cmocka_unit_test(who_drains_is_not_ready),
        cmocka_unit_test(a_halted_partition_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
