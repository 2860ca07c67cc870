/* What is shown of words from outside. */
#include "base/printable.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_shown(const char *text, const char *expected)
{
    char shown[64];

    snprintf(shown, sizeof(shown), "%s", text);
    printable_make(shown);
    assert_string_equal(shown, expected);
}

static void text_stays_as_it_is(void **state)
{
    (void)state;
    assert_shown("", "");
    assert_shown("--markdown 100 % ~", "--markdown 100 % ~");
    assert_shown("größer 東京 🎁 \u00a0", "größer 東京 🎁 \u00a0");
}

static void control_characters_are_question_marks(void **state)
{
    (void)state;
    assert_shown("\x1b[2J", "?[2J");
    assert_shown("a\nb\rc\td\x7f", "a?b?c?d?");
    assert_shown("\xc2\x9b"
                 "2J\xc2\x80",
                 "?2J?");
}

static void bytes_that_are_no_utf8_are_question_marks(void **state)
{
    (void)state;
    assert_shown("\x9b"
                 "2J",
                 "?2J");
    assert_shown("a\xffz\xc3", "a?z?");
    assert_shown("\xe2\x82", "??");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_stays_as_it_is),
        cmocka_unit_test(control_characters_are_question_marks),
        cmocka_unit_test(bytes_that_are_no_utf8_are_question_marks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
