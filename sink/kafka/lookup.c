/*
 * An attempt is short and is repeated: the cluster may just be electing leaders.
 *
 * A regular expression is matched here as librdkafka's classic protocol does, by regcomp. With
 * KIP-848 the broker matches, by RE2: where the two differ, a topic is missing here, or one too
 * many.
 */
#include "kafka/lookup.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/client.h"
#include "kafka/topic_ids.h"

#include <poll.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPT_MS = 5000, PAUSE_MS = 100 };

typedef bool (*attempt_cb)(rd_kafka_t *client, void *opaque, int64_t attempt_ms, struct err *err);

static bool attempt_until(rd_kafka_t *client, attempt_cb attempt, void *opaque, int64_t timeout_ms,
                          struct err *err)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;

    for (;;) {
        int64_t left_ms = deadline_ms - clock_now_ms();
        if (attempt(client, opaque, left_ms < ATTEMPT_MS ? left_ms : ATTEMPT_MS, err))
            return true;
        if (err->class != ERR_OUTAGE || clock_now_ms() + PAUSE_MS >= deadline_ms)
            return false;
        poll(NULL, 0, PAUSE_MS);
    }
}

/* Partitions. */

struct subscription {
    const struct config *config;
    rd_kafka_topic_partition_list_t *names;
    regex_t regex;
    rd_kafka_topic_partition_list_t *found;
};

static bool is_subscribed(const struct subscription *subscription, const char *topic)
{
    if (subscription->config->topics[0] == '^')
        return regexec(&subscription->regex, topic, 0, NULL, 0) == 0;
    return rd_kafka_topic_partition_list_find(subscription->names, topic, RD_KAFKA_PARTITION_UA);
}

static bool read_metadata(rd_kafka_t *client, void *opaque, int64_t attempt_ms, struct err *err)
{
    struct subscription *subscription = opaque;
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 1, NULL, &metadata, (int)attempt_ms);

    if (error)
        return err_set(err, ERR_OUTAGE, "Kafka's topics could not be read: %s",
                       rd_kafka_err2str(error));
    for (int i = 0; i < metadata->topic_cnt; i++)
        for (int j = 0; is_subscribed(subscription, metadata->topics[i].topic) &&
                        j < metadata->topics[i].partition_cnt;
             j++)
            rd_kafka_topic_partition_list_add(subscription->found, metadata->topics[i].topic,
                                              metadata->topics[i].partitions[j].id);
    rd_kafka_metadata_destroy(metadata);
    return true;
}

rd_kafka_topic_partition_list_t *lookup_partitions(rd_kafka_t *client, const struct config *config,
                                                   int64_t timeout_ms, struct err *err)
{
    struct subscription subscription = {.config = config};

    if (config->topics[0] == '^' &&
        regcomp(&subscription.regex, config->topics, REG_EXTENDED | REG_NOSUB) != 0) {
        err_set(err, ERR_CONFIG, "SINK_TOPICS: not a regular expression: %s", config->topics);
        return NULL;
    }
    subscription.names = client_topics(config);
    subscription.found = rd_kafka_topic_partition_list_new(16);
    bool done = attempt_until(client, read_metadata, &subscription, timeout_ms, err);
    rd_kafka_topic_partition_list_destroy(subscription.names);
    if (config->topics[0] == '^')
        regfree(&subscription.regex);
    if (done)
        return subscription.found;
    rd_kafka_topic_partition_list_destroy(subscription.found);
    return NULL;
}

/* Offsets. */

struct offsets_question {
    rd_kafka_topic_partition_list_t *partitions; /* the answers go there */
    int64_t wanted;
    rd_kafka_IsolationLevel_t level;
};

static rd_kafka_event_t *list_offsets(rd_kafka_t *client, const struct offsets_question *question,
                                      int64_t attempt_ms)
{
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);

    rd_kafka_AdminOptions_set_request_timeout(options, (int)attempt_ms, NULL, 0);
    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_isolation_level(options, question->level));
    rd_kafka_ListOffsets(client, question->partitions, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, -1);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    return event;
}

static bool take_offsets(rd_kafka_topic_partition_list_t *partitions,
                         const rd_kafka_ListOffsets_result_t *result, struct err *err)
{
    size_t count;
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rd_kafka_ListOffsets_result_infos(result, &count);

    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *one =
            rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        if (one->err)
            return err_set(err, ERR_OUTAGE, "the offsets of %s[%d] could not be read: %s",
                           one->topic, one->partition, rd_kafka_err2str(one->err));
        rd_kafka_topic_partition_list_find(partitions, one->topic, one->partition)->offset =
            one->offset;
    }
    return true;
}

static bool read_offsets(rd_kafka_t *client, void *opaque, int64_t attempt_ms, struct err *err)
{
    struct offsets_question *question = opaque;

    for (int i = 0; i < question->partitions->cnt; i++)
        question->partitions->elems[i].offset = question->wanted;
    rd_kafka_event_t *event = list_offsets(client, question, attempt_ms);
    bool done =
        rd_kafka_event_error(event)
            ? err_set(err, ERR_OUTAGE, "Kafka's offsets could not be read: %s",
                      rd_kafka_event_error_string(event))
            : take_offsets(question->partitions, rd_kafka_event_ListOffsets_result(event), err);
    rd_kafka_event_destroy(event);
    return done;
}

bool lookup_offsets(rd_kafka_t *client, rd_kafka_topic_partition_list_t *partitions, int64_t wanted,
                    int64_t timeout_ms, struct err *err)
{
    struct offsets_question question = {
        .partitions = partitions,
        .wanted = wanted,
        .level = RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
    };

    return partitions->cnt == 0 || attempt_until(client, read_offsets, &question, timeout_ms, err);
}

bool lookup_offsets_of_all(rd_kafka_t *client, rd_kafka_topic_partition_list_t *partitions,
                           int64_t wanted, int64_t timeout_ms, struct err *err)
{
    struct offsets_question question = {
        .partitions = partitions,
        .wanted = wanted,
        .level = RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
    };

    return partitions->cnt == 0 || attempt_until(client, read_offsets, &question, timeout_ms, err);
}

/* Topics. */

struct topic_question {
    const char *name;
    struct lookup_topic *topic;
};

static bool take_topic(const struct topic_question *question,
                       const rd_kafka_TopicDescription_t *description, struct err *err)
{
    const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(description);
    size_t count;

    if (error)
        return err_set(err,
                       rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                           ? ERR_CONFIG
                           : ERR_OUTAGE,
                       "topic %s: %s", question->name, rd_kafka_error_string(error));
    const rd_kafka_TopicPartitionInfo_t **partitions =
        rd_kafka_TopicDescription_partitions(description, &count);
    topic_ids_text(rd_kafka_TopicDescription_topic_id(description), question->topic->id,
                   sizeof(question->topic->id));
    question->topic->partitions = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(question->topic->partitions, question->name,
                                          rd_kafka_TopicPartitionInfo_partition(partitions[i]));
    return true;
}

static rd_kafka_event_t *describe_topic(rd_kafka_t *client, const char *name, int64_t attempt_ms)
{
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(&name, 1);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);

    rd_kafka_AdminOptions_set_request_timeout(options, (int)attempt_ms, NULL, 0);
    rd_kafka_DescribeTopics(client, topics, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, -1);
    rd_kafka_queue_destroy(queue);
    rd_kafka_TopicCollection_destroy(topics);
    rd_kafka_AdminOptions_destroy(options);
    return event;
}

static bool read_topic(rd_kafka_t *client, void *opaque, int64_t attempt_ms, struct err *err)
{
    const struct topic_question *question = opaque;
    rd_kafka_event_t *event = describe_topic(client, question->name, attempt_ms);
    size_t count = 0;
    bool done;

    if (rd_kafka_event_error(event)) {
        done = err_set(err, ERR_OUTAGE, "topic %s could not be read: %s", question->name,
                       rd_kafka_event_error_string(event));
    } else {
        const rd_kafka_TopicDescription_t **topics = rd_kafka_DescribeTopics_result_topics(
            rd_kafka_event_DescribeTopics_result(event), &count);
        done = count == 1 && take_topic(question, topics[0], err);
    }
    rd_kafka_event_destroy(event);
    return done;
}

bool lookup_topic(rd_kafka_t *client, const char *name, struct lookup_topic *topic,
                  int64_t timeout_ms, struct err *err)
{
    struct topic_question question = {.name = name, .topic = topic};

    *topic = (struct lookup_topic){0};
    return attempt_until(client, read_topic, &question, timeout_ms, err);
}

void lookup_topic_finish(struct lookup_topic *topic)
{
    if (topic->partitions)
        rd_kafka_topic_partition_list_destroy(topic->partitions);
    *topic = (struct lookup_topic){0};
}

static bool read_id(rd_kafka_t *client, const char *name, struct lookup_id *id, int64_t timeout_ms,
                    struct err *err)
{
    struct lookup_topic topic;
    bool done = lookup_topic(client, name, &topic, timeout_ms, err);

    memcpy(id->text, topic.id, sizeof(id->text));
    lookup_topic_finish(&topic);
    return done;
}

struct lookup_id *lookup_ids(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *partitions,
                             int64_t timeout_ms, struct err *err)
{
    const rd_kafka_topic_partition_t *list = partitions->elems;
    struct lookup_id *ids = memory_new_array((size_t)partitions->cnt + 1, sizeof(*ids));

    for (int i = 0; i < partitions->cnt; i++) {
        if (i > 0 && strcmp(list[i].topic, list[i - 1].topic) == 0) {
            ids[i] = ids[i - 1];
        } else if (!read_id(client, list[i].topic, &ids[i], timeout_ms, err)) {
            free(ids);
            return NULL;
        }
    }
    return ids;
}
