/* Options of a command: what they become, and what is said of wrong ones. */
#include "command/arguments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct options {
    const char *topic;
    int64_t limit;
    bool json;
};

static const struct argument known[] = {
    {.name = "--topic",
     .type = ARGUMENT_TEXT,
     .offset = offsetof(struct options, topic),
     .value = "TOPIC",
     .doc = "Those of this topic."},
    {.name = "--limit",
     .type = ARGUMENT_NUMBER,
     .offset = offsetof(struct options, limit),
     .min = 1,
     .max = 100,
     .value = "N",
     .doc = "At most so many."},
    {.name = "--json",
     .type = ARGUMENT_FLAG,
     .offset = offsetof(struct options, json),
     .doc = "As JSON."},
    {0},
};

static struct options options;
static struct arguments_fault fault;

static bool parse(const struct argument *table, const char *const *words)
{
    int count = 0;

    options = (struct options){.limit = 7};
    while (words[count])
        count++;
    return arguments_parse(table, count, (char **)(uintptr_t)words, &options, &fault);
}

#define PARSE_WITH(table, ...) parse(table, (const char *[]){__VA_ARGS__, NULL})
#define PARSE(...)             PARSE_WITH(known, __VA_ARGS__)

static void values_replace_defaults(void **state)
{
    (void)state;
    assert_true(PARSE("--topic", "orders", "--json", "--limit", "3"));
    assert_string_equal(options.topic, "orders");
    assert_int_equal(options.limit, 3);
    assert_true(options.json);
    assert_true(PARSE("--json"));
    assert_null(options.topic);
    assert_int_equal(options.limit, 7);
}

static void a_value_may_stand_behind_an_equals_sign(void **state)
{
    (void)state;
    assert_true(PARSE("--topic=a=b", "--limit=100"));
    assert_string_equal(options.topic, "a=b");
    assert_int_equal(options.limit, 100);
}

static void a_value_may_look_like_an_option(void **state)
{
    (void)state;
    assert_true(PARSE("--topic", "--json"));
    assert_string_equal(options.topic, "--json");
    assert_false(options.json);
}

static void assert_fault(bool parsed, const char *what, const char *word, const char *suggestion)
{
    assert_false(parsed);
    assert_string_equal(fault.what, what);
    assert_string_equal(fault.word, word);
    if (suggestion)
        assert_string_equal(fault.suggestion, suggestion);
    else
        assert_null(fault.suggestion);
}

static void what_is_wrong_is_said(void **state)
{
    static const char range[] = "--limit needs a number from 1 to 100, not";

    (void)state;
    assert_fault(PARSE("--limt", "3"), "unknown option", "--limt", "--limit");
    assert_fault(PARSE("--halp"), "unknown option", "--halp", "--help");
    assert_fault(PARSE("--nothing"), "unknown option", "--nothing", NULL);
    assert_fault(PARSE("orders"), "takes options only, settings are environment variables",
                 "orders", NULL);
    assert_fault(PARSE("--json=yes"), "takes no value", "--json=yes", NULL);
    assert_fault(PARSE("--json", "--topic"), "needs a value", "--topic", NULL);
    assert_fault(PARSE("--topic="), "needs a value that is not empty", "--topic", NULL);
    assert_fault(PARSE("--limit", "0"), range, "0", NULL);
    assert_fault(PARSE("--limit", "101"), range, "101", NULL);
    assert_fault(PARSE("--limit=3x"), range, "3x", NULL);
    assert_fault(PARSE("--limit="), range, "", NULL);
    assert_fault(PARSE("--limit=99999999999999999999"), range, "99999999999999999999", NULL);
}

static void one_word_may_be_no_option(void **state)
{
    static const struct argument with_word[] = {
        {.name = "NAME",
         .type = ARGUMENT_WORD,
         .offset = offsetof(struct options, topic),
         .doc = "Which one."},
        {.name = "--json", .type = ARGUMENT_FLAG, .offset = offsetof(struct options, json)},
        {0},
    };

    (void)state;
    assert_true(PARSE_WITH(with_word, "--json", "nightly"));
    assert_string_equal(options.topic, "nightly");
    assert_true(options.json);
    assert_fault(PARSE_WITH(with_word, "nightly", "weekly"),
                 "takes options only, settings are environment variables", "weekly", NULL);
    assert_fault(PARSE_WITH(with_word, "NAME", "--NAME"), "unknown option", "--NAME", NULL);
}

static void help_has_a_line_for_each(void **state)
{
    struct buffer out = {0};

    (void)state;
    arguments_help(known, &out);
    assert_string_equal(buffer_text(&out), "  --topic TOPIC     Those of this topic.\n"
                                           "  --limit N         At most so many.\n"
                                           "  --json            As JSON.\n");
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_replace_defaults),
        cmocka_unit_test(a_value_may_stand_behind_an_equals_sign),
        cmocka_unit_test(a_value_may_look_like_an_option),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(one_word_may_be_no_option),
        cmocka_unit_test(help_has_a_line_for_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
