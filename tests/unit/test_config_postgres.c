/* Where PostgreSQL is, what is local, and what is settled before libpq is asked. */
#include "config_postgres.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct config_servers servers;

static int begin(void **state)
{
    static const char *const variables[] = {"PGHOST",    "PGHOSTADDR",   "PGPORT",
                                            "PGSSLMODE", "PGREQUIRESSL", "PGTARGETSESSIONATTRS",
                                            "PGSERVICE", "PGSERVICEFILE"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(variables); i++)
        unsetenv(variables[i]);
    return 0;
}

static int end(void **state)
{
    (void)state;
    config_servers_finish(&servers);
    return begin(NULL);
}

static void read_them(const char *hosts, const char *addresses, const char *ports)
{
    config_servers_finish(&servers);
    setenv("PGHOST", hosts, 1);
    setenv("PGHOSTADDR", addresses, 1);
    setenv("PGPORT", ports, 1);
    config_servers_read(&servers);
}

static void assert_server(size_t i, const char *host, const char *address, const char *port)
{
    assert_true(i < servers.count);
    assert_string_equal(servers.list[i].host, host);
    assert_string_equal(servers.list[i].address, address);
    assert_string_equal(servers.list[i].port, port);
}

static void each_host_has_its_port(void **state)
{
    (void)state;
    read_them("a,b,/run", "", "1,2,3");
    assert_int_equal(servers.count, 3);
    assert_server(0, "a", "", "1");
    assert_server(1, "b", "", "2");
    assert_server(2, "/run", "", "3");
    read_them("a,b", "", "5433");
    assert_server(1, "b", "", "5433");
}

static void addresses_go_with_hosts_or_stand_alone(void **state)
{
    (void)state;
    read_them("a,b", "10.0.0.1,", "");
    assert_server(0, "a", "10.0.0.1", "");
    assert_server(1, "b", "", "");
    read_them("", "10.0.0.1,10.0.0.2", "");
    assert_int_equal(servers.count, 2);
    assert_server(1, "", "10.0.0.2", "");
}

static void nothing_set_is_no_server(void **state)
{
    (void)state;
    unsetenv("PGHOST");
    config_servers_read(&servers);
    assert_int_equal(servers.count, 0);
}

/* libpq says it in its own words, when it is asked to connect. */
static void lists_that_do_not_match_are_left_to_libpq(void **state)
{
    (void)state;
    read_them("a,b,c", "", "1,2");
    assert_int_equal(servers.count, 0);
    read_them("a,b", "10.0.0.1", "");
    assert_int_equal(servers.count, 0);
}

static bool is_local(const char *host, const char *address)
{
    read_them(host, address, "");
    return config_server_is_local(&servers.list[0]);
}

static void this_machine_is_local_and_nothing_else(void **state)
{
    static const char *const local[] = {"/run/postgresql", "@abstract",   "localhost",
                                        "LocalHost",       "a.localhost", "127.0.0.1",
                                        "127.8.9.10",      "::1",         "::ffff:127.0.0.1"};
    static const char *const remote[] = {"db.example", "notlocalhost", "localhost.example",
                                         "10.0.0.1",   "::2",          "127.0.0.1.example",
                                         "fe80::1%lo"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(local); i++)
        assert_true(is_local(local[i], ""));
    for (size_t i = 0; i < COUNT_OF(remote); i++)
        assert_false(is_local(remote[i], ""));
    assert_true(is_local("", "127.0.0.1"));
    assert_true(is_local("localhost", "::1"));
    assert_false(is_local("", "10.0.0.1"));
    assert_false(is_local("localhost", "10.0.0.1"));
    assert_false(is_local("db.example", "127.0.0.1")); /* a tunnel */
}

static void only_names_have_to_be_looked_up(void **state)
{
    (void)state;
    read_them("db.example,10.0.0.1,/run,fe80::1%lo", "", "");
    assert_true(config_server_is_name(&servers.list[0]));
    for (size_t i = 1; i < servers.count; i++)
        assert_false(config_server_is_name(&servers.list[i]));
    read_them("db.example", "10.0.0.1", "");
    assert_false(config_server_is_name(&servers.list[0]));
}

/* Settling. */

static void hosts_elsewhere_have_to_prove_who_they_are(void **state)
{
    static const char *const elsewhere[] = {"db.example", "/run,db.example", "10.0.0.1"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(elsewhere); i++) {
        unsetenv("PGSSLMODE");
        setenv("PGHOST", elsewhere[i], 1);
        config_postgres_settle();
        assert_string_equal(getenv("PGSSLMODE"), "verify-full");
        assert_true(config_postgres_set_sslmode());
    }
}

static void local_hosts_are_left_to_libpq(void **state)
{
    (void)state;
    config_postgres_settle();
    assert_null(getenv("PGSSLMODE"));
    setenv("PGHOST", "localhost,/run", 1);
    config_postgres_settle();
    assert_null(getenv("PGSSLMODE"));
    assert_false(config_postgres_set_sslmode());
}

static void what_the_user_says_stays(void **state)
{
    (void)state;
    setenv("PGHOST", "db.example", 1);
    setenv("PGSSLMODE", "prefer", 1);
    setenv("PGTARGETSESSIONATTRS", "any", 1);
    config_postgres_settle();
    assert_string_equal(getenv("PGSSLMODE"), "prefer");
    assert_string_equal(getenv("PGTARGETSESSIONATTRS"), "any");
    unsetenv("PGSSLMODE");
    setenv("PGREQUIRESSL", "1", 1);
    config_postgres_settle();
    assert_null(getenv("PGSSLMODE"));
}

static void a_primary_is_wanted(void **state)
{
    (void)state;
    config_postgres_settle();
    assert_string_equal(getenv("PGTARGETSESSIONATTRS"), "read-write");
}

#define POSTGRES_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        POSTGRES_TEST(each_host_has_its_port),
        POSTGRES_TEST(addresses_go_with_hosts_or_stand_alone),
        POSTGRES_TEST(nothing_set_is_no_server),
        POSTGRES_TEST(lists_that_do_not_match_are_left_to_libpq),
        POSTGRES_TEST(this_machine_is_local_and_nothing_else),
        POSTGRES_TEST(only_names_have_to_be_looked_up),
        POSTGRES_TEST(hosts_elsewhere_have_to_prove_who_they_are),
        POSTGRES_TEST(local_hosts_are_left_to_libpq),
        POSTGRES_TEST(what_the_user_says_stays),
        POSTGRES_TEST(a_primary_is_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
