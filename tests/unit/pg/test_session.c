/* What a session asks of libpq and of the server. Connecting needs one: see the integration tests.
 */
#include "pg/session.h"

#include "base/clock.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char name[] = "orders-sink";
static char instance[] = "host-1";
static struct config config;
static struct session session;
static struct err err;

static int begin(void **state)
{
    (void)state;
    config = (struct config){.name = name, .instance_id = instance};
    unsetenv("PGOPTIONS");
    unsetenv("PGPASSWORD_FILE");
    unsetenv("PGPASSWORD");
    return 0;
}

static int end(void **state)
{
    (void)state;
    session_finish(&session);
    return 0;
}

/* NULL: the session leaves it to libpq. */
static const char *parameter(const char *keyword)
{
    for (int i = 0; session.keywords[i]; i++)
        if (strcmp(session.keywords[i], keyword) == 0)
            return session.values[i];
    return NULL;
}

static void make(void)
{
    session_finish(&session);
    assert_true(session_init(&session, &config, &err));
}

static void sessions_are_named_after_sink_and_instance(void **state)
{
    (void)state;
    make();
    assert_string_equal(parameter("application_name"), "pgsluice/orders-sink/host-1");
}

static void where_to_connect_is_left_to_libpq(void **state)
{
    static const char *const theirs[] = {"host", "port", "dbname", "user", "password", "sslmode"};

    (void)state;
    make();
    for (int i = 0; i < 6; i++)
        assert_null(parameter(theirs[i]));
}

static void servers_are_placed_as_lists_of_equal_length(void **state)
{
    struct config_servers servers = {0};

    (void)state;
    config_servers_add(&servers, "a", "10.0.0.1", "1");
    config_servers_add(&servers, "a", "10.0.0.2", "1");
    config_servers_add(&servers, "/run", "", "3");
    make();
    session_place(&session, &servers, 0);
    assert_string_equal(parameter("host"), "a,a,/run");
    assert_string_equal(parameter("hostaddr"), "10.0.0.1,10.0.0.2,");
    assert_string_equal(parameter("port"), "1,1,3");
    make();
    session_place(&session, &servers, 5);
    assert_string_equal(parameter("host"), "/run,a,a");
    assert_string_equal(parameter("hostaddr"), ",10.0.0.1,10.0.0.2");
    config_servers_finish(&servers);
}

static void no_servers_are_left_to_libpq(void **state)
{
    struct config_servers servers = {0};

    (void)state;
    make();
    session_place(&session, &servers, 1);
    assert_null(parameter("host"));
}

static void texts_are_utf8_and_times_utc(void **state)
{
    (void)state;
    make();
    assert_string_equal(parameter("client_encoding"), "UTF8");
    assert_non_null(strstr(parameter("options"), "-c timezone=UTC"));
    assert_non_null(strstr(parameter("options"), "-c datestyle=ISO"));
}

static void commits_are_as_durable_as_the_setting_says(void **state)
{
    (void)state;
    make();
    assert_non_null(strstr(parameter("options"), "-c synchronous_commit=off"));
    config.synchronous_commit = true;
    make();
    assert_non_null(strstr(parameter("options"), "-c synchronous_commit=on"));
}

static void a_dead_network_is_noticed_in_seconds(void **state)
{
    static const char *const settings[] = {"tcp_keepalives_idle=", "tcp_keepalives_interval=",
                                           "tcp_keepalives_count=", "tcp_user_timeout="};
    static const char *const keywords[] = {"keepalives_idle", "keepalives_interval",
                                           "keepalives_count", "tcp_user_timeout"};

    (void)state;
    make();
    for (int i = 0; i < 4; i++) {
        assert_non_null(strstr(parameter("options"), settings[i]));
        assert_non_null(parameter(keywords[i]));
    }
}

/* The server takes the last of two. */
static void the_users_options_come_last(void **state)
{
    (void)state;
    setenv("PGOPTIONS", "-c synchronous_commit=remote_apply -c search_path=app", 1);
    make();
    const char *options = parameter("options");
    const char *theirs = strstr(options, "-c synchronous_commit=remote_apply -c search_path=app");
    assert_non_null(theirs);
    assert_ptr_equal(theirs + strlen(theirs), options + strlen(options));
    assert_true(strstr(options, "-c synchronous_commit=off") < theirs);
}

static char *write_password(const char *text)
{
    char *path = memory_strdup("/tmp/pgsluice-session-XXXXXX");
    int file = mkstemp(path);

    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
    setenv("PGPASSWORD_FILE", path, 1);
    return path;
}

static void a_password_file_is_read_for_each_session(void **state)
{
    char *path = write_password("secret\n");

    (void)state;
    make();
    assert_string_equal(parameter("password"), "secret");
    FILE *file = fopen(path, "w");
    fputs("rotated", file);
    fclose(file);
    make();
    assert_string_equal(parameter("password"), "rotated");
    unlink(path);
    free(path);
}

static void a_password_file_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    setenv("PGPASSWORD_FILE", "/nonexistent/password", 1);
    assert_false(session_init(&session, &config, &err));
    assert_int_not_equal(err.class, ERR_NONE);
    assert_non_null(strstr(err.text, "PGPASSWORD_FILE"));
}

static void a_session_fits_its_arrays(void **state)
{
    int count = 0;

    (void)state;
    char *path = write_password("secret");
    make();
    while (session.keywords[count])
        count++;
    assert_true(count < SESSION_PARAMETERS_MAX);
    assert_null(session.values[count]);
    unlink(path);
    free(path);
}

static void finishing_twice_is_finishing(void **state)
{
    (void)state;
    make();
    session_finish(&session);
    assert_null(session.application_name);
    session_finish(&session);
}

static void a_server_that_is_not_there_is_an_outage(void **state)
{
    int64_t begin_ms = clock_now_ms();

    (void)state;
    setenv("PGHOST", "/nonexistent", 1);
    assert_null(session_connect(&config, 200, &err));
    assert_int_equal(err.class, ERR_OUTAGE);
    assert_true(clock_now_ms() - begin_ms < 5000);
    assert_null(strchr(err.text, '\n'));
    unsetenv("PGHOST");
}

/* What no waiting mends is said at once. */
static void what_libpq_can_not_read_is_a_fault_of_the_settings(void **state)
{
    static const char *const wrong[][2] = {
        {"PGSSLMODE", "none"}, {"PGPORT", "1,2"}, {"PGPORT", "x"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        setenv("PGHOST", "/nonexistent", 1);
        setenv(wrong[i][0], wrong[i][1], 1);
        assert_null(session_connect(&config, 20000, &err));
        assert_int_equal(err.class, ERR_CONFIG);
        unsetenv(wrong[i][0]);
    }
    unsetenv("PGHOST");
}

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(sessions_are_named_after_sink_and_instance),
        SESSION_TEST(where_to_connect_is_left_to_libpq),
        SESSION_TEST(servers_are_placed_as_lists_of_equal_length),
        SESSION_TEST(no_servers_are_left_to_libpq),
        SESSION_TEST(texts_are_utf8_and_times_utc),
        SESSION_TEST(commits_are_as_durable_as_the_setting_says),
        SESSION_TEST(a_dead_network_is_noticed_in_seconds),
        SESSION_TEST(the_users_options_come_last),
        SESSION_TEST(a_password_file_is_read_for_each_session),
        SESSION_TEST(a_password_file_that_is_not_there_is_an_error),
        SESSION_TEST(a_session_fits_its_arrays),
        SESSION_TEST(finishing_twice_is_finishing),
        SESSION_TEST(a_server_that_is_not_there_is_an_outage),
        SESSION_TEST(what_libpq_can_not_read_is_a_fault_of_the_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
