/* KAFKA_ variables: which property each becomes, and which are refused. */
#include "config_fixture.h"

static void properties_keep_name_value_and_variable(void **state)
{
    (void)state;
    assert_true(LOAD("KAFKA_SESSION_TIMEOUT_MS=6000"));
    assert_int_equal(config.properties_count, 3);
    assert_string_equal(config.properties[2].name, "session.timeout.ms");
    assert_string_equal(config.properties[2].value, "6000");
    assert_string_equal(config.properties[2].variable, "KAFKA_SESSION_TIMEOUT_MS");
    assert_false(config.properties[2].secret);
}

/* librdkafka has a few of its own that end with .file: they name a file, they are not read. */
static void properties_that_end_with_file_stay_what_they_are(void **state)
{
    (void)state;
    assert_loads("KAFKA_SASL_OAUTHBEARER_ASSERTION_FILE=/nonexistent/x");
    assert_string_equal(config.properties[2].name, "sasl.oauthbearer.assertion.file");
    assert_string_equal(config.properties[2].value, "/nonexistent/x");
}

static void service_links_of_kubernetes_are_not_for_us(void **state)
{
    (void)state;
    assert_true(LOAD("KAFKA_SERVICE_HOST=10.0.0.1", "KAFKA_SERVICE_PORT=9092",
                     "KAFKA_SERVICE_PORT_TCP_CLIENT=9092", "KAFKA_PORT=tcp://10.0.0.1:9092",
                     "KAFKA_PORT_9092_TCP=tcp://10.0.0.1:9092", "KAFKA_PORT_9092_TCP_PROTO=tcp",
                     "KAFKA_PORT_9092_TCP_PORT=9092", "KAFKA_PORT_9092_TCP_ADDR=10.0.0.1",
                     "SINK_SERVICE_HOST=10.0.0.2", "SINK_PORT=tcp://10.0.0.2:8080"));
    assert_int_equal(config.properties_count, 2);
    assert_refused("KAFKA_PORT=9092", "KAFKA_PORT: is not a property");
}

static void librdkafka_judges_the_value(void **state)
{
    (void)state;
    assert_refused("KAFKA_SESSION_TIMEOUT_MS=soon",
                   "KAFKA_SESSION_TIMEOUT_MS: Invalid value for configuration property "
                   "\"session.timeout.ms\"; it can be 1 .. 3600000");
    assert_refused("KAFKA_SECURITY_PROTOCOL=tls", "KAFKA_SECURITY_PROTOCOL: Invalid value");
    assert_refused("KAFKA_OPAQUE=1", "KAFKA_OPAQUE: Property \"opaque\" must be set through");
}

static void what_would_break_delivery_is_refused(void **state)
{
    static const char *const entries[] = {
        "KAFKA_ENABLE_AUTO_COMMIT=true",
        "KAFKA_AUTO_COMMIT_ENABLE=true",
        "KAFKA_AUTO_COMMIT_INTERVAL_MS=100",
        "KAFKA_ENABLE_AUTO_OFFSET_STORE=1",
        "KAFKA_AUTO_OFFSET_RESET=earliest",
        "KAFKA_ENABLE_PARTITION_EOF=true",
        "KAFKA_ISOLATION_LEVEL=read_uncommitted",
        "KAFKA_CHECK_CRCS=false",
        "KAFKA_ALLOW_AUTO_CREATE_TOPICS=true",
        "KAFKA_PLUGIN_LIBRARY_PATHS=/lib/x.so",
        "KAFKA_QUEUED_MAX_MESSAGES_KBYTES=1000",
        "KAFKA_QUEUED_MIN_MESSAGES=1000",
        "KAFKA_MAX_POLL_RECORDS=500",
        "KAFKA_OFFSET_STORE_METHOD=file",
        "KAFKA_METADATA_BROKER_LIST=other:9092",
        "KAFKA_ENABLE_IDEMPOTENCE=false",
        "KAFKA_TRANSACTIONAL_ID=sink",
        "KAFKA_MESSAGE_TIMEOUT_MS=1000",
        "KAFKA_DELIVERY_TIMEOUT_MS=1000",
        "KAFKA_DELIVERY_REPORT_ONLY_ERROR=true",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(entries); i++) {
        char *start =
            memory_printf("%.*s: is refused: ", (int)strcspn(entries[i], "="), entries[i]);
        assert_refused(entries[i], start);
        free(start);
    }
    assert_refused("KAFKA_AUTO_OFFSET_RESET=latest", "KAFKA_AUTO_OFFSET_RESET: is refused: jumping "
                                                     "to another offset would skip records; use "
                                                     "SINK_START");
}

/* A setting taken over from another client is no error when it says what holds anyway. */
static void our_own_values_are_not_refused(void **state)
{
    (void)state;
    assert_loads("KAFKA_ENABLE_AUTO_COMMIT=FALSE");
    assert_loads("KAFKA_AUTO_OFFSET_RESET=error");
    assert_loads("KAFKA_ISOLATION_LEVEL=read_committed");
    assert_loads("KAFKA_CHECK_CRCS=1");
    assert_loads("KAFKA_ENABLE_IDEMPOTENCE=true");
    assert_loads("KAFKA_MESSAGE_TIMEOUT_MS=0");
}

static void properties_know_whose_they_are(void **state)
{
    (void)state;
    assert_true(LOAD("KAFKA_LINGER_MS=5", "KAFKA_SESSION_TIMEOUT_MS=6000", "KAFKA_ACKS=all",
                     "KAFKA_SECURITY_PROTOCOL=plaintext"));
    for (size_t i = 0; i < config.properties_count; i++) {
        const struct config_property *property = &config.properties[i];
        bool producers =
            strcmp(property->name, "linger.ms") == 0 || strcmp(property->name, "acks") == 0;
        bool consumers = strcmp(property->name, "session.timeout.ms") == 0 ||
                         strcmp(property->name, "group.id") == 0;
        assert_int_equal(property->scope, producers ? 'P' : consumers ? 'C' : '*');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_keep_name_value_and_variable),
        cmocka_unit_test(properties_that_end_with_file_stay_what_they_are),
        cmocka_unit_test(service_links_of_kubernetes_are_not_for_us),
        cmocka_unit_test(librdkafka_judges_the_value),
        cmocka_unit_test(what_would_break_delivery_is_refused),
        cmocka_unit_test(our_own_values_are_not_refused),
        cmocka_unit_test(properties_know_whose_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, forget_config);
}
