/* What one transaction sends, byte for byte, and whose row a refusal means. */
#include "dispatch/flush.h"

#include "captured_log.h"
#include "catalog_answer.h"
#include "scripted_conn.h"
#include "virtual_loop.h"

#include "dispatch/encode.h"
#include "dispatch/part.h"
#include "dispatch/route.h"
#include "pg/dead_letters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { QUEUES_MAX = 4 };

static char template[] = "orders";
static struct config config;
static struct arena_store store;
static struct route *route;
static struct queue *queues[QUEUES_MAX];
static struct flush *flush;
static struct flush_settings settings;
static struct conn conn;
static uv_loop_t loop;
static struct buffer data;
static int ends;
static struct conn_error end_error;

static const struct encode_settings encode_settings = {
    .sink = "sink", .instance = "one", .to_table = true};

static void on_state(struct conn *changed, enum conn_state from, const struct err *err)
{
    (void)changed;
    (void)from;
    (void)err;
}

static void on_end(struct flush *ended, const struct conn_error *error, void *opaque)
{
    assert_ptr_equal(ended, flush);
    assert_ptr_equal(opaque, &settings);
    ends++;
    end_error = error ? *error : (struct conn_error){0};
}

/* orders (id bigint NOT NULL, note DEFAULT ..., more DEFAULT ...), as text or binary. */
static void map(bool text)
{
    const struct catalog_column columns[] = {
        {.name = "id", .oid = OID_INT8, .not_null = true},
        {.name = "note", .oid = text ? OID_POINT : OID_TEXT, .has_default = true},
        {.name = "more", .oid = OID_TEXT, .has_default = true},
    };
    struct table table = catalog_table("orders", columns, 3);
    struct err err;

    mapping_destroy(route->mapping);
    route->mapping = mapping_compile(&config, "orders", &table, &err);
    assert_non_null(route->mapping);
}

static int begin(void **state)
{
    (void)state;
    config = (struct config){.table = template};
    route = route_create(&config, "orders");
    map(true);
    settings = (struct flush_settings){.ledger = &offsets_of_sink,
                                       .name = "sink",
                                       .exactly_once = true,
                                       .on_done = on_end,
                                       .opaque = &settings};
    flush = flush_create(&settings);
    conn_init(&conn, &loop, on_state, NULL);
    conn.state = CONN_IDLE;
    ends = 0;
    log_forget();
    return 0;
}

static void drop_queue(struct queue *queue)
{
    for (struct batch *batch; queue && (batch = TAILQ_FIRST(&queue->batches));) {
        TAILQ_REMOVE(&queue->batches, batch, entry);
        batch_destroy(batch);
    }
    queue_destroy(queue);
}

static int end(void **state)
{
    (void)state;
    flush_destroy(flush);
    flush_destroy(NULL);
    for (int i = 0; i < QUEUES_MAX; i++) {
        drop_queue(queues[i]);
        queues[i] = NULL;
    }
    route_destroy(route);
    conns_forget(&conn, 1);
    buffer_finish(&data);
    arena_store_finish(&store);
    return 0;
}

/* Partition `partition`, whose epoch is partition + 1 and position 100 * partition. */
static struct queue *queue_of(int32_t partition)
{
    struct queue *queue = queues[partition];

    if (queue)
        return queue;
    queue = queue_create(route, partition);
    queue->position = 100 * partition;
    queue->epoch = partition + 1;
    queue->read_next = queue->position;
    queues[partition] = queue;
    return queue;
}

/* A ready batch of the partition's next records, up to a NULL. */
static struct batch *add_values(int32_t partition, const char *const *values)
{
    struct queue *queue = queue_of(partition);
    struct batch *batch = batch_create(&store);

    batch_set_state(batch, BATCH_FILLING);
    batch->queue = queue;
    batch->topic = route->topic;
    batch->partition = partition;
    batch->mapping = route->mapping;
    for (; *values; values++)
        batch_append(batch, &(struct record){.offset = queue->read_next++,
                                             .timestamp_ms = -1,
                                             .value = slice_of(*values)});
    batch_set_state(batch, BATCH_ENCODING);
    encode_batch(batch, &encode_settings);
    batch_set_state(batch, BATCH_READY);
    TAILQ_INSERT_TAIL(&queue->batches, batch, entry);
    flush_add(flush, batch);
    return batch;
}

#define ADD(partition, ...) add_values(partition, (const char *const[]){__VA_ARGS__, NULL})

/* Records by what they leave out. */
#define WHOLE     "{\"id\": 1, \"note\": \"n\", \"more\": \"m\"}"
#define NO_MORE   "{\"id\": 2, \"note\": \"n\"}"
#define ONLY_ID   "{\"id\": 3}"
#define NO_RECORD "no JSON"

#define COPY_WHOLE   "COPY \"public\".\"orders\" (\"id\", \"note\", \"more\") FROM STDIN;"
#define COPY_NO_MORE "COPY \"public\".\"orders\" (\"id\", \"note\") FROM STDIN;"
#define COPY_ONLY_ID "COPY \"public\".\"orders\" (\"id\") FROM STDIN;"

static void start(void)
{
    flush_start(flush, &conn);
}

static void assert_sql(const char *advance, const char *copies)
{
    struct buffer expected = {0};

    buffer_printf(&expected, "%s%s", advance, copies);
    assert_string_equal(conn_sql(&conn), buffer_text(&expected));
    buffer_finish(&expected);
}

/* The next COPY's data. */
static void assert_copied(const void *expected, size_t len)
{
    buffer_reset(&data);
    conn_take_copy(&conn, &data);
    assert_int_equal(data.len, len);
    assert_memory_equal(data.data, expected, len);
}

static void assert_copied_text(const char *expected)
{
    assert_copied(expected, strlen(expected));
}

#define ADVANCE_0(to)                                                                  \
    "SELECT pgsluice.advance(E'sink', ARRAY[E'orders']::text[], ARRAY[0]::integer[], " \
    "ARRAY[1]::bigint[], ARRAY[0]::bigint[], ARRAY[" to "]::bigint[], ARRAY[-1]::integer[]);"

/* SQL and bytes. */

static void one_batch_is_advance_and_copy(void **state)
{
    (void)state;
    struct batch *batch = ADD(0, WHOLE, WHOLE);
    assert_int_equal(flush->bytes, 12);
    start();
    assert_sql(ADVANCE_0("2"), COPY_WHOLE);
    assert_int_equal(batch->state, BATCH_FLUSHING);
    assert_ptr_equal(queues[0]->flush, flush);
    assert_copied_text("1\tn\tm\n1\tn\tm\n");
    conn_give_copied(&conn, 2);
    conn_succeed(&conn);
    assert_int_equal(ends, 1);
    assert_int_equal(end_error.err.class, ERR_NONE);
    assert_int_equal(log_said("warn"), 0);
}

static void batches_of_a_partition_are_one_move(void **state)
{
    (void)state;
    ADD(0, WHOLE);
    ADD(0, WHOLE, WHOLE);
    ADD(0, WHOLE);
    start();
    assert_sql(ADVANCE_0("4"), COPY_WHOLE);
    assert_copied_text("1\tn\tm\n1\tn\tm\n1\tn\tm\n1\tn\tm\n");
}

static void partitions_move_together(void **state)
{
    (void)state;
    ADD(2, WHOLE);
    ADD(1, WHOLE);
    ADD(1, WHOLE);
    ADD(3, WHOLE);
    start();
    assert_sql("SELECT pgsluice.advance(E'sink', ARRAY[E'orders',E'orders',E'orders']::text[], "
               "ARRAY[2,1,3]::integer[], ARRAY[3,2,4]::bigint[], ARRAY[200,100,300]::bigint[], "
               "ARRAY[201,102,301]::bigint[], ARRAY[-1,-1,-1]::integer[]);",
               COPY_WHOLE);
    for (int i = 1; i <= 3; i++)
        assert_ptr_equal(queues[i]->flush, flush);
}

static void rows_that_leave_out_the_same_share_a_copy_over_batches(void **state)
{
    (void)state;
    ADD(0, WHOLE, ONLY_ID);
    ADD(1, ONLY_ID, NO_MORE);
    ADD(2, NO_MORE, WHOLE);
    start();
    assert_string_equal(strstr(conn_sql(&conn), "COPY"),
                        COPY_WHOLE COPY_ONLY_ID COPY_NO_MORE COPY_WHOLE);
    assert_copied_text("1\tn\tm\n");
    assert_copied_text("3\n3\n");
    assert_copied_text("2\tn\n2\tn\n");
    assert_copied_text("1\tn\tm\n");
}

static void dead_letters_of_all_batches_come_last(void **state)
{
    struct buffer letters = {0};

    (void)state;
    const struct batch *one = ADD(0, NO_RECORD, WHOLE);
    ADD(1, WHOLE);
    const struct batch *two = ADD(2, NO_RECORD, NO_RECORD);
    assert_int_equal(flush->bytes, 12 + one->dead_letters.len + two->dead_letters.len);
    buffer_append(&letters, one->dead_letters.data, one->dead_letters.len);
    buffer_append(&letters, two->dead_letters.data, two->dead_letters.len);
    start();
    assert_string_equal(strstr(conn_sql(&conn), "COPY \""), strstr(conn_sql(&conn), COPY_WHOLE));
    const char *last = strstr(conn_sql(&conn), "COPY pgsluice");
    size_t len = strlen(dead_letters_copy_sql);
    assert_memory_equal(last, dead_letters_copy_sql, len);
    assert_string_equal(last + len, "SELECT;"); /* so that the end of the letters is told */
    assert_copied_text("1\tn\tm\n1\tn\tm\n");
    conn_give_copied(&conn, 2);
    assert_copied(letters.data, letters.len);
    conn_give_copied(&conn, 3);
    conn_succeed(&conn);
    assert_int_equal(log_said("warn"), 0);
    buffer_finish(&letters);
}

static void only_dead_letters_are_no_copy_into_the_table(void **state)
{
    (void)state;
    ADD(0, NO_RECORD);
    start();
    assert_sql(ADVANCE_0("1"), dead_letters_copy_sql);
}

static void a_batch_that_stops_at_its_first_record_only_advances(void **state)
{
    (void)state;
    const struct encode_settings stops = {.sink = "sink", .instance = "one"};
    struct batch *batch = ADD(0, WHOLE);
    encode_refused(batch, 0, &stops, &(struct err){.class = ERR_DATA});
    start();
    assert_sql(ADVANCE_0("0"), "");
}

static void a_part_of_a_batch_is_all_that_goes(void **state)
{
    struct buffer letters = {0};

    (void)state;
    struct batch *batch = ADD(0, WHOLE, NO_RECORD, WHOLE, NO_RECORD, WHOLE);
    encode_refused(batch, 2, &encode_settings, &(struct err){.class = ERR_DATA, .text = "bad"});
    part_cut(batch, 3);
    flush_reset(flush);
    flush_add(flush, batch);
    for (uint32_t i = 0; i < 2; i++)
        buffer_append(&letters, batch->dead_letters.data + batch->dead[i].begin,
                      batch->dead[i].end - batch->dead[i].begin);
    assert_int_equal(flush->bytes, 6 + letters.len);
    start();
    assert_memory_equal(conn_sql(&conn), ADVANCE_0("3"), strlen(ADVANCE_0("3")));
    assert_copied_text("1\tn\tm\n");
    conn_give_copied(&conn, 1);
    assert_copied(letters.data, letters.len);
    conn_give_copied(&conn, 2);
    assert_int_equal(log_said("warn"), 0);
    buffer_finish(&letters);
}

static void at_least_once_moves_no_position(void **state)
{
    (void)state;
    settings.exactly_once = false;
    ADD(0, WHOLE);
    start();
    assert_sql("", COPY_WHOLE);
}

static void a_table_of_a_known_version_has_to_be_of_it(void **state)
{
    (void)state;
    snprintf(route->mapping->table_version, sizeof(route->mapping->table_version),
             "0123456789abcdef0123456789abcdef");
    ADD(0, WHOLE);
    start();
    const char *expects = strstr(conn_sql(&conn), "SELECT pgsluice.expect_table(");
    assert_non_null(expects);
    assert_non_null(strstr(expects, "0123456789abcdef0123456789abcdef"));
    assert_true(expects > strstr(conn_sql(&conn), "advance"));
    assert_true(expects < strstr(conn_sql(&conn), "COPY"));
}

static void binary_copies_have_a_header_and_an_end(void **state)
{
    static const char rows[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"
                               "\0\3\0\0\0\10\0\0\0\0\0\0\0\1\0\0\0\1n\0\0\0\1m"
                               "\0\3\0\0\0\10\0\0\0\0\0\0\0\1\0\0\0\1n\0\0\0\1m"
                               "\377\377";
    static const char ids[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"
                              "\0\1\0\0\0\10\0\0\0\0\0\0\0\3"
                              "\377\377";

    (void)state;
    map(false);
    ADD(0, WHOLE);
    ADD(1, WHOLE, ONLY_ID, NO_RECORD);
    start();
    assert_non_null(strstr(conn_sql(&conn), "\"more\") FROM STDIN (FORMAT binary);"));
    assert_copied(rows, sizeof(rows) - 1);
    assert_copied(ids, sizeof(ids) - 1);
    buffer_reset(&data);
    conn_take_copy(&conn, &data);
    assert_memory_equal(data.data, "sink\torders\t1\t102\t", 18);
}

/* conn_take_copy checks each piece's size. */
static void large_batches_go_in_pieces(void **state)
{
    enum { ROWS = 5 };
    static char value[50 * 1024];
    const char *values[ROWS + 1] = {NULL};

    (void)state;
    snprintf(value, sizeof(value), "{\"id\": 1, \"note\": \"%*s\", \"more\": \"m\"}", 45 * 1024,
             "x");
    for (int i = 0; i < ROWS; i++)
        values[i] = value;
    const struct batch *batch = add_values(0, values);
    assert_true(batch->rows.len > 3 * CONN_COPY_PIECE_BYTES);
    start();
    assert_copied(batch->rows.data, batch->rows.len);
}

static void rows_of_exactly_one_piece_are_one(void **state)
{
    static char value[70 * 1024];

    (void)state;
    snprintf(value, sizeof(value), "{\"id\": 1, \"note\": \"n\", \"more\": \"%*s\"}",
             CONN_COPY_PIECE_BYTES - 5, "x");
    const struct batch *batch = ADD(0, value);
    assert_int_equal(batch->rows.len, CONN_COPY_PIECE_BYTES);
    start();
    assert_copied(batch->rows.data, batch->rows.len);
}

static void a_flush_can_be_used_again(void **state)
{
    (void)state;
    ADD(0, WHOLE, ONLY_ID, NO_RECORD);
    start();
    conn_take_copy(&conn, &data);
    conn_fail(&conn, "40001", "could not serialize", NULL);
    assert_int_equal(end_error.err.class, ERR_CONTENTION);
    flush_reset(flush);
    assert_int_equal(flush->batches_count, 0);
    assert_int_equal(flush->bytes, 0);
    struct batch *batch = TAILQ_FIRST(&queues[0]->batches);
    batch_set_state(batch, BATCH_READY);
    flush_add(flush, batch);
    start();
    assert_copied_text("1\tn\tm\n");
    assert_copied_text("3\n");
}

static void rows_that_a_trigger_keeps_out_are_said(void **state)
{
    (void)state;
    ADD(0, WHOLE, WHOLE);
    start();
    conn_take_copy(&conn, &data);
    conn_give_copied(&conn, 1);
    conn_succeed(&conn);
    assert_int_equal(log_said("warn rows kept out by the table"), 1);
    assert_int_equal(end_error.err.class, ERR_NONE);
}

/* Blame. */

/* After so many whole COPYs, with this CONTEXT. */
static struct flush_blame blame(int copies, const char *context)
{
    struct conn_error error = {0};

    if (flush->answered < flush->asked)
        conn_give_rows(&conn, (const char *const[]){""}, 1, 1);
    while ((int)flush->copied < copies)
        conn_give_copied(&conn, 0);
    snprintf(error.context, sizeof(error.context), "%s", context);
    return flush_blame(flush, &error);
}

static void assert_blamed(int copies, const char *context, const struct batch *batch, size_t row)
{
    struct flush_blame found = blame(copies, context);

    if (found.kind != FLUSH_BLAMES_ROW)
        fail_msg("nobody is to blame for %s", context);
    assert_ptr_equal(found.batch, batch);
    assert_int_equal(found.row, row);
}

static void assert_some_row(int copies, const char *context)
{
    assert_int_equal(blame(copies, context).kind, FLUSH_BLAMES_SOME_ROW);
}

static void assert_no_row(int copies, const char *context)
{
    assert_int_equal(blame(copies, context).kind, FLUSH_BLAMES_NO_ROW);
}

static void the_line_is_the_row_of_its_batch(void **state)
{
    (void)state;
    struct batch *one = ADD(0, WHOLE, WHOLE, WHOLE);
    struct batch *two = ADD(0, WHOLE);
    struct batch *three = ADD(1, WHOLE, WHOLE);
    start();
    assert_blamed(0, "COPY orders, line 1", one, 0);
    assert_blamed(0, "COPY orders, line 3, column note: \"x\"", one, 2);
    assert_blamed(0, "COPY orders, line 4", two, 0);
    assert_blamed(0, "COPY orders, line 5", three, 0);
    assert_blamed(0, "COPY orders, line 6", three, 1);
}

static void lines_are_counted_in_each_copy(void **state)
{
    (void)state;
    struct batch *one = ADD(0, WHOLE, WHOLE, ONLY_ID);
    struct batch *two = ADD(1, ONLY_ID, ONLY_ID, WHOLE);
    start();
    assert_blamed(0, "COPY orders, line 2", one, 1);
    assert_blamed(1, "COPY orders, line 1", one, 2);
    assert_blamed(1, "COPY orders, line 2", two, 0);
    assert_blamed(1, "COPY orders, line 3", two, 1);
    assert_blamed(2, "COPY orders, line 1", two, 2);
}

static void rows_are_counted_without_dead_letters(void **state)
{
    (void)state;
    struct batch *one = ADD(0, NO_RECORD, WHOLE, NO_RECORD, WHOLE);
    start();
    assert_blamed(0, "COPY orders, line 2", one, 1);
    assert_int_equal(part_record_of_row(one, 1), 3);
}

static void the_words_may_be_of_any_language(void **state)
{
    (void)state;
    struct batch *one = ADD(0, WHOLE, WHOLE);
    start();
    assert_blamed(0, "COPY orders, ligne 2, colonne note : « x »", one, 1);
    assert_blamed(0, "COPY orders, Zeile 2, Spalte note: »x«", one, 1);
    assert_blamed(0, "COPY orders, línea 2, columna note: «x»", one, 1);
    assert_blamed(0, "COPY orders, строка 2, столбец note: \"x\"", one, 1);
    assert_blamed(0, "ordersのCOPY、行 2、列 note: \"x\"", one, 1);
}

static void assert_column(const char *context, const char *name)
{
    const struct mapping_column *column = blame(0, context).column;

    if (name)
        assert_string_equal(column->column->name, name);
    else
        assert_null(column);
}

static void the_column_is_found_by_its_name(void **state)
{
    (void)state;
    ADD(0, WHOLE, WHOLE);
    start();
    assert_column("COPY orders, line 2, column note: \"id\"", "note");
    assert_column("COPY orders, line 2, column more", "more");
    assert_column("COPY orders, line 2, column mor: \"more\"", NULL);
    assert_column("COPY orders, line 2, column notes: \"x\"", NULL);
    assert_column("COPY orders, line 2: \"column note: 5\"", NULL);
    assert_column("COPY orders, line 2", NULL);
}

static void digits_of_the_tables_name_are_no_line(void **state)
{
    (void)state;
    struct batch *one = ADD(0, WHOLE, WHOLE);
    free(route->mapping->table.name);
    route->mapping->table.name = strdup("orders 2, line 1");
    start();
    assert_blamed(0, "COPY orders 2, line 1, line 2, column note: \"x\"", one, 1);
}

static void a_line_that_was_not_sent_may_be_any(void **state)
{
    (void)state;
    ADD(0, WHOLE, WHOLE);
    start();
    assert_some_row(0, "COPY orders, line 3");
    assert_some_row(0, "COPY orders, line 0");
    assert_some_row(0, "COPY orders, line 99999999999999999999999");
}

static void without_a_line_it_may_be_any(void **state)
{
    (void)state;
    ADD(0, WHOLE, WHOLE);
    start();
    assert_some_row(0, "");
    assert_some_row(0, "COPY orders");
    assert_some_row(0, "SQL statement \"SELECT 1 FROM ONLY public.customers x\"");
    assert_some_row(0, "PL/pgSQL function check_order() line 2 at RAISE");
    assert_some_row(0, "COPY orders\nline 1");
}

static void at_the_commit_it_may_be_any(void **state)
{
    (void)state;
    ADD(0, WHOLE, WHOLE, NO_RECORD);
    start();
    assert_some_row(2, "COPY orders, line 1");
}

static void a_dead_letter_that_is_refused_is_no_row(void **state)
{
    (void)state;
    ADD(0, WHOLE, NO_RECORD);
    start();
    assert_no_row(1, "COPY dead_letters, line 1, column headers: \"x\"");
}

static void without_rows_it_is_no_row(void **state)
{
    (void)state;
    ADD(0, NO_RECORD);
    start();
    assert_no_row(1, "");
}

static void what_comes_before_the_first_copy_is_no_row(void **state)
{
    struct conn_error error = {.context = "COPY orders, line 1"};

    (void)state;
    snprintf(route->mapping->table_version, sizeof(route->mapping->table_version), "1");
    ADD(0, WHOLE);
    start();
    assert_int_equal(flush_blame(flush, &error).kind, FLUSH_BLAMES_NO_ROW);
    conn_give_rows(&conn, (const char *const[]){""}, 1, 1);
    assert_int_equal(flush_blame(flush, &error).kind, FLUSH_BLAMES_NO_ROW);
    conn_give_rows(&conn, (const char *const[]){""}, 1, 1);
    assert_int_equal(flush_blame(flush, &error).kind, FLUSH_BLAMES_ROW);
}

#define FLUSH_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLUSH_TEST(one_batch_is_advance_and_copy),
        FLUSH_TEST(batches_of_a_partition_are_one_move),
        FLUSH_TEST(partitions_move_together),
        FLUSH_TEST(rows_that_leave_out_the_same_share_a_copy_over_batches),
        FLUSH_TEST(dead_letters_of_all_batches_come_last),
        FLUSH_TEST(only_dead_letters_are_no_copy_into_the_table),
        FLUSH_TEST(a_batch_that_stops_at_its_first_record_only_advances),
        FLUSH_TEST(a_part_of_a_batch_is_all_that_goes),
        FLUSH_TEST(at_least_once_moves_no_position),
        FLUSH_TEST(a_table_of_a_known_version_has_to_be_of_it),
        FLUSH_TEST(binary_copies_have_a_header_and_an_end),
        FLUSH_TEST(large_batches_go_in_pieces),
        FLUSH_TEST(rows_of_exactly_one_piece_are_one),
        FLUSH_TEST(a_flush_can_be_used_again),
        FLUSH_TEST(rows_that_a_trigger_keeps_out_are_said),
        FLUSH_TEST(the_line_is_the_row_of_its_batch),
        FLUSH_TEST(lines_are_counted_in_each_copy),
        FLUSH_TEST(rows_are_counted_without_dead_letters),
        FLUSH_TEST(the_words_may_be_of_any_language),
        FLUSH_TEST(the_column_is_found_by_its_name),
        FLUSH_TEST(digits_of_the_tables_name_are_no_line),
        FLUSH_TEST(a_line_that_was_not_sent_may_be_any),
        FLUSH_TEST(without_a_line_it_may_be_any),
        FLUSH_TEST(at_the_commit_it_may_be_any),
        FLUSH_TEST(a_dead_letter_that_is_refused_is_no_row),
        FLUSH_TEST(without_rows_it_is_no_row),
        FLUSH_TEST(what_comes_before_the_first_copy_is_no_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
