/*
 * What the dispatcher wants fetched, carried out once per turn of the loop, so that a thousand
 * claimed partitions become a few calls.
 *
 * A race, and why a stopped partition is unassigned instead of seeked:
 * 1. A partition has to go back (the database went back in time) from 500 to 100.
 * 2. Messages from 500 on lie in the data queue. A seek that fails without a word would let them
 *    through: the next flush would move the position from 100 to 600 and lose 400 records.
 * 3. An unassign makes all of them outdated at once, and the assign that follows states its offset.
 */
#include "kafka/fetching.h"

#include "base/clock.h"
#include "dispatch/out_of_range.h"
#include "dispatch/ownership.h"
#include "dispatch/route.h"
#include "ops/log.h"

enum { EAGER_WAIT_MS = 5000, SEEK_MS = 200, RANGE_AGAIN_MS = 500 };

struct changes {
    struct fetching *fetching;
    rd_kafka_topic_partition_list_t *unassign;
    rd_kafka_topic_partition_list_t *assign;
    rd_kafka_topic_partition_list_t *place;
    rd_kafka_topic_partition_list_t *range;
};

/* Whether it was carried out. */
bool fetching_report(const char *what, rd_kafka_error_t *error)
{
    if (!error)
        return true;
    log_warn("librdkafka refused a call", LOG_STR("call", what),
             LOG_STR("reason", rd_kafka_error_string(error)));
    rd_kafka_error_destroy(error);
    return false;
}

bool fetching_report_code(const char *what, rd_kafka_resp_err_t code)
{
    if (code)
        log_warn("librdkafka refused a call", LOG_STR("call", what),
                 LOG_STR("reason", rd_kafka_err2str(code)));
    return !code;
}

/* An assign that was refused is wanted again; the timer brings the next turn. */
static void want_again(struct fetching *fetching, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++)
        assignment_slot(fetching->assignment, list->elems[i].topic, list->elems[i].partition)
            ->start = true;
    fetching->assignment->changed |= list->cnt > 0;
}

/* It is not fetched. */
static void note_refused(struct fetching *fetching, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++)
        assignment_slot(fetching->assignment, list->elems[i].topic, list->elems[i].partition)
            ->fetched = false;
    want_again(fetching, list);
}

static void add_assign(struct changes *changes, const char *topic, int32_t partition,
                       struct assignment_slot *slot)
{
    const struct queue *queue = slot->queue;
    rd_kafka_topic_partition_t *added =
        rd_kafka_topic_partition_list_add(changes->assign, topic, partition);

    added->offset = queue->read_next;
    /* Kafka then says whether the record before is still the one that was read. */
    if (queue->read_next == queue->position)
        rd_kafka_topic_partition_set_leader_epoch(added, queue->leader_epoch);
    slot->fetched = true;
}

static void collect_range(struct changes *changes, const char *topic, int32_t partition,
                          struct assignment_slot *slot)
{
    if (slot->start || slot->stop)
        slot->faulty = slot->out_of_range = slot->range = false;
    if (!slot->range)
        return;
    slot->range = false;
    slot->asked_ms = clock_now_ms();
    rd_kafka_topic_partition_list_add(changes->range, topic, partition);
}

static void collect_place(struct changes *changes, const char *topic, int32_t partition,
                          struct assignment_slot *slot)
{
    if (!slot->place)
        return;
    slot->place = false;
    slot->asked_ms = clock_now_ms();
    rd_kafka_topic_partition_list_add(changes->place, topic, partition)->offset =
        slot->queue->vanished ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_INVALID;
}

static void collect_cooperative(void *opaque, const char *topic, int32_t partition,
                                struct assignment_slot *slot)
{
    struct changes *changes = opaque;

    collect_place(changes, topic, partition, slot);
    collect_range(changes, topic, partition, slot);
    if (slot->fetched && (slot->stop || slot->start)) {
        rd_kafka_topic_partition_list_add(changes->unassign, topic, partition);
        slot->fetched = false;
    }
    if (slot->start)
        add_assign(changes, topic, partition, slot);
    slot->start = false;
    slot->stop = false;
}

/*
 * The race of a partition that is unassigned and at once assigned anew:
 * 1. unassign makes librdkafka's main thread queue a "fetch stop" for itself.
 * 2. We forward the partition's queue to the data queue.
 * 3. The fetch stop runs and undoes the forward; the new fetch fills a queue that nobody reads.
 * Asking for the assignment goes through the same queue of that thread: when it answers, 3 is over.
 */
static void wait_for_stops(struct fetching *fetching)
{
    rd_kafka_topic_partition_list_t *assignment;

    if (rd_kafka_assignment(fetching->client, &assignment) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_topic_partition_list_destroy(assignment);
    assignment_forget_handles(fetching->assignment);
}

static void forward(struct fetching *fetching, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++)
        reader_forward(fetching->reader, list->elems[i].topic, list->elems[i].partition);
}

/* Those whose position has a leader epoch, at that position. */
static rd_kafka_topic_partition_list_t *with_epochs(const rd_kafka_topic_partition_list_t *assigned)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(assigned->cnt);

    for (int i = 0; i < assigned->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &assigned->elems[i];
        int32_t epoch = rd_kafka_topic_partition_get_leader_epoch(one);
        if (epoch < 0 || one->offset <= 0)
            continue;
        rd_kafka_topic_partition_t *added =
            rd_kafka_topic_partition_list_add(list, one->topic, one->partition);
        added->offset = one->offset;
        rd_kafka_topic_partition_set_leader_epoch(added, epoch);
    }
    return list;
}

/*
 * A seek to where the fetch starts anyway: librdkafka compares the epoch with the leader's log
 * then, and only then. It is answered by librdkafka's main thread, without a word to the broker.
 * One that is refused, because the fetch has not begun yet, is wanted again with its assignment.
 */
static void compare_epochs(struct fetching *fetching,
                           const rd_kafka_topic_partition_list_t *assigned)
{
    rd_kafka_topic_partition_list_t *list = with_epochs(assigned);

    if (list->cnt > 0 && fetching_report("seek_partitions",
                                         rd_kafka_seek_partitions(fetching->client, list, SEEK_MS)))
        for (int i = list->cnt - 1; i >= 0; i--)
            if (!list->elems[i].err)
                rd_kafka_topic_partition_list_del_by_idx(list, i);
    want_again(fetching, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void apply_cooperative(struct fetching *fetching, struct changes *changes)
{
    if (changes->unassign->cnt > 0) {
        fetching_report("incremental_unassign",
                        rd_kafka_incremental_unassign(fetching->client, changes->unassign));
        wait_for_stops(fetching);
    }
    forward(fetching, changes->assign);
    if (changes->assign->cnt == 0)
        return;
    if (fetching_report("incremental_assign",
                        rd_kafka_incremental_assign(fetching->client, changes->assign)))
        compare_epochs(fetching, changes->assign);
    else
        note_refused(fetching, changes->assign);
}

static void collect_eager(void *opaque, const char *topic, int32_t partition,
                          struct assignment_slot *slot)
{
    struct changes *changes = opaque;
    bool wanted = slot->start || (slot->fetched && !slot->stop);

    collect_place(changes, topic, partition, slot);
    collect_range(changes, topic, partition, slot);
    if (slot->fetched)
        rd_kafka_topic_partition_list_add(changes->unassign, topic, partition);
    slot->fetched = false;
    slot->start = false;
    slot->stop = false;
    if (wanted)
        add_assign(changes, topic, partition, slot);
}

/* An eager assignment is always whole. */
static void apply_eager(struct fetching *fetching, struct changes *changes)
{
    if (changes->unassign->cnt > 0) {
        fetching_report_code("assign", rd_kafka_assign(fetching->client, NULL));
        wait_for_stops(fetching);
    }
    forward(fetching, changes->assign);
    bool wanted = changes->assign->cnt > 0 || fetching->unanswered;
    fetching->unanswered = false;
    if (!wanted)
        return;
    if (fetching_report_code("assign", rd_kafka_assign(fetching->client, changes->assign)))
        compare_epochs(fetching, changes->assign);
    else
        note_refused(fetching, changes->assign);
}

/* Whether a partition of an unanswered assignment still has no position. */
static void note_waiting(void *opaque, const char *topic, int32_t partition,
                         struct assignment_slot *slot)
{
    bool *waiting = opaque;

    (void)topic;
    (void)partition;
    if (!slot->start && !slot->fetched && slot->queue->state != QUEUE_HALTED)
        *waiting = true;
}

/* What is collected stays marked until the whole assignment can be answered. */
static bool eager_has_to_wait(struct fetching *fetching)
{
    bool waiting = false;

    if (!fetching->unanswered)
        return false;
    assignment_each(fetching->assignment, note_waiting, &waiting);
    return waiting && clock_now_ms() < fetching->deadline_ms;
}

static void only_place(void *opaque, const char *topic, int32_t partition,
                       struct assignment_slot *slot)
{
    collect_place(opaque, topic, partition, slot);
}

static void collect(struct fetching *fetching, struct changes *changes)
{
    if (!fetching->eager) {
        assignment_each(fetching->assignment, collect_cooperative, changes);
        apply_cooperative(fetching, changes);
    } else if (eager_has_to_wait(fetching)) {
        assignment_each(fetching->assignment, only_place, changes);
        fetching->assignment->changed = true;
    } else {
        assignment_each(fetching->assignment, collect_eager, changes);
        apply_eager(fetching, changes);
    }
}

static void log_fetching(const rd_kafka_topic_partition_list_t *list)
{
    struct buffer text = {0};

    for (int i = 0; i < list->cnt; i++)
        buffer_printf(&text, "%s%s[%d]@%lld", i ? " " : "", list->elems[i].topic,
                      list->elems[i].partition, (long long)list->elems[i].offset);
    if (list->cnt > 0)
        log_info("fetching", LOG_INT("count", list->cnt), LOG_STR("from", buffer_text(&text)));
    buffer_finish(&text);
}

void fetching_apply(struct fetching *fetching)
{
    if (!fetching->assignment->changed)
        return;
    struct changes changes = {.fetching = fetching,
                              .unassign = rd_kafka_topic_partition_list_new(16),
                              .assign = rd_kafka_topic_partition_list_new(16),
                              .place = rd_kafka_topic_partition_list_new(16),
                              .range = rd_kafka_topic_partition_list_new(16)};
    fetching->assignment->changed = false;
    collect(fetching, &changes);
    log_fetching(changes.assign);
    if (changes.place->cnt > 0)
        positions_ask(fetching->positions, changes.place);
    if (changes.range->cnt > 0)
        positions_ask_range(fetching->positions, changes.range);
    rd_kafka_topic_partition_list_destroy(changes.unassign);
    rd_kafka_topic_partition_list_destroy(changes.assign);
    rd_kafka_topic_partition_list_destroy(changes.place);
    rd_kafka_topic_partition_list_destroy(changes.range);
}

/* Wishes: marked now, carried out by fetching_apply. */

static struct assignment_slot *slot_of(struct fetching *fetching, const struct queue *queue)
{
    fetching->assignment->changed = true;
    return assignment_slot(fetching->assignment, queue->route->topic, queue->partition);
}

void fetching_place(struct fetching *fetching, const struct queue *queue)
{
    slot_of(fetching, queue)->place = true;
}

void fetching_start(struct fetching *fetching, const struct queue *queue)
{
    slot_of(fetching, queue)->start = true;
}

void fetching_stop(struct fetching *fetching, const struct queue *queue)
{
    struct assignment_slot *slot = slot_of(fetching, queue);

    slot->start = false;
    slot->stop = slot->fetched;
}

void fetching_expect_whole(struct fetching *fetching)
{
    fetching->unanswered = true;
    fetching->deadline_ms = clock_now_ms() + EAGER_WAIT_MS;
    fetching->assignment->changed = true;
}

void fetching_take_range(struct fetching *fetching, const char *topic, int32_t partition,
                         int64_t start, int64_t end)
{
    struct assignment_slot *slot = assignment_slot(fetching->assignment, topic, partition);

    if (!slot->queue || !slot->out_of_range)
        return; /* revoked meanwhile, or fetched from elsewhere */
    if (out_of_range_take(fetching->dispatcher, slot->queue, start, end))
        slot->out_of_range = false;
    else
        slot->asked_ms = clock_now_ms() - FETCHING_ASK_AGAIN_MS + RANGE_AGAIN_MS;
}

/* queue->halted says why: the reader has put it there. */
void fetching_halt_faulty(void *opaque, const char *topic, int32_t partition,
                          struct assignment_slot *slot)
{
    struct fetching *fetching = opaque;
    struct queue *queue = slot->queue;

    (void)topic;
    (void)partition;
    if (!slot->faulty || queue->state != QUEUE_OPEN || queue->flush ||
        !TAILQ_EMPTY(&queue->batches))
        return;
    struct err err = queue->halted;
    ownership_halt(fetching->dispatcher, queue, &err);
}
