/* libuv has one pool of threads for all, whose size is an environment variable. */
#include "command/process.h"

#include "base/clock.h"
#include "command/exit.h"
#include "config_postgres.h"
#include "ops/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DESTROY_S = 5, SAME_SIGNAL_MS = 200 };

/* libuv lets the name service have half of its threads, or the only one: a slow answer must not
 * keep batches waiting. */
static bool asks_names(void)
{
    struct config_servers servers;
    bool names = false;

    config_servers_read(&servers);
    for (size_t i = 0; i < servers.count; i++)
        names |= config_server_is_name(&servers.list[i]);
    config_servers_finish(&servers);
    return names;
}

/* libuv reads it when the first job is queued. */
int process_set_workers(const struct config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long workers = config->workers > 0 ? (long)config->workers : cores > 2 ? cores - 1 : 1;
    char text[24];

    snprintf(text, sizeof(text), "%ld", workers + asks_names());
    setenv("UV_THREADPOOL_SIZE", text, 1);
    return (int)workers;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct process_signals *signals = handle->data;
    int64_t now_ms = clock_now_ms();

    if (signals->signalled_ms && now_ms - signals->signalled_ms < SAME_SIGNAL_MS)
        return; /* timeout(1) sends one to us and one to our group */
    if (signals->signalled_ms) {
        if (signals->on_exit)
            signals->on_exit(signals->opaque);
        log_warn("second signal: exit now", LOG_INT("signal", number));
        _exit(EXIT_TEMPORARY);
    }
    log_info("draining", LOG_INT("signal", number));
    signals->signalled_ms = now_ms;
    signals->on_first(signals->opaque);
}

static void open_signal(struct process_signals *signals, uv_loop_t *loop, uv_signal_t *handle,
                        int number)
{
    uv_signal_init(loop, handle);
    handle->data = signals;
    uv_signal_start(handle, on_signal, number);
}

void process_signals_open(struct process_signals *signals, uv_loop_t *loop)
{
    open_signal(signals, loop, &signals->sigterm, SIGTERM);
    open_signal(signals, loop, &signals->sigint, SIGINT);
}

void process_signals_close(struct process_signals *signals)
{
    uv_close((uv_handle_t *)&signals->sigterm, NULL);
    uv_close((uv_handle_t *)&signals->sigint, NULL);
}

static volatile sig_atomic_t alarm_exit_code;

static void on_alarm(int number)
{
    (void)number;
    _exit(alarm_exit_code);
}

void process_destroy_clients(rd_kafka_t *const *consumers, size_t count, rd_kafka_t *producer,
                             int exit_code)
{
    alarm_exit_code = exit_code;
    signal(SIGALRM, on_alarm);
    alarm(DESTROY_S);
    for (size_t i = 0; i < count; i++)
        if (consumers[i])
            rd_kafka_destroy_flags(consumers[i], RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    if (producer)
        rd_kafka_destroy(producer);
    alarm(0);
}
