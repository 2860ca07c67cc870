/*
 *   LOADING --every range of the share is complete-----------------------------> CLOSING
 *      |                                                                            ^  ^
 *      +--signal; all that is left is halted; another                               |  |
 *      |  process has it; the plan is gone-----------> FLUSHING --nothing held------+  |
 *      |                                                  |       any more, time up    |
 *      +--librdkafka's fatal error------------------------+----------------------------+
 *
 * Lane i has range i of every partition, each through a client of its own: librdkafka fetches a
 * partition once in each client.
 */
#include "command/backfill_load.h"

#include "base/clock.h"
#include "base/memory.h"
#include "command/backfill_ranges.h"
#include "command/boot.h"
#include "command/heap.h"
#include "command/process.h"
#include "command/watchdog.h"
#include "dispatch/intake.h"
#include "kafka/client.h"
#include "kafka/credentials.h"
#include "kafka/dead_letter_topic.h"
#include "kafka/lane.h"
#include "ops/progress_display.h"

#include <assert.h>
#include <stdlib.h>

enum load_state {
    LOAD_LOADING,
    LOAD_FLUSHING, /* waits until every batch is committed, or time is up */
    LOAD_CLOSING,  /* waits for the loop to run empty */
};

enum { TICK_MS = 50 };

struct load {
    const struct config *config;
    struct backfill *backfill;  /* borrowed, and written to at the end */
    struct backfill_hold *hold; /* borrowed */
    uv_loop_t loop;
    struct process_signals signals;
    uv_timer_t timer;
    uv_prepare_t turn;
    rd_kafka_t **clients; /* one for each lane */
    rd_kafka_t *producer; /* of dead letters; NULL: they do not go to a topic */
    struct lane *lanes;
    struct credentials *credentials; /* of each lane's client */
    size_t lanes_count;
    struct backfill_ranges ranges;
    struct dispatcher dispatcher;
    struct heap heap;
    struct watchdog watchdog;
    struct dead_letter_topic dead_letter_topic;
    struct progress_display display;
    struct monitor *monitor; /* borrowed */
    enum load_state state;
    bool draining;
    bool moved; /* a position has, since the last turn */
    int64_t started_ms;
    int64_t brokers_away_since_ms; /* in the eyes of all lanes; 0: one has answered since */
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
    heap_close(&load->heap);
    watchdog_close(&load->watchdog);
    backfill_hold_close(load->hold);
    dispatcher_close(&load->dispatcher);
    for (size_t i = 0; i < load->lanes_count; i++) {
        lane_close(&load->lanes[i]);
        credentials_close(&load->credentials[i]);
    }
    if (load->producer)
        dead_letter_topic_close(&load->dead_letter_topic);
    process_signals_close(&load->signals);
    uv_close((uv_handle_t *)&load->timer, NULL);
    uv_prepare_stop(&load->turn);
    uv_close((uv_handle_t *)&load->turn, NULL);
}

static void stop(struct load *load)
{
    if (load->state != LOAD_LOADING)
        return;
    backfill_ranges_note_halted(&load->ranges);
    set_state(load, LOAD_FLUSHING);
    load->draining = true;
    load->exit_code = EXIT_TEMPORARY;
    watchdog_stop(&load->watchdog); /* the drain has its own deadline */
    load->drain_deadline_ms = clock_now_ms() + load->config->drain_timeout_ms;
    for (size_t i = 0; i < load->lanes_count; i++)
        lane_stop_reading(&load->lanes[i]);
    intake_drain(&load->dispatcher);
}

static void on_signal(void *opaque)
{
    stop(opaque);
}

/* What stands on the terminal then stays there. */
static void on_exit_now(void *opaque)
{
    struct load *load = opaque;

    progress_display_close(&load->display);
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
    struct load *load = opaque;

    lane_start(&load->lanes[queue->range], queue);
}

static void on_stop(void *opaque, struct queue *queue)
{
    struct load *load = opaque;

    lane_stop(&load->lanes[queue->range], queue);
}

static void on_room(void *opaque)
{
    struct load *load = opaque;

    for (size_t i = 0; i < load->lanes_count; i++)
        lane_room(&load->lanes[i]);
}

static void on_identify(void *opaque)
{
    struct load *load = opaque;

    for (size_t i = 0; i < load->lanes_count; i++)
        lane_identify(&load->lanes[i]);
}

static void on_moved(void *opaque, const struct queue *queue)
{
    struct load *load = opaque;

    load->moved = true;
    backfill_ranges_note_move(&load->ranges, queue);
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
    load->ranges.overtaken = false;
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

/* Time. */

static void check_ranges(struct load *load)
{
    backfill_ranges_check(&load->ranges);
    if (load->ranges.left_count == 0)
        close_all(load);
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
        const struct lane *lane = &load->lanes[i];
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
    if (load->state == LOAD_LOADING && load->ranges.overtaken)
        check_hold(load);
    if (load->state == LOAD_LOADING && backfill_ranges_are_hopeless(&load->ranges)) {
        log_error("nothing is left but ranges that can not go on",
                  LOG_INT("ranges", (int64_t)load->ranges.left_count));
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

/* Opening. */

static void open_handles(struct load *load)
{
    uv_loop_init(&load->loop);
    load->signals.on_first = on_signal;
    load->signals.on_exit = on_exit_now;
    load->signals.opaque = load;
    process_signals_open(&load->signals, &load->loop);
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
        struct lane *lane = &load->lanes[i];
        lane_open(lane, &load->loop, load->clients[i], load->config, &load->dispatcher);
        lane->on_fatal = on_fatal;
        lane->opaque = load;
        credentials_open(&load->credentials[i], &load->loop, load->config, load->clients[i],
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

static void open_monitor(struct load *load)
{
    struct monitor *monitor = load->monitor;

    monitor->dispatcher = &load->dispatcher;
    monitor->brokers_away_since_ms = &load->brokers_away_since_ms;
    monitor->look = backfill_ranges_look;
    monitor->opaque = &load->ranges;
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
    heap_open(&load->heap, &load->loop, load->config);
    watchdog_open(&load->watchdog, &load->loop, load->config, load->clients[0], &load->dispatcher);
    backfill_hold_open(load->hold, &load->loop, on_taken, load);
    backfill_ranges_assign(&load->ranges, &load->dispatcher, load->lanes);
    open_monitor(load);
    progress_display_open(&load->display, &load->loop, backfill_ranges_look, &load->ranges);
}

static void log_summary(const struct load *load)
{
    const struct dispatcher_totals *totals = &load->dispatcher.totals;
    uint64_t read_count = 0;

    for (size_t i = 0; i < load->lanes_count; i++)
        read_count += load->lanes[i].reader.records_count;
    log_info("stopped", PROCESS_TOTALS(totals), LOG_INT("records_read", (int64_t)read_count),
             LOG_INT("lost", (int64_t)totals->lost_count),
             LOG_INT("ranges_left", (int64_t)load->ranges.left_count),
             LOG_INT("ran_ms", clock_now_ms() - load->started_ms));
}

static void finish_all(struct load *load)
{
    log_summary(load);
    monitor_finish(load->monitor);
    dispatcher_finish(&load->dispatcher);
    for (size_t i = 0; i < load->lanes_count; i++) {
        lane_finish(&load->lanes[i]);
        credentials_finish(&load->credentials[i]);
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

int backfill_load(struct monitor *monitor, struct backfill *backfill,
                  const struct backfill_share *share, struct backfill_hold *hold)
{
    struct load load = {
        .config = monitor->config,
        .monitor = monitor,
        .backfill = backfill,
        .hold = hold,
        .started_ms = clock_now_ms(),
    };
    struct err err;

    backfill_ranges_init(&load.ranges, backfill, share);
    load.lanes_count = load.ranges.lanes_count;
    load.lanes = memory_new_array(load.lanes_count + 1, sizeof(*load.lanes));
    load.credentials = memory_new_array(load.lanes_count + 1, sizeof(*load.credentials));
    load.clients = memory_new_array(load.lanes_count + 1, sizeof(rd_kafka_t *));
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
    backfill_ranges_finish(&load.ranges);
    free(load.lanes);
    free(load.credentials);
    free(load.clients);
    return load.exit_code;
}
