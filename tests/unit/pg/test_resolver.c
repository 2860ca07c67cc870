/* Names to addresses; a test answers for the name service when it wants. */
#include "pg/resolver.h"

#include "base/compiler.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct resolver resolver;
static uv_loop_t loop;
static int done;
static char found[512]; /* "host address port;..." */
static char reason[256];

/* --- The name service ------------------------------------------------------------------------- */

static uv_getaddrinfo_t *asked;
static uv_getaddrinfo_cb answer_to;
static char name[64];
static int cancels;
static int refusal; /* of the next question */

int uv_getaddrinfo(uv_loop_t *of, uv_getaddrinfo_t *request, uv_getaddrinfo_cb on_answer,
                   const char *node, const char *service, const struct addrinfo *hints)
{
    assert_ptr_equal(of, &loop);
    assert_null(service);
    assert_int_equal(hints->ai_socktype, SOCK_STREAM);
    if (refusal)
        return refusal;
    asked = request;
    answer_to = on_answer;
    snprintf(name, sizeof(name), "%s", node);
    return 0;
}

void uv_freeaddrinfo(struct addrinfo *answer)
{
    (void)answer;
}

int uv_cancel(uv_req_t *request)
{
    assert_ptr_equal(request, asked);
    cancels++;
    return UV_EBUSY;
}

/* Two addresses, as machines with an old and a new network have. */
static void answer(int status)
{
    struct sockaddr_in first_address = {.sin_family = AF_INET};
    struct sockaddr_in second_address = {.sin_family = AF_INET};
    struct addrinfo second = {.ai_addr = (struct sockaddr *)&second_address,
                              .ai_addrlen = sizeof(second_address)};
    struct addrinfo first = {.ai_addr = (struct sockaddr *)&first_address,
                             .ai_addrlen = sizeof(first_address),
                             .ai_next = &second};
    uv_getaddrinfo_t *request = asked;

    inet_pton(AF_INET, "10.0.0.1", &first_address.sin_addr);
    inet_pton(AF_INET, "10.0.0.2", &second_address.sin_addr);
    asked = NULL;
    answer_to(request, status, status == 0 ? &first : NULL);
}

/* --- The test --------------------------------------------------------------------------------- */

static void on_done(void *opaque, const struct config_servers *servers, const struct err *err)
{
    size_t len = 0;

    assert_ptr_equal(opaque, &done);
    assert_false(resolver_is_busy(&resolver));
    done++;
    found[0] = '\0';
    for (size_t i = 0; i < servers->count; i++)
        len +=
            (size_t)snprintf(found + len, sizeof(found) - len, "%s %s %s;", servers->list[i].host,
                             servers->list[i].address, servers->list[i].port);
    snprintf(reason, sizeof(reason), "%s", err ? err->text : "");
    if (err)
        assert_int_equal(err->class, ERR_OUTAGE);
}

static void start(const char *hosts, const char *ports)
{
    unsetenv("PGHOSTADDR");
    setenv("PGHOST", hosts, 1);
    setenv("PGPORT", ports, 1);
    done = cancels = refusal = 0;
    resolver_start(&resolver, &loop, on_done, &done);
}

static void without_a_name_nobody_is_asked(void **state)
{
    (void)state;
    start("10.0.0.9,/run,::1", "1,2,3");
    assert_int_equal(done, 1);
    assert_string_equal(found, "10.0.0.9  1;/run  2;::1  3;");
    assert_null(asked);
}

static void nothing_set_stays_nothing(void **state)
{
    (void)state;
    start("", "");
    assert_int_equal(done, 1);
    assert_string_equal(found, "");
    assert_string_equal(reason, "");
}

static void each_address_of_a_name_is_a_server(void **state)
{
    (void)state;
    start("db,/run", "1,2");
    assert_int_equal(done, 0);
    assert_true(resolver_is_busy(&resolver));
    assert_string_equal(name, "db");
    answer(0);
    assert_int_equal(done, 1);
    assert_string_equal(found, "db 10.0.0.1 1;db 10.0.0.2 1;/run  2;");
}

static void names_are_asked_in_order(void **state)
{
    (void)state;
    start("one,10.0.0.9,two", "");
    assert_string_equal(name, "one");
    answer(0);
    assert_string_equal(name, "two");
    answer(0);
    assert_string_equal(found,
                        "one 10.0.0.1 ;one 10.0.0.2 ;10.0.0.9  ;two 10.0.0.1 ;two 10.0.0.2 ;");
}

static void a_name_that_is_not_known_is_left_out(void **state)
{
    (void)state;
    start("gone,db", "");
    answer(UV_EAI_NONAME);
    answer(0);
    assert_string_equal(found, "db 10.0.0.1 ;db 10.0.0.2 ;");
    assert_string_equal(reason, "");
}

static void no_name_that_is_known_is_an_outage(void **state)
{
    (void)state;
    start("gone", "");
    answer(UV_EAI_AGAIN);
    assert_int_equal(done, 1);
    assert_string_equal(found, "");
    assert_non_null(strstr(reason, "\"gone\""));
}

static void a_question_that_can_not_be_asked_is_an_outage(void **state)
{
    (void)state;
    setenv("PGHOST", "db", 1);
    done = 0;
    refusal = UV_ENOMEM;
    resolver_start(&resolver, &loop, on_done, &done);
    assert_int_equal(done, 1);
    assert_non_null(strstr(reason, "\"db\""));
}

static void after_a_cancel_the_answer_is_let_go(void **state)
{
    (void)state;
    start("db", "");
    resolver_cancel(&resolver);
    assert_int_equal(cancels, 1);
    assert_false(resolver_is_busy(&resolver));
    answer(0);
    start("db", "");
    resolver_cancel(&resolver);
    answer(UV_ECANCELED);
    assert_int_equal(done, 0);
    resolver_cancel(&resolver);
    assert_int_equal(cancels, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_name_nobody_is_asked),
        cmocka_unit_test(nothing_set_stays_nothing),
        cmocka_unit_test(each_address_of_a_name_is_a_server),
        cmocka_unit_test(names_are_asked_in_order),
        cmocka_unit_test(a_name_that_is_not_known_is_left_out),
        cmocka_unit_test(no_name_that_is_known_is_an_outage),
        cmocka_unit_test(a_question_that_can_not_be_asked_is_an_outage),
        cmocka_unit_test(after_a_cancel_the_answer_is_let_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
