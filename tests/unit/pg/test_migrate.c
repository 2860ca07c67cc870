/* The migrations that are compiled in. Applying and checking them needs a server. */
#include "pg/migrate.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void they_are_numbered_from_one_without_gaps(void **state)
{
    (void)state;
    assert_true(migrations_count > 0);
    for (size_t i = 0; i < migrations_count; i++)
        assert_int_equal(migrations[i].version, i + 1);
}

/* It stands in SQL between quotes, and in messages. */
static void their_names_are_plain_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < migrations_count; i++) {
        assert_true(strlen(migrations[i].name) > 0);
        for (const char *at = migrations[i].name; *at; at++)
            assert_true(islower(*at) || isdigit(*at) || *at == '_');
    }
}

static void their_texts_are_those_of_the_files(void **state)
{
    char path[256];

    (void)state;
    for (size_t i = 0; i < migrations_count; i++) {
        snprintf(path, sizeof(path), "migrations/%04d_%s.sql", migrations[i].version,
                 migrations[i].name);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        char *text = calloc(1, 1024 * 1024);
        size_t len = fread(text, 1, 1024 * 1024 - 1, file);
        fclose(file);
        assert_true(len > 0 && len < 1024 * 1024 - 1);
        assert_string_equal(migrations[i].sql, text);
        free(text);
    }
}

/* They run inside the transaction of all of them. */
static void they_leave_the_transaction_alone(void **state)
{
    static const char *const words[] = {"\nBEGIN;", "\nCOMMIT", "\nROLLBACK", "CONCURRENTLY"};

    (void)state;
    for (size_t i = 0; i < migrations_count; i++)
        for (size_t word = 0; word < 4; word++)
            assert_null(strstr(migrations[i].sql, words[word]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_numbered_from_one_without_gaps),
        cmocka_unit_test(their_names_are_plain_words),
        cmocka_unit_test(their_texts_are_those_of_the_files),
        cmocka_unit_test(they_leave_the_transaction_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
