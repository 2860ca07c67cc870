/* What is printed: no secret, one line a setting, and the same settings when given back. */
#include "config_fixture.h"

static const char *printed(void)
{
    static struct buffer out;

    buffer_reset(&out);
    config_print(&config, &out);
    return buffer_text(&out);
}

static void printing_masks_secrets(void **state)
{
    static const char *const entries[] = {
        "KAFKA_SASL_PASSWORD=s3ntinel",
        "KAFKA_SSL_KEY_PASSWORD=s3ntinel",
        "KAFKA_SSL_KEY_PEM=s3ntinel",
        "KAFKA_SSL_KEYSTORE_PASSWORD=s3ntinel",
        "KAFKA_SASL_OAUTHBEARER_CONFIG=s3ntinel",
        "KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET=s3ntinel",
        "KAFKA_SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE=s3ntinel",
        "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL=https://user:s3ntinel@idp/token",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(entries); i++) {
        char *line = memory_printf("\n%.*s=********\n", (int)strcspn(entries[i], "="), entries[i]);
        assert_loads(entries[i]);
        assert_null(strstr(printed(), "s3ntinel"));
        assert_non_null(strstr(printed(), line));
        free(line);
    }
}

static void printing_shows_what_is_no_secret(void **state)
{
    (void)state;
    assert_true(LOAD("KAFKA_SASL_USERNAME=sink", "KAFKA_SSL_KEY_LOCATION=/etc/key",
                     "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL=https://idp/token"));
    assert_non_null(strstr(printed(), "\nKAFKA_SASL_USERNAME=sink\n"));
    assert_non_null(strstr(printed(), "\nKAFKA_SSL_KEY_LOCATION=/etc/key\n"));
    assert_non_null(strstr(printed(), "\nKAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL=https://idp/"));
}

static void printing_masks_the_password_of_postgresql(void **state)
{
    (void)state;
    setenv("PGPASSWORD", "s3ntinel", 1);
    setenv("PGHOST", "db.example", 1);
    assert_true(LOAD());
    assert_non_null(strstr(printed(), "\nPGPASSWORD=********\n"));
    assert_non_null(strstr(printed(), "\nPGHOST=db.example\n"));
    assert_null(strstr(printed(), "s3ntinel"));
    unsetenv("PGPASSWORD");
    unsetenv("PGHOST");
}

/* What is printed can be given back and means the same. */
static void what_is_printed_loads_again(void **state)
{
    char *entries[64] = {NULL};
    size_t count = 0;
    struct config again;

    (void)state;
    assert_true(
        LOAD("SINK_BATCH_BYTES=1536KiB", "SINK_MEMORY_LIMIT=33554433", "SINK_LOG_LEVEL=warn"));
    char *text = memory_strdup(printed());
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n"))
        entries[count++] = line;
    assert_true(config_load(&again, entries, &problems));
    assert_int_equal(again.batch_bytes, 1536 << 10);
    assert_int_equal(again.memory_limit_bytes, 33554433);
    assert_int_equal(again.log_level, LOG_LEVEL_WARN);
    assert_int_equal(again.synchronous_commit, config.synchronous_commit);
    config_finish(&again);
    free(text);
}

static void a_value_is_printed_on_one_line(void **state)
{
    (void)state;
    assert_true(LOAD("KAFKA_CLIENT_ID=a\nSINK_NAME=forged"));
    assert_non_null(strstr(printed(), "KAFKA_CLIENT_ID=a\\x0aSINK_NAME=forged\n"));
}

static void help_fits_a_hundred_columns(void **state)
{
    struct buffer out = {0};

    (void)state;
    config_help(&out);
    char *text = memory_strdup(buffer_text(&out));
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        assert_true(strlen(line) <= 100);
        assert_true(!*line || line[strlen(line) - 1] != ' ');
    }
    assert_non_null(strstr(buffer_text(&out), "\n  SINK_POOL_MAX "));
    free(text);
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printing_masks_secrets),
        cmocka_unit_test(printing_shows_what_is_no_secret),
        cmocka_unit_test(printing_masks_the_password_of_postgresql),
        cmocka_unit_test(what_is_printed_loads_again),
        cmocka_unit_test(a_value_is_printed_on_one_line),
        cmocka_unit_test(help_fits_a_hundred_columns),
    };

    return cmocka_run_group_tests(tests, NULL, forget_config);
}
