/* Which column is filled from where, and what a record gives for each. */
#include "decode/mapping.h"

#include "catalog_answer.h"

#include "base/memory.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { COLUMNS_MAX = 80 };

static char template[64] = "${topic}";
static struct config config;
static struct mapping *mapping;
static struct value values[COLUMNS_MAX];
static struct err err;
static struct buffer sql;

static int begin(void **state)
{
    (void)state;
    config = (struct config){.table = template, .value_format = CONFIG_VALUE_JSON};
    return 0;
}

static int end(void **state)
{
    (void)state;
    mapping_destroy(mapping);
    mapping = NULL;
    buffer_finish(&sql);
    return 0;
}

static struct mapping *compile_columns(const struct catalog_column *columns, int count)
{
    struct table table = catalog_table("orders", columns, count);

    return mapping_compile(&config, "orders-topic", &table, &err);
}

#define COLUMNS(...)                              \
    (const struct catalog_column[]){__VA_ARGS__}, \
        COUNT_OF(((const struct catalog_column[]){__VA_ARGS__}))

static void compile(const struct catalog_column *columns, int count)
{
    mapping_destroy(mapping);
    mapping = compile_columns(columns, count);
    if (!mapping)
        fail_msg("%s", err.text);
}

static void assert_not_compiled(const struct catalog_column *columns, int count, const char *part)
{
    assert_null(compile_columns(columns, count));
    assert_int_equal(err.class, ERR_CONFIG);
    if (!strstr(err.text, part))
        fail_msg("no \"%s\" in: %s", part, err.text);
}

static void decode(const struct record *record)
{
    memset(values, 0xff, sizeof(values));
    if (!mapping_decode(mapping, record, 7, values, &err))
        fail_msg("%s", err.text);
}

static struct record record_of(const char *value)
{
    return (struct record){.offset = 42, .timestamp_ms = 1700000000000, .value = slice_of(value)};
}

static void assert_text(size_t column, enum value_kind kind, const char *text)
{
    assert_int_equal(values[column].kind, kind);
    assert_true(slice_equal(values[column].text, slice_of(text)));
}

static void assert_integer(size_t column, enum value_kind kind, int64_t integer)
{
    assert_int_equal(values[column].kind, kind);
    assert_int_equal(values[column].integer, integer);
}

static void assert_copy(uint64_t mask, const char *expected)
{
    buffer_reset(&sql);
    mapping_copy_sql(mapping, mask, &sql);
    assert_string_equal(buffer_text(&sql), expected);
}

/* The table's name. */

static void assert_table(const char *form, const char *topic, const char *expected)
{
    snprintf(template, sizeof(template), "%s", form);
    char *name = mapping_table_name(&config, topic);
    assert_string_equal(name, expected);
    free(name);
    snprintf(template, sizeof(template), "${topic}");
}

static void the_topic_stands_in_the_tables_name(void **state)
{
    (void)state;
    assert_table("${topic}", "orders", "orders");
    assert_table("app.${topic}_raw", "orders", "app.orders_raw");
    assert_table("${topic}${topic}", "a", "aa");
    assert_table("events", "orders", "events");
    assert_table("${topic}", "${topic}", "${topic}");
    assert_table("$topic{topic}${topic", "orders", "$topic{topic}${topic");
}

/* Sources. */

static void columns_get_the_fields_of_their_names(void **state)
{
    (void)state;
    compile(COLUMNS({.name = "id", .oid = OID_INT8}, {.name = "note", .oid = OID_TEXT}));
    struct record record = record_of("{\"note\": \"x\", \"other\": 1, \"id\": 5}");
    decode(&record);
    assert_text(0, VALUE_NUMBER, "5");
    assert_text(1, VALUE_STRING, "x");
}

static void a_field_that_is_not_there_is_absent(void **state)
{
    (void)state;
    compile(COLUMNS({.name = "id", .oid = OID_INT8}, {.name = "note", .oid = OID_TEXT}));
    struct record record = record_of("{\"note\": null}");
    decode(&record);
    assert_int_equal(values[0].kind, VALUE_ABSENT);
    assert_int_equal(values[1].kind, VALUE_NULL);
}

static void names_are_compared_to_the_letter(void **state)
{
    (void)state;
    compile(COLUMNS({.name = "Id", .oid = OID_INT8}));
    struct record record = record_of("{\"id\": 5}");
    decode(&record);
    assert_int_equal(values[0].kind, VALUE_ABSENT);
}

static void json_columns_may_be_filled_from_the_record(void **state)
{
    (void)state;
    compile(COLUMNS({.name = "__connect_topic", .oid = OID_TEXT},
                    {.name = "__connect_partition", .oid = OID_INT4},
                    {.name = "id", .oid = OID_INT8}, {.name = "__connect_offset", .oid = OID_INT8},
                    {.name = "__connect_timestamp", .oid = OID_TIMESTAMPTZ},
                    {.name = "__connect_key", .oid = OID_BYTEA},
                    {.name = "__connect_headers", .oid = OID_JSONB}));
    struct record record = record_of("{\"id\": 5, \"__connect_offset\": 9}");
    record.key = slice_of("key");
    record.headers = slice_of("[]");
    decode(&record);
    assert_int_equal(mapping->fields_count, 1);
    assert_string_equal(mapping->columns[0].column->name, "id");
    assert_text(0, VALUE_NUMBER, "5");
    assert_text(1, VALUE_STRING, "orders-topic");
    assert_integer(2, VALUE_INTEGER, 7);
    assert_integer(3, VALUE_INTEGER, 42);
    assert_integer(4, VALUE_TIMESTAMP, 1700000000000);
    assert_text(5, VALUE_BYTES, "key");
    assert_text(6, VALUE_JSON, "[]");
}

static void raw_columns_are_the_record(void **state)
{
    (void)state;
    config.value_format = CONFIG_VALUE_RAW;
    compile(COLUMNS({.name = "topic", .oid = OID_TEXT}, {.name = "partition", .oid = OID_INT4},
                    {.name = "offset", .oid = OID_INT8},
                    {.name = "timestamp", .oid = OID_TIMESTAMPTZ},
                    {.name = "key", .oid = OID_BYTEA}, {.name = "value", .oid = OID_BYTEA},
                    {.name = "headers", .oid = OID_JSONB}));
    struct record record = record_of("not JSON");
    decode(&record);
    assert_int_equal(mapping->fields_count, 0);
    assert_text(0, VALUE_STRING, "orders-topic");
    assert_integer(1, VALUE_INTEGER, 7);
    assert_integer(2, VALUE_INTEGER, 42);
    assert_integer(3, VALUE_TIMESTAMP, 1700000000000);
    assert_int_equal(values[4].kind, VALUE_NULL);
    assert_text(5, VALUE_BYTES, "not JSON");
    assert_int_equal(values[6].kind, VALUE_NULL);
}

static void what_the_record_lacks_is_null(void **state)
{
    (void)state;
    config.value_format = CONFIG_VALUE_RAW;
    compile(COLUMNS({.name = "key", .oid = OID_BYTEA}, {.name = "value", .oid = OID_BYTEA},
                    {.name = "timestamp", .oid = OID_TIMESTAMPTZ}));
    decode(&(struct record){.offset = 1, .timestamp_ms = -1, .key = slice_of("")});
    assert_text(0, VALUE_BYTES, "");
    assert_int_equal(values[1].kind, VALUE_NULL);
    assert_int_equal(values[2].kind, VALUE_NULL);
}

static void other_columns_of_a_raw_table_are_left_alone(void **state)
{
    (void)state;
    config.value_format = CONFIG_VALUE_RAW;
    compile(COLUMNS({.name = "id", .oid = OID_INT8, .not_null = true, .has_default = true},
                    {.name = "value", .oid = OID_TEXT}, {.name = "note", .oid = OID_TEXT}));
    assert_copy(0, "COPY \"public\".\"orders\" (\"value\") FROM STDIN (FORMAT binary);");
}

static void only_headers_make_headers_wanted(void **state)
{
    (void)state;
    compile(COLUMNS({.name = "id", .oid = OID_INT8}, {.name = "headers", .oid = OID_JSONB}));
    assert_false(mapping->wants_headers);
    compile(
        COLUMNS({.name = "id", .oid = OID_INT8}, {.name = "__connect_headers", .oid = OID_JSONB}));
    assert_true(mapping->wants_headers);
    config.value_format = CONFIG_VALUE_RAW;
    compile(COLUMNS({.name = "headers", .oid = OID_TEXT}));
    assert_true(mapping->wants_headers);
}

static void a_json_column_takes_bytes_that_are_json(void **state)
{
    struct record record = record_of("{\"a\": [1]}");

    (void)state;
    config.value_format = CONFIG_VALUE_RAW;
    compile(COLUMNS({.name = "value", .oid = OID_JSONB}));
    decode(&record);
    assert_text(0, VALUE_JSON, "{\"a\": [1]}");
    record.value = slice_of("{\"a\": ");
    assert_false(mapping_decode(mapping, &record, 0, values, &err));
    assert_int_equal(err.class, ERR_DATA);
    assert_string_equal(err.column, "value");
    assert_non_null(strstr(err.text, "column \"value\""));
}

/* Records that are no rows. */

static void a_tombstone_is_no_row(void **state)
{
    (void)state;
    compile(COLUMNS({.name = "id", .oid = OID_INT8}));
    assert_false(mapping_decode(mapping, &(struct record){.offset = 1}, 0, values, &err));
    assert_int_equal(err.class, ERR_DATA);
}

static void what_is_no_object_is_no_row(void **state)
{
    static const char *const texts[] = {"", "[]", "5", "\"a\"", "null", "{\"id\": 5", "{} {}"};

    (void)state;
    compile(COLUMNS({.name = "id", .oid = OID_INT8}));
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct record record = record_of(texts[i]);
        assert_false(mapping_decode(mapping, &record, 0, values, &err));
        assert_int_equal(err.class, ERR_DATA);
    }
}

static void an_unknown_field_is_ignored_refused_or_stops(void **state)
{
    struct record record = record_of("{\"id\": 5, \"surprise\": 1}");
    const struct catalog_column column = {.name = "id", .oid = OID_INT8};

    (void)state;
    config.unknown_fields = CONFIG_UNKNOWN_IGNORE;
    compile(&column, 1);
    decode(&record);
    config.unknown_fields = CONFIG_UNKNOWN_DEAD_LETTER;
    compile(&column, 1);
    assert_false(mapping_decode(mapping, &record, 0, values, &err));
    assert_int_equal(err.class, ERR_DATA);
    assert_non_null(strstr(err.text, "surprise"));
    config.unknown_fields = CONFIG_UNKNOWN_STOP;
    compile(&column, 1);
    assert_false(mapping_decode(mapping, &record, 0, values, &err));
    assert_int_equal(err.class, ERR_CONFIG);
}

/* Tables that can't be filled. */

static void a_column_that_must_have_a_value_needs_a_source(void **state)
{
    (void)state;
    config.value_format = CONFIG_VALUE_RAW;
    assert_not_compiled(COLUMNS({.name = "value", .oid = OID_TEXT},
                                {.name = "id", .oid = OID_INT8, .not_null = true}),
                        "column \"id\" is NOT NULL and nothing fills it");
}

static void a_column_without_the_right_to_insert_is_left_out(void **state)
{
    (void)state;
    compile(COLUMNS({.name = "id", .oid = OID_INT8},
                    {.name = "secret", .oid = OID_TEXT, .denied = true}));
    assert_copy(0, "COPY \"public\".\"orders\" (\"id\") FROM STDIN (FORMAT binary);");
    assert_not_compiled(
        COLUMNS({.name = "id", .oid = OID_INT8},
                {.name = "secret", .oid = OID_TEXT, .not_null = true, .denied = true}),
        "GRANT INSERT");
    assert_not_compiled(COLUMNS({.name = "id", .oid = OID_INT8, .denied = true}), "GRANT INSERT");
}

static void generated_columns_are_left_out(void **state)
{
    (void)state;
    compile(COLUMNS({.name = "id", .oid = OID_INT8, .not_null = true, .generated = true},
                    {.name = "note", .oid = OID_TEXT}));
    assert_copy(0, "COPY \"public\".\"orders\" (\"note\") FROM STDIN (FORMAT binary);");
}

static void a_table_without_a_column_for_us_is_refused(void **state)
{
    const struct catalog_column generated = {.name = "id", .oid = OID_INT8, .generated = true};

    (void)state;
    assert_not_compiled(&generated, 1, "has no column that can be filled");
    config.value_format = CONFIG_VALUE_RAW;
    assert_not_compiled(COLUMNS({.name = "id", .oid = OID_INT8}), "topic, partition, offset");
}

static void a_column_takes_only_what_its_type_can_hold(void **state)
{
    static const struct catalog_column wrong[] = {
        {.name = "topic", .oid = OID_INT8},    {.name = "partition", .oid = OID_BOOL},
        {.name = "offset", .oid = OID_INT4},   {.name = "timestamp", .oid = OID_INT4},
        {.name = "key", .oid = OID_INT8},      {.name = "value", .oid = OID_TIMESTAMPTZ},
        {.name = "headers", .oid = OID_BYTEA},
    };

    (void)state;
    config.value_format = CONFIG_VALUE_RAW;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_not_compiled(&wrong[i], 1, wrong[i].name);
}

/* Formats and defaults. */

static void one_type_of_text_makes_all_of_it_text(void **state)
{
    (void)state;
    compile(COLUMNS({.name = "id", .oid = OID_INT8}, {.name = "note", .oid = OID_TEXT}));
    assert_int_equal(mapping->format, TYPE_FORMAT_BINARY);
    assert_copy(0, "COPY \"public\".\"orders\" (\"id\", \"note\") FROM STDIN (FORMAT binary);");
    compile(COLUMNS({.name = "id", .oid = OID_INT8}, {.name = "at", .oid = OID_POINT}));
    assert_int_equal(mapping->format, TYPE_FORMAT_TEXT);
    assert_copy(0, "COPY \"public\".\"orders\" (\"id\", \"at\") FROM STDIN;");
}

static void a_type_of_text_that_is_not_filled_does_not_count(void **state)
{
    (void)state;
    compile(
        COLUMNS({.name = "id", .oid = OID_INT8}, {.name = "at", .oid = OID_POINT, .denied = true}));
    assert_int_equal(mapping->format, TYPE_FORMAT_BINARY);
}

static void each_field_with_a_default_has_a_bit(void **state)
{
    (void)state;
    compile(COLUMNS({.name = "a", .oid = OID_INT8, .has_default = true},
                    {.name = "b", .oid = OID_INT8},
                    {.name = "c", .oid = OID_INT8, .has_default = true},
                    {.name = "__connect_offset", .oid = OID_INT8, .has_default = true}));
    assert_int_equal(mapping->columns[0].default_bit, 1);
    assert_int_equal(mapping->columns[1].default_bit, 0);
    assert_int_equal(mapping->columns[2].default_bit, 2);
    assert_int_equal(mapping->columns[3].default_bit, 0);
    assert_copy(
        1, "COPY \"public\".\"orders\" (\"b\", \"c\", \"__connect_offset\") FROM STDIN (FORMAT "
           "binary);");
    assert_copy(
        3, "COPY \"public\".\"orders\" (\"b\", \"__connect_offset\") FROM STDIN (FORMAT binary);");
}

static void beyond_64_defaults_absent_is_null(void **state)
{
    static char names[COLUMNS_MAX][8];
    struct catalog_column columns[COLUMNS_MAX];

    (void)state;
    for (int i = 0; i < COLUMNS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "c%d", i);
        columns[i] =
            (struct catalog_column){.name = names[i], .oid = OID_INT8, .has_default = true};
    }
    compile(columns, COLUMNS_MAX);
    assert_true(mapping->columns[63].default_bit == UINT64_C(1) << 63);
    assert_int_equal(mapping->columns[64].default_bit, 0);
    assert_int_equal(mapping->columns[COLUMNS_MAX - 1].default_bit, 0);
}

static void names_are_quoted(void **state)
{
    (void)state;
    compile(COLUMNS({.name = "a \"b\", c", .oid = OID_INT8}, {.name = "Größe", .oid = OID_INT8}));
    assert_copy(0, "COPY \"public\".\"orders\" (\"a \"\"b\"\", c\", \"Größe\") FROM STDIN (FORMAT "
                   "binary);");
}

/* Whether two are the same. */

static void assert_same(bool expected, const struct catalog_column *columns, int count)
{
    struct mapping *other = compile_columns(columns, count);

    assert_non_null(other);
    assert_int_equal(mapping_same(mapping, other), expected);
    assert_int_equal(mapping_same(other, mapping), expected);
    mapping_destroy(other);
}

static void a_table_that_did_not_change_gives_the_same_mapping(void **state)
{
    (void)state;
    compile(COLUMNS({.name = "id", .oid = OID_INT8}, {.name = "note", .oid = OID_TEXT}));
    assert_same(true, COLUMNS({.name = "id", .oid = OID_INT8}, {.name = "note", .oid = OID_TEXT}));
    assert_same(true, COLUMNS({.name = "id", .oid = OID_INT8}, {.name = "note", .oid = OID_TEXT},
                              {.name = "not_ours", .oid = OID_TEXT, .generated = true}));
}

static void whatever_matters_for_a_row_makes_another_mapping(void **state)
{
    (void)state;
    compile(COLUMNS({.name = "id", .oid = OID_INT8}, {.name = "note", .oid = OID_TEXT}));
    assert_same(false, COLUMNS({.name = "id", .oid = OID_INT8}));
    assert_same(false, COLUMNS({.name = "id", .oid = OID_INT4}, {.name = "note", .oid = OID_TEXT}));
    assert_same(false, COLUMNS({.name = "id", .oid = OID_INT8}, {.name = "text", .oid = OID_TEXT}));
    assert_same(false, COLUMNS({.name = "note", .oid = OID_TEXT}, {.name = "id", .oid = OID_INT8}));
    assert_same(false, COLUMNS({.name = "id", .oid = OID_INT8, .not_null = true},
                               {.name = "note", .oid = OID_TEXT}));
    assert_same(false, COLUMNS({.name = "id", .oid = OID_INT8},
                               {.name = "note", .oid = OID_TEXT, .has_default = true}));
}

#define MAPPING_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MAPPING_TEST(the_topic_stands_in_the_tables_name),
        MAPPING_TEST(columns_get_the_fields_of_their_names),
        MAPPING_TEST(a_field_that_is_not_there_is_absent),
        MAPPING_TEST(names_are_compared_to_the_letter),
        MAPPING_TEST(json_columns_may_be_filled_from_the_record),
        MAPPING_TEST(raw_columns_are_the_record),
        MAPPING_TEST(what_the_record_lacks_is_null),
        MAPPING_TEST(other_columns_of_a_raw_table_are_left_alone),
        MAPPING_TEST(only_headers_make_headers_wanted),
        MAPPING_TEST(a_json_column_takes_bytes_that_are_json),
        MAPPING_TEST(a_tombstone_is_no_row),
        MAPPING_TEST(what_is_no_object_is_no_row),
        MAPPING_TEST(an_unknown_field_is_ignored_refused_or_stops),
        MAPPING_TEST(a_column_that_must_have_a_value_needs_a_source),
        MAPPING_TEST(a_column_without_the_right_to_insert_is_left_out),
        MAPPING_TEST(generated_columns_are_left_out),
        MAPPING_TEST(a_table_without_a_column_for_us_is_refused),
        MAPPING_TEST(a_column_takes_only_what_its_type_can_hold),
        MAPPING_TEST(one_type_of_text_makes_all_of_it_text),
        MAPPING_TEST(a_type_of_text_that_is_not_filled_does_not_count),
        MAPPING_TEST(each_field_with_a_default_has_a_bit),
        MAPPING_TEST(beyond_64_defaults_absent_is_null),
        MAPPING_TEST(names_are_quoted),
        MAPPING_TEST(a_table_that_did_not_change_gives_the_same_mapping),
        MAPPING_TEST(whatever_matters_for_a_row_makes_another_mapping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
