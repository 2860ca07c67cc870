/*
 * `pgsluice run`: boot, serve, drain.
 *
 *   boot (blocking):  limits -> HTTP's port -> schema -> tables -> topics -> first start
 *   SERVING --signal--> FLUSHING --nothing left--> TELLING --answered--> LEAVING --left--> CLOSING
 *      |                    |                         |                     ^  |              ^
 *      |                    +--- the time that leaving needs is left -------+  +-- time over --+
 *      +-- librdkafka's fatal error -----------------------------------------------------------+
 *
 * What a drain that took too long leaves unsent is not lost: its position was not moved, so the
 * next owner reads it again. A second signal exits at once, for the same reason.
 *
 * The order of closing is the order of dependence: the consumer needs the dispatcher, both need the
 * loop, and the clients go last, after every one of their queues.
 */
#include "command/run.h"

#include "base/clock.h"
#include "command/boot.h"
#include "command/first_start.h"
#include "command/heap.h"
#include "command/monitor.h"
#include "command/process.h"
#include "command/sampler.h"
#include "command/watchdog.h"
#include "dispatch/intake.h"
#include "kafka/consumer.h"
#include "kafka/credentials.h"
#include "kafka/dead_letter_topic.h"

#include <assert.h>
#include <string.h>

enum run_state {
    RUN_SERVING,
    RUN_FLUSHING, /* waits until every batch is committed */
    RUN_TELLING,  /* waits until Kafka was told the positions */
    RUN_LEAVING,  /* waits until the group has let us go */
    RUN_CLOSING,  /* waits for the loop to run empty */
};

enum { DRAIN_TICK_MS = 5, LEAVE_MS = 1000, REPORT_MS = 30000 };

struct run {
    const struct config *config;
    uv_loop_t loop;
    struct process_signals signals;
    uv_timer_t drain_timer;
    uv_timer_t report_timer;
    rd_kafka_t *client;
    rd_kafka_t *producer; /* of dead letters; NULL: they do not go to a topic */
    struct dispatcher dispatcher;
    struct consumer consumer;
    struct heap heap;
    struct watchdog watchdog;
    struct dead_letter_topic dead_letter_topic;
    struct credentials credentials;
    struct monitor monitor;
    struct sampler sampler;
    bool draining;
    enum run_state state;
    int64_t started_ms;
    int64_t drain_deadline_ms;
    uint64_t reported_rows;
    int exit_code;
};

static void set_state(struct run *run, enum run_state to)
{
    static const char *const names[] = {"serving", "flushing", "telling", "leaving", "closing"};

    assert(to > run->state);
    log_debug("run", LOG_STR("from", names[run->state]), LOG_STR("to", names[to]));
    run->state = to;
}

/* Closing. */

static void close_all(struct run *run)
{
    set_state(run, RUN_CLOSING);
    monitor_close(&run->monitor);
    sampler_close(&run->sampler);
    heap_close(&run->heap);
    watchdog_close(&run->watchdog);
    dispatcher_close(&run->dispatcher);
    consumer_close(&run->consumer);
    if (run->producer)
        dead_letter_topic_close(&run->dead_letter_topic);
    process_signals_close(&run->signals);
    uv_close((uv_handle_t *)&run->drain_timer, NULL);
    uv_close((uv_handle_t *)&run->report_timer, NULL);
    credentials_close(&run->credentials);
}

/* The last sample shows what the partitions were left at. */
static void leave(struct run *run)
{
    sampler_end(&run->sampler);
    consumer_leave(&run->consumer);
    set_state(run, RUN_LEAVING);
}

static void step_drain(struct run *run)
{
    if (run->state == RUN_FLUSHING && intake_is_empty(&run->dispatcher) &&
        !consumer_is_committing(&run->consumer)) {
        consumer_commit(&run->consumer);
        set_state(run, RUN_TELLING);
    }
    if (run->state == RUN_TELLING && !consumer_is_committing(&run->consumer))
        leave(run);
    if (run->state == RUN_LEAVING && consumer_has_left(&run->consumer) &&
        !sampler_is_busy(&run->sampler))
        close_all(run);
}

/* A member that only stops is missed by the others for the session's length: leaving has its own
 * time. */
static void give_up(struct run *run)
{
    log_warn("drain timeout", LOG_INT("drain_timeout_ms", run->config->drain_timeout_ms),
             LOG_STR("note", "what was not written will be read again"));
    leave(run);
}

static void on_drain_tick(uv_timer_t *timer)
{
    struct run *run = timer->data;
    int64_t quarter_ms = run->config->drain_timeout_ms / 4;
    int64_t left_ms = run->drain_deadline_ms - clock_now_ms();

    step_drain(run);
    if (run->state < RUN_LEAVING && left_ms <= (quarter_ms < LEAVE_MS ? quarter_ms : LEAVE_MS))
        give_up(run);
    if (run->state < RUN_CLOSING && left_ms <= 0)
        close_all(run);
}

static void on_signal(void *opaque)
{
    struct run *run = opaque;

    if (run->state != RUN_SERVING)
        return;
    watchdog_stop(&run->watchdog); /* the drain has its own deadline */
    run->draining = true;
    set_state(run, RUN_FLUSHING);
    run->drain_deadline_ms = clock_now_ms() + run->config->drain_timeout_ms;
    consumer_stop_reading(&run->consumer);
    intake_drain(&run->dispatcher);
    uv_timer_start(&run->drain_timer, on_drain_tick, 0, DRAIN_TICK_MS);
}

static void on_fatal(void *opaque, const char *reason)
{
    struct run *run = opaque;

    log_error("librdkafka can't go on", LOG_STR("reason", reason));
    run->exit_code = EXIT_TEMPORARY;
    if (run->state != RUN_CLOSING)
        close_all(run);
}

/* Reporting. */

static void on_report(uv_timer_t *timer)
{
    struct run *run = timer->data;
    const struct dispatcher_totals *totals = &run->dispatcher.totals;

    if (totals->rows_count == run->reported_rows)
        return;
    log_info("progress", LOG_INT("rows", (int64_t)totals->rows_count),
             LOG_INT("rows_per_s",
                     (int64_t)(totals->rows_count - run->reported_rows) * 1000 / REPORT_MS),
             LOG_INT("dead_letters", (int64_t)totals->dead_letters_count),
             LOG_INT("flushes", (int64_t)totals->flushes_count),
             LOG_INT("partitions", (int64_t)run->consumer.assignment.partitions_count),
             LOG_INT("memory_bytes", (int64_t)intake_memory_bytes(&run->dispatcher)));
    run->reported_rows = totals->rows_count;
}

static void log_summary(const struct run *run)
{
    const struct dispatcher_totals *totals = &run->dispatcher.totals;

    log_info("stopped", PROCESS_TOTALS(totals),
             LOG_INT("records_read", (int64_t)run->consumer.reader.records_count),
             LOG_INT("dropped_on_revoke", (int64_t)totals->dropped_on_revoke_count),
             LOG_INT("rewinds", (int64_t)totals->rewinds_count),
             LOG_INT("lost", (int64_t)totals->lost_count),
             LOG_INT("assigns", (int64_t)run->consumer.counts.assigns_count),
             LOG_INT("revokes", (int64_t)run->consumer.counts.revokes_count),
             LOG_INT("losses", (int64_t)run->consumer.counts.losses_count),
             LOG_INT("ran_ms", clock_now_ms() - run->started_ms));
}

/* Opening. */

static void open_timers(struct run *run)
{
    uv_timer_init(&run->loop, &run->drain_timer);
    run->drain_timer.data = run;
    uv_timer_init(&run->loop, &run->report_timer);
    run->report_timer.data = run;
    uv_timer_start(&run->report_timer, on_report, REPORT_MS, REPORT_MS);
}

static struct letters_hooks open_dead_letter_topic(struct run *run)
{
    dead_letter_topic_open(&run->dead_letter_topic, &run->loop, run->producer, run->config,
                           &run->dispatcher);
    run->dead_letter_topic.on_fatal = on_fatal;
    run->dead_letter_topic.opaque = run;
    return dead_letter_topic_hooks(&run->dead_letter_topic);
}

static void open_monitor(struct run *run)
{
    run->monitor.dispatcher = &run->dispatcher;
    run->monitor.consumer = &run->consumer;
    run->monitor.brokers_away_since_ms = &run->consumer.brokers_away_since_ms;
    run->monitor.draining = &run->draining;
    monitor_open(&run->monitor, &run->loop);
}

static void open_sampler(struct run *run)
{
    run->sampler.config = run->config;
    run->sampler.dispatcher = &run->dispatcher;
    run->sampler.consumer = &run->consumer;
    sampler_open(&run->sampler, &run->loop);
}

static void open_all(struct run *run)
{
    struct dispatcher_hooks hooks;
    struct err err;

    uv_loop_init(&run->loop);
    run->signals.on_first = on_signal;
    run->signals.opaque = run;
    process_signals_open(&run->signals, &run->loop);
    open_timers(run);
    credentials_open(&run->credentials, &run->loop, run->config, run->client, run->producer);
    consumer_init(&run->consumer, &run->loop, run->client, run->config, &run->dispatcher);
    run->consumer.on_fatal = on_fatal;
    run->consumer.opaque = run;
    hooks = consumer_hooks(&run->consumer);
    if (run->producer)
        hooks.letters = open_dead_letter_topic(run);
    dispatcher_open(&run->dispatcher, &run->loop, run->config, &hooks);
    heap_open(&run->heap, &run->loop, run->config);
    watchdog_open(&run->watchdog, &run->loop, run->config, run->client, &run->dispatcher);
    open_monitor(run);
    open_sampler(run);
    if (!consumer_subscribe(&run->consumer, &err)) {
        log_error("can't subscribe", LOG_ERR(&err));
        run->exit_code = boot_exit_code(&err);
        close_all(run);
    }
}

static void destroy_clients(const struct run *run)
{
    process_destroy_clients(&run->client, 1, run->producer, run->exit_code);
}

static void finish_all(struct run *run)
{
    log_summary(run);
    monitor_finish(&run->monitor);
    sampler_finish(&run->sampler);
    dispatcher_finish(&run->dispatcher);
    consumer_finish(&run->consumer);
    credentials_finish(&run->credentials);
    int busy = uv_loop_close(&run->loop);
    assert(busy == 0);
    destroy_clients(run);
    dead_letter_topic_finish(&run->dead_letter_topic);
}

static bool create_clients(struct run *run, struct err *err)
{
    run->client = client_create(run->config, err);
    if (!run->client || !config_sends_letters_to_topic(run->config))
        return run->client != NULL;
    run->producer = client_create_producer(run->config, err);
    if (run->producer)
        return true;
    rd_kafka_destroy(run->client);
    return false;
}

static int boot_monitor(struct run *run)
{
    struct err err;

    if (monitor_listen(&run->monitor, run->config, &err))
        return EXIT_DONE;
    log_error("HTTP can't be served", LOG_ERR(&err));
    return boot_exit_code(&err);
}

static int boot(struct run *run)
{
    struct err err;
    int code = boot_limits(run->config, 1, strcmp(run->config->http_address, "off") != 0);

    if (code == EXIT_DONE)
        code = boot_monitor(run);

    if (code == EXIT_DONE)
        code = boot_schema(run->config);
    if (code == EXIT_DONE)
        code = boot_tables(run->config);
    if (code != EXIT_DONE)
        return code;
    if (!create_clients(run, &err)) {
        log_error("Kafka can't be used", LOG_ERR(&err));
        return boot_exit_code(&err);
    }
    code = boot_topics(run->config, run->client);
    if (code == EXIT_DONE)
        code = first_start(run->config, run->client);
    run->exit_code = code;
    if (code != EXIT_DONE)
        destroy_clients(run);
    return code;
}

int command_run(const struct config *config, const void *none)
{
    (void)none;
    struct run run = {.config = config, .monitor.fd = -1, .started_ms = clock_now_ms()};

    run.monitor.workers = process_set_workers(config);
    log_info("starting", LOG_STR("version", PGSLUICE_VERSION),
             LOG_STR("librdkafka", rd_kafka_version_str()), LOG_STR("sink", config->name),
             LOG_STR("topics", config->topics), LOG_STR("instance", config->instance_id));
    int code = boot(&run);
    if (code != EXIT_DONE) {
        monitor_abandon(&run.monitor);
        return code;
    }
    open_all(&run);
    uv_run(&run.loop, UV_RUN_DEFAULT);
    finish_all(&run);
    return run.exit_code;
}
