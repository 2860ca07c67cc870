/* /lag, /assignment, /distribution, /config, /version: one list each. */
#include "command/monitor_json.h"

#include "dispatch/lag.h"

#include <string.h>

/* A partition that gets so many times its share is hot, if it is not one of few records. */
enum { HOT_TIMES = 2, HOT_RECORDS = 1000 };

void monitor_fill_lag(void *opaque, bool verbose, struct http_answer *answer)
{
    const struct monitor *monitor = opaque;
    const struct queue *queue;
    json_t *partitions = json_array();
    json_t *document = json_object();

    (void)verbose;
    DISPATCHER_EACH_ASSIGNED (queue, monitor->dispatcher)
        json_array_append_new(partitions, monitor_json_partition(queue));
    json_object_set_new(document, "group", monitor_json_text(monitor->config->group_id));
    json_object_set_new(document, "refreshed",
                        monitor_json_time(monitor->consumer->watermarks.refreshed_ms));
    json_object_set_new(document, "total", monitor_json_count(monitor_lag(monitor->dispatcher)));
    json_object_set_new(document, "partitions", partitions);
    monitor_json_answer(answer, document);
}

static json_t *assigned_of(const struct dispatcher *dispatcher, const struct route *route)
{
    json_t *partitions = json_array();
    const struct queue *queue;

    DISPATCHER_EACH_ASSIGNED (queue, dispatcher)
        if (queue->route == route)
            json_array_append_new(partitions, json_integer(queue->partition));
    return partitions;
}

void monitor_fill_assignment(void *opaque, bool verbose, struct http_answer *answer)
{
    const struct monitor *monitor = opaque;
    const struct route *route;
    json_t *topics = json_array();
    json_t *document = json_object();

    (void)verbose;
    TAILQ_FOREACH (route, &monitor->dispatcher->routes, entry) {
        json_t *topic = json_object();
        /* cppcheck-suppress uninitvar ; TAILQ_FOREACH sets it */
        json_object_set_new(topic, "topic", monitor_json_text(route->topic));
        json_object_set_new(topic, "table", monitor_json_text(route->table_name));
        json_object_set_new(
            topic, "partitions",
            monitor_json_count(route->partitions_count ? route->partitions_count : -1));
        json_object_set_new(topic, "assigned", assigned_of(monitor->dispatcher, route));
        json_array_append_new(topics, topic);
    }
    json_object_set_new(document, "group", monitor_json_text(monitor->config->group_id));
    json_object_set_new(document, "worker_id", monitor_json_text(monitor->config->instance_id));
    json_object_set_new(document, "member", json_boolean(monitor->consumer->member));
    json_object_set_new(document, "topics", topics);
    monitor_json_answer(answer, document);
}

struct volume {
    uint64_t records;
    uint64_t partitions;
};

static struct volume volume_of(const struct dispatcher *dispatcher)
{
    struct volume volume = {0};
    const struct queue *queue;

    DISPATCHER_EACH_ASSIGNED (queue, dispatcher) {
        volume.records += queue->records_count;
        volume.partitions++;
    }
    return volume;
}

static json_t *volume_of_one(const struct queue *queue, const struct volume *all)
{
    bool hot = queue->records_count >= HOT_RECORDS &&
               queue->records_count * all->partitions > HOT_TIMES * all->records;
    double share = all->records ? (double)queue->records_count / (double)all->records : 0;
    json_t *object = json_object();

    json_object_set_new(object, "topic", monitor_json_text(queue->route->topic));
    json_object_set_new(object, "partition", json_integer(queue->partition));
    json_object_set_new(object, "records", json_integer((json_int_t)queue->records_count));
    json_object_set_new(object, "share", json_real(share));
    json_object_set_new(object, "hot", json_boolean(hot));
    return object;
}

void monitor_fill_distribution(void *opaque, bool verbose, struct http_answer *answer)
{
    const struct monitor *monitor = opaque;
    const struct volume all = volume_of(monitor->dispatcher);
    const struct queue *queue;
    json_t *partitions = json_array();

    (void)verbose;
    DISPATCHER_EACH_ASSIGNED (queue, monitor->dispatcher)
        json_array_append_new(partitions, volume_of_one(queue, &all));
    monitor_json_answer(answer, json_pack("{s:I, s:o}", "records", (json_int_t)all.records,
                                          "partitions", partitions));
}

/* NAME=value lines, secrets masked, become members. */
void monitor_fill_config(void *opaque, bool verbose, struct http_answer *answer)
{
    const struct monitor *monitor = opaque;
    json_t *document = json_object();
    struct buffer text = {0};

    (void)verbose;
    config_print(monitor->config, &text);
    buffer_text(&text);
    for (char *rest = text.data, *line; (line = strsep(&rest, "\n"));) {
        char *value = strchr(line, '=');
        if (!value)
            continue;
        *value++ = '\0';
        json_object_set_new(document, line, monitor_json_text(value));
    }
    buffer_finish(&text);
    monitor_json_answer(answer, document);
}

void monitor_fill_version(void *opaque, bool verbose, struct http_answer *answer)
{
    (void)opaque, (void)verbose;
    monitor_json_answer(answer, json_pack("{s:s, s:s, s:s, s:s}", "version", PGSLUICE_VERSION,
                                          "revision", PGSLUICE_REVISION, "librdkafka",
                                          rd_kafka_version_str(), "libuv", uv_version_string()));
}
