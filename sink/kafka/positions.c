/*
 *   ask --+-- SINK_START=committed, or at_least_once --> ListConsumerGroupOffsets --+-- committed
 * --> found |                                                                        |
 *         +-- earliest, latest -------------------------> ListOffsets <------------+ none committed
 *                                                              |
 *                                                              +--> found
 */
#include "kafka/positions.h"

enum { REQUEST_TIMEOUT_MS = 10000 };

static bool wants_committed(const struct positions *positions)
{
    return positions->options.config->start == CONFIG_START_COMMITTED ||
           positions->options.config->delivery == CONFIG_AT_LEAST_ONCE;
}

static void ask_log(struct positions *positions, const rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(positions->client, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    rd_kafka_topic_partition_list_t *wanted = rd_kafka_topic_partition_list_copy(partitions);
    bool latest = positions->options.config->start == CONFIG_START_LATEST;

    for (int i = 0; i < wanted->cnt; i++)
        wanted->elems[i].offset =
            latest ? RD_KAFKA_OFFSET_SPEC_LATEST : RD_KAFKA_OFFSET_SPEC_EARLIEST;
    rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_TIMEOUT_MS, NULL, 0);
    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_isolation_level(
        options, RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED));
    /* The answer names the partitions; the list is kept for when there is no answer. */
    rd_kafka_AdminOptions_set_opaque(options, wanted);
    rd_kafka_ListOffsets(positions->client, wanted, options, positions->queue);
    rd_kafka_AdminOptions_destroy(options);
}

static void ask_group(struct positions *positions,
                      const rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(positions->client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(positions->options.config->group_id, partitions);

    rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_TIMEOUT_MS, NULL, 0);
    rd_kafka_AdminOptions_set_opaque(options, rd_kafka_topic_partition_list_copy(partitions));
    rd_kafka_ListConsumerGroupOffsets(positions->client, &request, 1, options, positions->queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_AdminOptions_destroy(options);
}

void positions_ask(struct positions *positions, const rd_kafka_topic_partition_list_t *partitions)
{
    if (wants_committed(positions))
        ask_group(positions, partitions);
    else
        ask_log(positions, partitions);
}

static void fail(struct positions *positions, const rd_kafka_topic_partition_t *partition,
                 const char *reason)
{
    struct err err;

    err_set(&err, ERR_OUTAGE, "where %s[%d] starts is unknown: %s", partition->topic,
            partition->partition, reason);
    positions->options.on_found(positions->options.opaque, partition->topic, partition->partition,
                                -1, &err);
}

static void on_log_answer(struct positions *positions, rd_kafka_event_t *event)
{
    size_t count = 0;
    rd_kafka_topic_partition_list_t *asked = rd_kafka_event_opaque(event);
    const rd_kafka_ListOffsets_result_t *result = rd_kafka_event_ListOffsets_result(event);
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rd_kafka_event_error(event) ? NULL : rd_kafka_ListOffsets_result_infos(result, &count);

    for (int i = 0; !infos && i < asked->cnt; i++)
        fail(positions, &asked->elems[i], rd_kafka_event_error_string(event));
    for (size_t i = 0; infos && i < count; i++) {
        const rd_kafka_topic_partition_t *found =
            rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        if (found->err || found->offset < 0)
            fail(positions, found, rd_kafka_err2str(found->err));
        else
            positions->options.on_found(positions->options.opaque, found->topic, found->partition,
                                        found->offset, NULL);
    }
    rd_kafka_topic_partition_list_destroy(asked);
}

static const rd_kafka_topic_partition_list_t *group_answer(rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_ListConsumerGroupOffsets_result_t *result =
        rd_kafka_event_ListConsumerGroupOffsets_result(event);
    const rd_kafka_group_result_t **groups =
        result ? rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count) : NULL;

    if (rd_kafka_event_error(event) || count != 1 || rd_kafka_group_result_error(groups[0]))
        return NULL;
    return rd_kafka_group_result_partitions(groups[0]);
}

/* Those that the group has committed are found; the others start as SINK_START says. */
static void on_group_answer(struct positions *positions, rd_kafka_event_t *event)
{
    rd_kafka_topic_partition_list_t *asked = rd_kafka_event_opaque(event);
    const rd_kafka_topic_partition_list_t *found = group_answer(event);
    rd_kafka_topic_partition_list_t *rest = rd_kafka_topic_partition_list_new(4);

    for (int i = 0; !found && i < asked->cnt; i++)
        fail(positions, &asked->elems[i], "the group's offsets could not be read");
    for (int i = 0; found && i < found->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &found->elems[i];
        if (one->err)
            fail(positions, one, rd_kafka_err2str(one->err));
        else if (one->offset >= 0)
            positions->options.on_found(positions->options.opaque, one->topic, one->partition,
                                        one->offset, NULL);
        else
            rd_kafka_topic_partition_list_add(rest, one->topic, one->partition);
    }
    if (rest->cnt > 0)
        ask_log(positions, rest);
    rd_kafka_topic_partition_list_destroy(rest);
    rd_kafka_topic_partition_list_destroy(asked);
}

static void on_wake(void *opaque)
{
    struct positions *positions = opaque;
    rd_kafka_event_t *event;

    while ((event = rd_kafka_queue_poll(positions->queue, 0))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_LISTOFFSETS_RESULT)
            on_log_answer(positions, event);
        else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT)
            on_group_answer(positions, event);
        rd_kafka_event_destroy(event);
    }
}

void positions_open(struct positions *positions, uv_loop_t *loop, rd_kafka_t *client,
                    const struct positions_options *options)
{
    *positions = (struct positions){.client = client, .options = *options};
    positions->queue = rd_kafka_queue_new(client);
    waker_open(&positions->waker, loop, positions->queue, on_wake, positions);
}

void positions_close(struct positions *positions)
{
    rd_kafka_queue_io_event_enable(positions->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(positions->queue);
    waker_close(&positions->waker);
}
