/* One commit at a time, every few seconds. */
#include "kafka/committer.h"

#include "ops/log.h"

enum { INTERVAL_MS = 5000 };

static void add_moved(void *opaque, const char *topic, int32_t partition,
                      struct assignment_slot *slot)
{
    rd_kafka_topic_partition_list_t *list = opaque;

    if (slot->queue->position >= 0 && slot->queue->position != slot->queue->told)
        rd_kafka_topic_partition_list_add(list, topic, partition)->offset = slot->queue->position;
}

bool committer_commit(struct committer *committer)
{
    if (committer->rebalancing || committer->under_way)
        return false;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    assignment_each(committer->assignment, add_moved, list);
    committer->under_way =
        list->cnt > 0 && rd_kafka_commit_queue(committer->client, list, committer->control, NULL,
                                               NULL) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_partition_list_destroy(list);
    return committer->under_way;
}

static void note_told(struct committer *committer, const rd_kafka_topic_partition_t *committed)
{
    struct assignment_slot *slot =
        assignment_slot(committer->assignment, committed->topic, committed->partition);

    if (slot->queue && !committed->err)
        slot->queue->told = committed->offset;
}

void committer_on_result(struct committer *committer, rd_kafka_event_t *event)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);

    committer->under_way = false;
    committer->commits_count += !error;
    committer->failed_commits_count += error != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (error)
        log_info("offsets not told to Kafka", LOG_STR("reason", rd_kafka_err2str(error)));
    for (int i = 0; !error && list && i < list->cnt; i++)
        note_told(committer, &list->elems[i]);
}

static void on_timer(uv_timer_t *timer)
{
    committer_commit(timer->data);
}

void committer_open(struct committer *committer, uv_loop_t *loop, rd_kafka_t *client,
                    rd_kafka_queue_t *control, struct assignment *assignment)
{
    *committer = (struct committer){.client = client, .control = control, .assignment = assignment};
    uv_timer_init(loop, &committer->timer);
    committer->timer.data = committer;
    uv_timer_start(&committer->timer, on_timer, INTERVAL_MS, INTERVAL_MS);
}

void committer_close(struct committer *committer)
{
    uv_timer_stop(&committer->timer);
    uv_close((uv_handle_t *)&committer->timer, NULL);
}

void committer_set_rebalancing(struct committer *committer, bool rebalancing)
{
    committer->rebalancing = rebalancing;
}

bool committer_is_busy(const struct committer *committer)
{
    return committer->under_way;
}
