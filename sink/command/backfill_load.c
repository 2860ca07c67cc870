/*
 *   LOADING --every range of the share is complete-----------------------------> CLOSING
 *      |                                                                            ^  ^
 *      +--signal; all that is left is halted; another                               |  |
 *      |  process has it; the plan is gone-----------> FLUSHING --nothing held------+  |
 *      |                                                  |       any more, time up    |
 *      +--librdkafka's fatal error------------------------+----------------------------+
 *
 * A range's life, in the dispatcher's words (dispatch/queue.c):
 *
 *   claimed --> fetched in its lane --> its end was read --> all written --> revoked, complete
 *                                                            ^
 *                     behind the last record: position --> end, by a claim that moves it
 *
 * Lane i has range i of every partition, each through a client of its own: librdkafka fetches a
 * partition once in each client.
 *
 * A range that is halted is tried again as in a sink (dispatch/retry.c). When nothing but halted
 * ranges is left, and each has been tried again in vain, the run ends: whoever has started it wants
 * to know.
 */
#include "command/backfill_load.h"

#include "base/clock.h"
#include "base/memory.h"
#include "command/boot.h"
#include "command/process.h"
#include "command/watchdog.h"
#include "dispatch/intake.h"
#include "dispatch/ownership.h"
#include "kafka/client.h"
#include "kafka/credentials.h"
#include "kafka/dead_letter_topic.h"
#include "kafka/lane.h"
#include "ops/progress_display.h"
#include "pg/backfill_progress.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum load_state {
    LOAD_LOADING,
    LOAD_FLUSHING, /* waits until every batch is committed, or time is up */
    LOAD_CLOSING,  /* waits for the loop to run empty */
};

enum { TICK_MS = 50, TRIES = 2, SAME_SIGNAL_MS = 200 };

struct load_range {
    struct backfill_range *range; /* what is known of it without its queue's last steps */
    struct queue *queue;          /* borrowed from the dispatcher; NULL: it is complete */
    int64_t epoch;                /* of our last claim; 0: none */
};

struct load_lane {
    struct lane lane;
    struct credentials credentials;
};

struct load {
    const struct config *config;
    struct backfill *backfill;  /* borrowed, and written to at the end */
    struct backfill_hold *hold; /* borrowed */
    uv_loop_t loop;
    uv_signal_t sigterm;
    uv_signal_t sigint;
    uv_timer_t timer;
    uv_prepare_t turn;
    rd_kafka_t **clients; /* one for each lane */
    rd_kafka_t *producer; /* of dead letters; NULL: they do not go to a topic */
    struct load_lane *lanes;
    size_t lanes_count;
    struct load_range *ranges; /* the share's */
    size_t ranges_count;
    size_t left_count; /* of them, not complete */
    struct dispatcher dispatcher;
    struct watchdog watchdog;
    struct dead_letter_topic dead_letter_topic;
    struct progress_display display;
    struct monitor *monitor; /* borrowed */
    struct progress progress;
    struct progress_range *pictures;
    enum load_state state;
    bool draining;
    bool moved;     /* a position has, since the last turn */
    bool overtaken; /* somebody else has claimed a range of ours */
    int64_t started_ms;
    int64_t read_ms;               /* when PostgreSQL's time was backfill->now_ms */
    int64_t brokers_away_since_ms; /* in the eyes of all lanes; 0: one has answered since */
    int64_t signalled_ms;
    int64_t drain_deadline_ms;
    int exit_code;
};

static void set_state(struct load *load, enum load_state to)
{
    static const char *const names[] = {"loading", "flushing", "closing"};

    assert(to > load->state);
    log_debug("backfill", LOG_STR("from", names[load->state]), LOG_STR("to", names[to]));
    load->state = to;
}

/* Closing. */

static void close_all(struct load *load)
{
    set_state(load, LOAD_CLOSING);
    progress_display_close(&load->display);
    monitor_close(load->monitor);
    watchdog_close(&load->watchdog);
    backfill_hold_close(load->hold);
    dispatcher_close(&load->dispatcher);
    for (size_t i = 0; i < load->lanes_count; i++) {
        lane_close(&load->lanes[i].lane);
        credentials_close(&load->lanes[i].credentials);
    }
    if (load->producer)
        dead_letter_topic_close(&load->dead_letter_topic);
    uv_close((uv_handle_t *)&load->sigterm, NULL);
    uv_close((uv_handle_t *)&load->sigint, NULL);
    uv_close((uv_handle_t *)&load->timer, NULL);
    uv_prepare_stop(&load->turn);
    uv_close((uv_handle_t *)&load->turn, NULL);
}

/* Why, for the summary; also of those that are being tried again. */
static void note_halted(struct load *load)
{
    for (size_t i = 0; i < load->ranges_count; i++) {
        const struct queue *queue = load->ranges[i].queue;
        if (queue && queue->halts > 0)
            load->ranges[i].range->halted = memory_strdup(queue->halted.text);
    }
}

static void stop(struct load *load)
{
    if (load->state != LOAD_LOADING)
        return;
    note_halted(load);
    set_state(load, LOAD_FLUSHING);
    load->draining = true;
    load->exit_code = EXIT_TEMPORARY;
    watchdog_stop(&load->watchdog); /* the drain has its own deadline */
    load->drain_deadline_ms = clock_now_ms() + load->config->drain_timeout_ms;
    for (size_t i = 0; i < load->lanes_count; i++)
        lane_stop_reading(&load->lanes[i].lane);
    intake_drain(&load->dispatcher);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct load *load = handle->data;

    if (load->state != LOAD_LOADING && clock_now_ms() - load->signalled_ms < SAME_SIGNAL_MS)
        return; /* timeout(1) sends one to us and one to our group */
    if (load->state != LOAD_LOADING) {
        progress_display_close(&load->display);
        log_warn("second signal: exit now", LOG_INT("signal", number));
        _exit(EXIT_TEMPORARY);
    }
    log_info("draining", LOG_INT("signal", number));
    load->signalled_ms = clock_now_ms();
    stop(load);
}

static void on_fatal(void *opaque, const char *reason)
{
    struct load *load = opaque;

    log_error("librdkafka can't go on", LOG_STR("reason", reason));
    load->exit_code = EXIT_TEMPORARY;
    if (load->state != LOAD_CLOSING)
        close_all(load);
}

/* The dispatcher's hooks. */

static struct lane *lane_of(struct load *load, const struct queue *queue)
{
    return &load->lanes[queue->range].lane;
}

/* Its row was there when we began. */
static void on_gone(void *opaque, struct queue *queue)
{
    struct load *load = opaque;

    log_error("the plan is gone: it was forgotten by another process, or the database went back",
              LOG_STR("backfill", load->backfill->name), LOG_STR("topic", queue->route->topic),
              LOG_INT("partition", queue->partition), LOG_INT("range", queue->range));
    stop(load);
}

static void on_start(void *opaque, struct queue *queue)
{
    lane_start(lane_of(opaque, queue), queue);
}

static void on_stop(void *opaque, struct queue *queue)
{
    lane_stop(lane_of(opaque, queue), queue);
}

static void on_room(void *opaque)
{
    struct load *load = opaque;

    for (size_t i = 0; i < load->lanes_count; i++)
        lane_room(&load->lanes[i].lane);
}

static void on_identify(void *opaque)
{
    struct load *load = opaque;

    for (size_t i = 0; i < load->lanes_count; i++)
        lane_identify(&load->lanes[i].lane);
}

/* Each claim raises the epoch by one. */
static void on_moved(void *opaque, const struct queue *queue)
{
    struct load *load = opaque;
    struct load_range *one = queue->opaque;

    load->moved = true;
    load->overtaken |= one->epoch > 0 && queue->epoch > one->epoch + 1;
    one->epoch = queue->epoch;
}

static void on_taken(void *opaque, const struct err *err)
{
    struct load *load = opaque;

    log_error("another process has taken over", LOG_STR("backfill", load->backfill->name),
              LOG_ERR(err));
    stop(load);
}

static void check_hold(struct load *load)
{
    load->overtaken = false;
    backfill_hold_check(load->hold);
}

static struct dispatcher_hooks hooks_of(struct load *load)
{
    struct dispatcher_hooks hooks = {
        .place = on_gone,
        .start = on_start,
        .stop = on_stop,
        .room = on_room,
        .identify = on_identify,
        .moved = on_moved,
        .opaque = load,
    };

    if (load->producer)
        hooks.letters = dead_letter_topic_hooks(&load->dead_letter_topic);
    return hooks;
}

/* Ranges. */

/* What the queue has written is added to what was written before. */
static void add_written(struct offsets_written *sum, const struct offsets_written *more)
{
    bool has_records = more->rows_count + more->skipped_count + more->dead_letters_count > 0;

    sum->rows_count += more->rows_count;
    sum->skipped_count += more->skipped_count;
    sum->dead_letters_count += more->dead_letters_count;
    sum->bytes += more->bytes;
    if (!has_records)
        return;
    if (sum->first_offset < 0) {
        sum->first_offset = more->first_offset;
        sum->first_timestamp_ms = more->first_timestamp_ms;
    }
    sum->last_offset = more->last_offset;
    sum->last_timestamp_ms = more->last_timestamp_ms;
}

static void complete(struct load *load, struct load_range *one)
{
    struct queue *queue = one->queue;

    log_info("range complete", LOG_STR("topic", queue->route->topic),
             LOG_INT("partition", queue->partition), LOG_INT("range", queue->range),
             LOG_INT("end_offset", queue->end), LOG_INT("rows", queue->written.rows_count));
    add_written(&one->range->written, &queue->written);
    one->range->next_offset = queue->position;
    one->queue = NULL;
    load->left_count--;
    lane_remove(lane_of(load, queue), queue);
}

/* Its end was read, and the last record lies before it: nothing is left to write but that. */
static bool is_short_of_end(const struct queue *queue)
{
    return queue->state == QUEUE_OPEN && queue_has_ended(queue) && !queue->flush &&
           TAILQ_EMPTY(&queue->batches);
}

static void check_ranges(struct load *load)
{
    for (size_t i = 0; i < load->ranges_count; i++) {
        struct load_range *one = &load->ranges[i];
        if (one->queue && queue_is_complete(one->queue) && one->queue->state == QUEUE_OPEN)
            complete(load, one);
        else if (one->queue && is_short_of_end(one->queue))
            ownership_skip(&load->dispatcher, one->queue, one->queue->end, false);
    }
    if (load->left_count == 0)
        close_all(load);
}

static bool is_hopeless(const struct load *load)
{
    for (size_t i = 0; i < load->ranges_count; i++) {
        const struct queue *queue = load->ranges[i].queue;
        if (queue && (queue->state != QUEUE_HALTED || queue->halts < TRIES))
            return false;
    }
    return true;
}

static void on_turn(uv_prepare_t *turn)
{
    struct load *load = turn->data;

    if (load->moved && load->state == LOAD_LOADING) {
        load->moved = false;
        check_ranges(load);
    }
}

/* One that has nothing left to fetch is not asked. */
static void note_brokers(struct load *load)
{
    int64_t since_ms = INT64_MAX;

    for (size_t i = 0; i < load->lanes_count; i++) {
        const struct lane *lane = &load->lanes[i].lane;
        if (lane->assignment.partitions_count > 0 && lane->brokers_away_since_ms < since_ms)
            since_ms = lane->brokers_away_since_ms;
    }
    load->brokers_away_since_ms = since_ms == INT64_MAX ? 0 : since_ms;
}

static void on_tick(uv_timer_t *timer)
{
    struct load *load = timer->data;

    note_brokers(load);
    if (load->state == LOAD_LOADING)
        check_ranges(load);
    if (load->state == LOAD_LOADING && load->overtaken)
        check_hold(load);
    if (load->state == LOAD_LOADING && is_hopeless(load)) {
        log_error("nothing is left but ranges that can not go on",
                  LOG_INT("ranges", (int64_t)load->left_count));
        stop(load);
    }
    if (load->state == LOAD_FLUSHING && intake_is_empty(&load->dispatcher))
        close_all(load);
    if (load->state == LOAD_FLUSHING && clock_now_ms() >= load->drain_deadline_ms) {
        log_warn("drain timeout", LOG_INT("drain_timeout_ms", load->config->drain_timeout_ms),
                 LOG_STR("note", "what was not written will be read again"));
        close_all(load);
    }
}

/* The picture of now. */

static enum progress_range_state state_of(const struct queue *queue)
{
    if (!queue)
        return PROGRESS_RANGE_COMPLETE;
    if (queue->state == QUEUE_HALTED)
        return PROGRESS_RANGE_HALTED;
    return queue->state == QUEUE_OPEN ? PROGRESS_RANGE_LOADING : PROGRESS_RANGE_WAITING;
}

static void draw(struct progress_range *picture, const struct load_range *one)
{
    const struct queue *queue = one->queue;
    struct backfill_range range = *one->range;

    if (queue)
        add_written(&range.written, &queue->written);
    if (queue && queue->position >= 0)
        range.next_offset = queue->position;
    *picture = backfill_progress_range(&range);
    picture->state = state_of(queue);
    picture->reason = queue && queue->state == QUEUE_HALTED ? queue->halted.text : NULL;
}

static const struct progress *look(void *opaque)
{
    struct load *load = opaque;

    for (size_t i = 0; i < load->ranges_count; i++)
        draw(&load->pictures[i], &load->ranges[i]);
    load->progress.now_ms = load->backfill->now_ms + clock_now_ms() - load->read_ms;
    return &load->progress;
}

/* Opening. */

static void open_signal(struct load *load, uv_signal_t *handle, int number)
{
    uv_signal_init(&load->loop, handle);
    handle->data = load;
    uv_signal_start(handle, on_signal, number);
}

static void open_handles(struct load *load)
{
    uv_loop_init(&load->loop);
    open_signal(load, &load->sigterm, SIGTERM);
    open_signal(load, &load->sigint, SIGINT);
    uv_timer_init(&load->loop, &load->timer);
    load->timer.data = load;
    uv_timer_start(&load->timer, on_tick, TICK_MS, TICK_MS);
    uv_prepare_init(&load->loop, &load->turn);
    load->turn.data = load;
    uv_prepare_start(&load->turn, on_turn);
}

static void open_lanes(struct load *load)
{
    for (size_t i = 0; i < load->lanes_count; i++) {
        struct load_lane *one = &load->lanes[i];
        lane_open(&one->lane, &load->loop, load->clients[i], load->config, &load->dispatcher);
        one->lane.on_fatal = on_fatal;
        one->lane.opaque = load;
        credentials_open(&one->credentials, &load->loop, load->config, load->clients[i],
                         i == 0 ? load->producer : NULL);
    }
}

static void open_letters(struct load *load)
{
    if (!load->producer)
        return;
    dead_letter_topic_open(&load->dead_letter_topic, &load->loop, load->producer, load->config,
                           &load->dispatcher);
    load->dead_letter_topic.on_fatal = on_fatal;
    load->dead_letter_topic.opaque = load;
}

static void assign_ranges(struct load *load)
{
    for (size_t i = 0; i < load->ranges_count; i++) {
        const struct backfill_range *range = load->ranges[i].range;
        if (range->next_offset == range->end_offset)
            continue;
        struct queue *queue = ownership_assign_range(
            &load->dispatcher, range->topic, range->partition, range->range, range->end_offset);
        load->ranges[i].queue = queue;
        queue->opaque = &load->ranges[i];
        load->left_count++;
        lane_add(lane_of(load, queue), queue);
    }
}

static void open_monitor(struct load *load)
{
    struct monitor *monitor = load->monitor;

    monitor->dispatcher = &load->dispatcher;
    monitor->brokers_away_since_ms = &load->brokers_away_since_ms;
    monitor->look = look;
    monitor->opaque = load;
    monitor->draining = &load->draining;
    monitor_open(monitor, &load->loop);
}

static void open_all(struct load *load)
{
    open_handles(load);
    open_lanes(load);
    open_letters(load);
    struct dispatcher_hooks hooks = hooks_of(load);
    dispatcher_open(&load->dispatcher, &load->loop, load->config, &hooks);
    dispatcher_serve_backfill(&load->dispatcher, load->backfill->name, load->backfill->plan);
    watchdog_open(&load->watchdog, &load->loop, load->config, load->clients[0], &load->dispatcher);
    backfill_hold_open(load->hold, &load->loop, on_taken, load);
    assign_ranges(load);
    open_monitor(load);
    progress_display_open(&load->display, &load->loop, look, load);
}

static void log_summary(const struct load *load)
{
    const struct dispatcher_totals *totals = &load->dispatcher.totals;
    uint64_t read_count = 0;

    for (size_t i = 0; i < load->lanes_count; i++)
        read_count += load->lanes[i].lane.reader.records_count;
    log_info("stopped", LOG_INT("records", (int64_t)totals->records_count),
             LOG_INT("rows", (int64_t)totals->rows_count),
             LOG_INT("dead_letters", (int64_t)totals->dead_letters_count),
             LOG_INT("flushes", (int64_t)totals->flushes_count),
             LOG_INT("failed_flushes", (int64_t)totals->failed_flushes_count),
             LOG_INT("records_read", (int64_t)read_count),
             LOG_INT("lost", (int64_t)totals->lost_count),
             LOG_INT("ranges_left", (int64_t)load->left_count),
             LOG_INT("ran_ms", clock_now_ms() - load->started_ms));
}

static void finish_all(struct load *load)
{
    log_summary(load);
    monitor_finish(load->monitor);
    dispatcher_finish(&load->dispatcher);
    for (size_t i = 0; i < load->lanes_count; i++) {
        lane_finish(&load->lanes[i].lane);
        credentials_finish(&load->lanes[i].credentials);
    }
    int busy = uv_loop_close(&load->loop);
    assert(busy == 0);
}

/* Clients. */

static bool create_clients(struct load *load, struct err *err)
{
    for (size_t i = 0; i < load->lanes_count; i++) {
        load->clients[i] = client_create_lane(load->config, load->lanes_count, err);
        if (!load->clients[i])
            return false;
    }
    if (!config_sends_letters_to_topic(load->config))
        return true;
    load->producer = client_create_producer(load->config, err);
    return load->producer != NULL;
}

static void destroy_clients(struct load *load)
{
    process_destroy_clients(load->clients, load->lanes_count, load->producer, load->exit_code);
    dead_letter_topic_finish(&load->dead_letter_topic);
}

/* The share's ranges, and as many lanes as the partition with most of them needs. */
static void take_share(struct load *load, const struct backfill_share *share)
{
    struct backfill *backfill = load->backfill;

    load->ranges = memory_new_array(backfill->ranges_count + 1, sizeof(*load->ranges));
    load->pictures = memory_new_array(backfill->ranges_count + 1, sizeof(*load->pictures));
    for (size_t i = 0; i < backfill->ranges_count; i++) {
        struct backfill_range *range = &backfill->ranges[i];
        if (!backfill_share_has(share, range->partition))
            continue;
        load->ranges[load->ranges_count++].range = range;
        if ((size_t)range->range + 1 > load->lanes_count)
            load->lanes_count = (size_t)range->range + 1;
    }
    load->lanes = memory_new_array(load->lanes_count + 1, sizeof(*load->lanes));
    load->clients = memory_new_array(load->lanes_count + 1, sizeof(rd_kafka_t *));
    load->progress = (struct progress){
        .name = backfill->name,
        .state = PROGRESS_RUNNING,
        .started_ms = backfill->created_ms,
        .ranges = load->pictures,
        .ranges_count = load->ranges_count,
    };
}

int backfill_load(struct monitor *monitor, struct backfill *backfill,
                  const struct backfill_share *share, struct backfill_hold *hold)
{
    struct load load = {
        .config = monitor->config,
        .monitor = monitor,
        .backfill = backfill,
        .hold = hold,
        .started_ms = clock_now_ms(),
        .read_ms = clock_now_ms(),
    };
    struct err err;

    take_share(&load, share);
    monitor->workers = process_set_workers(load.config);
    if (create_clients(&load, &err)) {
        open_all(&load);
        uv_run(&load.loop, UV_RUN_DEFAULT);
        finish_all(&load);
    } else {
        log_error("Kafka can't be used", LOG_ERR(&err));
        monitor_abandon(monitor);
        load.exit_code = boot_exit_code(&err);
    }
    destroy_clients(&load);
    free(load.ranges);
    free(load.pictures);
    free(load.lanes);
    free(load.clients);
    return load.exit_code;
}
