/* A short list of topics, each with an array over its partitions. */
#include "kafka/assignment.h"

#include "base/memory.h"

#include <stdlib.h>

void assignment_finish(struct assignment *assignment)
{
    while (assignment->topics) {
        struct assignment_topic *topic = assignment->topics;
        assignment->topics = topic->next;
        free(topic->name);
        free(topic->slots);
        free(topic);
    }
}

static struct assignment_topic *find_topic(struct assignment *assignment, const char *name)
{
    for (struct assignment_topic *topic = assignment->topics; topic; topic = topic->next)
        if (strcmp(topic->name, name) == 0)
            return topic;
    return NULL;
}

static struct assignment_topic *add_topic(struct assignment *assignment, const char *name)
{
    struct assignment_topic *topic = memory_new(sizeof(*topic));

    topic->name = memory_strdup(name);
    topic->next = assignment->topics;
    assignment->topics = topic;
    return topic;
}

static void grow(struct assignment_topic *topic, size_t count)
{
    topic->slots = memory_resize(topic->slots, count * sizeof(*topic->slots));
    memset(&topic->slots[topic->slots_count], 0,
           (count - topic->slots_count) * sizeof(*topic->slots));
    topic->slots_count = count;
}

struct assignment_slot *assignment_slot(struct assignment *assignment, const char *topic,
                                        int32_t partition)
{
    struct assignment_topic *found = find_topic(assignment, topic);

    if (!found)
        found = add_topic(assignment, topic);
    if ((size_t)partition >= found->slots_count)
        grow(found, (size_t)partition + 1);
    return &found->slots[partition];
}

struct assignment_slot *assignment_find(struct assignment *assignment,
                                        const rd_kafka_topic_t *handle, int32_t partition)
{
    struct assignment_topic *topic = assignment->topics;

    while (topic && topic->handle != handle)
        topic = topic->next;
    if (!topic) {
        topic = find_topic(assignment, rd_kafka_topic_name(handle));
        if (!topic)
            return NULL;
        topic->handle = handle;
    }
    return (size_t)partition < topic->slots_count ? &topic->slots[partition] : NULL;
}

void assignment_forget_handles(struct assignment *assignment)
{
    for (struct assignment_topic *topic = assignment->topics; topic; topic = topic->next)
        topic->handle = NULL;
}

void assignment_each(struct assignment *assignment, assignment_each_cb callback, void *opaque)
{
    for (struct assignment_topic *topic = assignment->topics; topic; topic = topic->next)
        for (size_t i = 0; i < topic->slots_count; i++)
            if (topic->slots[i].queue)
                callback(opaque, topic->name, (int32_t)i, &topic->slots[i]);
}
