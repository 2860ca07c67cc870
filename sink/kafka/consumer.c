/*
 * The rebalance protocol.
 *
 *   cooperative                                      eager (range, roundrobin)
 *   ASSIGN p: answer at once with an empty           ASSIGN p: claim; when all are claimed, or
 *     incremental assign; claim p;                     after some seconds, answer with what has a
 *     then incrementally assign p from its position    position; later ones: the whole list anew
 *   REVOKE p: drop what is not sent; incrementally   REVOKE: drop what is not sent; unassign
 *     unassign p at once
 *
 * Why the empty answer: librdkafka pauses every partition, kept ones too, from the event until its
 * answer. Claims wait for another replica's flush; the kept partitions shall not wait with them.
 *
 * Why nothing waits for flushes under way when partitions are revoked: safety is PostgreSQL's. The
 * new owner's claim waits for our transaction; if the claim comes first, our advance fails.
 */
#include "kafka/consumer.h"

#include "base/clock.h"
#include "dispatch/identity.h"
#include "dispatch/ownership.h"
#include "kafka/client.h"

#include <string.h>

enum { TICK_MS = 200 };

/* The dispatcher's hooks. */

static void want_place(void *opaque, struct queue *queue)
{
    struct consumer *consumer = opaque;

    fetching_place(&consumer->fetching, queue);
}

static void want_start(void *opaque, struct queue *queue)
{
    struct consumer *consumer = opaque;

    fetching_start(&consumer->fetching, queue);
}

static void want_stop(void *opaque, struct queue *queue)
{
    struct consumer *consumer = opaque;

    fetching_stop(&consumer->fetching, queue);
}

static void on_room(void *opaque)
{
    struct consumer *consumer = opaque;

    reader_resume(&consumer->reader);
}

static void want_topic_ids(void *opaque)
{
    struct consumer *consumer = opaque;

    topic_ids_want(&consumer->topic_ids);
}

struct dispatcher_hooks consumer_hooks(struct consumer *consumer)
{
    return (struct dispatcher_hooks){.place = want_place,
                                     .start = want_start,
                                     .stop = want_stop,
                                     .room = on_room,
                                     .identify = want_topic_ids,
                                     .opaque = consumer};
}

static void on_turn(uv_prepare_t *turn)
{
    struct consumer *consumer = turn->data;

    if (consumer->closing)
        return;
    fetching_apply(&consumer->fetching);
    topic_ids_turn(&consumer->topic_ids);
}

static void on_topic_id(void *opaque, const char *topic, const char *id, size_t partitions_count)
{
    struct consumer *consumer = opaque;

    consumer->brokers_away_since_ms = 0;
    ownership_route(consumer->dispatcher, topic)->partitions_count = (int64_t)partitions_count;
    identity_take(consumer->dispatcher, topic, id);
}

static void on_ends(void *opaque, bool answered)
{
    struct consumer *consumer = opaque;

    if (answered)
        consumer->brokers_away_since_ms = 0;
    else if (!consumer->brokers_away_since_ms)
        consumer->brokers_away_since_ms = clock_now_ms();
}

/* Positions of partitions that PostgreSQL does not know yet. */

static void on_found(void *opaque, const char *topic, int32_t partition, int64_t offset,
                     const struct err *err)
{
    struct consumer *consumer = opaque;
    struct assignment_slot *slot = assignment_slot(&consumer->assignment, topic, partition);

    if (!slot->queue)
        return; /* revoked meanwhile */
    if (offset >= 0)
        ownership_place(consumer->dispatcher, slot->queue, offset);
    else
        log_warn("no start yet", LOG_STR("topic", topic), LOG_INT("partition", partition),
                 LOG_ERR(err));
    if (offset < 0)
        slot->asked_ms = clock_now_ms() - FETCHING_ASK_AGAIN_MS + 1000;
}

static void ask_again(void *opaque, const char *topic, int32_t partition,
                      struct assignment_slot *slot)
{
    struct consumer *consumer = opaque;

    (void)topic;
    (void)partition;
    if (clock_now_ms() < slot->asked_ms + FETCHING_ASK_AGAIN_MS)
        return;
    slot->place |= slot->queue->state == QUEUE_UNPLACED;
    slot->range |= slot->out_of_range;
    consumer->assignment.changed |= slot->place || slot->range;
}

/* What the log holds of a partition that can't be fetched from where it should. */
static void on_range(void *opaque, const char *topic, int32_t partition, int64_t start, int64_t end)
{
    struct consumer *consumer = opaque;

    fetching_take_range(&consumer->fetching, topic, partition, start, end);
}

/* Rebalances. */

static void log_rebalance(const char *event, const rd_kafka_topic_partition_list_t *list)
{
    struct buffer text = {0};

    for (int i = 0; i < list->cnt; i++)
        buffer_printf(&text, "%s%s[%d]", i ? " " : "", list->elems[i].topic,
                      list->elems[i].partition);
    log_info(event, LOG_INT("count", list->cnt), LOG_STR("partitions", buffer_text(&text)));
    buffer_finish(&text);
}

static void add_partition(struct consumer *consumer, const rd_kafka_topic_partition_t *partition)
{
    struct assignment_slot *slot =
        assignment_slot(&consumer->assignment, partition->topic, partition->partition);

    if (slot->queue)
        return;
    *slot = (struct assignment_slot){0};
    slot->queue = ownership_assign(consumer->dispatcher, partition->topic, partition->partition);
    consumer->assignment.partitions_count++;
}

static void end_rebalance(struct consumer *consumer)
{
    int64_t took_us = clock_now_us() - consumer->rebalancing_since_us;

    if (consumer->rebalancing_since_us)
        histogram_add(&consumer->counts.rebalance_seconds, &histogram_rebalance_seconds,
                      (double)took_us / 1e6, 1);
    consumer->rebalancing_since_us = 0;
    consumer->brokers_away_since_ms = 0;
}

static void on_assign(struct consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
    end_rebalance(consumer);
    consumer->counts.assigns_count++;
    consumer->member = true;
    committer_set_rebalancing(&consumer->committer, false);
    if (list->cnt > 0)
        log_rebalance("assigned", list);
    if (consumer->fetching.eager) {
        fetching_expect_whole(&consumer->fetching);
    } else {
        rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
        fetching_report("incremental_assign", rd_kafka_incremental_assign(consumer->client, none));
        rd_kafka_topic_partition_list_destroy(none);
    }
    for (int i = 0; i < list->cnt; i++)
        add_partition(consumer, &list->elems[i]);
}

/* Returns whether librdkafka had it in its assignment. */
static bool remove_partition(struct consumer *consumer, const char *topic, int32_t partition)
{
    struct assignment_slot *slot = assignment_slot(&consumer->assignment, topic, partition);
    bool fetched = slot->fetched;

    if (slot->queue) {
        consumer->assignment.partitions_count--;
        struct queue *queue = slot->queue;
        *slot = (struct assignment_slot){0};
        ownership_revoke(consumer->dispatcher, queue);
    }
    return fetched;
}

static void on_revoke(struct consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *fetched = rd_kafka_topic_partition_list_new(list->cnt);
    bool lost = rd_kafka_assignment_lost(consumer->client);

    if (!consumer->rebalancing_since_us)
        consumer->rebalancing_since_us = clock_now_us();
    consumer->counts.revokes_count++;
    consumer->counts.losses_count += lost;
    consumer->member &= !lost;
    committer_set_rebalancing(&consumer->committer, true);
    if (list->cnt > 0)
        log_rebalance(lost ? "lost" : "revoked", list);
    for (int i = 0; i < list->cnt; i++)
        if (remove_partition(consumer, list->elems[i].topic, list->elems[i].partition))
            rd_kafka_topic_partition_list_add(fetched, list->elems[i].topic,
                                              list->elems[i].partition);
    if (consumer->fetching.eager)
        fetching_report_code("assign", rd_kafka_assign(consumer->client, NULL));
    else
        fetching_report("incremental_unassign",
                        rd_kafka_incremental_unassign(consumer->client, fetched));
    assignment_forget_handles(&consumer->assignment);
    consumer->fetching.unanswered = false;
    rd_kafka_topic_partition_list_destroy(fetched);
}

static void on_rebalance(struct consumer *consumer, rd_kafka_event_t *event)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    const char *protocol = rd_kafka_rebalance_protocol(consumer->client);

    consumer->fetching.eager = protocol && strcmp(protocol, "EAGER") == 0;
    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !consumer->closing) {
        on_assign(consumer, list);
    } else if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS ||
               rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_revoke(consumer, list);
    } else {
        fetching_report_code("rebalance", rd_kafka_event_error(event));
        rd_kafka_assign(consumer->client, NULL);
    }
}

/* Errors. Most are news only: librdkafka goes on by itself. */

/* Which group the client may not join: librdkafka's words leave it out. "": another error. */
static const char *group_to_blame(const struct consumer *consumer, rd_kafka_resp_err_t code)
{
    const struct config_property *group = config_property(consumer->config, "group.id");

    return code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED && group ? group->value : "";
}

static void note_error(struct consumer *consumer, rd_kafka_resp_err_t error)
{
    tally_add(&consumer->counts.errors, rd_kafka_err2name(error));
    consumer->counts.late_polls_count += error == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED;
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !consumer->brokers_away_since_ms)
        consumer->brokers_away_since_ms = clock_now_ms();
}

static void on_error(struct consumer *consumer, rd_kafka_event_t *event)
{
    char reason[512];

    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__FATAL ||
        rd_kafka_event_error_is_fatal(event)) {
        rd_kafka_fatal_error(consumer->client, reason, sizeof(reason));
        consumer->on_fatal(consumer->opaque, reason);
        return;
    }
    note_error(consumer, rd_kafka_event_error(event));
    log_warn("Kafka", LOG_STR("code", rd_kafka_err2name(rd_kafka_event_error(event))),
             LOG_STR("reason", rd_kafka_event_error_string(event)),
             LOG_STR("group", group_to_blame(consumer, rd_kafka_event_error(event))));
}

/* Served on every turn that has something, and by the timer: it also tells the group that we live.
 */
static void on_control(void *opaque)
{
    struct consumer *consumer = opaque;
    rd_kafka_event_t *event;

    consumer->polled_ms = clock_wall_ms();
    while (!consumer->closed && (event = rd_kafka_queue_poll(consumer->control, 0))) {
        switch (rd_kafka_event_type(event)) {
        case RD_KAFKA_EVENT_REBALANCE:
            on_rebalance(consumer, event);
            break;
        case RD_KAFKA_EVENT_OFFSET_COMMIT:
            committer_on_result(&consumer->committer, event);
            break;
        case RD_KAFKA_EVENT_ERROR:
            on_error(consumer, event);
            break;
        default:
            log_error("unexpected event", LOG_STR("name", rd_kafka_event_name(event)));
            break;
        }
        rd_kafka_event_destroy(event);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct consumer *consumer = timer->data;

    on_control(consumer);
    if (consumer->closed)
        return; /* a fatal error has closed everything */
    assignment_each(&consumer->assignment, ask_again, consumer);
    assignment_each(&consumer->assignment, fetching_halt_faulty, &consumer->fetching);
}

/* Opening and closing. */

void consumer_init(struct consumer *consumer, uv_loop_t *loop, rd_kafka_t *client,
                   const struct config *config, struct dispatcher *dispatcher)
{
    *consumer = (struct consumer){
        .loop = loop, .client = client, .config = config, .dispatcher = dispatcher};
    consumer->fetching = (struct fetching){.client = client,
                                           .dispatcher = consumer->dispatcher,
                                           .assignment = &consumer->assignment,
                                           .reader = &consumer->reader,
                                           .positions = &consumer->positions};
}

bool consumer_subscribe(struct consumer *consumer, struct err *err)
{
    rd_kafka_topic_partition_list_t *topics = client_topics(consumer->config);

    consumer->control = rd_kafka_queue_get_consumer(consumer->client);
    waker_open(&consumer->waker, consumer->loop, consumer->control, on_control, consumer);
    reader_open(&consumer->reader, consumer->loop, consumer->client, &consumer->assignment,
                consumer->dispatcher);
    committer_open(&consumer->committer, consumer->loop, consumer->client, consumer->control,
                   &consumer->assignment);
    positions_open(&consumer->positions, consumer->loop, consumer->client,
                   &(struct positions_options){.config = consumer->config,
                                               .on_found = on_found,
                                               .on_range = on_range,
                                               .opaque = consumer});
    topic_ids_open(&consumer->topic_ids, consumer->loop, consumer->client,
                   &(struct topic_ids_options){.assignment = &consumer->assignment,
                                               .on_found = on_topic_id,
                                               .opaque = consumer});
    consumer->watermarks = (struct watermarks){.on_answer = on_ends, .opaque = consumer};
    watermarks_open(&consumer->watermarks, consumer->loop, consumer->client, consumer->config,
                    &consumer->assignment);
    uv_prepare_init(consumer->loop, &consumer->turn);
    consumer->turn.data = consumer;
    uv_prepare_start(&consumer->turn, on_turn);
    uv_timer_init(consumer->loop, &consumer->timer);
    consumer->timer.data = consumer;
    uv_timer_start(&consumer->timer, on_tick, TICK_MS, TICK_MS);
    rd_kafka_resp_err_t error = rd_kafka_subscribe(consumer->client, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return !error || err_set(err, ERR_CONFIG, "SINK_TOPICS: %s", rd_kafka_err2str(error));
}

void consumer_stop_reading(struct consumer *consumer)
{
    reader_stop(&consumer->reader);
}

void consumer_commit(struct consumer *consumer)
{
    committer_commit(&consumer->committer);
}

bool consumer_is_committing(const struct consumer *consumer)
{
    return committer_is_busy(&consumer->committer);
}

void consumer_leave(struct consumer *consumer)
{
    consumer->closing = true;
    fetching_report("consumer_close",
                    rd_kafka_consumer_close_queue(consumer->client, consumer->control));
}

bool consumer_has_left(const struct consumer *consumer)
{
    return rd_kafka_consumer_closed(consumer->client);
}

void consumer_close(struct consumer *consumer)
{
    consumer->closed = true; /* perhaps from inside on_control: it polls no more */
    uv_prepare_stop(&consumer->turn);
    uv_close((uv_handle_t *)&consumer->turn, NULL);
    uv_timer_stop(&consumer->timer);
    uv_close((uv_handle_t *)&consumer->timer, NULL);
    committer_close(&consumer->committer);
    positions_close(&consumer->positions);
    topic_ids_close(&consumer->topic_ids);
    watermarks_close(&consumer->watermarks);
    reader_close(&consumer->reader);
    rd_kafka_queue_io_event_enable(consumer->control, -1, NULL, 0);
    rd_kafka_queue_destroy(consumer->control);
    waker_close(&consumer->waker);
}

void consumer_finish(struct consumer *consumer)
{
    assignment_finish(&consumer->assignment);
}
