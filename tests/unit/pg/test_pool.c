/* How many connections there are, and when they are tried again. */
#include "pg/pool.h"

#include "captured_log.h"
#include "scripted_conn.h"
#include "virtual_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char name[] = "sink";
static char instance[] = "one";
static struct config config;
static struct pool pool;
static uv_loop_t loop;
static int losses;
static int finds;
static int64_t away_ms;

static void on_lost(void *opaque, const struct err *err)
{
    assert_ptr_equal(opaque, &config);
    assert_int_equal(err->class, ERR_OUTAGE);
    losses++;
}

static void on_found(void *opaque, int64_t ms)
{
    assert_ptr_equal(opaque, &config);
    away_ms = ms;
    finds++;
}

static void open_pool(int64_t min, int64_t max)
{
    config =
        (struct config){.name = name, .instance_id = instance, .pool_min = min, .pool_max = max};
    losses = finds = 0;
    server_is_up = true;
    server_is_mute = false;
    log_forget();
    pool_open(&pool, &loop,
              &(struct pool_options){
                  .config = &config, .on_lost = on_lost, .on_found = on_found, .opaque = &config});
}

static int end(void **state)
{
    (void)state;
    pool_close(&pool);
    conns_forget(pool.conns, (size_t)config.pool_max);
    pool_finish(&pool);
    return 0;
}

/* In steps of the pool's own tick, without answers to its attempts. */
static void pass_silently(int64_t ms)
{
    for (int64_t until = virtual_now_ms + ms; virtual_now_ms < until; virtual_now_ms += 10)
        loop_turn(&loop);
}

static void pass(int64_t ms)
{
    for (int64_t until = virtual_now_ms + ms; virtual_now_ms < until; virtual_now_ms += 10) {
        loop_turn(&loop);
        conns_connect();
    }
}

static void assert_counts(size_t connecting, size_t idle, size_t busy)
{
    assert_int_equal(pool_idle_count(&pool), idle);
    assert_int_equal(pool_busy_count(&pool), busy);
    assert_int_equal(pool_open_count(&pool), connecting + idle + busy);
}

static void on_job_done(struct conn_job *job, const struct conn_error *error)
{
    (void)job;
    (void)error;
}

static struct conn_job jobs_of_test[8];

/* Takes an idle connection, if there is one. */
static struct conn *use(int job)
{
    struct conn *conn = pool_acquire(&pool);

    jobs_of_test[job] = (struct conn_job){.on_done = on_job_done};
    if (conn)
        conn_run(conn, "SELECT 1", &jobs_of_test[job]);
    return conn;
}

static void the_minimum_is_opened_and_no_more(void **state)
{
    (void)state;
    open_pool(2, 5);
    pass(1000);
    assert_counts(0, 2, 0);
}

static void one_attempt_at_a_time(void **state)
{
    (void)state;
    open_pool(3, 5);
    pass_silently(1000);
    assert_counts(1, 0, 0);
    conns_connect();
    pass_silently(1000);
    assert_counts(1, 1, 0);
}

static void who_finds_none_idle_makes_it_grow_to_the_maximum(void **state)
{
    (void)state;
    open_pool(1, 3);
    pass(100);
    for (int i = 0; i < 3; i++) {
        assert_non_null(use(i));
        assert_null(use(7));
        pass(100);
    }
    assert_counts(0, 0, 3);
    assert_null(use(7));
    pass(1000);
    assert_counts(0, 0, 3);
}

static void wanting_one_opens_one(void **state)
{
    (void)state;
    open_pool(1, 5);
    pass(100);
    assert_non_null(use(0));
    assert_null(use(1));
    pass(5000);
    assert_counts(0, 1, 1);
}

static void the_one_used_last_is_used_next(void **state)
{
    (void)state;
    open_pool(3, 3);
    pass(300);
    struct conn *conn = use(0);
    struct conn *other = use(1);
    conn_succeed(conn);
    conn_succeed(other);
    assert_ptr_equal(pool_acquire(&pool), other);
}

static void surplus_that_is_idle_for_a_minute_is_closed(void **state)
{
    (void)state;
    open_pool(1, 3);
    pass(100);
    struct conn *conns[] = {use(0), NULL, NULL};
    for (int i = 1; i < 3; i++) {
        assert_null(use(7));
        pass(100);
        conns[i] = use(i);
    }
    for (int i = 0; i < 3; i++)
        conn_succeed(conns[i]);
    pass(55000);
    assert_counts(0, 3, 0);
    pass(10000);
    assert_counts(0, 1, 0);
    pass(200000);
    assert_counts(0, 1, 0);
    assert_int_equal(losses, 0);
}

static void a_minimum_of_none_opens_one_when_wanted_and_keeps_none(void **state)
{
    (void)state;
    open_pool(0, 3);
    pass(100);
    for (int i = 0; i < 2; i++) {
        assert_counts(0, 0, 0);
        assert_null(pool_acquire(&pool));
        pass(55000);
        assert_counts(0, 1, 0);
        pass(10000);
    }
    assert_counts(0, 0, 0);
    assert_int_equal(losses, 0);
    assert_int_equal(finds, 0);
}

/* Outages. */

static void a_server_that_is_away_is_said_once_and_so_is_its_return(void **state)
{
    (void)state;
    open_pool(2, 2);
    pass(500);
    server_is_up = false;
    conn_lose(&pool.conns[0]);
    assert_int_equal(losses, 0);
    conn_lose(&pool.conns[1]);
    assert_int_equal(losses, 1);
    pass(30000);
    assert_int_equal(losses, 1);
    assert_int_equal(finds, 0);
    server_is_up = true;
    pass(10000);
    assert_int_equal(finds, 1);
    assert_in_range(away_ms, 30000, 36000);
    assert_counts(0, 2, 0);
}

static void a_server_that_was_never_there_is_away_too(void **state)
{
    (void)state;
    server_is_up = false;
    open_pool(1, 1);
    server_is_up = false;
    pass(1000);
    assert_int_equal(losses, 1);
    server_is_up = true;
    pass(10000);
    assert_int_equal(finds, 1);
}

static void attempts_become_rare_but_never_end(void **state)
{
    (void)state;
    open_pool(1, 1);
    server_is_up = false;
    pass(1000);
    unsigned attempts = pool.attempts;
    assert_in_range(attempts, 3, 12);
    pass(60000);
    assert_in_range(pool.attempts - attempts, 30, 70);
    attempts = pool.attempts;
    pass(3600000);
    assert_in_range(pool.attempts - attempts, 1700, 3700);
}

static void after_a_success_the_next_loss_is_tried_again_at_once(void **state)
{
    (void)state;
    open_pool(1, 1);
    server_is_up = false;
    pass(60000);
    server_is_up = true;
    pass(10000);
    conn_lose(&pool.conns[0]);
    pass(150);
    assert_counts(0, 1, 0);
}

static void all_that_are_lost_at_once_are_opened_again_soon(void **state)
{
    (void)state;
    open_pool(8, 8);
    pass(1000);
    assert_counts(0, 8, 0);
    for (int i = 0; i < 8; i++)
        conn_lose(&pool.conns[i]);
    assert_int_equal(losses, 1);
    pass(250);
    assert_int_equal(finds, 1);
    pass(750);
    assert_counts(0, 8, 0);
}

static void an_attempt_without_an_answer_is_given_up(void **state)
{
    (void)state;
    open_pool(1, 1);
    pass_silently(9900);
    assert_counts(1, 0, 0);
    assert_int_equal(losses, 0);
    pass_silently(200);
    assert_int_equal(losses, 1);
    pass_silently(200);
    assert_counts(1, 0, 0);
}

static void what_swallows_an_attempt_is_tried_last(void **state)
{
    (void)state;
    setenv("PGHOST", "/a,/b,/c", 1);
    open_pool(2, 2);
    pass_silently(9900);
    assert_string_equal(scripted_hosts, "/a,/b,/c");
    pass_silently(400);
    assert_string_equal(scripted_hosts, "/b,/c,/a");
    pass(300);
    assert_counts(0, 2, 0);
    assert_string_equal(scripted_hosts, "/b,/c,/a");
    unsetenv("PGHOST");
}

static void one_of_several_that_is_lost_is_opened_again(void **state)
{
    (void)state;
    open_pool(3, 3);
    pass(300);
    conn_lose(&pool.conns[1]);
    assert_counts(0, 2, 0);
    pass(300);
    assert_counts(0, 3, 0);
    assert_int_equal(losses, 0);
}

/* Which server it is. The process remembers the latest: from test to test, timelines only grow. */

static const char timeline_1[] = "000000010000000000000001";
static const char timeline_2[] = "000000020000000000000001";
static const char timeline_3[] = "000000030000000000000001";
static const char timeline_4[] = "000000040000000000000001";

static void a_former_primary_that_is_back_is_passed_over(void **state)
{
    (void)state;
    setenv("PGHOST", "/a,/b", 1);
    scripted_wal_file = timeline_2;
    open_pool(1, 2);
    pass(100);
    scripted_wal_file = timeline_1;
    conn_lose(&pool.conns[0]);
    pass(3000);
    assert_counts(0, 0, 0);
    assert_true(pool.first_server > 1);
    assert_true(log_said("warn connect failed reason=PostgreSQL at") > 1);
    assert_int_equal(finds, 0);
    scripted_wal_file = timeline_2;
    pass(6000);
    assert_counts(0, 1, 0);
    assert_int_equal(finds, 1);
    unsetenv("PGHOST");
}

static void another_cluster_is_refused_for_ever(void **state)
{
    const char *own = scripted_cluster;

    (void)state;
    open_pool(1, 1);
    pass(100);
    scripted_cluster = "7000000000000000002";
    conn_lose(&pool.conns[0]);
    pass(600000);
    assert_counts(0, 0, 0);
    assert_int_equal(losses, 1);
    scripted_cluster = own;
    pass(6000);
    assert_counts(0, 1, 0);
}

static void a_new_primary_ends_the_sessions_with_the_former_one(void **state)
{
    (void)state;
    open_pool(2, 3);
    pass(300);
    struct conn *busy = use(0);
    assert_counts(0, 1, 1);
    use(1);
    assert_null(use(2));
    conn_succeed(&pool.conns[1] == busy ? &pool.conns[0] : &pool.conns[1]);
    scripted_wal_file = timeline_3;
    pass(60);
    assert_null(conn_sql(busy));
    assert_int_equal(finds, 1);
    assert_int_equal(log_said("warn another primary has taken over"), 1);
    pass(1000);
    assert_counts(0, 2, 0);
    for (int i = 0; i < 3; i++)
        assert_true(pool.conns[i].state == CONN_CLOSED || pool.conns[i].primary.timeline == 3);
}

static void one_that_may_not_say_which_it_is_is_taken_as_it_is(void **state)
{
    const char *own = scripted_wal_file;

    (void)state;
    scripted_wal_file = NULL;
    open_pool(2, 2);
    pass(300);
    assert_counts(0, 2, 0);
    assert_int_equal(losses, 0);
    scripted_wal_file = own;
}

static void one_that_others_know_to_be_a_former_primary_is_passed_over(void **state)
{
    struct primary latest = {.timeline = 4};
    struct err err;

    (void)state;
    snprintf(latest.cluster, sizeof(latest.cluster), "%s", scripted_cluster);
    assert_true(primary_note(&latest, &err));
    open_pool(1, 1);
    pass(3000);
    assert_counts(0, 0, 0);
    scripted_wal_file = timeline_4;
    pass(6000);
    assert_counts(0, 1, 0);
}

static void one_that_does_not_say_it_in_time_is_given_up(void **state)
{
    (void)state;
    open_pool(1, 1);
    server_is_mute = true;
    pass(9900);
    assert_counts(1, 0, 0);
    assert_int_equal(losses, 0);
    pass(200);
    assert_int_equal(losses, 1);
    assert_int_equal(pool.attempts, 1);
    server_is_mute = false;
    pass(10500);
    assert_counts(0, 1, 0);
}

static void one_that_is_lost_before_it_says_it_is_a_failed_attempt(void **state)
{
    (void)state;
    open_pool(1, 1);
    server_is_mute = true;
    pass(100);
    assert_counts(1, 0, 0);
    conn_lose(&pool.conns[0]);
    assert_int_equal(pool.attempts, 1);
    assert_int_equal(losses, 1);
    server_is_mute = false;
    pass(6000);
    assert_counts(0, 1, 0);
    assert_int_equal(finds, 1);
}

/* Processes, and the end. */

static void the_processes_of_connections_that_stand_are_named(void **state)
{
    struct buffer pids = {0};
    char expected[32];

    (void)state;
    open_pool(3, 3);
    assert_string_equal(buffer_text(&pids), "");
    pass(300);
    use(0);
    conn_lose(&pool.conns[1]);
    pool_backend_pids(&pool, &pids);
    snprintf(expected, sizeof(expected), "%d,%d", conn_backend_pid(&pool.conns[0]),
             conn_backend_pid(&pool.conns[2]));
    assert_string_equal(buffer_text(&pids), expected);
    buffer_finish(&pids);
}

static void closing_ends_everything_and_opens_nothing(void **state)
{
    (void)state;
    open_pool(2, 4);
    pass(300);
    assert_non_null(use(0));
    assert_non_null(use(1));
    assert_null(use(2));
    loop_turn(&loop);
    pool_close(&pool);
    assert_counts(0, 0, 0);
    assert_null(pool_acquire(&pool));
    assert_counts(0, 0, 0);
    assert_int_equal(losses, 0);
    uv_timer_init(&loop, &pool.timer); /* end closes it again */
}

#define POOL_TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(the_minimum_is_opened_and_no_more),
        POOL_TEST(one_attempt_at_a_time),
        POOL_TEST(who_finds_none_idle_makes_it_grow_to_the_maximum),
        POOL_TEST(wanting_one_opens_one),
        POOL_TEST(the_one_used_last_is_used_next),
        POOL_TEST(surplus_that_is_idle_for_a_minute_is_closed),
        POOL_TEST(a_minimum_of_none_opens_one_when_wanted_and_keeps_none),
        POOL_TEST(a_server_that_is_away_is_said_once_and_so_is_its_return),
        POOL_TEST(a_server_that_was_never_there_is_away_too),
        POOL_TEST(attempts_become_rare_but_never_end),
        POOL_TEST(after_a_success_the_next_loss_is_tried_again_at_once),
        POOL_TEST(all_that_are_lost_at_once_are_opened_again_soon),
        POOL_TEST(an_attempt_without_an_answer_is_given_up),
        POOL_TEST(what_swallows_an_attempt_is_tried_last),
        POOL_TEST(one_of_several_that_is_lost_is_opened_again),
        POOL_TEST(a_former_primary_that_is_back_is_passed_over),
        POOL_TEST(another_cluster_is_refused_for_ever),
        POOL_TEST(a_new_primary_ends_the_sessions_with_the_former_one),
        POOL_TEST(one_that_others_know_to_be_a_former_primary_is_passed_over),
        POOL_TEST(one_that_may_not_say_which_it_is_is_taken_as_it_is),
        POOL_TEST(one_that_does_not_say_it_in_time_is_given_up),
        POOL_TEST(one_that_is_lost_before_it_says_it_is_a_failed_attempt),
        POOL_TEST(the_processes_of_connections_that_stand_are_named),
        POOL_TEST(closing_ends_everything_and_opens_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
