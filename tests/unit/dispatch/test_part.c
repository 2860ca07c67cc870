/* Parts of a batch: wherever it is cut, its rows and dead letters go in order, each once. */
#include "dispatch/part.h"

#include "catalog_answer.h"
#include "dispatch/encode.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char template[] = "orders";
static struct config config;
static struct arena_store store;
static struct mapping *mapping;
static struct batch *batch;
static struct encode_settings settings;
static struct buffer sent;

static int begin(void **state)
{
    (void)state;
    config = (struct config){.table = template};
    settings = (struct encode_settings){.sink = "sink", .instance = "one", .to_table = true};
    batch = batch_create(&store);
    batch->topic = "orders";
    batch_set_state(batch, BATCH_FILLING);
    return 0;
}

static int end(void **state)
{
    (void)state;
    batch_destroy(batch);
    mapping_destroy(mapping);
    mapping = NULL;
    buffer_finish(&sent);
    arena_store_finish(&store);
    return 0;
}

/* A point only goes as text. */
static void map(bool text)
{
    const struct catalog_column columns[] = {
        {.name = "id", .oid = OID_INT8, .not_null = true},
        {.name = "note", .oid = text ? OID_POINT : OID_TEXT, .has_default = true},
    };
    struct table table = catalog_table("orders", columns, 2);
    struct err err;

    mapping_destroy(mapping);
    mapping = mapping_compile(&config, "orders", &table, &err);
    assert_non_null(mapping);
    batch->mapping = mapping;
}

/* Records by letters: a row (r), one with a note (n), or none (x); offsets are 10, 20, 30 ... */
static void encode(bool text, const char *kinds)
{
    map(text);
    for (int64_t i = 0; kinds[i]; i++) {
        char value[64];
        if (kinds[i] == 'x')
            snprintf(value, sizeof(value), "no JSON");
        else
            snprintf(value, sizeof(value), "{\"id\": %" PRId64 "%s}", i,
                     kinds[i] == 'n' ? ", \"note\": \"(1,2)\"" : "");
        batch_append(
            batch,
            &(struct record){.offset = 10 * (i + 1), .timestamp_ms = -1, .value = slice_of(value)});
    }
    encode_batch(batch, &settings);
}

static void refuse(uint32_t index)
{
    struct err err;

    err_set(&err, ERR_DATA, "refused");
    encode_refused(batch, index, &settings, &err);
}

/* What the part would send: rows as COPY text, then the offsets of its dead letters. */
static const char *sent_text(void)
{
    buffer_reset(&sent);
    for (size_t i = 0; i < batch->part.segments_count; i++) {
        const struct batch_segment *segment = &batch->segments[i];
        buffer_append(&sent, batch->rows.data + segment->begin, segment->end - segment->begin);
    }
    for (uint32_t i = 0; i < batch->part.dead_count; i++) {
        const struct batch_letter *letter = &batch->dead[i];
        const char *text = batch->dead_letters.data + letter->begin;
        assert_int_equal(text[letter->end - letter->begin - 1], '\n');
        assert_memory_equal(text, "sink\torders\t0\t", 14);
        buffer_printf(&sent, "!%ld", strtol(text + 14, NULL, 10));
    }
    return buffer_text(&sent);
}

static void assert_part(const char *expected, int64_t to)
{
    assert_string_equal(sent_text(), expected);
    assert_int_equal(batch->to, to);
}

/* Cuts. */

static void a_batch_begins_as_one_part(void **state)
{
    (void)state;
    encode(true, "rxr");
    assert_part("0\n2\n!20", 31);
    assert_true(part_is_last(batch));
    assert_int_equal(part_records_count(batch), 3);
    assert_int_equal(part_rows_count(batch), 2);
    assert_int_equal(part_bytes(batch), batch->rows.len + batch->dead_letters.len);
}

static void a_cut_takes_the_first_records(void **state)
{
    (void)state;
    encode(true, "rxrr");
    part_cut(batch, 1);
    assert_part("0\n", 11);
    part_cut(batch, 2);
    assert_part("0\n!20", 21);
    part_cut(batch, 3);
    assert_part("0\n2\n!20", 31);
    assert_false(part_is_last(batch));
    part_cut(batch, 100);
    assert_part("0\n2\n3\n!20", 41);
    assert_true(part_is_last(batch));
}

static void rows_of_other_columns_are_cut_where_they_are(void **state)
{
    (void)state;
    encode(true, "rrnnr");
    part_cut(batch, 3);
    assert_part("0\n1\n2\t(1,2)\n", 31);
    part_cut(batch, 1);
    assert_part("0\n", 11);
    part_cut(batch, 4);
    assert_part("0\n1\n2\t(1,2)\n3\t(1,2)\n", 41);
}

static void binary_rows_are_cut_between_rows(void **state)
{
    static const char row[] = "\0\1\0\0\0\10\0\0\0\0\0\0\0\0"
                              "\0\1\0\0\0\10\0\0\0\0\0\0\0\1"
                              "\0\1\0\0\0\10\0\0\0\0\0\0\0\2";

    (void)state;
    encode(false, "rrr");
    for (uint32_t records = 1; records <= 3; records++) {
        part_cut(batch, records);
        sent_text();
        assert_int_equal(sent.len, 14 * records);
        assert_memory_equal(sent.data, row, 14 * records);
    }
}

static void what_is_committed_goes_from_the_front(void **state)
{
    (void)state;
    encode(true, "rxrxr");
    part_cut(batch, 2);
    part_drop(batch);
    assert_int_equal(batch->first, 2);
    assert_int_equal(batch->buried_count, 1);
    assert_part("2\n4\n!40", 51);
    part_cut(batch, 2);
    assert_part("2\n!40", 41);
    part_drop(batch);
    assert_part("4\n", 51);
    assert_int_equal(batch->buried_count, 2);
    assert_int_equal(batch->dead_letters.len, 0); /* their memory is used again */
}

static void what_is_encoded_anew_is_not_what_was_committed(void **state)
{
    (void)state;
    encode(true, "rxrr");
    part_cut(batch, 3);
    part_drop(batch);
    encode_batch(batch, &settings);
    assert_part("3\n", 41);
}

/* Refusals. */

static void a_row_is_the_record_that_is_not_dead(void **state)
{
    (void)state;
    encode(true, "xxrrxrrxrx");
    assert_int_equal(part_record_of_row(batch, 0), 2);
    assert_int_equal(part_record_of_row(batch, 1), 3);
    assert_int_equal(part_record_of_row(batch, 2), 5);
    assert_int_equal(part_record_of_row(batch, 3), 6);
    assert_int_equal(part_record_of_row(batch, 4), 8);
    part_cut(batch, 4);
    part_drop(batch);
    assert_int_equal(part_record_of_row(batch, 0), 5);
    assert_int_equal(part_record_of_row(batch, 2), 8);
}

static void a_refused_row_is_a_dead_letter_in_its_place(void **state)
{
    (void)state;
    encode(true, "rxrxr");
    refuse(2);
    assert_part("0\n4\n!20!30!40", 51);
    refuse(0);
    assert_part("4\n!10!20!30!40", 51);
    refuse(4);
    assert_part("!10!20!30!40!50", 51);
    assert_int_equal(part_rows_count(batch), 0);
    assert_non_null(strstr(buffer_text(&batch->dead_letters), "\trefused\t"));
}

static void letters_of_refused_rows_are_cut_as_the_others(void **state)
{
    (void)state;
    encode(true, "rrrxr");
    refuse(1);
    part_cut(batch, 2);
    assert_part("0\n!20", 21);
    part_drop(batch);
    assert_part("2\n4\n!40", 51);
}

static void without_dead_letters_it_stops_in_front_of_a_refused_row(void **state)
{
    (void)state;
    settings.to_table = false;
    encode(true, "rrr");
    refuse(1);
    assert_part("0\n", 20);
    assert_true(batch->stopped);
    assert_string_equal(batch->stop.text, "orders[0]@20 table \"public\".\"orders\": refused");
    part_cut(batch, 1);
    part_drop(batch);
    assert_part("", 20);
    assert_true(part_is_last(batch));
}

static void a_refused_first_row_leaves_nothing_without_dead_letters(void **state)
{
    (void)state;
    settings.to_table = false;
    encode(true, "rrx");
    refuse(0);
    assert_part("", 10);
    assert_true(part_is_last(batch));
    assert_int_equal(part_records_count(batch), 0);
}

/* Whatever is cut, refused and committed: all goes in order, each once. */

enum { RECORDS = 200, ROUNDS = 300 };

static void add_expected(struct buffer *rows, struct buffer *letters, const char *kinds, int index)
{
    if (kinds[index] == 'r')
        buffer_printf(rows, "%d\n", index);
    else if (kinds[index] == 'n')
        buffer_printf(rows, "%d\t(1,2)\n", index);
    else
        buffer_printf(letters, "!%d", 10 * (index + 1));
}

/* One of the part's rows, if it has any. */
static void refuse_some(char *kinds)
{
    size_t rows = part_rows_count(batch);

    if (rows == 0)
        return;
    uint32_t index = part_record_of_row(batch, (size_t)rand() % rows);
    refuse(index);
    kinds[index] = 'x';
}

static void send_in_parts(char *kinds)
{
    struct buffer expected = {0};
    struct buffer letters = {0};

    for (bool last = false; !last;) {
        uint32_t first = batch->first;
        for (int i = rand() % 3; i > 0; i--)
            refuse_some(kinds);
        part_cut(batch, 1 + (uint32_t)rand() % 50);
        buffer_reset(&expected);
        buffer_reset(&letters);
        for (uint32_t i = first; i < batch->part.end; i++)
            add_expected(&expected, &letters, kinds, (int)i);
        buffer_append(&expected, letters.data, letters.len);
        assert_part(buffer_text(&expected), 10 * batch->part.end + 1);
        assert_true(batch->part.end > first);
        last = part_is_last(batch);
        if (!last)
            part_drop(batch);
    }
    buffer_finish(&expected);
    buffer_finish(&letters);
}

static void all_goes_in_order_each_once(void **state)
{
    static const char kinds[] = "rrrnnx";
    char records[RECORDS + 1] = {0};

    (void)state;
    srand(1);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < RECORDS; i++)
            records[i] = kinds[rand() % (round % 2 ? 6 : 4)];
        encode(true, records);
        send_in_parts(records);
        batch_set_state(batch, BATCH_ENCODING);
        batch_reset(batch);
        batch_set_state(batch, BATCH_FILLING);
    }
}

#define PART_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PART_TEST(a_batch_begins_as_one_part),
        PART_TEST(a_cut_takes_the_first_records),
        PART_TEST(rows_of_other_columns_are_cut_where_they_are),
        PART_TEST(binary_rows_are_cut_between_rows),
        PART_TEST(what_is_committed_goes_from_the_front),
        PART_TEST(what_is_encoded_anew_is_not_what_was_committed),
        PART_TEST(a_row_is_the_record_that_is_not_dead),
        PART_TEST(a_refused_row_is_a_dead_letter_in_its_place),
        PART_TEST(letters_of_refused_rows_are_cut_as_the_others),
        PART_TEST(without_dead_letters_it_stops_in_front_of_a_refused_row),
        PART_TEST(a_refused_first_row_leaves_nothing_without_dead_letters),
        PART_TEST(all_goes_in_order_each_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
