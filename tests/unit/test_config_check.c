/* What a single value can not tell: names, and settings that must fit together. */
#include "config_fixture.h"

static void topics_must_be_legal(void **state)
{
    char *name = memory_printf("SINK_TOPICS=%0249d", 0);
    char *longer = memory_printf("SINK_TOPICS=%0250d", 0);
    const char *const base[] = {"KAFKA_BOOTSTRAP_SERVERS=a", "KAFKA_GROUP_ID=g", "SINK_TABLE=t"};
    const char *const wrong[] = {"SINK_TOPICS=a b",
                                 "SINK_TOPICS=.",
                                 "SINK_TOPICS=..",
                                 "SINK_TOPICS=a,,b",
                                 "SINK_TOPICS=a,",
                                 "SINK_TOPICS=caf\xc3\xa9",
                                 longer};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_false(load((const char *[]){base[0], base[1], base[2], wrong[i], NULL}));
        assert_problem("is no topic's name; it can be 1 to 249 of a-z A-Z 0-9 . _ -");
    }
    assert_true(load((const char *[]){base[0], base[1], base[2], name, NULL}));
    assert_true(
        load((const char *[]){base[0], base[1], base[2], "SINK_TOPICS=a, b-c ,d.e_F9", NULL}));
    assert_false(load((const char *[]){base[0], base[1], base[2], "SINK_TOPICS=a,b,a", NULL}));
    assert_problem("SINK_TOPICS: names a twice");
    free(name);
    free(longer);
}

static void a_regular_expression_must_compile_and_stand_alone(void **state)
{
    const char *const base[] = {"KAFKA_BOOTSTRAP_SERVERS=a", "KAFKA_GROUP_ID=g"};

    (void)state;
    assert_true(load((const char *[]){base[0], base[1], "SINK_TOPICS=^shop[.].{1,3}$", NULL}));
    assert_false(load((const char *[]){base[0], base[1], "SINK_TOPICS=^shop(", NULL}));
    assert_problem("SINK_TOPICS: is not a regular expression (");
    assert_false(load((const char *[]){base[0], base[1], "SINK_TOPICS=a,^b", NULL}));
    assert_problem("SINK_TOPICS: mixes names and a regular expression");
}

static void a_topic_of_dead_letters_must_not_be_consumed(void **state)
{
    (void)state;
    assert_true(LOAD("SINK_DEAD_LETTERS=topic", "SINK_DEAD_LETTER_TOPIC=dead"));
    assert_true(LOAD("SINK_DEAD_LETTERS=both", "SINK_DEAD_LETTER_TOPIC=dead"));
    assert_refused("SINK_DEAD_LETTERS=topic", "SINK_DEAD_LETTER_TOPIC: is required");
    assert_refused("SINK_DEAD_LETTERS=both", "SINK_DEAD_LETTER_TOPIC: is required");
    assert_refused("SINK_DEAD_LETTER_TOPIC=dead", "SINK_DEAD_LETTER_TOPIC: would not be used");
    assert_false(LOAD("SINK_DEAD_LETTERS=topic", "SINK_DEAD_LETTER_TOPIC=a b"));
    assert_problem("SINK_DEAD_LETTER_TOPIC: is no topic's name");
    assert_false(LOAD("SINK_DEAD_LETTERS=both", "SINK_DEAD_LETTER_TOPIC=orders"));
    assert_problem("SINK_DEAD_LETTER_TOPIC: is one of SINK_TOPICS");
}

static void a_regular_expression_must_not_match_the_topic_of_dead_letters(void **state)
{
    const char *const base[] = {"KAFKA_BOOTSTRAP_SERVERS=a", "KAFKA_GROUP_ID=g",
                                "SINK_DEAD_LETTERS=topic", "SINK_DEAD_LETTER_TOPIC=shop.dead"};

    (void)state;
    assert_true(
        load((const char *[]){base[0], base[1], base[2], base[3], "SINK_TOPICS=^shop[.]o", NULL}));
    assert_true(load(
        (const char *[]){base[0], base[1], base[2], base[3], "SINK_TOPICS=shop.dead2,dead", NULL}));
    assert_false(
        load((const char *[]){base[0], base[1], base[2], base[3], "SINK_TOPICS=^shop", NULL}));
    assert_problem("SINK_DEAD_LETTER_TOPIC: is one of SINK_TOPICS");
    assert_false(load((const char *[]){base[0], base[1], base[2], base[3],
                                       "SINK_TOPICS=orders, shop.dead", NULL}));
    assert_problem("SINK_DEAD_LETTER_TOPIC: is one of SINK_TOPICS");
}

#define X16 "xxxxxxxxxxxxxxxx"

static void table_names_must_not_be_cut(void **state)
{
    (void)state;
    assert_loads("SINK_TABLE=" X16 X16 X16 "xxxxxxxxxxxxxxx." X16 X16 X16 "xxxxxxxxxxxxxxx");
    assert_refused("SINK_TABLE=" X16 X16 X16 X16, "SINK_TABLE: \"" X16 X16 X16 X16
                                                  "\" has 64 bytes; PostgreSQL would silently cut "
                                                  "it to 63");
    assert_refused("SINK_TABLE=" X16 X16 X16 "xxxxxxxxxx_${topic}",
                   "SINK_TABLE: \"" X16 X16 X16
                   "xxxxxxxxxx_orders\" has 65 bytes for topic orders");
    assert_refused("SINK_TABLE=.t", "SINK_TABLE: has an empty part");
    assert_refused("SINK_TABLE=s.", "SINK_TABLE: has an empty part");
    assert_refused("SINK_TABLE=${tpic}", "SINK_TABLE: has a placeholder that is not known");
    assert_refused("SINK_TABLE=${topic}${partition}", "SINK_TABLE: has a placeholder");
    assert_refused("SINK_TABLE=a\xff", "SINK_TABLE: is not UTF-8");
}

static void names_are_short_plain_text(void **state)
{
    char *name = memory_printf("SINK_NAME=%0201d", 0);

    (void)state;
    assert_refused(name, "SINK_NAME: is too long or has control characters");
    assert_refused("SINK_NAME=a\nb", "SINK_NAME: is too long or has control characters");
    assert_refused("SINK_INSTANCE_ID=\xc3", "SINK_INSTANCE_ID: is too long");
    assert_loads("SINK_NAME=\xc3\xa9t\xc3\xa9");
    free(name);
}

static void sizes_must_fit_each_other(void **state)
{
    (void)state;
    assert_refused("SINK_POOL_MIN=9", "SINK_POOL_MIN: is above SINK_POOL_MAX; it can be 0 to 8");
    assert_refused("SINK_BATCH_BYTES=65MiB", "SINK_BATCH_BYTES: is above a quarter of "
                                             "SINK_MEMORY_LIMIT; it can be at most 64MiB");
    assert_true(LOAD("SINK_BATCH_BYTES=4MiB", "SINK_MEMORY_LIMIT=16MiB"));
    assert_loads("SINK_BATCH_BYTES=64MiB");
}

static void at_least_once_needs_durable_commits(void **state)
{
    (void)state;
    assert_false(LOAD("SINK_DELIVERY=at_least_once", "SINK_SYNCHRONOUS_COMMIT=off"));
    assert_problem("SINK_SYNCHRONOUS_COMMIT: off loses rows");
}

static void group_settings_must_fit_each_other(void **state)
{
    (void)state;
    assert_refused("KAFKA_PARTITION_ASSIGNMENT_STRATEGY=range,cooperative-sticky",
                   "KAFKA_PARTITION_ASSIGNMENT_STRATEGY: mixes eager and cooperative");
    assert_loads("KAFKA_PARTITION_ASSIGNMENT_STRATEGY=range,roundrobin");
    assert_loads("KAFKA_PARTITION_ASSIGNMENT_STRATEGY=cooperative-sticky");
    assert_refused("KAFKA_MAX_POLL_INTERVAL_MS=1000",
                   "KAFKA_MAX_POLL_INTERVAL_MS: is below KAFKA_SESSION_TIMEOUT_MS");
    assert_loads("KAFKA_GROUP_PROTOCOL=consumer");
    assert_false(LOAD("KAFKA_GROUP_PROTOCOL=consumer", "KAFKA_SESSION_TIMEOUT_MS=6000"));
    assert_problem("KAFKA_SESSION_TIMEOUT_MS: belongs to the classic protocol");
    assert_false(LOAD("KAFKA_GROUP_PROTOCOL=consumer", "KAFKA_HEARTBEAT_INTERVAL_MS=1000"));
    assert_false(LOAD("KAFKA_GROUP_PROTOCOL=consumer",
                      "KAFKA_PARTITION_ASSIGNMENT_STRATEGY=cooperative-sticky"));
}

static void logins_that_can_not_work_are_refused(void **state)
{
    (void)state;
    assert_refused("KAFKA_SECURITY_PROTOCOL=SASL_SSL", "KAFKA_SASL_MECHANISM: is required");
    assert_false(LOAD("KAFKA_SECURITY_PROTOCOL=sasl_ssl", "KAFKA_SASL_MECHANISM=GSSAPI"));
    assert_problem("KAFKA_SASL_MECHANISM: is GSSAPI, which is not built in");
    assert_false(LOAD("KAFKA_SECURITY_PROTOCOL=sasl_ssl", "KAFKA_SASL_MECHANISM=OAUTHBEARER"));
    assert_problem("KAFKA_SASL_OAUTHBEARER_METHOD: is not oidc");
    assert_true(LOAD("KAFKA_SECURITY_PROTOCOL=sasl_ssl", "KAFKA_SASL_MECHANISMS=SCRAM-SHA-512"));
}

static void a_login_among_the_brokers_is_refused_and_not_repeated(void **state)
{
    (void)state;
    assert_false(
        load((const char *[]){"KAFKA_BOOTSTRAP_SERVERS=kafka:9092,user:s3ntinel@kafka:9092",
                              "KAFKA_GROUP_ID=group", "SINK_TOPICS=orders", NULL}));
    assert_problem("KAFKA_BOOTSTRAP_SERVERS: has an @");
    assert_problem("KAFKA_SASL_PASSWORD");
    assert_null(strstr(buffer_text(&problems), "s3ntinel"));
}

static void a_uri_where_libpq_takes_none_is_refused_and_not_repeated(void **state)
{
    (void)state;
    assert_refused("PGHOST=postgres://user:s3ntinel@db/shop", "PGHOST: is a connection string");
    assert_null(strstr(buffer_text(&problems), "s3ntinel"));
    assert_refused("PGDATABASE=postgresql://db/shop?password=x", "PGDATABASE: is a connection");
    assert_refused("PGDATABASE=host=db password=s3ntinel", "PGDATABASE: is a connection string");
    assert_loads("PGHOST=@abstract,db.example");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_login_among_the_brokers_is_refused_and_not_repeated),
        cmocka_unit_test(a_uri_where_libpq_takes_none_is_refused_and_not_repeated),
        cmocka_unit_test(topics_must_be_legal),
        cmocka_unit_test(a_regular_expression_must_compile_and_stand_alone),
        cmocka_unit_test(a_topic_of_dead_letters_must_not_be_consumed),
        cmocka_unit_test(a_regular_expression_must_not_match_the_topic_of_dead_letters),
        cmocka_unit_test(table_names_must_not_be_cut),
        cmocka_unit_test(names_are_short_plain_text),
        cmocka_unit_test(sizes_must_fit_each_other),
        cmocka_unit_test(at_least_once_needs_durable_commits),
        cmocka_unit_test(group_settings_must_fit_each_other),
        cmocka_unit_test(logins_that_can_not_work_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, forget_config);
}
