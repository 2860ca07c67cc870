/* What follows from a flush's end. */
#include "dispatcher_fixture.h"

static struct conn *fail_with(struct conn *flush, const char *sqlstate, const char *context)
{
    give_advanced(flush);
    take_copy(flush);
    conn_fail(flush, sqlstate, "refused", context);
    return flush;
}

static void a_refused_record_of_a_revoked_partition_is_nobodys(void **state)
{
    struct config small = usual_config();

    end(state);
    small.memory_limit_bytes = 64 * 1024; /* so that the batch is not kept for another use */
    open_dispatcher(&small);
    struct queue *queue = open_at(0, 0);
    append_large(queue, 0);
    append_large(queue, 1);
    loop_finish_jobs();
    struct conn *flush = await_flush();
    ownership_revoke(&dispatcher, queue);
    fail_with(flush, "23514", "COPY orders, line 1: \"?\"");
    assert_true(intake_is_empty(&dispatcher));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISPATCHER_TEST(a_refused_record_of_a_revoked_partition_is_nobodys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
