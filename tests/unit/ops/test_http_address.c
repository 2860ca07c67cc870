/* What SINK_HTTP_ADDRESS can be, and what is said when the address can't be had. */
#include "ops/http_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_parsed(const char *text, const char *host, const char *port)
{
    struct http_address address;

    assert_true(http_address_parse(text, &address));
    assert_false(address.off);
    assert_string_equal(address.host, host);
    assert_string_equal(address.port, port);
}

static void a_host_and_a_port(void **state)
{
    (void)state;
    assert_parsed("0.0.0.0:8080", "0.0.0.0", "8080");
    assert_parsed("localhost:0", "localhost", "0");
    assert_parsed("[::1]:65535", "::1", "65535");
}

static void off_is_no_address(void **state)
{
    struct http_address address;

    (void)state;
    assert_true(http_address_parse("off", &address));
    assert_true(address.off);
}

static void anything_else_is_refused(void **state)
{
    static const char *const texts[] = {"",         ":",           ":8080",      "host",
                                        "host:",    "host:http",   "host:65536", "h:-1",
                                        "::1:80",   "[::1]",       "[]:80",      "[:80",
                                        "host:80/", "host:080808", "[::1:80",    "http://host:80"};
    struct http_address address;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (http_address_parse(texts[i], &address))
            fail_msg("%s is an address", texts[i]);
}

static void a_host_of_any_length_is_bounded(void **state)
{
    struct http_address address;
    char text[400];

    (void)state;
    memset(text, 'a', sizeof(text));
    snprintf(text + 300, 100, ":80");
    assert_false(http_address_parse(text, &address));
}

static void a_port_that_is_taken_is_named(void **state)
{
    struct http_address address;
    struct err err;

    (void)state;
    assert_true(http_address_parse("127.0.0.1:0", &address));
    int fd = http_address_listen(&address, &err);
    assert_true(fd >= 0);
    snprintf(address.port, sizeof(address.port), "%d", http_address_port(fd));
    assert_int_equal(http_address_listen(&address, &err), -1);
    assert_int_equal(err.class, ERR_CONFIG);
    assert_non_null(strstr(err.text, "SINK_HTTP_ADDRESS"));
    assert_non_null(strstr(err.text, address.port));
    assert_non_null(strstr(err.text, "off"));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_and_a_port),
        cmocka_unit_test(off_is_no_address),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(a_host_of_any_length_is_bounded),
        cmocka_unit_test(a_port_that_is_taken_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
