/*
 *   idle --wanted, or some seconds are over--> under way --answer--> idle
 *
 * A broker that is behind may name a former id, or not know a new topic yet: who hears of it
 * decides.
 */
#include "kafka/topic_ids.h"

#include "base/clock.h"
#include "base/memory.h"
#include "ops/log.h"
#include "pg/offsets.h"

#include <stdio.h>
#include <stdlib.h>

enum { INTERVAL_MS = 3000, AGAIN_MS = 500, REQUEST_TIMEOUT_MS = 5000 };

void topic_ids_text(const rd_kafka_Uuid_t *id, char *text, size_t size)
{
    bool none = rd_kafka_Uuid_most_significant_bits(id) == 0 &&
                rd_kafka_Uuid_least_significant_bits(id) == 0;

    snprintf(text, size, "%s", none ? "" : rd_kafka_Uuid_base64str(id));
}

void topic_ids_want(struct topic_ids *ids)
{
    ids->wanted = true;
}

struct names {
    const char **items; /* borrowed from the assignment */
    size_t count;
};

static bool is_assigned(const struct assignment_topic *topic)
{
    for (size_t i = 0; i < topic->slots_count; i++)
        if (topic->slots[i].queue)
            return true;
    return false;
}

static struct names assigned_topics(const struct assignment *assignment)
{
    struct names names = {0};
    size_t count = 0;

    for (const struct assignment_topic *topic = assignment->topics; topic; topic = topic->next)
        count++;
    names.items = memory_new_array(count + 1, sizeof(*names.items));
    for (const struct assignment_topic *topic = assignment->topics; topic; topic = topic->next)
        if (is_assigned(topic))
            names.items[names.count++] = topic->name;
    return names;
}

static void ask(struct topic_ids *ids, const struct names *names)
{
    rd_kafka_TopicCollection_t *topics =
        rd_kafka_TopicCollection_of_topic_names(names->items, names->count);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(ids->client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);

    rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_TIMEOUT_MS, NULL, 0);
    rd_kafka_DescribeTopics(ids->client, topics, options, ids->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_TopicCollection_destroy(topics);
    ids->under_way = true;
    ids->wanted = false;
}

void topic_ids_turn(struct topic_ids *ids)
{
    int64_t waited_ms = clock_now_ms() - ids->asked_ms;

    if (ids->under_way || (waited_ms < INTERVAL_MS && !ids->wanted))
        return;
    struct names names = assigned_topics(ids->options.assignment);
    ids->asked_ms = clock_now_ms();
    if (names.count > 0)
        ask(ids, &names);
    free(names.items);
}

static void take_topic(struct topic_ids *ids, const rd_kafka_TopicDescription_t *topic)
{
    const char *name = rd_kafka_TopicDescription_name(topic);
    const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(topic);
    char text[OFFSETS_TOPIC_ID_BYTES + 1];
    size_t count = 0;

    if (error && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        ids->options.on_found(ids->options.opaque, name, NULL, 0);
    else if (error)
        log_warn("topic not described", LOG_STR("topic", name),
                 LOG_STR("reason", rd_kafka_error_string(error)));
    if (error)
        return;
    topic_ids_text(rd_kafka_TopicDescription_topic_id(topic), text, sizeof(text));
    rd_kafka_TopicDescription_partitions(topic, &count);
    ids->options.on_found(ids->options.opaque, name, text, count);
}

static void on_answer(struct topic_ids *ids, rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_TopicDescription_t **topics;

    ids->under_way = false;
    if (rd_kafka_event_error(event)) {
        log_warn("topics not described", LOG_STR("reason", rd_kafka_event_error_string(event)));
        ids->asked_ms = clock_now_ms() - INTERVAL_MS + AGAIN_MS;
        return;
    }
    topics =
        rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &count);
    for (size_t i = 0; i < count; i++)
        take_topic(ids, topics[i]);
}

static void on_wake(void *opaque)
{
    struct topic_ids *ids = opaque;
    rd_kafka_event_t *event;

    while ((event = rd_kafka_queue_poll(ids->queue, 0))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT)
            on_answer(ids, event);
        rd_kafka_event_destroy(event);
    }
}

void topic_ids_open(struct topic_ids *ids, uv_loop_t *loop, rd_kafka_t *client,
                    const struct topic_ids_options *options)
{
    *ids = (struct topic_ids){.client = client, .options = *options};
    ids->queue = rd_kafka_queue_new(client);
    waker_open(&ids->waker, loop, ids->queue, on_wake, ids);
}

void topic_ids_close(struct topic_ids *ids)
{
    rd_kafka_queue_io_event_enable(ids->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(ids->queue);
    waker_close(&ids->waker);
}
