/* The catalog's answer, made up; the real one is in the integration tests. */
#include "pg/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FIELDS = 13, ROWS_MAX = 4 };

/* database, kind, schema, table, name, type, oid, typmod, text, not null, default, generated, may
 */
typedef const char *answer_row[FIELDS];

static PGresult *answer(answer_row *rows, int count)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    static char name[] = "field";
    PGresAttDesc fields[FIELDS];

    for (int i = 0; i < FIELDS; i++)
        fields[i] = (PGresAttDesc){.name = name, .typid = 25, .typlen = -1, .atttypmod = -1};
    assert_true(PQsetResultAttrs(result, FIELDS, fields));
    for (int row = 0; row < count; row++)
        for (int i = 0; i < FIELDS; i++) {
            char *text = (char *)(uintptr_t)rows[row][i];
            assert_true(PQsetvalue(result, row, i, text, text ? (int)strlen(text) : -1));
        }
    return result;
}

static bool parse(struct table *table, const char *name, answer_row *rows, int count,
                  struct err *err)
{
    PGresult *result = answer(rows, count);
    bool parsed = table_parse(table, name, result, err);

    PQclear(result);
    return parsed;
}

static void reads_columns(void **state)
{
    answer_row rows[] = {
        {"db", "r", "public", "orders", "id", "bigint", "20", "-1", "f", "t", "t", "f", "t"},
        {"db", "r", "public", "orders", "a \"b\"", "character varying(5)", "1043", "9", "f", "f",
         "f", "f", "f"},
        {"db", "r", "public", "orders", "mood", "mood", "16999", "-1", "t", "f", "f", "f", "t"},
        {"db", "r", "public", "orders", "twice", "inet", "869", "-1", "f", "f", "f", "t", "t"},
    };
    struct table table = {0};
    struct err err;

    (void)state;
    assert_true(parse(&table, "orders", rows, ROWS_MAX, &err));
    assert_string_equal(table.schema, "public");
    assert_string_equal(table.name, "orders");
    assert_string_equal(table.quoted, "\"public\".\"orders\"");
    assert_int_equal(table.columns_count, ROWS_MAX);
    const struct column *id = table_column(&table, "id");
    assert_ptr_equal(id, &table.columns[0]);
    assert_string_equal(id->quoted, "\"id\"");
    assert_int_equal(id->type_oid, 20);
    assert_int_equal(id->codec, TYPE_INT8);
    assert_true(id->not_null && id->has_default && !id->generated && id->insertable);
    const struct column *varchar = table_column(&table, "a \"b\"");
    assert_string_equal(varchar->quoted, "\"a \"\"b\"\"\"");
    assert_string_equal(varchar->type_name, "character varying(5)");
    assert_int_equal(varchar->typmod, 9);
    assert_true(!varchar->not_null && !varchar->has_default && !varchar->insertable);
    assert_int_equal(table_column(&table, "mood")->codec, TYPE_TEXT);
    assert_int_equal(table_column(&table, "twice")->codec, TYPE_OTHER);
    assert_true(table_column(&table, "twice")->generated);
    assert_null(table_column(&table, "ID"));
    table_finish(&table);
}

static void takes_a_table_without_columns(void **state)
{
    answer_row rows[] = {{"db", "p", "public", "empty"}};
    struct table table = {0};
    struct err err;

    (void)state;
    assert_true(parse(&table, "empty", rows, 1, &err));
    assert_int_equal(table.columns_count, 0);
    assert_null(table_column(&table, "id"));
    table_finish(&table);
    table_finish(&table);
    table_finish(NULL);
}

static void assert_refused(const char *name, const char *kind, const char *text)
{
    answer_row rows[] = {{"db", kind, "public", "orders", "id"}};
    struct table table = {0};
    struct err err;

    assert_false(parse(&table, name, rows, 1, &err));
    assert_int_equal(err.class, ERR_CONFIG);
    assert_string_equal(err.text, text);
    table_finish(&table);
}

static void says_why_a_relation_is_no_target(void **state)
{
    (void)state;
    assert_refused("orders", NULL,
                   "table \"orders\" does not exist in database \"db\" on the search_path: create "
                   "it or set SINK_TABLE");
    assert_refused("shop.orders.v1", NULL,
                   "table \"orders.v1\" does not exist in schema \"shop\" of database \"db\": "
                   "create it or set SINK_TABLE");
    assert_refused("orders", "v",
                   "\"orders\" in database \"db\" is a view, into which rows can't be copied: set "
                   "SINK_TABLE to a table");
    assert_refused("orders", "S",
                   "\"orders\" in database \"db\" is a sequence, into which rows can't be copied: "
                   "set SINK_TABLE to a table");
}

static void assert_looks_up(const char *name, const char *literal)
{
    struct buffer sql = {0};
    struct err err;

    assert_true(table_query(&sql, name, &err));
    assert_non_null(strstr(buffer_text(&sql), literal));
    buffer_finish(&sql);
}

static void quotes_the_name_it_looks_up(void **state)
{
    (void)state;
    assert_looks_up("orders", "to_regclass(E'\"orders\"')");
    assert_looks_up("shop.Orders", "to_regclass(E'\"shop\".\"Orders\"')");
    assert_looks_up("shop.orders.v1", "to_regclass(E'\"shop\".\"orders.v1\"')");
    assert_looks_up("a'b\\c\"d", "to_regclass(E'\"a''b\\\\c\"\"d\"')");
}

static void assert_no_name(const char *name)
{
    struct buffer sql = {0};
    struct err err;

    assert_false(table_query(&sql, name, &err));
    assert_int_equal(err.class, ERR_CONFIG);
    assert_int_equal(sql.len, 0);
    buffer_finish(&sql);
}

static void refuses_names_that_postgresql_would_cut(void **state)
{
    char name[TABLE_IDENTIFIER_BYTES + 2];

    (void)state;
    assert_no_name("");
    assert_no_name(".orders");
    assert_no_name("shop.");
    memset(name, 'a', sizeof(name));
    name[TABLE_IDENTIFIER_BYTES + 1] = '\0';
    assert_no_name(name);
    name[TABLE_IDENTIFIER_BYTES] = '\0';
    assert_looks_up(name, name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_columns),
        cmocka_unit_test(takes_a_table_without_columns),
        cmocka_unit_test(says_why_a_relation_is_no_target),
        cmocka_unit_test(quotes_the_name_it_looks_up),
        cmocka_unit_test(refuses_names_that_postgresql_would_cut),
    };

    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
