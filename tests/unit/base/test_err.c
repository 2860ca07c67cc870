/* Setting an error, putting context in front of it, and texts that are too long. */
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void set_replaces_everything(void **state)
{
    struct err err = {.class = ERR_DATA, .sqlstate = "22003", .text = "old"};

    (void)state;
    assert_false(err_set(&err, ERR_OUTAGE, "%s refused port %d", "db", 5432));
    assert_int_equal(err.class, ERR_OUTAGE);
    assert_string_equal(err.sqlstate, "");
    assert_string_equal(err.text, "db refused port 5432");
}

static void context_goes_in_front_and_keeps_the_rest(void **state)
{
    struct err err;

    (void)state;
    err_set(&err, ERR_DATA, "out of range");
    memcpy(err.sqlstate, "22003", sizeof("22003"));
    assert_false(err_context(&err, "column %s", "amount"));
    assert_false(err_context(&err, "orders[%d]@%d", 3, 17));
    assert_string_equal(err.text, "orders[3]@17: column amount: out of range");
    assert_string_equal(err.sqlstate, "22003");
    assert_int_equal(err.class, ERR_DATA);
}

static void a_text_that_is_too_long_is_cut(void **state)
{
    char text[2000];
    struct err err;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    err_set(&err, ERR_INTERNAL, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

/* Whatever the number of its bytes that would still have fit. */
static void a_text_is_cut_between_characters(void **state)
{
    static const char *const characters[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    char text[sizeof(((struct err *)0)->text) + 8];
    struct err err;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(characters); i++) {
        for (size_t before = sizeof(err.text) - 6; before < sizeof(err.text); before++) {
            size_t len = strlen(characters[i]);
            memset(text, 'x', before);
            memcpy(text + before, characters[i], len + 1);
            err_set(&err, ERR_DATA, "%s", text);
            bool fits = before + len < sizeof(err.text);
            assert_int_equal(strlen(err.text), fits ? before + len : before);
        }
    }
}

static void a_long_context_keeps_the_beginning_of_the_text(void **state)
{
    char text[2000];
    struct err err;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    err_set(&err, ERR_INTERNAL, "the reason %s", text);
    err_context(&err, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_non_null(strstr(err.text, ": the reason xxx"));
}

static void the_text_may_be_its_own_context(void **state)
{
    struct err err;

    (void)state;
    err_set(&err, ERR_INTERNAL, "again");
    err_context(&err, "%s", err.text);
    assert_string_equal(err.text, "again: again");
}

static void every_class_has_its_own_name(void **state)
{
    (void)state;
    for (int a = ERR_NONE; a <= ERR_INTERNAL; a++) {
        assert_string_not_equal(err_class_name((enum err_class)a), "unknown");
        for (int b = ERR_NONE; b < a; b++)
            assert_string_not_equal(err_class_name((enum err_class)a),
                                    err_class_name((enum err_class)b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_replaces_everything),
        cmocka_unit_test(context_goes_in_front_and_keeps_the_rest),
        cmocka_unit_test(a_text_that_is_too_long_is_cut),
        cmocka_unit_test(a_text_is_cut_between_characters),
        cmocka_unit_test(a_long_context_keeps_the_beginning_of_the_text),
        cmocka_unit_test(the_text_may_be_its_own_context),
        cmocka_unit_test(every_class_has_its_own_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
