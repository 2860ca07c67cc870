/* The login of a real client follows its files. */
#include "kafka/credentials.h"

#include "captured_log.h"
#include "config_fixture.h"
#include "virtual_loop.h"

#include <stdio.h>
#include <unistd.h>

static uv_loop_t loop;
static rd_kafka_t *clients[2];
static struct credentials credentials;
static char path[] = "/tmp/pgsluice-credentials-XXXXXX";

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static rd_kafka_t *make_client(const char *user, const char *password)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char reason[256];

    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    rd_kafka_conf_set(conf, "security.protocol", "sasl_plaintext", NULL, 0);
    rd_kafka_conf_set(conf, "sasl.mechanism", "PLAIN", NULL, 0);
    rd_kafka_conf_set(conf, "sasl.username", user, NULL, 0);
    rd_kafka_conf_set(conf, "sasl.password", password, NULL, 0);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
    assert_non_null(client);
    return client;
}

static void assert_login(const char *user, const char *password)
{
    for (int i = 0; i < 2; i++) {
        char value[64];
        size_t size = sizeof(value);
        rd_kafka_conf_get(rd_kafka_conf(clients[i]), "sasl.username", value, &size);
        assert_string_equal(value, user);
        size = sizeof(value);
        rd_kafka_conf_get(rd_kafka_conf(clients[i]), "sasl.password", value, &size);
        assert_string_equal(value, password);
    }
}

static void pass(int64_t ms)
{
    virtual_now_ms += ms;
    loop_turn(&loop);
}

static int begin(void **state)
{
    int file = mkstemp(path);

    (void)state;
    close(file);
    log_forget();
    for (int i = 0; i < 2; i++)
        clients[i] = make_client("user", "first");
    return 0;
}

static int end(void **state)
{
    (void)state;
    credentials_close(&credentials);
    credentials_finish(&credentials);
    for (int i = 0; i < 2; i++)
        rd_kafka_destroy(clients[i]);
    unlink(path);
    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    return 0;
}

/* With the password from the file, or the user, or neither. */
static void open_with(const char *user, const char *password)
{
    char *texts[] = {memory_printf("%s=%s", user, strstr(user, "_FILE") ? path : "user"),
                     memory_printf("%s=%s", password, strstr(password, "_FILE") ? path : "first")};

    assert_true(LOAD("KAFKA_SECURITY_PROTOCOL=sasl_plaintext", "KAFKA_SASL_MECHANISM=PLAIN",
                     texts[0], texts[1]));
    credentials_open(&credentials, &loop, &config, clients[0], clients[1]);
    free(texts[0]);
    free(texts[1]);
}

static void a_password_that_changes_is_told_to_every_client(void **state)
{
    (void)state;
    write_file("first\n");
    open_with("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD_FILE");
    pass(3000);
    assert_int_equal(log_said("info login of Kafka has changed"), 0);
    write_file("second\n");
    pass(3000);
    assert_login("user", "second");
    write_file("third\n");
    pass(3000);
    pass(3000);
    assert_login("user", "third");
    assert_int_equal(log_said("info login of Kafka has changed"), 2);
}

static void a_user_that_changes_too(void **state)
{
    (void)state;
    write_file("user");
    open_with("KAFKA_SASL_USERNAME_FILE", "KAFKA_SASL_PASSWORD");
    write_file("other");
    pass(3000);
    assert_login("other", "first");
}

static void a_file_that_is_away_changes_nothing(void **state)
{
    (void)state;
    write_file("first");
    open_with("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD_FILE");
    unlink(path);
    pass(3000);
    assert_login("user", "first");
    assert_true(log_said("warn login of Kafka can't be read") > 0);
    write_file("second");
    pass(3000);
    assert_login("user", "second");
}

static void without_files_nothing_is_read(void **state)
{
    (void)state;
    open_with("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD");
    pass(3000);
    assert_login("user", "first");
    assert_null(credentials.user);
}

#define CREDENTIALS_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CREDENTIALS_TEST(a_password_that_changes_is_told_to_every_client),
        CREDENTIALS_TEST(a_user_that_changes_too),
        CREDENTIALS_TEST(a_file_that_is_away_changes_nothing),
        CREDENTIALS_TEST(without_files_nothing_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, forget_config);
}
