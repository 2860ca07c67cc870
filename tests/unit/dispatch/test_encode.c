/* A batch becomes rows, segments and dead letters; PostgreSQL's COPY formats byte for byte. */
#include "dispatch/encode.h"
#include "dispatch/part.h"

#include "catalog_answer.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static char template[] = "orders";
static struct config config;
static struct arena_store store;
static struct mapping *mapping;
static struct batch *batch;
static struct encode_settings settings;

static int begin(void **state)
{
    (void)state;
    config = (struct config){.table = template};
    settings = (struct encode_settings){.sink = "sink", .instance = "one", .to_table = true};
    batch = batch_create(&store);
    batch->topic = "orders";
    batch->partition = 3;
    batch_set_state(batch, BATCH_FILLING);
    return 0;
}

static int end(void **state)
{
    (void)state;
    batch_destroy(batch);
    mapping_destroy(mapping);
    mapping = NULL;
    arena_store_finish(&store);
    return 0;
}

static void map(const struct catalog_column *columns, int count)
{
    struct table table = catalog_table("orders", columns, count);
    struct err err;

    mapping_destroy(mapping);
    mapping = mapping_compile(&config, "orders", &table, &err);
    assert_non_null(mapping);
    batch->mapping = mapping;
}

/* With a column of a type that only goes as text, or without. */
static void map_orders(bool text)
{
    const struct catalog_column columns[] = {
        {.name = "id", .oid = OID_INT8, .not_null = true},
        {.name = "note", .oid = text ? OID_POINT : OID_TEXT, .has_default = true},
        {.name = "flag", .oid = OID_BOOL, .has_default = true},
    };

    map(columns, 3);
}

static void append(int64_t offset, const char *value)
{
    batch_append(batch, &(struct record){.offset = offset,
                                         .timestamp_ms = -1,
                                         .value = value ? slice_of(value) : SLICE_NONE});
}

static void encode(void)
{
    encode_batch(batch, &settings);
}

static void assert_rows(const void *expected, size_t len)
{
    assert_int_equal(batch->rows.len, len);
    assert_memory_equal(batch->rows.data, expected, len);
}

static void assert_segment(size_t index, uint64_t mask, size_t rows)
{
    const struct batch_segment *segment = &batch->segments[index];

    assert_true(index < batch->segments_count);
    assert_int_equal(segment->absent_mask, mask);
    assert_int_equal(segment->rows_count, rows);
    assert_int_equal(segment->begin, index ? batch->segments[index - 1].end : 0);
    if (index + 1 == batch->segments_count)
        assert_int_equal(segment->end, batch->rows.len);
}

/* Letters, and the indexes of their records. */
static void assert_dead(const uint32_t *indexes, uint32_t count)
{
    uint32_t lines = 0;

    assert_int_equal(batch->dead_count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(batch->dead[i].index, indexes[i]);
    for (size_t i = 0; i < batch->dead_letters.len; i++)
        lines += batch->dead_letters.data[i] == '\n';
    assert_int_equal(lines, count);
}

#define ASSERT_DEAD(...) \
    assert_dead((const uint32_t[]){__VA_ARGS__}, COUNT_OF(((const uint32_t[]){__VA_ARGS__})))

/* Rows. */

static void binary_rows_are_counted_fields_with_their_length(void **state)
{
    static const char expected[] = "\0\3"
                                   "\0\0\0\10\0\0\0\0\0\0\0\5"
                                   "\0\0\0\2ab"
                                   "\0\0\0\1\1"
                                   "\0\3"
                                   "\0\0\0\10\377\377\377\377\377\377\377\377"
                                   "\377\377\377\377"
                                   "\0\0\0\1\0";

    (void)state;
    map_orders(false);
    append(0, "{\"id\": 5, \"note\": \"ab\", \"flag\": true}");
    append(1, "{\"id\": -1, \"note\": null, \"flag\": false}");
    encode();
    assert_rows(expected, sizeof(expected) - 1);
    assert_segment(0, 0, 2);
    assert_int_equal(batch->segments_count, 1);
    assert_int_equal(batch->to, 2);
}

static void text_rows_are_lines_of_fields(void **state)
{
    static const char expected[] = "5\t(1,2)\tt\n-1\t\\N\tf\n6\ta\\tb\\\\\tt\n";

    (void)state;
    map_orders(true);
    append(0, "{\"id\": 5, \"note\": \"(1,2)\", \"flag\": true}");
    append(1, "{\"id\": -1, \"note\": null, \"flag\": false}");
    append(2, "{\"id\": 6, \"note\": \"a\\tb\\\\\", \"flag\": true}");
    encode();
    assert_rows(expected, sizeof(expected) - 1);
    assert_segment(0, 0, 3);
}

/* Segments. */

static void rows_that_leave_out_the_same_columns_are_a_segment(void **state)
{
    (void)state;
    map_orders(false);
    append(0, "{\"id\": 1, \"note\": \"a\", \"flag\": true}");
    append(1, "{\"id\": 2, \"note\": \"a\", \"flag\": true}");
    append(2, "{\"id\": 3, \"flag\": true}");
    append(3, "{\"id\": 4}");
    append(4, "{\"id\": 5}");
    append(5, "{\"id\": 6, \"note\": \"a\", \"flag\": true}");
    encode();
    assert_int_equal(batch->segments_count, 4);
    assert_segment(0, 0, 2);
    assert_segment(1, 1, 1);
    assert_segment(2, 3, 2);
    assert_segment(3, 0, 1);
    assert_int_equal(part_rows_count(batch), 6);
}

static void a_row_of_a_segment_has_only_its_columns(void **state)
{
    (void)state;
    map_orders(true);
    append(0, "{\"id\": 1, \"flag\": true}");
    append(1, "{\"id\": 2}");
    encode();
    assert_rows("1\tt\n2\n", 6);
}

static void a_null_is_not_a_default(void **state)
{
    (void)state;
    map_orders(true);
    append(0, "{\"id\": 1, \"note\": null, \"flag\": null}");
    encode();
    assert_segment(0, 0, 1);
    assert_rows("1\t\\N\t\\N\n", 8);
}

static void a_row_that_leaves_out_everything_has_its_first_column(void **state)
{
    const struct catalog_column columns[] = {
        {.name = "a", .oid = OID_INT8, .has_default = true},
        {.name = "b", .oid = OID_POINT, .has_default = true},
    };

    (void)state;
    map(columns, 2);
    append(0, "{}");
    encode();
    assert_segment(0, 2, 1);
    assert_rows("\\N\n", 3);
}

static void a_dead_letter_between_rows_does_not_part_a_segment(void **state)
{
    (void)state;
    map_orders(true);
    append(0, "{\"id\": 1}");
    append(1, "{\"id\": null}");
    append(2, "{\"id\": 3}");
    encode();
    assert_int_equal(batch->segments_count, 1);
    assert_segment(0, 3, 2);
    assert_rows("1\n3\n", 4);
    ASSERT_DEAD(1);
}

/* Dead letters. */

static void what_is_no_row_is_a_dead_letter(void **state)
{
    (void)state;
    map_orders(false);
    append(10, "{\"id\": 1");
    append(11, "{\"id\": 2}");
    append(12, NULL);
    append(13, "{\"note\": \"no id\"}");
    append(14, "{\"id\": null}");
    append(15, "{\"id\": 1.5}");
    append(16, "{\"id\": 3, \"flag\": \"perhaps\"}");
    encode();
    ASSERT_DEAD(0, 2, 3, 4, 5, 6);
    assert_int_equal(part_rows_count(batch), 1);
    assert_int_equal(batch->to, 17);
    assert_false(batch->stopped);
}

static void a_letter_says_where_from_why_and_which_column(void **state)
{
    (void)state;
    map_orders(false);
    append(42, "{\"id\": null}");
    encode();
    assert_string_equal(buffer_text(&batch->dead_letters),
                        "sink\torders\t3\t42\t\\N\t\\N\t\\\\x7b226964223a206e756c6c7d\t\\N\t"
                        "column \"id\": null in a NOT NULL column\t\\N\t"
                        "\"public\".\"orders\"\tid\tone\t\\N\n");
}

static void a_bad_last_column_leaves_nothing_of_its_row(void **state)
{
    (void)state;
    map_orders(true);
    append(0, "{\"id\": 1, \"note\": \"(1,2)\", \"flag\": 5}");
    encode();
    assert_int_equal(batch->rows.len, 0);
    assert_int_equal(batch->segments_count, 0);
    ASSERT_DEAD(0);
}

static void a_refused_record_becomes_a_dead_letter(void **state)
{
    struct err err;

    (void)state;
    map_orders(true);
    append(0, "{\"id\": 1}");
    append(1, "{\"id\": 2}");
    append(2, "{\"id\": 3}");
    encode();
    err_set(&err, ERR_DATA, "duplicate key");
    snprintf(err.sqlstate, sizeof(err.sqlstate), "23505");
    encode_refused(batch, 1, &settings, &err);
    assert_int_equal(part_rows_count(batch), 2);
    ASSERT_DEAD(1);
    assert_non_null(strstr(buffer_text(&batch->dead_letters), "\tduplicate key\t23505\t"));
    encode_refused(batch, 2, &settings, &err);
    assert_int_equal(part_rows_count(batch), 1);
    ASSERT_DEAD(1, 2);
}

static void a_refused_record_has_another_chance_when_it_is_encoded_anew(void **state)
{
    struct err err;

    (void)state;
    map_orders(true);
    append(0, "{\"id\": 1}");
    append(1, "{\"id\": 2}");
    encode();
    err_set(&err, ERR_DATA, "refused");
    encode_refused(batch, 1, &settings, &err);
    encode();
    assert_rows("1\n2\n", 4);
    assert_int_equal(batch->dead_count, 0);
}

static void encoding_again_gives_the_same(void **state)
{
    (void)state;
    map_orders(true);
    append(0, "{\"id\": 1}");
    append(1, "bad");
    append(2, "{\"id\": 3, \"flag\": true}");
    encode();
    encode();
    assert_rows("1\n3\tt\n", 6);
    assert_int_equal(batch->segments_count, 2);
    ASSERT_DEAD(1);
}

/* Stopping. */

static void without_dead_letters_it_ends_before_the_first_bad_record(void **state)
{
    (void)state;
    settings.to_table = false;
    map_orders(true);
    append(10, "{\"id\": 1}");
    append(15, "bad");
    append(16, "{\"id\": 3}");
    encode();
    assert_true(batch->stopped);
    assert_int_equal(batch->to, 15);
    assert_rows("1\n", 2);
    assert_int_equal(batch->dead_count, 0);
    assert_int_equal(batch->dead_letters.len, 0);
    assert_int_equal(batch->stop.class, ERR_DATA);
    assert_memory_equal(batch->stop.text, "orders[3]@15 table \"public\".\"orders\": ", 38);
}

static void a_bad_first_record_leaves_nothing_to_send(void **state)
{
    (void)state;
    settings.to_table = false;
    map_orders(true);
    append(10, "bad");
    append(11, "{\"id\": 1}");
    encode();
    assert_true(batch->stopped);
    assert_int_equal(batch->to, 10);
    assert_int_equal(part_rows_count(batch), 0);
}

static void a_mapping_may_want_to_stop_in_spite_of_dead_letters(void **state)
{
    (void)state;
    config.unknown_fields = CONFIG_UNKNOWN_STOP;
    map_orders(true);
    append(10, "bad");
    append(11, "{\"id\": 1}");
    append(12, "{\"id\": 2, \"surprise\": 1}");
    append(13, "bad");
    encode();
    assert_true(batch->stopped);
    assert_int_equal(batch->to, 12);
    assert_int_equal(batch->stop.class, ERR_CONFIG);
    assert_rows("1\n", 2);
    ASSERT_DEAD(0);
}

static void what_was_mended_does_not_stop_any_more(void **state)
{
    const struct catalog_column columns[] = {{.name = "id", .oid = OID_POINT}};

    (void)state;
    settings.to_table = false;
    map_orders(true);
    append(10, "{\"id\": 1}");
    append(11, "{\"id\": null}");
    encode();
    assert_true(batch->stopped);
    map(columns, 1);
    encode();
    assert_false(batch->stopped);
    assert_int_equal(batch->to, 12);
    assert_rows("1\n\\N\n", 5);
}

/* Width. */

static void more_columns_than_fit_the_stack(void **state)
{
    enum { COLUMNS = 300 };
    static char names[COLUMNS][8];
    static struct catalog_column columns[COLUMNS];

    (void)state;
    for (int i = 0; i < COLUMNS; i++) {
        snprintf(names[i], sizeof(names[i]), "c%d", i);
        columns[i] = (struct catalog_column){.name = names[i], .oid = OID_INT4};
    }
    map(columns, COLUMNS);
    append(0, "{\"c299\": 1, \"c0\": 2}");
    encode();
    assert_int_equal(batch->rows.len, 2 + COLUMNS * 4 + 2 * 4);
    assert_memory_equal(batch->rows.data, "\1\54\0\0\0\4\0\0\0\2\377\377\377\377", 14);
}

#define ENCODE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENCODE_TEST(binary_rows_are_counted_fields_with_their_length),
        ENCODE_TEST(text_rows_are_lines_of_fields),
        ENCODE_TEST(rows_that_leave_out_the_same_columns_are_a_segment),
        ENCODE_TEST(a_row_of_a_segment_has_only_its_columns),
        ENCODE_TEST(a_null_is_not_a_default),
        ENCODE_TEST(a_row_that_leaves_out_everything_has_its_first_column),
        ENCODE_TEST(a_dead_letter_between_rows_does_not_part_a_segment),
        ENCODE_TEST(what_is_no_row_is_a_dead_letter),
        ENCODE_TEST(a_letter_says_where_from_why_and_which_column),
        ENCODE_TEST(a_bad_last_column_leaves_nothing_of_its_row),
        ENCODE_TEST(a_refused_record_becomes_a_dead_letter),
        ENCODE_TEST(a_refused_record_has_another_chance_when_it_is_encoded_anew),
        ENCODE_TEST(encoding_again_gives_the_same),
        ENCODE_TEST(without_dead_letters_it_ends_before_the_first_bad_record),
        ENCODE_TEST(a_bad_first_record_leaves_nothing_to_send),
        ENCODE_TEST(a_mapping_may_want_to_stop_in_spite_of_dead_letters),
        ENCODE_TEST(what_was_mended_does_not_stop_any_more),
        ENCODE_TEST(more_columns_than_fit_the_stack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
