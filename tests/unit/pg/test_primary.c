/* Which server may be written to after another one. */
#include "pg/primary.h"

#include "scripted_conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct err err;

static bool parse(struct primary *primary, const char *const *values, int rows, int fields)
{
    PGresult *result = result_of(values, rows, fields);
    bool parsed = primary_parse(result, primary);

    PQclear(result);
    return parsed;
}

static void timelines_are_the_hexadecimal_begin_of_a_wal_file(void **state)
{
    static const char *const values[] = {"7341", "0000001F000000020000000A"};
    struct primary primary;

    (void)state;
    assert_true(parse(&primary, values, 1, 2));
    assert_string_equal(primary.cluster, "7341");
    assert_int_equal(primary.timeline, 31);
}

static void an_answer_of_another_shape_says_nothing(void **state)
{
    static const char *const values[] = {"7341", "0000001F000000020000000A"};
    struct primary primary = {.timeline = 5};

    (void)state;
    assert_false(parse(&primary, values, 0, 2));
    assert_int_equal(primary.timeline, 0);
    assert_false(parse(&primary, values, 2, 1));
    assert_string_equal(primary.cluster, "");
}

static bool may_follow(const char *cluster, uint32_t timeline, const char *seen_cluster,
                       uint32_t seen_timeline)
{
    struct primary primary = {.timeline = timeline};
    struct primary seen = {.timeline = seen_timeline};

    snprintf(primary.cluster, sizeof(primary.cluster), "%s", cluster);
    snprintf(seen.cluster, sizeof(seen.cluster), "%s", seen_cluster);
    return primary_may_follow(&primary, &seen, &err);
}

static void the_same_and_later_ones_may_follow(void **state)
{
    (void)state;
    assert_true(may_follow("a", 3, "a", 3));
    assert_true(may_follow("a", 4, "a", 3));
}

static void a_former_primary_may_not(void **state)
{
    (void)state;
    assert_false(may_follow("a", 2, "a", 3));
    assert_int_equal(err.class, ERR_OUTAGE);
    assert_non_null(strstr(err.text, "former primary (timeline 2)"));
    assert_non_null(strstr(err.text, "(timeline 3) was written to"));
}

static void another_cluster_may_not_whatever_its_timeline(void **state)
{
    (void)state;
    assert_false(may_follow("b", 9, "a", 3));
    assert_int_equal(err.class, ERR_OUTAGE);
    assert_non_null(strstr(err.text, "another cluster (system identifier b)"));
    assert_non_null(strstr(err.text, "restart pgsluice"));
}

static void what_is_not_known_is_no_objection(void **state)
{
    (void)state;
    assert_true(may_follow("", 0, "a", 3));
    assert_true(may_follow("a", 3, "", 0));
}

static bool note(const char *cluster, uint32_t timeline)
{
    struct primary primary = {.timeline = timeline};

    snprintf(primary.cluster, sizeof(primary.cluster), "%s", cluster);
    return primary_note(&primary, &err);
}

static void the_process_knows_the_latest_one(void **state)
{
    (void)state;
    assert_true(note("", 0));
    assert_true(note("a", 3));
    assert_true(note("a", 4));
    assert_false(note("a", 3));
    assert_non_null(strstr(err.text, "former primary (timeline 3)"));
    assert_true(note("", 0));
    assert_false(note("b", 9));
    assert_true(note("a", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timelines_are_the_hexadecimal_begin_of_a_wal_file),
        cmocka_unit_test(an_answer_of_another_shape_says_nothing),
        cmocka_unit_test(the_same_and_later_ones_may_follow),
        cmocka_unit_test(a_former_primary_may_not),
        cmocka_unit_test(another_cluster_may_not_whatever_its_timeline),
        cmocka_unit_test(what_is_not_known_is_no_objection),
        cmocka_unit_test(the_process_knows_the_latest_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
