/* The SQL of positions, letter for letter; a server judges it in the integration tests. */
#include "pg/offsets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct buffer sql;

static int forget_sql(void **state)
{
    (void)state;
    buffer_finish(&sql);
    return 0;
}

static void assert_sql(const char *expected)
{
    assert_string_equal(buffer_text(&sql), expected);
    buffer_reset(&sql);
}

/* Literals. */

static void assert_literal(const char *text, const char *expected)
{
    offsets_literal(&sql, text);
    assert_sql(expected);
}

static void a_literal_is_quoted(void **state)
{
    (void)state;
    assert_literal("orders", "E'orders'");
    assert_literal("", "E''");
    assert_literal("größe 注文", "E'größe 注文'");
}

static void a_quote_does_not_end_a_literal(void **state)
{
    (void)state;
    assert_literal("o'clock", "E'o''clock'");
    assert_literal("'); DROP TABLE orders; --", "E'''); DROP TABLE orders; --'");
    assert_literal("'", "E''''");
}

static void a_backslash_escapes_nothing(void **state)
{
    (void)state;
    assert_literal("a\\", "E'a\\\\'");
    assert_literal("a\\'b", "E'a\\\\''b'");
    assert_literal("\\n\\x41\\u0041", "E'\\\\n\\\\x41\\\\u0041'");
}

static void other_characters_stand_for_themselves(void **state)
{
    (void)state;
    assert_literal("a\nb\t\"c\" $1 %s", "E'a\nb\t\"c\" $1 %s'");
}

/* Claims. */

static const struct offsets_claim claim = {.ledger = &offsets_of_sink,
                                           .name = "it's",
                                           .topic = "or\\ders",
                                           .partition = 7,
                                           .owner = "host-1",
                                           .initial = -1};

static void a_claim_raises_the_epoch_of_the_row(void **state)
{
    (void)state;
    offsets_claim_sql(&sql, &claim);
    assert_sql("SET LOCAL lock_timeout = '2s'; UPDATE pgsluice.offsets AS o"
               " SET epoch = o.epoch + 1, claimed_at = now(), owner = E'host-1'"
               " WHERE o.sink = E'it''s' AND o.topic = E'or\\\\ders' "
               "AND o.partition = 7"
               " RETURNING o.next_offset, o.epoch, o.topic_id, o.leader_epoch");
}

static void a_claim_with_a_start_makes_the_row_or_raises_its_epoch(void **state)
{
    struct offsets_claim first = claim;

    (void)state;
    first.initial = 9223372036854775807;
    offsets_claim_sql(&sql, &first);
    assert_sql(
        "SET LOCAL lock_timeout = '2s'; SET LOCAL synchronous_commit = on;"
        " INSERT INTO pgsluice.offsets AS o"
        " (sink, topic, partition, next_offset, first_offset, owner, topic_id)"
        " VALUES (E'it''s', E'or\\\\ders', 7, 9223372036854775807, 9223372036854775807, E'host-1',"
        " nullif(E'', ''))"
        " ON CONFLICT (sink, topic, partition) DO UPDATE"
        " SET epoch = o.epoch + 1, claimed_at = now(), owner = EXCLUDED.owner"
        " RETURNING o.next_offset, o.epoch, o.topic_id, o.leader_epoch");
}

static void offset_zero_is_a_start(void **state)
{
    struct offsets_claim first = claim;

    (void)state;
    first.initial = 0;
    offsets_claim_sql(&sql, &first);
    assert_non_null(strstr(buffer_text(&sql), "INSERT INTO"));
}

static void a_topic_id_is_kept_where_there_is_none(void **state)
{
    struct offsets_claim known = claim;

    (void)state;
    known.topic_id = "W3q6";
    offsets_claim_sql(&sql, &known);
    assert_non_null(strstr(buffer_text(&sql), "topic_id = coalesce(o.topic_id, E'W3q6') WHERE"));
    buffer_reset(&sql);
    known.initial = 5;
    offsets_claim_sql(&sql, &known);
    assert_non_null(strstr(buffer_text(&sql), "E'host-1', nullif(E'W3q6', ''))"));
    assert_non_null(strstr(buffer_text(&sql), "topic_id = coalesce(o.topic_id, E'W3q6') RETURN"));
}

static void what_is_lost_is_passed_where_the_row_still_stands_before_it(void **state)
{
    struct offsets_claim behind = claim;

    (void)state;
    behind.skip_from = 100;
    behind.skip_to = 250;
    behind.skip_is_loss = true;
    offsets_claim_sql(&sql, &behind);
    assert_non_null(strstr(
        buffer_text(&sql),
        ", lost_count = o.lost_count + CASE WHEN o.next_offset = 100 THEN 150 ELSE 0 END"
        ", leader_epoch = CASE WHEN o.next_offset = 100 THEN -1 ELSE o.leader_epoch END"
        ", next_offset = CASE WHEN o.next_offset = 100 THEN 250 ELSE o.next_offset END WHERE"));
}

/* A claim's answer: rows of the same position. */
static PGresult *answer(int rows, char *next_offset, char *epoch)
{
    static char names[4][16] = {"next", "epoch", "topic_id", "leader_epoch"};
    static char topic_id[] = "W3q6NxEnTRyZ3aJx4rUyYw";
    static char leader_epoch[] = "5";
    PGresAttDesc attributes[4];
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

    for (int i = 0; i < 4; i++)
        attributes[i] = (PGresAttDesc){.name = names[i]};
    PQsetResultAttrs(result, 4, attributes);
    for (int row = 0; row < rows; row++) {
        PQsetvalue(result, row, 0, next_offset, (int)strlen(next_offset));
        PQsetvalue(result, row, 1, epoch, (int)strlen(epoch));
        PQsetvalue(result, row, 2, topic_id, (int)strlen(topic_id));
        PQsetvalue(result, row, 3, leader_epoch, (int)strlen(leader_epoch));
    }
    return result;
}

static void a_range_is_claimed_in_its_own_ledger(void **state)
{
    const struct offsets_claim range = {.ledger = &offsets_of_backfill,
                                        .name = "old",
                                        .plan = "b7d4",
                                        .topic = "orders",
                                        .partition = 7,
                                        .range = 2,
                                        .owner = "host-1",
                                        .initial = -1,
                                        .skip_from = 100,
                                        .skip_to = 250};

    (void)state;
    offsets_claim_sql(&sql, &range);
    const char *text = buffer_text(&sql);
    assert_non_null(strstr(text, "UPDATE pgsluice.backfill_ranges AS o SET epoch = o.epoch + 1"));
    assert_non_null(strstr(text, " WHERE o.backfill = E'old' AND o.topic = E'orders'"
                                 " AND o.partition = 7 AND o.range = 2 AND EXISTS (SELECT FROM"
                                 " pgsluice.backfills AS b WHERE b.name = o.backfill AND b.plan ="
                                 " E'b7d4') RETURNING"));
    assert_non_null(strstr(text, ", o.first_timestamp_ms, o.last_timestamp_ms"));
    assert_non_null(strstr(text, ", finished_at = CASE WHEN o.next_offset = 100"
                                 " AND o.end_offset = 250 THEN now() ELSE o.finished_at END"));
    assert_null(strstr(text, "lost_count ="));
    assert_non_null(strstr(text, "o.leader_epoch, o.lost_count, o.rows_count, o.skipped_count"));
}

static void a_row_is_the_position(void **state)
{
    struct offsets_position position = {0};
    char next_offset[] = "9223372036854775807";
    char epoch[] = "12";
    PGresult *result = answer(1, next_offset, epoch);

    (void)state;
    assert_true(offsets_claim_parse(result, &position));
    assert_int_equal(position.next_offset, INT64_MAX);
    assert_int_equal(position.epoch, 12);
    assert_string_equal(position.topic_id, "W3q6NxEnTRyZ3aJx4rUyYw");
    assert_int_equal(position.leader_epoch, 5);
    PQclear(result);
}

/* A claim's answer of a range: its columns are 100, 101, ... */
static PGresult *range_answer(void)
{
    enum { COLUMNS = 13 };
    static char names[COLUMNS][8], values[COLUMNS][8];
    PGresAttDesc attributes[COLUMNS];
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

    for (int i = 0; i < COLUMNS; i++) {
        snprintf(names[i], sizeof(names[i]), "c%d", i);
        attributes[i] = (PGresAttDesc){.name = names[i]};
    }
    PQsetResultAttrs(result, COLUMNS, attributes);
    for (int i = 0; i < COLUMNS; i++) {
        snprintf(values[i], sizeof(values[i]), "%d", 100 + i);
        PQsetvalue(result, 0, i, values[i], (int)strlen(values[i]));
    }
    return result;
}

static void what_a_range_has_counted_comes_with_it(void **state)
{
    struct offsets_position position = {0};
    PGresult *result = range_answer();

    (void)state;
    assert_true(offsets_claim_parse(result, &position));
    assert_true(position.is_counted);
    assert_int_equal(position.lost_count, 104);
    assert_int_equal(position.written.rows_count, 105);
    assert_int_equal(position.written.bytes, 108);
    assert_int_equal(position.written.last_timestamp_ms, 112);
    PQclear(result);
}

static void without_a_row_there_is_no_position(void **state)
{
    struct offsets_position position = {.next_offset = 5, .epoch = 6};
    PGresult *result = answer(0, NULL, NULL);

    (void)state;
    assert_false(offsets_claim_parse(result, &position));
    assert_int_equal(position.next_offset, 5);
    PQclear(result);
}

static void the_backend_that_holds_a_row_is_ended_but_our_own(void **state)
{
    (void)state;
    offsets_free_sql(&sql, &claim, "17,18");
    assert_sql(
        "WITH frozen AS MATERIALIZED (SELECT a.pid, a.application_name FROM pgsluice.offsets AS o"
        " JOIN pg_locks AS l ON l.locktype = 'transactionid'"
        " AND l.transactionid = o.xmax AND l.granted"
        " JOIN pg_stat_activity AS a ON a.pid = l.pid"
        " WHERE o.sink = E'it''s' AND o.topic = E'or\\\\ders' AND "
        "o.partition = 7"
        " AND a.usename = current_user AND a.wait_event_type = 'Client'"
        " AND a.application_name LIKE 'pgsluice/%'"
        " AND a.pid <> ALL ('{17,18}'::integer[])) SELECT pid, application_name FROM frozen"
        " WHERE pg_terminate_backend(pid)");
}

/* First starts. */

static void a_first_start_makes_rows_of_topics_without_any(void **state)
{
    static const struct offsets_start starts[] = {
        {.topic = "o'clock", .topic_id = "W3q6", .partition = 0, .next_offset = 5},
        {.topic = "orders", .topic_id = "", .partition = 11, .next_offset = INT64_MAX},
    };

    (void)state;
    offsets_start_sql(&sql, "si'nk", "host-1", starts, 2);
    assert_sql("SET LOCAL synchronous_commit = on; INSERT INTO pgsluice.offsets"
               " (sink, topic, partition, next_offset, first_offset, topic_id, owner)"
               " SELECT E'si''nk', s.topic, s.partition, s.next_offset, s.next_offset,"
               " nullif(s.topic_id, ''), E'host-1'"
               " FROM (VALUES (E'o''clock', 0, 5::bigint, E'W3q6'),"
               " (E'orders', 11, 9223372036854775807::bigint, E''))"
               " AS s (topic, partition, next_offset, topic_id)"
               " WHERE NOT EXISTS (SELECT FROM pgsluice.offsets AS o WHERE o.topic = s.topic"
               " AND o.sink = E'si''nk') ON CONFLICT (sink, topic, "
               "partition) DO NOTHING");
}

static void known_topics_are_those_of_the_sink(void **state)
{
    (void)state;
    offsets_topics_sql(&sql, "si'nk");
    assert_sql("SELECT DISTINCT topic FROM pgsluice.offsets WHERE sink = E'si''nk'");
}

/* Moves. */

static void a_move_names_where_it_begins(void **state)
{
    static const struct offsets_move move = {
        .topic = "orders", .partition = 0, .epoch = 3, .from = 100, .to = 200, .leader_epoch = 6};

    (void)state;
    offsets_advance_sql(&sql, &offsets_of_sink, "sink", &move, 1);
    assert_sql("SELECT pgsluice.advance(E'sink', ARRAY[E'orders']::text[], ARRAY[0]::integer[],"
               " ARRAY[3]::bigint[], ARRAY[100]::bigint[], ARRAY[200]::bigint[],"
               " ARRAY[6]::integer[]);");
}

static void several_moves_are_one_call(void **state)
{
    static const struct offsets_move moves[] = {
        {.topic = "o'clock", .partition = 1, .epoch = 3, .from = 0, .to = 1},
        {.topic = "a,b]",
         .partition = 2147483647,
         .epoch = 4,
         .from = 5,
         .to = INT64_MAX,
         .leader_epoch = -1},
    };

    (void)state;
    offsets_advance_sql(&sql, &offsets_of_sink, "si'nk", moves, 2);
    assert_sql("SELECT pgsluice.advance(E'si''nk', ARRAY[E'o''clock',E'a,b]']::text[],"
               " ARRAY[1,2147483647]::integer[], ARRAY[3,4]::bigint[], ARRAY[0,5]::bigint[],"
               " ARRAY[1,9223372036854775807]::bigint[], ARRAY[0,-1]::integer[]);");
}

static void a_ranges_move_says_what_was_written(void **state)
{
    static const struct offsets_move move = {
        .topic = "t",
        .partition = 1,
        .range = 2,
        .epoch = 3,
        .from = 4,
        .to = 9,
        .leader_epoch = 6,
        .written = {7, 8, 9, 10, 4, 8, 13, 14},
    };

    (void)state;
    offsets_advance_sql(&sql, &offsets_of_backfill, "old", &move, 1);
    assert_sql("SELECT pgsluice.advance_backfill(E'old', ARRAY[E't']::text[], ARRAY[1]::integer[],"
               " ARRAY[2]::integer[], ARRAY[3]::bigint[], ARRAY[4]::bigint[], ARRAY[9]::bigint[],"
               " ARRAY[6]::integer[], ARRAY[7]::bigint[], ARRAY[8]::bigint[], ARRAY[9]::bigint[],"
               " ARRAY[10]::bigint[], ARRAY[4]::bigint[], ARRAY[8]::bigint[], ARRAY[13]::bigint[],"
               " ARRAY[14]::bigint[]);");
}

#define OFFSETS_TEST(name) cmocka_unit_test_teardown(name, forget_sql)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OFFSETS_TEST(a_literal_is_quoted),
        OFFSETS_TEST(a_quote_does_not_end_a_literal),
        OFFSETS_TEST(a_backslash_escapes_nothing),
        OFFSETS_TEST(other_characters_stand_for_themselves),
        OFFSETS_TEST(a_claim_raises_the_epoch_of_the_row),
        OFFSETS_TEST(a_claim_with_a_start_makes_the_row_or_raises_its_epoch),
        OFFSETS_TEST(offset_zero_is_a_start),
        OFFSETS_TEST(a_topic_id_is_kept_where_there_is_none),
        OFFSETS_TEST(what_is_lost_is_passed_where_the_row_still_stands_before_it),
        OFFSETS_TEST(a_row_is_the_position),
        OFFSETS_TEST(what_a_range_has_counted_comes_with_it),
        OFFSETS_TEST(without_a_row_there_is_no_position),
        OFFSETS_TEST(the_backend_that_holds_a_row_is_ended_but_our_own),
        OFFSETS_TEST(a_first_start_makes_rows_of_topics_without_any),
        OFFSETS_TEST(known_topics_are_those_of_the_sink),
        OFFSETS_TEST(a_move_names_where_it_begins),
        OFFSETS_TEST(several_moves_are_one_call),
        OFFSETS_TEST(a_range_is_claimed_in_its_own_ledger),
        OFFSETS_TEST(a_ranges_move_says_what_was_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
