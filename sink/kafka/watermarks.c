/*
 *   idle --the interval is over, or a partition's end is not known--> under way --answer--> idle
 *
 * One request for all partitions, which librdkafka splits up among the brokers.
 */
#include "kafka/watermarks.h"

#include "base/clock.h"
#include "config.h"
#include "dispatch/lag.h"
#include "ops/log.h"

#include <string.h>

enum { TICK_MS = 500, NEW_MS = 1000, REQUEST_TIMEOUT_MS = 10000 };

struct question {
    rd_kafka_topic_partition_list_t *list;
    bool has_new;
};

static void add_partition(void *opaque, const char *topic, int32_t partition,
                          struct assignment_slot *slot)
{
    struct question *question = opaque;

    rd_kafka_topic_partition_list_add(question->list, topic, partition)->offset =
        RD_KAFKA_OFFSET_SPEC_LATEST;
    question->has_new |= slot->queue->log_end.offset < 0;
}

static void ask(struct watermarks *watermarks, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(watermarks->client, RD_KAFKA_ADMIN_OP_LISTOFFSETS);

    rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_TIMEOUT_MS, NULL, 0);
    rd_kafka_error_destroy(
        rd_kafka_AdminOptions_set_isolation_level(options, watermarks->isolation));
    rd_kafka_ListOffsets(watermarks->client, list, options, watermarks->queue);
    rd_kafka_AdminOptions_destroy(options);
    watermarks->asked_ms = clock_now_ms();
    watermarks->under_way = true;
}

static void on_tick(uv_timer_t *timer)
{
    struct watermarks *watermarks = timer->data;
    int64_t waited_ms = clock_now_ms() - watermarks->asked_ms;
    struct question question = {0};

    if (watermarks->under_way || (waited_ms < watermarks->interval_ms && waited_ms < NEW_MS))
        return;
    question.list = rd_kafka_topic_partition_list_new(16);
    assignment_each(watermarks->assignment, add_partition, &question);
    if (question.list->cnt > 0 && (question.has_new || waited_ms >= watermarks->interval_ms))
        ask(watermarks, question.list);
    rd_kafka_topic_partition_list_destroy(question.list);
}

/* How far librdkafka has handed each log out, what it keeps to itself included. */
static void note_ends(struct watermarks *watermarks, rd_kafka_topic_partition_list_t *read,
                      const rd_kafka_topic_partition_list_t *ends)
{
    int64_t now_ms = clock_wall_ms();

    rd_kafka_position(watermarks->client, read);
    for (int i = 0; i < ends->cnt; i++) {
        const rd_kafka_topic_partition_t *end = &ends->elems[i];
        struct queue *queue =
            assignment_slot(watermarks->assignment, end->topic, end->partition)->queue;
        if (queue) /* else it was revoked meanwhile */
            lag_note(queue, end->offset, read->elems[i].err ? -1 : read->elems[i].offset, now_ms);
    }
}

static rd_kafka_topic_partition_list_t *answered(rd_kafka_event_t *event)
{
    size_t count = 0;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);

    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *one =
            rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        if (!one->err && one->offset >= 0)
            rd_kafka_topic_partition_list_add(list, one->topic, one->partition)->offset =
                one->offset;
    }
    return list;
}

static void take_ends(struct watermarks *watermarks, rd_kafka_event_t *event)
{
    rd_kafka_topic_partition_list_t *ends = answered(event);
    rd_kafka_topic_partition_list_t *read = rd_kafka_topic_partition_list_copy(ends);

    if (ends->cnt > 0) {
        note_ends(watermarks, read, ends);
        watermarks->refreshed_ms = clock_wall_ms();
    }
    watermarks->on_answer(watermarks->opaque, ends->cnt > 0);
    rd_kafka_topic_partition_list_destroy(read);
    rd_kafka_topic_partition_list_destroy(ends);
}

static void on_event(struct watermarks *watermarks, rd_kafka_event_t *event)
{
    if (rd_kafka_event_type(event) != RD_KAFKA_EVENT_LISTOFFSETS_RESULT)
        return;
    watermarks->under_way = false;
    if (!rd_kafka_event_error(event)) {
        take_ends(watermarks, event);
        return;
    }
    log_warn("the ends of partitions are not known",
             LOG_STR("reason", rd_kafka_event_error_string(event)));
    watermarks->on_answer(watermarks->opaque, false);
}

static void on_wake(void *opaque)
{
    struct watermarks *watermarks = opaque;
    rd_kafka_event_t *event;

    while ((event = rd_kafka_queue_poll(watermarks->queue, 0))) {
        on_event(watermarks, event);
        rd_kafka_event_destroy(event);
    }
}

static rd_kafka_IsolationLevel_t isolation_of(const struct config *config)
{
    const struct config_property *property = config_property(config, "isolation.level");

    return property && strcmp(property->value, "read_uncommitted") == 0
               ? RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
               : RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED;
}

void watermarks_open(struct watermarks *watermarks, uv_loop_t *loop, rd_kafka_t *client,
                     const struct config *config, struct assignment *assignment)
{
    watermarks->client = client;
    watermarks->assignment = assignment;
    watermarks->isolation = isolation_of(config);
    watermarks->interval_ms = config->lag_interval_ms;
    watermarks->queue = rd_kafka_queue_new(client);
    waker_open(&watermarks->waker, loop, watermarks->queue, on_wake, watermarks);
    uv_timer_init(loop, &watermarks->timer);
    watermarks->timer.data = watermarks;
    uv_timer_start(&watermarks->timer, on_tick, TICK_MS, TICK_MS);
}

void watermarks_close(struct watermarks *watermarks)
{
    uv_timer_stop(&watermarks->timer);
    uv_close((uv_handle_t *)&watermarks->timer, NULL);
    rd_kafka_queue_io_event_enable(watermarks->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(watermarks->queue);
    waker_close(&watermarks->waker);
}
