/*
 *   lane_add --> claimed: lane_start --> fetched --the range's end was read--> fetched no more
 *                    ^                                                              |
 *                    +---- a batch has to be read again, the database went back ----+-->
 * lane_remove
 *
 * It is a consumer (kafka/consumer.c) without the group: nothing is subscribed to, no offset is
 * committed, nobody rebalances. What becomes of a partition that can not be read is the same.
 */
#include "kafka/lane.h"

#include "base/clock.h"
#include "dispatch/identity.h"
#include "dispatch/ownership.h"
#include "ops/log.h"

enum { TICK_MS = 200 };

/* What the log holds of a partition that can't be fetched from where it should. */
static void on_range(void *opaque, const char *topic, int32_t partition, int64_t start, int64_t end)
{
    struct lane *lane = opaque;

    fetching_take_range(&lane->fetching, topic, partition, start, end);
}

/* Where a range starts is known: nothing asks for it. */
static void on_found(void *opaque, const char *topic, int32_t partition, int64_t offset,
                     const struct err *err)
{
    (void)opaque;
    (void)topic;
    (void)partition;
    (void)offset;
    (void)err;
}

static void on_topic_id(void *opaque, const char *topic, const char *id, size_t partitions_count)
{
    struct lane *lane = opaque;

    (void)partitions_count;
    lane->brokers_away_since_ms = 0;
    identity_take(lane->dispatcher, topic, id);
}

static void ask_again(void *opaque, const char *topic, int32_t partition,
                      struct assignment_slot *slot)
{
    struct lane *lane = opaque;

    (void)topic;
    (void)partition;
    if (!slot->out_of_range || clock_now_ms() < slot->asked_ms + FETCHING_ASK_AGAIN_MS)
        return;
    slot->range = true;
    lane->assignment.changed = true;
}

/* Most errors are news only: librdkafka goes on by itself. */
static void on_error(struct lane *lane, rd_kafka_event_t *event)
{
    char reason[512];

    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__FATAL ||
        rd_kafka_event_error_is_fatal(event)) {
        rd_kafka_fatal_error(lane->client, reason, sizeof(reason));
        lane->on_fatal(lane->opaque, reason);
        return;
    }
    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN &&
        !lane->brokers_away_since_ms)
        lane->brokers_away_since_ms = clock_now_ms();
    log_warn("Kafka", LOG_STR("code", rd_kafka_err2name(rd_kafka_event_error(event))),
             LOG_STR("reason", rd_kafka_event_error_string(event)));
}

static void on_control(void *opaque)
{
    struct lane *lane = opaque;
    rd_kafka_event_t *event;

    while (!lane->closed && (event = rd_kafka_queue_poll(lane->control, 0))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
            on_error(lane, event);
        rd_kafka_event_destroy(event);
    }
}

static void on_turn(uv_prepare_t *turn)
{
    struct lane *lane = turn->data;

    fetching_apply(&lane->fetching);
    if (lane->assignment.partitions_count > 0)
        topic_ids_turn(&lane->topic_ids);
}

static void on_tick(uv_timer_t *timer)
{
    struct lane *lane = timer->data;

    on_control(lane);
    if (lane->closed)
        return; /* a fatal error has closed everything */
    if (lane->reader.records_count != lane->read_count)
        lane->brokers_away_since_ms = 0;
    lane->read_count = lane->reader.records_count;
    assignment_each(&lane->assignment, ask_again, lane);
    assignment_each(&lane->assignment, fetching_halt_faulty, &lane->fetching);
}

/* Opening and closing. */

static void open_handles(struct lane *lane, uv_loop_t *loop)
{
    uv_prepare_init(loop, &lane->turn);
    lane->turn.data = lane;
    uv_prepare_start(&lane->turn, on_turn);
    uv_timer_init(loop, &lane->timer);
    lane->timer.data = lane;
    uv_timer_start(&lane->timer, on_tick, TICK_MS, TICK_MS);
}

void lane_open(struct lane *lane, uv_loop_t *loop, rd_kafka_t *client, const struct config *config,
               struct dispatcher *dispatcher)
{
    *lane = (struct lane){.client = client, .dispatcher = dispatcher};
    lane->fetching = (struct fetching){.client = client,
                                       .dispatcher = lane->dispatcher,
                                       .assignment = &lane->assignment,
                                       .reader = &lane->reader,
                                       .positions = &lane->positions};
    lane->control = rd_kafka_queue_get_consumer(client);
    waker_open(&lane->waker, loop, lane->control, on_control, lane);
    reader_open(&lane->reader, loop, client, &lane->assignment, dispatcher);
    positions_open(
        &lane->positions, loop, client,
        &(struct positions_options){
            .config = config, .on_found = on_found, .on_range = on_range, .opaque = lane});
    topic_ids_open(&lane->topic_ids, loop, client,
                   &(struct topic_ids_options){
                       .assignment = &lane->assignment, .on_found = on_topic_id, .opaque = lane});
    open_handles(lane, loop);
}

void lane_close(struct lane *lane)
{
    lane->closed = true; /* perhaps from inside on_control: it polls no more */
    uv_prepare_stop(&lane->turn);
    uv_close((uv_handle_t *)&lane->turn, NULL);
    uv_timer_stop(&lane->timer);
    uv_close((uv_handle_t *)&lane->timer, NULL);
    positions_close(&lane->positions);
    topic_ids_close(&lane->topic_ids);
    reader_close(&lane->reader);
    rd_kafka_queue_io_event_enable(lane->control, -1, NULL, 0);
    rd_kafka_queue_destroy(lane->control);
    waker_close(&lane->waker);
}

void lane_finish(struct lane *lane)
{
    assignment_finish(&lane->assignment);
}

/* Queues. */

static struct assignment_slot *slot_of(struct lane *lane, const struct queue *queue)
{
    return assignment_slot(&lane->assignment, queue->route->topic, queue->partition);
}

void lane_add(struct lane *lane, struct queue *queue)
{
    struct assignment_slot *slot = slot_of(lane, queue);

    *slot = (struct assignment_slot){.queue = queue};
    lane->assignment.partitions_count++;
}

static void unassign(struct lane *lane, const struct queue *queue)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, queue->route->topic, queue->partition);
    fetching_report("incremental_unassign", rd_kafka_incremental_unassign(lane->client, list));
    assignment_forget_handles(&lane->assignment);
    rd_kafka_topic_partition_list_destroy(list);
}

void lane_remove(struct lane *lane, struct queue *queue)
{
    struct assignment_slot *slot = slot_of(lane, queue);

    if (slot->fetched)
        unassign(lane, queue);
    *slot = (struct assignment_slot){0};
    lane->assignment.partitions_count--;
    ownership_revoke(lane->dispatcher, queue);
}

void lane_start(struct lane *lane, const struct queue *queue)
{
    if (!queue_has_ended(queue))
        fetching_start(&lane->fetching, queue);
}

void lane_stop(struct lane *lane, const struct queue *queue)
{
    fetching_stop(&lane->fetching, queue);
}

void lane_room(struct lane *lane)
{
    reader_resume(&lane->reader);
}

void lane_identify(struct lane *lane)
{
    topic_ids_want(&lane->topic_ids);
}

void lane_stop_reading(struct lane *lane)
{
    reader_stop(&lane->reader);
}
