/* The text of samples. */
#include "pg/lag_history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct lag_history_partition partitions[] = {
    {.topic = "a.b",
     .state = "RUNNING",
     .partition = 0,
     .topic_partitions = 2,
     .committed_offset = 10,
     .end_offset = 12,
     .lag = 2,
     .lag_ms = 1500,
     .latency_ms = 20,
     .records_read = 11,
     .rows_written = 9,
     .dead_letters = 1,
     .assigned_ms = 1000,
     .consumed_ms = 2000,
     .written_ms = 3000},
    {.topic = "NULL",
     .state = "STARTING",
     .partition = 7,
     .topic_partitions = -1,
     .committed_offset = -1,
     .end_offset = -1,
     .lag = -1,
     .lag_ms = -1,
     .latency_ms = -1,
     .assigned_ms = 1000,
     .consumed_ms = -1,
     .written_ms = -1},
};

static const struct lag_history_instance instance = {.sink = "it's",
                                                     .instance = "back\\slash",
                                                     .group_id = "g",
                                                     .client_id = "c",
                                                     .version = "1.2.3",
                                                     .started_ms = 5000,
                                                     .lifetime_ms = 95000,
                                                     .rebalances_count = 1,
                                                     .session_losses_count = 2,
                                                     .commits_count = 3,
                                                     .failed_commits_count = 4,
                                                     .kafka_commits_count = 5,
                                                     .failed_kafka_commits_count = 6,
                                                     .rows_count = 7,
                                                     .dead_letters_count = 8,
                                                     .partitions = partitions,
                                                     .partitions_count = 2};

static const char who[] = "E'it''s', E'back\\\\slash', to_timestamp(5000 / 1000.0)";

static bool has(struct buffer *sql, const char *text)
{
    return strstr(buffer_text(sql), text) != NULL;
}

static void a_sample_is_of_the_instance_and_all_its_partitions(void **state)
{
    struct buffer sql = {0};

    (void)state;
    lag_history_sample_sql(&sql, &instance);
    assert_true(has(&sql, who));
    assert_true(has(&sql, ", E'g', E'c', E'1.2.3', 95000 * interval '1 ms', 2, 1, 2, 3, 4, 5, 6, "
                          "7, 8); SELECT pgsluice.sample_partitions("));
    assert_true(has(&sql, ", '{\"a.b\",\"NULL\"}', '{\"RUNNING\",\"STARTING\"}', '{0,7}', "
                          "'{2,NULL}', '{10,NULL}', '{12,NULL}', '{2,NULL}', '{1500,NULL}', "
                          "'{20,NULL}', '{11,0}', '{9,0}', '{1,0}', '{1000,1000}', '{2000,NULL}', "
                          "'{3000,NULL}');"));
    buffer_finish(&sql);
}

static void one_without_partitions_is_of_the_instance_alone(void **state)
{
    struct lag_history_instance idle = instance;
    struct buffer sql = {0};

    (void)state;
    idle.partitions_count = 0;
    lag_history_sample_sql(&sql, &idle);
    assert_true(has(&sql, "sample_instance("));
    assert_false(has(&sql, "sample_partitions("));
    buffer_finish(&sql);
}

static void it_waits_neither_for_locks_nor_for_the_disk(void **state)
{
    struct buffer sql = {0};

    (void)state;
    lag_history_sample_sql(&sql, &instance);
    assert_true(has(&sql, "SET LOCAL synchronous_commit = off"));
    assert_true(has(&sql, "SET LOCAL lock_timeout"));
    assert_true(has(&sql, "SET LOCAL statement_timeout"));
    buffer_finish(&sql);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_is_of_the_instance_and_all_its_partitions),
        cmocka_unit_test(one_without_partitions_is_of_the_instance_alone),
        cmocka_unit_test(it_waits_neither_for_locks_nor_for_the_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
