/* What is masked in a text, and what is not. */
#include "base/secret.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_masked(const char *text, const char *expected)
{
    struct buffer out = {0};

    secret_mask(text, &out);
    assert_string_equal(buffer_text(&out), expected);
    assert_int_equal(secret_present(text), strcmp(text, expected) != 0);
    buffer_finish(&out);
}

static void assert_kept(const char *text)
{
    assert_masked(text, text);
}

static void what_is_no_secret_stays(void **state)
{
    static const char *const texts[] = {
        "",
        "one:9092,two:9092",
        "https://idp/token?scope=a&audience=b",
        "mailbox user@host",
        "-c search_path=app -c statement_timeout=5s",
        "ssl.key.location=/etc/key",
        "the token is not known; password authentication failed",
        "password=",
        "=x",
        "@abstract,db.example",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_kept(texts[i]);
}

static void passwords_in_front_of_hosts_are_masked(void **state)
{
    (void)state;
    assert_masked("https://user:pw@idp/token", "https://user:********@idp/token");
    assert_masked("https://user:p@w:x@idp", "https://user:********@idp");
    assert_masked("one:9092,user:pw@two:9092,u:p@three",
                  "one:9092,user:********@two:9092,u:********@three");
    assert_masked("url = \"postgres://u:pw@db/shop\"", "url = \"postgres://u:********@db/shop\"");
}

static void values_of_names_that_sound_secret_are_masked(void **state)
{
    (void)state;
    assert_masked("https://h/?a=b&client_secret=x&c=d",
                  "https://h/?a=b&client_secret=********&c=d");
    assert_masked("-c my.password=a\\ b -c x=y", "-c my.password=******** -c x=y");
    assert_masked("Password=x;Api-Key=y,SIG=z key=k",
                  "Password=********;Api-Key=********,SIG=******** key=********");
    assert_masked("access_token=a=b", "access_token=********");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_secret_stays),
        cmocka_unit_test(passwords_in_front_of_hosts_are_masked),
        cmocka_unit_test(values_of_names_that_sound_secret_are_masked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
