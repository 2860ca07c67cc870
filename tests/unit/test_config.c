/* Settings as the environment gives them: what they become, and what is said of wrong ones. */
#include "config_fixture.h"

#include <stdio.h>
#include <unistd.h>

static char folder[] = "/tmp/test_config.XXXXXX";

static char *file_with(const char *name, const char *text, size_t len)
{
    char *path = memory_printf("%s/%s", folder, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fwrite(text, 1, len, file);
    fclose(file);
    return path;
}

/* "NAME=folder/file", the file holding the text. */
static char *entry_with_file(const char *name, const char *text, size_t len)
{
    char *path = file_with("value", text, len);
    char *entry = memory_printf("%s=%s", name, path);

    free(path);
    return entry;
}

static void defaults_stand_when_nothing_else_is_said(void **state)
{
    (void)state;
    assert_true(LOAD());
    assert_string_equal(config.name, "group");
    assert_string_equal(config.group_id, "group");
    assert_string_equal(config.topics, "orders");
    assert_string_equal(config.table, "${topic}");
    assert_int_equal(config.value_format, CONFIG_VALUE_JSON);
    assert_int_equal(config.unknown_fields, CONFIG_UNKNOWN_IGNORE);
    assert_int_equal(config.batch_size, 10000);
    assert_int_equal(config.batch_bytes, 4 << 20);
    assert_int_equal(config.batch_timeout_ms, 20);
    assert_int_equal(config.pool_min, 1);
    assert_int_equal(config.pool_max, 8);
    assert_int_equal(config.workers, 0);
    assert_int_equal(config.memory_limit_bytes, 256 << 20);
    assert_int_equal(config.delivery, CONFIG_EXACTLY_ONCE);
    assert_int_equal(config.start, CONFIG_START_EARLIEST);
    assert_int_equal(config.dead_letters, CONFIG_DEAD_LETTERS_TABLE);
    assert_null(config.dead_letter_topic);
    assert_int_equal(config.dead_letter_max_share, 50);
    assert_int_equal(config.dead_letter_window, 10000);
    assert_int_equal(config.log_level, LOG_LEVEL_INFO);
    assert_int_equal(config.log_format, LOG_FORMAT_AUTO);
    assert_int_equal(config.drain_timeout_ms, 30000);
    assert_int_equal(config.connect_timeout_ms, 30000);
    assert_int_equal(config.migrate, CONFIG_MIGRATE_AUTO);
    assert_true(strlen(config.instance_id) > 0);
}

static void values_replace_defaults(void **state)
{
    (void)state;
    assert_true(LOAD("SINK_NAME=nightly", "SINK_TABLE=events.${topic}", "SINK_VALUE_FORMAT=raw",
                     "SINK_UNKNOWN_FIELDS=stop", "SINK_BATCH_SIZE=1", "SINK_POOL_MIN=0",
                     "SINK_POOL_MAX=64", "SINK_START=committed", "SINK_DEAD_LETTERS=off",
                     "SINK_LOG_LEVEL=error", "SINK_LOG_FORMAT=json", "SINK_MIGRATE=check",
                     "SINK_INSTANCE_ID=pod-0", "SINK_WORKERS=3"));
    assert_string_equal(config.name, "nightly");
    assert_string_equal(config.table, "events.${topic}");
    assert_int_equal(config.value_format, CONFIG_VALUE_RAW);
    assert_int_equal(config.unknown_fields, CONFIG_UNKNOWN_STOP);
    assert_int_equal(config.batch_size, 1);
    assert_int_equal(config.pool_min, 0);
    assert_int_equal(config.pool_max, 64);
    assert_int_equal(config.start, CONFIG_START_COMMITTED);
    assert_int_equal(config.dead_letters, CONFIG_DEAD_LETTERS_OFF);
    assert_int_equal(config.log_level, LOG_LEVEL_ERROR);
    assert_int_equal(config.log_format, LOG_FORMAT_JSON);
    assert_int_equal(config.migrate, CONFIG_MIGRATE_CHECK);
    assert_string_equal(config.instance_id, "pod-0");
    assert_int_equal(config.workers, 3);
}

static void bytes_take_binary_units(void **state)
{
    (void)state;
    assert_loads("SINK_BATCH_BYTES=65536");
    assert_int_equal(config.batch_bytes, 65536);
    assert_loads("SINK_BATCH_BYTES=2048B");
    assert_int_equal(config.batch_bytes, 2048);
    assert_loads("SINK_BATCH_BYTES=256KiB");
    assert_int_equal(config.batch_bytes, 256 << 10);
    assert_loads("SINK_BATCH_BYTES=8Mi");
    assert_int_equal(config.batch_bytes, 8 << 20);
    assert_loads("SINK_MEMORY_LIMIT=64GiB");
    assert_int_equal(config.memory_limit_bytes, INT64_C(64) << 30);
}

static void synchronous_commit_follows_delivery(void **state)
{
    (void)state;
    assert_true(LOAD());
    assert_false(config.synchronous_commit);
    assert_loads("SINK_DELIVERY=at_least_once");
    assert_true(config.synchronous_commit);
    assert_loads("SINK_SYNCHRONOUS_COMMIT=on");
    assert_true(config.synchronous_commit);
}

static void empty_is_not_set(void **state)
{
    (void)state;
    assert_true(LOAD("SINK_BATCH_SIZE=", "SINK_NAME=", "KAFKA_SASL_PASSWORD=", "SINK_NO_SUCH=",
                     "KAFKA_NO_SUCH="));
    assert_int_equal(config.batch_size, 10000);
    assert_string_equal(config.name, "group");
    assert_int_equal(config.properties_count, 2);
}

static void the_first_of_two_equal_names_counts(void **state)
{
    (void)state;
    assert_true(LOAD("KAFKA_GROUP_ID=second", "SINK_NAME=a", "SINK_NAME=b"));
    assert_string_equal(config.group_id, "group");
    assert_string_equal(config.name, "a");
}

static void a_file_gives_the_value_without_its_line_end(void **state)
{
    static const char *const texts[] = {"hunter2", "hunter2\n", "hunter2\r\n"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char *entry = entry_with_file("KAFKA_SASL_PASSWORD_FILE", texts[i], strlen(texts[i]));
        assert_loads(entry);
        assert_string_equal(config.properties[2].value, "hunter2");
        assert_string_equal(config.properties[2].name, "sasl.password");
        assert_string_equal(config.properties[2].variable, "KAFKA_SASL_PASSWORD");
        assert_true(config.properties[2].secret);
        free(entry);
    }
}

static void every_option_can_come_from_a_file(void **state)
{
    char *entry = entry_with_file("SINK_BATCH_SIZE_FILE", "77\n", 3);

    (void)state;
    assert_loads(entry);
    assert_int_equal(config.batch_size, 77);
    free(entry);
}

static void a_file_must_be_there_and_hold_text(void **state)
{
    char *empty = entry_with_file("KAFKA_SASL_PASSWORD_FILE", "\n", 1);

    (void)state;
    assert_refused(empty, "KAFKA_SASL_PASSWORD_FILE: the file is empty");
    free(empty);
    char *binary = entry_with_file("KAFKA_SASL_PASSWORD_FILE", "a\0b", 3);
    assert_refused(binary, "KAFKA_SASL_PASSWORD_FILE: the file has a NUL byte");
    free(binary);
    assert_refused("SINK_NAME_FILE=/nonexistent/x", "SINK_NAME_FILE: the file can not be opened");
    assert_refused("SINK_NAME_FILE=/tmp", "SINK_NAME_FILE: the file can not be read");
    assert_refused("SINK_NAME_FILE=/dev/zero", "SINK_NAME_FILE: the file is larger than 1 MiB");
    assert_refused("PGPASSWORD_FILE=/nonexistent/x", "PGPASSWORD_FILE: the file can not be opened");
}

static void a_required_setting_from_a_bad_file_has_one_problem(void **state)
{
    (void)state;
    assert_false(load((const char *[]){"KAFKA_BOOTSTRAP_SERVERS=a", "KAFKA_GROUP_ID_FILE=/no/x",
                                       "SINK_TOPICS_FILE=/no/x", NULL}));
    assert_string_equal(buffer_text(&problems),
                        "KAFKA_GROUP_ID_FILE: the file can not be opened: No such file or "
                        "directory; name a file that this user can read\n"
                        "SINK_TOPICS_FILE: the file can not be opened: No such file or "
                        "directory; name a file that this user can read\n");
}

static void value_and_file_together_are_refused(void **state)
{
    (void)state;
    assert_false(LOAD("SINK_NAME=a", "SINK_NAME_FILE=/tmp/b", "KAFKA_SASL_PASSWORD=a",
                      "KAFKA_SASL_PASSWORD_FILE=/tmp/b", "PGPASSWORD=a", "PGPASSWORD_FILE=/tmp/b"));
    assert_string_equal(
        buffer_text(&problems),
        "KAFKA_SASL_PASSWORD: is set together with KAFKA_SASL_PASSWORD_FILE; set one of the two\n"
        "SINK_NAME: is set together with SINK_NAME_FILE; set one of the two\n"
        "PGPASSWORD: is set together with PGPASSWORD_FILE; set one of the two\n");
}

static void the_password_is_read_anew_each_time(void **state)
{
    struct err err;
    char *path = file_with("password", "first\n", 6);

    (void)state;
    unsetenv("PGPASSWORD_FILE");
    assert_null(config_password(&err));
    assert_int_equal(err.class, ERR_NONE);
    setenv("PGPASSWORD_FILE", path, 1);
    char *password = config_password(&err);
    assert_string_equal(password, "first");
    free(password);
    free(file_with("password", "second", 6));
    password = config_password(&err);
    assert_string_equal(password, "second");
    free(password);
    unlink(path);
    assert_null(config_password(&err));
    assert_int_equal(err.class, ERR_OUTAGE);
    assert_string_equal(err.text, "PGPASSWORD_FILE: the file can not be opened: No such file or "
                                  "directory");
    unsetenv("PGPASSWORD_FILE");
    free(path);
}

static void what_is_required_is_asked_for(void **state)
{
    (void)state;
    assert_false(load((const char *[]){NULL}));
    assert_problem("KAFKA_BOOTSTRAP_SERVERS: is required");
    assert_problem("KAFKA_GROUP_ID: is required");
    assert_problem("SINK_TOPICS: is required");
}

/* What talks to PostgreSQL alone. */
static bool load_postgres(const char *entry)
{
    return load_with(config_load_postgres, (const char *[]){entry, NULL});
}

static void postgresql_alone_needs_nothing_of_kafka(void **state)
{
    (void)state;
    assert_true(load_postgres(NULL));
    assert_string_equal(config.name, "pgsluice");
    assert_null(config.topics);
    assert_true(load_postgres("KAFKA_GROUP_ID=group"));
    assert_string_equal(config.name, "group");
}

static void what_is_set_has_to_be_right_all_the_same(void **state)
{
    (void)state;
    assert_false(load_postgres("SINK_TOPICS=a,a"));
    assert_problem("SINK_TOPICS: names a twice");
    assert_false(load_postgres("SINK_MIRGATE=auto"));
    assert_problem("did you mean SINK_MIGRATE?");
    assert_false(load_postgres("KAFKA_GROUP_ID_FILE=/nonexistent/file"));
    assert_problem("KAFKA_GROUP_ID_FILE: ");
}

static void topics_are_taken_apart(void **state)
{
    (void)state;
    assert_true(LOAD());
    assert_int_equal(config.topic_names_count, 1);
    assert_string_equal(config.topic_names[0], "orders");
    assert_true(load((const char *[]){"KAFKA_BOOTSTRAP_SERVERS=localhost:9092",
                                      "KAFKA_GROUP_ID=group", "SINK_TOPICS= a ,b,\tc", NULL}));
    assert_int_equal(config.topic_names_count, 3);
    assert_string_equal(config.topic_names[0], "a");
    assert_string_equal(config.topic_names[2], "c");
    assert_true(config_reads_topic(&config, "b"));
    assert_false(config_reads_topic(&config, "a "));
}

static void a_regex_is_not(void **state)
{
    (void)state;
    assert_true(load((const char *[]){"KAFKA_BOOTSTRAP_SERVERS=localhost:9092",
                                      "KAFKA_GROUP_ID=group", "SINK_TOPICS=^(a,b|c)$", NULL}));
    assert_int_equal(config.topic_names_count, 0);
    assert_true(config_reads_topic(&config, "a,b"));
}

static void numbers_are_whole_and_in_range(void **state)
{
    (void)state;
    assert_refused("SINK_BATCH_SIZE=0", "SINK_BATCH_SIZE: is out of range; it can be 1 to 1000000");
    assert_refused("SINK_BATCH_SIZE=1000001", "SINK_BATCH_SIZE: is out of range");
    assert_refused("SINK_BATCH_SIZE=99999999999999999999", "SINK_BATCH_SIZE: is out of range");
    assert_refused("SINK_BATCH_SIZE=-1", "SINK_BATCH_SIZE: is not a whole number");
    assert_refused("SINK_BATCH_SIZE= 1", "SINK_BATCH_SIZE: is not a whole number");
    assert_refused("SINK_BATCH_SIZE=1e4", "SINK_BATCH_SIZE: is not a whole number");
    assert_refused("SINK_BATCH_SIZE=10KiB", "SINK_BATCH_SIZE: is not a whole number");
    assert_refused("SINK_BATCH_TIMEOUT_MS=60001",
                   "SINK_BATCH_TIMEOUT_MS: is out of range; it can be 0 to 60000 milliseconds");
    assert_refused("SINK_POOL_MAX=0", "SINK_POOL_MAX: is out of range");
    assert_refused("SINK_CONNECT_TIMEOUT_MS=999", "SINK_CONNECT_TIMEOUT_MS: is out of range");
    assert_refused("SINK_DRAIN_TIMEOUT_MS=600001", "SINK_DRAIN_TIMEOUT_MS: is out of range");
}

static void bytes_with_other_units_are_refused(void **state)
{
    (void)state;
    assert_refused("SINK_BATCH_BYTES=4MB",
                   "SINK_BATCH_BYTES: is not a number of bytes such as 4MiB");
    assert_refused("SINK_BATCH_BYTES=4 MiB", "SINK_BATCH_BYTES: is not a number of bytes");
    assert_refused("SINK_BATCH_BYTES=MiB", "SINK_BATCH_BYTES: is not a number of bytes");
    assert_refused("SINK_BATCH_BYTES=1023", "SINK_BATCH_BYTES: is out of range");
    assert_refused("SINK_BATCH_BYTES=9223372036854775807GiB", "SINK_BATCH_BYTES: is out of range");
    assert_refused("SINK_MEMORY_LIMIT=15MiB",
                   "SINK_MEMORY_LIMIT: is out of range; it can be 16MiB to 64GiB");
}

static void choices_are_listed(void **state)
{
    (void)state;
    assert_refused("SINK_DELIVERY=Exactly_once",
                   "SINK_DELIVERY: is not a known value; it can be exactly_once or at_least_once");
    assert_refused("SINK_LOG_LEVEL=trace",
                   "SINK_LOG_LEVEL: is not a known value; it can be debug, info, warn or error");
    assert_refused("SINK_SYNCHRONOUS_COMMIT=true",
                   "SINK_SYNCHRONOUS_COMMIT: is not a known value; it can be off or on");
    assert_refused("SINK_VALUE_FORMAT=avro", "SINK_VALUE_FORMAT: is not a known value");
}

static void unknown_names_get_a_suggestion(void **state)
{
    (void)state;
    assert_refused("SINK_TOPIC=a", "SINK_TOPIC: is not a setting; did you mean SINK_TOPICS?");
    assert_refused("SINK_BACTH_SIZE=1", "SINK_BACTH_SIZE: is not a setting; did you mean "
                                        "SINK_BATCH_SIZE?");
    assert_refused("SINK_POOL_MAXX_FILE=/x", "SINK_POOL_MAXX_FILE: is not a setting; did you mean "
                                             "SINK_POOL_MAX_FILE?");
    assert_refused("SINK_INSERT_MODE=upsert", "SINK_INSERT_MODE: is not a setting; see");
    assert_refused("SINK_GROUP_ID=a",
                   "SINK_GROUP_ID: is not a setting; did you mean KAFKA_GROUP_ID?");
    assert_refused("KAFKA_TOPICS=a",
                   "KAFKA_TOPICS: is not a property of librdkafka; did you mean SINK_TOPICS?");
    assert_refused("KAFKA_SESION_TIMEOUT_MS=1",
                   "KAFKA_SESION_TIMEOUT_MS: is not a property of librdkafka; did you mean "
                   "KAFKA_SESSION_TIMEOUT_MS?");
    assert_refused("KAFKA_group_id=a",
                   "KAFKA_group_id: is not a property of librdkafka; did you mean KAFKA_GROUP_ID?");
    assert_refused("KAFKA_SASL_PASWORD_FILE=/x",
                   "KAFKA_SASL_PASWORD_FILE: is not a property of librdkafka; did you mean "
                   "KAFKA_SASL_PASSWORD_FILE?");
    assert_refused("KAFKA_=a", "KAFKA_: is not a property of librdkafka");
    assert_refused("SINK_=a", "SINK_: is not a setting");
}

static void everything_is_said_at_once(void **state)
{
    (void)state;
    assert_false(LOAD("SINK_BATCH_SIZE=x", "SINK_TOPIC=a", "KAFKA_CHECK_CRCS=false",
                      "SINK_POOL_MIN=9", "KAFKA_NO_SUCH=1"));
    assert_problem("SINK_BATCH_SIZE: ");
    assert_problem("SINK_TOPIC: ");
    assert_problem("KAFKA_CHECK_CRCS: ");
    assert_problem("SINK_POOL_MIN: ");
    assert_problem("KAFKA_NO_SUCH: ");
}

static void problems_are_one_line_each_without_control_characters(void **state)
{
    (void)state;
    assert_refused("SINK_A\x1b[2J\nKAFKA_FORGED: x=1", "SINK_A?[2J?KAFKA_FORGED: x: is not");
    assert_refused("SINK_TABLE=\x1b${topic}\n${x}", "SINK_TABLE: has a placeholder");
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char *path = memory_printf("%s/value", folder);

    unlink(path);
    free(path);
    forget_config(state);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_stand_when_nothing_else_is_said),
        cmocka_unit_test(values_replace_defaults),
        cmocka_unit_test(bytes_take_binary_units),
        cmocka_unit_test(synchronous_commit_follows_delivery),
        cmocka_unit_test(empty_is_not_set),
        cmocka_unit_test(the_first_of_two_equal_names_counts),
        cmocka_unit_test(a_file_gives_the_value_without_its_line_end),
        cmocka_unit_test(every_option_can_come_from_a_file),
        cmocka_unit_test(a_file_must_be_there_and_hold_text),
        cmocka_unit_test(a_required_setting_from_a_bad_file_has_one_problem),
        cmocka_unit_test(value_and_file_together_are_refused),
        cmocka_unit_test(the_password_is_read_anew_each_time),
        cmocka_unit_test(what_is_required_is_asked_for),
        cmocka_unit_test(postgresql_alone_needs_nothing_of_kafka),
        cmocka_unit_test(what_is_set_has_to_be_right_all_the_same),
        cmocka_unit_test(topics_are_taken_apart),
        cmocka_unit_test(a_regex_is_not),
        cmocka_unit_test(numbers_are_whole_and_in_range),
        cmocka_unit_test(bytes_with_other_units_are_refused),
        cmocka_unit_test(choices_are_listed),
        cmocka_unit_test(unknown_names_get_a_suggestion),
        cmocka_unit_test(everything_is_said_at_once),
        cmocka_unit_test(problems_are_one_line_each_without_control_characters),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
