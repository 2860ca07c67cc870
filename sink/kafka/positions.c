/*
 *   ask --+-- SINK_START=committed, or at_least_once --> ListConsumerGroupOffsets --+
 *         |                                                |                        |
 *         |                                 none committed |              committed |
 *         |                                                v                        v
 *         +-- else ----------------------------------> ListOffsets -------------> found
 *
 * With at_least_once, SINK_START=latest has no table to remember what was there at the first start.
 * The group's offsets tell: partitions are numbered as they are made, and soon after a first start
 * all have an offset. So one whose topic has a committed offset in a lower partition is new.
 */
#include "kafka/positions.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { REQUEST_TIMEOUT_MS = 10000 };

enum subject {
    SUBJECT_PLACE, /* where partitions start; in the list what is asked, for when no answer comes */
    SUBJECT_START, /* the starts of logs; in the list the partitions */
    SUBJECT_END,   /* their ends; in the list their starts */
};

/* Travels with a request, and comes back with its answer. */
struct question {
    enum subject subject;
    rd_kafka_topic_partition_list_t *partitions;
};

static bool wants_committed(const struct positions *positions)
{
    return positions->options.config->start == CONFIG_START_COMMITTED ||
           positions->options.config->delivery == CONFIG_AT_LEAST_ONCE;
}

static struct question *question_new(enum subject subject,
                                     const rd_kafka_topic_partition_list_t *partitions)
{
    struct question *question = memory_new(sizeof(*question));

    question->subject = subject;
    question->partitions = rd_kafka_topic_partition_list_copy(partitions);
    return question;
}

static void question_destroy(struct question *question)
{
    rd_kafka_topic_partition_list_destroy(question->partitions);
    free(question);
}

/* The list's offsets say for what: RD_KAFKA_OFFSET_SPEC_... The question goes with the answer. */
static void list_offsets(struct positions *positions, rd_kafka_topic_partition_list_t *wanted,
                         rd_kafka_IsolationLevel_t isolation, struct question *question)
{
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(positions->client, RD_KAFKA_ADMIN_OP_LISTOFFSETS);

    rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_TIMEOUT_MS, NULL, 0);
    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_isolation_level(options, isolation));
    rd_kafka_AdminOptions_set_opaque(options, question);
    rd_kafka_ListOffsets(positions->client, wanted, options, positions->queue);
    rd_kafka_AdminOptions_destroy(options);
}

static void ask_log(struct positions *positions, rd_kafka_topic_partition_list_t *wanted)
{
    list_offsets(positions, wanted, RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
                 question_new(SUBJECT_PLACE, wanted));
}

static bool starts_at_latest(const struct positions *positions)
{
    return positions->options.config->start == CONFIG_START_LATEST &&
           positions->options.config->delivery == CONFIG_AT_LEAST_ONCE;
}

/* With all lower partitions, where their offsets matter. */
static rd_kafka_topic_partition_list_t *group_question(
    const struct positions *positions, const rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(partitions);

    for (int i = 0; starts_at_latest(positions) && i < partitions->cnt; i++)
        for (int32_t lower = 0; lower < partitions->elems[i].partition; lower++)
            if (!rd_kafka_topic_partition_list_find(list, partitions->elems[i].topic, lower))
                rd_kafka_topic_partition_list_add(list, partitions->elems[i].topic, lower);
    return list;
}

static void ask_group(struct positions *positions,
                      const rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(positions->client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_topic_partition_list_t *question = group_question(positions, partitions);
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(positions->options.config->group_id, question);

    rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_TIMEOUT_MS, NULL, 0);
    rd_kafka_AdminOptions_set_opaque(options, question_new(SUBJECT_PLACE, partitions));
    rd_kafka_ListConsumerGroupOffsets(positions->client, &request, 1, options, positions->queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_topic_partition_list_destroy(question);
    rd_kafka_AdminOptions_destroy(options);
}

static void add_spec(rd_kafka_topic_partition_list_t *list,
                     const rd_kafka_topic_partition_t *partition, int64_t spec)
{
    rd_kafka_topic_partition_list_add(list, partition->topic, partition->partition)->offset = spec;
}

void positions_ask(struct positions *positions, const rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_topic_partition_list_t *log = rd_kafka_topic_partition_list_new(4);
    rd_kafka_topic_partition_list_t *group = rd_kafka_topic_partition_list_new(4);

    for (int i = 0; i < partitions->cnt; i++)
        if (wants_committed(positions) && partitions->elems[i].offset != RD_KAFKA_OFFSET_BEGINNING)
            add_spec(group, &partitions->elems[i], RD_KAFKA_OFFSET_INVALID);
        else
            add_spec(log, &partitions->elems[i], RD_KAFKA_OFFSET_SPEC_EARLIEST);
    if (log->cnt > 0)
        ask_log(positions, log);
    if (group->cnt > 0)
        ask_group(positions, group);
    rd_kafka_topic_partition_list_destroy(log);
    rd_kafka_topic_partition_list_destroy(group);
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

/* The log's range: first its start, then its end. */

void positions_ask_range(struct positions *positions,
                         const rd_kafka_topic_partition_list_t *partitions)
{
    struct question *question = question_new(SUBJECT_START, partitions);

    for (int i = 0; i < question->partitions->cnt; i++)
        question->partitions->elems[i].offset = RD_KAFKA_OFFSET_SPEC_EARLIEST;
    list_offsets(positions, question->partitions, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
                 question);
}

static void ask_end(struct positions *positions, const rd_kafka_topic_partition_list_t *starts)
{
    rd_kafka_topic_partition_list_t *wanted = rd_kafka_topic_partition_list_copy(starts);

    for (int i = 0; i < wanted->cnt; i++)
        wanted->elems[i].offset = RD_KAFKA_OFFSET_SPEC_LATEST;
    list_offsets(positions, wanted, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
                 question_new(SUBJECT_END, starts));
    rd_kafka_topic_partition_list_destroy(wanted);
}

/* Those whose log could not be asked are left out: they are asked again by and by. */
static rd_kafka_topic_partition_list_t *answered(rd_kafka_event_t *event)
{
    size_t count = 0;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
    const rd_kafka_ListOffsets_result_t *result = rd_kafka_event_ListOffsets_result(event);
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rd_kafka_event_error(event) ? NULL : rd_kafka_ListOffsets_result_infos(result, &count);

    for (size_t i = 0; infos && i < count; i++) {
        const rd_kafka_topic_partition_t *one =
            rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        if (!one->err && one->offset >= 0)
            add_spec(list, one, one->offset);
    }
    return list;
}

static void on_range_answer(struct positions *positions, struct question *question,
                            rd_kafka_event_t *event)
{
    rd_kafka_topic_partition_list_t *offsets = answered(event);

    if (question->subject == SUBJECT_START && offsets->cnt > 0)
        ask_end(positions, offsets);
    for (int i = 0; question->subject == SUBJECT_END && i < offsets->cnt; i++) {
        const rd_kafka_topic_partition_t *end = &offsets->elems[i];
        const rd_kafka_topic_partition_t *start =
            rd_kafka_topic_partition_list_find(question->partitions, end->topic, end->partition);
        positions->options.on_range(positions->options.opaque, end->topic, end->partition,
                                    start->offset, end->offset);
    }
    rd_kafka_topic_partition_list_destroy(offsets);
}

/* Where partitions start. */

static void on_place_answer(struct positions *positions, const struct question *question,
                            rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_topic_partition_list_t *asked = question->partitions;
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
}

static void on_log_answer(struct positions *positions, rd_kafka_event_t *event)
{
    struct question *question = rd_kafka_event_opaque(event);

    if (question->subject == SUBJECT_PLACE)
        on_place_answer(positions, question, event);
    else
        on_range_answer(positions, question, event);
    question_destroy(question);
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

static bool is_committed(const rd_kafka_topic_partition_t *partition)
{
    return !partition->err && partition->offset >= 0;
}

/* Whether the topic has a partition that is older, since its offset was committed before. */
static bool is_newer(const rd_kafka_topic_partition_list_t *committed,
                     const rd_kafka_topic_partition_t *partition)
{
    for (int i = 0; i < committed->cnt; i++)
        if (is_committed(&committed->elems[i]) &&
            committed->elems[i].partition < partition->partition &&
            strcmp(committed->elems[i].topic, partition->topic) == 0)
            return true;
    return false;
}

/* Those that the group has committed are found; the others start as SINK_START says. */
static void take_committed(struct positions *positions, rd_kafka_topic_partition_list_t *asked,
                           const rd_kafka_topic_partition_list_t *committed)
{
    rd_kafka_topic_partition_list_t *rest = rd_kafka_topic_partition_list_new(4);

    for (int i = 0; i < committed->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &committed->elems[i];
        bool latest = starts_at_latest(positions) && !is_newer(committed, one);
        if (!rd_kafka_topic_partition_list_find(asked, one->topic, one->partition))
            continue;
        if (one->err)
            fail(positions, one, rd_kafka_err2str(one->err));
        else if (is_committed(one))
            positions->options.on_found(positions->options.opaque, one->topic, one->partition,
                                        one->offset, NULL);
        else
            add_spec(rest, one,
                     latest ? RD_KAFKA_OFFSET_SPEC_LATEST : RD_KAFKA_OFFSET_SPEC_EARLIEST);
    }
    if (rest->cnt > 0)
        ask_log(positions, rest);
    rd_kafka_topic_partition_list_destroy(rest);
}

static void on_group_answer(struct positions *positions, rd_kafka_event_t *event)
{
    struct question *question = rd_kafka_event_opaque(event);
    rd_kafka_topic_partition_list_t *asked = question->partitions;
    const rd_kafka_topic_partition_list_t *committed = group_answer(event);

    for (int i = 0; !committed && i < asked->cnt; i++)
        fail(positions, &asked->elems[i], "the group's offsets could not be read");
    if (committed)
        take_committed(positions, asked, committed);
    question_destroy(question);
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
