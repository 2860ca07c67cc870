/* Pieces of the JSON answers. */
#include "command/monitor_json.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/printable.h"
#include "dispatch/lag.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

json_t *monitor_json_text(const char *text)
{
    json_t *string = json_string(text);

    if (string)
        return string;
    char *copy = memory_strdup(text);
    printable_make(copy);
    string = json_string(copy);
    free(copy);
    return string;
}

json_t *monitor_json_time(int64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm utc;
    char text[48];

    if (unix_ms <= 0 || !gmtime_r(&seconds, &utc))
        return json_null();
    size_t len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + len, sizeof(text) - len, ".%03dZ", (int)(unix_ms % 1000));
    return json_string(text);
}

json_t *monitor_json_count(int64_t count)
{
    return count >= 0 ? json_integer(count) : json_null();
}

void monitor_json_answer(struct http_answer *answer, json_t *document)
{
    size_t bytes = json_dumpb(document, NULL, 0, JSON_COMPACT);

    buffer_reserve(&answer->body, bytes + 1);
    answer->body.len = json_dumpb(document, answer->body.data, bytes, JSON_COMPACT);
    buffer_put_byte(&answer->body, '\n');
    answer->content_type = "application/json";
    json_decref(document);
}

const char *monitor_task_state(const struct dispatcher *dispatcher, const struct queue *queue)
{
    bool retries = queue->attempts > 0 || dispatcher->pool.away_since_ms;

    switch (queue->state) {
    case QUEUE_UNROUTED:
    case QUEUE_UNCLAIMED:
    case QUEUE_CLAIMING:
    case QUEUE_UNPLACED:
    case QUEUE_REVOKED:
        return retries ? "RETRYING" : "STARTING";
    case QUEUE_OPEN:
        return retries ? "RETRYING" : "RUNNING";
    case QUEUE_HALTED:
    case QUEUE_STATES:
        break;
    }
    return "FAILED";
}

json_t *monitor_json_partition(const struct queue *queue)
{
    int64_t lag = lag_records(queue);
    json_t *object = json_object();

    json_object_set_new(object, "topic", monitor_json_text(queue->route->topic));
    json_object_set_new(object, "partition", json_integer(queue->partition));
    json_object_set_new(object, "committed", monitor_json_count(queue->position));
    json_object_set_new(object, "end", monitor_json_count(lag_end(queue)));
    json_object_set_new(object, "lag", monitor_json_count(lag));
    json_object_set_new(object, "lag_seconds",
                        lag < 0 ? json_null()
                                : json_real((double)lag_ms(queue, clock_wall_ms()) / 1e3));
    return object;
}

int64_t monitor_lag(const struct dispatcher *dispatcher)
{
    const struct queue *queue;
    int64_t sum = -1;

    DISPATCHER_EACH_ASSIGNED (queue, dispatcher)
        if (lag_records(queue) >= 0)
            sum = (sum < 0 ? 0 : sum) + lag_records(queue);
    return sum;
}
