/* Taking a partition's row over, and freeing it from a frozen owner. */
#include "dispatch/claim.h"

#include "captured_log.h"
#include "scripted_conn.h"
#include "virtual_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct conn conns[2];
static struct pool pool;
static uv_loop_t loop;
static struct claim claim;
static int answers;
static enum claim_result result;
static struct err err;

static void on_state(struct conn *conn, enum conn_state from, const struct err *reason)
{
    (void)conn;
    (void)from;
    (void)reason;
}

static void on_answer(struct claim *answered, enum claim_result answer, const struct err *reason)
{
    assert_ptr_equal(answered, &claim);
    answers++;
    result = answer;
    err = reason ? *reason : (struct err){0};
}

static int begin(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        conn_init(&conns[i], &loop, on_state, NULL);
        conns[i].state = CONN_IDLE;
    }
    pool = (struct pool){.conns = conns, .max = 2};
    claim = (struct claim){
        .what = {.ledger = &offsets_of_sink,
                 .name = "sink",
                 .topic = "orders",
                 .partition = 3,
                 .owner = "one",
                 .initial = -1},
        .pool = &pool,
    };
    answers = 0;
    log_forget();
    claim_start(&claim, &conns[0], on_answer);
    return 0;
}

static int end(void **state)
{
    (void)state;
    conns_forget(conns, 2);
    return 0;
}

static void assert_answered(enum claim_result expected, enum err_class class)
{
    assert_int_equal(answers, 1);
    assert_int_equal(result, expected);
    assert_int_equal(err.class, class);
}

/* The row stays locked by somebody. */
static void lock_out(void)
{
    conn_fail(&conns[0], "55P03", "canceling statement due to lock timeout", NULL);
}

static void the_answer_is_the_position(void **state)
{
    (void)state;
    assert_non_null(strstr(conn_sql(&conns[0]), "UPDATE pgsluice.offsets"));
    assert_non_null(strstr(conn_sql(&conns[0]), "o.partition = 3"));
    conn_give(&conns[0], PQmakeEmptyPGresult(NULL, PGRES_COMMAND_OK)); /* SET */
    conn_give_rows(&conns[0], (const char *const[]){"500", "7", "id", "3"}, 1, 4);
    assert_int_equal(answers, 0);
    conn_succeed(&conns[0]);
    assert_answered(CLAIM_TAKEN, ERR_NONE);
    assert_int_equal(claim.position.next_offset, 500);
    assert_int_equal(claim.position.epoch, 7);
    assert_string_equal(claim.position.topic_id, "id");
    assert_int_equal(claim.position.leader_epoch, 3);
}

static void no_row_is_an_answer_too(void **state)
{
    (void)state;
    conn_give(&conns[0], PQmakeEmptyPGresult(NULL, PGRES_COMMAND_OK));
    conn_give_rows(&conns[0], (const char *const[]){NULL}, 0, 4);
    conn_succeed(&conns[0]);
    assert_answered(CLAIM_NO_ROW, ERR_NONE);
}

static void a_claim_can_be_used_again(void **state)
{
    (void)state;
    conn_give_rows(&conns[0], (const char *const[]){"500", "7", "id", "3"}, 1, 4);
    conn_succeed(&conns[0]);
    claim_start(&claim, &conns[0], on_answer);
    conn_give_rows(&conns[0], (const char *const[]){NULL}, 0, 4);
    conn_succeed(&conns[0]);
    assert_int_equal(answers, 2);
    assert_int_equal(result, CLAIM_NO_ROW);
}

static void a_lost_connection_fails_it(void **state)
{
    (void)state;
    conn_lose(&conns[0]);
    assert_answered(CLAIM_FAILED, ERR_OUTAGE);
}

static void an_answer_that_is_not_committed_does_not_count(void **state)
{
    (void)state;
    conn_give_rows(&conns[0], (const char *const[]){"500", "7", "id", "3"}, 1, 4);
    conn_lose(&conns[0]);
    assert_answered(CLAIM_FAILED, ERR_OUTAGE);
}

static void the_servers_reason_is_passed_on(void **state)
{
    (void)state;
    conn_fail(&conns[0], "42501", "permission denied for table offsets", NULL);
    assert_answered(CLAIM_FAILED, ERR_CONFIG);
    assert_string_equal(err.text, "permission denied for table offsets");
}

static void a_row_that_stays_locked_is_freed_and_claimed_later(void **state)
{
    char pids[32];

    (void)state;
    lock_out();
    assert_int_equal(answers, 0);
    assert_non_null(strstr(conn_sql(&conns[0]), "pg_terminate_backend"));
    snprintf(pids, sizeof(pids), "'{%d,%d}'", conn_backend_pid(&conns[0]),
             conn_backend_pid(&conns[1]));
    assert_non_null(strstr(conn_sql(&conns[0]), pids));
    conn_give_rows(&conns[0], (const char *const[]){"4711", "pgsluice/sink/two"}, 1, 2);
    conn_succeed(&conns[0]);
    assert_answered(CLAIM_FAILED, ERR_CONTENTION);
    assert_int_equal(log_said("warn frozen owner ended topic=orders partition=3 pid=4711"), 1);
}

static void a_holder_that_is_at_work_is_waited_for(void **state)
{
    (void)state;
    lock_out();
    conn_give_rows(&conns[0], (const char *const[]){NULL}, 0, 4);
    conn_succeed(&conns[0]);
    assert_answered(CLAIM_FAILED, ERR_CONTENTION);
    assert_int_equal(log_said("warn"), 0);
}

static void freeing_may_fail(void **state)
{
    (void)state;
    lock_out();
    conn_fail(&conns[0], "42501", "permission denied", NULL);
    assert_answered(CLAIM_FAILED, ERR_CONFIG);
}

static void freeing_may_be_lost(void **state)
{
    (void)state;
    lock_out();
    conn_lose(&conns[0]);
    assert_answered(CLAIM_FAILED, ERR_OUTAGE);
}

#define CLAIM_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM_TEST(the_answer_is_the_position),
        CLAIM_TEST(no_row_is_an_answer_too),
        CLAIM_TEST(a_claim_can_be_used_again),
        CLAIM_TEST(a_lost_connection_fails_it),
        CLAIM_TEST(an_answer_that_is_not_committed_does_not_count),
        CLAIM_TEST(the_servers_reason_is_passed_on),
        CLAIM_TEST(a_row_that_stays_locked_is_freed_and_claimed_later),
        CLAIM_TEST(a_holder_that_is_at_work_is_waited_for),
        CLAIM_TEST(freeing_may_fail),
        CLAIM_TEST(freeing_may_be_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
