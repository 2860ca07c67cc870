/*
 * Records that PostgreSQL refuses are found, become dead letters, and all others become rows, in
 * few transactions. PostgreSQL's part is played here: it knows which ids it refuses, and may say
 * the line or not.
 */
#include "dispatcher_fixture.h"

#include "dispatch/letters.h"

#include <endian.h>

enum {
    RECORDS = 1024,
    HEADER_BYTES = 19,
    ROW_BYTES = 2 + 4 + 8 + 4 + 1, /* of a record that append() makes */
};

enum verdict { TAKEN, NAMED, NOT_NAMED, AT_COMMIT };

/* What PostgreSQL does with a row, by its id, which is its record's offset. */
static enum verdict verdicts[RECORDS];
static const char *sqlstate;
static bool takes_letters;

static uint8_t rows[RECORDS];
static uint8_t letters[RECORDS];
static int64_t last; /* the highest that is written */
static int refused;
static int committed;

static void begin_with(struct config with, uint32_t batch_size)
{
    with.batch_size = batch_size;
    end(NULL);
    open_dispatcher(&with);
}

static int begin_isolate(void **state)
{
    begin(state);
    begin_with(usual_config(), RECORDS);
    memset(verdicts, 0, sizeof(verdicts));
    memset(rows, 0, sizeof(rows));
    memset(letters, 0, sizeof(letters));
    sqlstate = "23503";
    takes_letters = true;
    last = -1;
    refused = committed = 0;
    return 0;
}

static int end_isolate(void **state)
{
    bool counted = intake_is_empty(&dispatcher) ? intake_memory_bytes(&dispatcher) == 0 : true;

    end(state);
    return counted ? 0 : -1;
}

#define ISOLATE_TEST(name) cmocka_unit_test_setup_teardown(name, begin_isolate, end_isolate)

/* --- PostgreSQL --------------------------------------------------------------------------------
 */

/* The ids of a COPY's rows; how many. */
static int read_ids(struct slice data, int64_t *ids)
{
    int count = 0;

    for (size_t at = HEADER_BYTES; at + ROW_BYTES <= data.len; at += ROW_BYTES) {
        uint64_t wire;
        memcpy(&wire, data.data + at + 6, sizeof(wire));
        ids[count++] = (int64_t)be64toh(wire);
    }
    return count;
}

static int read_letters(struct slice data, int64_t *offsets)
{
    static const char front[] = "sink\torders\t0\t";
    int count = 0;

    for (const char *at = data.data; at < data.data + data.len; at = strchr(at, '\n') + 1)
        offsets[count++] = strtoll(at + sizeof(front) - 1, NULL, 10);
    return count;
}

static void refuse(struct conn *flush, int line)
{
    char context[64];

    snprintf(context, sizeof(context), "COPY orders, line %d", line);
    refused++;
    conn_fail(flush, sqlstate, "refused", line > 0 ? context : NULL);
}

/* False: a row was refused. */
static bool take_rows(struct conn *flush, const int64_t *ids, int count)
{
    bool any = false;

    for (int i = 0; i < count; i++) {
        any |= verdicts[ids[i]] == NOT_NAMED;
        if (verdicts[ids[i]] == NAMED) {
            refuse(flush, i + 1);
            return false;
        }
    }
    if (any)
        refuse(flush, 0);
    else
        conn_give_copied(flush, (size_t)count);
    return !any;
}

static bool commits(const int64_t *ids, int count)
{
    for (int i = 0; i < count; i++)
        if (verdicts[ids[i]] == AT_COMMIT)
            return false;
    return true;
}

static void write_down(uint8_t *written, const int64_t *offsets, int count)
{
    for (int i = 0; i < count; i++) {
        assert_true(offsets[i] > last || i == 0 || offsets[i] > offsets[i - 1]);
        written[offsets[i]]++;
    }
    if (count > 0 && offsets[count - 1] > last)
        last = offsets[count - 1];
}

/* A flush of partition 0, to its end. */
static void play(struct conn *flush)
{
    static int64_t ids[RECORDS];
    static int64_t offsets[RECORDS];
    const char *sql = conn_sql(flush);
    int ids_count = 0;
    int offsets_count = 0;
    bool has_letters = strstr(sql, "COPY pgsluice.dead_letters");

    give_advanced(flush);
    if (strstr(sql, "COPY \"public\"")) {
        ids_count = read_ids(take_copy(flush), ids);
        if (!take_rows(flush, ids, ids_count))
            return;
    }
    if (has_letters) {
        offsets_count = read_letters(take_copy(flush), offsets);
        if (!takes_letters) {
            conn_fail(flush, "P0001", "no letters", "COPY dead_letters, line 1");
            return;
        }
        conn_give_copied(flush, (size_t)offsets_count);
    }
    if (!commits(ids, ids_count)) {
        refuse(flush, 0);
        return;
    }
    int64_t before = last;
    write_down(rows, ids, ids_count);
    last = before;
    write_down(letters, offsets, offsets_count);
    last = ids_count > 0 && ids[ids_count - 1] > last ? ids[ids_count - 1] : last;
    committed++;
    conn_succeed(flush);
}

/* Flush after flush, until there is none. */
static void play_all(void)
{
    struct conn *flush;

    while ((loop_finish_jobs(), turns(), flush = conn_running("pgsluice.advance(")))
        play(flush);
}

/* --- The sink ----------------------------------------------------------------------------------
 */

static struct queue *open_queue(void)
{
    struct queue *queue = open_at(0, 0);

    queue->wants_headers = true; /* so that it is not read again for them */
    return queue;
}

/* Records are large enough together for a worker. */
static void append_all(struct queue *queue, int64_t first, int64_t end)
{
    append_range(queue, first, end - 1);
    loop_finish_jobs();
}

static void assert_written(int count)
{
    for (int i = 0; i < count; i++) {
        if (rows[i] != (verdicts[i] == TAKEN) || letters[i] != (verdicts[i] != TAKEN))
            fail_msg("record %d: %d rows, %d dead letters", i, rows[i], letters[i]);
    }
    assert_true(intake_is_empty(&dispatcher));
}

/* --- One ----------------------------------------------------------------------------------------
 */

/* The rows in front of it and its letter, then the rest, which begins small and doubles. */
static void a_named_row_goes_with_the_rows_in_front_of_it(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    verdicts[700] = NAMED;
    append_all(queue, 0, RECORDS);
    play(await_flush());
    play(await_flush());
    assert_int_equal(queue->position, 701);
    play_all();
    assert_int_equal(queue->position, RECORDS);
    assert_written(RECORDS);
    assert_int_equal(refused, 1);
    assert_int_equal(committed, 2);
}

static void a_row_that_is_not_named_is_found_by_halving(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    verdicts[700] = NOT_NAMED;
    append_all(queue, 0, RECORDS);
    play_all();
    assert_written(RECORDS);
    assert_true(refused + committed <= 2 * 10 + 2);
}

static void so_is_one_that_is_refused_at_the_commit(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    verdicts[1] = AT_COMMIT;
    append_all(queue, 0, RECORDS);
    play_all();
    assert_written(RECORDS);
    assert_true(refused + committed <= 2 * 10 + 2);
}

static void the_dead_letter_has_the_error_of_its_own_row(void **state)
{
    struct queue *queue = open_queue();
    struct conn *flush;

    (void)state;
    sqlstate = "23P01";
    verdicts[1] = NOT_NAMED;
    append_all(queue, 0, RECORDS);
    while (!strstr(conn_sql(flush = await_flush()), "dead_letters"))
        play(flush);
    give_advanced(flush);
    take_copy(flush);
    conn_give_copied(flush, 1);
    struct slice letter = take_copy(flush);
    assert_memory_equal(letter.data, "sink\torders\t0\t1\t", 16);
    assert_non_null(memmem(letter.data, letter.len, "refused\t23P01\t", 14));
    conn_fail(flush, "40001", "could not serialize", NULL);
    pass_ms(1000);
    play_all();
    assert_written(RECORDS);
}

static void with_it_the_search_is_over(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    verdicts[5] = NOT_NAMED;
    append_all(queue, 0, RECORDS);
    play_all();
    assert_written(RECORDS);
    for (int batch = 1; queue->alone; batch++) { /* of which it keeps no account */
        assert_true(batch < 4);
        append_all(queue, batch * RECORDS, (batch + 1) * RECORDS);
        while ((turns(), conn_running("pgsluice.advance(")))
            commit_flush(await_flush(), 1);
    }
}

/* --- Many ---------------------------------------------------------------------------------------
 */

static void the_first_and_the_last_may_be_bad(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    verdicts[0] = verdicts[RECORDS - 1] = NOT_NAMED;
    append_all(queue, 0, RECORDS);
    play_all();
    assert_written(RECORDS);
    assert_true(refused + committed <= 4 * 10 + 4);
}

/* Of k bad ones, each costs at most two transactions, or twice the logarithm of their distance. */
static void many_that_are_named(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    for (int i = 16; i < RECORDS; i += 32)
        verdicts[i] = NAMED;
    append_all(queue, 0, RECORDS);
    play_all();
    assert_written(RECORDS);
    assert_int_equal(refused, 32);
    assert_true(committed <= 2 * 32);
}

static void many_that_are_not_named(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    for (int i = 16; i < RECORDS; i += 32)
        verdicts[i] = i % 3 ? NOT_NAMED : AT_COMMIT;
    append_all(queue, 0, RECORDS);
    play_all();
    assert_written(RECORDS);
    assert_true(refused + committed <= 32 * 3 * 5);
}

static void refuse_all_of(enum verdict verdict)
{
    struct queue *queue = open_queue();

    for (int i = 0; i < RECORDS; i++)
        verdicts[i] = verdict;
    append_all(queue, 0, RECORDS);
    play_all();
    assert_written(RECORDS);
    assert_true(refused + committed <= RECORDS + 20);
}

/* Dead letters wait for the next row, so that each costs one transaction. */
static void all_may_be_bad(void **state)
{
    (void)state;
    refuse_all_of(NAMED);
}

static void all_may_be_bad_and_not_named(void **state)
{
    (void)state;
    refuse_all_of(NOT_NAMED);
}

static void any_mixture(void **state)
{
    enum { HISTORIES = 100 };
    unsigned random = 1;

    for (int history = 0; history < HISTORIES; history++) {
        end_isolate(state);
        begin_isolate(state);
        for (int i = 0; i < RECORDS; i++) {
            random = random * 1103515245 + 12345;
            verdicts[i] =
                (random >> 16) % (2 + (unsigned)history) == 0 ? NAMED + (random >> 20) % 3 : TAKEN;
        }
        begin_with(config, 1 + (random >> 16) % RECORDS);
        struct queue *queue = open_queue();
        append_all(queue, 0, RECORDS);
        pass_ms(100);
        play_all();
        assert_written(RECORDS);
    }
}

/* --- Others -------------------------------------------------------------------------------------
 */

static void other_partitions_go_on(void **state)
{
    struct queue *one;
    struct queue *two;

    (void)state;
    begin_with(usual_config(), 2);
    one = open_at(1, 0);
    two = open_at(2, 0);
    one->wants_headers = two->wants_headers = true;
    append_range(one, 0, 3);
    append_range(two, 0, 1);
    struct conn *flush = await_flush();
    give_advanced(flush);
    take_copy(flush);
    conn_fail(flush, "23503", "refused", NULL);
    flush = await("ARRAY[1]::integer[]");
    assert_non_null(strstr(conn_sql(flush), "ARRAY[2]::bigint[], ARRAY[-1]"));
    commit_flush(flush, 1);
    flush = await("ARRAY[2]::integer[]");
    give_advanced(flush);
    take_copy(flush);
    conn_fail(flush, "23503", "refused", NULL);
    commit_flush(await("ARRAY[1]::integer[]"), 1);
    assert_int_equal(one->position, 4);
    flush = await("ARRAY[2]::integer[]");
    assert_non_null(strstr(conn_sql(flush), "ARRAY[1]::bigint[], ARRAY[-1]"));
    commit_flush(flush, 1);
    assert_int_equal(two->position, 1);
    flush = await("ARRAY[2]::integer[]");
    give_advanced(flush);
    take_copy(flush);
    conn_fail(flush, "23503", "refused", NULL);
    commit_flush(await("COPY pgsluice.dead_letters"), 1);
    assert_int_equal(two->position, 2);
    assert_int_equal(two->written.rows_count, 1);
}

static void without_dead_letters_the_partition_halts_before_it(void **state)
{
    struct config stops = usual_config();

    (void)state;
    stops.dead_letters = CONFIG_DEAD_LETTERS_OFF;
    begin_with(stops, RECORDS);
    struct queue *queue = open_at(0, 0);
    verdicts[700] = NOT_NAMED;
    append_all(queue, 0, RECORDS);
    play_all();
    assert_int_equal(queue->position, 700);
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_int_equal(log_said("error partition halted topic=orders partition=0 position=700 "
                              "class=data reason=orders[0]@700 table \"public\".\"orders\": "
                              "refused by PostgreSQL: refused"),
                     1);
    for (int i = 0; i < 700; i++)
        assert_int_equal(rows[i], 1);
}

static void records_are_read_again_for_the_headers_of_the_first(void **state)
{
    struct queue *queue = open_at(0, 0);

    (void)state;
    verdicts[700] = NOT_NAMED;
    append_all(queue, 0, RECORDS);
    play_all();
    assert_int_equal(queue->position, 700);
    assert_int_equal(queue->read_next, 700);
    assert_int_equal(asked.starts, 2);
    append_all(queue, 700, RECORDS);
    pass_ms(100);
    play_all();
    assert_written(RECORDS);
}

static void what_refuses_dead_letters_halts(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    takes_letters = false;
    verdicts[0] = NOT_NAMED;
    append_range(queue, 0, 3);
    pass_ms(100);
    play_all();
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_int_equal(queue->position, 0);
    assert_int_equal(dispatcher.totals.dead_letters_count, 0);
    takes_letters = true;
}

/* Each of them counts once for the breaker, however many parts its batch is sent in. */
static struct queue *open_with_breaker(enum verdict verdict, int distance)
{
    struct config breaker = usual_config();

    breaker.dead_letter_window = 100;
    breaker.dead_letter_max_share = 10;
    begin_with(breaker, RECORDS);
    for (int i = 0; i < RECORDS; i += distance)
        verdicts[i] = verdict;
    struct queue *queue = open_queue();
    append_all(queue, 0, RECORDS);
    play_all();
    return queue;
}

static void few_enough_do_not_open_the_breaker(void **state)
{
    open_with_breaker(NAMED, 10);
    assert_written(RECORDS);
    end_isolate(state);
    begin_isolate(state);
    open_with_breaker(NOT_NAMED, 10);
    assert_written(RECORDS);
}

static void too_many_open_the_breaker_before_the_last_one(void **state)
{
    struct queue *queue = open_with_breaker(NOT_NAMED, 9);

    (void)state;
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_int_equal(queue->position, 90);
    assert_int_equal(dispatcher.totals.dead_letters_count, 10);
    assert_non_null(strstr(queue->halted.text, "10 % of 100 records are dead letters"));
}

static void the_topic_has_them_before_the_position_moves(void **state)
{
    static char topic[] = "dead";
    struct config with = usual_config();

    (void)state;
    with.dead_letters = CONFIG_DEAD_LETTERS_BOTH;
    with.dead_letter_topic = topic;
    begin_with(with, RECORDS);
    struct queue *queue = open_queue();
    verdicts[1] = verdicts[3] = NAMED;
    append_all(queue, 0, RECORDS);
    for (int bad = 1; bad <= 3; bad += 2) {
        play(await_flush());
        assert_no_flush();
        assert_int_equal(asked.produced->state, BATCH_PRODUCING);
        letters_produced(&dispatcher, asked.produced, NULL);
        play(await_flush());
        assert_int_equal(queue->position, bad + 1);
    }
    play_all();
    assert_written(RECORDS);
    assert_int_equal(asked.produces, 2);
}

/* --- Codes --------------------------------------------------------------------------------------
 */

static void a_code_of_the_tables_owner_is_a_verdict_on_a_row(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    sqlstate = "U0001";
    verdicts[1] = NOT_NAMED;
    append_range(queue, 0, 3);
    pass_ms(100);
    play_all();
    assert_written(4);
}

/* Nobody's record is at fault, for all one knows: it is tried again, for ever. */
static void what_the_server_alone_says_is_an_outage(void **state)
{
    static const char *const codes[] = {"XX000", "XX001", "53100", "58030", "57P03",
                                        "25006", "55000", "HV000", "F0000"};
    struct queue *queue = open_queue();

    (void)state;
    verdicts[1] = NOT_NAMED;
    append_all(queue, 0, RECORDS);
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        sqlstate = codes[i];
        play(await_flush());
        assert_no_flush();
        assert_int_equal(queue->state, QUEUE_OPEN);
        assert_false(queue->alone);
        pass_ms(20000);
    }
    verdicts[1] = TAKEN;
    play_all();
    assert_written(RECORDS);
}

/* As long as it is too slow for statement_timeout it is halved, and no record is at fault. */
static void what_is_too_slow_goes_in_smaller_parts(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    append_all(queue, 0, RECORDS);
    for (int64_t to = RECORDS; to > 100; to /= 2) {
        struct conn *flush = await_flush();
        char array[32];
        snprintf(array, sizeof(array), "ARRAY[%" PRId64 "]::bigint[], ARRAY[-1]", to);
        assert_non_null(strstr(conn_sql(flush), array));
        conn_fail(flush, "57014", "canceling statement due to statement timeout", NULL);
        assert_no_flush();
        pass_ms(5000);
    }
    play_all();
    assert_written(RECORDS);
    assert_int_equal(committed, 5); /* 64, 128, 256, 512, and the rest */
}

static void one_row_that_is_too_slow_is_no_dead_letter(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    append_range(queue, 0, 0);
    pass_ms(100);
    for (int i = 0; i < 20; i++) {
        conn_fail(await_flush(), "57014", "canceling statement due to statement timeout", NULL);
        pass_ms(5000);
    }
    play_all();
    assert_written(1);
}

/* One row, which is refused with these words. */
static void refuse_with(struct queue *queue, const struct conn_error *error)
{
    struct conn *flush;

    append_range(queue, 0, 0);
    pass_ms(100);
    flush = await_flush();
    give_advanced(flush);
    take_copy(flush);
    conn_fail_with(flush, error);
}

static struct slice await_letter(void)
{
    struct conn *flush = await("COPY pgsluice.dead_letters");

    give_advanced(flush);
    return take_copy(flush);
}

static void a_dead_letter_names_the_constraint(void **state)
{
    static const char expected[] = "\trefused by PostgreSQL, constraint is_small: new\t23514\t";
    const struct conn_error error = {
        .err = {.class = ERR_DATA, .sqlstate = "23514", .text = "new"},
        .context = "COPY orders, line 1",
        .constraint = "is_small",
    };

    (void)state;
    refuse_with(open_queue(), &error);
    struct slice letter = await_letter();
    assert_non_null(memmem(letter.data, letter.len, expected, sizeof(expected) - 1));
}

static void it_names_the_column_that_copy_names_or_a_better_one(void **state)
{
    struct conn_error error = {
        .err = {.class = ERR_DATA, .sqlstate = "22P02", .text = "new"},
        .context = "COPY orders, line 1, column note: \"x\"",
    };

    for (int i = 0; i < 2; i++) {
        refuse_with(open_queue(), &error);
        struct slice letter = await_letter();
        const char *column = i == 0 ? "\tnote\tone\t\\N\n" : "\tid\tone\t\\N\n";
        assert_non_null(memmem(letter.data, letter.len, column, strlen(column)));
        end_isolate(state);
        begin_isolate(state);
        snprintf(error.err.column, sizeof(error.err.column), "id");
    }
}

/* What hstore, ltree and tsvector can't read: with a column it is the record, else the server. */
static void an_odd_code_needs_a_column(void **state)
{
    struct conn_error error = {
        .err = {.class = ERR_OUTAGE, .sqlstate = "XX000", .text = "new"},
        .context = "COPY orders, line 1, column note: \"x\"",
    };
    struct queue *queue;

    refuse_with(open_queue(), &error);
    await_letter();
    end_isolate(state);
    begin_isolate(state);
    queue = open_queue();
    snprintf(error.context, sizeof(error.context), "COPY orders, line 1");
    refuse_with(queue, &error);
    assert_no_flush();
    assert_false(queue->alone);
}

/* COPY finds it together with others, and names the last one that it has read. */
static void a_row_that_is_too_big_for_its_page_is_not_the_one_that_is_named(void **state)
{
    const struct conn_error error = {
        .err = {.class = ERR_DATA, .sqlstate = "54000", .text = "row is too big"},
        .context = "COPY orders, line 1000",
        .function = "RelationGetBufferForTuple",
    };
    struct queue *queue = open_queue();

    (void)state;
    append_all(queue, 0, RECORDS);
    verdicts[3] = NOT_NAMED;
    struct conn *flush = await_flush();
    give_advanced(flush);
    take_copy(flush);
    conn_fail_with(flush, &error);
    play_all();
    assert_written(RECORDS);
}

static void a_sequence_at_its_end_is_no_fault_of_a_record(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    sqlstate = "2200H";
    verdicts[1] = NAMED;
    append_range(queue, 0, 3);
    pass_ms(100);
    play(await_flush());
    answer_catalog();
    assert_int_equal(queue->state, QUEUE_HALTED);
    assert_int_equal(dispatcher.totals.dead_letters_count, 0);
}

/* --- Lost connections ---------------------------------------------------------------------------
 */

/* The flush of the first half; its outcome is not known. */
static struct queue *lose_first_half(void)
{
    struct queue *queue = open_queue();

    verdicts[RECORDS - 1] = NOT_NAMED;
    append_all(queue, 0, RECORDS);
    play(await_flush());
    conn_lose(await("ARRAY[512]::bigint[], ARRAY[-1]"));
    assert_int_equal(queue->state, QUEUE_UNCLAIMED);
    pass_ms(1000);
    return queue;
}

static void a_part_may_be_committed_although_nobody_heard(void **state)
{
    struct queue *queue = lose_first_half();

    (void)state;
    memset(rows, 1, RECORDS / 2);
    answer_claim(RECORDS / 2, 2);
    assert_int_equal(log_said("warn overtaken by another owner"), 0);
    assert_int_equal(queue->position, RECORDS / 2);
    play_all();
    assert_written(RECORDS);
}

static void a_part_that_was_not_committed_is_sent_again(void **state)
{
    struct queue *queue = lose_first_half();

    (void)state;
    answer_claim(0, 2);
    assert_int_equal(asked.starts, 1);
    play_all();
    assert_int_equal(queue->position, RECORDS);
    assert_written(RECORDS);
}

static void a_second_part_that_was_not_committed_is_sent_again(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    verdicts[RECORDS - 1] = NOT_NAMED;
    append_all(queue, 0, RECORDS);
    play(await_flush());
    play(await_flush());
    assert_int_equal(queue->position, RECORDS / 2);
    conn_lose(await_flush());
    pass_ms(1000);
    answer_claim(RECORDS / 2, 2);
    assert_int_equal(asked.starts, 1);
    play_all();
    assert_written(RECORDS);
}

static void a_position_inside_of_a_part_is_another_owners(void **state)
{
    struct queue *queue = lose_first_half();

    (void)state;
    answer_claim(100, 2);
    assert_int_equal(log_said("warn overtaken by another owner"), 1);
    assert_int_equal(queue->read_next, 100);
    assert_true(intake_is_empty(&dispatcher));
}

static void a_partition_may_leave_in_the_middle(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    verdicts[700] = NOT_NAMED;
    append_all(queue, 0, RECORDS);
    play(await_flush());
    struct conn *flush = await_flush();
    ownership_revoke(&dispatcher, queue);
    play(flush);
    assert_true(intake_is_empty(&dispatcher));
    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(rows[i], i < RECORDS / 2);
}

static void so_it_may_when_a_row_is_refused(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    verdicts[0] = NOT_NAMED;
    append_all(queue, 0, RECORDS);
    struct conn *flush = await_flush();
    ownership_revoke(&dispatcher, queue);
    play(flush);
    assert_true(intake_is_empty(&dispatcher));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ISOLATE_TEST(a_named_row_goes_with_the_rows_in_front_of_it),
        ISOLATE_TEST(a_row_that_is_not_named_is_found_by_halving),
        ISOLATE_TEST(so_is_one_that_is_refused_at_the_commit),
        ISOLATE_TEST(the_dead_letter_has_the_error_of_its_own_row),
        ISOLATE_TEST(with_it_the_search_is_over),
        ISOLATE_TEST(the_first_and_the_last_may_be_bad),
        ISOLATE_TEST(many_that_are_named),
        ISOLATE_TEST(many_that_are_not_named),
        ISOLATE_TEST(all_may_be_bad),
        ISOLATE_TEST(all_may_be_bad_and_not_named),
        ISOLATE_TEST(any_mixture),
        ISOLATE_TEST(other_partitions_go_on),
        ISOLATE_TEST(without_dead_letters_the_partition_halts_before_it),
        ISOLATE_TEST(records_are_read_again_for_the_headers_of_the_first),
        ISOLATE_TEST(what_refuses_dead_letters_halts),
        ISOLATE_TEST(few_enough_do_not_open_the_breaker),
        ISOLATE_TEST(too_many_open_the_breaker_before_the_last_one),
        ISOLATE_TEST(the_topic_has_them_before_the_position_moves),
        ISOLATE_TEST(a_code_of_the_tables_owner_is_a_verdict_on_a_row),
        ISOLATE_TEST(what_the_server_alone_says_is_an_outage),
        ISOLATE_TEST(what_is_too_slow_goes_in_smaller_parts),
        ISOLATE_TEST(one_row_that_is_too_slow_is_no_dead_letter),
        ISOLATE_TEST(a_dead_letter_names_the_constraint),
        ISOLATE_TEST(it_names_the_column_that_copy_names_or_a_better_one),
        ISOLATE_TEST(an_odd_code_needs_a_column),
        ISOLATE_TEST(a_row_that_is_too_big_for_its_page_is_not_the_one_that_is_named),
        ISOLATE_TEST(a_sequence_at_its_end_is_no_fault_of_a_record),
        ISOLATE_TEST(a_part_may_be_committed_although_nobody_heard),
        ISOLATE_TEST(a_part_that_was_not_committed_is_sent_again),
        ISOLATE_TEST(a_second_part_that_was_not_committed_is_sent_again),
        ISOLATE_TEST(a_position_inside_of_a_part_is_another_owners),
        ISOLATE_TEST(a_partition_may_leave_in_the_middle),
        ISOLATE_TEST(so_it_may_when_a_row_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
