/*
 * /status: all that one looks for first, in the shape that Kafka Connect's tools know.
 *
 * The state of the whole is the worst of its tasks': a connector that says RUNNING above failed
 * tasks is the field's best-known trap.
 */
#include "command/monitor_json.h"

#include "base/clock.h"
#include "dispatch/intake.h"
#include "dispatch/lag.h"
#include "ops/progress_summary.h"

#include <stdio.h>
#include <string.h>

/* From bad to good. */
static const char *const states[] = {"FAILED", "RETRYING", "STARTING", "RUNNING"};

static size_t rank(const char *state)
{
    size_t i = 0;

    while (i + 1 < COUNT_OF(states) && strcmp(states[i], state) != 0)
        i++;
    return i;
}

static const char *state_of_all(const struct monitor *monitor)
{
    const struct dispatcher *dispatcher = monitor->dispatcher;
    size_t worst = COUNT_OF(states);
    const struct queue *queue;

    if (*monitor->draining)
        return "DRAINING";
    DISPATCHER_EACH_ASSIGNED (queue, dispatcher)
        if (rank(monitor_task_state(dispatcher, queue)) < worst)
            worst = rank(monitor_task_state(dispatcher, queue));
    return worst < COUNT_OF(states) ? states[worst] : "UNASSIGNED";
}

static json_t *checks_of(const struct monitor *monitor)
{
    const struct health health = monitor_health(monitor);
    json_t *checks = json_object();

    for (size_t i = 0; i < HEALTH_CHECKS; i++) {
        const struct health_check *check = &health.checks[i];
        json_object_set_new(checks, check->name,
                            json_pack("{s:b, s:b, s:s}", "ok", check->ok, "ready", check->ready,
                                      "detail", check->detail));
    }
    return checks;
}

static json_t *task_of(const struct dispatcher *dispatcher, const struct queue *queue)
{
    char id[300];
    json_t *task = monitor_json_partition(queue);

    int len = snprintf(id, sizeof(id), "%s/%d", queue->route->topic, queue->partition);
    if (queue->end != INT64_MAX) /* of a backfill */
        snprintf(id + len, sizeof(id) - (size_t)len, "/%d", queue->range);
    json_object_set_new(task, "id", monitor_json_text(id));
    json_object_set_new(task, "state", json_string(monitor_task_state(dispatcher, queue)));
    json_object_set_new(task, "position", monitor_json_count(queue->read_next));
    json_object_set_new(task, "last_commit", monitor_json_time(queue->committed_ms));
    json_object_set_new(task, "trace",
                        queue->state == QUEUE_HALTED ? monitor_json_text(queue->halted.text)
                                                     : json_null());
    return task;
}

static json_t *tasks_of(const struct dispatcher *dispatcher)
{
    json_t *tasks = json_array();
    const struct queue *queue;

    DISPATCHER_EACH_ASSIGNED (queue, dispatcher)
        json_array_append_new(tasks, task_of(dispatcher, queue));
    return tasks;
}

static json_t *error_of(const struct counters_error *error)
{
    json_t *object = json_object();

    json_object_set_new(object, "ts", monitor_json_time(error->at_ms));
    json_object_set_new(object, "code", json_string(err_class_name(error->err.class)));
    json_object_set_new(object, "sqlstate",
                        error->err.sqlstate[0] ? monitor_json_text(error->err.sqlstate)
                                               : json_null());
    json_object_set_new(object, "topic",
                        error->topic ? monitor_json_text(error->topic) : json_null());
    json_object_set_new(object, "partition",
                        error->topic ? json_integer(error->partition) : json_null());
    json_object_set_new(object, "msg", monitor_json_text(error->err.text));
    return object;
}

/* The last one first. */
static json_t *errors_of(const struct counters *counters)
{
    json_t *errors = json_array();

    for (size_t i = 1; i <= counters->errors_count && i <= COUNTERS_ERRORS; i++)
        json_array_append_new(
            errors, error_of(&counters->errors[(counters->errors_count - i) % COUNTERS_ERRORS]));
    return errors;
}

static json_t *pool_of(const struct pool *pool)
{
    json_int_t idle = (json_int_t)pool_idle_count(pool);
    json_int_t busy = (json_int_t)pool_busy_count(pool);

    return json_pack("{s:I, s:I, s:I, s:I}", "idle", idle, "busy", busy, "connecting",
                     (json_int_t)pool_open_count(pool) - idle - busy, "limit",
                     (json_int_t)pool->max);
}

static json_t *totals_of(const struct dispatcher_totals *totals)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "records", (json_int_t)totals->records_count,
                     "rows", (json_int_t)totals->rows_count, "dead_letters",
                     (json_int_t)totals->dead_letters_count, "flushes",
                     (json_int_t)totals->flushes_count, "failed_flushes",
                     (json_int_t)totals->failed_flushes_count);
}

/* Rows as a total, so that whoever draws them takes differences. */
static json_t *history_of(const struct history *history)
{
    json_t *rows = json_array();
    json_t *lag = json_array();

    for (size_t i = 0; i < history_length(history); i++) {
        const struct history_sample *sample = history_at(history, i);
        json_array_append_new(rows, json_integer((json_int_t)sample->rows));
        json_array_append_new(lag, monitor_json_count(sample->lag));
    }
    return json_pack("{s:I, s:o, s:o}", "interval_ms", (json_int_t)HISTORY_INTERVAL_MS, "rows",
                     rows, "lag", lag);
}

static json_t *head_of(const struct monitor *monitor)
{
    const struct config *config = monitor->config;
    json_t *status = json_object();

    json_object_set_new(status, "name", monitor_json_text(config->name));
    json_object_set_new(status, "mode", json_string(monitor->look ? "backfill" : "stream"));
    json_object_set_new(status, "version", json_string(PGSLUICE_VERSION));
    json_object_set_new(status, "group",
                        monitor->consumer ? monitor_json_text(config->group_id) : json_null());
    json_object_set_new(status, "state", json_string(state_of_all(monitor)));
    json_object_set_new(status, "worker_id", monitor_json_text(config->instance_id));
    json_object_set_new(status, "now", monitor_json_time(clock_wall_ms()));
    json_object_set_new(status, "since", monitor_json_time(monitor->started_ms));
    return status;
}

void monitor_fill_status(void *opaque, bool verbose, struct http_answer *answer)
{
    const struct monitor *monitor = opaque;
    const struct dispatcher *dispatcher = monitor->dispatcher;
    json_t *errors = errors_of(&dispatcher->counters);
    json_t *last = json_array_get(errors, 0);
    json_t *status = head_of(monitor);

    (void)verbose;
    json_object_set_new(status, "checks", checks_of(monitor));
    json_object_set_new(status, "lag", monitor_json_count(monitor_lag(dispatcher)));
    json_object_set_new(
        status, "lag_refreshed",
        monitor_json_time(monitor->consumer ? monitor->consumer->watermarks.refreshed_ms : 0));
    json_object_set_new(status, "backfill",
                        monitor->look ? progress_json(monitor->look(monitor->opaque))
                                      : json_null());
    json_object_set_new(status, "last_commit",
                        monitor_json_time(dispatcher->counters.committed_ms));
    json_object_set_new(status, "totals", totals_of(&dispatcher->totals));
    json_object_set_new(status, "pool", pool_of(&dispatcher->pool));
    json_object_set_new(status, "memory",
                        json_pack("{s:I, s:I}", "bytes",
                                  (json_int_t)intake_memory_bytes(dispatcher), "limit",
                                  (json_int_t)monitor->config->memory_limit_bytes));
    json_object_set_new(status, "tasks", tasks_of(dispatcher));
    json_object_set(status, "last_error", last ? last : json_null());
    json_object_set_new(status, "errors", errors);
    json_object_set_new(status, "history", history_of(&monitor->history));
    monitor_json_answer(answer, status);
}
