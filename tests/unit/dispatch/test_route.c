/* A topic's table, as it is described now. */
#include "dispatch/route.h"

#include "captured_log.h"
#include "catalog_answer.h"
#include "scripted_conn.h"
#include "virtual_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char template[80];
static struct config config;
static struct route *route;
static struct conn conn;
static uv_loop_t loop;
static int loads;

static const struct catalog_column columns[] = {
    {.name = "id", .oid = OID_INT8},
    {.name = "note", .oid = OID_TEXT},
};

static void on_state(struct conn *changed, enum conn_state from, const struct err *err)
{
    (void)changed;
    (void)from;
    (void)err;
}

static void on_loaded(struct route *loaded, void *opaque)
{
    assert_ptr_equal(loaded, route);
    assert_ptr_equal(opaque, &loads);
    loads++;
}

static int begin(void **state)
{
    (void)state;
    snprintf(template, sizeof(template), "app.${topic}");
    config = (struct config){.table = template};
    conn_init(&conn, &loop, on_state, NULL);
    conn.state = CONN_IDLE;
    route = route_create(&config, "orders");
    loads = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    route_destroy(route);
    conns_forget(&conn, 1);
    return 0;
}

static void load(void)
{
    route_load(route, &conn, on_loaded, &loads);
}

static void answer(const char *version, int columns_count)
{
    if (version)
        conn_give_rows(&conn, &version, 1, 1);
    conn_give(&conn, catalog_result("orders", columns, columns_count));
    conn_succeed(&conn);
}

static void load_and_answer(const char *version, int columns_count)
{
    load();
    answer(version, columns_count);
}

static void a_topic_is_routed_by_the_tables_name(void **state)
{
    (void)state;
    assert_int_equal(route->state, ROUTE_UNKNOWN);
    assert_string_equal(route->topic, "orders");
    assert_string_equal(route->table_name, "app.orders");
    load();
    assert_int_equal(route->state, ROUTE_LOADING);
    assert_non_null(strstr(conn_sql(&conn), "E'\"app\".\"orders\"'"));
}

static void an_answer_makes_a_mapping(void **state)
{
    (void)state;
    load_and_answer("version 1", 2);
    assert_int_equal(loads, 1);
    assert_int_equal(route->state, ROUTE_KNOWN);
    assert_int_equal(route->mapping->columns_count, 2);
    assert_string_equal(route->mapping->topic, "orders");
    assert_string_equal(route->mapping->table_version, "version 1");
    assert_int_equal(route->changes, 1);
}

static void the_same_table_again_keeps_the_mapping(void **state)
{
    (void)state;
    load_and_answer("version 1", 2);
    const struct mapping *mapping = route->mapping;
    route_forget(route);
    assert_int_equal(route->state, ROUTE_UNKNOWN);
    assert_ptr_equal(route->mapping, mapping);
    load_and_answer("version 1", 2);
    assert_ptr_equal(route->mapping, mapping);
    assert_null(mapping->next);
    assert_int_equal(route->changes, 1);
}

static void another_version_of_the_same_counts_as_a_change(void **state)
{
    (void)state;
    load_and_answer("version 1", 2);
    const struct mapping *mapping = route->mapping;
    route_forget(route);
    load_and_answer("version 2", 2);
    assert_ptr_equal(route->mapping, mapping);
    assert_string_equal(mapping->table_version, "version 2");
    assert_int_equal(route->changes, 2);
}

static void another_table_is_another_mapping_and_the_old_one_lives_on(void **state)
{
    (void)state;
    load_and_answer("version 1", 2);
    const struct mapping *former = route->mapping;
    route_forget(route);
    load_and_answer("version 2", 1);
    assert_ptr_not_equal(route->mapping, former);
    assert_ptr_equal(route->mapping->next, former);
    assert_int_equal(former->columns_count, 2);
    assert_int_equal(route->mapping->columns_count, 1);
    assert_int_equal(route->changes, 2);
}

static void a_table_that_is_missing_breaks_it(void **state)
{
    static const char *const missing[CATALOG_FIELDS] = {"database"};

    (void)state;
    load();
    conn_give_rows(&conn, missing, 1, CATALOG_FIELDS);
    conn_succeed(&conn);
    assert_int_equal(loads, 1);
    assert_int_equal(route->state, ROUTE_BROKEN);
    assert_int_equal(route->err.class, ERR_CONFIG);
    assert_memory_equal(route->err.text, "topic orders: ", 14);
    assert_non_null(strstr(route->err.text, "\"orders\" does not exist in schema \"app\""));
}

static void a_table_that_can_not_be_filled_breaks_it(void **state)
{
    const struct catalog_column generated = {.name = "id", .oid = OID_INT8, .generated = true};

    (void)state;
    load();
    conn_give(&conn, catalog_result("orders", &generated, 1));
    conn_succeed(&conn);
    assert_int_equal(route->state, ROUTE_BROKEN);
    assert_null(route->mapping);
}

static void what_was_mended_is_known_again(void **state)
{
    static const char *const missing[CATALOG_FIELDS] = {"database"};

    (void)state;
    load();
    conn_give_rows(&conn, missing, 1, CATALOG_FIELDS);
    conn_succeed(&conn);
    route_forget(route);
    load_and_answer("version 1", 2);
    assert_int_equal(route->state, ROUTE_KNOWN);
    assert_int_equal(route->err.class, ERR_NONE);
}

static void a_name_that_can_be_no_table_breaks_it_without_a_question(void **state)
{
    (void)state;
    route_destroy(route);
    snprintf(template, sizeof(template), "%070d", 1);
    route = route_create(&config, "orders");
    load();
    assert_int_equal(loads, 1);
    assert_int_equal(route->state, ROUTE_BROKEN);
    assert_int_equal(route->err.class, ERR_CONFIG);
    assert_null(conn_sql(&conn));
}

static void a_lost_connection_leaves_it_unknown(void **state)
{
    (void)state;
    load();
    conn_lose(&conn);
    assert_int_equal(loads, 1);
    assert_int_equal(route->state, ROUTE_UNKNOWN);
}

static void an_answer_that_is_cut_off_is_asked_for_again(void **state)
{
    (void)state;
    load();
    conn_give(&conn, catalog_result("orders", columns, 2));
    conn_lose(&conn);
    assert_int_equal(route->state, ROUTE_UNKNOWN);
    conn.state = CONN_IDLE;
    load_and_answer("version 1", 2);
    assert_int_equal(route->state, ROUTE_KNOWN);
}

static void a_refusal_that_waiting_mends_leaves_it_unknown(void **state)
{
    (void)state;
    load();
    conn_fail(&conn, "57014", "canceling statement due to statement timeout", NULL);
    assert_int_equal(route->state, ROUTE_UNKNOWN);
}

static void a_refusal_that_lasts_breaks_it(void **state)
{
    (void)state;
    load();
    conn_fail(&conn, "42501", "permission denied for schema app", NULL);
    assert_int_equal(route->state, ROUTE_BROKEN);
    assert_non_null(strstr(route->err.text, "permission denied for schema app"));
}

static void forgetting_waits_for_a_load_that_is_under_way(void **state)
{
    (void)state;
    load();
    route_forget(route);
    assert_int_equal(route->state, ROUTE_LOADING);
    answer("version 1", 2);
    assert_int_equal(route->state, ROUTE_KNOWN);
}

#define ROUTE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROUTE_TEST(a_topic_is_routed_by_the_tables_name),
        ROUTE_TEST(an_answer_makes_a_mapping),
        ROUTE_TEST(the_same_table_again_keeps_the_mapping),
        ROUTE_TEST(another_version_of_the_same_counts_as_a_change),
        ROUTE_TEST(another_table_is_another_mapping_and_the_old_one_lives_on),
        ROUTE_TEST(a_table_that_is_missing_breaks_it),
        ROUTE_TEST(a_table_that_can_not_be_filled_breaks_it),
        ROUTE_TEST(what_was_mended_is_known_again),
        ROUTE_TEST(a_name_that_can_be_no_table_breaks_it_without_a_question),
        ROUTE_TEST(a_lost_connection_leaves_it_unknown),
        ROUTE_TEST(an_answer_that_is_cut_off_is_asked_for_again),
        ROUTE_TEST(a_refusal_that_waiting_mends_leaves_it_unknown),
        ROUTE_TEST(a_refusal_that_lasts_breaks_it),
        ROUTE_TEST(forgetting_waits_for_a_load_that_is_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
