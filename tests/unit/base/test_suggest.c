/* Distances of known pairs, and which of several words is offered. */
#include "base/suggest.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void distance_counts_edits(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        size_t distance;
    } pairs[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"run", "run", 0},
        {"run", "RUN", 0},
        {"rnu", "run", 1},
        {"topic", "topics", 1},
        {"config", "cnfig", 1},
        {"kitten", "sitting", 3},
        {"ca", "abc", 3},
        {"migrate", "mirgate", 1},
        {"abcdef", "badcfe", 3},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        assert_int_equal(suggest_distance(pairs[i].a, pairs[i].b), pairs[i].distance);
        assert_int_equal(suggest_distance(pairs[i].b, pairs[i].a), pairs[i].distance);
    }
}

static void long_words_are_like_nothing(void **state)
{
    char word[SUGGEST_WORD_BYTES + 2];

    (void)state;
    memset(word, 'x', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    assert_true(suggest_distance(word, word) == SIZE_MAX);
    word[SUGGEST_WORD_BYTES] = '\0';
    assert_int_equal(suggest_distance(word, word), 0);
}

static const char *suggested(const char *typed)
{
    static const char *const words[] = {"run", "migrate", "config", "--version"};
    struct suggestion best = {0};

    for (size_t i = 0; i < COUNT_OF(words); i++)
        suggest_consider(&best, typed, words[i]);
    return best.word;
}

static void the_nearest_word_is_offered(void **state)
{
    (void)state;
    assert_string_equal(suggested("rum"), "run");
    assert_string_equal(suggested("migarte"), "migrate");
    assert_string_equal(suggested("confg"), "config");
    assert_string_equal(suggested("--verison"), "--version");
}

static void nothing_is_offered_when_nothing_is_near(void **state)
{
    (void)state;
    assert_null(suggested("backfill"));
    assert_null(suggested(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distance_counts_edits),
        cmocka_unit_test(long_words_are_like_nothing),
        cmocka_unit_test(the_nearest_word_is_offered),
        cmocka_unit_test(nothing_is_offered_when_nothing_is_near),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
